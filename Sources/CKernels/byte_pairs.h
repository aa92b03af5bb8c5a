// The sums of bytes.h in registers: the products of two rows with 16 columns. Words of the weights are signs, each a byte of
// ones or zeros, and sizes.
#pragma once
#include <immintrin.h>
#include <stdint.h>

// The 16 columns' signs, and behind them their sizes.
enum { SIGNED_WORD = 2 * 16 };
// [row][columns 0 to 7 and 8 to 15]
typedef struct {
    __m256i low[2][2], high[2][2];
} byte_sums;
INLINE void add_bytes(__m256i x, __m256i signs, __m256i sizes, __m256i *low, __m256i *high) {
    const __m256i pairs = _mm256_maddubs_epi16(sizes, x ^ signs);
    *low = _mm256_add_epi16(*low, pairs);
    *high = _mm256_add_epi16(*high, _mm256_srai_epi16(pairs, 8));
}
// Adds a word of both rows, the second `stride` bytes behind the first.
INLINE void add_word(const char *x, int64_t stride, const int32_t *w, byte_sums *sums) {
    const __m256i *from = (const __m256i *)w;
    for (int r = 0; r < 2; r++) {
        const __m256i row = _mm256_set1_epi32(*(const int32_t *)(x + r * stride));
        for (int h = 0; h < 2; h++) add_bytes(row, from[h], from[2 + h], &sums->low[r][h], &sums->high[r][h]);
    }
}

// The same for words in pairs, in an order that keeps the multiplier busy. A port of Zen 1 takes the oldest operation that is
// ready. So an addition takes the multiplier's port if it is older than the next multiplication, and multiplications stand before
// additions of earlier products where the registers allow it. This order is the best of some million that were tried (Zen 1):
// products of 256 rows take 88 G operations a second in it, and 79 by `add_word` in the compiler's.
#define REPEAT(word, row, to) "vpbroadcastd 4*" #word "(%[x" #row "],%[at]),%%ymm" #to "\n"
#define SIGN(word, half, row, to) "vpxor 128*" #word "+32*" #half "(%[w]),%%ymm" #row ",%%ymm" #to "\n"
#define SIZES(word) "vmovdqa 128*" #word "+64(%[w]),%%ymm14\nvmovdqa 128*" #word "+96(%[w]),%%ymm15\n"
#define MULTIPLY_0(at) "vpmaddubsw %%ymm" #at ",%%ymm14,%%ymm" #at "\n"
#define MULTIPLY_1(at) "vpmaddubsw %%ymm" #at ",%%ymm15,%%ymm" #at "\n"
#define MULTIPLY(half, at) MULTIPLY_##half(at)
#define LOW(row, half, from) "vpaddw %%ymm" #from ",%[low" #row #half "],%[low" #row #half "]\n"
#define SHIFT(at) "vpsraw $8,%%ymm" #at ",%%ymm" #at "\n"
#define HIGH(row, half, from) "vpaddw %%ymm" #from ",%[high" #row #half "],%[high" #row #half "]\n"
// clang-format off
#define TWO_WORDS \
    REPEAT(0, 0, 8) REPEAT(0, 1, 9) SIGN(0, 0, 8, 10) SIZES(0) MULTIPLY(0, 10) SIGN(0, 0, 9, 11) \
    SIGN(0, 1, 9, 9) REPEAT(1, 0, 12) MULTIPLY(1, 9) SIGN(1, 0, 12, 13) SIGN(0, 1, 8, 8) LOW(1, 1, 9) \
    MULTIPLY(0, 11) SHIFT(9) HIGH(1, 1, 9) SIGN(1, 1, 12, 12) LOW(0, 0, 10) REPEAT(1, 1, 9) MULTIPLY(1, 8) \
    SHIFT(10) HIGH(0, 0, 10) SIGN(1, 0, 9, 10) SIGN(1, 1, 9, 9) LOW(1, 0, 11) SIZES(1) LOW(0, 1, 8) SHIFT(11) \
    MULTIPLY(1, 9) MULTIPLY(0, 10) LOW(1, 0, 10) MULTIPLY(0, 13) SHIFT(8) MULTIPLY(1, 12) LOW(1, 1, 9) \
    SHIFT(10) HIGH(1, 0, 11) LOW(0, 0, 13) HIGH(0, 1, 8) SHIFT(9) HIGH(1, 1, 9) LOW(0, 1, 12) HIGH(1, 0, 10) \
    SHIFT(13) HIGH(0, 0, 13) SHIFT(12) HIGH(0, 1, 12)
// clang-format on
INLINE void add_word_pairs(const char *x, int64_t stride, const int32_t *w, int64_t words, byte_sums *sums) {
    const char *x0 = x + 4 * words, *x1 = x0 + stride;
    int64_t at = -4 * words;
    __asm__ volatile(".p2align 6\n1:\n" TWO_WORDS "add $256,%[w]\nadd $8,%[at]\njnz 1b"
                     : [w] "+r"(w), [at] "+r"(at), [low00] "+x"(sums->low[0][0]), [low01] "+x"(sums->low[0][1]),
                       [low10] "+x"(sums->low[1][0]), [low11] "+x"(sums->low[1][1]), [high00] "+x"(sums->high[0][0]),
                       [high01] "+x"(sums->high[0][1]), [high10] "+x"(sums->high[1][0]), [high11] "+x"(sums->high[1][1])
                     : [x0] "r"(x0), [x1] "r"(x1)
                     : "ymm8", "ymm9", "ymm10", "ymm11", "ymm12", "ymm13", "ymm14", "ymm15", "cc", "memory");
}
#undef REPEAT
#undef SIGN
#undef SIZES
#undef MULTIPLY_0
#undef MULTIPLY_1
#undef MULTIPLY
#undef LOW
#undef SHIFT
#undef HIGH
#undef TWO_WORDS
