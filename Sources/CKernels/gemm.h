// The GEMM: rows of an operand times panels of weights, in register tiles of 6 × 64.
//
// Operand and weights are read in words of four bytes along k: one f32, two bf16 or four int8 numbers. A panel has 64
// columns: [word of k][64]. Each output is a fixed sequence over k that does not depend on the other outputs.
//
// The functions from the outside in: `gemm` takes up to GLOSS_ROW_CHUNK rows and one panel at a time. `panel_rows`
// goes through k in blocks, and in each block through the rows in tiles of up to 6. `tile` sums a block in registers
// (`tile_words`) and adds it to partial[row][64], the panel's sums so far. After the last block `finish` applies the
// epilogue (scale, bias, GELU, gate, add, round) and writes the output, a row at a time (`finish_row`).
//
// Two macros call these functions with constants, so that the compiler makes a copy for each without conditions
// inside:
//   TILE(R)                            a case of `switch (rows)`: calls `tile` for R rows, for a panel of at most 16
//                                      columns or a whole one, and with one or several lines to prefetch
//   FINISH(form, type, biased, width)  if the output has this form: finishes all rows and returns. There is one for a
//                                      common form. The loop after them finishes all others

enum { K_WORDS = 512 };

// Multiplies a block of k for up to 6 rows, in registers.
//
// acc[r][j] += x[r] · w, in int8 as integers. Prefetches `next` into the second-level cache, `lines` cache lines of 64
// bytes for each word of k.
INLINE void tile_words(int rows, int vectors, gloss_arithmetic arithmetic, const char *x, int64_t ldx, const char *w,
                       int64_t words, const char *next, int lines, v16 acc[GLOSS_TILE_ROWS][VECTORS]) {
    for (int64_t i = 0; i < words; i++) {
        i16 b[VECTORS];
        for (int j = 0; j < vectors; j++) b[j] = *(const i16u *)(w + i * 4 * GLOSS_PANEL + j * 64);
        for (int p = 0; p < lines; p++) __builtin_prefetch(next + i * 4 * GLOSS_PANEL + p * 64, 0, 2);
        for (int r = 0; r < rows; r++) {
            if (arithmetic == GLOSS_F32_BF16) {
                const float *a = (const float *)(x + r * ldx) + 2 * i;
                v16 even = splat(a[0]), odd = splat(a[1]);
                for (int j = 0; j < vectors; j++) acc[r][j] = FMA(even, (v16)(b[j] << 16), acc[r][j]);
                for (int j = 0; j < vectors; j++)
                    acc[r][j] = FMA(odd, (v16)(b[j] & splat_word((int32_t)0xffff0000)), acc[r][j]);
                continue;
            }
            i16 a = splat_word(*(const int32_t *)(x + r * ldx + i * 4));
            for (int j = 0; j < vectors; j++)
                acc[r][j] = arithmetic == GLOSS_BF16_BF16   ? dot_bf16(acc[r][j], a, b[j])
                            : arithmetic == GLOSS_INT8_INT8 ? (v16)dot_int8((i16)acc[r][j], a, b[j])
                                                            : FMA((v16)a, (v16)b[j], acc[r][j]);
        }
    }
}
INLINE void tile(int rows, int vectors, gloss_arithmetic arithmetic, const gloss_operand *x, int64_t row, const char *w,
                 int64_t first_word, int64_t words, const char *next, int lines, float *partial, int64_t column) {
    const bool begins = first_word == 0, whole = arithmetic == GLOSS_INT8_INT8;  // int8 sums are exact, over all of k
    v16 acc[GLOSS_TILE_ROWS][VECTORS];
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < vectors; j++) {
            acc[r][j] = splat(0);
            if (whole)
                acc[r][j] = begins ? (v16)splat_word(x->corrections[row + r])
                                   : load(partial + r * GLOSS_PANEL + column + j * 16);
        }
    int64_t bytes = arithmetic == GLOSS_F32_BF16 ? 8 : 4;
    const char *a = (const char *)x->rows + row * x->stride + first_word * bytes;
    tile_words(rows, vectors, arithmetic, a, x->stride, w, words, next, lines, acc);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < vectors; j++) {
            float *p = partial + r * GLOSS_PANEL + column + j * 16;
            store(p, whole || begins ? acc[r][j] : load(p) + acc[r][j]);
        }
}

// The values of exact int8 sums: sum · scale of the row · scales of the columns.
INLINE v16 scaled(v16 sums, float row, const float *columns) {
    return __builtin_convertvector((i16)sums, v16) * splat(row) * load(columns);
}
// Applies the epilogue to the sums of one row of a panel, and writes `count` numbers to y.
INLINE void finish_row(gloss_arithmetic arithmetic, gloss_form form, gloss_dtype type, bool biased, const float *sums,
                       float row, const float *columns, const float *bias, void *y, int64_t count) {
    const bool whole = arithmetic == GLOSS_INT8_INT8;
    const int64_t up = GLOSS_PANEL / 2;
    for (int64_t j = 0; j < count; j += 16) {
        int64_t n = count - j;
        v16 v = load(sums + j);
        if (whole) v = scaled(v, row, columns + j);
        if (biased) v += load_n(bias + j, n);
        if (form == GLOSS_GELU) v = gelu16(v);
        if (form == GLOSS_GEGLU) {
            v16 u = load(sums + up + j);
            v = gelu16(v) * (whole ? scaled(u, row, columns + up + j) : u);
        }
        if (form == GLOSS_ADD) v = load_n((float *)y + j, n) + v;
        if (type == GLOSS_BF16) store_bf16((uint16_t *)y + j, v, n);
        else store_n((float *)y + j, v, n);
    }
}
// Applies the epilogue to the sums [rows][64] of one panel.
INLINE void finish_sums(gloss_arithmetic arithmetic, const gloss_operand *x, const gloss_weights *w,
                        const gloss_output *out, int64_t row, int64_t rows, int64_t panel, const float *partial) {
    const bool whole = arithmetic == GLOSS_INT8_INT8;
    const int64_t column = panel * GLOSS_PANEL, width = out->form == GLOSS_GEGLU ? GLOSS_PANEL / 2 : GLOSS_PANEL;
    const int64_t first = panel * width, left = out->columns - first, stride = out->stride;
    const float *columns = whole ? w->scales + column : 0, *bias = w->bias ? w->bias + column : 0, *scales = x->scales;
    char *y = (char *)out->rows + row * stride + first * (out->type == GLOSS_BF16 ? 2 : 4);
    const gloss_form form = out->form;
    const gloss_dtype type = out->type;
#define FINISH(form_, type_, biased, width_)                                                                     \
    if (form == form_ && type == type_ && !!bias == biased && left >= width_) {                                  \
        for (int64_t r = 0; r < rows; r++, y += stride)                                                          \
            finish_row(arithmetic, form_, type_, biased, partial + r * GLOSS_PANEL, whole ? scales[row + r] : 1, \
                       columns, bias, y, width_);                                                                \
        return;                                                                                                  \
    }
    FINISH(GLOSS_STORE, GLOSS_F32, false, GLOSS_PANEL)
    FINISH(GLOSS_STORE, GLOSS_F32, true, GLOSS_PANEL)
    FINISH(GLOSS_ADD, GLOSS_F32, false, GLOSS_PANEL)
    FINISH(GLOSS_ADD, GLOSS_F32, true, GLOSS_PANEL)
    FINISH(GLOSS_GELU, GLOSS_BF16, true, GLOSS_PANEL)
    FINISH(GLOSS_GEGLU, GLOSS_BF16, false, GLOSS_PANEL / 2)
#undef FINISH
    for (int64_t r = 0; r < rows; r++, y += stride)
        finish_row(arithmetic, form, type, bias != 0, partial + r * GLOSS_PANEL, whole ? scales[row + r] : 1, columns,
                   bias, y, left < width ? left : width);
}

// Adds what the rows add to their sums [rows][64]. Sums of int8 become values first, those of every row.
INLINE void add_low_rank(gloss_arithmetic arithmetic, const gloss_operand *x, const gloss_weights *w,
                         const gloss_output *out, int64_t row, int64_t rows, int64_t panel, float *partial) {
    const int64_t half = GLOSS_PANEL / 2, left = w->outputs - panel * GLOSS_PANEL;
    for (int64_t r = 0; r < rows; r++) {
        float *sums = partial + r * GLOSS_PANEL;
        if (arithmetic == GLOSS_INT8_INT8)
            for (int64_t j = 0; j < GLOSS_PANEL && j < left; j += 16)
                store(sums + j, scaled(load(sums + j), x->scales[row + r], w->scales + panel * GLOSS_PANEL + j));
        const gloss_addend *addend = out->addends + row + r;
        for (int64_t h = 0; addend->matrix && h < 2 && h * half < left; h++, sums += half) {
            const gloss_half_panel part = addend->matrix->halves[2 * panel + h];
            if (!part.count) continue;
            const float *numbers = addend->matrix->numbers + part.offset, *inputs = addend->inputs + part.first;
            v16 a = splat(0), b = splat(0);
            for (int64_t k = 0; k < part.count; k++) {
                a = FMA(splat(inputs[k]), load(numbers + k * half), a);
                b = FMA(splat(inputs[k]), load(numbers + k * half + 16), b);
            }
            store(sums, load(sums) + a);
            store(sums + 16, load(sums + 16) + b);
        }
    }
}
INLINE void finish(gloss_arithmetic arithmetic, const gloss_operand *x, const gloss_weights *w, const gloss_output *out,
                   int64_t row, int64_t rows, int64_t panel, float *partial) {
    if (!out->addends) {
        finish_sums(arithmetic, x, w, out, row, rows, panel, partial);
        return;
    }
    add_low_rank(arithmetic, x, w, out, row, rows, panel, partial);
    finish_sums(arithmetic == GLOSS_INT8_INT8 ? GLOSS_F32_F32 : arithmetic, x, w, out, row, rows, panel, partial);
}

#define TILE(R)                                                                                               \
    case R:                                                                                                   \
        if (narrow) tile(R, 1, arithmetic, x, row, wj, word, words, next, 1, here, j);                        \
        else if (many) tile(R, VECTORS, arithmetic, x, row, wj, word, words, next + j * 4, VECTORS, here, j); \
        else tile(R, VECTORS, arithmetic, x, row, wj, word, words, next, 1, here, j);                         \
        break;

// Computes rows [first, last) of one panel, over all of k.
INLINE void panel_rows(gloss_arithmetic arithmetic, const gloss_operand *x, const gloss_weights *w,
                       const gloss_output *out, int64_t first, int64_t last, int64_t panel, float *partial) {
    const int64_t per_word = arithmetic == GLOSS_INT8_INT8 ? 4 : arithmetic == GLOSS_F32_F32 ? 1 : 2;
    const int64_t total = (w->inputs + per_word - 1) / per_word;
    // The blocks have equal sizes. f32 rows have the same blocks with bf16 weights as with f32 weights, and so the
    // same bits.
    const int64_t most = arithmetic == GLOSS_F32_BF16 ? K_WORDS / 2 : K_WORDS, blocks = (total + most - 1) / most;
    const int64_t unit = arithmetic == GLOSS_F32_BF16 ? 16 : 32;
    const int64_t block = ((total + blocks - 1) / blocks + unit - 1) / unit * unit;
    // The last panel of the 72 values of a vision head.
    const bool narrow = VECTORS > 1 && w->outputs - panel * GLOSS_PANEL <= 16;
    const int64_t tiles = (last - first + GLOSS_TILE_ROWS - 1) / GLOSS_TILE_ROWS;
    const char *panel_base = (const char *)w->packed + panel * w->panel_words * 4 * GLOSS_PANEL;
    for (int64_t word = 0; word < total; word += block) {
        int64_t words = total - word < block ? total - word : block;
        const char *base = panel_base + word * 4 * GLOSS_PANEL;
        int64_t row = first;
        for (int64_t t = 0; t < tiles; t++) {
            // The tiles have almost equal numbers of rows, so that no tile is left with few. The first four tiles
            // prefetch the next block. A single tile, which is limited by memory, prefetches 4 KiB ahead.
            int64_t end = first + (last - first) * (t + 1) / tiles;
            float *here = partial + (row - first) * GLOSS_PANEL;
            bool many = tiles < 4;
            for (int64_t j = 0; j < GLOSS_PANEL && panel * GLOSS_PANEL + j < w->outputs; j += 16 * VECTORS) {
                const char *wj = base + j * 4;
                const char *next = tiles == 1 ? base + 4096
                                              : base + block * 4 * GLOSS_PANEL + (many || t >= 4 ? 0 : t * 64);
                switch (end - row) { TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) }
            }
            if (word + block >= total) finish(arithmetic, x, w, out, row, end - row, panel, here);
            row = end;
        }
    }
}
#undef TILE

INLINE void gemm(gloss_arithmetic arithmetic, const gloss_operand *x, const gloss_weights *w, const gloss_output *out,
                 int64_t first_row, int64_t last_row, int64_t first_panel, int64_t last_panel) {
    float partial[GLOSS_ROW_CHUNK * GLOSS_PANEL] __attribute__((aligned(64)));
    for (int64_t row = first_row; row < last_row; row += GLOSS_ROW_CHUNK) {
        int64_t end = last_row - row < GLOSS_ROW_CHUNK ? last_row : row + GLOSS_ROW_CHUNK;
        for (int64_t panel = first_panel; panel < last_panel; panel++)
            panel_rows(arithmetic, x, w, out, row, end, panel, partial);
    }
}
