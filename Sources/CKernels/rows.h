// Kernels that work on a row at a time: norms, softmax, rotation, quantisation, draws.

// Writes `n` values from column i on.
INLINE void emit(const gloss_target *out, int64_t row, int64_t i, v16 v, int64_t n) {
    char *base = (char *)out->rows + row * out->stride;
    if (out->type == GLOSS_BF16) store_bf16((uint16_t *)base + i, v, n);
    else if (out->type == GLOSS_BF16_SPLIT)
        store_n((float *)base + i, swap_pairs(keep(round_bf16(v), n)), (n + 1) / 2 * 2);
    else store_n((float *)base + i, v, n);
}
// Stages h = 1, 2, 4, 8 of the Hadamard transform, inside a vector. A lane whose bit h is 0 gets a sum; a lane whose
// bit is 1 gets a difference.
INLINE v16 lane_stages(v16 v) {
#define STAGE(sign, ...) v = FMA(v, sign, __builtin_shufflevector(v, v, __VA_ARGS__));
    STAGE(((v16){1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1}),
          1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
    STAGE(((v16){1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, 1, -1, -1}),
          2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
    STAGE(((v16){1, 1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1, -1, -1, -1}),
          4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
    STAGE(((v16){1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1}),
          8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#undef STAGE
    return v;
}
// The stages between `count` vectors, `step` numbers apart. The first of them (step 16) also does the stages inside a
// vector, and the scale.
INLINE void stages(float *x, int64_t step, int count, float scale) {
    v16 v[16];
    for (int i = 0; i < count; i++)
        v[i] = step == 16 ? lane_stages(load(x + i * step)) * splat(scale) : load(x + i * step);
    for (int h = 1; h < count; h *= 2)
        for (int i = 0; i < count; i++) {
            if (i & h) continue;
            v16 a = v[i], b = v[i + h];
            v[i] = a + b;
            v[i + h] = a - b;
        }
    for (int i = 0; i < count; i++) store(x + i * step, v[i]);
}
// The stages h = step, 2 step, … below n, up to four stages at a time.
INLINE void passes(float *x, int64_t step, int64_t n, float scale) {
    for (int64_t radix; step < n; step *= radix) {
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
// Reads `n` stored numbers as f32, times scale.
INLINE void widen_row(const void *x, gloss_dtype type, float scale, float *out, int64_t n) {
    int64_t i = 0;
    if (type == GLOSS_F32)
        for (; i + 16 <= n; i += 16) store(out + i, load((const float *)x + i) * splat(scale));
    else
        for (; i + 16 <= n; i += 16) store(out + i, widen((const uint16_t *)x + i) * splat(scale));
    for (; i < n; i++) out[i] = gloss_load(x, type, i) * scale;
}
// Multiplies x by the Hadamard matrix of n rows (n is a power of two) and by n^−½. With a source, x is first read from
// it.
INLINE void hadamard(float *x, int64_t n, const void *source, gloss_dtype type, float source_scale) {
    enum { BLOCK = 4096 };  // stays in the first-level cache until its stages are done
    const float scale = 1.0f / sqrtf((float)n);
    const int64_t block = n < BLOCK ? n : BLOCK, bytes = type == GLOSS_F32 ? 4 : 2;
    for (int64_t at = 0; at < n; at += block) {
        if (source) widen_row((const char *)source + at * bytes, type, source_scale, x + at, block);
        passes(x + at, 16, block, scale);
    }
    passes(x, block, n, scale);
    for (int64_t h = 1; n < 16 && h < n; h *= 2)
        for (int64_t i = 0; i < n; i++) {
            if (i & h) continue;
            float a = x[i], b = x[i + h];
            x[i] = a + b;
            x[i + h] = a - b;
        }
    for (int64_t i = 0; n < 16 && i < n; i++) x[i] *= scale;
    if (n == 16) store(x, lane_stages(load(x)) * splat(scale));
}
// Each power of two in d is a Hadamard block of that many numbers, the greatest first.
INLINE void rotate(float *x, int64_t d, const void *source, gloss_dtype type, float scale) {
    for (int64_t n = (int64_t)1 << 30, at = 0; n; n /= 2)
        if (d & n) {
            hadamard(x + at, n, source ? (const char *)source + at * (type == GLOSS_F32 ? 4 : 2) : 0, type, scale);
            at += n;
        }
}
void NAME(rotate)(float *x, int64_t d) { rotate(x, d, 0, GLOSS_F32, 1); }
// Quantises rotated numbers to int8, symmetrically, by the largest magnitude.
INLINE void quantise_row(const float *x, int64_t d, const gloss_target *out, int64_t row) {
    int8_t *q = (int8_t *)out->rows + row * out->stride;
    const int64_t even = d / 16 * 16;
    // Magnitudes are compared as integers. NaN is above all numbers.
    i16 most = splat_word(0), total = splat_word(0);
#pragma clang loop unroll_count(4)
    for (int64_t i = 0; i < even; i += 16) most = __builtin_elementwise_max(most, (i16)load(x + i) & 0x7fffffff);
    if (even < d) most = __builtin_elementwise_max(most, (i16)load_n(x + even, d - even) & 0x7fffffff);
    int32_t bits = 0;
    for (int j = 0; j < 16; j++) bits = most[j] > bits ? most[j] : bits;
    const bool finite = bits < 0x7f800000;
    const float top = ((v16)splat_word(bits))[0];
    // Adding 1.5 · 2^23 rounds to an integer, ties to even, which is then in the low bits.
    const v16 magic = splat(12582912.0f), inverse = splat(finite && top > 1e-30f ? 127.0f / top : 0);
#pragma clang loop unroll_count(4)
    for (int64_t i = 0; i < even; i += 16) {
        i16 word = (i16)FMA(load(x + i), inverse, magic) - (i16)magic;
        total += word;
        *(b16u *)(q + i) = __builtin_convertvector(word, b16u);
    }
    if (even < d) {
        i16 word = (i16)FMA(load_n(x + even, d - even), inverse, magic) - (i16)magic;
        total += word;
        b16u bytes = __builtin_convertvector(word, b16u);
        memcpy(q + even, &bytes, (size_t)(d - even));
    }
    int32_t all = 0;
    for (int j = 0; j < 16; j++) all += total[j];
    out->scales[row] = finite ? top / 127.0f : NAN;
    out->corrections[row] = -128 * all;  // weights are stored with 128 added
}
void NAME(convert)(const void *x, int64_t stride, gloss_dtype type, float scale, const gloss_target *out, int64_t rows,
                   int64_t d, float *scratch) {
    for (int64_t r = 0; r < rows; r++, x = (const char *)x + stride) {
        if (out->type == GLOSS_INT8) {
            rotate(scratch, d, x, type, scale);
            quantise_row(scratch, d, out, r);
            continue;
        }
        for (int64_t i = 0; i < d; i += 16) {
            int64_t n = d - i;
            v16 v = splat(0);
            if (type == GLOSS_F32) v = load_n((const float *)x + i, n);
            else if (n >= 16) v = widen((const uint16_t *)x + i);
            else for (int64_t j = 0; j < n; j++) v[j] = gloss_load(x, GLOSS_BF16, i + j);
            emit(out, r, i, v * splat(scale), n);
        }
    }
}
// Writes y = value for each i of a row. INT8 goes through a buffer, which is rotated and quantised.
#define ROW_TARGET(value)                                                          \
    for (int64_t i = 0; i < d; i += 16) {                                          \
        v16 y = value;                                                             \
        if (buffer) store_n(buffer + i, y, d - i);                                 \
        else emit(out, r, i, y, d - i);                                            \
    }                                                                              \
    if (buffer) {                                                                  \
        rotate(buffer, d, 0, GLOSS_F32, 1);                                        \
        quantise_row(buffer, d, out, r);                                           \
    }

void NAME(layer_norm)(const float *x, const float *w, const float *b, float eps, const gloss_target *out, int64_t rows,
                      int64_t d, float *scratch) {
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
        ROW_TARGET(FMA((load_n(x + i, d - i) - splat(mean)) / splat(deviation), load_n(w + i, d - i),
                       load_n(b + i, d - i)))
    }
}
void NAME(rms_norm)(const float *x, const float *w, float eps, const gloss_target *out, int64_t rows, int64_t d,
                    float *scratch) {
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
void NAME(add_rms_norm)(const float *x, const float *w, float eps, float *y, int64_t rows, int64_t d) {
    for (int64_t r = 0; r < rows; r++, x += d, y += d) {
        v16 s = splat(0);
        for (int64_t i = 0; i < d; i += 16) {
            v16 v = load_n(x + i, d - i);
            s = FMA(v, v, s);
        }
        float scale = 1.0f / sqrtf(sum(s) / (float)d + eps);
        for (int64_t i = 0; i < d; i += 16) {
            v16 normed = load_n(x + i, d - i) * splat(scale) * (splat(1.0f) + load_n(w + i, d - i));
            store_n(y + i, load_n(y + i, d - i) + normed, d - i);
        }
    }
}
void NAME(soft_cap)(float *x, int64_t n, float scale, float cap) {
    for (int64_t i = 0; i < n; i += 16)
        store_n(x + i, splat(cap) * tanh16(load_n(x + i, n - i) * splat(scale / cap)), n - i);
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

// The larger numbers of m and of x, lane by lane. NaN is passed over: comparisons with it are false.
INLINE v16 row_max(v16 m, const float *x, int64_t n) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) m = either(load(x + i) > m, load(x + i), m);
    if (i == n) return m;
    v16 v = load_n(x + i, n - i);
    for (int64_t j = n - i; j < 16; j++) v[j] = -INFINITY;
    return either(v > m, v, m);
}
// Stores exp((x − top) · scale) of the values of a range in out[range], and adds the stored values to s.
INLINE v16 row_exp(v16 s, const float *x, gloss_range range, float top, float scale, void *out, gloss_dtype type) {
    enum { SIDE = 2 };  // vectors side by side: each step of one waits for the step before
    int64_t i = range.first;
    for (; i + SIDE * 16 <= range.end && (type != GLOSS_BF16_SPLIT || i % 2 == 0); i += SIDE * 16) {
        v16 e[SIDE];
        for (int j = 0; j < SIDE; j++) e[j] = exp16((load(x + i + j * 16) - splat(top)) * splat(scale));
        if (type != GLOSS_F32)
            for (int j = 0; j < SIDE; j++) e[j] = round_number_bf16(e[j]);
        for (int j = 0; j < SIDE; j++) {
            if (type == GLOSS_F32) store((float *)out + i + j * 16, e[j]);
            else if (type == GLOSS_BF16_SPLIT) store((float *)out + i + j * 16, swap_pairs(e[j]));
            else *(h16u *)((uint16_t *)out + i + j * 16) = __builtin_convertvector((u16v)e[j] >> 16, h16u);
            s += e[j];
        }
    }
    for (; i < range.end; i += 16) {
        const int64_t n = range.end - i;
        v16 e = keep(exp16((load_n(x + i, n) - splat(top)) * splat(scale)), n);
        if (type != GLOSS_F32) e = round_number_bf16(e);
        if (type == GLOSS_BF16) store_bf16((uint16_t *)out + i, e, n);
        else if (type == GLOSS_F32) store_n((float *)out + i, e, n);
        else if (n >= 16 && i % 2 == 0) store((float *)out + i, swap_pairs(e));
        else for (int64_t j = 0; j < 16 && j < n; j++) ((float *)out)[(i + j) ^ 1] = e[j];
        s += e;
    }
    return s;
}
// Sets the numbers of a range to 0; where they are split also those that share a pair with its ends.
INLINE void clear(void *out, gloss_dtype type, int64_t first, int64_t end) {
    const int64_t size = type == GLOSS_BF16 ? 2 : 4;
    if (type == GLOSS_BF16_SPLIT) first = first / 2 * 2, end = (end + 1) / 2 * 2;
    memset((char *)out + first * size, 0, (size_t)((end - first) * size));
}
float NAME(softmax)(const float *x, gloss_range a, gloss_range b, float scale, void *out, gloss_dtype type,
                    int64_t width) {
    const int64_t n = a.end - a.first, m = b.end - b.first;
    float top = largest(row_max(row_max(splat(-INFINITY), x + a.first, n), x + b.first, m));
    clear(out, type, 0, a.first);
    clear(out, type, a.end, b.first);
    clear(out, type, b.end, width);
    v16 s = row_exp(splat(0), x, a, top, scale, out, type);
    s = row_exp(s, x, b, top, scale, out, type);
    return 1.0f / sum(s);
}

// The largest value, or NaN if any value is NaN.
INLINE float top(const float *x, int64_t n) {
    v16 m = splat(-INFINITY);
    i16 odd = splat_word(0);
    for (int64_t i = 0; i < n; i += 16) {
        v16 v = load_n(x + i, n - i);
        for (int64_t j = n - i; j < 16; j++) v[j] = -INFINITY;
        odd |= (v != v);
        m = __builtin_elementwise_max(m, v);
    }
    for (int j = 0; j < 16; j++)
        if (odd[j]) return NAN;
    return largest(m);
}
// The first index of the largest value, or of a NaN.
INLINE int64_t argmax(const float *x, int64_t n) {
    const float most = top(x, n);
    for (int64_t i = 0; i < n; i++)
        if (most == most ? x[i] == most : x[i] != x[i]) return i;
    return 0;
}
int64_t NAME(argmax)(const float *x, int64_t n) { return argmax(x, n); }
// What is not larger than the least one held is passed over, a block at a time.
void NAME(top_indices)(const float *x, int64_t n, int64_t count, int64_t *indices) {
    enum { BLOCK = 256 };
    int64_t held = 0;
    for (int64_t first = 0; first < n; first += BLOCK) {
        const int64_t end = n - first < BLOCK ? n : first + BLOCK;
        if (held == count && top(x + first, end - first) <= x[indices[count - 1]]) continue;
        for (int64_t i = first; i < end; i++) {
            if (held == count && !(x[i] > x[indices[count - 1]])) continue;
            int64_t place = held < count ? held++ : count - 1;
            for (; place > 0 && x[i] > x[indices[place - 1]]; place--) indices[place] = indices[place - 1];
            indices[place] = i;
        }
    }
}
INLINE double total(d16 s) {
    for (int width = 8; width; width /= 2)
        for (int i = 0; i < width; i++) s[i] += s[i + width];
    return s[0];
}
// Σ exp((x − max) / temperature) in lanes of double. Stores the terms in `w` unless it is null.
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
    const float most = top(x, n);
    return (double)most + log(exp_sum(x, most, 1.0f, 0, n));
}
double NAME(exp_weights)(const float *x, double temperature, float *w, int64_t n) {
    return exp_sum(x, top(x, n), (float)(1.0 / temperature), w, n);
}
int64_t NAME(draw)(const float *x, int64_t n, double temperature, double uniform) {
    enum { BLOCK = 4096 };
    const float most = top(x, n), inverse = (float)(1.0 / temperature);
    float w[BLOCK];
    double all = 0;
    for (int64_t first = 0; first < n; first += BLOCK)
        all += exp_sum(x + first, most, inverse, 0, n - first < BLOCK ? n - first : BLOCK);
    double target = uniform * all, mass = 0;
    int64_t last = 0;
    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t count = n - first < BLOCK ? n - first : BLOCK;
        double block = exp_sum(x + first, most, inverse, w, count), within = mass;
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
