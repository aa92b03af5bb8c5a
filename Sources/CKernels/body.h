// The kernels. They are written once and compiled for each instruction set. The including file sets the target, and
// defines NAME(x), VECTORS (the vectors of 16 columns in a register tile) and, if they are more, LONE_VECTORS (those in a tile
// of one row). LONE_QUARTERS: a single tile of whole panels prefetches its weights in quarters.
#if !defined(LONE_VECTORS)
#define LONE_VECTORS VECTORS
#endif
#include "vectors.h"
#include "gemm.h"
#include "tiles.h"
#include "rows.h"

void NAME(gemm)(bool tiled, const gloss_operand *x, const gloss_weights *w, const gloss_output *out, int64_t first_row,
                int64_t last_row, int64_t first_panel, int64_t last_panel) {
#if defined(AMX)
    // A tile of few rows costs as much as a full one, so fewer than 8 rows do without. The bits are the same.
    const bool exact_by_tiles = tiled || last_row - first_row >= 8;
#else
    const bool exact_by_tiles = tiled;
#endif
    switch (gloss_arithmetic_of(x->type, w->type)) {
    case GLOSS_F32_F32: return gemm(GLOSS_F32_F32, x, w, out, first_row, last_row, first_panel, last_panel);
    case GLOSS_F32_BF16: return gemm(GLOSS_F32_BF16, x, w, out, first_row, last_row, first_panel, last_panel);
    case GLOSS_BF16_BF16:
        if (tiled) return tiled_gemm(GLOSS_BF16_BF16, x, w, out, first_row, last_row, first_panel, last_panel);
        return gemm(GLOSS_BF16_BF16, x, w, out, first_row, last_row, first_panel, last_panel);
    case GLOSS_INT8_INT8:
        if (exact_by_tiles) return tiled_gemm(GLOSS_INT8_INT8, x, w, out, first_row, last_row, first_panel, last_panel);
        return gemm(GLOSS_INT8_INT8, x, w, out, first_row, last_row, first_panel, last_panel);
    }
}
