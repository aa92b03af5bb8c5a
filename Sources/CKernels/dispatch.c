// Chooses the instruction set at run time.
#include "CKernels.h"

#define DECLARE(isa)                                                                                                          \
    void gloss_##isa##_gemm(const float *, int64_t, const void *, bool, int64_t, int64_t, const float *, bool, float *,      \
                            int64_t, int64_t, int64_t, int64_t);                                                             \
    void gloss_##isa##_layer_norm(const float *, const float *, const float *, float, float *, int64_t, int64_t);            \
    void gloss_##isa##_rms_norm(const float *, const float *, float, float *, int64_t, int64_t);                             \
    void gloss_##isa##_gelu(float *, int64_t);                                                                               \
    void gloss_##isa##_geglu(const float *, float *, int64_t, int64_t);                                                      \
    void gloss_##isa##_rope(float *, int64_t, int64_t, const float *, const float *);                                        \
    void gloss_##isa##_attention(const float *, int64_t, const gloss_segment *, int64_t, int64_t, float, float *, float *);  \
    double gloss_##isa##_log_sum_exp(const float *, int64_t);                                                                \
    double gloss_##isa##_exp_weights(const float *, double, float *, int64_t);
DECLARE(generic)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx512)
#define DISPATCH(call)                                      \
    switch (isa) {                                          \
    case GLOSS_AVX512: return gloss_avx512_##call;          \
    case GLOSS_AVX2: return gloss_avx2_##call;              \
    default: return gloss_generic_##call;                   \
    }
#else
#define DISPATCH(call) (void)isa; return gloss_generic_##call;
#endif

gloss_isa gloss_best_isa(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return GLOSS_GENERIC;
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl");
    return wide ? GLOSS_AVX512 : GLOSS_AVX2;
#else
    return GLOSS_GENERIC;
#endif
}

void gloss_gemm(gloss_isa isa, const float *x, int64_t ldx, const void *packed, bool bf16, int64_t n, int64_t k, const float *bias,
                bool accumulate, float *y, int64_t ldy, int64_t m, int64_t first, int64_t last) {
    DISPATCH(gemm(x, ldx, packed, bf16, n, k, bias, accumulate, y, ldy, m, first, last))
}
void gloss_layer_norm(gloss_isa isa, const float *x, const float *w, const float *b, float eps, float *y, int64_t rows, int64_t d) {
    DISPATCH(layer_norm(x, w, b, eps, y, rows, d))
}
void gloss_rms_norm(gloss_isa isa, const float *x, const float *w, float eps, float *y, int64_t rows, int64_t d) {
    DISPATCH(rms_norm(x, w, eps, y, rows, d))
}
void gloss_gelu(gloss_isa isa, float *x, int64_t n) { DISPATCH(gelu(x, n)) }
void gloss_geglu(gloss_isa isa, const float *x, float *y, int64_t rows, int64_t d) { DISPATCH(geglu(x, y, rows, d)) }
void gloss_rope(gloss_isa isa, float *x, int64_t heads, int64_t head_dim, const float *cosines, const float *sines) {
    DISPATCH(rope(x, heads, head_dim, cosines, sines))
}
void gloss_attention(gloss_isa isa, const float *q, int64_t rows, const gloss_segment *segments, int64_t segment_count, int64_t stride,
                     float scale, float *scores, float *out) {
    DISPATCH(attention(q, rows, segments, segment_count, stride, scale, scores, out))
}
double gloss_log_sum_exp(gloss_isa isa, const float *x, int64_t n) { DISPATCH(log_sum_exp(x, n)) }
double gloss_exp_weights(gloss_isa isa, const float *x, double temperature, float *w, int64_t n) {
    DISPATCH(exp_weights(x, temperature, w, n))
}
