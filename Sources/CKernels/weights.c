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

void gloss_pack(const void *source, gloss_dtype type, int64_t n, int64_t k, void *packed, bool bf16, int64_t column) {
    for (int64_t i0 = 0; i0 < k; i0 += 64)  // tiles of 64 k: reads and writes stay in cache
        for (int64_t r = 0; r < n; r++) {
            int64_t c = column + r, limit = k - i0 < 64 ? k : i0 + 64;
            size_t base = (size_t)(c / GLOSS_PANEL * k * GLOSS_PANEL + c % GLOSS_PANEL);
            for (int64_t i = i0; i < limit; i++) {
                size_t at = base + (size_t)(i * GLOSS_PANEL);
                if (bf16) memcpy((uint16_t *)packed + at, (const char *)source + 2 * (r * k + i), 2);
                else ((float *)packed)[at] = gloss_load(source, type, r * k + i);
            }
        }
}

int64_t gloss_argmax(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}
