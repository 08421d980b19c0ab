/* Depthwise 3×3 convolutions of stride 1: each channel by itself.
 *
 * Activations are rows of channels (channels_last), float or bfloat16; weights (C, 3, 3) float, and
 * so are all sums. A vector holds neighbouring channels, and zeros behind the last. Such a layer
 * has so few multiplications that it is bound by what it reads: a pixel is read once for each of
 * the three target rows that need it, and handed on from one column to the next in registers.
 */

#include <stdlib.h>

#include "lanes.h"

enum { KERNEL = 3, TAPS = KERNEL * KERNEL };

/* ---- a call ---- */

typedef struct {
    long images, height, width, channels;
    long half; /* activations are bfloat16 */
} shape;

/* Channels in whole vectors. */
static long wide(const shape *s) { return (s->channels + LANES - 1) / LANES * LANES; }

INLINE const void *at_number(const void *from, long i, int half)
{
    return (const char *)from + i * (half ? sizeof(uint16_t) : sizeof(float));
}

/* The three rows around row y of an image, zeros beyond its edges. */
INLINE void rows_of(const shape *s, const void *map, const void *zeros, long image, long y,
                    int half, const void **rows)
{
    for (long i = 0; i < KERNEL; i++) {
        long at = y + i - 1, inside = at >= 0 && at < s->height;
        long start = (image * s->height + at) * s->width * s->channels;
        rows[i] = inside ? at_number(map, start, half) : zeros;
    }
}

/* ---- the target, or the gradient of the source ---- */

/* A target row, of the `count` channels from c on. */
INLINE void target_row(const shape *s, const void *const *rows, const float *taps, void *to, long c,
                       long count, int half)
{
    lanes weight[TAPS], v[KERNEL][KERNEL] = {{{0}}};
    UNROLLED
    for (int k = 0; k < TAPS; k++)
        weight[k] = load(taps + k * LANES);
    UNROLLED
    for (int i = 0; i < KERNEL; i++)
        v[i][1] = load_some(rows[i], c, count, half);
    for (long x = 0; x < s->width; x++) {
        long next = (x + 1) * s->channels + c;
        lanes sum = {0};
        UNROLLED
        for (int i = 0; i < KERNEL; i++) {
            v[i][2] = x + 1 < s->width ? load_some(rows[i], next, count, half) : (lanes){0};
            UNROLLED
            for (int j = 0; j < KERNEL; j++)
                sum += v[i][j] * weight[i * KERNEL + j];
            v[i][0] = v[i][1];
            v[i][1] = v[i][2];
        }
        store_some(to, x * s->channels + c, sum, count, half);
    }
}

INLINE void correlate(const shape *s, const void *source, const float *taps, void *target,
                      const void *zeros, int half)
{
    for (long image = 0; image < s->images; image++)
        for (long y = 0; y < s->height; y++) {
            const void *rows[KERNEL];
            rows_of(s, source, zeros, image, y, half, rows);
            long start = (image * s->height + y) * s->width * s->channels, c = 0;
            void *to = (void *)at_number(target, start, half);
            for (; c + LANES <= s->channels; c += LANES)
                target_row(s, rows, taps + c * TAPS, to, c, LANES, half);
            if (c < s->channels)
                target_row(s, rows, taps + c * TAPS, to, c, s->channels - c, half);
        }
}

/* ---- the gradient of the weights ---- */

/* What a row adds to it, for the `count` channels from c on. */
INLINE void row_products(const shape *s, const void *const *rows, const void *dy, float *to, long c,
                         long count, int half)
{
    lanes sum[TAPS], v[KERNEL][KERNEL] = {{{0}}};
    UNROLLED
    for (int k = 0; k < TAPS; k++)
        sum[k] = load(to + k * LANES);
    UNROLLED
    for (int i = 0; i < KERNEL; i++)
        v[i][1] = load_some(rows[i], c, count, half);
    for (long x = 0; x < s->width; x++) {
        long next = (x + 1) * s->channels + c;
        lanes d = load_some(dy, x * s->channels + c, count, half);
        UNROLLED
        for (int i = 0; i < KERNEL; i++) {
            v[i][2] = x + 1 < s->width ? load_some(rows[i], next, count, half) : (lanes){0};
            UNROLLED
            for (int j = 0; j < KERNEL; j++)
                sum[i * KERNEL + j] += v[i][j] * d;
            v[i][0] = v[i][1];
            v[i][1] = v[i][2];
        }
    }
    UNROLLED
    for (int k = 0; k < TAPS; k++)
        store(to + k * LANES, sum[k]);
}

/* Sums are float within an image and double across images. */
INLINE void products(const shape *s, const void *source, const void *dy, const void *zeros,
                     float *sums, double *total, int half)
{
    long count = wide(s) * TAPS;
    for (long image = 0; image < s->images; image++) {
        memset(sums, 0, count * sizeof(float));
        for (long y = 0; y < s->height; y++) {
            const void *rows[KERNEL];
            rows_of(s, source, zeros, image, y, half, rows);
            long start = (image * s->height + y) * s->width * s->channels, c = 0;
            const void *d = at_number(dy, start, half);
            for (; c + LANES <= s->channels; c += LANES)
                row_products(s, rows, d, sums + c * TAPS, c, LANES, half);
            if (c < s->channels)
                row_products(s, rows, d, sums + c * TAPS, c, s->channels - c, half);
        }
        for (long k = 0; k < count; k++)
            total[k] += sums[k];
    }
}

/* ---- what is called ---- */

/* Where in (channels / LANES, 9, LANES) tap k of channel c is. */
static long place(long c, long k) { return c / LANES * LANES * TAPS + k * LANES + c % LANES; }

/* The target of a source; or, `turned`, the gradient of a source from that of its target. 1: no
 * memory. */
int depthwise_correlate(const void *source, const float *weights, void *target, const shape *s,
                        int turned)
{
    float *taps = calloc(wide(s) * TAPS, sizeof(float));
    float *zeros = calloc(s->width * s->channels, sizeof(float));
    int failed = !taps || !zeros;
    if (!failed) {
        for (long c = 0; c < s->channels; c++)
            for (long k = 0; k < TAPS; k++)
                taps[place(c, turned ? TAPS - 1 - k : k)] = *weights++;
        if (s->half)
            correlate(s, source, taps, target, zeros, 1);
        else
            correlate(s, source, taps, target, zeros, 0);
    }
    free(taps);
    free(zeros);
    return failed;
}

/* The gradient of the weights (C, 3, 3). 1: no memory. */
int depthwise_products(const void *source, const void *dy, float *gradient, const shape *s)
{
    double *total = calloc(wide(s) * TAPS, sizeof(double));
    float *sums = malloc(wide(s) * TAPS * sizeof(float));
    float *zeros = calloc(s->width * s->channels, sizeof(float));
    int failed = !total || !sums || !zeros;
    if (!failed) {
        if (s->half)
            products(s, source, dy, zeros, sums, total, 1);
        else
            products(s, source, dy, zeros, sums, total, 0);
        for (long c = 0; c < s->channels; c++)
            for (long k = 0; k < TAPS; k++)
                *gradient++ = total[place(c, k)];
    }
    free(total);
    free(sums);
    free(zeros);
    return failed;
}

/* Lanes of a vector; channels need not be a multiple. */
int depthwise_lanes(void) { return LANES; }
