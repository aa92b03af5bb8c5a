// The kernels, written once and compiled for each instruction set: the including file sets the target, and defines
// NAME(x) and VECTORS (16-float columns of a register tile).
#include <math.h>
#include <string.h>
#include "CKernels.h"

typedef float v16 __attribute__((vector_size(64)));
typedef float v16u __attribute__((vector_size(64), aligned(4)));
typedef int32_t i16 __attribute__((vector_size(64)));
typedef uint32_t u16v __attribute__((vector_size(64)));
typedef uint16_t h16u __attribute__((vector_size(32), aligned(2)));
typedef double d16 __attribute__((vector_size(128)));

#define INLINE static inline __attribute__((always_inline))
#define FMA(a, b, c) __builtin_elementwise_fma(a, b, c)

INLINE v16 splat(float x) { return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
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

// A tree over the lanes, always the same.
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

// exp for x ≤ 88; 0 below −87.3. Cephes' expf polynomial, 2 ulp.
INLINE v16 exp16(v16 x) {
    const v16 magic = splat(12582912.0f);  // 1.5 · 2^23: adding it rounds to an integer
    v16 clamped = __builtin_elementwise_max(__builtin_elementwise_min(x, splat(88.0f)), splat(-87.3f));
    v16 n = FMA(clamped, splat(1.44269504088896341f), magic) - magic;
    v16 r = FMA(n, splat(-0.693359375f), clamped);
    r = FMA(n, splat(2.12194440e-4f), r);
    v16 p = splat(1.9875691500e-4f);
    p = FMA(p, r, splat(1.3981999507e-3f));
    p = FMA(p, r, splat(8.3334519073e-3f));
    p = FMA(p, r, splat(4.1665795894e-2f));
    p = FMA(p, r, splat(1.6666665459e-1f));
    p = FMA(p, r, splat(5.0000001201e-1f));
    p = FMA(p, r * r, r) + splat(1.0f);
    i16 scale = (__builtin_convertvector(n, i16) + 127) << 23;
    v16 y = p * (v16)scale;
    return (v16)((i16)y & (x >= splat(-87.3f)));
}
// x · (1 + tanh(u)) / 2 = x / (1 + exp(−2u)), u = sqrt(2/π) (x + 0.044715 x³).
INLINE v16 gelu16(v16 x) {
    v16 u = splat(0.79788456080286536f) * FMA(splat(0.044715f) * x * x, x, x);
    return x / (splat(1.0f) + exp16(splat(-2.0f) * u));
}

enum { K_BLOCK = 512 };

// rows × (16 · VECTORS) outputs over one block of k, in registers.
INLINE void tile(int rows, bool bf16, const float *x, int64_t ldx, const void *w, int64_t k, v16 acc[6][VECTORS]) {
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < VECTORS; j++) acc[r][j] = splat(0);
    for (int64_t i = 0; i < k; i++) {
        v16 b[VECTORS];
        for (int j = 0; j < VECTORS; j++)
            b[j] = bf16 ? widen((const uint16_t *)w + i * GLOSS_PANEL + j * 16) : load((const float *)w + i * GLOSS_PANEL + j * 16);
        for (int r = 0; r < rows; r++) {
            v16 a = splat(x[r * ldx + i]);
            for (int j = 0; j < VECTORS; j++) acc[r][j] = FMA(a, b[j], acc[r][j]);
        }
    }
}
// `start`: what the first block of k begins from: the bias, what y holds, or 0.
INLINE void tile_store(int rows, v16 acc[6][VECTORS], const float *bias, bool add, float *y, int64_t ldy, int64_t columns) {
    for (int j = 0; j < VECTORS && j * 16 < columns; j++) {
        int64_t n = columns - j * 16;
        v16 b = bias ? load_n(bias + j * 16, n) : splat(0);
        for (int r = 0; r < rows; r++) {
            v16 v = bias ? acc[r][j] + b : acc[r][j];
            if (add) v = load_n(y + r * ldy + j * 16, n) + v;
            store_n(y + r * ldy + j * 16, v, n);
        }
    }
}
#define TILE(R)                                                                            \
    case R:                                                                                \
        tile(R, bf16, x + row * ldx + kb, ldx, wj, kn, acc);                               \
        tile_store(R, acc, kb == 0 ? bj : 0, accumulate || kb > 0, y + row * ldy + column, ldy, columns); \
        break;

INLINE void gemm(const float *x, int64_t ldx, const void *packed, bool bf16, int64_t n, int64_t k, const float *bias,
                 bool accumulate, float *y, int64_t ldy, int64_t m, int64_t first, int64_t last) {
    const size_t size = bf16 ? 2 : 4;
    for (int64_t panel = first; panel < last; panel++)
        for (int64_t kb = 0; kb < k; kb += K_BLOCK) {
            int64_t kn = k - kb < K_BLOCK ? k - kb : K_BLOCK;
            const char *w = (const char *)packed + size * (size_t)((panel * k + kb) * GLOSS_PANEL);
            for (int64_t row = 0; row < m; row += 6)
                for (int64_t j = 0; j < GLOSS_PANEL; j += 16 * VECTORS) {
                    int64_t column = panel * GLOSS_PANEL + j, columns = n - column;
                    if (columns <= 0) break;
                    const void *wj = w + size * (size_t)j;
                    const float *bj = bias ? bias + column : 0;
                    v16 acc[6][VECTORS];
                    switch (m - row < 6 ? m - row : 6) { TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6) }
                }
        }
}
void NAME(gemm)(const float *x, int64_t ldx, const void *packed, bool bf16, int64_t n, int64_t k, const float *bias,
                bool accumulate, float *y, int64_t ldy, int64_t m, int64_t first, int64_t last) {
    if (bf16) gemm(x, ldx, packed, true, n, k, bias, accumulate, y, ldy, m, first, last);
    else gemm(x, ldx, packed, false, n, k, bias, accumulate, y, ldy, m, first, last);
}

void NAME(layer_norm)(const float *x, const float *w, const float *b, float eps, float *y, int64_t rows, int64_t d) {
    for (int64_t r = 0; r < rows; r++, x += d, y += d) {
        v16 s = splat(0);
        for (int64_t i = 0; i < d; i += 16) s += load_n(x + i, d - i);
        float mean = sum(s) / (float)d;
        s = splat(0);
        for (int64_t i = 0; i < d; i += 16) {
            v16 c = load_n(x + i, d - i) - splat(mean);
            if (d - i < 16)
                for (int64_t j = d - i; j < 16; j++) c[j] = 0;
            s = FMA(c, c, s);
        }
        float deviation = sqrtf(sum(s) / (float)d + eps);
        for (int64_t i = 0; i < d; i += 16) {
            v16 c = (load_n(x + i, d - i) - splat(mean)) / splat(deviation);
            store_n(y + i, FMA(c, load_n(w + i, d - i), load_n(b + i, d - i)), d - i);
        }
    }
}
void NAME(rms_norm)(const float *x, const float *w, float eps, float *y, int64_t rows, int64_t d) {
    for (int64_t r = 0; r < rows; r++, x += d, y += d) {
        v16 s = splat(0);
        for (int64_t i = 0; i < d; i += 16) {
            v16 v = load_n(x + i, d - i);
            s = FMA(v, v, s);
        }
        float scale = 1.0f / sqrtf(sum(s) / (float)d + eps);
        for (int64_t i = 0; i < d; i += 16)
            store_n(y + i, load_n(x + i, d - i) * splat(scale) * (splat(1.0f) + load_n(w + i, d - i)), d - i);
    }
}
void NAME(gelu)(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += 16) store_n(x + i, gelu16(load_n(x + i, n - i)), n - i);
}
void NAME(geglu)(const float *x, float *y, int64_t rows, int64_t d) {
    for (int64_t r = 0; r < rows; r++, x += 2 * d, y += d)
        for (int64_t i = 0; i < d; i += 16)
            store_n(y + i, gelu16(load_n(x + i, d - i)) * load_n(x + d + i, d - i), d - i);
}
void NAME(rope)(float *x, int64_t heads, int64_t head_dim, const float *cosines, const float *sines) {
    int64_t half = head_dim / 2;
    for (int64_t h = 0; h < heads; h++, x += head_dim)
        for (int64_t i = 0; i < half; i += 16) {
            int64_t n = half - i;
            v16 a = load_n(x + i, n), b = load_n(x + half + i, n), c = load_n(cosines + i, n), s = load_n(sines + i, n);
            store_n(x + i, a * c - b * s, n);
            store_n(x + half + i, b * c + a * s, n);
        }
}

// scores[r][j] = queries[r] · keys[j] · scale for `rows` ≤ 4 queries, sharing each key's load.
INLINE void score(int rows, const float *q, const float *keys, int64_t count, int64_t stride, float scale, float *scores, int64_t lds) {
    for (int64_t j = 0; j < count; j++) {
        v16 acc[4];
        for (int r = 0; r < rows; r++) acc[r] = splat(0);
        for (int64_t i = 0; i < stride; i += 16) {
            v16 key = load(keys + j * stride + i);
            for (int r = 0; r < rows; r++) acc[r] = FMA(load(q + r * stride + i), key, acc[r]);
        }
        for (int r = 0; r < rows; r++) scores[r * lds + j] = sum(acc[r]) * scale;
    }
}
// Scores to exp(score − max); returns 1 / Σ.
INLINE float softmax(float *scores, int64_t n) {
    v16 m = splat(-INFINITY), s = splat(0);
    for (int64_t i = 0; i < n; i += 16) {
        v16 v = load_n(scores + i, n - i);
        for (int64_t j = n - i; j < 16; j++) v[j] = -INFINITY;
        m = __builtin_elementwise_max(m, v);
    }
    v16 top = splat(largest(m));
    for (int64_t i = 0; i < n; i += 16) {
        v16 e = exp16(load_n(scores + i, n - i) - top);
        for (int64_t j = n - i; j < 16; j++) e[j] = 0;
        store_n(scores + i, e, n - i);
        s += e;
    }
    return 1.0f / sum(s);
}
// out[r][16 columns] += Σ_j weights[r][j] · values[j], for `rows` ≤ 4.
INLINE void weigh(int rows, const float *weights, int64_t ldw, const gloss_segment *segments, int64_t segment_count, int64_t stride,
                  int64_t column, const float *scale, float *out) {
    v16 acc[4];
    for (int r = 0; r < rows; r++) acc[r] = splat(0);
    int64_t offset = 0;
    for (int64_t s = 0; s < segment_count; offset += segments[s].count, s++)
        for (int64_t j = 0; j < segments[s].count; j++) {
            v16 value = load(segments[s].values + j * stride + column);
            for (int r = 0; r < rows; r++) acc[r] = FMA(splat(weights[r * ldw + offset + j]), value, acc[r]);
        }
    for (int r = 0; r < rows; r++) store(out + r * stride + column, acc[r] * splat(scale[r]));
}
INLINE void attend(int rows, const float *q, const gloss_segment *segments, int64_t segment_count, int64_t stride, float scale,
                   float *scores, int64_t lds, float *out) {
    int64_t offset = 0;
    for (int64_t s = 0; s < segment_count; offset += segments[s].count, s++)
        score(rows, q, segments[s].keys, segments[s].count, stride, scale, scores + offset, lds);
    float inverse[4];
    for (int r = 0; r < rows; r++) inverse[r] = softmax(scores + r * lds, lds);
    for (int64_t c = 0; c < stride; c += 16) weigh(rows, scores, lds, segments, segment_count, stride, c, inverse, out);
}
void NAME(attention)(const float *q, int64_t rows, const gloss_segment *segments, int64_t segment_count, int64_t stride, float scale,
                     float *scores, float *out) {
    int64_t total = 0;
    for (int64_t s = 0; s < segment_count; s++) total += segments[s].count;
    for (int64_t r = 0; r < rows; r += 4) {
        switch (rows - r < 4 ? rows - r : 4) {
        case 1: attend(1, q + r * stride, segments, segment_count, stride, scale, scores, total, out + r * stride); break;
        case 2: attend(2, q + r * stride, segments, segment_count, stride, scale, scores, total, out + r * stride); break;
        case 3: attend(3, q + r * stride, segments, segment_count, stride, scale, scores, total, out + r * stride); break;
        case 4: attend(4, q + r * stride, segments, segment_count, stride, scale, scores, total, out + r * stride); break;
        }
    }
}

// Σ exp((x − max) / temperature) in double lanes; the weights are kept where `w` is given.
INLINE double exp_sum(const float *x, float top, float inverse_temperature, float *w, int64_t n) {
    d16 s = {0};
    for (int64_t i = 0; i < n; i += 16) {
        v16 e = exp16((load_n(x + i, n - i) - splat(top)) * splat(inverse_temperature));
        for (int64_t j = n - i; j < 16; j++) e[j] = 0;
        if (w) store_n(w + i, e, n - i);
        s += __builtin_convertvector(e, d16);
    }
    for (int width = 8; width; width /= 2)
        for (int i = 0; i < width; i++) s[i] += s[i + width];
    return s[0];
}
double NAME(log_sum_exp)(const float *x, int64_t n) {
    float top = x[gloss_argmax(x, n)];
    return (double)top + log(exp_sum(x, top, 1.0f, 0, n));
}
double NAME(exp_weights)(const float *x, double temperature, float *w, int64_t n) {
    return exp_sum(x, x[gloss_argmax(x, n)], (float)(1.0 / temperature), w, n);
}
