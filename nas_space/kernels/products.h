/* Products over positions: the gradient of a convolution's weights.
 *
 * The target's gradient, with zeros where there is no pixel, by channels and positions, times the
 * source, shifted for each tap. Factors on the right are pairs of positions, in two orders, for even
 * and for odd shifts: so no row of a tile lies across two lines of the cache.
 */

#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "positions.h"

typedef struct {
    uint16_t *left;  /* the target's gradient by channels and positions, of which there are */
    long pitch;
    uint16_t *right; /* by planes and 16 source channels, pairs of positions: first those that */
    long reach;      /* begin with an even position, then those with an odd one, of so many */
    long copies;     /* positions each, if there is more than a tap */
    long plane;      /* numbers of a plane */
    float *sums;     /* of a block: by taps, 16 target channels and 16 source channels */
} factors;

/* Where the pairs of 16 source channels begin that a tap takes: right factors. */
static const uint16_t *taken(const factors *f, long i, long number, const shape *s, const plan *p)
{
    tap down = tap_of(s, p, number / s->side), along = tap_of(s, p, number % s->side);
    long plane = p->planes > 1 ? down.plane * p->step + along.plane : 0;
    long at = p->lead + down.away * p->across + along.away;
    return f->right + plane * f->plane +
           ((f->copies * i + at % 2) * f->reach + at / 2 * 2) * SIDE;
}

/* Some channels of a position and of the next one, in turn. Of a bfloat16 that is made a float
 * the number is in the upper half of a word. */
INLINE words pair_of(const uint16_t *cells, long width, long count)
{
    words first = (words)load_some(cells, 0, count, 1);
    return first >> 16 | (words)load_some(cells, width, count, 1);
}

INLINE void pair_channels(const uint16_t *cells, long width, long count, long positions,
                          uint16_t *to)
{
    for (long p = 0; p < positions; p += 2, to += DEPTH) {
        words pair = pair_of(cells + p * width, width, count);
        memcpy(to, &pair, sizeof pair);
    }
}

static void pair_up(const uint16_t *cells, long width, const factors *f, uint16_t *to)
{
    for (long c = 0; c < width; c += LANES)
        for (long odd = 0; odd < f->copies; odd++, to += SIDE * f->reach) {
            const uint16_t *from = cells + odd * width + c;
            if (width - c >= LANES)
                pair_channels(from, width, LANES, f->reach, to);
            else
                pair_channels(from, width, width - c, f->reach, to);
        }
}

INLINE void turn_channels(const uint16_t *cells, long width, long count, long positions, long pitch,
                          uint16_t *to)
{
    for (long p = 0; p < positions; p += DEPTH) {
        lanes square[SIDE];
        UNROLLED
        for (long r = 0; r < SIDE; r++)
            square[r] = (lanes)pair_of(cells + (p + 2 * r) * width, width, count);
        turn(square);
        UNROLLED
        for (long r = 0; r < SIDE; r++)
            memcpy(to + r * pitch + p, &square[r], sizeof square[r]);
    }
}

static void turn_round(const uint16_t *cells, long width, long positions, const factors *f)
{
    uint16_t *to = f->left;
    for (long c = 0; c < width; c += LANES, to += SIDE * f->pitch)
        if (width - c >= LANES)
            turn_channels(cells + c, width, LANES, positions, f->pitch, to);
        else
            turn_channels(cells + c, width, width - c, positions, f->pitch, to);
}

/* Adds the products over some positions of 32 target and 32 source channels, at one tap. */
static void add_square(const uint16_t *left, long pitch, const uint16_t *right, long others,
                       long positions, float *sums, long below)
{
    const uint16_t *lower = left + SIDE * pitch;
    TILE_LOAD(0, sums, LINE);
    TILE_LOAD(1, sums + SUMS, LINE);
    TILE_LOAD(2, sums + below, LINE);
    TILE_LOAD(3, sums + below + SUMS, LINE);
    for (long p = 0; p < positions; p += DEPTH, right += AREA) {
        TILE_LOAD(4, left + p, pitch * 2);
        TILE_LOAD(6, right, LINE);
        TILE_MULTIPLY(0, 4, 6);
        TILE_LOAD(7, right + others, LINE);
        TILE_MULTIPLY(1, 4, 7);
        TILE_LOAD(5, lower + p, pitch * 2);
        TILE_MULTIPLY(2, 5, 6);
        TILE_MULTIPLY(3, 5, 7);
    }
    TILE_STORE(0, sums, LINE);
    TILE_STORE(1, sums + SUMS, LINE);
    TILE_STORE(2, sums + below, LINE);
    TILE_STORE(3, sums + below + SUMS, LINE);
}

/* Adds those of 16 by 16 channels at three taps. */
static void add_three(const uint16_t *left, long pitch, const uint16_t *const *right,
                      long positions, float *sums, long apart)
{
    TILE_LOAD(0, sums, LINE);
    TILE_LOAD(1, sums + apart, LINE);
    TILE_LOAD(2, sums + 2 * apart, LINE);
    for (long p = 0; p < positions; p += DEPTH) {
        TILE_LOAD(7, left + p, pitch * 2);
        TILE_LOAD(4, right[0] + p * SIDE, LINE);
        TILE_MULTIPLY(0, 7, 4);
        TILE_LOAD(5, right[1] + p * SIDE, LINE);
        TILE_MULTIPLY(1, 7, 5);
        TILE_LOAD(6, right[2] + p * SIDE, LINE);
        TILE_MULTIPLY(2, 7, 6);
    }
    TILE_STORE(0, sums, LINE);
    TILE_STORE(1, sums + apart, LINE);
    TILE_STORE(2, sums + 2 * apart, LINE);
}

static void add_one(const uint16_t *left, long pitch, const uint16_t *right, long positions,
                    float *sums)
{
    TILE_LOAD(0, sums, LINE);
    for (long p = 0; p < positions; p += DEPTH) {
        TILE_LOAD(7, left + p, pitch * 2);
        TILE_LOAD(4, right + p * SIDE, LINE);
        TILE_MULTIPLY(0, 7, 4);
    }
    TILE_STORE(0, sums, LINE);
}

/* Adds those of 16 by 16 channels at all taps. */
static void add_taps(const factors *f, long o, long i, long positions, const shape *s,
                     const plan *p, float *sums, long apart)
{
    const uint16_t *left = f->left + o * SIDE * f->pitch;
    long taps = s->side * s->side, k = 0;
    for (; k + 3 <= taps; k += 3) {
        const uint16_t *right[] = {taken(f, i, k, s, p), taken(f, i, k + 1, s, p),
                                   taken(f, i, k + 2, s, p)};
        add_three(left, f->pitch, right, positions, sums + k * apart, apart);
    }
    for (; k < taps; k++)
        add_one(left, f->pitch, taken(f, i, k, s, p), positions, sums + k * apart);
}

/* Adds those of two by two times 16 channels, or as many as there are, at all taps. */
static void add_channels(const factors *f, long o, long i, long positions, const shape *s,
                         const plan *p)
{
    long width = whole(p->from, SIDE), height = whole(p->to, SIDE);
    long below = width * SUMS, apart = height * below;
    float *sums = f->sums + o * below + i * SUMS;
    if (o + 1 < height && i + 1 < width) {
        for (long k = 0; k < s->side * s->side; k++, sums += apart)
            add_square(f->left + o * SIDE * f->pitch, f->pitch, taken(f, i, k, s, p),
                       f->copies * f->reach * SIDE, positions, sums, below);
        return;
    }
    add_taps(f, o, i, positions, s, p, sums, apart);
    if (o + 1 < height)
        add_taps(f, o + 1, i, positions, s, p, sums + below, apart);
    if (i + 1 < width)
        add_taps(f, o, i + 1, positions, s, p, sums + SUMS, apart);
}

/* Sums of a block to weights (to, side, side, from) of a dense convolution. */
static void gather(const float *sums, const shape *s, const plan *p, float *dense)
{
    for (long tap = 0; tap < s->side * s->side; tap++)
        for (long o = 0; o < p->to; o += SIDE)
            for (long i = 0; i < p->from; i += SIDE, sums += SUMS)
                for (long r = 0; r < SIDE && o + r < p->to; r++) {
                    long at = ((o + r) * s->side * s->side + tap) * p->from + i;
                    store_some(dense, at, load(sums + r * SIDE), p->from - i, 0);
                }
}

#endif
