/* 3×3 convolutions of stride 1, dense or in wide groups, by minimal filtering, F(4×4, 3×3).
 *
 * A tile of 4×4 target pixels needs a patch of 6×6 source pixels. Both patch and kernel are mapped
 * to 36 points, where the convolution is one product a channel pair: 36 multiplications instead of
 * 144. With the tiles of many images side by side that is a matrix product at each point.
 *
 * Activations are rows of channels (channels_last), float or bfloat16; weights (groups * to, 3, 3,
 * from) float, and so is all between. A vector holds neighbouring channels, and zeros behind a
 * group's last. Some tiles are taken at a time, so that what belongs to their points stays in the
 * cache.
 *
 * Source: Lavin and Gray, Fast algorithms for convolutional neural networks, arXiv 1509.09308: B, G
 * and A are theirs. The gradients are the transposes of the same maps.
 */

#include <stdlib.h>

#include "axes.h"

enum {
    TILE = 4,    /* sides in pixels */
    PATCH = 6,
    POINTS = 36,
    KERNEL = 3,
    ROWS = LANES > 8 ? 12 : 6, /* tiles whose sums are in registers at once */
    FEW = LANES > 8 ? 8 : 4,   /* source channels, likewise */
    VECTORS = POINTS * LANES, /* numbers that LANES channels of a tile have at all points */
    LINE = 64,                /* bytes of a cache's line */
    CACHE = 128 * 1024 / sizeof(float), /* numbers that belong to points at a time */
    HEAVY = 4 * 1024 * 1024 / sizeof(float), /* weights at all points that fit no cache, */
    MANY = 132,                              /* and tiles that they then serve at a time */
};

/* ---- a call ---- */

typedef struct {
    long images, height, width;
    long groups;
    long from, to; /* channels of the source and of the target, of a group */
    long half;     /* activations are bfloat16 */
} shape;

/* The channels that points have: whole vectors. */
static long wide(long channels) { return (channels + LANES - 1) / LANES * LANES; }

/* Weights of a group. */
static long kernels(const shape *s) { return KERNEL * KERNEL * s->from * s->to; }

static long down(const shape *s) { return (s->height + TILE - 1) / TILE; }
static long across(const shape *s) { return (s->width + TILE - 1) / TILE; }
static long tiles(const shape *s) { return s->images * down(s) * across(s); }

/* Tiles that are taken at a time. */
static long some(const shape *s)
{
    long fitting = CACHE / (POINTS * (wide(s->from) + wide(s->to))) / ROWS * ROWS;
    long all = (tiles(s) + ROWS - 1) / ROWS * ROWS;
    long least = POINTS * wide(s->from) * wide(s->to) > HEAVY ? MANY : 2 * ROWS;
    if (fitting < least)
        fitting = least;
    return fitting < all ? fitting : all;
}

/* Where a tile lies. */
typedef struct {
    long image, y, x;
} spot;

static spot spot_of(const shape *s, long tile)
{
    long a = across(s), d = down(s);
    return (spot){tile / (a * d), tile / a % d * TILE, tile % a * TILE};
}

/* ---- memory ---- */

typedef struct {
    float *source, *target, *weights; /* at all points */
    void *copy;                       /* a tile's pixels */
    long room;                        /* for so many tiles */
} scratch;

static int reserve(const shape *s, scratch *with)
{
    long widest = s->from > s->to ? s->from : s->to;
    with->room = some(s);
    /* Zeros, so that the rows beyond the last tile, which are multiplied too, hold numbers. */
    with->source = calloc(POINTS * with->room * wide(s->from), sizeof(float));
    with->target = calloc(POINTS * with->room * wide(s->to), sizeof(float));
    with->weights = calloc(POINTS * wide(s->from) * wide(s->to), sizeof(float));
    with->copy = malloc(POINTS * widest * sizeof(float));
    return with->source && with->target && with->weights && with->copy;
}

static void release(scratch *with)
{
    free(with->source);
    free(with->target);
    free(with->weights);
    free(with->copy);
}

/* ---- maps between pixels and points, one axis at a time ---- */

/* Bᵀ: of 6 pixels of a source. */
INLINE void source_axis(lanes *to, long apart, const lanes *d)
{
    lanes sum = d[4] - d[2] * 4, odd = d[3] - d[1] * 4;
    lanes difference = d[4] - d[2], twice = (d[3] - d[1]) * 2;
    to[0] = d[0] * 4 - d[2] * 5 + d[4];
    to[apart] = sum + odd;
    to[2 * apart] = sum - odd;
    to[3 * apart] = difference + twice;
    to[4 * apart] = difference - twice;
    to[5 * apart] = d[1] * 4 - d[3] * 5 + d[5];
}

/* A: of 4 pixels of a target's gradient. */
INLINE void gradient_axis(lanes *to, long apart, const lanes *d)
{
    lanes even = d[0] + d[2], odd = d[1] + d[3];
    lanes four = d[0] + d[2] * 4, two = (d[1] + d[3] * 4) * 2;
    to[0] = d[0];
    to[apart] = even + odd;
    to[2 * apart] = even - odd;
    to[3 * apart] = four + two;
    to[4 * apart] = four - two;
    to[5 * apart] = d[3];
}

/* Aᵀ: to 4 pixels of a target. */
INLINE void target_axis(lanes *to, long apart, const lanes *m)
{
    lanes one = m[1] + m[2], minus = m[1] - m[2];
    lanes two = m[3] + m[4], half = (m[3] - m[4]) * 2;
    to[0] = m[0] + one + two;
    to[apart] = minus + half;
    to[2 * apart] = one + two * 4;
    to[3 * apart] = minus + half * 4 + m[5];
}

/* G: of 3 weights. */
INLINE void kernel_axis(lanes *to, long apart, const lanes *g)
{
    lanes even = (g[0] + g[2]) / -6, sixth = g[1] / 6;
    lanes quarter = g[0] / 24 + g[2] / 6, twelfth = g[1] / 12;
    to[0] = g[0] / 4;
    to[apart] = even - sixth;
    to[2 * apart] = even + sixth;
    to[3 * apart] = quarter + twelfth;
    to[4 * apart] = quarter - twelfth;
    to[5 * apart] = g[2];
}

/* Gᵀ: to 3 weights' gradients. */
INLINE void back_axis(lanes *to, long apart, const lanes *u)
{
    lanes one = u[1] + u[2], two = u[3] + u[4];
    to[0] = u[0] / 4 - one / 6 + two / 24;
    to[apart] = (u[2] - u[1]) / 6 + (u[3] - u[4]) / 12;
    to[2 * apart] = (two - one) / 6 + u[5];
}

/* Where a tile's points lie for LANES channels. */
INLINE grid of_points(float *points) { return (grid){points, PATCH * LANES, LANES, LANES, 0}; }

/* ---- tiles ---- */

INLINE void *at_number(const void *from, long i, int half)
{
    return (char *)from + i * (half ? sizeof(uint16_t) : sizeof(float));
}

/* Copy `count` pixels of `size` bytes, which are so many bytes apart. */
INLINE void copy_pixels(char *to, long to_apart, const char *from, long from_apart, long count,
                        long size)
{
    if (to_apart == size && from_apart == size) {
        memcpy(to, from, count * size);
        return;
    }
    for (long k = 0; k < count; k++)
        memcpy(to + k * to_apart, from + k * from_apart, size);
}

/* `side` pixels square around or at a tile, of a group's channels: in place, or with zeros beyond
 * the map's edge copied to `copy`. */
INLINE grid square(const shape *s, const void *map, long channels, spot at, long side, void *copy,
                   int half)
{
    long before = (side - TILE) / 2, y = at.y - before, x = at.x - before;
    long pitch = s->groups * channels;
    const void *image = at_number(map, at.image * s->height * s->width * pitch, half);
    if (y >= 0 && x >= 0 && y + side <= s->height && x + side <= s->width)
        return (grid){at_number(image, (y * s->width + x) * pitch, half), s->width * pitch, pitch,
                      channels, half};
    long first = x < 0 ? -x : 0, last = x + side < s->width ? side : s->width - x;
    long pixel = (char *)at_number(copy, channels, half) - (char *)copy;
    memset(copy, 0, side * side * pixel);
    for (long i = 0; i < side; i++)
        if (y + i >= 0 && y + i < s->height)
            copy_pixels((char *)copy + (i * side + first) * pixel, pixel,
                        at_number(image, ((y + i) * s->width + x + first) * pitch, half),
                        s->groups * pixel, last - first, pixel);
    return (grid){copy, side * channels, channels, channels, half};
}

/* The same from channel c on: a whole vector, or those that are left. */
INLINE grid channel(grid pixels, long c, int whole)
{
    pixels.numbers = at_number(pixels.numbers, c, pixels.half);
    pixels.count = whole ? LANES : pixels.count - c;
    return pixels;
}

INLINE void spread_channels(grid pixels, float *points, int gradient)
{
    if (gradient)
        transform(gradient_axis, TILE, PATCH, pixels, of_points(points));
    else
        transform(source_axis, PATCH, PATCH, pixels, of_points(points));
}

/* Fetch the rows of a gradient that the next row of tiles needs, a part of it with each tile of
 * this one: processors do not foresee four short pieces a tile, and narrow maps wait for them. */
INLINE void fetch(const shape *s, const void *map, spot at, int half)
{
    long row = s->width * s->to, part = TILE * row / across(s);
    long start = (at.image * s->height + at.y + TILE) * row + at.x / TILE * part;
    const char *from = at_number(map, start, half), *end = at_number(from, part, half);
    for (; from < end; from += LINE)
        __builtin_prefetch(from);
}

/* The points of `count` tiles from `first` on: of a source's patches, or of a target's gradient. */
INLINE void spread(const shape *s, const void *map, long channels, long first, long count,
                   long room, float *points, void *copy, int gradient, int half)
{
    for (long t = 0; t < count; t++) {
        spot at = spot_of(s, first + t);
        if (gradient && s->groups == 1)
            fetch(s, map, at, half);
        grid pixels = square(s, map, channels, at, gradient ? TILE : PATCH, copy, half);
        float *to = points + t * VECTORS;
        long c = 0;
        for (; c + LANES <= channels; c += LANES, to += LANES * room * POINTS)
            spread_channels(channel(pixels, c, 1), to, gradient);
        if (c < channels)
            spread_channels(channel(pixels, c, 0), to, gradient);
    }
}

static void spread_source(const shape *s, const void *map, long first, long count,
                          const scratch *to)
{
    if (s->half)
        spread(s, map, s->from, first, count, to->room, to->source, to->copy, 0, 1);
    else
        spread(s, map, s->from, first, count, to->room, to->source, to->copy, 0, 0);
}

static void spread_gradient(const shape *s, const void *map, long first, long count,
                            const scratch *to)
{
    if (s->half)
        spread(s, map, s->to, first, count, to->room, to->target, to->copy, 1, 1);
    else
        spread(s, map, s->to, first, count, to->room, to->target, to->copy, 1, 0);
}

INLINE void gather(const shape *s, void *map, long first, long count, const scratch *from, int half)
{
    long channels = s->to, pitch = s->groups * channels;
    for (long t = 0; t < count; t++) {
        spot at = spot_of(s, first + t);
        long rows = s->height - at.y, columns = s->width - at.x;
        long start = ((at.image * s->height + at.y) * s->width + at.x) * pitch;
        void *corner = at_number(map, start, half);
        int whole = rows >= TILE && columns >= TILE;
        grid pixels = {corner, s->width * pitch, pitch, channels, half};
        if (!whole)
            pixels = (grid){from->copy, TILE * channels, channels, channels, half};
        float *points = from->target + t * VECTORS;
        long c = 0;
        for (; c + LANES <= channels; c += LANES, points += LANES * from->room * POINTS)
            transform(target_axis, PATCH, TILE, of_points(points), channel(pixels, c, 1));
        if (c < channels)
            transform(target_axis, PATCH, TILE, of_points(points), channel(pixels, c, 0));
        if (!whole)
            for (long i = 0; i < TILE && i < rows; i++) {
                long inside = columns < TILE ? columns : TILE;
                const char *line = at_number(from->copy, i * TILE * channels, half);
                long pixel = (const char *)at_number(line, channels, half) - line;
                copy_pixels(at_number(corner, i * s->width * pitch, half), s->groups * pixel, line,
                            pixel, inside, pixel);
            }
    }
}

static void gather_target(const shape *s, void *map, long first, long count, const scratch *from)
{
    if (s->half)
        gather(s, map, first, count, from, 1);
    else
        gather(s, map, first, count, from, 0);
}

/* ---- products at a point ---- */

/* ROWS tiles, `vectors` vectors of target channels: their sums over source channels. */
INLINE void outputs(const float *source, const float *weights, float *target, long from, long to,
                    long room, int vectors)
{
    lanes sum[ROWS][2] = {{{0}}};
    for (long c = 0; c < from; c += LANES) {
        const float *v = source + c * room * POINTS;
        for (int l = 0; l < LANES && c + l < from; l++) {
            lanes w[2];
            UNROLLED
            for (int k = 0; k < vectors; k++)
                w[k] = load(weights + (c + l) * to + k * LANES);
            UNROLLED
            for (int t = 0; t < ROWS; t++)
                UNROLLED
                for (int k = 0; k < vectors; k++)
                    sum[t][k] += v[t * VECTORS + l] * w[k];
        }
    }
    UNROLLED
    for (int t = 0; t < ROWS; t++)
        UNROLLED
        for (int k = 0; k < vectors; k++)
            store(target + k * room * VECTORS + t * VECTORS, sum[t][k]);
}

/* FEW source channels, `vectors` vectors of target channels: their sums over tiles. */
INLINE void gradients(const float *source, const float *target, float *weights, long count, long to,
                      long room, int vectors)
{
    lanes sum[FEW][2];
    UNROLLED
    for (int c = 0; c < FEW; c++)
        UNROLLED
        for (int k = 0; k < vectors; k++)
            sum[c][k] = load(weights + c * to + k * LANES);
    for (long t = 0; t < count; t++) {
        lanes d[2];
        UNROLLED
        for (int k = 0; k < vectors; k++)
            d[k] = load(target + (k * room + t) * VECTORS);
        UNROLLED
        for (int c = 0; c < FEW; c++)
            UNROLLED
            for (int k = 0; k < vectors; k++)
                sum[c][k] += source[t * VECTORS + c] * d[k];
    }
    UNROLLED
    for (int c = 0; c < FEW; c++)
        UNROLLED
        for (int k = 0; k < vectors; k++)
            store(weights + c * to + k * LANES, sum[c][k]);
}

/* Points lie as (channels / LANES, room, 36, LANES), the weights' as (36, from, to). */
static void multiply(const shape *s, const scratch *with, long count)
{
    long to = wide(s->to), room = with->room;
    for (long p = 0; p < POINTS; p++)
        for (long t = 0; t < count; t += ROWS) {
            const float *v = with->source + t * VECTORS + p * LANES;
            const float *u = with->weights + p * wide(s->from) * to;
            float *m = with->target + t * VECTORS + p * LANES;
            long c = 0;
            for (; c + 2 * LANES <= to; c += 2 * LANES)
                outputs(v, u + c, m + c * room * POINTS, s->from, to, room, 2);
            if (c < to)
                outputs(v, u + c, m + c * room * POINTS, s->from, to, room, 1);
        }
}

static void accumulate(const shape *s, const scratch *with, long count)
{
    long from = wide(s->from), to = wide(s->to), room = with->room;
    for (long p = 0; p < POINTS; p++)
        for (long f = 0; f < s->from; f += FEW) {
            const float *v = with->source + f / LANES * room * VECTORS + p * LANES + f % LANES;
            const float *z = with->target + p * LANES;
            float *u = with->weights + (p * from + f) * to;
            long c = 0;
            for (; c + 2 * LANES <= to; c += 2 * LANES)
                gradients(v, z + c * room * POINTS, u + c, count, to, room, 2);
            if (c < to)
                gradients(v, z + c * room * POINTS, u + c, count, to, room, 1);
        }
}

/* ---- weights ---- */

/* A kernel's nine weights of LANES channels to 36 points. */
INLINE void spread_kernel(grid weights, float *points, const shape *s)
{
    long pairs = wide(s->from) * wide(s->to);
    transform(kernel_axis, KERNEL, PATCH, weights, (grid){points, PATCH * pairs, pairs, LANES, 0});
}

/* Weights (to, 3, 3, from) as points (36, from, to). */
static void spread_weights(const shape *s, const float *weights, float *points)
{
    enum { TAPS = KERNEL * KERNEL };
    lanes block[TAPS][LANES];
    for (long a = 0; a < s->to; a += LANES)
        for (long b = 0; b < s->from; b += LANES) {
            for (int k = 0; k < TAPS; k++) {
                for (int r = 0; r < LANES; r++) {
                    long row = ((a + r) * TAPS + k) * s->from + b;
                    block[k][r] = (lanes){0};
                    if (a + r < s->to)
                        block[k][r] = load_some(weights, row, s->from - b, 0);
                }
                turn(block[k]);
            }
            for (int r = 0; r < LANES; r++)
                spread_kernel((grid){&block[0][r], KERNEL * LANES * LANES, LANES * LANES, LANES, 0},
                              points + (b + r) * wide(s->to) + a, s);
        }
}

/* Weights (from, 3, 3, to) likewise, for the gradient of the source: half a turn round. */
static void spread_turned(const shape *s, const float *weights, float *points)
{
    for (long a = 0; a < s->from; a++)
        for (long b = 0; b < s->to; b += LANES) {
            const float *last = weights + ((a + 1) * KERNEL * KERNEL - 1) * s->to + b;
            spread_kernel((grid){(float *)last, -KERNEL * s->to, -s->to, s->to - b, 0},
                          points + a * wide(s->to) + b, s);
        }
}

/* The gradient (to, 3, 3, from) from that of points. */
static void gather_weights(const shape *s, float *points, float *gradient)
{
    enum { TAPS = KERNEL * KERNEL };
    lanes block[TAPS][LANES];
    long to = wide(s->to), pairs = wide(s->from) * to;
    for (long a = 0; a < s->to; a += LANES)
        for (long b = 0; b < s->from; b += LANES) {
            for (int r = 0; r < LANES; r++)
                transform(back_axis, PATCH, KERNEL,
                          (grid){points + (b + r) * to + a, PATCH * pairs, pairs, LANES, 0},
                          (grid){&block[0][r], KERNEL * LANES * LANES, LANES * LANES, LANES, 0});
            for (int k = 0; k < TAPS; k++) {
                turn(block[k]);
                for (int r = 0; r < LANES && a + r < s->to; r++) {
                    long row = ((a + r) * TAPS + k) * s->from + b;
                    store_some(gradient, row, block[k][r], s->from - b, 0);
                }
            }
        }
}

/* ---- what is called ---- */

/* The target of a source; or with `turned` weights, which are then (groups * from, 3, 3, to), the
 * gradient of a source from that of its target. 1: no memory. */
int winograd_correlate(const void *source, const float *weights, void *target, const shape *s,
                       int turned)
{
    scratch with;
    int failed = !reserve(s, &with);
    for (long g = 0; g < s->groups && !failed; g++) {
        const void *from = at_number(source, g * s->from, s->half);
        void *to = at_number(target, g * s->to, s->half);
        (turned ? spread_turned : spread_weights)(s, weights + g * kernels(s), with.weights);
        for (long first = 0; first < tiles(s); first += with.room) {
            long left = tiles(s) - first, count = left < with.room ? left : with.room;
            spread_source(s, from, first, count, &with);
            multiply(s, &with, count);
            gather_target(s, to, first, count, &with);
        }
    }
    release(&with);
    return failed;
}

/* The gradient of the weights (groups * to, 3, 3, from). */
int winograd_products(const void *source, const void *dy, float *gradient, const shape *s)
{
    scratch with;
    int failed = !reserve(s, &with);
    for (long g = 0; g < s->groups && !failed; g++) {
        const void *from = at_number(source, g * s->from, s->half);
        const void *to = at_number(dy, g * s->to, s->half);
        memset(with.weights, 0, POINTS * wide(s->from) * wide(s->to) * sizeof(float));
        for (long first = 0; first < tiles(s); first += with.room) {
            long left = tiles(s) - first, count = left < with.room ? left : with.room;
            spread_source(s, from, first, count, &with);
            spread_gradient(s, to, first, count, &with);
            accumulate(s, &with, count);
        }
        gather_weights(s, with.weights, gradient + g * kernels(s));
    }
    release(&with);
    return failed;
}

/* Lanes of a vector: channels that are no multiple take as long as the next. */
int winograd_lanes(void) { return LANES; }
