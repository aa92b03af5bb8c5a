// What is computed a row at a time: norms, softmax, rotation, quantisation, draws.

// `n` values from column i on.
INLINE void emit(const gloss_target *out, int64_t row, int64_t i, v16 v, int64_t n) {
    char *base = (char *)out->rows + row * out->stride;
    if (out->type == GLOSS_BF16) store_bf16((uint16_t *)base + i, v, n);
    else store_n((float *)base + i, v, n);
}
// Stages h = 1, 2, 4, 8 of Hadamard's transform, inside of a vector: sums where the lane's bit h is 0, differences where it is 1.
INLINE v16 lane_stages(v16 v) {
#define STAGE(sign, ...) v = FMA(v, sign, __builtin_shufflevector(v, v, __VA_ARGS__));
    STAGE(((v16){1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1}), 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
    STAGE(((v16){1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1}), 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
    STAGE(((v16){1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1}), 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
    STAGE(((v16){1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1}), 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#undef STAGE
    return v;
}
// The stages among `count` vectors that stand `step` numbers apart; before the first of them those inside, and the scale.
INLINE void stages(float *x, int64_t step, int count, float scale) {
    v16 v[16];
    for (int i = 0; i < count; i++) v[i] = step == 16 ? lane_stages(load(x + i * step)) * splat(scale) : load(x + i * step);
    for (int h = 1; h < count; h *= 2)
        for (int i = 0; i < count; i++) {
            if (i & h) continue;
            v16 a = v[i], b = v[i + h];
            v[i] = a + b;
            v[i + h] = a - b;
        }
    for (int i = 0; i < count; i++) store(x + i * step, v[i]);
}
// x times Hadamard's matrix of n rows, n a power of two, and n^−½.
INLINE void hadamard(float *x, int64_t n) {
    const float scale = 1.0f / sqrtf((float)n);
    for (int64_t h = 1; n < 16 && h < n; h *= 2)
        for (int64_t i = 0; i < n; i++) {
            if (i & h) continue;
            float a = x[i], b = x[i + h];
            x[i] = a + b;
            x[i + h] = a - b;
        }
    for (int64_t i = 0; n < 16 && i < n; i++) x[i] *= scale;
    if (n == 16) store(x, lane_stages(load(x)) * splat(scale));
    for (int64_t step = 16, radix; step < n; step *= radix) {
        radix = n / step >= 16 ? 16 : n / step;
        for (int64_t base = 0; base < n; base += step * radix)
            for (float *p = x + base; p < x + base + step; p += 16) {
                if (radix == 16 && step == 16) stages(p, 16, 16, scale);
                else if (radix == 16) stages(p, step, 16, scale);
                else if (radix == 8) stages(p, step, 8, scale);
                else if (radix == 4) stages(p, step, 4, scale);
                else stages(p, step, 2, scale);
            }
    }
}
// The binary digits of d say how many numbers are mixed at a time, the most first.
void NAME(rotate)(float *x, int64_t d) {
    for (int64_t n = (int64_t)1 << 30; n; n /= 2)
        if (d & n) {
            hadamard(x, n);
            x += n;
        }
}
// One row to int8: rotated in place, then symmetric by its largest magnitude.
INLINE void quantise_row(float *x, int64_t d, const gloss_target *out, int64_t row) {
    int8_t *q = (int8_t *)out->rows + row * out->stride;
    NAME(rotate)(x, d);
    // Magnitudes compare as integers, and what is no number is above all that are.
    i16 most = splat_word(0);
    for (int64_t i = 0; i < d; i += 16) most = __builtin_elementwise_max(most, (i16)load_n(x + i, d - i) & 0x7fffffff);
    int32_t bits = 0;
    for (int j = 0; j < 16; j++) bits = most[j] > bits ? most[j] : bits;
    const bool finite = bits < 0x7f800000;
    const float top = ((v16)splat_word(bits))[0];
    // Adding 1.5 · 2^23 rounds to an integer, ties to even, and leaves it in the low bits.
    const v16 magic = splat(12582912.0f), inverse = splat(finite && top > 1e-30f ? 127.0f / top : 0);
    i16 total = splat_word(0);
    for (int64_t i = 0; i < d; i += 16) {
        i16 word = (i16)FMA(load_n(x + i, d - i), inverse, magic) - (i16)magic;
        total += word;
        b16u bytes = __builtin_convertvector(word, b16u);
        if (d - i >= 16) *(b16u *)(q + i) = bytes;
        else memcpy(q + i, &bytes, (size_t)(d - i));
    }
    int32_t all = 0;
    for (int j = 0; j < 16; j++) all += total[j];
    out->scales[row] = finite ? top / 127.0f : NAN;
    out->corrections[row] = -128 * all;  // weights are stored with 128 added
}
void NAME(convert)(const void *x, int64_t stride, gloss_dtype type, float scale, const gloss_target *out, int64_t rows, int64_t d,
                   float *scratch) {
    for (int64_t r = 0; r < rows; r++, x = (const char *)x + stride) {
        for (int64_t i = 0; i < d; i += 16) {
            int64_t n = d - i;
            v16 v = splat(0);
            if (type == GLOSS_F32) v = load_n((const float *)x + i, n);
            else if (n >= 16) v = widen((const uint16_t *)x + i);
            else for (int64_t j = 0; j < n; j++) v[j] = gloss_load(x, GLOSS_BF16, i + j);
            if (out->type == GLOSS_INT8) store_n(scratch + i, v * splat(scale), n);
            else emit(out, r, i, v * splat(scale), n);
        }
        if (out->type == GLOSS_INT8) quantise_row(scratch, d, out, r);
    }
}
// y = f(row), through a buffer where it is to be quantised.
#define ROW_TARGET(value)                                                          \
    for (int64_t i = 0; i < d; i += 16) {                                          \
        v16 y = value;                                                             \
        if (buffer) store_n(buffer + i, y, d - i);                                 \
        else emit(out, r, i, y, d - i);                                            \
    }                                                                              \
    if (buffer) quantise_row(buffer, d, out, r);

void NAME(layer_norm)(const float *x, const float *w, const float *b, float eps, const gloss_target *out, int64_t rows, int64_t d,
                      float *scratch) {
    float *buffer = out->type == GLOSS_INT8 ? scratch : 0;
    for (int64_t r = 0; r < rows; r++, x += d) {
        v16 s = splat(0);
        for (int64_t i = 0; i < d; i += 16) s += load_n(x + i, d - i);
        float mean = sum(s) / (float)d;
        s = splat(0);
        for (int64_t i = 0; i < d; i += 16) {
            v16 c = keep(load_n(x + i, d - i) - splat(mean), d - i);
            s = FMA(c, c, s);
        }
        float deviation = sqrtf(sum(s) / (float)d + eps);
        ROW_TARGET(FMA((load_n(x + i, d - i) - splat(mean)) / splat(deviation), load_n(w + i, d - i), load_n(b + i, d - i)))
    }
}
void NAME(rms_norm)(const float *x, const float *w, float eps, const gloss_target *out, int64_t rows, int64_t d, float *scratch) {
    float *buffer = out->type == GLOSS_INT8 ? scratch : 0;
    for (int64_t r = 0; r < rows; r++, x += d) {
        v16 s = splat(0);
        for (int64_t i = 0; i < d; i += 16) {
            v16 v = load_n(x + i, d - i);
            s = FMA(v, v, s);
        }
        float scale = 1.0f / sqrtf(sum(s) / (float)d + eps);
        ROW_TARGET(load_n(x + i, d - i) * splat(scale) * (splat(1.0f) + load_n(w + i, d - i)))
    }
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

INLINE v16 row_max(v16 m, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += 16) {
        v16 v = load_n(x + i, n - i);
        for (int64_t j = n - i; j < 16; j++) v[j] = -INFINITY;
        m = __builtin_elementwise_max(m, v);
    }
    return m;
}
// exp((x − top) · scale) of n values; adds them, as they are stored, to s.
INLINE v16 row_exp(v16 s, const float *x, int64_t n, float top, float scale, void *out, gloss_dtype type) {
    for (int64_t i = 0; i < n; i += 16) {
        v16 e = keep(exp16((load_n(x + i, n - i) - splat(top)) * splat(scale)), n - i);
        if (type == GLOSS_BF16) {
            h16u h = narrow(e);
            e = (v16)(__builtin_convertvector(h, u16v) << 16);
            store_bf16((uint16_t *)out + i, e, n - i);
        } else {
            store_n((float *)out + i, e, n - i);
        }
        s += e;
    }
    return s;
}
float NAME(softmax)(const float *x, int64_t n, int64_t second, int64_t m, float scale, void *out, gloss_dtype type, int64_t width) {
    int64_t size = type == GLOSS_BF16 ? 2 : 4;
    float top = largest(row_max(row_max(splat(-INFINITY), x, n), x + second, m));
    v16 s = row_exp(splat(0), x, n, top, scale, out, type);
    memset((char *)out + n * size, 0, (size_t)((second - n) * size));
    s = row_exp(s, x + second, m, top, scale, (char *)out + second * size, type);
    memset((char *)out + (second + m) * size, 0, (size_t)((width - second - m) * size));
    return 1.0f / sum(s);
}

// The largest value's first index, or that of something that is no number.
INLINE int64_t argmax(const float *x, int64_t n) {
    v16 m = splat(-INFINITY);
    i16 odd = splat_word(0);
    for (int64_t i = 0; i < n; i += 16) {
        v16 v = load_n(x + i, n - i);
        for (int64_t j = n - i; j < 16; j++) v[j] = -INFINITY;
        odd |= (v != v);
        m = __builtin_elementwise_max(m, v);
    }
    bool numbers = true;
    for (int j = 0; j < 16; j++) numbers &= odd[j] == 0;
    float top = largest(m);
    for (int64_t i = 0; i < n; i++)
        if (numbers ? x[i] == top : x[i] != x[i]) return i;
    return 0;
}
int64_t NAME(argmax)(const float *x, int64_t n) { return argmax(x, n); }
INLINE double total(d16 s) {
    for (int width = 8; width; width /= 2)
        for (int i = 0; i < width; i++) s[i] += s[i + width];
    return s[0];
}
// Σ exp((x − max) / temperature) in double lanes; the weights are kept where `w` is given.
INLINE double exp_sum(const float *x, float top, float inverse_temperature, float *w, int64_t n) {
    d16 s = {0};
    for (int64_t i = 0; i < n; i += 16) {
        v16 e = keep(exp16((load_n(x + i, n - i) - splat(top)) * splat(inverse_temperature)), n - i);
        if (w) store_n(w + i, e, n - i);
        s += __builtin_convertvector(e, d16);
    }
    return total(s);
}
double NAME(log_sum_exp)(const float *x, int64_t n) {
    float top = x[argmax(x, n)];
    return (double)top + log(exp_sum(x, top, 1.0f, 0, n));
}
double NAME(exp_weights)(const float *x, double temperature, float *w, int64_t n) {
    return exp_sum(x, x[argmax(x, n)], (float)(1.0 / temperature), w, n);
}
int64_t NAME(draw)(const float *x, int64_t n, double temperature, double uniform) {
    enum { BLOCK = 4096 };
    float top = x[argmax(x, n)], inverse = (float)(1.0 / temperature), w[BLOCK];
    double all = 0;
    for (int64_t first = 0; first < n; first += BLOCK) all += exp_sum(x + first, top, inverse, 0, n - first < BLOCK ? n - first : BLOCK);
    double target = uniform * all, mass = 0;
    int64_t last = 0;
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t count = n - first < BLOCK ? n - first : BLOCK;
        double block = exp_sum(x + first, top, inverse, w, count), within = mass;
        mass += block;
        if (mass <= target && n - first > BLOCK) continue;
        for (int64_t i = 0; i < count; i++) {
            if (!(w[i] > 0)) continue;
            within += (double)w[i];
            last = first + i;
            if (within > target) return last;
        }
    }
    return last;
}
