// Runs all kernels on seeded noise, by each instruction set that this processor has, and prints a digest of the bits of
// each. They must be the same, by all sets and on all processors. scripts/check-arm runs it here and emulated.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "CKernels.h"

enum { SET_COUNT = 16 };
static const char *const names[SET_COUNT] = {
    [GLOSS_GENERIC] = "generic", [GLOSS_AVX2] = "avx2", [GLOSS_AVX2_BYTES] = "avx2-bytes",
    [GLOSS_AVX_VNNI] = "avx-vnni", [GLOSS_AVX512] = "avx512", [GLOSS_AVX512_VNNI] = "avx512-vnni",
    [GLOSS_AVX512_BF16] = "avx512-bf16", [GLOSS_AMX] = "amx",
    [GLOSS_NEON_DOT] = "neon-dotprod", [GLOSS_NEON_I8MM] = "neon-i8mm"};

static uint64_t digest;
static void add(const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) digest = (digest ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
}
static uint64_t state;
static float noise(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(state >> 32) / 2147483648.0f;
}
// Numbers of several sizes, so that every order of a sum has its own rounding.
static float *numbers(int64_t count) {
    float *out = malloc((size_t)count * 4 + 64);
    for (int64_t i = 0; i < count; i++) out[i] = noise() * (float)(1 + i % 7);
    return out;
}
// The least and the greatest exponent of numbers.
typedef struct {
    int low, high;
} exponents;
static float *sized(int64_t count, exponents of) {
    float *out = malloc((size_t)count * 4 + 64);
    for (int64_t i = 0; i < count; i++) {
        const int e = of.low + (int)((noise() + 1) / 2 * (float)(of.high - of.low));
        out[i] = ldexpf(noise(), e);
    }
    return out;
}

// x · wᵀ, with a bias and onto rows of the size of `rest`. Frees x and w.
static void gemm_of(gloss_isa isa, gloss_dtype type, gloss_dtype weights, bool tiled, gloss_form form, int64_t m,
                    int64_t n, int64_t k, float *x, float *w, float rest) {
    if (type == GLOSS_BF16_SPLIT && !gloss_splits_bf16(isa, tiled)) type = GLOSS_BF16;
    const int64_t panels = (n + GLOSS_PANEL - 1) / GLOSS_PANEL, words = gloss_words(weights, k);
    const int64_t stride = 4 * (k + 8), columns = form == GLOSS_GEGLU ? n / 2 : n;
    float *bias = numbers(panels * GLOSS_PANEL), *scratch = malloc(4 * k + 64);
    void *packed = calloc((size_t)(panels * words * GLOSS_PANEL), 4), *rows = calloc((size_t)m, (size_t)stride);
    float *scales = calloc((size_t)(panels * GLOSS_PANEL), 4), *row_scales = calloc((size_t)m, 4);
    int32_t *corrections = calloc((size_t)m, 4);
    float *y = numbers(m * columns);
    for (int64_t i = 0; i < panels * GLOSS_PANEL; i++) bias[i] *= rest;
    for (int64_t i = 0; i < m * columns; i++) y[i] *= rest;
    if (weights == GLOSS_INT8) gloss_pack_int8(w, GLOSS_F32, n, k, packed, scales, 0, -1);
    else gloss_pack(w, GLOSS_F32, n, k, packed, weights, 0, -1);
    const gloss_target target = {rows, stride, type, row_scales, corrections};
    gloss_convert(isa, x, 4 * k, GLOSS_F32, 1, &target, m, k, scratch);
    const gloss_operand operand = {rows, stride, type, row_scales, corrections};
    const gloss_weights matrix = {packed, scales, form == GLOSS_GEGLU ? 0 : bias, n, k, words, weights};
    const gloss_output out = {y, 4 * columns, columns, GLOSS_F32, form, 0};
    gloss_gemm(isa, tiled, &operand, &matrix, &out, 0, m, 0, panels);
    add(y, (size_t)(m * columns * 4));
    free(w), free(x), free(bias), free(scratch), free(packed), free(rows), free(scales), free(row_scales);
    free(corrections), free(y);
}
static void gemm(gloss_isa isa, gloss_dtype type, gloss_dtype weights, bool tiled, gloss_form form, int64_t m, int64_t n,
                 int64_t k) {
    float *w = numbers(n * k), *x = numbers(m * k);
    gemm_of(isa, type, weights, tiled, form, m, n, k, x, w, 1);
}

// The largest sums of int8.
static void extremes(gloss_isa isa, int64_t m) {
    const int64_t k = GLOSS_INT8_INPUTS, n = GLOSS_PANEL;
    uint8_t *packed = malloc((size_t)(k * n));
    int8_t *rows = malloc((size_t)(m * k));
    float scales[GLOSS_PANEL], *y = calloc((size_t)(m * n), 4);
    int32_t corrections[GLOSS_PANEL];
    for (int64_t i = 0; i < k * n; i++) packed[i] = noise() < 0.9f ? 255 : 0;
    for (int64_t r = 0; r < m; r++) {
        int32_t total = 0;
        for (int64_t i = 0; i < k; i++) total += rows[r * k + i] = noise() < 0.9f ? 127 : -127;
        corrections[r] = -128 * total;
    }
    for (int i = 0; i < GLOSS_PANEL; i++) scales[i] = 1;
    const gloss_operand operand = {rows, k, GLOSS_INT8, scales, corrections};
    const gloss_weights matrix = {packed, scales, 0, n, k, k / 4, GLOSS_INT8};
    const gloss_output out = {y, 4 * n, n, GLOSS_F32, GLOSS_STORE, 0};
    gloss_gemm(isa, false, &operand, &matrix, &out, 0, m, 0, 1);
    add(y, (size_t)(m * n * 4));
    free(packed), free(rows), free(y);
}

typedef struct {
    gloss_dtype x, w;
    bool tiled;
} kind;
static const kind kinds[] = {{GLOSS_F32, GLOSS_F32, false},  {GLOSS_F32, GLOSS_BF16, false}, {GLOSS_BF16, GLOSS_BF16, false},
                             {GLOSS_BF16, GLOSS_BF16, true}, {GLOSS_INT8, GLOSS_INT8, false}, {GLOSS_INT8, GLOSS_INT8, true},
                             {GLOSS_BF16_SPLIT, GLOSS_BF16, false}};
static void products(gloss_isa isa) {
    static const int64_t shapes[][3] = {{1, 1, 1},     {2, 63, 7},    {5, 64, 511},  {6, 65, 512},  {7, 130, 513},
                                        {13, 48, 100}, {50, 17, 33},  {3, 70, 1100}, {9, 70, 2050}, {1, 66, 700},
                                        {11, 70, 21},  {100, 66, 40}, {4, 128, 38}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++) {
            const gloss_form form = j % 3 == 0 ? GLOSS_ADD : j % 3 == 1 ? GLOSS_GELU : GLOSS_STORE;
            const int64_t *s = shapes[j];
            gemm(isa, kinds[i].x, kinds[i].w, kinds[i].tiled, s[1] == 128 ? GLOSS_GEGLU : form, s[0], s[1], s[2]);
        }
    extremes(isa, 1);
    extremes(isa, 5);
}
// Where numbers, products and sums are subnormal: 0 to all.
static void subnormals(gloss_isa isa) {
    static const exponents factors[][2] = {{{-140, -120}, {-10, 30}}, {{-66, -58}, {-68, -60}}, {{-149, -126}, {0, 125}}};
    const int64_t m = 13, n = 70, k = 300;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (size_t j = 0; j < sizeof factors / sizeof *factors; j++)
            for (gloss_form form = GLOSS_STORE; form <= GLOSS_GELU; form++) {
                float *x = sized(m * k, factors[j][0]), *w = sized(n * k, factors[j][1]);
                gemm_of(isa, kinds[i].x, kinds[i].w, kinds[i].tiled, form, m, n, k, x, w, 0x1p-130f);
            }
}

// Kernels that work on a row.
static void rows(gloss_isa isa, int64_t d) {
    const int64_t count = 3;
    float *x = numbers(count * d), *w = numbers(d), *b = numbers(d), *scratch = malloc(4 * d + 64), *y = numbers(count * d);
    float row_scales[3];
    int32_t corrections[3];
    static const gloss_dtype types[] = {GLOSS_F32, GLOSS_BF16, GLOSS_INT8};
    static const int64_t sizes[] = {4, 2, 1};
    for (int t = 0; t < 3; t++) {
        const gloss_target target = {y, 4 * d, types[t], row_scales, corrections};
        for (int kernel = 0; kernel < 3; kernel++) {
            if (kernel == 0) gloss_layer_norm(isa, x, w, b, 1e-6f, &target, count, d, scratch);
            if (kernel == 1) gloss_rms_norm(isa, x, w, 1e-6f, &target, count, d, scratch);
            if (kernel == 2) gloss_convert(isa, x, 4 * d, GLOSS_F32, 0.7f, &target, count, d, scratch);
            for (int64_t r = 0; r < count; r++) add((char *)y + r * 4 * d, (size_t)(d * sizes[t]));
            if (types[t] == GLOSS_INT8) add(row_scales, sizeof row_scales), add(corrections, sizeof corrections);
        }
    }
    for (int64_t i = 0; i < count * d; i++) y[i] = x[count * d - 1 - i];
    gloss_add_rms_norm(isa, x, w, 1e-6f, y, count, d);
    gloss_soft_cap(isa, x, d, 0.5f, 30);
    gloss_rotate(isa, x, d);
    add(x, (size_t)(count * d * 4)), add(y, (size_t)(count * d * 4));
    const gloss_range first = {0, d / 2}, second = {d / 2 + d / 8, d};
    const float inverse = gloss_softmax(isa, x, first, second, 0.3f, y, GLOSS_F32, d);
    add(y, (size_t)d * 4), add(&inverse, 4);
    const float narrow = gloss_softmax(isa, x, first, second, 0.3f, y, GLOSS_BF16, d);
    add(y, (size_t)d * 2), add(&narrow, 4);
    const int64_t pairs = d / 2 * 2;
    gloss_softmax(isa, x, (gloss_range){0, pairs / 2}, (gloss_range){pairs / 2, pairs}, 0.3f, y, GLOSS_BF16_SPLIT, pairs);
    add(y, (size_t)pairs * 4);
    int64_t indices[5] = {gloss_argmax(isa, x, d), gloss_draw(isa, x, d, 0.8, 0.4)};
    gloss_top_indices(isa, x, d, d < 3 ? d : 3, indices + 2);
    // The C library's logarithm differs in its last bit.
    const float sums[2] = {(float)gloss_log_sum_exp(isa, x, d), (float)gloss_exp_weights(isa, x, 0.9, y, d)};
    add(indices, sizeof(int64_t) * (size_t)(d < 3 ? 2 + d : 5)), add(sums, sizeof sums), add(y, (size_t)d * 4);
    free(x), free(w), free(b), free(scratch), free(y);
}
static void rope(gloss_isa isa, int64_t heads, int64_t head) {
    float *x = numbers(heads * head), *cosines = numbers(head / 2), *sines = numbers(head / 2);
    gloss_rope(isa, x, heads, head, cosines, sines);
    add(x, (size_t)(heads * head * 4));
    free(x), free(cosines), free(sines);
}

int main(void) {
    uint64_t expected = 0;
    int status = 0;
    for (int isa = 0; isa < SET_COUNT; isa++) {
        if (!names[isa] || !gloss_has_isa((gloss_isa)isa)) continue;
        digest = 14695981039346656037u, state = 1;
        products((gloss_isa)isa);
        subnormals((gloss_isa)isa);
        static const int64_t sizes[] = {1, 5, 16, 72, 100, 1152, 2049};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) rows((gloss_isa)isa, sizes[i]);
        rope((gloss_isa)isa, 3, 72), rope((gloss_isa)isa, 2, 256);
        printf("%s %016" PRIx64 "\n", names[isa], digest);
        if (isa == GLOSS_GENERIC) expected = digest;
        if (digest != expected) status = 1;
    }
    printf("chosen: %s, refused: %u\n", names[gloss_best_isa()], gloss_refused_isas());
    return status || gloss_refused_isas() != 0;
}
