// Microbenchmarks. They use as many independent accumulators as the registers hold, so that neither latency nor loads
// limit them.
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include "CKernels.h"
#include "peaks.h"

// Runs `step`, which updates acc[i], rounds × `count` times in registers.
#define PEAK(name, vector, count, start, step, sum)                        \
    static double name(int64_t rounds) {                                   \
        vector acc[count];                                                 \
        for (int i = 0; i < count; i++) acc[i] = start;                    \
        for (int64_t round = 0; round < rounds; round++) {                 \
            _Pragma("unroll") for (int i = 0; i < count; i++) step;        \
        }                                                                  \
        double total = 0;                                                  \
        for (int i = 0; i < count; i++) total += sum;                      \
        return total;                                                      \
    }
// Sums 64-byte vectors. The compiler splits them into the registers of the instruction set.
#define READ(name)                                                                                          \
    static uint64_t name(const char *p, int64_t part, int64_t streams, int64_t distance) {                  \
        words sums[4] = {{0}};                                                                              \
        for (int64_t at = 0; at < part; at += 256) {                                                        \
            for (int64_t s = 0; s < streams; s++) {                                                         \
                const char *line = p + s * part + at;                                                       \
                if (distance)                                                                               \
                    for (int i = 0; i < 4; i++) __builtin_prefetch(line + distance + 64 * i, 0, 3);         \
                for (int i = 0; i < 4; i++) sums[i] += *(const words *)(line + 64 * i);                     \
            }                                                                                               \
        }                                                                                                   \
        words sum = sums[0] + sums[1] + sums[2] + sums[3];                                                  \
        uint64_t total = 0;                                                                                 \
        for (int i = 0; i < 8; i++) total += sum[i];                                                        \
        return total;                                                                                       \
    }

enum { AVX2_COUNT = 12, BYTES_COUNT = 32, AVX512_COUNT = 24, NEON_COUNT = 24, TILE_COUNT = 6 };
typedef uint64_t words __attribute__((vector_size(64)));
typedef float quad __attribute__((vector_size(16)));

#if defined(__aarch64__)
enum { GENERIC_COUNT = NEON_COUNT };
#else
enum { GENERIC_COUNT = 12 };
#endif

static const quad quad_factor = {1e-3f, 1e-3f, 1e-3f, 1e-3f}, quad_term = {1, 1, 1, 1};
#if defined(__aarch64__)
PEAK(f32_generic, quad, GENERIC_COUNT, quad_term * (float)i,
     acc[i] = __builtin_elementwise_fma(acc[i], quad_factor, quad_term), acc[i][0])
#else
PEAK(f32_generic, quad, GENERIC_COUNT, quad_term * (float)i, acc[i] = acc[i] * quad_factor + quad_term, acc[i][0])
#endif
READ(read_generic)

#if defined(__aarch64__)
#include <arm_neon.h>
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
PEAK(int8_neon_dot, int32x4_t, NEON_COUNT, vdupq_n_s32(i),
     acc[i] = vdotq_s32(acc[i], vdupq_n_s8(3), vdupq_n_s8(-1)), acc[i][0])
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("i8mm"))), apply_to = function)
PEAK(int8_neon_i8mm, int32x4_t, NEON_COUNT, vdupq_n_s32(i),
     acc[i] = vusmmlaq_s32(acc[i], vdupq_n_u8(3), vdupq_n_s8(-1)), acc[i][0])
#pragma clang attribute pop
#endif

#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define INLINE static inline __attribute__((always_inline))
#include "byte_sums.h"
PEAK(f32_avx2, __m256, AVX2_COUNT, _mm256_set1_ps((float)i),
     acc[i] = _mm256_fmadd_ps(acc[i], _mm256_set1_ps(1e-3f), _mm256_set1_ps(1)), acc[i][0])
READ(read_avx2)
PEAK(int8_avx2, __m256i, AVX2_COUNT, _mm256_set1_epi32(i),
     acc[i] = _mm256_add_epi32(_mm256_madd_epi16(acc[i], _mm256_set1_epi16(3)), _mm256_set1_epi32(5)),
     _mm256_cvtsi256_si32(acc[i]))
// Two words a round, from the first-level cache.
static double int8_avx2_bytes(int64_t rounds) {
    static const char weights[8 * GLOSS_PANEL * BYTES_COUNT] __attribute__((aligned(64))) = {1};
    static const int32_t signs[2 * BYTES_COUNT] = {1}, sizes[2 * BYTES_COUNT] = {1};
    lines_ahead none = {0};
    byte_sums sums = {0};
    for (int64_t round = 0, count; round < rounds; round += count) {
        count = rounds - round < BYTES_COUNT ? rounds - round : BYTES_COUNT;
        add_words(signs, sizes, weights, 2 * count, &none, &sums);
    }
    return (double)_mm256_cvtsi256_si32(sums.low[0]);
}
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,avxvnni"))), apply_to = function)
PEAK(int8_avx_vnni, __m256i, AVX2_COUNT, _mm256_set1_epi32(i),
     acc[i] = _mm256_dpbusd_avx_epi32(acc[i], _mm256_set1_epi8(3), _mm256_set1_epi8(-1)),
     _mm256_cvtsi256_si32(acc[i]))
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
PEAK(f32_avx512, __m512, AVX512_COUNT, _mm512_set1_ps((float)i),
     acc[i] = _mm512_fmadd_ps(acc[i], _mm512_set1_ps(1e-3f), _mm512_set1_ps(1)), acc[i][0])
READ(read_avx512)
PEAK(int8_avx512, __m512i, AVX512_COUNT, _mm512_set1_epi32(i),
     acc[i] = _mm512_add_epi32(_mm512_madd_epi16(acc[i], _mm512_set1_epi16(3)), _mm512_set1_epi32(5)),
     _mm512_cvtsi512_si32(acc[i]))
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))), apply_to = function)
PEAK(bf16, __m512, AVX512_COUNT, _mm512_set1_ps((float)i),
     acc[i] = _mm512_dpbf16_ps(acc[i], (__m512bh)_mm512_set1_epi16(0x3f80), (__m512bh)_mm512_set1_epi16(0x3c00)),
     acc[i][0])
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))), apply_to = function)
PEAK(int8, __m512i, AVX512_COUNT, _mm512_set1_epi32(i),
     acc[i] = _mm512_dpbusd_epi32(acc[i], _mm512_set1_epi8(3), _mm512_set1_epi8(-1)), (double)acc[i][0])
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("amx-tile,amx-int8,amx-bf16"))), apply_to = function)
// Uses six tiles of sums and two tiles of zeros.
#define TILES(name, multiply)                                                                             \
    static double name(int64_t rounds) {                                                                  \
        const struct {                                                                                    \
            uint8_t palette, start_row, reserved[14];                                                     \
            uint16_t row_bytes[16];                                                                       \
            uint8_t rows[16];                                                                             \
        } shapes = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};       \
        _tile_loadconfig(&shapes);                                                                        \
        for (int64_t round = 0; round < rounds; round++) {                                                \
            multiply(0, 6, 7);                                                                            \
            multiply(1, 6, 7);                                                                            \
            multiply(2, 6, 7);                                                                            \
            multiply(3, 6, 7);                                                                            \
            multiply(4, 6, 7);                                                                            \
            multiply(5, 6, 7);                                                                            \
        }                                                                                                 \
        _tile_release();                                                                                  \
        return 0;                                                                                         \
    }
TILES(bf16_tiles, _tile_dpbf16ps)
TILES(int8_tiles, _tile_dpbsud)
#pragma clang attribute pop
#endif

int64_t gloss_peak_operations(gloss_peak peak) {
#if defined(__x86_64__)
    switch (peak) {
    case GLOSS_PEAK_F32_AVX2: return gloss_has_isa(GLOSS_AVX2) ? 8 * 2 * AVX2_COUNT : 0;
    case GLOSS_PEAK_F32_AVX512: return gloss_has_isa(GLOSS_AVX512) ? 16 * 2 * AVX512_COUNT : 0;
    case GLOSS_PEAK_BF16: return gloss_has_isa(GLOSS_AVX512_BF16) ? 32 * 2 * AVX512_COUNT : 0;
    case GLOSS_PEAK_INT8: return gloss_has_isa(GLOSS_AVX512_VNNI) ? 64 * 2 * AVX512_COUNT : 0;
    case GLOSS_PEAK_INT8_AVX2: return gloss_has_isa(GLOSS_AVX2) ? 16 * 2 * AVX2_COUNT : 0;
    case GLOSS_PEAK_INT8_AVX2_BYTES: return gloss_has_isa(GLOSS_AVX2_BYTES) ? 4 * 32 * 2 * 2 : 0;
    case GLOSS_PEAK_INT8_AVX512: return gloss_has_isa(GLOSS_AVX512) ? 32 * 2 * AVX512_COUNT : 0;
    case GLOSS_PEAK_INT8_AVX_VNNI: return gloss_has_isa(GLOSS_AVX_VNNI) ? 32 * 2 * AVX2_COUNT : 0;
    case GLOSS_PEAK_BF16_AMX: return gloss_has_isa(GLOSS_AMX) ? 16 * 16 * 32 * 2 * TILE_COUNT : 0;
    case GLOSS_PEAK_INT8_AMX: return gloss_has_isa(GLOSS_AMX) ? 16 * 16 * 64 * 2 * TILE_COUNT : 0;
    default: break;
    }
#elif defined(__aarch64__)
    if (peak == GLOSS_PEAK_INT8_NEON_DOT) return gloss_has_isa(GLOSS_NEON_DOT) ? 16 * 2 * NEON_COUNT : 0;
    if (peak == GLOSS_PEAK_INT8_NEON_I8MM) return gloss_has_isa(GLOSS_NEON_I8MM) ? 32 * 2 * NEON_COUNT : 0;
#endif
    return peak == GLOSS_PEAK_F32_GENERIC ? 4 * 2 * GENERIC_COUNT : 0;
}

double gloss_peak_run(gloss_peak peak, int64_t rounds) {
    switch (peak) {
#if defined(__x86_64__)
    case GLOSS_PEAK_F32_AVX2: return f32_avx2(rounds);
    case GLOSS_PEAK_F32_AVX512: return f32_avx512(rounds);
    case GLOSS_PEAK_BF16: return bf16(rounds);
    case GLOSS_PEAK_INT8: return int8(rounds);
    case GLOSS_PEAK_INT8_AVX2: return int8_avx2(rounds);
    case GLOSS_PEAK_INT8_AVX2_BYTES: return int8_avx2_bytes(rounds);
    case GLOSS_PEAK_INT8_AVX512: return int8_avx512(rounds);
    case GLOSS_PEAK_INT8_AVX_VNNI: return int8_avx_vnni(rounds);
    case GLOSS_PEAK_BF16_AMX: return bf16_tiles(rounds);
    case GLOSS_PEAK_INT8_AMX: return int8_tiles(rounds);
#elif defined(__aarch64__)
    case GLOSS_PEAK_INT8_NEON_DOT: return int8_neon_dot(rounds);
    case GLOSS_PEAK_INT8_NEON_I8MM: return int8_neon_i8mm(rounds);
#endif
    default: return f32_generic(rounds);
    }
}

void *gloss_peak_memory(int64_t bytes) {
    void *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
#if defined(MADV_HUGEPAGE)
    madvise(memory, (size_t)bytes, MADV_HUGEPAGE);
#endif
    memset(memory, 1, (size_t)bytes);
    return memory;
}

void gloss_peak_release(void *memory, int64_t bytes) { munmap(memory, (size_t)bytes); }

uint64_t gloss_peak_read(const void *memory, int64_t bytes, int64_t streams, int64_t distance) {
    int64_t part = bytes / streams;
#if defined(__x86_64__)
    if (gloss_has_isa(GLOSS_AVX512)) return read_avx512(memory, part, streams, distance);
    if (gloss_has_isa(GLOSS_AVX2)) return read_avx2(memory, part, streams, distance);
#endif
    return read_generic(memory, part, streams, distance);
}
