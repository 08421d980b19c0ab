/* What an octave convolution does between its paths: halve, part, join and double maps.
 *
 * Activations are rows of channels (channels_last), float or bfloat16, and sums are float. Sizes
 * are even. Of C channels the first `high` are at full resolution, the others means of 2×2 blocks.
 * All that one block needs and gives is done at once, so everything is read and written once.
 *
 * Source: Chen et al., Drop an Octave, arXiv 1904.05049, equation 4.
 */

#include "lanes.h"

typedef struct {
    long images, height, width; /* at full resolution */
    long channels, high;
    long half; /* activations are bfloat16 */
} shape;

/* The first of the four pixels of block b, of maps at full resolution with so many channels. */
INLINE long corner(const shape *s, long b, long channels)
{
    long across = s->width / 2, row = b / across, column = b % across;
    return (row * 2 * s->width + column * 2) * channels;
}

INLINE long blocks(const shape *s) { return s->images * (s->height / 2) * (s->width / 2); }

/* How far pixel p of a block is from its first. */
INLINE long apart(const shape *s, int p, long channels)
{
    return (p / 2 * s->width + p % 2) * channels;
}

INLINE lanes sum(const shape *s, const void *maps, long at, long channels, long count, int half)
{
    lanes total = load_some(maps, at, count, half);
    UNROLLED
    for (int p = 1; p < 4; p++)
        total += load_some(maps, at + apart(s, p, channels), count, half);
    return total;
}

/* Channels c to c + count, LANES at a time and then those that are left. */
#define EACH_VECTOR(first, end) \
    for (long c = first, count; count = (end) - c, c < (end); c += LANES)

INLINE void part(const shape *s, const void *x, void *fine, void *coarse, void *low, int half)
{
    long all = s->channels, high = s->high;
    for (long b = 0; b < blocks(s); b++) {
        long at = corner(s, b, all), to = corner(s, b, high);
        EACH_VECTOR(0, high)
        {
            store_some(coarse, b * all + c, sum(s, x, at + c, all, count, half) / 4, count, half);
            UNROLLED
            for (int p = 0; p < 4; p++)
                store_some(fine, to + apart(s, p, high) + c,
                           load_some(x, at + apart(s, p, all) + c, count, half), count, half);
        }
        EACH_VECTOR(high, all)
        {
            lanes mean = sum(s, x, at + c, all, count, half) / 4;
            store_some(coarse, b * all + c, mean, count, half);
            store_some(low, b * (all - high) + c - high, mean, count, half);
        }
    }
}

INLINE void unpart(const shape *s, const void *dfine, const void *dcoarse, const void *dlow,
                   void *dx, int half)
{
    long all = s->channels, high = s->high;
    for (long b = 0; b < blocks(s); b++) {
        long at = corner(s, b, all), from = corner(s, b, high);
        EACH_VECTOR(0, high)
        {
            lanes quarter = load_some(dcoarse, b * all + c, count, half) / 4;
            UNROLLED
            for (int p = 0; p < 4; p++) {
                lanes d = load_some(dfine, from + apart(s, p, high) + c, count, half);
                store_some(dx, at + apart(s, p, all) + c, d + quarter, count, half);
            }
        }
        EACH_VECTOR(high, all)
        {
            lanes d = load_some(dcoarse, b * all + c, count, half) +
                      load_some(dlow, b * (all - high) + c - high, count, half);
            UNROLLED
            for (int p = 0; p < 4; p++)
                store_some(dx, at + apart(s, p, all) + c, d / 4, count, half);
        }
    }
}

INLINE void join(const shape *s, const void *fine, const void *from_low, const void *low, void *y,
                 int half)
{
    long all = s->channels, high = s->high;
    for (long b = 0; b < blocks(s); b++) {
        long at = corner(s, b, all), from = corner(s, b, high);
        EACH_VECTOR(0, high)
        {
            lanes doubled = load_some(from_low, b * high + c, count, half);
            UNROLLED
            for (int p = 0; p < 4; p++) {
                lanes v = load_some(fine, from + apart(s, p, high) + c, count, half);
                store_some(y, at + apart(s, p, all) + c, v + doubled, count, half);
            }
        }
        EACH_VECTOR(high, all)
        {
            lanes doubled = load_some(low, b * (all - high) + c - high, count, half);
            UNROLLED
            for (int p = 0; p < 4; p++)
                store_some(y, at + apart(s, p, all) + c, doubled, count, half);
        }
    }
}

INLINE void unjoin(const shape *s, const void *dy, void *dfine, void *dfrom_low, void *dlow,
                   int half)
{
    long all = s->channels, high = s->high;
    for (long b = 0; b < blocks(s); b++) {
        long at = corner(s, b, all), to = corner(s, b, high);
        EACH_VECTOR(0, high)
        {
            store_some(dfrom_low, b * high + c, sum(s, dy, at + c, all, count, half), count, half);
            UNROLLED
            for (int p = 0; p < 4; p++)
                store_some(dfine, to + apart(s, p, high) + c,
                           load_some(dy, at + apart(s, p, all) + c, count, half), count, half);
        }
        EACH_VECTOR(high, all)
        {
            lanes total = sum(s, dy, at + c, all, count, half);
            store_some(dlow, b * (all - high) + c - high, total, count, half);
        }
    }
}

/* ---- what is called; each returns 0 ---- */

#define BY_TYPE(call, ...) \
    if (s->half)           \
        call(__VA_ARGS__, 1); \
    else                   \
        call(__VA_ARGS__, 0); \
    return 0

/* x (C) to its high channels, to the means of all of it and to those of the others. */
int octave_part(const void *x, void *fine, void *coarse, void *low, const shape *s)
{
    BY_TYPE(part, s, x, fine, coarse, low);
}

/* The gradient of x from theirs. */
int octave_unpart(const void *dfine, const void *dcoarse, const void *dlow, void *dx,
                  const shape *s)
{
    BY_TYPE(unpart, s, dfine, dcoarse, dlow, dx);
}

/* y (C) of high channels, of what is added to them, and of the others, both of these doubled. */
int octave_join(const void *fine, const void *from_low, const void *low, void *y, const shape *s)
{
    BY_TYPE(join, s, fine, from_low, low, y);
}

/* Their gradients from y's. */
int octave_unjoin(const void *dy, void *dfine, void *dfrom_low, void *dlow, const shape *s)
{
    BY_TYPE(unjoin, s, dy, dfine, dfrom_low, dlow);
}
