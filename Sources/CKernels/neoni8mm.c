#if defined(__aarch64__)
#include <arm_neon.h>
#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)
#define NAME(x) gloss_neoni8mm_##x
#define VECTORS 1
#define INT8_MATRICES
#include "body.h"
#pragma clang attribute pop
#endif
