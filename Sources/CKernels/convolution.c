// Convolutions of the mask decoder, in f32, on planes [channels][height][width]. The sums have one order on every machine:
// for each tap all channels of the input in turn, then the taps one after the other.
#include "CKernels.h"

// t[n] = Σ_c w[c · step] · x[c][n]
static void mix(const float *x, int64_t channels, int64_t n, const float *w, int64_t step, float *t) {
    for (int64_t p = 0; p < n; p++) t[p] = 0;
    for (int64_t c = 0; c < channels; c++, x += n) {
        float k = w[c * step];
        for (int64_t p = 0; p < n; p++) t[p] += k * x[p];
    }
}

void gloss_convolve(const float *x, int64_t channels, int64_t height, int64_t width, const float *w, const float *bias,
                    int64_t outputs, int64_t size, float *y, float *t) {
    int64_t n = height * width, pad = size / 2, taps = size * size;
    for (int64_t o = 0; o < outputs; o++, y += n) {
        for (int64_t p = 0; p < n; p++) y[p] = 0;
        for (int64_t i = 0; i < size; i++)
            for (int64_t j = 0; j < size; j++) {
                mix(x, channels, n, w + o * channels * taps + i * size + j, taps, t);
                for (int64_t r = 0; r < height; r++) {
                    int64_t from = r + i - pad;
                    if (from < 0 || from >= height) continue;
                    for (int64_t c = 0; c < width; c++) {
                        int64_t source = c + j - pad;
                        if (source >= 0 && source < width) y[r * width + c] += t[from * width + source];
                    }
                }
            }
        for (int64_t p = 0; p < n; p++) y[p] += bias[o];
    }
}

void gloss_convolve_transposed(const float *x, int64_t channels, int64_t height, int64_t width, const float *w,
                               const float *bias, int64_t outputs, float *y, float *t) {
    int64_t n = height * width;
    for (int64_t o = 0; o < outputs; o++, y += 4 * n) {
        for (int64_t p = 0; p < 4 * n; p++) y[p] = 0;
        for (int64_t i = 0; i < 4; i++)
            for (int64_t j = 0; j < 4; j++) {
                mix(x, channels, n, w + o * 16 + i * 4 + j, outputs * 16, t);
                for (int64_t r = 0; r < height; r++) {
                    int64_t to = 2 * r + i - 1;
                    if (to < 0 || to >= 2 * height) continue;
                    for (int64_t c = 0; c < width; c++) {
                        int64_t target = 2 * c + j - 1;
                        if (target >= 0 && target < 2 * width) y[to * 2 * width + target] += t[r * width + c];
                    }
                }
            }
        for (int64_t p = 0; p < 4 * n; p++) y[p] += bias[o];
    }
}
