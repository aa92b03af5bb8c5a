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
#include "byte_pairs.h"

// A part of a panel for 16 columns at a time: signs and sizes of its words, then the sum of each column's sizes that have a sign.
_Static_assert(PART_WORDS <= 128, "so many sizes fit 16 bits");
typedef int32_t signed_weights[GLOSS_PANEL / 16][SIGNED_WORD * PART_WORDS + 16];

INLINE void sign_weights(const char *w, int64_t words, int64_t columns, int64_t ahead, signed_weights out) {
    const __m256i zero = _mm256_setzero_si256();
    for (int64_t j = 0; j < columns; j += 16) {
        __m256i excess[2] = {zero, zero};
        __m256i *to = (__m256i *)out[j / 16];
        for (int64_t i = 0; i < words; i++, to += 4) {
            const char *from = w + (i * GLOSS_PANEL + j) * 4;
            if (ahead) __builtin_prefetch(from + ahead, 0, 2);
            for (int h = 0; h < 2; h++) {
                const __m256i word = _mm256_loadu_si256((const __m256i *)(from + 32 * h)) ^ _mm256_set1_epi8(-128);
                const __m256i signs = _mm256_cmpgt_epi8(zero, word), sizes = _mm256_abs_epi8(word);
                to[h] = signs;
                to[2 + h] = sizes;
                excess[h] = _mm256_sub_epi16(excess[h], _mm256_maddubs_epi16(sizes, signs));
            }
        }
        // Up to 2 · 128 · 128, so without a sign.
        for (int h = 0; h < 2; h++)
            to[h] = _mm256_add_epi32(excess[h] & _mm256_set1_epi32(0xffff), _mm256_srli_epi32(excess[h], 16));
    }
}

// `part_rows` of gemm.h. 16 columns of split weights stay in the first-level cache for all rows.
INLINE void part_rows_by_bytes(const gloss_operand *x, const char *w, int64_t columns, int64_t first, int64_t last,
                               block_part part, float *running, float *partial) {
    const int64_t tiles = (last - first + 1) / 2 * ((columns + 15) / 16), lines = part.next ? 4 * part.next_words : 0;
    const int64_t each = (lines + tiles - 1) / tiles, quarter = part.next_words * GLOSS_PANEL;
    int64_t line = 0;
    signed_weights halves __attribute__((aligned(64)));
    // Few tiles have no time to prefetch the next part.
    sign_weights(w, part.words, columns, last - first <= 4 * GLOSS_TILE_ROWS ? 4096 : 0, halves);
    for (int64_t j = 0; j < columns; j += 16)
        for (int64_t row = first; row < last; row += 2) {
            for (const int64_t end = lines < line + each ? lines : line + each; line < end; line++)
                __builtin_prefetch(part.next + line % 4 * quarter + line / 4 * 64, 0, 2);
            const char *from = (const char *)x->rows + row * x->stride + part.word * 4;
            const int64_t rows = last - row < 2 ? 1 : 2, stride = rows == 2 ? x->stride : 0;
            const int32_t *b = halves[j / 16];
            const __m256i *excess = (const __m256i *)(b + SIGNED_WORD * part.words);
            byte_sums sums = {0};
            const int64_t paired = part.words / 2 * 2;
            if (paired) add_word_pairs(from, stride, b, paired, &sums);
            if (paired < part.words) add_word(from + 4 * paired, stride, b + SIGNED_WORD * paired, &sums);
            for (int64_t r = 0; r < rows; r++)
                for (int h = 0; h < 2; h++) {
                    const int64_t to = (row - first + r) * GLOSS_PANEL + j + 8 * h;
                    const __m256i high = sums.high[r][h], rest = _mm256_sub_epi16(sums.low[r][h], _mm256_slli_epi16(high, 8));
                    const __m256i rests = _mm256_add_epi32(rest & _mm256_set1_epi32(0xffff), _mm256_srli_epi32(rest, 16));
                    __m256i sum = _mm256_add_epi32(rests, _mm256_madd_epi16(high, _mm256_set1_epi16(256)));
                    sum = _mm256_add_epi32(sum, excess[h]);
                    if (!part.begins) sum = _mm256_add_epi32(sum, *(const __m256i *)(running + to));
                    *(__m256i *)((part.ends ? partial : running) + to) = sum;
                }
        }
}
#endif
