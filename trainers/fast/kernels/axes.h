/* Linear maps of small squares of vectors, by their rows, then by their columns. */

#ifndef AXES_H
#define AXES_H

#include "lanes.h"

enum { LONGEST = 6 }; /* side of a square */

/* A map of a few vectors, a row or a column, to others that are `apart` in `to`. */
typedef void axis(lanes *to, long apart, const lanes *from);

/* `from` times `from` vectors of numbers in memory, or `to` times `to`. */
typedef struct {
    void *numbers;
    long row, column; /* how many numbers lie between neighbours */
    long count;       /* numbers of a vector; the others are zeros, and are not written */
    int half;         /* bfloat16 */
} grid;

/* An axis' map on the rows, then on the columns, of `from` times `from` vectors to `to` times. */
INLINE void transform(axis *one, int from, int to, grid source, grid target)
{
    lanes half[LONGEST * LONGEST];
    UNROLLED
    for (int i = 0; i < from; i++) {
        lanes line[LONGEST];
        UNROLLED
        for (int j = 0; j < from; j++)
            line[j] = load_some(source.numbers, i * source.row + j * source.column, source.count,
                                source.half);
        one(half + i, LONGEST, line);
    }
    UNROLLED
    for (int j = 0; j < to; j++) {
        lanes line[LONGEST];
        one(line, 1, half + j * LONGEST);
        UNROLLED
        for (int i = 0; i < to; i++)
            store_some(target.numbers, i * target.row + j * target.column, line[i], target.count,
                       target.half);
    }
}

#endif
