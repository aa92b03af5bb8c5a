// int8 by VPMADDUBSW, which multiplies unsigned by signed bytes and adds two products. It saturates at 16 bits, which the sizes
// of weights and rows' bytes do not reach: −2 · 128 · 128 is the least. The sign of a weight goes to the row's byte x, as the
// complement −x − 1, which is a single exclusive or. The weight's size, which is too much then, is added at the end. The sums are
// exact, so the bits are those of gemm.h.
//
// Products are not widened one by one. Of up to 256 sums p of two products, each lane has two parts in 16 bits: `low` = Σ p mod
// 2¹⁶, and `high` = Σ ⌊p / 256⌋. Since 0 ≤ Σ p − 256 · high ≤ 256 · 255 < 2¹⁶, they say what Σ p is.
//
// For processors that multiply integers on one port only, and do all the rest on others: Zen 1 and Zen 2.
#if defined(INT8_BYTES)
_Static_assert(MOST_SPLIT_WORDS <= 256, "so many sums fit 16 bits");
_Static_assert(8 * MOST_SPLIT_WORDS <= 2 * K_WORDS, "so many words fit `row_halves`");

// Splits some words of the weights: for word i of column c, out[2 i][c] has the signs, each a byte of ones or zeros, and
// out[2 i + 1][c] the sizes. out[2 words][c] is the sum of the column's sizes that have a sign.
INLINE void sign_weights(const char *w, int64_t words, int64_t columns, int64_t ahead, int32_t out[][GLOSS_PANEL]) {
    const __m256i zero = _mm256_setzero_si256();
    for (int64_t j = 0; j < columns; j += 16) {
        __m256i excess[2] = {zero, zero};
        for (int64_t i = 0; i < words; i++) {
            const char *from = w + (i * GLOSS_PANEL + j) * 4;
            if (ahead) __builtin_prefetch(from + ahead, 0, 2);
            for (int h = 0; h < 2; h++) {
                const __m256i word = _mm256_loadu_si256((const __m256i *)(from + 32 * h)) ^ _mm256_set1_epi8(-128);
                const __m256i signs = _mm256_cmpgt_epi8(zero, word), sizes = _mm256_abs_epi8(word);
                *(__m256i *)(out[2 * i] + j + 8 * h) = signs;
                *(__m256i *)(out[2 * i + 1] + j + 8 * h) = sizes;
                const __m256i pairs = _mm256_maddubs_epi16(signs & sizes, _mm256_set1_epi8(1));
                excess[h] = _mm256_add_epi32(excess[h], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
        }
        for (int h = 0; h < 2; h++) *(__m256i *)(out[2 * words] + j + 8 * h) = excess[h];
    }
}
// Some words of up to 6 rows, each 8 times: [word][row][8]. Loading one into all lanes takes a port that sums need.
INLINE void repeat_rows(const char *x, int64_t stride, int64_t rows, int64_t words, int32_t *out) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < words; i++)
            *(__m256i *)(out + (i * rows + r) * 8) = _mm256_set1_epi32(*(const int32_t *)(x + r * stride + i * 4));
}
// `tile` of gemm.h for 16 columns of split weights and repeated rows, 8 at a time: sums of 6 rows by 8 columns fill the
// registers.
INLINE void tile_bytes(int rows, const __m256i *x, const int32_t *w, block_part part, tile_ahead ahead, float *running,
                       float *partial) {
    for (int h = 0; h < 2; h++, w += 8, running += 8, partial += 8) {
        __m256i low[GLOSS_TILE_ROWS], high[GLOSS_TILE_ROWS];
        for (int r = 0; r < rows; r++) low[r] = high[r] = _mm256_setzero_si256();
        for (int64_t i = 0; i < part.words; i++) {
            __builtin_prefetch(ahead.next + (h * part.words + i) * ahead.pace, 0, 2);
            const __m256i signs = *(const __m256i *)(w + 2 * i * GLOSS_PANEL);
            const __m256i sizes = *(const __m256i *)(w + (2 * i + 1) * GLOSS_PANEL);
            for (int r = 0; r < rows; r++) {
                const __m256i pairs = _mm256_maddubs_epi16(sizes, x[i * rows + r] ^ signs);
                low[r] = _mm256_add_epi16(low[r], pairs);
                high[r] = _mm256_add_epi16(high[r], _mm256_srai_epi16(pairs, 8));
            }
        }
        const __m256i excess = *(const __m256i *)(w + 2 * part.words * GLOSS_PANEL);
        for (int r = 0; r < rows; r++) {
            const __m256i before =
                part.begins ? excess : _mm256_add_epi32(excess, *(const __m256i *)(running + r * GLOSS_PANEL));
            const __m256i rest = _mm256_sub_epi16(low[r], _mm256_slli_epi16(high[r], 8));
            const __m256i rests = _mm256_add_epi32(rest & _mm256_set1_epi32(0xffff), _mm256_srli_epi32(rest, 16));
            const __m256i sums = _mm256_add_epi32(rests, _mm256_madd_epi16(high[r], _mm256_set1_epi16(256)));
            *(__m256i *)((part.ends ? partial : running) + r * GLOSS_PANEL) = _mm256_add_epi32(before, sums);
        }
    }
}
#endif
