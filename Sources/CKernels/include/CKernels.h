// Kernels of the inference engine, in f32, bf16 and int8.
//
// Every value is a fixed sequence of IEEE operations (explicit fused multiply-adds, no contraction, own exp). The
// sequence is the same in each instruction set, and does not depend on how many rows are computed together. So a row
// alone and the same row in any batch are bit-identical, in every instruction set. The GEMM takes subnormal numbers as
// 0, as VDPBF16PS and AMX do.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "peaks.h"
#include "pool.h"

// Number formats. F16 occurs in files only. INT8 weights have one scale a column, INT8 rows one scale a row. Both are
// rotated along k (gloss_rotate): their product does not change, and no number is far above the others
// (https://arxiv.org/abs/2404.00456).
// BF16_SPLIT: rows of bf16 numbers as f32, of each two the second first, for weights of bf16. So those kernels multiply
// them that have no instruction for bf16; rows in BF16 they split anew for each panel.
typedef enum { GLOSS_F32 = 0, GLOSS_BF16 = 1, GLOSS_F16 = 2, GLOSS_INT8 = 3, GLOSS_BF16_SPLIT = 4 } gloss_dtype;

// The columns of a packed weight panel. The most inputs whose int8 products fit a 32-bit sum.
enum { GLOSS_PANEL = 64, GLOSS_INT8_INPUTS = 44000 };
// The rows of a register tile, the rows that the GEMM computes at a time, and those that it computes at a time with
// AMX.
enum { GLOSS_TILE_ROWS = 6, GLOSS_ROW_CHUNK = 96, GLOSS_TILED_ROWS = 512 };

// Instruction sets, those of x86 and then those of Arm, slowest first. All give the same bits. On Arm GENERIC is
// compiled to NEON.
//
//                  f32       bf16            int8
//   GENERIC        C         as f32          C
//   AVX2           256 bits  as f32          VPMADDWD
//   AVX2_BYTES     256 bits  as f32          VPMADDUBSW: faster on Zen 1 and Zen 2, slower elsewhere
//   AVX_VNNI       256 bits  as f32          VPDPBUSD
//   AVX512         512 bits  as f32          VPMADDWD
//   AVX512_VNNI    512 bits  as f32          VPDPBUSD
//   AVX512_BF16    512 bits  VDPBF16PS       VPDPBUSD
//   AMX            512 bits  as f32, tiles   tiles
//   NEON_DOT       128 bits  as f32          SDOT
//   NEON_I8MM      128 bits  as f32          USMMLA
//
// "As f32": numbers are widened in registers, so bf16 has the speed of f32.
typedef enum {
    GLOSS_GENERIC,
    GLOSS_AVX2,
    GLOSS_AVX2_BYTES,
    GLOSS_AVX_VNNI,
    GLOSS_AVX512,
    GLOSS_AVX512_VNNI,
    GLOSS_AVX512_BF16,
    GLOSS_AMX,
    GLOSS_NEON_DOT,
    GLOSS_NEON_I8MM
} gloss_isa;
// Whether this processor and its system have the instructions.
bool gloss_has_isa(gloss_isa isa);
// Whether some products by two sets have the same bits; `tiled` as for gloss_gemm. Milliseconds.
bool gloss_same_products(gloss_isa a, bool a_tiled, gloss_isa b, bool b_tiled);
// The fastest set that this processor has and that has the same products as GENERIC. It is found once.
gloss_isa gloss_best_isa(void);
// Bit 1 << isa: a set that is faster than the best one, but has other products.
unsigned gloss_refused_isas(void);

// The right operand of a GEMM, y = x · Wᵀ + bias. `packed` is [panels][words of k][GLOSS_PANEL]. A word has four
// bytes: one f32, two bf16 or four int8 (stored with 128 added), neighbours along k. Columns beyond `outputs` and
// numbers beyond `inputs` are allocated and 0.
typedef struct {
    const void *packed;
    const float *scales;  // INT8: one a column of every panel
    const float *bias;    // or null
    int64_t outputs, inputs;
    int64_t panel_words;  // words a panel: gloss_words(type, inputs), or more in a cache that is not full
    gloss_dtype type;
} gloss_weights;

// The left operand of a GEMM. Rows are `stride` bytes apart. Zeros fill a row up to a whole word (two f32 for bf16
// weights). INT8: number = byte · scales[row]; corrections[row] = −128 · Σ bytes.
typedef struct {
    const void *rows;
    int64_t stride;
    gloss_dtype type;
    const float *scales;
    const int32_t *corrections;
} gloss_operand;

// The output of a row kernel, which becomes a gloss_operand.
typedef struct {
    void *rows;
    int64_t stride;
    gloss_dtype type;
    float *scales;
    int32_t *corrections;
} gloss_target;

// The epilogue of a GEMM with the sums v = x · Wᵀ + bias: y = v, y += v, y = gelu(v), or y[c] = gelu(v[gate c]) · v[up
// c]. For GEGLU each panel has 32 gates and then their 32 ups, without a bias. The output has rows of `columns`
// numbers, `stride` bytes apart, in F32 or (not with ADD) BF16.
typedef enum { GLOSS_STORE, GLOSS_ADD, GLOSS_GELU, GLOSS_GEGLU } gloss_form;
// A matrix of low rank in f32, in half panels of 32 output columns. Each takes a range of the inputs: of the matrices that
// are fused into one product, each has inputs of its own.
typedef struct {
    int64_t first, count;  // inputs
    int64_t offset;        // of its numbers [count][32]
} gloss_half_panel;
typedef struct {
    const float *numbers;
    const gloss_half_panel *halves;  // two a panel
} gloss_low_rank;
// What a row adds to its sums, before the epilogue: matrix · inputs, by fused multiply-add in order from 0. No matrix:
// nothing.
typedef struct {
    const gloss_low_rank *matrix;
    const float *inputs;
} gloss_addend;
typedef struct {
    void *rows;
    int64_t stride;
    int64_t columns;
    gloss_dtype type;
    gloss_form form;
    const gloss_addend *addends;  // one a row, or null
} gloss_output;

// The formats of the two factors. F32_BF16 widens bf16 weights, which is exact.
typedef enum { GLOSS_F32_F32, GLOSS_F32_BF16, GLOSS_BF16_BF16, GLOSS_INT8_INT8 } gloss_arithmetic;
static inline gloss_arithmetic gloss_arithmetic_of(gloss_dtype x, gloss_dtype w) {
    if (x == GLOSS_INT8) return GLOSS_INT8_INT8;
    if (x == GLOSS_BF16 || x == GLOSS_BF16_SPLIT) return GLOSS_BF16_BF16;
    return w == GLOSS_BF16 ? GLOSS_F32_BF16 : GLOSS_F32_F32;
}

// Computes rows [first_row, last_row) × panels [first_panel, last_panel). Each output is summed over k in blocks of up
// to 512 words, and inside a block sequentially by fused multiply-add. In bf16 the odd number of a word comes before
// the even one. In int8 there is one exact sum. `tiled` sums bf16 in the order of AMX, in steps of 16 words: even and
// odd numbers separately, each by fused multiply-add from 0; then their sum is added. AMX is some ten times as fast at
// this as AVX-512. The other instruction sets compute the same, slowly.
void gloss_gemm(gloss_isa isa, bool tiled, const gloss_operand *x, const gloss_weights *w, const gloss_output *out,
                int64_t first_row, int64_t last_row, int64_t first_panel, int64_t last_panel);

// Whether rows for weights of bf16 may be BF16_SPLIT, and then should be. The bits are those of BF16.
bool gloss_splits_bf16(gloss_isa isa, bool tiled);
// The number of rows to pass to gloss_gemm at a time for the best speed.
int64_t gloss_rows_at_once(gloss_isa isa, bool tiled, gloss_dtype type);

// Packs the rows of a weight matrix [n][k] at `source` into F32 or BF16 panels. Row r becomes output column first + r,
// or in a gated pair (`gate` 0 or 1) first + r / 32 · 64 + 32 · gate + r % 32. Numbers are rounded only if the target
// is BF16 and the source is not.
void gloss_pack(const void *source, gloss_dtype source_type, int64_t n, int64_t k, void *packed, gloss_dtype type,
                int64_t first, int gate);
// Packs to INT8 in the same way. Each row is rotated, and its scale is the largest magnitude / 127.
void gloss_pack_int8(const void *source, gloss_dtype source_type, int64_t n, int64_t k, void *packed, float *scales,
                     int64_t first, int gate);
// Reads column `column` of packed weights, which is a row of the source, as f32 times `scale`. Exact, except that INT8
// is rotated back.
void gloss_unpack(const gloss_weights *w, int64_t column, float scale, float *out);
// The words along k: ⌈k / numbers a word⌉.
int64_t gloss_words(gloss_dtype type, int64_t k);

// Fills `size` bytes with seeded noise: bf16 in ±0.03 (F32, BF16) or any byte (INT8).
void gloss_fill_random(void *packed, size_t size, gloss_dtype type, uint64_t seed);
// The CRC-32C of some bytes. The second function also says whether all numbers in them are finite (INT8: always true).
uint32_t gloss_crc32c(const void *bytes, size_t size);
uint32_t gloss_crc32c_of_numbers(const void *bytes, size_t size, gloss_dtype type, bool *finite);
// How many of n stored numbers become NaN or infinite when they are converted to `held`, by rounding too.
int64_t gloss_count_not_finite(const void *source, gloss_dtype stored, int64_t n, gloss_dtype held);

// Stores the key or the value of a token, d numbers, as row `token` in the cache of a head, in F32 or BF16. The keys
// are weights with outputs = tokens and inputs = d. The values are weights with outputs = d and inputs = tokens,
// `capacity` of them.
void gloss_store_key(const float *key, int64_t d, void *keys, gloss_dtype type, int64_t token);
void gloss_store_value(const float *value, int64_t d, void *values, gloss_dtype type, int64_t token, int64_t capacity);

// y = (x − mean) / sqrt(var + eps) · w + b over the d numbers of each row. scratch: d floats.
void gloss_layer_norm(gloss_isa isa, const float *x, const float *w, const float *b, float eps, const gloss_target *out,
                      int64_t rows, int64_t d, float *scratch);
// y = x / sqrt(mean(x²) + eps) · (1 + w).
void gloss_rms_norm(gloss_isa isa, const float *x, const float *w, float eps, const gloss_target *out, int64_t rows,
                    int64_t d, float *scratch);
// y = x · scale, rounded to the target's type. x is F32 or BF16. scratch: d floats, for INT8 only.
void gloss_convert(gloss_isa isa, const void *x, int64_t stride, gloss_dtype type, float scale, const gloss_target *out,
                   int64_t rows, int64_t d, float *scratch);
// Multiplies x[d] in place by an orthogonal, symmetric matrix, which is its own inverse. The matrix has one Hadamard
// block for each power of two in d, the greatest first.
void gloss_rotate(gloss_isa isa, float *x, int64_t d);
// Rotates the two halves of each head of x[d] by the angles of one position: cosines and sines have d / 2 values.
void gloss_rope(gloss_isa isa, float *x, int64_t heads, int64_t head_dim, const float *cosines, const float *sines);
// y += the same norm of x.
void gloss_add_rms_norm(gloss_isa isa, const float *x, const float *w, float eps, float *y, int64_t rows, int64_t d);
// x = cap · tanh(x · scale / cap), in place. NaN stays NaN.
void gloss_soft_cap(gloss_isa isa, float *x, int64_t n, float scale, float cap);
// Indices from `first` to before `end`.
typedef struct {
    int64_t first, end;
} gloss_range;
// out = exp((x − max) · scale) for x[a] and x[b], 0 in the rest of out[width]; b begins where a ends, or later. Returns
// 1 / Σ of the stored numbers. For BF16_SPLIT the width is even.
float gloss_softmax(gloss_isa isa, const float *x, gloss_range a, gloss_range b, float scale, void *out,
                    gloss_dtype type, int64_t width);

// The first index of the largest value, or of a NaN if there is one.
int64_t gloss_argmax(gloss_isa isa, const float *x, int64_t n);
// Indices of the `count` ≤ n largest values, the largest first; of equal ones the first. Others if there is a NaN.
void gloss_top_indices(gloss_isa isa, const float *x, int64_t n, int64_t count, int64_t *indices);
// log Σ exp(x), in double.
double gloss_log_sum_exp(gloss_isa isa, const float *x, int64_t n);
// w[i] = exp((x[i] − max) / temperature). Returns the sum of w in double.
double gloss_exp_weights(gloss_isa isa, const float *x, double temperature, float *w, int64_t n);
// The first index where the running sum of exp((x − max) / temperature) exceeds uniform × its total.
int64_t gloss_draw(gloss_isa isa, const float *x, int64_t n, double temperature, double uniform);

// A stored number as f32. Exact.
float gloss_load(const void *p, gloss_dtype type, int64_t index);

// Pillow's u8 resampling along rows: out[y][o][c] = clip((2^21 + Σ_i src[y][start[o]+i][c] · k[o][i]) >> 22). in:
// [rows][width][3], out: [rows][out_width][3]. Row o of the coefficients has `taps` entries; the first `length[o]`
// count.
void gloss_resample_rows(const uint8_t *in, int64_t rows, int64_t width, uint8_t *out, int64_t out_width,
                         const int32_t *start, const int32_t *length, const int32_t *coefficients, int64_t taps);
// Pillow's resampling along columns. in: [height][row_bytes], out: [out_height][row_bytes].
void gloss_resample_columns(const uint8_t *in, int64_t row_bytes, uint8_t *out, int64_t out_height,
                            const int32_t *start, const int32_t *length, const int32_t *coefficients, int64_t taps);

// y = x ∗ w + bias for odd square kernels of `size`, with zeros around: x [channels][height][width], w
// [outputs][channels][size][size], y [outputs][height][width]. scratch: height · width floats.
void gloss_convolve(const float *x, int64_t channels, int64_t height, int64_t width, const float *w, const float *bias,
                    int64_t outputs, int64_t size, float *y, float *scratch);
// The transposed convolution of kernel 4, stride 2, padding 1: w [channels][outputs][4][4], y [outputs][2 height][2
// width]. scratch: height · width floats.
void gloss_convolve_transposed(const float *x, int64_t channels, int64_t height, int64_t width, const float *w,
                               const float *bias, int64_t outputs, float *y, float *scratch);
