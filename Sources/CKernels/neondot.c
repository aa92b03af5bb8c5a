#if defined(__aarch64__)
#include <arm_neon.h>
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#define NAME(x) gloss_neondot_##x
#define VECTORS 1
#define INT8_SIGNED
#include "body.h"
#pragma clang attribute pop
#endif
