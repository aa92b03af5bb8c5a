// Chooses the instruction set: the fastest one that the processor has and that computes what it should. Nobody has
// every processor, so each process tries its own.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "CKernels.h"

// Whole tiles of rows, more columns than a panel, more numbers than a block of k, and a rest of each.
enum { ROWS = 2 * GLOSS_TILE_ROWS, OUTPUTS = GLOSS_PANEL + 6, MOST_INPUTS = 1035, STRIDE = 4 * (MOST_INPUTS + 1) };
typedef struct {
    gloss_dtype x, w;
    int64_t inputs;
} factors;
static const factors products[] = {
    {GLOSS_F32, GLOSS_F32, 523}, {GLOSS_F32, GLOSS_BF16, 523}, {GLOSS_BF16, GLOSS_BF16, 1035},
    {GLOSS_BF16_SPLIT, GLOSS_BF16, 1035}, {GLOSS_INT8, GLOSS_INT8, 1035}};

// The product of seeded noise.
static void multiply(gloss_isa isa, bool tiled, factors of, float y[ROWS * OUTPUTS]) {
    if (of.x == GLOSS_BF16_SPLIT && !gloss_splits_bf16(isa, tiled)) of.x = GLOSS_BF16;
    const int64_t panels = (OUTPUTS + GLOSS_PANEL - 1) / GLOSS_PANEL, words = gloss_words(of.w, of.inputs);
    const size_t size = (size_t)(panels * words * GLOSS_PANEL * 4);
    float *noise = malloc(ROWS * STRIDE), *scratch = malloc(STRIDE), scales[2 * GLOSS_PANEL], row_scales[ROWS];
    int32_t corrections[ROWS];
    void *packed = malloc(size), *rows = calloc(ROWS, STRIDE);
    if (!noise || !scratch || !packed || !rows) abort();  // 200 KB: nobody could go on
    gloss_fill_random(packed, size, of.w, 1);
    gloss_fill_random(noise, ROWS * STRIDE, GLOSS_F32, 2);
    // Numbers of several sizes, so that every order of a sum has its own rounding.
    for (int i = 0; i < ROWS * STRIDE / 4; i++) noise[i] *= (float)(i % 101);
    for (int i = 0; i < 2 * GLOSS_PANEL; i++) scales[i] = 1e-3f * (float)(i + 1);
    const gloss_target target = {rows, STRIDE, of.x, row_scales, corrections};
    gloss_convert(isa, noise, STRIDE, GLOSS_F32, 1, &target, ROWS, of.inputs, scratch);
    const gloss_operand x = {rows, STRIDE, of.x, row_scales, corrections};
    const gloss_weights w = {packed, scales, 0, OUTPUTS, of.inputs, words, of.w};
    const gloss_output out = {y, OUTPUTS * 4, OUTPUTS, GLOSS_F32, GLOSS_GELU, 0};
    gloss_gemm(isa, tiled, &x, &w, &out, 0, ROWS, 0, panels);
    free(noise), free(scratch), free(packed), free(rows);
}
bool gloss_same_products(gloss_isa a, bool a_tiled, gloss_isa b, bool b_tiled) {
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++) {
        float first[ROWS * OUTPUTS], second[ROWS * OUTPUTS];
        multiply(a, a_tiled, products[i], first);
        multiply(b, b_tiled, products[i], second);
        if (memcmp(first, second, sizeof first)) return false;
    }
    return true;
}

static bool is_right(gloss_isa isa) {
    return gloss_same_products(isa, false, GLOSS_GENERIC, false)
        && (isa != GLOSS_AMX || gloss_same_products(isa, true, GLOSS_GENERIC, true));
}
// Intel's VDPBF16PS takes longer than the two multiply-adds of f32 that do the same, except Cooper Lake's. Without VPDPBUSD,
// bytes.h is faster than VPMADDWD where that has one port: on Zen 1 and Zen 2.
static bool is_slow(gloss_isa isa) {
#if defined(__x86_64__)
    if (isa == GLOSS_AVX2_BYTES) return !__builtin_cpu_is("znver1") && !__builtin_cpu_is("znver2");
    return isa == GLOSS_AVX512_BF16 && __builtin_cpu_is("intel") && !__builtin_cpu_is("cooperlake");
#else
    (void)isa;
    return false;
#endif
}

// The best set and the refused ones, in one word: 1 + best, and the refused from bit 8 on. 0: not known yet. Threads
// that find it at the same time find the same.
static unsigned choice(void) {
    static atomic_uint known;
    unsigned found = atomic_load_explicit(&known, memory_order_relaxed);
    if (found) return found;
    gloss_isa isa = GLOSS_NEON_I8MM;
    for (; isa != GLOSS_GENERIC; isa--) {
        if (!gloss_has_isa(isa) || is_slow(isa)) continue;
        if (is_right(isa)) break;
        found |= 1u << (8 + isa);
    }
    found |= 1 + (unsigned)isa;
    atomic_store_explicit(&known, found, memory_order_relaxed);
    return found;
}
gloss_isa gloss_best_isa(void) { return (gloss_isa)((choice() & 0xff) - 1); }
unsigned gloss_refused_isas(void) { return choice() >> 8; }
