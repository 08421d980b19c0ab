/* Maps of bfloat16 laid out as positions, of which any 16 in a row are the rows of a tile.
 *
 * Rows of maps come one after another, with zeros after each and after an image that are the
 * padding of both neighbours: a position is a pixel or such a zero. What a row of a kernel takes at
 * a position are neighbouring numbers, and those at the next position the same a pixel further.
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
    long pad;              /* zeros after a row, rows of them after an image */
    long across, image;    /* positions of a row, and of an image */
    long lead;             /* positions before the first pixel */
    long some;             /* images at a time */
    long slices;           /* of DEPTH numbers of what a row of the kernel takes */
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
    p.pad = s->side / 2;
    p.across = (s->spread > 1 ? s->columns : s->width) + p.pad;
    long rows = (s->spread > 1 ? s->rows : s->height) + p.pad;
    p.image = p.across * whole(rows, s->stride) * s->stride;
    p.lead = p.pad * (p.across + 1);
    p.some = least(most(CACHE / (p.image * (p.from + p.to)), 1), s->images);
    p.slices = whole(s->side * p.from, DEPTH);
    p.as_is = s->side == 1 && s->stride == 1 && s->spread == 1 && p.blocks == 1;
    return p;
}

/* Positions that are laid out: all that some part of a tile is read from. */
static long laid(const shape *s, const plan *p)
{
    return p->some * p->image + 2 * p->lead + (STRIP + DEPTH) * s->stride;
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
    long apart; /* positions from a pixel to the next */
} maps;

/* Lays out channels c to c + width of some images, from a position of `cells` on. */
static void lay(const maps *m, long c, long width, long first, long count, const plan *p,
                uint16_t *cells)
{
    long some = least(width, m->channels - c);
    for (long n = 0; n < count; n++)
        for (long y = 0; y < m->height; y++) {
            const uint16_t *from =
                m->numbers + ((first + n) * m->height + y) * m->width * m->channels + c;
            uint16_t *to = cells + (n * p->image + y * m->apart * p->across) * width;
            long step = m->apart * width;
            if (some == m->channels && m->apart == 1)
                memcpy(to, from, m->width * some * sizeof *to);
            else if (some == SIDE)
                for (long x = 0; x < m->width; x++)
                    memcpy(to + x * step, from + x * m->channels, SIDE * sizeof *to);
            else
                for (long x = 0; x < m->width; x++)
                    memcpy(to + x * step, from + x * m->channels, some * sizeof *to);
        }
}

#endif
