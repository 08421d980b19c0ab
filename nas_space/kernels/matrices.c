/* Convolutions of bfloat16, dense or in groups, by the matrix multiplier of a CPU.
 *
 * Activations are rows of channels (channels_last) and bfloat16; weights (groups * to, side, side,
 * from) float, and rounded. Sums are float.
 *
 * Maps are laid out as positions, some images at a time. 16 of these by 32 of the numbers that a
 * row of the kernel takes there are a tile, wherever maps begin and end; what is found for
 * positions between maps is nobody's.
 *
 * The gradient of the source is the same with the taps turned round, for each of its planes by
 * itself if there is a stride. That of the weights is in ``products.h``.
 *
 * Narrow groups are computed some together, a block, with zeros where they do not meet: a tile is
 * 16 channels wide all the same.
 */

#include "positions.h"
#include "products.h"

/* ---- weights ---- */

/* Weights of a block as those of a dense convolution (rows, side, side, columns). */
typedef struct {
    long rows, columns;             /* channels of a block, */
    long group_rows, group_columns; /* and of a group */
    long taps;
} block;

static block block_of(const shape *s, const plan *p, int turned)
{
    long taps = s->side * s->side;
    return turned ? (block){p->from, p->to, s->from, s->to, taps}
                  : (block){p->to, p->from, s->to, s->from, taps};
}

/* Where in a dense block row r at tap k is not zero. */
static float *diagonal(const block *b, float *dense, long r, long k)
{
    return dense + (r * b->taps + k) * b->columns + r / b->group_rows * b->group_columns;
}

/* Rows of block number n, of so many in all blocks: the last may be cut short. */
static long rows_of(const block *b, long n, long all) { return least(b->rows, all - n * b->rows); }

/* Weights of groups (all, side, side, group_columns) as those of a dense block, from number n. */
static void widen_groups(const block *b, long n, long all, const float *weights, float *dense)
{
    memset(dense, 0, b->rows * b->taps * b->columns * sizeof *dense);
    weights += n * b->rows * b->taps * b->group_columns;
    for (long r = 0; r < rows_of(b, n, all); r++)
        for (long k = 0; k < b->taps; k++, weights += b->group_columns)
            memcpy(diagonal(b, dense, r, k), weights, b->group_columns * sizeof *dense);
}

/* And back. */
static void narrow_groups(const block *b, long n, long all, float *dense, float *weights)
{
    weights += n * b->rows * b->taps * b->group_columns;
    for (long r = 0; r < rows_of(b, n, all); r++)
        for (long k = 0; k < b->taps; k++, weights += b->group_columns)
            memcpy(weights, diagonal(b, dense, r, k), b->group_columns * sizeof *dense);
}

/* 16 bfloat16 in words of their own. */
INLINE words bits(lanes v) { return __builtin_convertvector(narrow(v), words); }

/* What is computed at once: strokes of the kernel, with their right factors by blocks, 16 target
 * channels, strokes and slices; and of which plane, if it is the gradient of a source. */
typedef struct {
    stroke *strokes;
    long count, y, x;
    long apart; /* numbers of the factors of 16 channels */
    uint16_t *tiles;
} pass;

/* 32 numbers that a stroke takes by 16 target channels, from weights (to, side, side, from). */
static void right_factor(const float *weights, const shape *s, const plan *p, const stroke *k,
                         long slice, long target, uint16_t *tile)
{
    lanes pairs[SIDE];
    for (long c = 0; c < SIDE; c++) {
        float line[DEPTH] = {0};
        const float *from = weights + (target + c) * s->side * s->side * p->from;
        long n = slice * DEPTH, end = least(n + DEPTH, k->count * p->from);
        for (long done = 0, some; n < end && target + c < p->to; n += some, done += some) {
            /* Taps that are neighbours among the weights, too, are one run. */
            long run = k->next == 1 ? end - n : p->from - n % p->from;
            some = least(run, end - n);
            memcpy(line + done,
                   from + (k->first + n / p->from * k->next) * p->from + n % p->from,
                   some * sizeof *line);
        }
        halves both[2] = {narrow(load(line)), narrow(load(line + LANES))};
        memcpy(&pairs[c], both, sizeof both);
    }
    turn(pairs);
    memcpy(tile, pairs, sizeof pairs);
}

/* Likewise from weights (from, side, side, to), for the gradient of a source. */
static void turned_factor(const float *weights, const shape *s, const plan *p, const stroke *k,
                          long slice, long target, uint16_t *tile)
{
    for (long r = 0; r < SIDE; r++) {
        words pair = {0};
        for (long n = slice * DEPTH + 2 * r, second = 0; second < 2; n++, second++) {
            long tap = n / p->from, source = n % p->from;
            if (tap >= k->count)
                continue;
            long line = source * s->side * s->side + k->first + tap * k->next;
            words half = bits(load_some(weights, line * p->to + target, p->to - target, 0));
            pair |= half << 16 * second;
        }
        memcpy(tile + r * DEPTH, &pair, sizeof pair);
    }
}

static void prepare(const float *weights, const shape *s, const plan *p, float *dense, int turned,
                    const pass *now)
{
    block b = block_of(s, p, turned);
    uint16_t *tiles = now->tiles;
    for (long number = 0; number < p->blocks; number++) {
        const float *these = weights;
        if (s->groups > 1) {
            these = dense;
            widen_groups(&b, number, s->groups * b.group_rows, weights, dense);
        }
        for (long target = 0; target < p->to; target += SIDE)
            for (const stroke *k = now->strokes; k < now->strokes + now->count; k++)
                for (long slice = 0; slice < k->slices; slice++, tiles += AREA)
                    (turned ? turned_factor : right_factor)(these, s, p, k, slice, target, tiles);
    }
}

/* ---- the target ---- */

INLINE void empty_sums(void)
{
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
}

/* Sums of 64 positions by 16 channels, or of 32 by 32. */
static void sum_tall(const uint16_t *cells, const uint16_t *tiles, const plan *p, const pass *now,
                     float *sums)
{
    long pitch = p->from * sizeof *cells, on = SIDE * p->from;
    empty_sums();
    for (const stroke *k = now->strokes; k < now->strokes + now->count; k++) {
        const uint16_t *left = cells + (k->plane * p->laid + k->at) * p->from;
        for (long slice = 0; slice < k->slices; slice++, left += DEPTH, tiles += AREA) {
            TILE_LOAD(7, tiles, LINE);
            TILE_LOAD(4, left, pitch);
            TILE_MULTIPLY(0, 4, 7);
            TILE_LOAD(5, left + on, pitch);
            TILE_MULTIPLY(1, 5, 7);
            TILE_LOAD(6, left + 2 * on, pitch);
            TILE_MULTIPLY(2, 6, 7);
            TILE_LOAD(4, left + 3 * on, pitch);
            TILE_MULTIPLY(3, 4, 7);
        }
    }
    TILE_STORE(0, sums, LINE);
    TILE_STORE(1, sums + SUMS, LINE);
    TILE_STORE(2, sums + 2 * SUMS, LINE);
    TILE_STORE(3, sums + 3 * SUMS, LINE);
}

static void sum_square(const uint16_t *cells, const uint16_t *tiles, const plan *p, const pass *now,
                       float *sums)
{
    long pitch = p->from * sizeof *cells, on = SIDE * p->from;
    const uint16_t *others = tiles + now->apart;
    empty_sums();
    for (const stroke *k = now->strokes; k < now->strokes + now->count; k++) {
        const uint16_t *left = cells + (k->plane * p->laid + k->at) * p->from;
        for (long slice = 0; slice < k->slices; slice++, left += DEPTH) {
            TILE_LOAD(6, tiles, LINE);
            TILE_LOAD(4, left, pitch);
            TILE_MULTIPLY(0, 4, 6);
            TILE_LOAD(7, others, LINE);
            TILE_MULTIPLY(1, 4, 7);
            TILE_LOAD(5, left + on, pitch);
            TILE_MULTIPLY(2, 5, 6);
            TILE_MULTIPLY(3, 5, 7);
            tiles += AREA;
            others += AREA;
        }
    }
    TILE_STORE(0, sums, 2 * LINE);
    TILE_STORE(1, sums + SIDE, 2 * LINE);
    TILE_STORE(2, sums + 2 * SUMS, 2 * LINE);
    TILE_STORE(3, sums + 2 * SUMS + SIDE, 2 * LINE);
}

/* Where sums go: channels of every step-th pixel of every step-th row. */
typedef struct {
    uint16_t *numbers;
    long height, width, channels;
    long step;
    long images;
} goal;

INLINE void put(const float *sums, long width, long pixels, long channels, long on, uint16_t *to)
{
    for (long i = 0; i < pixels; i++, to += on)
        for (long c = 0; c < channels; c += LANES)
            store_some(to, c, load(sums + i * width + c), channels - c, 1);
}

/* Sums of some positions, `width` of them for each, to the pixels that they are of. */
static void deliver(const float *sums, long width, long position, long count, const plan *p,
                    const pass *now, const goal *g, long channel, long channels)
{
    long down = p->image / p->across, on = g->step * g->channels;
    while (count > 0) {
        long line = position / p->across, x = position % p->across;
        long n = line / down, y = line % down * g->step + now->y;
        if (n >= g->images)
            return;
        long run = least(count, p->across - x);
        if (y < g->height) {
            long at = (n * g->height + y) * g->width + x * g->step + now->x;
            uint16_t *to = g->numbers + at * g->channels + channel;
            long pixels = least(run, whole(g->width - now->x, g->step) - x);
            if (channels == SIDE)
                put(sums, width, pixels, SIDE, on, to);
            else if (channels == 2 * SIDE)
                put(sums, width, pixels, 2 * SIDE, on, to);
            else
                put(sums, width, pixels, channels, on, to);
        }
        sums += run * width;
        position += run;
        count -= run;
    }
}

/* Target channels of a block, of some images that are laid out. */
static void correlate_block(const uint16_t *cells, const plan *p, const pass *now, long number,
                            const goal *g)
{
    float sums[STRIP * SIDE] __attribute__((aligned(64)));
    long first = number * p->to, wide = least(p->to, g->channels - first);
    const uint16_t *tiles = now->tiles + number * whole(p->to, SIDE) * now->apart;
    for (long position = 0; position < g->images * p->image; position += STRIP)
        for (long c = 0; c < wide; c += 2 * SIDE) {
            const uint16_t *left = cells + position * p->from;
            const uint16_t *right = tiles + c / SIDE * now->apart;
            if (wide - c <= SIDE) {
                sum_tall(left, right, p, now, sums);
                deliver(sums, SIDE, position, STRIP, p, now, g, first + c, wide - c);
                continue;
            }
            for (long half = 0; half < STRIP; half += STRIP / 2) {
                sum_square(left + half * p->from, right, p, now, sums);
                deliver(sums, 2 * SIDE, position + half, STRIP / 2, p, now, g, first + c,
                        least(wide - c, 2 * SIDE));
            }
        }
}

/* ---- what is called ---- */

/* The pass for plane (y, x), ready to be used. Returns whether there was memory. */
static int begin(pass *now, const float *weights, const shape *s, const plan *p, int turned, long y,
                 long x, float *dense)
{
    *now = (pass){.strokes = room(s->side * s->side, sizeof *now->strokes), .y = y, .x = x};
    if (!now->strokes)
        return 0;
    now->count = strokes_of(s, p, y, x, turned, now->strokes);
    for (long k = 0; k < now->count; k++)
        now->apart += now->strokes[k].slices * AREA;
    now->tiles = room(p->blocks * whole(p->to, SIDE) * now->apart + 1, sizeof *now->tiles);
    if (!now->tiles)
        return 0;
    prepare(weights, s, p, dense, turned, now);
    return 1;
}

static void end(pass *now)
{
    free(now->strokes);
    free(now->tiles);
}

/* The target of a source; or with `turned` weights, which are then (groups * from, side, side, to),
 * the gradient of a source from that of its target. 1: no memory. */
int matrices_correlate(const uint16_t *source, const float *weights, uint16_t *target,
                       const shape *s, int turned)
{
    plan p = plan_of(s);
    maps from = {source, s->height, s->width, s->groups * s->from};
    goal to = {target, s->rows, s->columns, s->groups * s->to, .step = s->spread};
    long count = s->spread * s->spread, image = s->rows * s->columns * to.channels;
    pass *passes = room(count, sizeof *passes);
    uint16_t *cells = room(p.planes * p.laid * p.from, sizeof *cells);
    float *dense = room(p.from * p.to * s->side * s->side, sizeof *dense);
    int failed = !passes || !cells || !dense;
    for (long k = 0; k < count && !failed; k++)
        failed = !begin(&passes[k], weights, s, &p, turned, k / s->spread, k % s->spread, dense);
    configuration before = configure();
    for (long first = 0; first < s->images && !failed; first += p.some) {
        to.images = least(p.some, s->images - first);
        to.numbers = target + first * image;
        /* A strip may end behind the last image. */
        int as_is = p.as_is && (s->images - first - to.images) * p.image >= STRIP + DEPTH;
        const uint16_t *at = as_is ? source + first * p.image * from.channels : cells;
        for (long b = 0; b < p.blocks; b++) {
            if (!as_is)
                lay_planes(&from, s, b * p.from, first, to.images, &p, cells);
            WRITTEN();
            for (long k = 0; k < count; k++)
                correlate_block(at, &p, &passes[k], b, &to);
        }
    }
    restore(&before);
    for (long k = 0; k < count && passes; k++)
        end(&passes[k]);
    free(passes);
    free(cells);
    free(dense);
    return failed;
}

/* The gradient of the weights (groups * to, side, side, from). */
int matrices_products(const uint16_t *source, const uint16_t *dy, float *gradient, const shape *s)
{
    plan p = plan_of(s);
    maps from = {source, s->height, s->width, s->groups * s->from};
    maps to = {dy, s->rows, s->columns, s->groups * s->to};
    long height = whole(p.to, SIDE), width = whole(p.from, SIDE);
    long each = s->side * s->side * height * width * SUMS;
    uint16_t *cells = room(p.planes * p.laid * p.from, sizeof *cells);
    uint16_t *ends = room(p.laid * p.to, sizeof *ends);
    /* An odd number of lines, or channels would meet in one set of the cache. */
    factors f = {.pitch = (p.laid / DEPTH | 1) * DEPTH, .copies = s->side > 1 ? 2 : 1};
    f.plane = f.copies * width * SIDE * p.laid;
    f.left = room(height * SIDE * f.pitch, sizeof *f.left);
    f.right = room(p.planes * f.plane, sizeof *f.right);
    float *sums = room(p.blocks * each, sizeof *sums);
    float *dense = room(p.from * p.to * s->side * s->side, sizeof *dense);
    int failed = !cells || !ends || !f.left || !f.right || !sums || !dense;
    configuration before = configure();
    for (long first = 0; first < s->images && !failed; first += p.some) {
        long count = least(p.some, s->images - first);
        long filled = whole(count * p.image, DEPTH) * DEPTH;
        int as_is = p.as_is && filled == count * p.image;
        const uint16_t *x = as_is ? source + first * p.image * p.from : cells;
        f.reach = filled + 2 * p.lead;
        for (long b = 0; b < p.blocks; b++) {
            if (!as_is) {
                lay_planes(&from, s, b * p.from, first, count, &p, cells);
                lay(&to, 0, 0, 1, b * p.to, p.to, first, count, &p, ends);
                memset(ends + count * p.image * p.to, 0, DEPTH * p.to * sizeof *ends);
            }
            for (long plane = 0; plane < p.planes; plane++)
                pair_up(x + plane * p.laid * p.from, p.from, &f, f.right + plane * f.plane);
            turn_round(as_is ? dy + first * p.image * p.to : ends, p.to, filled, &f);
            f.sums = sums + b * each;
            WRITTEN();
            for (long o = 0; o < height; o += 2)
                for (long i = 0; i < width; i += 2)
                    add_channels(&f, o, i, filled, s, &p);
        }
    }
    restore(&before);
    block b = block_of(s, &p, 0);
    for (long number = 0; number < p.blocks && !failed; number++) {
        gather(sums + number * each, s, &p, s->groups > 1 ? dense : gradient);
        if (s->groups > 1)
            narrow_groups(&b, number, s->groups * s->to, dense, gradient);
    }
    free(cells);
    free(ends);
    free(f.left);
    free(f.right);
    free(sums);
    free(dense);
    return failed;
}

/* Columns of a tile: channels that are no multiple take as long as the next. 0: not permitted. */
int matrices_lanes(void) { return permitted() ? SIDE : 0; }
