/* Maps of bfloat16 laid out as positions, of which any 16 in a row are the rows of a tile.
 *
 * Rows of maps come one after another, with zeros after each and after an image that are the
 * padding of both neighbours: a position is a pixel or such a zero. What a row of a kernel takes at
 * a position are neighbouring numbers, and those at the next position the same a pixel further.
 *
 * With a stride of two, maps are four planes: even and odd rows' even and odd pixels. Each is laid
 * out by itself, and the taps that fall on it are neighbours there.
 */

#ifndef POSITIONS_H
#define POSITIONS_H

#include <stdlib.h>

#include "tiles.h"

enum {
    STRIP = 4 * SIDE,      /* positions whose sums are computed at once */
    CACHE = 96 * 1024 / 2, /* numbers that are laid out at a time */
    LINE = 64,             /* bytes */
};

/* ---- a call ---- */

typedef struct {
    long images, height, width; /* of the source */
    long rows, columns;         /* of the target */
    long groups, from, to;      /* channels of a group */
    long side;                  /* of the kernel */
    long stride;                /* source pixels from one target pixel to the next, */
    long spread;                /* or target pixels from one source pixel to the next */
} shape;

typedef struct {
    long together, blocks; /* groups of a block */
    long from, to;         /* channels of a block */
    long step;             /* the stride, of either way: maps are its square of planes */
    long planes;           /* of the source */
    long rows, columns;    /* of a plane */
    long pad;              /* zeros after a row, rows of them after an image */
    long across, image;    /* positions of a row, and of an image */
    long lead;             /* positions before the first pixel */
    long some;             /* images at a time */
    long laid;             /* positions of a plane: all that a part of a tile is read from */
    int as_is;             /* positions are the pixels, as they lie */
} plan;

static long least(long a, long b) { return a < b ? a : b; }
static long most(long a, long b) { return a > b ? a : b; }
static long whole(long number, long unit) { return (number + unit - 1) / unit; }

static plan plan_of(const shape *s)
{
    plan p;
    p.together = least(most(SIDE / most(s->from, s->to), 1), s->groups);
    p.blocks = whole(s->groups, p.together);
    p.from = p.together * s->from;
    p.to = p.together * s->to;
    p.step = most(s->stride, s->spread);
    p.planes = s->side > 1 ? s->stride * s->stride : 1;
    p.rows = s->spread > 1 ? s->height : s->rows;
    p.columns = s->spread > 1 ? s->width : s->columns;
    p.pad = whole(s->side / 2, p.step);
    p.across = p.columns + p.pad;
    p.image = p.across * (p.rows + p.pad);
    p.lead = p.pad * (p.across + 1);
    p.some = least(most(CACHE / (p.image * (p.from * p.planes + p.to)), 1), s->images);
    p.laid = whole(p.some * p.image + 2 * p.lead + STRIP + DEPTH, DEPTH) * DEPTH;
    p.as_is = s->side == 1 && p.step == 1 && p.blocks == 1;
    return p;
}

static void *room(long numbers, long bytes)
{
    long size = whole(numbers * bytes, LINE) * LINE;
    void *found = aligned_alloc(LINE, size);
    if (found)
        memset(found, 0, size);
    return found;
}

/* ---- maps ---- */

typedef struct {
    const uint16_t *numbers;
    long height, width, channels;
} maps;

/* Lays out channels c to c + width of a plane of some images, from a position of `cells` on: every
 * step-th pixel of every step-th row, from pixel (y, x) on. */
static void lay(const maps *m, long y, long x, long step, long c, long width, long first,
                long count, const plan *p, uint16_t *cells)
{
    long some = least(width, m->channels - c), pixels = whole(m->width - x, step);
    for (long n = 0; n < count; n++)
        for (long row = y; row < m->height; row += step) {
            const uint16_t *from =
                m->numbers + (((first + n) * m->height + row) * m->width + x) * m->channels + c;
            uint16_t *to = cells + (n * p->image + row / step * p->across) * width;
            if (some == m->channels && step == 1)
                memcpy(to, from, pixels * some * sizeof *to);
            else if (some == SIDE)
                for (long i = 0; i < pixels; i++)
                    memcpy(to + i * width, from + i * step * m->channels, SIDE * sizeof *to);
            else
                for (long i = 0; i < pixels; i++)
                    memcpy(to + i * width, from + i * step * m->channels, some * sizeof *to);
        }
}

/* Lays out all planes of a block of source channels, one after another. */
static void lay_planes(const maps *m, const shape *s, long c, long first, long count, const plan *p,
                       uint16_t *cells)
{
    for (long plane = 0; plane < p->planes; plane++, cells += p->laid * p->from)
        lay(m, plane / s->stride, plane % s->stride, s->stride, c, p->from, first, count, p,
            cells + p->lead * p->from);
}

/* ---- taps ---- */

/* Where the plane of a tap along one axis is, and how many of its pixels the tap is away. */
typedef struct {
    long plane, away;
} tap;

static tap tap_of(const shape *s, const plan *p, long k)
{
    long away = k - s->side / 2, plane = (away % p->step + p->step) % p->step;
    return (tap){plane, (away - plane) / p->step};
}

/* Taps of a row of the kernel whose pixels are neighbours in one plane. */
typedef struct {
    long plane;       /* of the source, if it has several */
    long at;          /* the first one's position from that which is computed, with the lead */
    long first, next; /* numbers of the first tap, and from one to the next */
    long count;
    long slices;      /* of DEPTH numbers that they take */
} stroke;

/* The strokes for a target; or those for a plane (y, x) of the gradient of a source, where taps are
 * taken from the last to the first. Returns how many. */
static long strokes_of(const shape *s, const plan *p, long y, long x, int turned, stroke *strokes)
{
    long found = 0, span = turned ? 1 : least(p->step, s->side);
    for (long row = 0; row < s->side; row++)
        for (long part = 0; part < span; part++) {
            tap down = tap_of(s, p, row);
            if (turned && down.plane != y)
                continue;
            long begin = part;
            if (turned) {
                begin = s->side - 1;
                while (begin >= 0 && tap_of(s, p, begin).plane != x)
                    begin--;
                if (begin < 0)
                    continue;
            }
            tap along = tap_of(s, p, begin);
            long sign = turned ? -1 : 1, count = turned ? begin / p->step + 1
                                                        : whole(s->side - begin, p->step);
            strokes[found++] = (stroke){
                .plane = turned || p->planes == 1 ? 0 : down.plane * p->step + along.plane,
                .at = p->lead + sign * (down.away * p->across + along.away),
                .first = row * s->side + begin,
                .next = sign * p->step,
                .count = count,
                .slices = whole(count * p->from, DEPTH),
            };
        }
    return found;
}

#endif
