// What the machine can do at best: the limits that kernels are held against.
#pragma once
#include <stdint.h>

// A multiply-add counts as two operations. F32: fused where the instruction set has it, else a product and a sum. BF16:
// VDPBF16PS. INT8: VPDPBUSD, unsigned by signed. AMX: TDPBF16PS, TDPBSUD.
typedef enum {
    GLOSS_PEAK_F32_GENERIC,
    GLOSS_PEAK_F32_AVX2,
    GLOSS_PEAK_F32_AVX512,
    GLOSS_PEAK_BF16,
    GLOSS_PEAK_INT8,
    GLOSS_PEAK_BF16_AMX,
    GLOSS_PEAK_INT8_AMX
} gloss_peak;

// Operations of one round; 0 where this CPU has no such instruction.
int64_t gloss_peak_operations(gloss_peak peak);
// Computes rounds in registers alone, on this thread. The result is there so that it is computed.
double gloss_peak_run(gloss_peak peak, int64_t rounds);

// Memory to read from, filled, in huge pages where the system gives them; null if there is none. `bytes` is a multiple
// of 2 MiB.
void *gloss_peak_memory(int64_t bytes);
void gloss_peak_release(void *memory, int64_t bytes);
// Reads each byte once, as `streams` parts side by side (a multiple of 256 bytes each), prefetching so many bytes ahead
// (0: not).
uint64_t gloss_peak_read(const void *memory, int64_t bytes, int64_t streams, int64_t distance);
