/* Batch normalisation in training, with what follows it: y = relu((x - mean) * scale + bias + r).
 *
 * Activations are rows of channels (channels_last), float or bfloat16; what belongs to a channel is
 * float. Source: Ioffe and Szegedy, arXiv 1502.03167.
 *
 * A vector has up to 16 lanes and there may be 8 or 3 channels, so several rows are taken as one
 * wide row, a whole number of vectors, along which what belongs to a channel is repeated. A wide
 * row is cut into strips, one if that is short enough, whose constants and sums stay in registers
 * while a strip walks down a block of rows. The last rows, too few for a wide one, are its
 * beginning.
 *
 * Sums are float within a block and double across blocks. Those of the statistics are of
 * differences to the mean of a few rows, so a mean far above the deviation costs no digits.
 * Whatever is infinite or not a number goes through, the ReLU included.
 */

#include <math.h>
#include <stdlib.h>

#include "lanes.h"

enum {
    STRIP = 16,    /* vectors of a strip, at most */
    BLOCK = 32768, /* values of a block */
    SAMPLES = 32,  /* rows that tell where the mean may be */
};

typedef double doubles __attribute__((vector_size(8 * LANES)));

#define EACH_VECTOR(j) _Pragma("GCC unroll 8") for (int j = 0; j < t.vectors; j++)

/* ---- vectors ---- */

/* v, and 0 where not. */
INLINE lanes keep(lanes v, mask where)
{
#ifdef __AVX512F__ /* or the compiler loads v under the mask, which then waits for the mask */
    __asm__("" : "+v"(v));
#endif
    return (lanes)((mask)v & where);
}

/* The first `count` lanes of v; the others 0. */
INLINE lanes first(lanes v, int count)
{
    for (int l = count; l < LANES; l++)
        v[l] = 0;
    return v;
}

INLINE void add(double *to, lanes v)
{
    doubles sums;
    memcpy(&sums, to, sizeof sums);
    sums += __builtin_convertvector(v, doubles);
    memcpy(to, &sums, sizeof sums);
}

/* ---- a call ---- */

typedef struct {
    long channels, rows;
    long width;                /* values of a wide row: a multiple of LANES and of channels */
    long wide;                 /* whole wide rows */
    int strip;                 /* vectors of a strip */
    const void *x, *residual;  /* read forward */
    const void *y, *dy;        /* read backward; y only with a residual */
    void *to, *masked;         /* written: y or dx, and the residual's gradient */
    float *centre;             /* width; a guess at the mean, then the mean */
    float *scale, *bias;       /* width */
    float *slope, *constant;   /* width; dx = dy * scale + (x - mean) * slope + constant */
    double *sum, *product;     /* width */
} call;

/* What is compiled by itself. */
typedef struct {
    enum { MOMENTS, NORMALISE, REDUCE, GRADIENT } step;
    int half, relu, residual;
} kind;

/* One strip of one block: wide rows of `vectors` vectors, the last `count` lanes long. */
typedef struct {
    long start, stride, rows, column;
    int vectors, count;
} tile;

/* Sum and sum of squares of x - centre, which is only near the mean. */
INLINE void moments(const call *a, tile t, kind k)
{
    lanes centre[STRIP], sum[STRIP] = {0}, square[STRIP] = {0};
    EACH_VECTOR(j)
        centre[j] = load_some(a->centre, t.column + j * LANES, LANES, 0);
    for (long r = 0, i = t.start; r < t.rows; r++, i += t.stride)
        EACH_VECTOR(j) {
            lanes d = load_some(a->x, i + j * LANES, t.count, k.half) - centre[j];
            d = first(d, t.count);
            sum[j] += d;
            square[j] += d * d;
        }
    EACH_VECTOR(j) {
        add(a->sum + t.column + j * LANES, sum[j]);
        add(a->product + t.column + j * LANES, square[j]);
    }
}

/* y = relu((x - mean) * scale + bias + residual). */
INLINE void normalise(const call *a, tile t, kind k)
{
    lanes mean[STRIP], scale[STRIP], bias[STRIP];
    EACH_VECTOR(j) {
        mean[j] = load_some(a->centre, t.column + j * LANES, LANES, 0);
        scale[j] = load_some(a->scale, t.column + j * LANES, LANES, 0);
        bias[j] = load_some(a->bias, t.column + j * LANES, LANES, 0);
    }
    for (long r = 0, i = t.start; r < t.rows; r++, i += t.stride)
        EACH_VECTOR(j) {
            lanes v = load_some(a->x, i + j * LANES, t.count, k.half) - mean[j];
            v = v * scale[j] + bias[j];
            if (k.residual)
                v += load_some(a->residual, i + j * LANES, t.count, k.half);
            if (k.relu)
                v = keep(v, ~(v < 0));
            store_some(a->to, i + j * LANES, v, t.count, k.half);
        }
}

/* Sum of the masked dy, and of its product with x - mean; with a residual also that dy itself. */
INLINE void reduce(const call *a, tile t, kind k)
{
    lanes mean[STRIP], scale[STRIP], bias[STRIP], sum[STRIP] = {0}, product[STRIP] = {0};
    EACH_VECTOR(j) {
        mean[j] = load_some(a->centre, t.column + j * LANES, LANES, 0);
        scale[j] = load_some(a->scale, t.column + j * LANES, LANES, 0);
        bias[j] = load_some(a->bias, t.column + j * LANES, LANES, 0);
    }
    for (long r = 0, i = t.start; r < t.rows; r++, i += t.stride)
        EACH_VECTOR(j) {
            lanes g = load_some(a->dy, i + j * LANES, t.count, k.half);
            lanes d = load_some(a->x, i + j * LANES, t.count, k.half) - mean[j];
            if (k.residual) {
                g = keep(g, ~(load_some(a->y, i + j * LANES, t.count, k.half) <= 0));
                store_some(a->masked, i + j * LANES, g, t.count, k.half);
            } else if (k.relu) {
                g = keep(g, ~(d * scale[j] + bias[j] <= 0));
            }
            sum[j] += g;
            product[j] += g * d;
        }
    EACH_VECTOR(j) {
        add(a->sum + t.column + j * LANES, sum[j]);
        add(a->product + t.column + j * LANES, product[j]);
    }
}

/* dx from the masked dy, or, without a residual, from dy and its mask. */
INLINE void gradient(const call *a, tile t, kind k)
{
    lanes mean[STRIP], scale[STRIP], bias[STRIP], slope[STRIP], constant[STRIP];
    EACH_VECTOR(j) {
        mean[j] = load_some(a->centre, t.column + j * LANES, LANES, 0);
        scale[j] = load_some(a->scale, t.column + j * LANES, LANES, 0);
        bias[j] = load_some(a->bias, t.column + j * LANES, LANES, 0);
        slope[j] = load_some(a->slope, t.column + j * LANES, LANES, 0);
        constant[j] = load_some(a->constant, t.column + j * LANES, LANES, 0);
    }
    const void *dy = k.residual ? a->masked : a->dy;
    for (long r = 0, i = t.start; r < t.rows; r++, i += t.stride)
        EACH_VECTOR(j) {
            lanes g = load_some(dy, i + j * LANES, t.count, k.half);
            lanes d = load_some(a->x, i + j * LANES, t.count, k.half) - mean[j];
            if (k.relu && !k.residual)
                g = keep(g, ~(d * scale[j] + bias[j] <= 0));
            lanes dx = g * scale[j] + (d * slope[j] + constant[j]);
            store_some(a->to, i + j * LANES, dx, t.count, k.half);
        }
}

INLINE void work(const call *a, tile t, kind k)
{
    switch (k.step) {
    case MOMENTS: moments(a, t, k); break;
    case NORMALISE: normalise(a, t, k); break;
    case REDUCE: reduce(a, t, k); break;
    case GRADIENT: gradient(a, t, k); break;
    }
}

/* A block of whole wide rows, in strips that divide the width. */
INLINE void block(const call *a, long start, long rows, int vectors, kind k)
{
    for (long c = 0; c < a->width; c += vectors * LANES)
        work(a, (tile){start + c, a->width, rows, c, vectors, LANES}, k);
}

/* One pass over the tensor. */
INLINE void pass(const call *a, kind k)
{
    long most = a->width < BLOCK ? BLOCK / a->width : 1;
    for (long row = 0; row < a->wide; row += most) {
        long rows = a->wide - row < most ? a->wide - row : most;
        switch (a->strip) {
        case 8: block(a, row * a->width, rows, 8, k); break;
        case 6: block(a, row * a->width, rows, 6, k); break;
        case 4: block(a, row * a->width, rows, 4, k); break;
        default: block(a, row * a->width, rows, a->strip, k); break;
        }
    }
    long c = 0, start = a->wide * a->width, rest = a->rows * a->channels - start;
    for (; c + LANES <= rest; c += LANES)
        work(a, (tile){start + c, 0, 1, c, 1, LANES}, k);
    if (c < rest)
        work(a, (tile){start + c, 0, 1, c, 1, (int)(rest - c)}, k);
}

/* The pass of a kind that is known only now. */
#define RUN(a, STEP, half, relu, residual)                                                         \
    (half) ? pass(a, (kind){STEP, 1, relu, residual}) : pass(a, (kind){STEP, 0, relu, residual})

/* ---- what belongs to a channel ---- */

/* Vectors of the strips that a wide row falls into: the whole of it, if it can be. */
static int strip_of(long width)
{
    int vectors = STRIP;
    while (width % (vectors * LANES))
        vectors--;
    return vectors;
}

static int prepare(call *a, long rows, long channels)
{
    long width = channels;
    while (width % LANES || width < 4 * LANES)
        width *= 2;
    char *memory = calloc(width, 2 * sizeof(double) + 5 * sizeof(float));
    if (!memory)
        return 0;
    a->rows = rows, a->channels = channels;
    a->width = width, a->wide = rows * channels / width, a->strip = strip_of(width);
    a->sum = (double *)memory, a->product = a->sum + width;
    a->centre = (float *)(a->product + width), a->scale = a->centre + width;
    a->bias = a->scale + width, a->slope = a->bias + width, a->constant = a->slope + width;
    return 1;
}

static void finish(call *a) { free(a->sum); }

/* Repeats what stands for the first row along the wide row. */
static void repeat(const call *a, float *values)
{
    for (long i = a->channels; i < a->width; i++)
        values[i] = values[i - a->channels];
}

/* A number near the mean of each channel: the mean of some rows, of which one may be far off. */
static void guess(const call *a, int half)
{
    long step = a->rows < SAMPLES ? 1 : a->rows / SAMPLES, taken = (a->rows + step - 1) / step;
    for (long i = 0; i < a->rows * a->channels; i += step * a->channels)
        for (long c = 0; c < a->channels; c++)
            a->centre[c] += load_some(a->x, i + c, 1, half)[0];
    for (long c = 0; c < a->channels; c++)
        a->centre[c] /= taken;
    repeat(a, a->centre);
}

static double total(const call *a, const double *sums, long channel)
{
    double whole = 0;
    for (long i = channel; i < a->width; i += a->channels)
        whole += sums[i];
    return whole;
}

/* Mean, 1 / deviation, scale and bias of each channel, in this order, are what backward needs. */
static void statistics(call *a, const float *weight, const float *bias, float *running_mean,
                       float *running_var, double momentum, double eps, float *saved)
{
    double n = a->rows;
    for (long c = 0; c < a->channels; c++) {
        double shift = total(a, a->sum, c) / n;
        double var = total(a, a->product, c) / n - shift * shift;
        double mean = a->centre[c] + shift;
        var = var < 0 ? 0 : var;
        double inverse = 1 / sqrt(var + eps);
        running_mean[c] = (1 - momentum) * running_mean[c] + momentum * mean;
        running_var[c] = (1 - momentum) * running_var[c] + momentum * var * n / (n - 1);
        a->centre[c] = saved[c] = mean;
        saved[a->channels + c] = inverse;
        a->scale[c] = saved[2 * a->channels + c] = weight[c] * inverse;
        a->bias[c] = saved[3 * a->channels + c] = bias[c];
    }
    repeat(a, a->centre), repeat(a, a->scale), repeat(a, a->bias);
}

static void recall(call *a, const float *saved)
{
    memcpy(a->centre, saved, sizeof(float) * a->channels);
    memcpy(a->scale, saved + 2 * a->channels, sizeof(float) * a->channels);
    memcpy(a->bias, saved + 3 * a->channels, sizeof(float) * a->channels);
    repeat(a, a->centre), repeat(a, a->scale), repeat(a, a->bias);
}

/* Gradients of weight and bias, and the line that dx has in x. */
static void slopes(call *a, const float *saved, float *dweight, float *dbias)
{
    double n = a->rows;
    for (long c = 0; c < a->channels; c++) {
        double sum = total(a, a->sum, c), product = total(a, a->product, c);
        double inverse = saved[a->channels + c], scale = a->scale[c];
        dweight[c] = product * inverse;
        dbias[c] = sum;
        a->slope[c] = -scale * inverse * inverse * product / n;
        a->constant[c] = -scale * sum / n;
    }
    repeat(a, a->slope), repeat(a, a->constant);
}

/* ---- entry points: 0, or -1 where memory is short ---- */

/* y = relu(bn(x) + residual); without a residual (NULL) also without the ReLU.
 * x, residual, y: (rows, channels); saved: (4, channels), written; the others: (channels). */
int norm_forward(const void *x, const void *residual, const float *weight, const float *bias,
                 float *running_mean, float *running_var, void *y, float *saved,
                 int64_t *batches, long rows, long channels, double momentum, double eps, int half,
                 int relu)
{
    call a = {.x = x, .residual = residual, .to = y};
    if (!prepare(&a, rows, channels))
        return -1;
    guess(&a, half);
    RUN(&a, MOMENTS, half, 0, 0);
    statistics(&a, weight, bias, running_mean, running_var, momentum, eps, saved);
    ++*batches;
    if (residual)
        RUN(&a, NORMALISE, half, 1, 1);
    else if (relu)
        RUN(&a, NORMALISE, half, 1, 0);
    else
        RUN(&a, NORMALISE, half, 0, 0);
    finish(&a);
    return 0;
}

/* Gradients of what norm_forward computed; y and masked, the residual's gradient, are NULL where
 * there was none. */
int norm_backward(const void *dy, const void *x, const void *y, const float *saved, void *dx,
                  void *masked, float *dweight, float *dbias, long rows, long channels, int half,
                  int relu)
{
    call a = {.x = x, .y = y, .dy = dy, .to = dx, .masked = masked};
    if (!prepare(&a, rows, channels))
        return -1;
    recall(&a, saved);
    if (masked)
        RUN(&a, REDUCE, half, 1, 1);
    else if (relu)
        RUN(&a, REDUCE, half, 1, 0);
    else
        RUN(&a, REDUCE, half, 0, 0);
    slopes(&a, saved, dweight, dbias);
    if (masked)
        RUN(&a, GRADIENT, half, 1, 1);
    else if (relu)
        RUN(&a, GRADIENT, half, 1, 0);
    else
        RUN(&a, GRADIENT, half, 0, 0);
    finish(&a);
    return 0;
}
