/* Vectors of the machine's own length, and how they are read and written. */

#ifndef LANES_H
#define LANES_H

#include <stdint.h>
#include <string.h>

#if defined __AVX2__
#include <immintrin.h>
#endif

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
typedef int32_t mask __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES))); /* bfloat16 */

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

/* ---- bfloat16 ---- */

INLINE lanes widen(halves h)
{
#ifdef __AVX512BF16__ /* one instruction, where compilers take five */
    words w = (words)_mm512_cvtepu16_epi32((__m256i)h);
#else
    words w = __builtin_convertvector(h, words);
#endif
    return (lanes)(w << 16);
}

/* To the nearest bfloat16, ties to even; what is not a number stays so. */
INLINE halves narrow(lanes v)
{
#ifdef __AVX512BF16__
    return (halves)_mm512_cvtneps_pbh((__m512)v);
#else
    words w = (words)v;
    words nan = (words)((w & 0x7fffffff) > 0x7f800000);
    words near = (w + 0x7fff + ((w >> 16) & 1)) >> 16;
    return __builtin_convertvector((near & ~nan) | (0x7fc0 & nan), halves);
#endif
}

/* As `load` and `store`, of number i on of what is bfloat16 if `half`, else float. */
INLINE lanes load_at(const void *from, long i, int half)
{
    if (!half)
        return load((const float *)from + i);
    halves h;
    memcpy(&h, (const uint16_t *)from + i, sizeof h);
    return widen(h);
}

INLINE void store_at(void *to, long i, lanes v, int half)
{
    if (!half) {
        store((float *)to + i, v);
        return;
    }
    halves h = narrow(v);
    memcpy((uint16_t *)to + i, &h, sizeof h);
}

/* ---- fewer than LANES ---- */

#if defined __AVX512BW__ && defined __AVX512VL__
#define SOME(count) ((1u << (count)) - 1)
#endif

/* The first `count` numbers from number i on, and zeros; all LANES if there are more. */
INLINE lanes load_some(const void *from, long i, long count, int half)
{
    if (count >= LANES)
        return load_at(from, i, half);
    if (__builtin_constant_p(count)) { /* compilers know best */
        halves h = {0};
        lanes v = {0};
        if (half)
            memcpy(&h, (const uint16_t *)from + i, count * sizeof(uint16_t));
        else
            memcpy(&v, (const float *)from + i, count * sizeof(float));
        return half ? widen(h) : v;
    }
#ifdef SOME
    if (half)
        return widen((halves)_mm256_maskz_loadu_epi16(SOME(count), (const uint16_t *)from + i));
    return (lanes)_mm512_maskz_loadu_ps(SOME(count), (const float *)from + i);
#else
    lanes v = {0};
    halves h = {0};
    for (long k = 0; k < count; k++)
        if (half)
            h[k] = ((const uint16_t *)from)[i + k];
        else
            v[k] = ((const float *)from)[i + k];
    return half ? widen(h) : v;
#endif
}

INLINE void store_some(void *to, long i, lanes v, long count, int half)
{
    if (count >= LANES) {
        store_at(to, i, v, half);
        return;
    }
    if (__builtin_constant_p(count)) {
        halves h = half ? narrow(v) : (halves){0};
        if (half)
            memcpy((uint16_t *)to + i, &h, count * sizeof(uint16_t));
        else
            memcpy((float *)to + i, &v, count * sizeof(float));
        return;
    }
#ifdef SOME
    if (half)
        _mm256_mask_storeu_epi16((uint16_t *)to + i, SOME(count), (__m256i)narrow(v));
    else
        _mm512_mask_storeu_ps((float *)to + i, SOME(count), (__m512)v);
#else
    halves h = half ? narrow(v) : (halves){0};
    for (long k = 0; k < count; k++)
        if (half)
            ((uint16_t *)to)[i + k] = h[k];
        else
            ((float *)to)[i + k] = v[k];
#endif
}

/* ---- between lanes ---- */

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

/* Squares of 4 × 4 numbers, LANES / 4 of them side by side in four rows, to their columns: by masks
 * of which each is a single instruction. */
INLINE void turn_fours(lanes *v)
{
    mask low, high, first, last;
    UNROLLED
    for (int l = 0; l < LANES; l++) {
        int block = l & ~3, at = l & 3;
        low[l] = block + at / 2 + (at & 1) * LANES;
        high[l] = low[l] + 2;
        first[l] = at < 2 ? l : l - 2 + LANES;
        last[l] = at < 2 ? l + 2 : l + LANES;
    }
    lanes a = shuffled(v[0], v[1], low), b = shuffled(v[2], v[3], low);
    lanes c = shuffled(v[0], v[1], high), d = shuffled(v[2], v[3], high);
    v[0] = shuffled(a, b, first);
    v[1] = shuffled(a, b, last);
    v[2] = shuffled(c, d, first);
    v[3] = shuffled(c, d, last);
}

/* A square of LANES × LANES numbers by its rows, to its columns. */
INLINE void turn(lanes *v)
{
    UNROLLED
    for (int r = 0; r < LANES; r += 4)
        turn_fours(v + r);
    UNROLLED
    for (int s = 4; s < LANES; s *= 2) {
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
