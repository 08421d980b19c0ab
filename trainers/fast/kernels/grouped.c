/* Convolutions in narrow groups: K×K, each output channel of the w channels of its group.
 *
 * Activations are rows of channels (channels_last), float or bfloat16; weights are float, (C, w, K,
 * K), with as many input as output channels in a group, w a power of two. A vector holds neighbouring
 * output channels. Where a group is narrower than a vector, output lane c needs the input lanes
 * c ^ r, r < w: the vector at the same place and w - 1 shuffles of it. Where it is not, all lanes need
 * the same w inputs, each broadcast. So every multiplication counts: none is with a zero between
 * groups.
 *
 * The K source rows that a target row needs are kept as float, padded with zeros, and read once.
 */

#include <stdlib.h>

#include "lanes.h"

enum {
    WIDEST = 3, /* kernel */
    TILE = 4,   /* pixels that share a load of the weights, where inputs are shuffled */
    LONG = 8,   /* and where they are broadcast */
    SUMS = 8,   /* inputs whose gradients are summed at once, where they are broadcast */
};

/* ---- numbers in memory ---- */

/* `count` numbers from number i on; a multiple of LANES. */
static void widen_row(float *to, const void *from, long i, long count, int half)
{
    if (half)
        for (long k = 0; k < count; k += LANES)
            store(to + k, load_at(from, i + k, 1));
    else
        memcpy(to, (const float *)from + i, count * sizeof(float));
}

static void narrow_row(void *to, long i, const float *from, long count)
{
    for (long k = 0; k < count; k += LANES)
        store_at(to, i + k, load(from + k), 1);
}

/* The lanes c ^ r of v. */
INLINE lanes crossed(lanes v, int r)
{
    mask m = {0};
    for (int l = 0; l < LANES; l++)
        m[l] = l ^ r;
    return r ? shuffled(v, v, m) : v;
}

/* ---- a call ---- */

typedef struct {
    long images, channels;
    long height, width;  /* of the source */
    long rows, columns;  /* of the target */
    long group;          /* channels of a group, w */
    long kernel;         /* K, odd */
    long stride;         /* pixels of the source from one of the target to the next */
    long spread;         /* pixels of the source are so far apart, with zeros between them */
    long half;           /* activations are bfloat16 */
} shape;

/* Where in (K, K, w, C) the weight is that output channel c has for an input of its group. */
static long place(const shape *s, long i, long j, long input, long c)
{
    long r = s->group < LANES ? input ^ (c % s->group) : input;
    return ((i * s->kernel + j) * s->group + r) * s->channels + c;
}

/* Weights (C, w, K, K) in that order; turned: those that the gradient of the source needs, from
 * output to input channels and half a turn round. */
static void arrange(const shape *s, const float *weights, float *to, int turned)
{
    long w = s->group, k = s->kernel;
    for (long c = 0; c < s->channels; c++)
        for (long input = 0; input < w; input++)
            for (long i = 0; i < k; i++)
                for (long j = 0; j < k; j++) {
                    float value = weights[((c * w + input) * k + i) * k + j];
                    if (turned)
                        to[place(s, k - 1 - i, k - 1 - j, c % w, c - c % w + input)] = value;
                    else
                        to[place(s, i, j, input, c)] = value;
                }
}

/* ---- source rows ---- */

/* The last few rows that were asked for, padded. */
typedef struct {
    const shape *s;
    const void *source;
    long length;  /* values of a padded row */
    float *rows;
    long held[WIDEST];  /* which row of all images each slot holds; -1 for none */
} window;

static int open(window *w, const shape *s, const void *source)
{
    long pixels = s->width * s->spread + s->kernel + s->stride;
    *w = (window){s, source, pixels * s->channels, NULL, {0}};
    for (int slot = 0; slot < s->kernel; slot++)
        w->held[slot] = -1;
    w->rows = calloc(s->kernel * w->length, sizeof(float));
    return w->rows != NULL;
}

/* Row y of an image, counted as spread; NULL where it is all zeros. */
static const float *row(window *w, long image, long y)
{
    const shape *s = w->s;
    if (y < 0 || y % s->spread || y / s->spread >= s->height)
        return NULL;
    long which = image * s->height + y / s->spread;
    long slot = which % s->kernel;
    float *to = w->rows + slot * w->length;
    if (w->held[slot] == which)
        return to;
    w->held[slot] = which;
    float *inside = to + s->kernel / 2 * s->channels;
    long start = which * s->width * s->channels;
    if (s->spread == 1)
        widen_row(inside, w->source, start, s->width * s->channels, s->half);
    else
        for (long x = 0; x < s->width; x++)
            widen_row(inside + x * s->spread * s->channels, w->source, start + x * s->channels,
                  s->channels, s->half);
    return to;
}

/* The rows that target row y needs. */
static void rows_of(window *w, long image, long y, const float **from)
{
    for (int i = 0; i < w->s->kernel; i++)
        from[i] = row(w, image, y * w->s->stride + i - w->s->kernel / 2);
}

/* ---- the target, or the gradient of the source ---- */

/* `count` target pixels from column x on, LANES channels from c on. */
INLINE void shuffling(const shape *s, const float *const *from, const float *taps, float *to,
                      long x, long c, int count, int group, int kernel)
{
    lanes sum[TILE] = {{0}};
    UNROLLED
    for (int i = 0; i < kernel; i++) {
        if (!from[i])
            continue;
        const float *source = from[i] + x * s->stride * s->channels + c;
        const float *tap = taps + (long)i * kernel * group * s->channels + c;
        UNROLLED
        for (int j = 0; j < kernel; j++) {
            lanes v[TILE];
            UNROLLED
            for (int t = 0; t < count; t++)
                v[t] = load(source + (t * s->stride + j) * s->channels);
            UNROLLED
            for (int r = 0; r < group; r++) {
                lanes weight = load(tap + (j * group + r) * s->channels);
                UNROLLED
                for (int t = 0; t < count; t++)
                    sum[t] += crossed(v[t], r) * weight;
            }
        }
    }
    UNROLLED
    for (int t = 0; t < count; t++)
        store(to + (x + t) * s->channels + c, sum[t]);
}

INLINE void broadcasting(const shape *s, const float *const *from, const float *taps, float *to,
                         long x, long c, int count, int group, int kernel)
{
    lanes sum[LONG] = {{0}};
    for (int i = 0; i < kernel; i++) {
        if (!from[i])
            continue;
        const float *source = from[i] + x * s->stride * s->channels + c / group * group;
        const float *tap = taps + (long)i * kernel * group * s->channels + c;
        for (int j = 0; j < kernel; j++)
            for (int r = 0; r < group; r++) {
                lanes weight = load(tap + (j * group + r) * s->channels);
                UNROLLED
                for (int t = 0; t < count; t++)
                    sum[t] += source[(t * s->stride + j) * s->channels + r] * weight;
            }
    }
    UNROLLED
    for (int t = 0; t < count; t++)
        store(to + (x + t) * s->channels + c, sum[t]);
}

INLINE void target_row(const shape *s, const float *const *from, const float *taps, float *to,
                       int group, int kernel)
{
    for (long c = 0; c < s->channels; c += LANES) {
        long x = 0;
        if (group < LANES) {
            for (; x + TILE <= s->columns; x += TILE)
                shuffling(s, from, taps, to, x, c, TILE, group, kernel);
            for (; x < s->columns; x++)
                shuffling(s, from, taps, to, x, c, 1, group, kernel);
        } else {
            for (; x + LONG <= s->columns; x += LONG)
                broadcasting(s, from, taps, to, x, c, LONG, group, kernel);
            for (; x < s->columns; x++)
                broadcasting(s, from, taps, to, x, c, 1, group, kernel);
        }
    }
}

INLINE void correlate(const shape *s, window *w, const float *taps, void *target, float *line,
                      int group, int kernel)
{
    const float *from[WIDEST];
    for (long image = 0; image < s->images; image++)
        for (long y = 0; y < s->rows; y++) {
            rows_of(w, image, y, from);
            long start = (image * s->rows + y) * s->columns * s->channels;
            float *to = s->half ? line : (float *)target + start;
            target_row(s, from, taps, to, group, kernel);
            if (s->half)
                narrow_row(target, start, line, s->columns * s->channels);
        }
}

/* ---- the gradient of the weights ---- */

/* What a target row adds to it, in LANES channels from c on. */
INLINE void shuffled_products(const shape *s, const float *const *from, const float *dy, float *to,
                              long c, int group, int kernel)
{
    for (int i = 0; i < kernel; i++) {
        if (!from[i])
            continue;
        lanes sum[WIDEST * LANES / 2];
        float *tap = to + (long)i * kernel * group * s->channels + c;
        UNROLLED
        for (int k = 0; k < kernel * group; k++)
            sum[k] = load(tap + k * s->channels);
        for (long x = 0; x < s->columns; x++) {
            lanes d = load(dy + x * s->channels + c);
            const float *source = from[i] + x * s->stride * s->channels + c;
            UNROLLED
            for (int j = 0; j < kernel; j++) {
                lanes v = load(source + j * s->channels);
                UNROLLED
                for (int r = 0; r < group; r++)
                    sum[j * group + r] += crossed(v, r) * d;
            }
        }
        UNROLLED
        for (int k = 0; k < kernel * group; k++)
            store(tap + k * s->channels, sum[k]);
    }
}

INLINE void broadcast_products(const shape *s, const float *const *from, const float *dy, float *to,
                               long c, int group, int kernel)
{
    int some = group < SUMS ? group : SUMS;
    for (int i = 0; i < kernel; i++) {
        if (!from[i])
            continue;
        for (int j = 0; j < kernel; j++)
            for (int first = 0; first < group; first += some) {
                lanes sum[SUMS];
                float *tap = to + (((long)i * kernel + j) * group + first) * s->channels + c;
                const float *source = from[i] + j * s->channels + c / group * group + first;
                UNROLLED
                for (int r = 0; r < some; r++)
                    sum[r] = load(tap + r * s->channels);
                for (long x = 0; x < s->columns; x++) {
                    lanes d = load(dy + x * s->channels + c);
                    const float *pixel = source + x * s->stride * s->channels;
                    UNROLLED
                    for (int r = 0; r < some; r++)
                        sum[r] += pixel[r] * d;
                }
                UNROLLED
                for (int r = 0; r < some; r++)
                    store(tap + r * s->channels, sum[r]);
            }
    }
}

/* Sums are float within an image and double across images. */
INLINE void products(const shape *s, window *w, const void *dy, float *sums, double *total,
                     float *line, int group, int kernel)
{
    const float *from[WIDEST];
    long count = kernel * kernel * group * s->channels;
    for (long image = 0; image < s->images; image++) {
        memset(sums, 0, count * sizeof(float));
        for (long y = 0; y < s->rows; y++) {
            rows_of(w, image, y, from);
            long start = (image * s->rows + y) * s->columns * s->channels;
            const float *d = s->half ? line : (const float *)dy + start;
            if (s->half)
                widen_row(line, dy, start, s->columns * s->channels, 1);
            for (long c = 0; c < s->channels; c += LANES)
                if (group < LANES)
                    shuffled_products(s, from, d, sums, c, group, kernel);
                else
                    broadcast_products(s, from, d, sums, c, group, kernel);
        }
        for (long k = 0; k < count; k++)
            total[k] += sums[k];
    }
}

/* ---- what is called ---- */

/* What is compiled: each more takes the compiler half a second on a user's first search. */
#define BY_KIND(call)                                                                              \
    switch (s->group * 16 + s->kernel) {                                                           \
    case 1 * 16 + 3: call(1, 3); break;                                                            \
    case 2 * 16 + 3: call(2, 3); break;                                                            \
    case 4 * 16 + 3: call(4, 3); break;                                                            \
    case 8 * 16 + 3: call(8, 3); break;                                                            \
    case 16 * 16 + 3: call(16, 3); break;                                                          \
    default: failed = 2;                                                                           \
    }

/* The target of a source, or with `turned` weights and the stride as spread, the gradient of the
 * source from the target's. 1: no memory; 2: a kernel or group that is not compiled. */
int grouped_correlate(const void *source, const float *weights, void *target, const shape *s,
                      int turned)
{
    window w;
    int failed = 1;
    float *taps = malloc(s->kernel * s->kernel * s->group * s->channels * sizeof(float));
    float *line = malloc(s->columns * s->channels * sizeof(float));
    if (open(&w, s, source) && taps && line) {
        failed = 0;
        arrange(s, weights, taps, turned);
#define CALL(group, kernel) correlate(s, &w, taps, target, line, group, kernel)
        BY_KIND(CALL)
#undef CALL
    }
    free(w.rows);
    free(taps);
    free(line);
    return failed;
}

/* The gradient of the weights (C, w, K, K). */
int grouped_products(const void *source, const void *dy, float *gradient, const shape *s)
{
    window w;
    int failed = 1;
    long count = s->kernel * s->kernel * s->group * s->channels;
    float *sums = malloc(count * sizeof(float));
    double *total = calloc(count, sizeof(double));
    float *line = malloc(s->columns * s->channels * sizeof(float));
    if (open(&w, s, source) && sums && total && line) {
        failed = 0;
#define CALL(group, kernel) products(s, &w, dy, sums, total, line, group, kernel)
        BY_KIND(CALL)
#undef CALL
        for (long c = 0; c < s->channels; c++)
            for (long input = 0; input < s->group; input++)
                for (long i = 0; i < s->kernel; i++)
                    for (long j = 0; j < s->kernel; j++)
                        *gradient++ = total[place(s, i, j, input, c)];
    }
    free(w.rows);
    free(sums);
    free(total);
    free(line);
    return failed;
}

/* Lanes of a vector: channels must be a multiple of it. */
int grouped_lanes(void) { return LANES; }
