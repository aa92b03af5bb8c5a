// Products by one of four words in a register, as Arm has them: FMLA for f32, SDOT for int8. A row's words are loaded
// four at a time, and not one by one into all lanes, which takes a vector unit for each. The sums are those of gemm.h,
// in its order.
#if defined(__aarch64__)
#include <arm_neon.h>

// Whether there is an instruction for it.
INLINE bool has_lanes(gloss_arithmetic arithmetic) {
#if defined(INT8_SIGNED)
    if (arithmetic == GLOSS_INT8_INT8) return true;
#endif
    return arithmetic != GLOSS_INT8_INT8;
}

// `tile_words` of gemm.h for 16 columns: sums[r][columns / 4] += x[r] · w.
//
// With 6 rows, 24 sums, the rows, four columns and the 128 take all 32 registers. The compiler would load columns early,
// and write sums to memory for want of registers. So four columns by 6 rows are one piece for it.
INLINE void lane_words(int rows, gloss_arithmetic arithmetic, const char *x, int64_t ldx, const char *w, int64_t words,
                       int lines, tile_ahead ahead, v16 acc[GLOSS_TILE_ROWS][VECTORS]) {
    int32x4_t sums[GLOSS_TILE_ROWS][4], row[GLOSS_TILE_ROWS], column;
    for (int r = 0; r < rows; r++) memcpy(sums[r], acc[r], sizeof sums[r]);
    // An exclusive or takes the 128 that was added to int8 weights.
    const int32x4_t added = vreinterpretq_s32_u8(vdupq_n_u8(128));
#define SIX_ROWS(before, multiply, all, one, lane)                                                             \
    __asm__("ldr %q0, %14\n" before                                                                            \
            multiply " %1.4s, %0." all ", %8." one "[" #lane "]\n"                                             \
            multiply " %2.4s, %0." all ", %9." one "[" #lane "]\n"                                             \
            multiply " %3.4s, %0." all ", %10." one "[" #lane "]\n"                                            \
            multiply " %4.4s, %0." all ", %11." one "[" #lane "]\n"                                            \
            multiply " %5.4s, %0." all ", %12." one "[" #lane "]\n"                                            \
            multiply " %6.4s, %0." all ", %13." one "[" #lane "]"                                              \
            : "=&w"(column), "+w"(sums[0][c]), "+w"(sums[1][c]), "+w"(sums[2][c]), "+w"(sums[3][c]),           \
              "+w"(sums[4][c]), "+w"(sums[5][c])                                                               \
            : "w"(added), "w"(row[0]), "w"(row[1]), "w"(row[2]), "w"(row[3]), "w"(row[4]), "w"(row[5]),        \
              "m"(*(const int32x4_t *)from));
#if defined(INT8_SIGNED)
#define BYTES(lane)                                                                                            \
    if (rows == 6) SIX_ROWS("eor %0.16b, %0.16b, %7.16b\n", "sdot", "16b", "4b", lane)                         \
    else                                                                                                       \
        for (int r = 0; r < rows; r++)                                                                         \
            sums[r][c] = vdotq_laneq_s32(sums[r][c], vreinterpretq_s8_s32(veorq_s32(vld1q_s32(from), added)),  \
                                         vreinterpretq_s8_s32(row[r]), lane);
#else
#define BYTES(lane)
#endif
#define FLOATS(lane)                                                                                           \
    if (rows == 6) SIX_ROWS("", "fmla", "4s", "s", lane)                                                       \
    else                                                                                                       \
        for (int r = 0; r < rows; r++)                                                                         \
            sums[r][c] = vreinterpretq_s32_f32(vfmaq_laneq_f32(vreinterpretq_f32_s32(sums[r][c]),              \
                                                               vreinterpretq_f32_s32(vld1q_s32(from)),         \
                                                               vreinterpretq_f32_s32(row[r]), lane));
#define WORD(lane)                                                                                             \
    if (lines) __builtin_prefetch(ahead.next + (i + lane) * ahead.pace, 0, 2);                                 \
    for (int c = 0; c < 4; c++) {                                                                              \
        const int32_t *from = (const int32_t *)w + (i + lane) * GLOSS_PANEL + c * 4;                           \
        if (arithmetic == GLOSS_INT8_INT8) { BYTES(lane) }                                                     \
        else { FLOATS(lane) }                                                                                  \
    }
    int64_t i = 0;
    for (; i + 4 <= words; i += 4) {
        for (int r = 0; r < rows; r++) row[r] = vld1q_s32((const int32_t *)(x + r * ldx + i * 4));
        if (!lines) prefetch_quarters(ahead, i / 4);
        WORD(0) WORD(1) WORD(2) WORD(3)
    }
    for (; i < words; i++) {
        for (int r = 0; r < rows; r++) row[r] = vld1q_dup_s32((const int32_t *)(x + r * ldx + i * 4));
        WORD(0)
    }
#undef WORD
#undef FLOATS
#undef BYTES
#undef SIX_ROWS
    for (int r = 0; r < rows; r++) memcpy(acc[r], sums[r], sizeof sums[r]);
}
#endif
