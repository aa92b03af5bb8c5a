// Stored weights: their number formats, and the panels that the GEMM reads.
#include <string.h>
#include "CKernels.h"

static float half_to_float(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 1023, bits;
    if (exponent == 0) {
        float f = (float)fraction * 0x1p-24f;  // subnormal or zero: exact
        return sign ? -f : f;
    }
    bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

float gloss_load(const void *p, gloss_dtype type, int64_t i) {
    float f;
    uint16_t h;
    if (type == GLOSS_F32) {
        memcpy(&f, (const char *)p + 4 * i, 4);
        return f;
    }
    memcpy(&h, (const char *)p + 2 * i, 2);
    if (type == GLOSS_F16) return half_to_float(h);
    uint32_t bits = (uint32_t)h << 16;
    memcpy(&f, &bits, 4);
    return f;
}

// Transposes 64 rows × 64 k at a time, so that the strided reads stay in the first cache.
#define PACK(name, stored, target, convert)                                                                          \
    static void name(const stored *source, int64_t n, int64_t k, target *packed, int64_t column) {                   \
        for (int64_t r0 = 0, rows; r0 < n; r0 += rows) {                                                             \
            int64_t lane = (column + r0) % GLOSS_PANEL, panel = (column + r0) / GLOSS_PANEL;                         \
            rows = n - r0 < GLOSS_PANEL - lane ? n - r0 : GLOSS_PANEL - lane;                                        \
            for (int64_t i0 = 0; i0 < k; i0 += 64)                                                                   \
                for (int64_t i = i0; i < k && i < i0 + 64; i++) {                                                    \
                    target *row = packed + (panel * k + i) * GLOSS_PANEL + lane;                                     \
                    for (int64_t r = 0; r < rows; r++) row[r] = convert(source[(r0 + r) * k + i]);                   \
                }                                                                                                    \
        }                                                                                                            \
    }
typedef float unaligned_f32 __attribute__((aligned(1)));
typedef uint16_t unaligned_u16 __attribute__((aligned(1)));
static float widen(uint16_t h) { return gloss_load(&h, GLOSS_BF16, 0); }
PACK(pack_f32, unaligned_f32, float, )
PACK(pack_f16, unaligned_u16, float, half_to_float)
PACK(pack_widened, unaligned_u16, float, widen)
PACK(pack_bf16, unaligned_u16, uint16_t, )

void gloss_pack(const void *source, gloss_dtype type, int64_t n, int64_t k, void *packed, bool bf16, int64_t column) {
    if (bf16) pack_bf16(source, n, k, packed, column);
    else if (type == GLOSS_F32) pack_f32(source, n, k, packed, column);
    else if (type == GLOSS_F16) pack_f16(source, n, k, packed, column);
    else pack_widened(source, n, k, packed, column);
}

int64_t gloss_argmax(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 0; i < n; i++) {
        if (x[i] != x[i]) return i;  // not a number: found here, it is noticed in what follows
        if (x[i] > x[best]) best = i;
    }
    return best;
}
