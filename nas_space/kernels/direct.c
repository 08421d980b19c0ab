/* Convolutions, K×K, dense or in wide groups, as they are defined: for maps of few pixels.
 *
 * Such a layer is bound by its weights, which are many, while a batch has few pixels. So weights
 * are read once, and as they lie in a channels_last parameter: (groups * to, K, K, from). Target
 * pixels are taken one at a time, of several images together, and what would be multiplied with
 * padding is left out: of the 36 products of a 2×2 map with a 3×3 kernel all but 16.
 *
 * Activations are rows of channels (channels_last), all numbers float. A vector holds neighbouring
 * channels of the target, or for the gradient of the weights of the source; any number is taken.
 */

#include <stdlib.h>

#include "lanes.h"

enum {
    IMAGES = LANES > 8 ? 8 : LANES > 4 ? 6 : 4, /* whose sums are in registers at once */
    BLOCK = LANES > 8 ? 8 : LANES > 4 ? 6 : 4,  /* target channels, likewise */
    ROOM = 2 * LANES,                           /* channels of a strip of weights */
};

INLINE long least(long a, long b) { return a < b ? a : b; }

/* ---- a call ---- */

typedef struct {
    long images;
    long height, width; /* of the source */
    long rows, columns; /* of the target */
    long groups;
    long from, to;      /* channels of the source and of the target, of a group */
    long kernel;        /* K, odd */
    long stride;        /* pixels of the source from one of the target to the next */
    long spread;        /* pixels of the source are so far apart, with zeros between them */
} shape;

/* Pixels by themselves are images of one pixel, of which there are more to take together. */
static shape flat(shape s)
{
    if (s.kernel == 1 && s.stride == 1 && s.spread == 1) {
        s.images *= s.height * s.width;
        s.height = s.width = s.rows = s.columns = 1;
    }
    return s;
}

/* The row (or column) of the source that tap k of target row y sees; -1 for one of zeros. */
INLINE long seen(const shape *s, long y, long k, long height)
{
    long at = y * s->stride + k - s->kernel / 2;
    return at < 0 || at % s->spread || at / s->spread >= height ? -1 : at / s->spread;
}

/* ---- the target, or the gradient of the source ---- */

/* Weights (to, K, K, from) of `count` target channels from c on, as (K, K, from, ROOM). */
static void strip(const shape *s, const float *weights, float *to, long c, long count)
{
    long taps = s->kernel * s->kernel;
    for (long tap = 0; tap < taps; tap++)
        for (long f = 0; f < s->from; f += LANES) {
            long some = least(LANES, s->from - f);
            for (long first = 0; first < ROOM; first += LANES) {
                lanes square[LANES];
                for (int r = 0; r < LANES; r++) {
                    const float *row = weights + ((c + first + r) * taps + tap) * s->from + f;
                    square[r] = first + r < count ? load_some(row, 0, some, 0) : (lanes){0};
                }
                turn(square);
                for (int r = 0; r < some; r++)
                    store(to + (tap * s->from + f + r) * ROOM + first, square[r]);
            }
        }
}

/* The same for the gradient of the source: weights (from, K, K, to), half a turn round. */
static void turned_strip(const shape *s, const float *weights, float *to, long c, long count)
{
    long taps = s->kernel * s->kernel;
    for (long f = 0; f < s->from; f++)
        for (long tap = 0; tap < taps; tap++)
            for (long first = 0; first < ROOM; first += LANES) {
                long some = least(LANES, count - first);
                const float *row = weights + (f * taps + tap) * s->to + c + first;
                store(to + ((taps - 1 - tap) * s->from + f) * ROOM + first,
                      some > 0 ? load_some(row, 0, some, 0) : (lanes){0});
            }
}

/* Target pixel (y, x) of IMAGES images, `vectors` vectors of channels. The images may be fewer, and
 * are then summed more often than they are stored. */
INLINE void pixel(const shape *s, const float *source, const float *weights, float *target, long y,
                  long x, long images, long count, int vectors)
{
    long before = s->groups * s->from, after = s->groups * s->to;
    long image = s->height * s->width * before, result = s->rows * s->columns * after;
    lanes sum[IMAGES][2] = {{{0}}};
    for (long i = 0; i < s->kernel; i++) {
        long row = seen(s, y, i, s->height);
        if (row < 0)
            continue;
        for (long j = 0; j < s->kernel; j++) {
            long column = seen(s, x, j, s->width);
            if (column < 0)
                continue;
            const float *w = weights + (i * s->kernel + j) * s->from * ROOM;
            const float *v[IMAGES];
            UNROLLED
            for (int t = 0; t < IMAGES; t++)
                v[t] = source + least(t, images - 1) * image + (row * s->width + column) * before;
            for (long f = 0; f < s->from; f++) {
                lanes weight[2];
                UNROLLED
                for (int k = 0; k < vectors; k++)
                    weight[k] = load(w + f * ROOM + k * LANES);
                UNROLLED
                for (int t = 0; t < IMAGES; t++) {
                    UNROLLED
                    for (int k = 0; k < vectors; k++)
                        sum[t][k] += v[t][f] * weight[k];
                }
            }
        }
    }
    float *to = target + (y * s->columns + x) * after;
    UNROLLED
    for (int t = 0; t < IMAGES; t++)
        if (t < images)
            UNROLLED
            for (int k = 0; k < vectors; k++)
                store_some(to, t * result + k * LANES, sum[t][k], count - k * LANES, 0);
}

/* ---- the gradient of the weights ---- */

/* What tap (i, j) sees of `count` source channels, as (target pixels that see any, images, ROOM):
 * their rows lie far apart, often at powers of two, where a cache holds few. */
static void patches(const shape *s, const float *source, float *to, long i, long j, long count)
{
    for (long y = 0; y < s->rows; y++)
        for (long x = 0; x < s->columns; x++) {
            long row = seen(s, y, i, s->height), column = seen(s, x, j, s->width);
            if (row < 0 || column < 0)
                continue;
            for (long n = 0; n < s->images; n++, to += ROOM) {
                long at = (n * s->height + row) * s->width + column;
                const float *pixel = source + at * s->groups * s->from;
                for (long k = 0; k < ROOM; k += LANES)
                    store(to + k, count > k ? load_some(pixel, k, count - k, 0) : (lanes){0});
            }
        }
}

/* Of `block` target and up to `vectors` vectors of source channels, at that tap. */
INLINE void products(const shape *s, const float *seen_by, const float *dy, float *to, long i,
                     long j, long count, int block, int vectors)
{
    long after = s->groups * s->to, result = s->rows * s->columns * after;
    lanes sum[BLOCK][2] = {{{0}}};
    for (long y = 0; y < s->rows; y++)
        for (long x = 0; x < s->columns; x++) {
            if (seen(s, y, i, s->height) < 0 || seen(s, x, j, s->width) < 0)
                continue;
            const float *d = dy + (y * s->columns + x) * after;
            for (long n = 0; n < s->images; n++, seen_by += ROOM, d += result) {
                lanes pixels[2];
                UNROLLED
                for (int k = 0; k < vectors; k++)
                    pixels[k] = load(seen_by + k * LANES);
                UNROLLED
                for (int c = 0; c < block; c++) {
                    UNROLLED
                    for (int k = 0; k < vectors; k++)
                        sum[c][k] += d[c] * pixels[k];
                }
            }
        }
    UNROLLED
    for (int c = 0; c < block; c++) {
        UNROLLED
        for (int k = 0; k < vectors; k++)
            store_some(to, c * s->kernel * s->kernel * s->from + k * LANES, sum[c][k],
                       count - k * LANES, 0);
    }
}

/* As `products`, of all target channels. */
INLINE void column(const shape *s, const float *seen_by, const float *dy, float *to, long i, long j,
                   long count, int vectors)
{
    long o = 0, apart = s->kernel * s->kernel * s->from;
    for (; o + BLOCK <= s->to; o += BLOCK)
        products(s, seen_by, dy + o, to + o * apart, i, j, count, BLOCK, vectors);
    for (; o + 2 <= s->to; o += 2)
        products(s, seen_by, dy + o, to + o * apart, i, j, count, 2, vectors);
    if (o < s->to)
        products(s, seen_by, dy + o, to + o * apart, i, j, count, 1, vectors);
}

/* ---- a group ---- */

static void correlate(const shape *s, const float *source, const float *weights, float *target,
                      float *taps, int turned)
{
    for (long c = 0; c < s->to; c += ROOM) {
        long count = least(ROOM, s->to - c);
        (turned ? turned_strip : strip)(s, weights, taps, c, count);
        for (long y = 0; y < s->rows; y++)
            for (long x = 0; x < s->columns; x++)
                for (long n = 0; n < s->images; n += IMAGES) {
                    long images = least(IMAGES, s->images - n);
                    const float *from = source + n * s->height * s->width * s->groups * s->from;
                    float *to = target + n * s->rows * s->columns * s->groups * s->to + c;
                    if (count == ROOM)
                        pixel(s, from, taps, to, y, x, images, ROOM, 2);
                    else if (count > LANES)
                        pixel(s, from, taps, to, y, x, images, count, 2);
                    else
                        pixel(s, from, taps, to, y, x, images, count, 1);
                }
    }
}

static void gradient_of_weights(const shape *s, const float *source, const float *dy,
                                float *gradient, float *seen_by)
{
    for (long i = 0; i < s->kernel; i++)
        for (long j = 0; j < s->kernel; j++)
            for (long f = 0; f < s->from; f += ROOM) {
                long count = least(ROOM, s->from - f);
                float *to = gradient + (i * s->kernel + j) * s->from + f;
                patches(s, source + f, seen_by, i, j, count);
                if (count == ROOM)
                    column(s, seen_by, dy, to, i, j, ROOM, 2);
                else if (count > LANES)
                    column(s, seen_by, dy, to, i, j, count, 2);
                else
                    column(s, seen_by, dy, to, i, j, count, 1);
            }
}

/* ---- what is called ---- */

/* The target of a source; or with `turned` weights, which are then (groups * from, K, K, to), and
 * the stride as spread, the gradient of a source from that of its target. 1: no memory. */
int direct_correlate(const float *source, const float *weights, float *target, const shape *given,
                     int turned)
{
    shape s = flat(*given);
    long apart = s.kernel * s.kernel * s.from * s.to;
    float *taps = malloc(s.kernel * s.kernel * s.from * ROOM * sizeof(float));
    if (!taps)
        return 1;
    for (long g = 0; g < s.groups; g++)
        correlate(&s, source + g * s.from, weights + g * apart, target + g * s.to, taps, turned);
    free(taps);
    return 0;
}

/* The gradient of the weights (groups * to, K, K, from). 1: no memory. */
int direct_products(const float *source, const float *dy, float *gradient, const shape *given)
{
    shape s = flat(*given);
    long apart = s.kernel * s.kernel * s.from * s.to;
    float *seen_by = malloc(s.images * s.rows * s.columns * ROOM * sizeof(float));
    if (!seen_by)
        return 1;
    for (long g = 0; g < s.groups; g++)
        gradient_of_weights(&s, source + g * s.from, dy + g * s.to, gradient + g * apart, seen_by);
    free(seen_by);
    return 0;
}

/* Lanes of a vector; channels need not be a multiple. */
int direct_lanes(void) { return LANES; }
