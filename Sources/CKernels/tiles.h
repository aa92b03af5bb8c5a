// The GEMM in the tiles of AMX: sums of 16 rows × 16 columns, 64 bytes of k a step. The operands and weights are those
// of gemm.h. In int8 the sums are exact, so the bits are those of gemm.h. In bf16 the even and the odd numbers of a
// step are summed separately and then added to the total. This is a fixed sequence, too, but gives other bits than
// gemm.h.
//
// The functions from the outside in: `tiled_gemm` takes up to GLOSS_TILED_ROWS rows and GROUP_PANELS panels at a time.
// `tiled_rows` goes through k in blocks, and in each block through panels and pairs of tiles. `tile_block` sums a
// block of 16 or 32 rows × 32 columns, a step at a time (`tile_step`). `finish` of gemm.h writes the output.
//
// AMX has eight tiles. Tiles 0 to 3 hold sums, 4 and 5 rows of the operand, 6 and 7 columns of the weights. Three
// macros use them by AMX's instructions, or without AMX as eight arrays in `t`:
//   TILE_LOAD(i, p, stride), TILE_STORE(i, p, stride)   16 rows of 64 bytes, `stride` bytes apart
//   TILE_MULTIPLY(c, a, b)                              tile c += tile a · tile b, in int8 or bf16 by `arithmetic`
#include <stdlib.h>

// The sizes of a tile and of a step. BLOCK_STEPS steps of k and GROUP_PANELS panels at a time stay in the caches.
enum { TILE = 16, STEP = 64, BLOCK_STEPS = 32, GROUP_PANELS = 4, PANEL_STEP = TILE * 4 * GLOSS_PANEL };

#if defined(AMX)
typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;
typedef struct { char none; } tile_registers;
INLINE void begin_tiles(void) {
    tile_shapes shapes = {.palette = 1};
    for (int i = 0; i < 8; i++) shapes.rows[i] = TILE, shapes.row_bytes[i] = STEP;
    _tile_loadconfig(&shapes);
}
INLINE void end_tiles(void) { _tile_release(); }
#define TILE_LOAD(i, p, stride) _tile_loadd(i, p, stride)
#define TILE_STORE(i, p, stride) _tile_stored(i, p, stride)
#define TILE_MULTIPLY(c, a, b)                                       \
    if (arithmetic == GLOSS_INT8_INT8) _tile_dpbsud(c, a, b);        \
    else _tile_dpbf16ps(c, a, b);
#else
// The tile instructions with vectors, as Intel's manual describes TDPBSUD and TDPBF16PS.
typedef struct { i16 row[8][TILE]; } tile_registers;
INLINE void begin_tiles(void) {}
INLINE void end_tiles(void) {}
INLINE void tile_multiply(gloss_arithmetic arithmetic, i16 *c, const i16 *a, const i16 *b) {
    for (int m = 0; m < TILE; m++) {
        v16 even = splat(0), odd = splat(0);
        for (int k = 0; k < TILE; k++) {
            if (arithmetic == GLOSS_INT8_INT8) {
                c[m] = dot_int8(c[m], splat_word(a[m][k]), b[k]);
                continue;
            }
            const i16 high = splat_word((int32_t)0xffff0000);
            even = FMA((v16)splat_word((int32_t)((uint32_t)a[m][k] << 16)), (v16)(b[k] << 16), even);
            odd = FMA((v16)(splat_word(a[m][k]) & high), (v16)(b[k] & high), odd);
        }
        if (arithmetic == GLOSS_BF16_BF16) c[m] = (i16)((v16)c[m] + (even + odd));
    }
}
#define TILE_LOAD(i, p, stride) \
    for (int r = 0; r < TILE; r++) t->row[i][r] = *(const i16u *)((const char *)(p) + r * (stride))
#define TILE_STORE(i, p, stride) \
    for (int r = 0; r < TILE; r++) *(i16u *)((char *)(p) + r * (stride)) = t->row[i][r]
#define TILE_MULTIPLY(c, a, b) tile_multiply(arithmetic, t->row[c], t->row[a], t->row[b]);
#endif

// 16 rows of an operand: their address, and the distances in bytes between rows and between steps.
typedef struct {
    const char *bytes;
    int64_t row, step;
} tile_rows;

// Tiles 0 and 1 += a[0] · b, in two times 16 columns of b. With a `pair` of row tiles also tiles 2 and 3 += a[1] · b.
INLINE void tile_step(tile_registers *t, gloss_arithmetic arithmetic, bool pair, const tile_rows *a, int64_t s,
                      const char *b) {
    (void)t;
    TILE_LOAD(6, b, 4 * GLOSS_PANEL);
    TILE_LOAD(4, a[0].bytes + s * a[0].step, a[0].row);
    TILE_LOAD(7, b + STEP, 4 * GLOSS_PANEL);
    TILE_MULTIPLY(0, 4, 6)
    TILE_MULTIPLY(1, 4, 7)
    if (!pair) return;
    TILE_LOAD(5, a[1].bytes + s * a[1].step, a[1].row);
    TILE_MULTIPLY(2, 5, 6)
    TILE_MULTIPLY(3, 5, 7)
}
// Adds the whole steps of k, and the step in `rest` if it is not null, to 32 columns of partial[16 or 32 rows][64].
// Prefetches `next` into the second-level cache, `lines` cache lines of 64 bytes for each step.
INLINE void tile_block(gloss_arithmetic arithmetic, bool pair, const tile_rows *a, const char *b, int64_t steps,
                       const tile_rows *rest_a, const char *rest, const char *next, int64_t lines, float *partial) {
    tile_registers registers, *t = &registers;
    const int64_t row = 4 * GLOSS_PANEL;
    float *second = partial + TILE * GLOSS_PANEL;
    TILE_LOAD(0, partial, row);
    TILE_LOAD(1, partial + TILE, row);
    if (pair) {
        TILE_LOAD(2, second, row);
        TILE_LOAD(3, second + TILE, row);
    }
    for (int64_t s = 0; s < steps; s++) {
        for (int64_t p = 0; p < lines; p++) __builtin_prefetch(next + (s * lines + p) * 64, 0, 2);
        tile_step(t, arithmetic, pair, a, s, b + s * PANEL_STEP);
    }
    if (rest) tile_step(t, arithmetic, pair, rest_a, 0, rest);
    TILE_STORE(0, partial, row);
    TILE_STORE(1, partial + TILE, row);
    if (pair) {
        TILE_STORE(2, second, row);
        TILE_STORE(3, second + TILE, row);
    }
}

// Copies 16 rows × some steps to [step][16][64 bytes], with zeros for missing rows and bytes.
INLINE tile_rows copied_rows(const char *source, int64_t stride, int64_t rows, int64_t bytes, char *out) {
    for (int64_t b = 0; b < bytes; b += STEP)
        for (int64_t r = 0; r < TILE; r++) {
            char *to = out + b * TILE + r * STEP;
            int64_t n = r >= rows ? 0 : bytes - b < STEP ? bytes - b : STEP;
            if (n) memcpy(to, source + r * stride + b, (size_t)n);
            memset(to + n, 0, (size_t)(STEP - n));
        }
    return (tile_rows){out, STEP, TILE * STEP};
}

// Computes some panels of some rows. partial[panel][row][64] holds the sums from one block of k to the next.
INLINE void tiled_rows(gloss_arithmetic arithmetic, const gloss_operand *x, const gloss_weights *w,
                       const gloss_output *out, int64_t first, int64_t rows, int64_t first_panel, int64_t last_panel,
                       float *partial) {
    const int64_t total = gloss_words(w->type, w->inputs), tiles = (rows + TILE - 1) / TILE;
    const int64_t size = tiles * TILE * GLOSS_PANEL;
    const int64_t panel_bytes = w->panel_words * 4 * GLOSS_PANEL, pairs = (tiles + 1) / 2;
    const int64_t lines = (PANEL_STEP / 64 + 2 * pairs - 1) / (2 * pairs);
    char rest[PANEL_STEP] __attribute__((aligned(64))) = {0};
    char last_rows[BLOCK_STEPS * TILE * STEP] __attribute__((aligned(64)));
    char rest_rows[GLOSS_TILED_ROWS * STEP] __attribute__((aligned(64)));
    tile_rows a[GLOSS_TILED_ROWS / TILE + 1], rest_a[GLOSS_TILED_ROWS / TILE + 1];
    for (int64_t p = 0; p < last_panel - first_panel; p++)
        for (int64_t r = 0; r < tiles * TILE; r++) {
            int32_t start = arithmetic == GLOSS_INT8_INT8 && r < rows ? x->corrections[first + r] : 0;
            for (int64_t j = 0; j < GLOSS_PANEL; j += 16)
                store(partial + p * size + r * GLOSS_PANEL + j, (v16)splat_word(start));
        }
    for (int64_t word = 0; word < total; word += BLOCK_STEPS * TILE) {
        const int64_t words = total - word < BLOCK_STEPS * TILE ? total - word : BLOCK_STEPS * TILE;
        const int64_t steps = words / TILE, more = words % TILE;
        const char *base = (const char *)w->packed + word * 4 * GLOSS_PANEL;
        for (int64_t t = 0; t < tiles; t++) {
            // Full tiles are read in place. Incomplete ones are copied.
            const char *source = (const char *)x->rows + (first + t * TILE) * x->stride + word * 4;
            const int64_t count = rows - t * TILE < TILE ? rows - t * TILE : TILE;
            a[t] = (tile_rows){source, x->stride, STEP};
            if (count < TILE) a[t] = copied_rows(source, x->stride, count, steps * STEP, last_rows);
            if (more)
                rest_a[t] = copied_rows(source + steps * STEP, x->stride, count, more * 4, rest_rows + t * TILE * STEP);
        }
        for (int64_t p = first_panel; p < last_panel; p++) {
            const char *b = base + p * panel_bytes;
            // The next weights: the same k of the next panel, or the next k of the first panel.
            const char *next = p + 1 < last_panel ? b + panel_bytes
                                                  : base + first_panel * panel_bytes + words * 4 * GLOSS_PANEL;
            if (more) memcpy(rest, b + steps * PANEL_STEP, (size_t)(more * 4 * GLOSS_PANEL));
            for (int64_t t = 0; t < tiles; t += 2)
                for (int64_t j = 0; j < GLOSS_PANEL; j += 2 * TILE) {
                    const char *bj = b + j * 4, *left = more ? rest + j * 4 : 0;
                    const char *ahead = next + (t + j / (2 * TILE)) * lines * steps * 64;
                    float *sums = partial + (p - first_panel) * size + t * TILE * GLOSS_PANEL + j;
                    if (t + 1 < tiles)
                        tile_block(arithmetic, true, a + t, bj, steps, rest_a + t, left, ahead, lines, sums);
                    else
                        tile_block(arithmetic, false, a + t, bj, steps, rest_a + t, left, ahead, lines, sums);
                }
        }
    }
    for (int64_t p = first_panel; p < last_panel; p++)
        finish(arithmetic, x, w, out, first, rows, p, partial + (p - first_panel) * size);
}
INLINE void tiled_gemm(gloss_arithmetic arithmetic, const gloss_operand *x, const gloss_weights *w,
                       const gloss_output *out, int64_t first_row, int64_t last_row, int64_t first_panel,
                       int64_t last_panel) {
    int64_t rows = last_row - first_row, panels = last_panel - first_panel;
    if (rows > GLOSS_TILED_ROWS) rows = GLOSS_TILED_ROWS;
    if (panels > GROUP_PANELS) panels = GROUP_PANELS;
    if (rows <= 0 || panels <= 0) return;
    float *partial = aligned_alloc(64, (size_t)((rows + TILE - 1) / TILE * TILE * panels * GLOSS_PANEL * 4));
    if (!partial) abort();  // half a MB: nobody could go on
    begin_tiles();
    for (int64_t row = first_row; row < last_row; row += rows)
        for (int64_t panel = first_panel; panel < last_panel; panel += panels)
            tiled_rows(arithmetic, x, w, out, row, last_row - row < rows ? last_row - row : rows, panel,
                       last_panel - panel < panels ? last_panel : panel + panels, partial);
    end_tiles();
    free(partial);
}
