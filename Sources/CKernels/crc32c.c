// CRC-32C (Castagnoli), of packed files' sections.
#include <string.h>
#include "CKernels.h"

static uint32_t plain(uint32_t crc, const uint8_t *p, size_t n) {
    for (; n; n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t fast(uint32_t crc, const uint8_t *p, size_t n) {
    uint64_t wide = crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    return plain((uint32_t)wide, p, n);
}
#endif

uint32_t gloss_crc32c(const void *bytes, size_t size) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2")) return ~fast(~0u, bytes, size);
#endif
    return ~plain(~0u, bytes, size);
}
