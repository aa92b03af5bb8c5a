// The peaks of the machine's arithmetic and memory, which kernels are compared with.
#pragma once
#include <stdint.h>

// A multiply-add counts as two operations. F32 uses the fused instruction, or a product and a sum where there is none.
// BF16: VDPBF16PS. INT8: VPDPBUSD, unsigned by signed, by 256 bits (AVX_VNNI) or 512. INT8_AVX2, INT8_AVX512: VPMADDWD
// and VPADDD; INT8_AVX2_BYTES: VPMADDUBSW, as bytes.h sums it. AMX: TDPBF16PS, TDPBSUD. NEON: SDOT, USMMLA.
typedef enum {
    GLOSS_PEAK_F32_GENERIC,
    GLOSS_PEAK_F32_AVX2,
    GLOSS_PEAK_F32_AVX512,
    GLOSS_PEAK_BF16,
    GLOSS_PEAK_INT8,
    GLOSS_PEAK_INT8_AVX2,
    GLOSS_PEAK_INT8_AVX2_BYTES,
    GLOSS_PEAK_INT8_AVX512,
    GLOSS_PEAK_INT8_AVX_VNNI,
    GLOSS_PEAK_BF16_AMX,
    GLOSS_PEAK_INT8_AMX,
    GLOSS_PEAK_INT8_NEON_DOT,
    GLOSS_PEAK_INT8_NEON_I8MM
} gloss_peak;

// The operations of one round, or 0 if this CPU does not have the instruction.
int64_t gloss_peak_operations(gloss_peak peak);
// Computes rounds on this thread, in registers only; INT8_AVX2_BYTES reads the first-level cache. The result only keeps the compiler from removing them.
double gloss_peak_run(gloss_peak peak, int64_t rounds);

// Allocates and fills memory for gloss_peak_read, in huge pages if the system has them. Returns null if memory runs
// out. `bytes` is a multiple of 2 MiB.
void *gloss_peak_memory(int64_t bytes);
void gloss_peak_release(void *memory, int64_t bytes);
// Reads each byte once, as `streams` parallel parts of a multiple of 256 bytes, and prefetches `distance` bytes ahead
// (0: no prefetch).
uint64_t gloss_peak_read(const void *memory, int64_t bytes, int64_t streams, int64_t distance);
