/* Chains of 1×1 group convolutions with channel shuffles between them, as IGC and IGCV2 have.
 *
 * Number the channels by digits, the first of which runs fastest: channel c is s + inner·(k + K·a).
 * A stage mixes one digit, k, of K values, whatever the others are: y(s, o, a) is the sum over k of
 * W(s, a, o, k) x(s, k, a). The shuffles only bring the K channels of a group side by side, and
 * after the last stage all digits are where they were; so here nothing is shuffled at all.
 *
 * Activations are rows of channels (channels_last), float or bfloat16. A block of pixels is turned
 * round, so that a vector holds neighbouring pixels of one channel, and goes through all stages in
 * the cache. So any number of channels will do, and weights are used as they lie: (groups, K, K) of
 * a stage, its groups in the order (s, a). Weights and all sums are float.
 */

#include <stdlib.h>

#include "lanes.h"

enum {
    STAGES = 3,             /* at most */
    OUTS = 4,               /* channels whose sums are in registers at once */
    INS = LANES / OUTS,     /* for gradients of weights: with OUTS, a square of sums to turn */
    STEP = 2 * LANES,       /* pixels, likewise */
    MOST = 256,             /* pixels of a block */
    APART = 16,             /* floats between rows, or a group's fall on the same cache lines */
    CACHE = 192 * 1024 / 4, /* floats of all rows together */
    LINE = 64,              /* bytes */
};

INLINE long least(long a, long b) { return a < b ? a : b; }

/* ---- a call ---- */

typedef struct {
    long pixels, channels;
    long first;          /* inner of the first stage */
    long stages;
    long kernel[STAGES]; /* K of each */
    long half;           /* activations are bfloat16 */
} shape;

typedef struct {
    long kernel, inner, outer;
} stage;

static stage stage_of(const shape *s, long i)
{
    long inner = s->first;
    for (long before = 0; before < i; before++)
        inner *= s->kernel[before];
    return (stage){s->kernel[i], inner, s->channels / (inner * s->kernel[i])};
}

/* ---- blocks ---- */

/* Rooms for all channels of a block of pixels, a row each. */
typedef struct {
    float *memory;
    long size;  /* pixels of a block */
    long pitch; /* floats from one row to the next */
    long room;  /* floats */
} blocks;

static int open(blocks *b, const shape *s, long rooms)
{
    long fit = CACHE / (rooms * s->channels) / STEP * STEP;
    b->size = fit < STEP ? STEP : least(fit, MOST);
    b->pitch = b->size + APART;
    b->room = b->pitch * s->channels;
    b->memory = aligned_alloc(LINE, (rooms * b->room * sizeof(float) / LINE + 1) * LINE);
    return b->memory != NULL;
}

/* Pixels of whole steps. */
static long padded(long pixels) { return (pixels + STEP - 1) / STEP * STEP; }

/* `pixels` pixels of `channels` channels, LANES at most, from number `at` on, to rows of pixels. */
INLINE void gather_square(const void *from, long at, long apart, float *to, long pitch, long pixels,
                          long channels, int half)
{
    lanes square[LANES];
    UNROLLED
    for (int r = 0; r < LANES; r++)
        square[r] = r < pixels ? load_some(from, at + r * apart, channels, half) : (lanes){0};
    turn(square);
    UNROLLED
    for (int r = 0; r < LANES; r++)
        if (r < channels)
            store(to + r * pitch, square[r]);
}

/* The other way round. */
INLINE void scatter_square(const float *from, long pitch, void *to, long at, long apart,
                           long pixels, long channels, int half)
{
    lanes square[LANES];
    UNROLLED
    for (int r = 0; r < LANES; r++)
        square[r] = r < channels ? load(from + r * pitch) : (lanes){0};
    turn(square);
    UNROLLED
    for (int r = 0; r < LANES; r++)
        if (r < pixels)
            store_some(to, at + r * apart, square[r], channels, half);
}

/* Pixels from `start` on, of rows of channels, to rows of pixels; zeros behind the last. */
INLINE void gather(const shape *s, const blocks *b, const void *from, long start, long count,
                   float *to, int half)
{
    for (long p = 0; p < padded(count); p += LANES)
        for (long c = 0; c < s->channels; c += LANES) {
            long at = (start + p) * s->channels + c, some = s->channels - c;
            float *rows = to + c * b->pitch + p;
            if (some >= LANES && p + LANES <= count)
                gather_square(from, at, s->channels, rows, b->pitch, LANES, LANES, half);
            else
                gather_square(from, at, s->channels, rows, b->pitch, count - p, some, half);
        }
}

/* The other way round. */
INLINE void scatter(const shape *s, const blocks *b, const float *from, long start, long count,
                    void *to, int half)
{
    for (long p = 0; p < count; p += LANES)
        for (long c = 0; c < s->channels; c += LANES) {
            long at = (start + p) * s->channels + c, some = s->channels - c;
            const float *rows = from + c * b->pitch + p;
            if (some >= LANES && p + LANES <= count)
                scatter_square(rows, b->pitch, to, at, s->channels, LANES, LANES, half);
            else
                scatter_square(rows, b->pitch, to, at, s->channels, count - p, some, half);
        }
}

/* ---- a group ---- */

/* `outs` rows, `row` apart, each a sum over all of a group's: weights lie `out` and `in` apart. */
INLINE void sums(const float *from, float *to, const float *weights, long kernel, long row,
                 long pixels, long out, long in, int outs)
{
    for (long p = 0; p < pixels; p += STEP) {
        lanes sum[OUTS][2] = {{{0}}};
        for (long k = 0; k < kernel; k++) {
            const float *x = from + k * row + p;
            lanes low = load(x), high = load(x + LANES);
            UNROLLED
            for (int o = 0; o < outs; o++) {
                float weight = weights[o * out + k * in];
                sum[o][0] += weight * low;
                sum[o][1] += weight * high;
            }
        }
        UNROLLED
        for (int o = 0; o < outs; o++) {
            store(to + o * row + p, sum[o][0]);
            store(to + o * row + p + LANES, sum[o][1]);
        }
    }
}

static void mix(const float *from, float *to, const float *weights, long kernel, long row,
                long pixels, int turned)
{
    long out = turned ? 1 : kernel, in = turned ? kernel : 1, o = 0;
    for (; o + OUTS <= kernel; o += OUTS)
        sums(from, to + o * row, weights + o * out, kernel, row, pixels, out, in, OUTS);
    for (; o + 2 <= kernel; o += 2)
        sums(from, to + o * row, weights + o * out, kernel, row, pixels, out, in, 2);
    if (o < kernel)
        sums(from, to + o * row, weights + o * out, kernel, row, pixels, out, in, 1);
}

/* Adds to the gradient of weights (OUTS, INS) from row o and column k on, or fewer at the end. */
INLINE void square_of_products(const float *from, const float *dy, float *to, long kernel, long row,
                               long pixels, long o, long k)
{
    const float *x[INS], *d[OUTS];
    UNROLLED
    for (int i = 0; i < INS; i++)
        x[i] = from + least(k + i, kernel - 1) * row;
    UNROLLED
    for (int r = 0; r < OUTS; r++)
        d[r] = dy + least(o + r, kernel - 1) * row;
    lanes sum[LANES] = {{0}};
    for (long p = 0; p < pixels; p += LANES) {
        lanes v[INS];
        UNROLLED
        for (int i = 0; i < INS; i++)
            v[i] = load(x[i] + p);
        UNROLLED
        for (int r = 0; r < OUTS; r++) {
            lanes gradient = load(d[r] + p);
            UNROLLED
            for (int i = 0; i < INS; i++)
                sum[r * INS + i] += gradient * v[i];
        }
    }
    turn(sum);
    UNROLLED
    for (int r = 1; r < LANES; r++)
        sum[0] += sum[r];
    float total[LANES];
    store(total, sum[0]);
    for (long r = 0; r < least(OUTS, kernel - o); r++)
        for (long i = 0; i < least(INS, kernel - k); i++)
            to[(o + r) * kernel + k + i] += total[r * INS + i];
}

static void products(const float *from, const float *dy, float *to, long kernel, long row,
                     long pixels)
{
    for (long o = 0; o < kernel; o += OUTS)
        for (long k = 0; k < kernel; k += INS)
            square_of_products(from, dy, to, kernel, row, pixels, o, k);
}

/* ---- a stage ---- */

/* Of a block, from rows to rows; with `turned` weights the gradient of what it came from. */
static void through(stage g, const blocks *b, const float *weights, const float *from, float *to,
                    long pixels, int turned)
{
    for (long s = 0; s < g.inner; s++)
        for (long a = 0; a < g.outer; a++, weights += g.kernel * g.kernel) {
            long at = (a * g.kernel * g.inner + s) * b->pitch;
            mix(from + at, to + at, weights, g.kernel, g.inner * b->pitch, pixels, turned);
        }
}

/* Adds to the gradient of a stage's weights. */
static void against(stage g, const blocks *b, const float *from, const float *dy, float *to,
                    long pixels)
{
    for (long s = 0; s < g.inner; s++)
        for (long a = 0; a < g.outer; a++, to += g.kernel * g.kernel) {
            long at = (a * g.kernel * g.inner + s) * b->pitch;
            products(from + at, dy + at, to, g.kernel, g.inner * b->pitch, pixels);
        }
}

INLINE void forward(const shape *s, const blocks *b, const void *x, const float *const *weights,
                    void *y, int half)
{
    for (long start = 0; start < s->pixels; start += b->size) {
        long count = least(b->size, s->pixels - start);
        float *from = b->memory, *to = b->memory + b->room;
        gather(s, b, x, start, count, from, half);
        for (long i = 0; i < s->stages; i++) {
            through(stage_of(s, i), b, weights[i], from, to, padded(count), 0);
            float *free = from;
            from = to;
            to = free;
        }
        scatter(s, b, from, start, count, y, half);
    }
}

INLINE void backward(const shape *s, const blocks *b, const void *x, const void *dy,
                     const float *const *weights, void *dx, float *const *gradients, int half)
{
    for (long start = 0; start < s->pixels; start += b->size) {
        long count = least(b->size, s->pixels - start), pixels = padded(count);
        float *inputs = b->memory; /* of each stage */
        float *from = inputs + s->stages * b->room, *to = from + b->room;
        gather(s, b, x, start, count, inputs, half);
        for (long i = 0; i + 1 < s->stages; i++)
            through(stage_of(s, i), b, weights[i], inputs + i * b->room,
                    inputs + (i + 1) * b->room, pixels, 0);
        gather(s, b, dy, start, count, from, half);
        for (long i = s->stages - 1; i >= 0; i--) {
            against(stage_of(s, i), b, inputs + i * b->room, from, gradients[i], pixels);
            through(stage_of(s, i), b, weights[i], from, to, pixels, 1);
            float *free = from;
            from = to;
            to = free;
        }
        scatter(s, b, from, start, count, dx, half);
    }
}

/* ---- what is called ---- */

/* Activations (pixels, channels) through all stages, with the weights of each. 1: no memory. */
int mixing_forward(const void *x, const float *first, const float *second, const float *third,
                   void *y, const shape *s)
{
    blocks b;
    if (!open(&b, s, 2))
        return 1;
    const float *weights[STAGES] = {first, second, third};
    if (s->half)
        forward(s, &b, x, weights, y, 1);
    else
        forward(s, &b, x, weights, y, 0);
    free(b.memory);
    return 0;
}

/* The gradient of the activations, and of the weights, which has to be zeros. 1: no memory. */
int mixing_backward(const void *x, const void *dy, const float *first, const float *second,
                    const float *third, void *dx, float *dfirst, float *dsecond, float *dthird,
                    const shape *s)
{
    blocks b;
    if (!open(&b, s, s->stages + 2))
        return 1;
    const float *weights[STAGES] = {first, second, third};
    float *gradients[STAGES] = {dfirst, dsecond, dthird};
    if (s->half)
        backward(s, &b, x, dy, weights, dx, gradients, 1);
    else
        backward(s, &b, x, dy, weights, dx, gradients, 0);
    free(b.memory);
    return 0;
}
