/* The matrix multiplier of a CPU (Intel's AMX): eight registers of 16 rows of 64 bytes, or for CPUs
 * without it the same in plain C, to be tested and not to be fast.
 *
 * A tile of sums is 16 × 16 floats; of a left factor 16 rows of 32 bfloat16; of a right factor 16
 * rows of 16 pairs, that is rows 2r and 2r + 1 of a matrix of 32 × 16 with their columns in turn.
 */

#ifndef TILES_H
#define TILES_H

#undef LANES
#define LANES 16 /* a row of a tile */
#include "lanes.h"

enum {
    SIDE = 16,   /* rows of a tile, and columns of sums */
    DEPTH = 32,  /* columns of a left factor */
    AREA = SIDE * DEPTH, /* numbers of a factor */
    SUMS = SIDE * SIDE,
};

#ifdef __AMX_BF16__

#include <sys/syscall.h>
#include <unistd.h>

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} configuration;

/* What the tiles were configured for, to be given back: torch's own kernels ask rarely. */
INLINE configuration configure(void)
{
    configuration before, mine = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        mine.bytes[t] = 64;
        mine.rows[t] = SIDE;
    }
    _tile_storeconfig(&before);
    _tile_loadconfig(&mine);
    return before;
}

INLINE void restore(const configuration *before)
{
    if (before->palette)
        _tile_loadconfig(before);
    else
        _tile_release();
}

/* Whether the system lets this process use tiles: Linux wants to be asked. */
INLINE int permitted(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

/* Compilers do not know that a tile is read from memory: what is to be in it must be there. */
#define WRITTEN() __asm__ volatile("" ::: "memory")

#define TILE_ZERO(tile) _tile_zero(tile)
#define TILE_LOAD(tile, from, pitch) _tile_loadd(tile, from, pitch) /* pitch: bytes to a next row */
#define TILE_STORE(tile, to, pitch) _tile_stored(tile, to, pitch)
#define TILE_MULTIPLY(sums, left, right) _tile_dpbf16ps(sums, left, right)

#else

typedef union {
    float sums[SIDE][SIDE];
    uint16_t factors[SIDE][DEPTH];
    char rows[SIDE][64];
} tile;

static _Thread_local tile registers[8];

typedef int configuration;
INLINE configuration configure(void) { return 0; }
INLINE void restore(const configuration *before) { (void)before; }
INLINE int permitted(void) { return 1; }

static float number(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static void tile_load(tile *t, const char *from, long pitch)
{
    for (int r = 0; r < SIDE; r++)
        memcpy(t->rows[r], from + r * pitch, sizeof t->rows[r]);
}

static void tile_store(const tile *t, char *to, long pitch)
{
    for (int r = 0; r < SIDE; r++)
        memcpy(to + r * pitch, t->rows[r], sizeof t->rows[r]);
}

static void tile_multiply(tile *to, const tile *left, const tile *right)
{
    for (int r = 0; r < SIDE; r++)
        for (int k = 0; k < DEPTH; k++)
            for (int c = 0; c < SIDE; c++)
                to->sums[r][c] += number(left->factors[r][k]) *
                                  number(right->factors[k / 2][2 * c + k % 2]);
}

#define WRITTEN()
#define TILE_ZERO(t) memset(&registers[t], 0, sizeof registers[t])
#define TILE_LOAD(t, from, pitch) tile_load(&registers[t], (const char *)(from), pitch)
#define TILE_STORE(t, to, pitch) tile_store(&registers[t], (char *)(to), pitch)
#define TILE_MULTIPLY(to, left, right) \
    tile_multiply(&registers[to], &registers[left], &registers[right])

#endif

#endif
