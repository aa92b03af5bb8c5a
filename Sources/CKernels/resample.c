// Pillow's 8-bit resampling (libImaging/Resample.c). It uses integers, and so is exact on every machine.
#include "CKernels.h"

enum { PRECISION = 32 - 8 - 2 };

static uint8_t clip(int32_t v) {
    v >>= PRECISION;
    return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)v;
}

void gloss_resample_rows(const uint8_t *in, int64_t rows, int64_t width, uint8_t *out, int64_t out_width,
                         const int32_t *start, const int32_t *length, const int32_t *coefficients, int64_t taps) {
    for (int64_t y = 0; y < rows; y++, in += width * 3)
        for (int64_t o = 0; o < out_width; o++, out += 3) {
            const uint8_t *p = in + (int64_t)start[o] * 3;
            const int32_t *k = coefficients + o * taps;
            int32_t r = 1 << (PRECISION - 1), g = r, b = r;
            for (int32_t i = 0; i < length[o]; i++, p += 3) {
                r += p[0] * k[i];
                g += p[1] * k[i];
                b += p[2] * k[i];
            }
            out[0] = clip(r);
            out[1] = clip(g);
            out[2] = clip(b);
        }
}

void gloss_resample_columns(const uint8_t *in, int64_t row_bytes, uint8_t *out, int64_t out_height,
                            const int32_t *start, const int32_t *length, const int32_t *coefficients, int64_t taps) {
    for (int64_t o = 0; o < out_height; o++, out += row_bytes)
        for (int64_t x0 = 0; x0 < row_bytes; x0 += 256) {
            int64_t n = row_bytes - x0 < 256 ? row_bytes - x0 : 256;
            int32_t acc[256];
            for (int64_t x = 0; x < n; x++) acc[x] = 1 << (PRECISION - 1);
            for (int32_t i = 0; i < length[o]; i++) {
                const uint8_t *p = in + (start[o] + i) * row_bytes + x0;
                int32_t k = coefficients[o * taps + i];
                for (int64_t x = 0; x < n; x++) acc[x] += p[x] * k;
            }
            for (int64_t x = 0; x < n; x++) out[x0 + x] = clip(acc[x]);
        }
}
