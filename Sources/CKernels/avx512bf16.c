#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,avx2," \
                                                   "fma"))), apply_to = function)
#define NAME(x) gloss_avx512bf16_##x
#define VECTORS 4
#define BF16_DOT
#define INT8_DOT 512
#include "body.h"
#pragma clang attribute pop
#endif
