// The sums of bytes.h in registers: the products of a row with 32 columns. The row's words are signs and sizes, in an array each.
// The weights are read as they are packed, 64 columns a word.
#pragma once
#include <immintrin.h>
#include <stdint.h>

// [8 columns]
typedef struct {
    __m256i low[4], high[4];
} byte_sums;
// Lines that are prefetched beside the words: one in each of four quarters, `pace` bytes on after two words. No pace, no lines.
typedef struct {
    const char *next;
    int64_t quarter, pace;  // bytes
} lines_ahead;

// Adds a word.
INLINE void add_word(int32_t signs, int32_t sizes, const char *w, byte_sums *sums) {
    const __m256i sign = _mm256_set1_epi32(signs), size = _mm256_set1_epi32(sizes);
    for (int h = 0; h < 4; h++) {
        const __m256i pairs = _mm256_maddubs_epi16(size, sign ^ _mm256_loadu_si256((const __m256i *)w + h));
        sums->low[h] = _mm256_add_epi16(sums->low[h], pairs);
        sums->high[h] = _mm256_add_epi16(sums->high[h], _mm256_srai_epi16(pairs, 8));
    }
}

// The same for an even number of words, not 0, in an order that keeps the multiplier busy: an addition that is ready first takes
// the multiplier's port on Zen 1. The order is the best of a million that were tried there, by hill climbing.
#define SIGNS(word, to) "vpbroadcastd 4*" #word "(%[signs],%[at]),%%ymm" #to "\n"
#define SIZES(word, to) "vpbroadcastd 4*" #word "(%[sizes],%[at]),%%ymm" #to "\n"
#define SIGN(word, quarter, signs, to) "vpxor 256*" #word "+32*" #quarter "(%[w]),%%ymm" #signs ",%%ymm" #to "\n"
#define MULTIPLY(sizes, at) "vpmaddubsw %%ymm" #at ",%%ymm" #sizes ",%%ymm" #at "\n"
#define LOW(quarter, from) "vpaddw %%ymm" #from ",%[low" #quarter "],%[low" #quarter "]\n"
#define SHIFT(at) "vpsraw $8,%%ymm" #at ",%%ymm" #at "\n"
#define HIGH(quarter, from) "vpaddw %%ymm" #from ",%[high" #quarter "],%[high" #quarter "]\n"
#define TWO_WORDS \
    SIZES(0, 8) SIGNS(0, 9) SIGN(0, 3, 9, 10) MULTIPLY(8, 10) SIGN(0, 2, 9, 11) SIGN(0, 1, 9, 12) \
    SIGNS(1, 13) MULTIPLY(8, 11) SIGN(0, 0, 9, 9) MULTIPLY(8, 12) SIGN(1, 1, 13, 14) MULTIPLY(8, 9) \
    SIGN(1, 3, 13, 15) SIZES(1, 8) LOW(2, 11) LOW(3, 10) SHIFT(10) MULTIPLY(8, 15) SHIFT(11) HIGH(3, 10) \
    SIGN(1, 2, 13, 10) LOW(1, 12) HIGH(2, 11) MULTIPLY(8, 10) MULTIPLY(8, 14) SHIFT(12) SIGN(1, 0, 13, 13) \
    MULTIPLY(8, 13) LOW(0, 9) SHIFT(9) LOW(3, 15) LOW(2, 10) HIGH(1, 12) HIGH(0, 9) LOW(1, 14) LOW(0, 13) \
    SHIFT(13) SHIFT(14) HIGH(1, 14) SHIFT(10) HIGH(2, 10) HIGH(0, 13) SHIFT(15) HIGH(3, 15)
#define LINES                                                                                       \
    "prefetcht1 (%[next])\nprefetcht1 (%[next],%[quarter])\nprefetcht1 (%[next],%[quarter],2)\n"    \
    "prefetcht1 (%[next],%[three])\nadd %[pace],%[next]\n"
#define ADD_WORDS(lines)                                                                                                     \
    __asm__ volatile(".p2align 6\n1:\n" lines TWO_WORDS "add $512,%[w]\nadd $8,%[at]\njnz 1b"                                \
                     : [w] "+r"(w), [at] "+r"(at), [next] "+r"(ahead->next), [low0] "+x"(sums->low[0]),                      \
                       [low1] "+x"(sums->low[1]), [low2] "+x"(sums->low[2]), [low3] "+x"(sums->low[3]),                      \
                       [high0] "+x"(sums->high[0]), [high1] "+x"(sums->high[1]), [high2] "+x"(sums->high[2]),                \
                       [high3] "+x"(sums->high[3])                                                                           \
                     : [signs] "r"(signs + words), [sizes] "r"(sizes + words), [quarter] "r"(ahead->quarter),                \
                       [three] "r"(3 * ahead->quarter), [pace] "r"(ahead->pace)                                              \
                     : "ymm8", "ymm9", "ymm10", "ymm11", "ymm12", "ymm13", "ymm14", "ymm15", "cc", "memory")
INLINE void add_words(const int32_t *signs, const int32_t *sizes, const char *w, int64_t words, lines_ahead *ahead,
                      byte_sums *sums) {
    int64_t at = -4 * words;
    if (ahead->pace) ADD_WORDS(LINES);
    else ADD_WORDS("");
}
#undef SIGNS
#undef SIZES
#undef SIGN
#undef MULTIPLY
#undef LOW
#undef SHIFT
#undef HIGH
#undef TWO_WORDS
#undef LINES
#undef ADD_WORDS
