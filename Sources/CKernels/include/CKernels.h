// Kernels of the inference engine, in f32, bf16 and int8.
//
// Every result is a fixed sequence of IEEE operations (explicit fused multiply-adds, no contraction, own exp), the same
// in each instruction set and independent of how many rows are computed together: a row alone and the same row in any
// batch are bit-identical, whatever the instruction set. To the GEMM subnormal numbers are 0, as they are to VDPBF16PS
// and AMX.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "peaks.h"
#include "pool.h"

// Number formats. F16 is only stored. INT8 weights carry a scale a column, INT8 rows a scale each, and both are rotated
// along k (gloss_rotate), which leaves their product as it was and no number far above the others:
// https://arxiv.org/abs/2404.00456.
typedef enum { GLOSS_F32 = 0, GLOSS_BF16 = 1, GLOSS_F16 = 2, GLOSS_INT8 = 3 } gloss_dtype;

// Columns of one packed weight panel, and the most inputs whose products are summed in 32 bits.
enum { GLOSS_PANEL = 64, GLOSS_INT8_INPUTS = 44000 };
// Rows of a register tile, and those that the GEMM takes at a time; by AMX's tiles.
enum { GLOSS_TILE_ROWS = 6, GLOSS_ROW_CHUNK = 96, GLOSS_TILED_ROWS = 512 };

// Instruction sets, slowest first; all give the same bits.
typedef enum { GLOSS_GENERIC = 0, GLOSS_AVX2 = 1, GLOSS_AVX512 = 2, GLOSS_AVX512_DOT = 3, GLOSS_AMX = 4 } gloss_isa;
gloss_isa gloss_best_isa(void);

// A GEMM's right side: y = x · Wᵀ + bias. `packed` is [panels][words of k][GLOSS_PANEL], a word being four bytes: one
// f32, two bf16 or four int8 (stored with 128 added) neighbours along k. What is beyond `outputs` and `inputs` is
// there, and 0.
typedef struct {
    const void *packed;
    const float *scales;  // INT8: one a column, up to whole panels
    const float *bias;    // or null
    int64_t outputs, inputs;
    int64_t panel_words;  // from one panel to the next: gloss_words(type, inputs), or more in a cache that is not full
    gloss_dtype type;
} gloss_weights;

// A GEMM's left side: rows `stride` bytes apart, with zeros after the last number up to a whole word (two f32 for bf16
// weights). INT8: number = byte · scales[row]; corrections[row] = −128 · Σ bytes.
typedef struct {
    const void *rows;
    int64_t stride;
    gloss_dtype type;
    const float *scales;
    const int32_t *corrections;
} gloss_operand;

// What a row kernel writes: an operand to be.
typedef struct {
    void *rows;
    int64_t stride;
    gloss_dtype type;
    float *scales;
    int32_t *corrections;
} gloss_target;

// What becomes of a GEMM's sums v = x · Wᵀ + bias: y = v, y += v, y = gelu(v), or y[c] = gelu(v[gate c]) · v[up c],
// where each panel holds 32 gates and then their 32 ups (no bias there). Rows of `columns` numbers are `stride` bytes
// apart, F32 or (not with ADD) BF16.
typedef enum { GLOSS_STORE, GLOSS_ADD, GLOSS_GELU, GLOSS_GEGLU } gloss_form;
typedef struct {
    void *rows;
    int64_t stride;
    int64_t columns;
    gloss_dtype type;
    gloss_form form;
} gloss_output;

// Which numbers are multiplied. F32_BF16 is exact: bf16 weights widened.
typedef enum { GLOSS_F32_F32, GLOSS_F32_BF16, GLOSS_BF16_BF16, GLOSS_INT8_INT8 } gloss_arithmetic;
static inline gloss_arithmetic gloss_arithmetic_of(gloss_dtype x, gloss_dtype w) {
    if (x == GLOSS_INT8) return GLOSS_INT8_INT8;
    if (x == GLOSS_BF16) return GLOSS_BF16_BF16;
    return w == GLOSS_BF16 ? GLOSS_F32_BF16 : GLOSS_F32_F32;
}

// Rows [first_row, last_row) × panels [first_panel, last_panel). Each output is summed over k in blocks of up to 512
// words, sequentially by fused multiply-add inside a block (bf16: the odd number of a word, then the even one; int8:
// one exact sum).
// `tiled`: bf16 is summed as AMX does, in steps of 16 words: even numbers and odd ones apart, each by
// fused multiply-add from 0, their sum then added. AMX does so some ten times as fast as AVX-512; other instruction
// sets, slowly, do the same.
void gloss_gemm(gloss_isa isa, bool tiled, const gloss_operand *x, const gloss_weights *w, const gloss_output *out,
                int64_t first_row, int64_t last_row, int64_t first_panel, int64_t last_panel);

// Rows that are best given to it at a time.
int64_t gloss_rows_at_once(gloss_isa isa, bool tiled, gloss_dtype type);

// Packs rows of a weight matrix, stored as [n][k] at `source`, into F32 or BF16 panels: row r becomes output column
// column(r) = first + r, or in a gated pair (`gate` 0 or 1) r / 32 · 64 + 32 · gate + r % 32. bf16 must be bf16:
// nothing is rounded unless the target is BF16 and the source is not.
void gloss_pack(const void *source, gloss_dtype source_type, int64_t n, int64_t k, void *packed, gloss_dtype type,
                int64_t first, int gate);
// The same to INT8: each row rotated, its scale = largest magnitude / 127.
void gloss_pack_int8(const void *source, gloss_dtype source_type, int64_t n, int64_t k, void *packed, float *scales,
                     int64_t first, int gate);
// Column `column` of packed weights: the row that was packed there, as f32 times `scale`, exact (INT8: rotated back).
void gloss_unpack(const gloss_weights *w, int64_t column, float scale, float *out);
// Words of one panel row: ⌈k / numbers a word⌉.
int64_t gloss_words(gloss_dtype type, int64_t k);

// Fills `size` bytes with seeded noise: bf16 in ±0.03 (F32, BF16) or any byte (INT8).
void gloss_fill_random(void *packed, size_t size, gloss_dtype type, uint64_t seed);
// CRC-32C of some bytes, and whether the numbers of a type that they are are all finite (INT8: always).
uint32_t gloss_crc32c(const void *bytes, size_t size);
uint32_t gloss_crc32c_of_numbers(const void *bytes, size_t size, gloss_dtype type, bool *finite);
// How many of n stored numbers are not finite when they are held as another type: NaN, infinite, or rounded to it.
int64_t gloss_count_not_finite(const void *source, gloss_dtype stored, int64_t n, gloss_dtype held);

// One token's key and value, d numbers each, as row `token` of a cache of one head. Keys: weights with outputs =
// tokens, inputs = d. Values: weights with outputs = d, inputs = tokens (`capacity` of them). F32 or BF16.
void gloss_store_key(const float *key, int64_t d, void *keys, gloss_dtype type, int64_t token);
void gloss_store_value(const float *value, int64_t d, void *values, gloss_dtype type, int64_t token, int64_t capacity);

// y = (x − mean) / sqrt(var + eps) · w + b over d, a row at a time. scratch: d floats.
void gloss_layer_norm(gloss_isa isa, const float *x, const float *w, const float *b, float eps, const gloss_target *out,
                      int64_t rows, int64_t d, float *scratch);
// y = x / sqrt(mean(x²) + eps) · (1 + w).
void gloss_rms_norm(gloss_isa isa, const float *x, const float *w, float eps, const gloss_target *out, int64_t rows,
                    int64_t d, float *scratch);
// y = x · scale, rounded to the target's type; x is F32 or BF16. scratch: d floats, for INT8 alone.
void gloss_convert(gloss_isa isa, const void *x, int64_t stride, gloss_dtype type, float scale, const gloss_target *out,
                   int64_t rows, int64_t d, float *scratch);
// x[d] times an orthogonal, symmetric matrix, in place: Hadamard's on as many numbers as the greatest power of two in
// d, then on those that follow, as many as the next, …. It is its own inverse.
void gloss_rotate(gloss_isa isa, float *x, int64_t d);
// Rotates the two halves of each head of x[d] by the angles of one position: cosines and sines have d / 2 values.
void gloss_rope(gloss_isa isa, float *x, int64_t heads, int64_t head_dim, const float *cosines, const float *sines);
// out = exp((x − max) · scale) over x[0..<n] and x[second..<second + m], 0 elsewhere in out[width]; returns 1 / Σ of
// what is stored.
float gloss_softmax(gloss_isa isa, const float *x, int64_t n, int64_t second, int64_t m, float scale, void *out,
                    gloss_dtype type, int64_t width);

// The largest value's first index (or that of a NaN), and log Σ exp(x) in double.
int64_t gloss_argmax(gloss_isa isa, const float *x, int64_t n);
double gloss_log_sum_exp(gloss_isa isa, const float *x, int64_t n);
// w[i] = exp((x[i] − max) / temperature); returns their sum, in double.
double gloss_exp_weights(gloss_isa isa, const float *x, double temperature, float *w, int64_t n);
// The first index where the running sum of exp((x − max) / temperature) exceeds uniform × its total.
int64_t gloss_draw(gloss_isa isa, const float *x, int64_t n, double temperature, double uniform);

// One stored number as f32, exactly.
float gloss_load(const void *p, gloss_dtype type, int64_t index);

// Pillow's u8 resampling along rows: out[y][o][c] = clip((2^21 + Σ_i src[y][start[o]+i][c] · k[o][i]) >> 22).
// in: [rows][width][3], out: [rows][out_width][3]; coefficient row o has `taps` entries, `length[o]` of them used.
void gloss_resample_rows(const uint8_t *in, int64_t rows, int64_t width, uint8_t *out, int64_t out_width,
                         const int32_t *start, const int32_t *length, const int32_t *coefficients, int64_t taps);
// The same along columns. in: [height][row_bytes], out: [out_height][row_bytes].
void gloss_resample_columns(const uint8_t *in, int64_t row_bytes, uint8_t *out, int64_t out_height,
                            const int32_t *start, const int32_t *length, const int32_t *coefficients, int64_t taps);
