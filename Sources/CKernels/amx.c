// Without VDPBF16PS: on the processors with AMX two multiply-adds of f32 are faster.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("amx-tile,amx-int8,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl," \
                                                   "avx512vnni,avx2,fma"))), apply_to = function)
#define NAME(x) gloss_amx_##x
#define VECTORS 4
#define INT8_DOT 512
#define AMX
#include "body.h"
#pragma clang attribute pop
#endif
