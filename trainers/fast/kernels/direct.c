/* Convolutions, K×K, dense or in wide groups, as they are defined: for maps of few pixels.
 *
 * Such a layer is bound by its weights, which are many, while a batch has few pixels. So weights
 * are read once, and as they lie in a channels_last parameter: (groups * to, K, K, from). Target
 * pixels are taken one at a time, of several images together, and what would be multiplied with
 * padding is left out: of the 36 products of a 2×2 map with a 3×3 kernel all but 16.
 *
 * Of those 16, maps of 2×2 do with nine.
 * A row of two pixels is y0 = w1 x0 + w2 x1, y1 = w0 x0 + w1 x1. With m = w1 (x0 + x1) that is
 * y0 = m + (w2 - w1) x1, y1 = m + (w0 - w1) x0: three products, and in both directions three times
 * three. What is multiplied is called a plane here: of the weights, the source and the target.
 *
 * Activations are rows of channels (channels_last), all numbers float. A vector holds neighbouring
 * channels of the target, or for the gradient of the weights of the source; any number is taken.
 */

#include <stdlib.h>

#include "axes.h"

enum {
    IMAGES = LANES > 8 ? 8 : LANES > 4 ? 6 : 4, /* whose sums are in registers at once */
    BLOCK = LANES > 8 ? 8 : LANES > 4 ? 6 : 4,  /* target channels, likewise */
    ROOM = 2 * LANES,                           /* channels of a strip of weights */
    PAIR = 2,                                   /* sides of a map that is computed in planes, */
    SIDE = 3,                                   /* of its kernel, and planes of a side */
    PLANES = SIDE * SIDE,
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

/* Adds what `from` source channels of IMAGES pixels bring to some vectors of target channels. */
INLINE void add_pixels(lanes (*sum)[2], const float *const *v, const float *w, long from,
                       int vectors)
{
    for (long f = 0; f < from; f++) {
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
            add_pixels(sum, v, w, s->from, vectors);
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

/* Adds what a pixel of all images brings: `block` target, `vectors` vectors of source channels. */
INLINE void add_images(lanes (*sum)[2], const float *seen_by, const float *d, long apart,
                       long images, int block, int vectors)
{
    for (long n = 0; n < images; n++, seen_by += ROOM, d += apart) {
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
            add_images(sum, seen_by, d, result, s->images, block, vectors);
            seen_by += s->images * ROOM;
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

/* ---- maps of 2×2 in planes ---- */

/* Narrower groups are not worth it: parts of vectors are slow to read and to write. */
INLINE int in_planes(const shape *s)
{
    return s->height == PAIR && s->width == PAIR && s->kernel == SIDE && s->stride == 1 &&
           s->spread == 1 && s->from >= LANES && s->to >= LANES;
}

/* Of three weights; of two pixels of a source; of two of a target's gradient; and back, of the sums
 * of products to two pixels of a target, and to three weights' gradients. */
INLINE void weight_axis(lanes *to, long apart, const lanes *w)
{
    to[0] = w[1];
    to[apart] = w[2] - w[1];
    to[2 * apart] = w[0] - w[1];
}

INLINE void source_axis(lanes *to, long apart, const lanes *x)
{
    to[0] = x[0] + x[1];
    to[apart] = x[1];
    to[2 * apart] = x[0];
}

INLINE void gradient_axis(lanes *to, long apart, const lanes *dy)
{
    to[0] = dy[0] + dy[1];
    to[apart] = dy[0];
    to[2 * apart] = dy[1];
}

INLINE void target_axis(lanes *to, long apart, const lanes *m)
{
    to[0] = m[0] + m[1];
    to[apart] = m[0] + m[2];
}

INLINE void back_axis(lanes *to, long apart, const lanes *m)
{
    to[0] = m[2];
    to[apart] = m[0] - m[1] - m[2];
    to[2 * apart] = m[1];
}

/* `side` by `side` vectors of `count` numbers, one of them every `apart` numbers. */
INLINE grid square(float *numbers, int side, long apart, long count)
{
    return (grid){numbers, side * apart, apart, count, 0};
}

/* Maps of 2×2 (images, 2, 2, groups * channels) as (PLANES, images, channels), of a group. */
INLINE void spread(axis *one, const shape *s, const float *from, float *to, long channels)
{
    long pitch = s->groups * channels;
    for (long n = 0; n < s->images; n++)
        for (long c = 0; c < channels; c += LANES) {
            float *map = (float *)from + n * PAIR * PAIR * pitch + c;
            float *planes = to + n * channels + c;
            if (c + LANES <= channels)
                transform(one, PAIR, SIDE, square(map, PAIR, pitch, LANES),
                          square(planes, SIDE, s->images * channels, LANES));
            else
                transform(one, PAIR, SIDE, square(map, PAIR, pitch, channels - c),
                          square(planes, SIDE, s->images * channels, channels - c));
        }
}

/* A plane of IMAGES images, or fewer at the end, and of a strip of target channels. */
INLINE void plane(const float *source, const float *weights, float *to, long from, long images,
                  int vectors)
{
    lanes sum[IMAGES][2] = {{{0}}};
    const float *v[IMAGES];
    UNROLLED
    for (int t = 0; t < IMAGES; t++)
        v[t] = source + least(t, images - 1) * from;
    add_pixels(sum, v, weights, from, vectors);
    UNROLLED
    for (int t = 0; t < IMAGES; t++)
        if (t < images)
            UNROLLED
            for (int k = 0; k < vectors; k++)
                store(to + t * ROOM + k * LANES, sum[t][k]);
}

/* As `correlate`, with room for the planes of the source and of a strip of the target. */
static void correlate_planes(const shape *s, const float *source, const float *weights,
                             float *target, float *taps, float *planes, int turned)
{
    long pitch = s->groups * s->to, size = s->images * s->from, strip_size = s->images * ROOM;
    float *sums = planes + PLANES * size;
    spread(source_axis, s, source, planes, s->from);
    for (long c = 0; c < s->to; c += ROOM) {
        long count = least(ROOM, s->to - c);
        (turned ? turned_strip : strip)(s, weights, taps, c, count);
        for (long i = 0; i < s->from * ROOM; i += LANES) {
            grid weight = square(taps + i, SIDE, s->from * ROOM, LANES);
            transform(weight_axis, SIDE, SIDE, weight, weight);
        }
        for (long p = 0; p < PLANES; p++)
            for (long n = 0; n < s->images; n += IMAGES) {
                const float *from = planes + p * size + n * s->from;
                const float *by = taps + p * s->from * ROOM;
                float *to = sums + p * strip_size + n * ROOM;
                if (count > LANES)
                    plane(from, by, to, s->from, least(IMAGES, s->images - n), 2);
                else
                    plane(from, by, to, s->from, least(IMAGES, s->images - n), 1);
            }
        for (long n = 0; n < s->images; n++)
            for (long k = 0; k < count; k += LANES)
                transform(target_axis, SIDE, PAIR,
                          square(sums + n * ROOM + k, SIDE, strip_size, LANES),
                          square(target + n * PAIR * PAIR * pitch + c + k, PAIR, pitch, count - k));
    }
}

/* A strip of a plane of the source, (images, from), as (images, ROOM). */
static void patch(const float *plane, float *to, long images, long from, long count)
{
    for (long n = 0; n < images; n++)
        for (long k = 0; k < ROOM; k += LANES)
            store(to + n * ROOM + k,
                  count > k ? load_some(plane, n * from + k, count - k, 0) : (lanes){0});
}

INLINE void plane_products(const float *seen_by, const float *d, float *to, const shape *s,
                           long count, int block, int vectors)
{
    lanes sum[BLOCK][2] = {{{0}}};
    add_images(sum, seen_by, d, s->to, s->images, block, vectors);
    UNROLLED
    for (int c = 0; c < block; c++)
        UNROLLED
        for (int k = 0; k < vectors; k++)
            store_some(to, c * PLANES * s->from + k * LANES, sum[c][k], count - k * LANES, 0);
}

/* As that, of all target channels. */
INLINE void plane_column(const float *seen_by, const float *d, float *to, const shape *s,
                         long count, int vectors)
{
    long o = 0, apart = PLANES * s->from;
    for (; o + BLOCK <= s->to; o += BLOCK)
        plane_products(seen_by, d + o, to + o * apart, s, count, BLOCK, vectors);
    for (; o < s->to; o++)
        plane_products(seen_by, d + o, to + o * apart, s, count, 1, vectors);
}

/* As `gradient_of_weights`, with room for the planes of the source and of the target's gradient. */
static void gradient_by_planes(const shape *s, const float *source, const float *dy,
                               float *gradient, float *seen_by, float *planes)
{
    long size = s->images * s->from;
    float *theirs = planes + PLANES * size;
    spread(source_axis, s, source, planes, s->from);
    spread(gradient_axis, s, dy, theirs, s->to);
    for (long f = 0; f < s->from; f += ROOM) {
        long count = least(ROOM, s->from - f);
        for (long p = 0; p < PLANES; p++) {
            const float *d = theirs + p * s->images * s->to;
            float *to = gradient + p * s->from + f;
            patch(planes + p * size + f, seen_by, s->images, s->from, count);
            if (count > LANES)
                plane_column(seen_by, d, to, s, count, 2);
            else
                plane_column(seen_by, d, to, s, count, 1);
        }
        for (long o = 0; o < s->to; o++)
            for (long k = 0; k < count; k += LANES) {
                float *at = gradient + o * PLANES * s->from + f + k;
                grid weight = square(at, SIDE, s->from, count - k);
                transform(back_axis, SIDE, SIDE, weight, weight);
            }
    }
}

/* Numbers of the planes of a call. */
static long planes_of(const shape *s)
{
    long after = s->to > ROOM ? s->to : ROOM;
    return in_planes(s) ? PLANES * s->images * (s->from + after) : 0;
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
    long room = s.kernel * s.kernel * s.from * ROOM;
    float *taps = malloc((room + planes_of(&s)) * sizeof(float));
    if (!taps)
        return 1;
    for (long g = 0; g < s.groups; g++) {
        const float *from = source + g * s.from, *with = weights + g * apart;
        float *to = target + g * s.to;
        if (in_planes(&s))
            correlate_planes(&s, from, with, to, taps, taps + room, turned);
        else
            correlate(&s, from, with, to, taps, turned);
    }
    free(taps);
    return 0;
}

/* The gradient of the weights (groups * to, K, K, from). 1: no memory. */
int direct_products(const float *source, const float *dy, float *gradient, const shape *given)
{
    shape s = flat(*given);
    long apart = s.kernel * s.kernel * s.from * s.to;
    long room = s.images * s.rows * s.columns * ROOM;
    float *seen_by = malloc((room + planes_of(&s)) * sizeof(float));
    if (!seen_by)
        return 1;
    for (long g = 0; g < s.groups; g++) {
        const float *from = source + g * s.from, *by = dy + g * s.to;
        float *to = gradient + g * apart;
        if (in_planes(&s))
            gradient_by_planes(&s, from, by, to, seen_by, seen_by + room);
        else
            gradient_of_weights(&s, from, by, to, seen_by);
    }
    free(seen_by);
    return 0;
}

/* Lanes of a vector; channels need not be a multiple. */
int direct_lanes(void) { return LANES; }
