// Stored weights: their number formats, and the panels that the GEMM reads. The caches of keys and values are panels,
// too.
#include <stdlib.h>
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
    if (type == GLOSS_F32 || type == GLOSS_BF16_SPLIT) {
        memcpy(&f, (const char *)p + 4 * (type == GLOSS_F32 ? i : i ^ 1), 4);
        return f;
    }
    memcpy(&h, (const char *)p + 2 * i, 2);
    if (type == GLOSS_F16) return half_to_float(h);
    uint32_t bits = (uint32_t)h << 16;
    memcpy(&f, &bits, 4);
    return f;
}

static int64_t numbers_a_word(gloss_dtype type) { return type == GLOSS_INT8 ? 4 : type == GLOSS_BF16 ? 2 : 1; }

int64_t gloss_words(gloss_dtype type, int64_t k) { return (k + numbers_a_word(type) - 1) / numbers_a_word(type); }

static uint16_t narrow(float f) {
    uint32_t bits;
    memcpy(&bits, &f, 4);
    if (f != f) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// The output column of row r of a source.
static int64_t column_of(int64_t r, int64_t first, int gate) {
    return gate < 0 ? first + r
                    : first + r / (GLOSS_PANEL / 2) * GLOSS_PANEL + GLOSS_PANEL / 2 * gate + r % (GLOSS_PANEL / 2);
}

enum { BLOCK_ROWS = GLOSS_PANEL / 2, BLOCK_K = 64 };

// Packs rows [r0, r0 + 32) × k [k0, k0 + 64) at a time, so that the strided reads stay in the first-level cache.
void gloss_pack(const void *source, gloss_dtype source_type, int64_t n, int64_t k, void *packed, gloss_dtype type,
                int64_t first, int gate) {
    const int64_t per_word = numbers_a_word(type), words = gloss_words(type, k);
    for (int64_t r0 = 0; r0 < n; r0 += BLOCK_ROWS)
        for (int64_t k0 = 0; k0 < k; k0 += BLOCK_K)
            for (int64_t r = r0; r < n && r < r0 + BLOCK_ROWS; r++) {
                int64_t column = column_of(r, first, gate);
                int64_t base = column / GLOSS_PANEL * words * GLOSS_PANEL * per_word + column % GLOSS_PANEL * per_word;
                for (int64_t i = k0; i < k && i < k0 + BLOCK_K; i++) {
                    int64_t at = base + i / per_word * GLOSS_PANEL * per_word + i % per_word;
                    if (type == GLOSS_F32) ((float *)packed)[at] = gloss_load(source, source_type, r * k + i);
                    else if (source_type == GLOSS_BF16)
                        memcpy((uint16_t *)packed + at, (const uint16_t *)source + r * k + i, 2);
                    else ((uint16_t *)packed)[at] = narrow(gloss_load(source, source_type, r * k + i));
                }
            }
}

void gloss_pack_int8(const void *source, gloss_dtype source_type, int64_t n, int64_t k, void *packed, float *scales,
                     int64_t first, int gate) {
    const int64_t words = gloss_words(GLOSS_INT8, k);
    const gloss_isa isa = gloss_best_isa();
    float *row = malloc((size_t)k * sizeof(float));
    if (!row) abort();  // one row: nobody could go on
    for (int64_t r = 0; r < n; r++) {
        int64_t column = column_of(r, first, gate);
        uint8_t *out = (uint8_t *)packed + column / GLOSS_PANEL * words * GLOSS_PANEL * 4 + column % GLOSS_PANEL * 4;
        for (int64_t i = 0; i < k; i++) row[i] = gloss_load(source, source_type, r * k + i);
        gloss_rotate(isa, row, k);
        float top = 0;
        for (int64_t i = 0; i < k; i++) {
            float v = row[i], magnitude = v < 0 ? -v : v;
            if (!(magnitude <= top) && top == top) top = magnitude;  // a NaN stays
        }
        scales[column] = top / 127.0f;
        float inverse = top > 0 ? 127.0f / top : 0;
        for (int64_t i = 0; i < words * 4; i++) {
            double v = i < k ? (double)row[i] * inverse : 0;
            if (v != v) v = 0;
            v = v > 127 ? 127 : v < -127 ? -127 : v;  // `inverse` is infinite if `top` is tiny
            int32_t q = (int32_t)((v + 0x1.8p52) - 0x1.8p52);  // rounds, ties to even
            out[i / 4 * GLOSS_PANEL * 4 + i % 4] = (uint8_t)(128 + q);
        }
    }
    free(row);
}

void gloss_unpack(const gloss_weights *w, int64_t column, float scale, float *out) {
    const int64_t per_word = numbers_a_word(w->type);
    int64_t base = column / GLOSS_PANEL * w->panel_words * GLOSS_PANEL * per_word + column % GLOSS_PANEL * per_word;
    for (int64_t i = 0; i < w->inputs; i++) {
        int64_t at = base + i / per_word * GLOSS_PANEL * per_word + i % per_word;
        out[i] = w->type == GLOSS_INT8 ? (float)(((const uint8_t *)w->packed)[at] - 128) * w->scales[column] * scale
                                       : gloss_load(w->packed, w->type, at) * scale;
    }
    if (w->type == GLOSS_INT8) gloss_rotate(gloss_best_isa(), out, w->inputs);
}

void gloss_store_key(const float *key, int64_t d, void *keys, gloss_dtype type, int64_t token) {
    const int64_t words = gloss_words(type, d);
    uint32_t *column = (uint32_t *)keys + token / GLOSS_PANEL * words * GLOSS_PANEL + token % GLOSS_PANEL;
    if (type == GLOSS_F32) {
        for (int64_t i = 0; i < d; i++) memcpy(column + i * GLOSS_PANEL, key + i, 4);
        return;
    }
    for (int64_t w = 0; w < d / 2; w++)
        column[w * GLOSS_PANEL] = narrow(key[2 * w]) | (uint32_t)narrow(key[2 * w + 1]) << 16;
    if (d % 2) column[d / 2 * GLOSS_PANEL] = narrow(key[d - 1]);
}

void gloss_store_value(const float *value, int64_t d, void *values, gloss_dtype type, int64_t token, int64_t capacity) {
    const int64_t words = gloss_words(type, capacity);
    for (int64_t i = 0; i < d; i += GLOSS_PANEL) {
        int64_t n = d - i < GLOSS_PANEL ? d - i : GLOSS_PANEL, panel = i / GLOSS_PANEL * words * GLOSS_PANEL;
        if (type == GLOSS_F32) {
            memcpy((float *)values + panel + token * GLOSS_PANEL, value + i, (size_t)n * sizeof(float));
        } else {
            uint16_t *row = (uint16_t *)values + 2 * (panel + token / 2 * GLOSS_PANEL) + token % 2;
            for (int64_t j = 0; j < n; j++) row[2 * j] = narrow(value[i + j]);
        }
    }
}

void gloss_fill_random(void *packed, size_t size, gloss_dtype type, uint64_t seed) {
    for (size_t i = 0; i + 8 <= size; i += 8) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t word = seed >> 16 ^ seed << 32;
        // Random signs and fractions; the exponent is that of 0.0156.
        if (type == GLOSS_BF16) word = (word & 0x807f807f807f807fu) | 0x3c803c803c803c80u;
        else if (type == GLOSS_F32) word = (word & 0x807fffff807fffffu) | 0x3c8000003c800000u;
        memcpy((char *)packed + i, &word, 8);
    }
}
