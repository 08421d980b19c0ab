/* Vectors of the machine's own length, and how they are read and written. */

#ifndef LANES_H
#define LANES_H

#include <string.h>

#ifndef LANES
#if defined __AVX512F__
#define LANES 16 /* of a vector; compilers do badly with longer ones than the machine's */
#elif defined __AVX2__
#define LANES 8
#else
#define LANES 4
#endif
#endif

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int mask __attribute__((vector_size(4 * LANES)));

/* Inlined with constant arguments, so that every kind of call is compiled by itself. */
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 32")

INLINE lanes load(const float *from)
{
    lanes v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void store(float *to, lanes v) { memcpy(to, &v, sizeof v); }

/* Lane l is that of the 2 * LANES of a and b whose number is m[l]. */
INLINE lanes shuffled(lanes a, lanes b, mask m)
{
#ifdef __clang__
    lanes v;
    for (int l = 0; l < LANES; l++)
        v[l] = m[l] < LANES ? a[m[l]] : b[m[l] - LANES];
    return v;
#else
    return __builtin_shuffle(a, b, m);
#endif
}

/* A square of LANES × LANES numbers by its rows, to its columns. */
INLINE void turn(lanes *v)
{
    UNROLLED
    for (int s = 1; s < LANES; s *= 2) {
        mask low, high;
        UNROLLED
        for (int l = 0; l < LANES; l++) {
            low[l] = l & s ? (l ^ s) + LANES : l;
            high[l] = l & s ? l + LANES : l ^ s;
        }
        UNROLLED
        for (int r = 0; r < LANES; r++)
            if (!(r & s)) {
                lanes a = v[r], b = v[r | s];
                v[r] = shuffled(a, b, low);
                v[r | s] = shuffled(a, b, high);
            }
    }
}

#endif
