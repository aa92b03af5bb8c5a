// What is computed a row at a time: norms, softmax, rotation, quantisation, draws.

// `n` values from column i on.
INLINE void emit(const gloss_target *out, int64_t row, int64_t i, v16 v, int64_t n) {
    char *base = (char *)out->rows + row * out->stride;
    if (out->type == GLOSS_BF16) store_bf16((uint16_t *)base + i, v, n);
    else store_n((float *)base + i, v, n);
}
// One row to int8, symmetric: each group of GLOSS_GROUP by its own largest magnitude.
INLINE void quantise_row(const float *x, int64_t d, const gloss_target *out, int64_t row) {
    int8_t *q = (int8_t *)out->rows + row * out->stride;
    for (int64_t group = 0, first = 0; first < d; group++, first += GLOSS_GROUP) {
        int64_t end = d - first < GLOSS_GROUP ? d : first + GLOSS_GROUP;
        v16 m = splat(0), odd = splat(0);  // odd: 0, or no number where the row has something that is not finite
        for (int64_t i = first; i < end; i += 16) {
            v16 v = load_n(x + i, end - i);
            m = __builtin_elementwise_max(m, __builtin_elementwise_abs(v));
            odd += v * splat(0);
        }
        float top = largest(m), inverse = top > 0 ? 127.0f / top : 0;
        i16 total = splat_word(0);
        for (int64_t i = first; i < end; i += 16) {
            // Adding 1.5 · 2^23 rounds to an integer, ties to even.
            v16 rounded = (load_n(x + i, end - i) * splat(inverse) + splat(12582912.0f)) - splat(12582912.0f);
            rounded = __builtin_elementwise_max(__builtin_elementwise_min(rounded, splat(127)), splat(-127));
            i16 word = __builtin_convertvector((v16)((i16)rounded & (rounded == rounded)), i16);
            total += word;
            b16u bytes = __builtin_convertvector(word, b16u);
            if (end - i >= 16) *(b16u *)(q + i) = bytes;
            else memcpy(q + i, &bytes, (size_t)(end - i));
        }
        int32_t all = 0;
        for (int j = 0; j < 16; j++) all += total[j];
        out->scales[row * out->groups + group] = top / 127.0f + sum(odd);
        out->corrections[row * out->groups + group] = -128 * all;  // weights are stored with 128 added
    }
}
void NAME(convert)(const void *x, int64_t stride, gloss_dtype type, float scale, const gloss_target *out, int64_t rows, int64_t d) {
    float buffer[GLOSS_GROUP];
    for (int64_t r = 0; r < rows; r++, x = (const char *)x + stride) {
        if (out->type == GLOSS_INT8) {
            gloss_target part = *out;
            for (int64_t first = 0; first < d; first += GLOSS_GROUP) {
                int64_t n = d - first < GLOSS_GROUP ? d - first : GLOSS_GROUP;
                for (int64_t i = 0; i < n; i += 16) {
                    v16 v = splat(0);
                    if (type == GLOSS_F32) v = load_n((const float *)x + first + i, n - i);
                    else if (n - i >= 16) v = widen((const uint16_t *)x + first + i);
                    else for (int64_t j = 0; j < n - i; j++) v[j] = gloss_load(x, GLOSS_BF16, first + i + j);
                    store_n(buffer + i, v * splat(scale), n - i);
                }
                part.rows = (char *)out->rows + first;
                part.scales = out->scales + first / GLOSS_GROUP;
                part.corrections = out->corrections + first / GLOSS_GROUP;
                quantise_row(buffer, n, &part, r);
            }
        } else {
            for (int64_t i = 0; i < d; i += 16) emit(out, r, i, load_n((const float *)x + i, d - i) * splat(scale), d - i);
        }
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
