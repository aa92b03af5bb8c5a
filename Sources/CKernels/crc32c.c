// Checks of the numbers of a model at load time: the CRC-32C (Castagnoli) of the sections of packed files, and that
// every number is finite. Both read memory at full speed. The bits of a number without its sign, plus a constant,
// carry into the place of the sign exactly if the number is not finite. So the check adds whole words and collects the
// carries of all.
#include <string.h>
#include "CKernels.h"

// Masks for the numbers in a word of 8 bytes: all bits but the signs, the constant to add, and the signs.
typedef struct {
    uint64_t magnitudes, addend, signs;
} number_bits;

static number_bits bits_of(gloss_dtype stored, gloss_dtype held) {
    const uint64_t halves = 0x0001000100010001u, words = 0x0000000100000001u;
    if (stored == GLOSS_F16) return (number_bits){0x7fff * halves, 0x0400 * halves, 0x8000 * halves};
    if (stored == GLOSS_BF16) return (number_bits){0x7fff * halves, 0x0080 * halves, 0x8000 * halves};
    if (stored == GLOSS_INT8) return (number_bits){0, 0, 0};
    // Numbers from 0x7f7f8000 on round to infinity in bf16.
    const uint64_t addend = held == GLOSS_BF16 ? 0x00808000 : 0x00800000;
    return (number_bits){0x7fffffff * words, addend * words, 0x80000000 * words};
}
static uint64_t word_at(const uint8_t *p, size_t n) {
    uint64_t word = 0;
    memcpy(&word, p, n < 8 ? n : 8);
    return word;
}

int64_t gloss_count_not_finite(const void *source, gloss_dtype stored, int64_t n, gloss_dtype held) {
    enum { BLOCK = 4096 };
    const number_bits bits = bits_of(stored, held);
    const uint8_t *p = source;
    size_t size = (size_t)n * (stored == GLOSS_F32 ? 4 : stored == GLOSS_INT8 ? 1 : 2);
    int64_t count = 0;
    for (size_t at = 0; at < size; at += BLOCK) {
        const size_t end = size - at < BLOCK ? size - at : BLOCK;
        uint64_t carries = 0;
        for (size_t i = 0; i + 8 <= end; i += 8) carries |= (word_at(p + at + i, 8) & bits.magnitudes) + bits.addend;
        if (end % 8) carries |= (word_at(p + at + end / 8 * 8, end % 8) & bits.magnitudes) + bits.addend;
        if (!(carries & bits.signs)) continue;
        for (size_t i = 0; i < end; i += 8)
            count += __builtin_popcountll(((word_at(p + at + i, end - i) & bits.magnitudes) + bits.addend)
                                          & bits.signs);
    }
    return count;
}

static uint32_t plain(uint32_t crc, const uint8_t *p, size_t n) {
    for (; n; n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return crc;
}

#if defined(__x86_64__)
// Each step of the CRC waits for the step before. Meanwhile the carries are collected.
__attribute__((target("sse4.2")))
static uint32_t fast(const uint8_t *p, size_t n, number_bits bits, uint64_t *carries) {
    uint64_t crc = ~0u, all = 0;
    for (; n >= 8; n -= 8, p += 8) {
        const uint64_t word = word_at(p, 8);
        crc = __builtin_ia32_crc32di(crc, word);
        all |= (word & bits.magnitudes) + bits.addend;
    }
    *carries = all | ((word_at(p, n) & bits.magnitudes) + bits.addend);
    return ~plain((uint32_t)crc, p, n);
}
#endif

uint32_t gloss_crc32c(const void *bytes, size_t size) {
    bool finite;
    return gloss_crc32c_of_numbers(bytes, size, GLOSS_INT8, &finite);
}

uint32_t gloss_crc32c_of_numbers(const void *bytes, size_t size, gloss_dtype type, bool *finite) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) {
        const number_bits bits = bits_of(type, type);
        uint64_t carries;
        const uint32_t crc = fast(bytes, size, bits, &carries);
        *finite = !(carries & bits.signs);
        return crc;
    }
#endif
    const int64_t width = type == GLOSS_F32 ? 4 : type == GLOSS_INT8 ? 1 : 2;
    *finite = gloss_count_not_finite(bytes, type, (int64_t)size / width, type) == 0;
    return ~plain(~0u, bytes, size);
}
