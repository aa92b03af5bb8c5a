// Vectors of sixteen lanes and the functions on them. Included once for each instruction set.
#include <math.h>
#include <string.h>
#include "CKernels.h"

typedef float v16 __attribute__((vector_size(64)));
typedef float v16u __attribute__((vector_size(64), aligned(4)));
typedef int32_t i16 __attribute__((vector_size(64)));
typedef int32_t i16u __attribute__((vector_size(64), aligned(4)));
typedef uint32_t u16v __attribute__((vector_size(64)));
typedef uint16_t h16u __attribute__((vector_size(32), aligned(2)));
typedef int8_t b16u __attribute__((vector_size(16), aligned(1)));
typedef double d16 __attribute__((vector_size(128)));

#define INLINE static inline __attribute__((always_inline))
#define FMA(a, b, c) __builtin_elementwise_fma(a, b, c)

INLINE v16 splat(float x) { return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE i16 splat_word(int32_t x) { return (i16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE v16 load(const float *p) { return *(const v16u *)p; }
INLINE void store(float *p, v16 v) { *(v16u *)p = v; }
INLINE v16 load_n(const float *p, int64_t n) {
    if (n >= 16) return load(p);
    v16 v = splat(0);
    memcpy(&v, p, (size_t)n * sizeof(float));
    return v;
}
INLINE void store_n(float *p, v16 v, int64_t n) {
    if (n >= 16) store(p, v);
    else memcpy(p, &v, (size_t)n * sizeof(float));
}
INLINE v16 widen(const uint16_t *p) { return (v16)(__builtin_convertvector(*(const h16u *)p, u16v) << 16); }
// Rounds to the nearest bf16, ties to even. NaN stays NaN.
INLINE v16 round_bf16(v16 v) {
    u16v bits = (u16v)v, rounded = bits + 0x7fff + (bits >> 16 & 1), nan = (u16v)(v != v);
    return (v16)(((nan & (bits | 0x400000)) | (~nan & rounded)) & 0xffff0000);
}
// The same of what is no NaN.
INLINE v16 round_number_bf16(v16 v) {
    u16v bits = (u16v)v;
    return (v16)((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}
INLINE h16u narrow(v16 v) { return __builtin_convertvector((u16v)round_bf16(v) >> 16, h16u); }
// Of each two the second first, as GLOSS_BF16_SPLIT has them.
INLINE v16 swap_pairs(v16 v) {
    return __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
}
INLINE void store_bf16(uint16_t *p, v16 v, int64_t n) {
    h16u h = narrow(v);
    if (n >= 16) *(h16u *)p = h;
    else memcpy(p, &h, (size_t)n * sizeof(uint16_t));
}
// Keeps the first n lanes and sets the others to 0.
INLINE v16 keep(v16 v, int64_t n) {
    const i16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return n >= 16 ? v : (v16)((i16)v & (lane < splat_word((int32_t)n)));
}

// The sum of the lanes, always by the same tree.
INLINE float sum(v16 v) {
    for (int w = 8; w; w /= 2)
        for (int i = 0; i < w; i++) v[i] += v[i + w];
    return v[0];
}
INLINE float largest(v16 v) {
    float m = v[0];
    for (int i = 1; i < 16; i++) m = v[i] > m ? v[i] : m;
    return m;
}

// exp for −87.3 ≤ x ≤ 88, by Cephes' expf polynomial. 2 ulp. Beyond them any number.
INLINE v16 exp_within(v16 x) {
    const v16 magic = splat(12582912.0f);  // 1.5 · 2^23: adding it rounds to an integer, which is then in the low bits
    v16 shifted = FMA(x, splat(1.44269504088896341f), magic), n = shifted - magic;
    v16 r = FMA(n, splat(-0.693359375f), x);
    r = FMA(n, splat(2.12194440e-4f), r);
    v16 p = splat(1.9875691500e-4f);
    p = FMA(p, r, splat(1.3981999507e-3f));
    p = FMA(p, r, splat(8.3334519073e-3f));
    p = FMA(p, r, splat(4.1665795894e-2f));
    p = FMA(p, r, splat(1.6666665459e-1f));
    p = FMA(p, r, splat(5.0000001201e-1f));
    p = FMA(p, r * r, r) + splat(1.0f);
    return (v16)((u16v)p + ((u16v)shifted << 23));  // p · 2^n; both are normal numbers
}
INLINE v16 either(i16 first, v16 a, v16 b) { return (v16)((first & (i16)a) | (~first & (i16)b)); }
INLINE v16 at_least(v16 x, float low) { return either(x > splat(low), x, splat(low)); }
INLINE v16 at_most(v16 x, float high) { return either(x < splat(high), x, splat(high)); }
// exp for x ≤ 88; 0 below −87.3 and of NaN.
INLINE v16 exp16(v16 x) { return (v16)((i16)exp_within(x) & (x >= splat(-87.3f))); }
// tanh, by Cephes' tanhf: a polynomial up to 0.625, 1 − 2 / (exp(2x) + 1) beyond. 2 ulp.
INLINE v16 tanh16(v16 x) {
    v16 size = (v16)((i16)x & 0x7fffffff), z = x * x;
    v16 p = splat(-5.70498872745e-3f);
    p = FMA(p, z, splat(2.06390887954e-2f));
    p = FMA(p, z, splat(-5.37397155531e-2f));
    p = FMA(p, z, splat(1.33314422036e-1f));
    p = FMA(p, z, splat(-3.33332819422e-1f));
    p = FMA(p * z, x, x);
    v16 far = splat(1.0f) - splat(2.0f) / (splat(1.0f) + exp_within(at_most(size + size, 88.0f)));
    return either(size > splat(0.625f), (v16)((i16)far | ((i16)x & (int32_t)0x80000000)), p);
}
// x · (1 + tanh(u)) / 2 = x / (1 + exp(−2u)), u = sqrt(2/π) (x + 0.044715 x³).
INLINE v16 gelu16(v16 x) {
    v16 exponent = x * FMA(x * x, splat(-2 * 0.79788456080286536f * 0.044715f), splat(-2 * 0.79788456080286536f));
    return x / (splat(1.0f) + exp_within(at_least(at_most(exponent, 88.0f), -87.3f)));
}

typedef int16_t s32 __attribute__((vector_size(64)));
typedef uint16_t u32v __attribute__((vector_size(64)));
typedef int32_t i8 __attribute__((vector_size(32)));
INLINE i8 low_half(i16 v) { return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7); }
INLINE i8 high_half(i16 v) { return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15); }
INLINE i16 both_halves(i8 a, i8 b) {
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
// acc + Σ of four products of an unsigned byte of w and a signed byte of x.
INLINE i16 dot_int8(i16 acc, i16 x, i16 w) {
#if INT8_DOT == 512
    return (i16)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, (__m512i)x);
#elif INT8_DOT == 256
    return both_halves((i8)_mm256_dpbusd_avx_epi32((__m256i)low_half(acc), (__m256i)low_half(w), (__m256i)low_half(x)),
                       (i8)_mm256_dpbusd_avx_epi32((__m256i)high_half(acc), (__m256i)high_half(w),
                                                   (__m256i)high_half(x)));
#else
    for (int byte = 0; byte < 4; byte++) acc += (w >> (8 * byte) & 0xff) * (x << (24 - 8 * byte) >> 24);
    return acc;
#endif
}

// The odd and the even numbers of words, as words of two 16-bit integers (int8) or of one f32 (bf16).
#if defined(INT8_PAIRS)
INLINE i16 odd_signed(i16 w) { return (i16)((s32)w >> 8); }
INLINE i16 even_signed(i16 w) { return (i16)((s32)w << 8 >> 8); }
INLINE i16 odd_unsigned(i16 w) { return (i16)((u32v)w >> 8); }
INLINE i16 even_unsigned(i16 w) { return w & 0x00ff00ff; }
// acc + Σ of two products. VPMADDUBSW, which multiplies bytes, saturates its sums; these are exact.
INLINE i16 dot_pairs(i16 acc, i16 x, i16 w) {
#if INT8_PAIRS == 512
    return acc + (i16)_mm512_madd_epi16((__m512i)x, (__m512i)w);
#else
    return acc + both_halves((i8)_mm256_madd_epi16((__m256i)low_half(x), (__m256i)low_half(w)),
                             (i8)_mm256_madd_epi16((__m256i)high_half(x), (__m256i)high_half(w)));
#endif
}
#endif
INLINE i16 odd_bf16(i16 w) { return w & splat_word((int32_t)0xffff0000); }
INLINE i16 even_bf16(i16 w) { return w << 16; }
