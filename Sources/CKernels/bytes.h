// int8 by VPMADDUBSW, which multiplies unsigned by signed bytes and adds two products. It saturates at 16 bits, which the sizes
// of a row's bytes and the weights do not reach: −2 · 128 · 128 is the least. The sign of a row's byte goes to the weight w, as
// the complement −w − 1. The byte's size, which is too much then, is added at the end. An exclusive or does it, with the 128 that
// was added to the packed weight in one. The sums are exact, so the bits are those of gemm.h.
//
// Products are not widened one by one. Of up to 256 sums p of two products, each lane has two parts in 16 bits: `low` = Σ p mod
// 2¹⁶, and `high` = Σ ⌊p / 256⌋. Since 0 ≤ Σ p − 256 · high ≤ 256 · 255 < 2¹⁶, they say what Σ p is.
//
// For processors that multiply integers on one port only, and do all the rest on others: Zen 1 and Zen 2.
#if defined(INT8_BYTES)
#include "byte_sums.h"
_Static_assert(LONE_BYTE_WORDS <= 256, "so many sums fit 16 bits");

// Splits some words of a row: into bytes that complement a packed weight where the row's byte has a sign, and sizes. Returns the
// sum of the sizes that have a sign.
INLINE int32_t sign_row(const char *x, int64_t words, int32_t *signs, int32_t *sizes) {
    __m256i excess = _mm256_setzero_si256();
    for (int64_t i = 0; i < words; i += 8) {
        __m256i word = _mm256_setzero_si256();
        if (words - i >= 8) word = _mm256_loadu_si256((const __m256i *)(x + 4 * i));
        else memcpy(&word, x + 4 * i, (size_t)(4 * (words - i)));
        const __m256i sign = _mm256_cmpgt_epi8(_mm256_setzero_si256(), word), size = _mm256_abs_epi8(word);
        *(__m256i *)(signs + i) = sign ^ _mm256_set1_epi8(-128);
        *(__m256i *)(sizes + i) = size;
        excess = _mm256_sub_epi32(excess, _mm256_madd_epi16(_mm256_maddubs_epi16(size, sign), _mm256_set1_epi16(1)));
    }
    int32_t sum = 0;
    for (int i = 0; i < 8; i++) sum += ((const int32_t *)&excess)[i];
    return sum;
}
// The 32-bit sums of 8 columns.
INLINE __m256i whole_sums(__m256i low, __m256i high) {
    const __m256i rest = _mm256_sub_epi16(low, _mm256_slli_epi16(high, 8));
    const __m256i rests = _mm256_add_epi32(rest & _mm256_set1_epi32(0xffff), _mm256_srli_epi32(rest, 16));
    return _mm256_add_epi32(rests, _mm256_madd_epi16(high, _mm256_set1_epi16(256)));
}
// `part_rows` of gemm.h. Each row is split by itself, and takes 32 columns at a time.
INLINE void part_rows_by_bytes(const gloss_operand *x, const char *w, int64_t columns, int64_t first, int64_t last,
                               block_part part, float *running, float *partial) {
    const int64_t tiles = (last - first) * ((columns + 31) / 32), lines = part.next ? 4 * part.next_words : 0;
    const int64_t each = (lines + tiles - 1) / tiles, paired = part.words / 2 * 2;
    // The next part is prefetched in four quarters side by side, as in `prefetch_quarters`. Few lines are prefetched before the
    // words, and many beside them.
    const bool beside = each > 4 && paired;
    lines_ahead ahead = {part.next, part.next_words * GLOSS_PANEL, beside ? 64 / 4 * each / (paired / 2) : 0};
    int64_t tile = 0, line = beside ? lines : 0;
    int32_t signs[LONE_BYTE_WORDS] __attribute__((aligned(64))), sizes[LONE_BYTE_WORDS] __attribute__((aligned(64)));
    float *to = part.ends ? partial : running;
    for (int64_t row = first; row < last; row++, running += GLOSS_PANEL, to += GLOSS_PANEL) {
        const char *bytes = (const char *)x->rows + row * x->stride + part.word * 4;
        const __m256i excess = _mm256_set1_epi32(sign_row(bytes, part.words, signs, sizes));
        for (int64_t j = 0; j < columns; j += 32, tile++) {
            if (beside) ahead.next = part.next + 64 / 4 * each * tile;
            for (const int64_t end = lines < line + each ? lines : line + each; line < end; line++)
                __builtin_prefetch(part.next + line % 4 * ahead.quarter + line / 4 * 64, 0, 2);
            const char *b = w + j * 4;
            byte_sums sums = {0};
            if (paired) add_words(signs, sizes, b, paired, &ahead, &sums);
            if (paired < part.words) add_word(signs[paired], sizes[paired], b + paired * 4 * GLOSS_PANEL, &sums);
            for (int h = 0; h < 4; h++) {
                __m256i sum = _mm256_add_epi32(excess, whole_sums(sums.low[h], sums.high[h]));
                if (!part.begins) sum = _mm256_add_epi32(sum, *(const __m256i *)(running + j + 8 * h));
                *(__m256i *)(to + j + 8 * h) = sum;
            }
        }
    }
}
#endif
