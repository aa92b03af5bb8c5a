// Calls the kernels of an instruction set, and tells which ones the processor has.
#include <stdatomic.h>
#include <stdlib.h>
#include "CKernels.h"

// DECLARE(isa) declares the functions that body.h defines for an instruction set. DISPATCH(call) calls
// gloss_<isa>_<call> of the set `isa` and returns its value.
#define DECLARE(isa)                                                                                                   \
    void gloss_##isa##_gemm(bool, const gloss_operand *, const gloss_weights *, const gloss_output *, int64_t,         \
                            int64_t, int64_t, int64_t);                                                                \
    void gloss_##isa##_layer_norm(const float *, const float *, const float *, float, const gloss_target *,            \
                                  int64_t, int64_t, float *);                                                          \
    void gloss_##isa##_rms_norm(const float *, const float *, float, const gloss_target *, int64_t, int64_t, float *); \
    void gloss_##isa##_convert(const void *, int64_t, gloss_dtype, float, const gloss_target *, int64_t, int64_t,      \
                               float *);                                                                               \
    void gloss_##isa##_rotate(float *, int64_t);                                                                       \
    void gloss_##isa##_rope(float *, int64_t, int64_t, const float *, const float *);                                  \
    void gloss_##isa##_add_rms_norm(const float *, const float *, float, float *, int64_t, int64_t);                   \
    void gloss_##isa##_soft_cap(float *, int64_t, float, float);                                                       \
    float gloss_##isa##_softmax(const float *, gloss_range, gloss_range, float, void *, gloss_dtype, int64_t);         \
    int64_t gloss_##isa##_argmax(const float *, int64_t);                                                              \
    void gloss_##isa##_top_indices(const float *, int64_t, int64_t, int64_t *);                                        \
    double gloss_##isa##_log_sum_exp(const float *, int64_t);                                                          \
    double gloss_##isa##_exp_weights(const float *, double, float *, int64_t);                                         \
    int64_t gloss_##isa##_draw(const float *, int64_t, double, double);
DECLARE(generic)
#if defined(__x86_64__)
DECLARE(avx2)
DECLARE(avx2bytes)
DECLARE(avxvnni)
DECLARE(avx512)
DECLARE(avx512vnni)
DECLARE(avx512bf16)
DECLARE(amx)
#define DISPATCH(call)                                        \
    switch (isa) {                                            \
    case GLOSS_AMX: return gloss_amx_##call;                  \
    case GLOSS_AVX512_BF16: return gloss_avx512bf16_##call;   \
    case GLOSS_AVX512_VNNI: return gloss_avx512vnni_##call;   \
    case GLOSS_AVX512: return gloss_avx512_##call;            \
    case GLOSS_AVX_VNNI: return gloss_avxvnni_##call;         \
    case GLOSS_AVX2_BYTES: return gloss_avx2bytes_##call;     \
    case GLOSS_AVX2: return gloss_avx2_##call;                \
    default: return gloss_generic_##call;                     \
    }
#elif defined(__aarch64__)
DECLARE(neondot)
DECLARE(neoni8mm)
#define DISPATCH(call)                                        \
    switch (isa) {                                            \
    case GLOSS_NEON_I8MM: return gloss_neoni8mm_##call;       \
    case GLOSS_NEON_DOT: return gloss_neondot_##call;         \
    default: return gloss_generic_##call;                     \
    }
#else
#define DISPATCH(call) (void)isa; return gloss_generic_##call;
#endif

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

// Whether the CPU has AMX-BF16, AMX-TILE and AMX-INT8, and Linux permits them. The permission is for the whole
// process, and is requested once.
static bool asked_for_tiles(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
    unsigned a, b, c, d;
    const unsigned all = 1u << 22 | 1u << 24 | 1u << 25;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & all) != all) return false;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}
static bool has_tiles(void) {
    static atomic_int known;
    int state = atomic_load_explicit(&known, memory_order_relaxed);
    if (!state) atomic_store_explicit(&known, state = asked_for_tiles() ? 1 : 2, memory_order_relaxed);
    return state == 1;
}
#elif defined(__x86_64__)
static bool has_tiles(void) { return false; }
#endif

#if defined(__x86_64__)
// Leaf 7 has a second part where the first says so.
static bool has_avx_vnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)
        && a & 1u << 4;
}
#endif
bool gloss_has_isa(gloss_isa isa) {
#if defined(__x86_64__)
    // __builtin_cpu_supports also asks whether the system saves the registers.
    __builtin_cpu_init();
    const bool fused = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool wide = fused && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    const bool dot = wide && __builtin_cpu_supports("avx512vnni");
    switch (isa) {
    case GLOSS_AVX2:
    case GLOSS_AVX2_BYTES: return fused;
    case GLOSS_AVX_VNNI: return fused && has_avx_vnni();
    case GLOSS_AVX512: return wide;
    case GLOSS_AVX512_VNNI: return dot;
    case GLOSS_AVX512_BF16: return dot && __builtin_cpu_supports("avx512bf16");
    case GLOSS_AMX: return dot && has_tiles();
    case GLOSS_GENERIC: return true;
    default: return false;
    }
#elif defined(__aarch64__) && defined(__linux__)
    const bool dot = getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
    switch (isa) {
    case GLOSS_NEON_DOT: return dot;
    case GLOSS_NEON_I8MM: return dot && getauxval(AT_HWCAP2) & HWCAP2_I8MM;
    case GLOSS_GENERIC: return true;
    default: return false;
    }
#else
    return isa == GLOSS_GENERIC;
#endif
}

// VDPBF16PS and AMX read and write subnormal numbers as 0 in every mode. In this mode all other instructions do so,
// too.
typedef uint64_t float_mode;
#if defined(__x86_64__)
enum { DENORMALS_ARE_ZEROS = 1 << 6, FLUSH_TO_ZERO = 1 << 15 };
static float_mode flush_subnormals(void) {
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | DENORMALS_ARE_ZEROS | FLUSH_TO_ZERO);
    return before;
}
static void restore(float_mode mode) { __builtin_ia32_ldmxcsr((unsigned)mode); }
#elif defined(__aarch64__)
static float_mode flush_subnormals(void) {
    const float_mode before = __builtin_arm_rsr64("fpcr");
    __builtin_arm_wsr64("fpcr", before | 1 << 24);
    return before;
}
static void restore(float_mode mode) { __builtin_arm_wsr64("fpcr", mode); }
#else
static float_mode flush_subnormals(void) { return 0; }
static void restore(float_mode mode) { (void)mode; }
#endif

// The calls are to other files, so that the compiler cannot move arithmetic out of the mode.
static void multiply(gloss_isa isa, bool tiled, const gloss_operand *x, const gloss_weights *w, const gloss_output *out,
                     int64_t first_row, int64_t last_row, int64_t first_panel, int64_t last_panel) {
    DISPATCH(gemm(tiled, x, w, out, first_row, last_row, first_panel, last_panel))
}
void gloss_gemm(gloss_isa isa, bool tiled, const gloss_operand *x, const gloss_weights *w, const gloss_output *out,
                int64_t first_row, int64_t last_row, int64_t first_panel, int64_t last_panel) {
    // No other kernel knows such rows.
    if (x->type == GLOSS_BF16_SPLIT && !(w->type == GLOSS_BF16 && gloss_splits_bf16(isa, tiled))) abort();
    const float_mode mode = flush_subnormals();
    multiply(isa, tiled, x, w, out, first_row, last_row, first_panel, last_panel);
    restore(mode);
}
void gloss_layer_norm(gloss_isa isa, const float *x, const float *w, const float *b, float eps, const gloss_target *out,
                      int64_t rows, int64_t d, float *scratch) {
    DISPATCH(layer_norm(x, w, b, eps, out, rows, d, scratch))
}
void gloss_rms_norm(gloss_isa isa, const float *x, const float *w, float eps, const gloss_target *out, int64_t rows,
                    int64_t d, float *scratch) {
    DISPATCH(rms_norm(x, w, eps, out, rows, d, scratch))
}
void gloss_convert(gloss_isa isa, const void *x, int64_t stride, gloss_dtype type, float scale, const gloss_target *out,
                   int64_t rows, int64_t d, float *scratch) {
    DISPATCH(convert(x, stride, type, scale, out, rows, d, scratch))
}
void gloss_rotate(gloss_isa isa, float *x, int64_t d) { DISPATCH(rotate(x, d)) }
void gloss_rope(gloss_isa isa, float *x, int64_t heads, int64_t head_dim, const float *cosines, const float *sines) {
    DISPATCH(rope(x, heads, head_dim, cosines, sines))
}
void gloss_add_rms_norm(gloss_isa isa, const float *x, const float *w, float eps, float *y, int64_t rows, int64_t d) {
    DISPATCH(add_rms_norm(x, w, eps, y, rows, d))
}
void gloss_soft_cap(gloss_isa isa, float *x, int64_t n, float scale, float cap) {
    DISPATCH(soft_cap(x, n, scale, cap))
}
float gloss_softmax(gloss_isa isa, const float *x, gloss_range a, gloss_range b, float scale, void *out,
                    gloss_dtype type, int64_t width) {
    DISPATCH(softmax(x, a, b, scale, out, type, width))
}
int64_t gloss_argmax(gloss_isa isa, const float *x, int64_t n) { DISPATCH(argmax(x, n)) }
void gloss_top_indices(gloss_isa isa, const float *x, int64_t n, int64_t count, int64_t *indices) {
    DISPATCH(top_indices(x, n, count, indices))
}
double gloss_log_sum_exp(gloss_isa isa, const float *x, int64_t n) { DISPATCH(log_sum_exp(x, n)) }
double gloss_exp_weights(gloss_isa isa, const float *x, double temperature, float *w, int64_t n) {
    DISPATCH(exp_weights(x, temperature, w, n))
}
int64_t gloss_draw(gloss_isa isa, const float *x, int64_t n, double temperature, double uniform) {
    DISPATCH(draw(x, n, temperature, uniform))
}
bool gloss_splits_bf16(gloss_isa isa, bool tiled) { return isa != GLOSS_AVX512_BF16 && !tiled; }
int64_t gloss_rows_at_once(gloss_isa isa, bool tiled, gloss_dtype type) {
    const bool by_tiles = (tiled && type == GLOSS_BF16) || (type == GLOSS_INT8 && isa == GLOSS_AMX);
    return by_tiles ? GLOSS_TILED_ROWS : GLOSS_ROW_CHUNK;
}
