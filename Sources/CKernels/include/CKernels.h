// Kernels of the inference engine, in f32.
//
// Every result is a fixed sequence of IEEE operations (explicit fused multiply-adds, no contraction, own exp), the same
// in each instruction set and independent of how many rows are computed together: a row alone and the same row in any
// batch are bit-identical, whatever the instruction set.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pool.h"

// Number formats of stored weights.
typedef enum { GLOSS_F32 = 0, GLOSS_BF16 = 1, GLOSS_F16 = 2 } gloss_dtype;

// Columns of one packed weight panel.
enum { GLOSS_PANEL = 64 };

// Instruction sets, slowest first; all give the same bits.
typedef enum { GLOSS_GENERIC = 0, GLOSS_AVX2 = 1, GLOSS_AVX512 = 2 } gloss_isa;
gloss_isa gloss_best_isa(void);

// Packs rows [row, row + rows) of a weight matrix, stored as [n][k] at `source`, into the column panels of `packed`,
// starting at output column `column`. `packed` is [panels][k][GLOSS_PANEL], with a zeroed last panel; its type is f32,
// or bf16 when `bf16` is set (then the source must be bf16: nothing is rounded).
void gloss_pack(const void *source, gloss_dtype source_type, int64_t n, int64_t k, void *packed, bool bf16, int64_t column);

// y[m][ldy] = x[m][ldx] · Wᵀ (+ bias) (+ y when accumulate) for the output columns of panels [first, last).
// Each output is summed over k in blocks of 512, sequentially by fused multiply-add inside a block.
void gloss_gemm(gloss_isa isa, const float *x, int64_t ldx, const void *packed, bool bf16, int64_t n, int64_t k,
                const float *bias, bool accumulate, float *y, int64_t ldy, int64_t m, int64_t first, int64_t last);

// y = (x − mean) / sqrt(var + eps) · w + b over d, a row at a time.
void gloss_layer_norm(gloss_isa isa, const float *x, const float *w, const float *b, float eps, float *y, int64_t rows, int64_t d);
// y = x / sqrt(mean(x²) + eps) · (1 + w).
void gloss_rms_norm(gloss_isa isa, const float *x, const float *w, float eps, float *y, int64_t rows, int64_t d);
// x = gelu_tanh(x), n values.
void gloss_gelu(gloss_isa isa, float *x, int64_t n);
// y[r][d] = gelu_tanh(x[r][0..d]) · x[r][d..2d].
void gloss_geglu(gloss_isa isa, const float *x, float *y, int64_t rows, int64_t d);
// Rotates the two halves of each head of x[d] by the angles of one position: cosines and sines have d / 2 values.
void gloss_rope(gloss_isa isa, float *x, int64_t heads, int64_t head_dim, const float *cosines, const float *sines);

// One run of keys and values that a query attends to: rows of `stride` floats, zero-padded after head_dim.
typedef struct { const float *keys, *values; int64_t count; } gloss_segment;
// Attention of `rows` queries [rows][stride] over the concatenation of the segments, all of it visible; out like queries.
// stride is a multiple of 16; scores is scratch of 4 × (sum of counts) floats.
void gloss_attention(gloss_isa isa, const float *queries, int64_t rows, const gloss_segment *segments, int64_t segment_count,
                     int64_t stride, float scale, float *scores, float *out);

// The largest value's first index (or that of a NaN), and log Σ exp(x) in double.
int64_t gloss_argmax(const float *x, int64_t n);
double gloss_log_sum_exp(gloss_isa isa, const float *x, int64_t n);
// w[i] = exp((x[i] − max) / temperature); returns their sum, in double.
double gloss_exp_weights(gloss_isa isa, const float *x, double temperature, float *w, int64_t n);

// One stored number as f32, exactly.
float gloss_load(const void *p, gloss_dtype type, int64_t index);

// Pillow's u8 resampling along rows: out[y][o][c] = clip((2^21 + Σ_i src[y][start[o]+i][c] · k[o][i]) >> 22).
// in: [rows][width][3], out: [rows][out_width][3]; coefficient row o has `taps` entries, `length[o]` of them used.
void gloss_resample_rows(const uint8_t *in, int64_t rows, int64_t width, uint8_t *out, int64_t out_width,
                         const int32_t *start, const int32_t *length, const int32_t *coefficients, int64_t taps);
// The same along columns. in: [height][row_bytes], out: [out_height][row_bytes].
void gloss_resample_columns(const uint8_t *in, int64_t row_bytes, uint8_t *out, int64_t out_height,
                            const int32_t *start, const int32_t *length, const int32_t *coefficients, int64_t taps);
