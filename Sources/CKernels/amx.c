#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("amx-tile,amx-int8,amx-bf16,avx512f,avx512bw,avx512dq,avx512vl," \
                                                   "avx512bf16,avx512vnni,avx2,fma,f16c"))), apply_to = function)
#define NAME(x) gloss_amx_##x
#define VECTORS 4
#define BF16_DOT
#define INT8_DOT
#define AMX
#include "body.h"
#pragma clang attribute pop
#endif
