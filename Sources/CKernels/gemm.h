// The GEMM: rows of an operand times panels of weights, in register tiles of 6 × 64.
//
// Operand and weights are read in words of four bytes along k: one f32, two bf16 or four int8 numbers. A panel has 64
// columns: [word of k][64]. Each output is a fixed sequence over k that does not depend on the other outputs.
//
// The functions from the outside in: `gemm` takes up to GLOSS_ROW_CHUNK rows and one panel at a time. `panel_rows`
// goes through k in blocks and their parts, and `part_rows` in each part through the rows in tiles of up to 6. `tile`
// sums a part in registers (`tile_words`) and adds the sums of a block to partial[row][64], the panel's sums so far.
// After the last block `finish` applies the epilogue (scale, bias, GELU, gate, add, round) and writes the output, a row
// at a time (`finish_row`).
//
// Two macros call these functions with constants, so that the compiler makes a copy for each without conditions
// inside:
//   TILE(R)                            a case of `switch (rows)`: calls `tile` for R rows, for a panel of at most 16
//                                      columns or a whole one, with 1 or 4 lines to prefetch, or quarters, or alone
//   FINISH(form, type, biased, width)  if the output has this form: finishes all rows and returns. There is one for a
//                                      common form. The loop after them finishes all others

// K_WORDS: the most words of a block, whose sums begin at 0. PART_WORDS, SPLIT_WORDS where words are split into numbers, or
// WHOLE_WORDS of f32: those of a part, with which a panel stays in a near cache while all rows are multiplied by it.
// FEW_WORDS: those of a part for a single tile of rows, and of a first part, which nothing has prefetched.
enum { K_WORDS = 512, PART_WORDS = 128, FEW_WORDS = 32 };
// A tile of 16 columns has little to compute between loading its sums and storing them, so its parts are longer.
enum { SPLIT_WORDS = VECTORS == 1 ? 128 : 32, WHOLE_WORDS = VECTORS == 1 ? 256 : PART_WORDS };
// The words of a part of int8 in bytes.h: 16 KB of weights stay in the first-level cache while all rows are multiplied by them. A
// single row reads them once.
#if defined(INT8_BYTES)
enum { BYTE_WORDS = 64, LONE_BYTE_WORDS = 256 };
#else
enum { BYTE_WORDS = 0, LONE_BYTE_WORDS = 0 };
#endif
// The words of a part for a single tile of whole panels.
#if defined(LONE_QUARTERS)
enum { LONE_WORDS = 2 * PART_WORDS };
#else
enum { LONE_WORDS = K_WORDS };
#endif

// Whether no instruction multiplies a whole word. Then rows and weights are split: the odd numbers of a word become one
// word and its even numbers another, each of one f32 or of two 16-bit integers. f32 rows for bf16 weights have such
// words already. For instructions that multiply matrices, words are paired instead: see matrices.h.
INLINE bool is_split(gloss_arithmetic arithmetic) {
#if defined(BF16_DOT)
    if (arithmetic == GLOSS_BF16_BF16) return false;
#endif
#if !defined(INT8_PAIRS) && !defined(INT8_MATRICES)
    if (arithmetic == GLOSS_INT8_INT8) return false;
#endif
    return arithmetic != GLOSS_F32_F32;
}
// Where a tile prefetches weights into the second-level cache: one line after the other, `pace` bytes from word to word,
// or the next part in four quarters side by side. A processor reads ahead by itself in each page that it is asked for. So
// four pages come faster than one after the other: there is room for few lines that are asked for and under way.
typedef struct {
    const char *next;
    int64_t pace;
    int64_t quarter;  // bytes; 0: one line after the other. For a single tile of whole panels: between the 4 lines of a word
    int64_t lines;    // of quarters, for each word: 1 where four tiles or more share the work, else 2
} tile_ahead;
// Prefetches beside words 4 i to 4 i + 3 of a tile: in each quarter a line for each of `lines`.
INLINE void prefetch_quarters(tile_ahead ahead, int64_t i) {
    const int64_t lines = VECTORS == 1 ? 1 : ahead.lines;
    for (int64_t p = i * lines; p < (i + 1) * lines; p++)
        for (int q = 0; q < 4; q++) __builtin_prefetch(ahead.next + p * ahead.pace + q * ahead.quarter, 0, 2);
}
// A part of a block of k. The sums of a tile go from one part to the next in `running`, and at the end of the block to
// `partial`, where those of all blocks are added. Sums of int8 are exact: they are of one block.
typedef struct {
    int64_t word, words;  // of k
    bool begins, ends;    // the block
    bool first;           // block
    const char *next;     // weights that are read after it, or null
    int64_t next_words;
} block_part;
#include "bytes.h"
#include "lanes.h"
#include "matrices.h"

// The halves of a word of the weights, in the order in which they are multiplied.
typedef struct {
    i16 first, second;
} word_halves;
INLINE word_halves split_word(gloss_arithmetic arithmetic, i16 word) {
#if defined(INT8_PAIRS)
    if (arithmetic == GLOSS_INT8_INT8) return (word_halves){odd_unsigned(word), even_unsigned(word)};
#endif
    if (arithmetic == GLOSS_F32_BF16) return (word_halves){even_bf16(word), odd_bf16(word)};
    return (word_halves){odd_bf16(word), even_bf16(word)};
}
// Those of some words.
INLINE void split_weights(gloss_arithmetic arithmetic, const char *w, int64_t words, int64_t columns, int64_t ahead,
                          int32_t out[][GLOSS_PANEL]) {
#if defined(INT8_MATRICES)
    if (arithmetic == GLOSS_INT8_INT8) return pair_weights(w, words, columns, ahead, out);
#endif
    for (int64_t i = 0; i < words; i++, w += 4 * GLOSS_PANEL)
        for (int64_t j = 0; j < columns; j += 16) {
            if (ahead) __builtin_prefetch(w + ahead + j * 4, 0, 2);
            const word_halves halves = split_word(arithmetic, *(const i16u *)(w + j * 4));
            *(i16 *)(out[2 * i] + j) = halves.first;
            *(i16 *)(out[2 * i + 1] + j) = halves.second;
        }
}
// The halves of some words of a row, in the same order.
INLINE void split_row(gloss_arithmetic arithmetic, const char *x, int64_t words, int32_t *out) {
    (void)arithmetic;
    for (int64_t i = 0; i < words; i += 16) {
        i16 word = (i16)load_n((const float *)x + i, words - i), first = odd_bf16(word), second = even_bf16(word);
#if defined(INT8_PAIRS)
        if (arithmetic == GLOSS_INT8_INT8) first = odd_signed(word), second = even_signed(word);
#endif
        *(i16 *)(out + 2 * i) =
            __builtin_shufflevector(first, second, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        *(i16 *)(out + 2 * i + 16) =
            __builtin_shufflevector(first, second, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
}
// Those of some rows, `half_stride` words apart.
INLINE void split_rows(gloss_arithmetic arithmetic, const char *x, int64_t stride, int64_t rows, int64_t words,
                       int32_t *out, int64_t half_stride) {
#if defined(INT8_MATRICES)
    if (arithmetic == GLOSS_INT8_INT8) return pair_rows(x, stride, rows, words, out, half_stride);
#endif
    for (int64_t r = 0; r < rows; r++) split_row(arithmetic, x + r * stride, words, out + r * half_stride);
}
INLINE v16 multiply_add(gloss_arithmetic arithmetic, v16 acc, i16 x, i16 w) {
#if defined(INT8_PAIRS)
    if (arithmetic == GLOSS_INT8_INT8) return (v16)dot_pairs((i16)acc, x, w);
#else
    if (arithmetic == GLOSS_INT8_INT8) return (v16)dot_int8((i16)acc, x, w);
#endif
#if defined(BF16_DOT)
    if (arithmetic == GLOSS_BF16_BF16) return (v16)_mm512_dpbf16_ps((__m512)acc, (__m512bh)w, (__m512bh)x);
#endif
    return FMA((v16)x, (v16)w, acc);
}

// Multiplies a word of k for up to 6 rows, in registers: acc[r][j] += x[r] · w, in int8 as integers.
INLINE void tile_word(int rows, int vectors, gloss_arithmetic arithmetic, const char *x, int64_t ldx, const char *w,
                      v16 acc[GLOSS_TILE_ROWS][LONE_VECTORS]) {
    i16 b[LONE_VECTORS];
    for (int j = 0; j < vectors; j++) b[j] = *(const i16u *)(w + j * 64);
    for (int r = 0; r < rows; r++) {
        i16 a = splat_word(*(const int32_t *)(x + r * ldx));
        for (int j = 0; j < vectors; j++) acc[r][j] = multiply_add(arithmetic, acc[r][j], a, b[j]);
    }
}
// The same of a word of weights that is split only here, for rows that are split.
INLINE void tile_whole_word(int rows, int vectors, gloss_arithmetic arithmetic, const char *x, int64_t ldx,
                            const char *w, v16 acc[GLOSS_TILE_ROWS][LONE_VECTORS]) {
    for (int j = 0; j < vectors; j++) {
        const word_halves halves = split_word(arithmetic, *(const i16u *)(w + j * 64));
        for (int r = 0; r < rows; r++) {
            const int32_t *a = (const int32_t *)(x + r * ldx);
            acc[r][j] = multiply_add(arithmetic, acc[r][j], splat_word(a[0]), halves.first);
            acc[r][j] = multiply_add(arithmetic, acc[r][j], splat_word(a[1]), halves.second);
        }
    }
}
// Multiplies some words, and prefetches `lines` cache lines of 64 bytes for each; 0: in quarters. `splits`: the weights are
// split here, while the rows already are.
INLINE void tile_words(int rows, int vectors, gloss_arithmetic arithmetic, bool splits, const char *x, int64_t ldx,
                       const char *w, int64_t words, int lines, tile_ahead ahead,
                       v16 acc[GLOSS_TILE_ROWS][LONE_VECTORS]) {
#if defined(__aarch64__)
    if (has_lanes(arithmetic)) return lane_words(rows, arithmetic, x, ldx, w, words, lines, ahead, acc);
#endif
    if (splits) {
        for (int64_t i = 0; i < words; i++) {
            for (int p = 0; p < lines; p++) __builtin_prefetch(ahead.next + i * ahead.pace + p * ahead.quarter, 0, 2);
            tile_whole_word(rows, vectors, arithmetic, x + i * 8, ldx, w + i * 4 * GLOSS_PANEL, acc);
        }
        return;
    }
    if (lines) {
        for (int64_t i = 0; i < words; i++) {
            for (int p = 0; p < lines; p++) __builtin_prefetch(ahead.next + i * ahead.pace + p * ahead.quarter, 0, 2);
            tile_word(rows, vectors, arithmetic, x + i * 4, ldx, w + i * 4 * GLOSS_PANEL, acc);
        }
        return;
    }
    for (int64_t first = 0; first < words; first += 4) {
        prefetch_quarters(ahead, first / 4);
        const int64_t end = words - first < 4 ? words : first + 4;
#pragma clang loop unroll(disable)
        for (int64_t i = first; i < end; i++)
            tile_word(rows, vectors, arithmetic, x + i * 4, ldx, w + i * 4 * GLOSS_PANEL, acc);
    }
}
INLINE void tile(int rows, int vectors, gloss_arithmetic arithmetic, bool splits, const char *x, int64_t ldx,
                 const int32_t *corrections, const char *w, block_part part, int lines, tile_ahead ahead,
                 float *running, float *partial) {
#if defined(INT8_MATRICES)
    if (arithmetic == GLOSS_INT8_INT8) return tile_pairs(rows, x, ldx, corrections, w, part, ahead, running, partial);
#endif
#if defined(INT8_SIGNED)
    const bool corrects = false;
#else
    const bool corrects = arithmetic == GLOSS_INT8_INT8;
#endif
    v16 acc[GLOSS_TILE_ROWS][LONE_VECTORS];
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < vectors; j++) {
            if (!part.begins) acc[r][j] = load(running + r * GLOSS_PANEL + j * 16);
            else acc[r][j] = corrects ? (v16)splat_word(corrections[r]) : splat(0);
        }
    const int64_t words = is_split(arithmetic) && !splits ? 2 * part.words : part.words;
    tile_words(rows, vectors, arithmetic, splits, x, ldx, w, words, lines, ahead, acc);
    float *to = part.ends ? partial : running;
    const bool adds = part.ends && !part.first;
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < vectors; j++) {
            float *p = to + r * GLOSS_PANEL + j * 16;
            store(p, adds ? load(p) + acc[r][j] : acc[r][j]);
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

// Whether some rows are a single tile as wide as a panel.
INLINE bool is_alone(int64_t rows, int64_t columns) {
    return columns > 16 && rows <= GLOSS_TILE_ROWS && 16 * (rows == 1 ? LONE_VECTORS : VECTORS) == GLOSS_PANEL;
}

#define TILE_(R, vectors, splits, lines) \
    tile(R, vectors, arithmetic, splits, a, lda, corrections, b, part, lines, ahead, running + at, partial + at)
#define TILE(R)                                                                             \
    case R:                                                                                 \
        if (alone && (R == 1 ? LONE_VECTORS : VECTORS) > 1)                                 \
            TILE_(R, R == 1 ? LONE_VECTORS : VECTORS, is_split(arithmetic), 4);             \
        else if (narrow) TILE_(R, 1, false, 1);                                             \
        else if (ahead.quarter) TILE_(R, VECTORS, false, 0);                                \
        else TILE_(R, VECTORS, false, 1);                                                   \
        break;

// Multiplies rows [first, last) by a part of a block of the first `columns` columns of a panel, at `w`.
INLINE void part_rows(gloss_arithmetic arithmetic, const gloss_operand *x, const char *w, int64_t columns,
                      int64_t first, int64_t last, block_part part, float *running, float *partial) {
#if defined(INT8_BYTES)
    if (arithmetic == GLOSS_INT8_INT8) return part_rows_by_bytes(x, w, columns, first, last, part, running, partial);
#endif
    // The last panel of the 72 values of a vision head.
    const bool narrow = VECTORS > 1 && columns <= 16;
    const bool split = is_split(arithmetic);
    // Rows whose words are split already.
    const bool ready = arithmetic == GLOSS_F32_BF16 || (arithmetic == GLOSS_BF16_BF16 && x->type == GLOSS_BF16_SPLIT);
    const int64_t tiles = (last - first + GLOSS_TILE_ROWS - 1) / GLOSS_TILE_ROWS;
    // All tiles together prefetch the next part, evenly. If there is none, a line that is there: that costs nothing.
    const int64_t steps = split ? 2 * part.words : part.words, groups = GLOSS_PANEL / (16 * VECTORS);
    const int64_t all = tiles * groups * steps, bytes = part.next ? 4 * GLOSS_PANEL * part.next_words : 0;
    tile_ahead ahead = {part.next ? part.next : w, bytes / all, 0, 0};
    // A single tile of whole panels reads its weights once. It prefetches 4 KiB ahead, or quarters of the next part.
    const bool alone = is_alone(last - first, columns), quarters = alone && LONE_WORDS < K_WORDS;
    const bool once = alone || (tiles == 1 && groups == 1 && !split);
    if (!quarters && (once || (tiles == 1 && split))) ahead.next = w + 4096;
    if (alone) ahead.quarter = quarters ? bytes / 4 : 64;
    if (quarters) ahead.pace = bytes / 4 / part.words;
    else if (once) ahead.pace = 4 * GLOSS_PANEL;
    // Many tiles have so much time that one line after the other comes soon enough.
    else if (!split && (tiles < 8 || groups > 1)) {
        ahead.quarter = bytes / 4;
        ahead.lines = groups > 1 || all * 64 >= bytes ? 1 : 2;
        ahead.pace /= ahead.lines;
    }
    const int64_t advance = ahead.quarter ? steps * ahead.lines / 4 * ahead.pace : steps * ahead.pace;
    int32_t weight_halves[2 * SPLIT_WORDS][GLOSS_PANEL] __attribute__((aligned(64)));
    int32_t row_halves[GLOSS_TILE_ROWS * 2 * K_WORDS] __attribute__((aligned(64)));
    const int64_t half_stride = (part.words + 15) / 16 * 32;
    if (split && !alone) {
        const int64_t read = VECTORS == 1 || narrow ? columns : GLOSS_PANEL;
        // Few tiles have no time for it.
        split_weights(arithmetic, w, part.words, read, tiles < 4 ? 4096 : 0, weight_halves);
        w = (const char *)weight_halves;
    }
    const int64_t width = alone ? GLOSS_PANEL : 16 * VECTORS;
    int64_t row = first;
    for (int64_t t = 0; t < tiles; t++) {
        // The tiles have almost equal numbers of rows, so that no tile is left with few.
        const int64_t end = first + (last - first) * (t + 1) / tiles;
        const char *a = (const char *)x->rows + row * x->stride + part.word * (ready ? 8 : 4);
        int64_t lda = x->stride, at = (row - first) * GLOSS_PANEL;
        if (split && !ready) {
            split_rows(arithmetic, a, lda, end - row, part.words, row_halves, half_stride);
            a = (const char *)row_halves;
            lda = half_stride * 4;
        }
        const int32_t *corrections = arithmetic == GLOSS_INT8_INT8 ? x->corrections + row : 0;
        for (int64_t j = 0; j < columns; j += width, at += width) {
            const char *b = w + j * 4;
            switch (end - row) { TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) }
            ahead.next += advance;
        }
        row = end;
    }
}
#undef TILE

// Computes rows [first, last) of one panel, over all of k. `begins`: nothing has prefetched it; `follows`: the next panel
// comes after it.
INLINE void panel_rows(gloss_arithmetic arithmetic, const gloss_operand *x, const gloss_weights *w,
                       const gloss_output *out, int64_t first, int64_t last, int64_t panel, bool begins, bool follows,
                       float *partial) {
    const int64_t per_word = arithmetic == GLOSS_INT8_INT8 ? 4 : arithmetic == GLOSS_F32_F32 ? 1 : 2;
    const int64_t total = (w->inputs + per_word - 1) / per_word;
    // The blocks have equal sizes. f32 rows have the same blocks with bf16 weights as with f32 weights, and so the
    // same bits.
    const bool exact = arithmetic == GLOSS_INT8_INT8;
    const int64_t most = arithmetic == GLOSS_F32_BF16 ? K_WORDS / 2 : K_WORDS, blocks = (total + most - 1) / most;
    const int64_t unit = arithmetic == GLOSS_F32_BF16 ? 16 : 32;
    const int64_t block = ((total + blocks - 1) / blocks + unit - 1) / unit * unit;
    const bool single = last - first <= GLOSS_TILE_ROWS;
    const int64_t left = w->outputs - panel * GLOSS_PANEL, columns = left < GLOSS_PANEL ? left : GLOSS_PANEL;
    const bool alone = is_alone(last - first, columns);
    const int64_t many = is_split(arithmetic) ? SPLIT_WORDS : arithmetic == GLOSS_F32_F32 ? WHOLE_WORDS : PART_WORDS;
    const int64_t byte_words = !exact ? 0 : last - first == 1 ? LONE_BYTE_WORDS : BYTE_WORDS;
    const int64_t most_words = byte_words ? byte_words : alone ? LONE_WORDS : single ? FEW_WORDS : many;
    const char *base = (const char *)w->packed + panel * w->panel_words * 4 * GLOSS_PANEL;
    float running[GLOSS_ROW_CHUNK * GLOSS_PANEL] __attribute__((aligned(64)));
    // The first part of many rows waits for memory, so it is short.
    int64_t size = begins && !single ? FEW_WORDS : most_words;
    for (int64_t word = 0; word < total; word += block) {
        const int64_t end = total - word < block ? total : word + block;
        // Parts of almost equal sizes: while a short one is multiplied, there is no time to prefetch a long one.
        const int64_t parts = (end - word + most_words - 1) / most_words;
        const int64_t words = ((end - word + parts - 1) / parts + 3) / 4 * 4;
        for (int64_t at = word, count; at < end; at += count) {
            if (size > words || words < 2 * FEW_WORDS) size = words;
            count = end - at < size ? end - at : size;
            size = 2 * size < words ? 2 * size : words;
            const block_part part = {
                .word = at,
                .words = count,
                .begins = at == (exact ? 0 : word),
                .ends = at + count == (exact ? total : end),
                .first = exact || word == 0,
                .next = at + count < total ? base + (at + count) * 4 * GLOSS_PANEL
                    : follows              ? base + w->panel_words * 4 * GLOSS_PANEL
                                           : 0,
                .next_words = size,
            };
            part_rows(arithmetic, x, base + at * 4 * GLOSS_PANEL, columns, first, last, part, running, partial);
        }
    }
    finish(arithmetic, x, w, out, first, last - first, panel, partial);
}

INLINE void gemm(gloss_arithmetic arithmetic, const gloss_operand *x, const gloss_weights *w, const gloss_output *out,
                 int64_t first_row, int64_t last_row, int64_t first_panel, int64_t last_panel) {
    float partial[GLOSS_ROW_CHUNK * GLOSS_PANEL] __attribute__((aligned(64)));
    for (int64_t row = first_row; row < last_row; row += GLOSS_ROW_CHUNK) {
        int64_t end = last_row - row < GLOSS_ROW_CHUNK ? last_row : row + GLOSS_ROW_CHUNK;
        for (int64_t panel = first_panel; panel < last_panel; panel++)
            panel_rows(arithmetic, x, w, out, row, end, panel, panel == first_panel, panel + 1 < last_panel, partial);
    }
}
