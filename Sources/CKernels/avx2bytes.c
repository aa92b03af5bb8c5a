#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define NAME(x) gloss_avx2bytes_##x
#define VECTORS 1
#define LONE_VECTORS 4
#define LONE_QUARTERS
#define INT8_BYTES
#include "body.h"
#pragma clang attribute pop
#endif
