// int8 by Arm's USMMLA, which multiplies matrices in registers: [2][8] bytes of weights by [8][2] of rows. Weights and
// rows are paired for it: two columns or two rows side by side, with two words of k each. Sums are exact, so the bits are
// those of gemm.h.
#if defined(INT8_MATRICES)

// Pairs some words of the weights. Words i and i + 1 of columns c to c + 3 go to out[i] + c, those of the first two
// columns, and out[i + 1] + c. The last word is paired with 0 where their number is odd.
INLINE void pair_weights(const char *w, int64_t words, int64_t columns, int64_t ahead, int32_t out[][GLOSS_PANEL]) {
    for (int64_t i = 0; i < words; i += 2, w += 8 * GLOSS_PANEL)
        for (int64_t c = 0; c < (columns + 15) / 16 * 16; c += 4) {
            if (ahead && c % 16 == 0) {
                __builtin_prefetch(w + ahead + c * 4, 0, 2);
                __builtin_prefetch(w + ahead + (GLOSS_PANEL + c) * 4, 0, 2);
            }
            const int32x4_t first = vld1q_s32((const int32_t *)w + c);
            const int32x4_t second = i + 1 < words ? vld1q_s32((const int32_t *)w + GLOSS_PANEL + c) : vdupq_n_s32(0);
            vst1q_s32(out[i] + c, vzip1q_s32(first, second));
            vst1q_s32(out[i + 1] + c, vzip2q_s32(first, second));
        }
}
// Pairs some words of up to 6 rows: a pair of rows is [pair of words][row][word], with zeros for what is missing. The pairs
// are `pair_stride` words apart.
INLINE void pair_rows(const char *x, int64_t stride, int64_t rows, int64_t words, int32_t *out, int64_t pair_stride) {
    for (int64_t r = 0; r < rows; r += 2)
        for (int64_t i = 0; i < words; i += 2)
            for (int64_t row = 0; row < 2; row++) {
                int32_t *to = out + r / 2 * pair_stride + 2 * i + 2 * row;
                to[0] = to[1] = 0;
                if (r + row < rows) memcpy(to, x + (r + row) * stride + i * 4, i + 1 < words ? 8 : 4);
            }
}
// `tile` of gemm.h for 16 columns of paired weights and rows. acc[pair of rows][pair of columns] is [column][row].
INLINE void tile_pairs(int rows, const char *x, int64_t ldx, const int32_t *corrections, const char *w, block_part part,
                       tile_ahead ahead, float *running, float *partial) {
    const int pairs = (rows + 1) / 2;
    int32x4_t acc[GLOSS_TILE_ROWS / 2][8];
    for (int p = 0; p < pairs; p++)
        for (int c = 0; c < 4; c++) {
            const int r = 2 * p, s = r + 1 < rows ? r + 1 : r;
            int32x4_t a, b;
            if (part.begins) a = vdupq_n_s32(corrections[r]), b = vdupq_n_s32(corrections[s]);
            else {
                a = vld1q_s32((const int32_t *)running + r * GLOSS_PANEL + 4 * c);
                b = vld1q_s32((const int32_t *)running + s * GLOSS_PANEL + 4 * c);
            }
            acc[p][2 * c] = vzip1q_s32(a, b);
            acc[p][2 * c + 1] = vzip2q_s32(a, b);
        }
    for (int64_t i = 0; i < part.words; i += 2, w += 8 * GLOSS_PANEL) {
        __builtin_prefetch(ahead.next + 2 * i * ahead.pace, 0, 2);
        int8x16_t row[GLOSS_TILE_ROWS / 2];
        for (int p = 0; p < pairs; p++) row[p] = vld1q_s8((const int8_t *)(x + p * ldx + i * 8));
        for (int c = 0; c < 8; c++) {
            const uint8x16_t columns = vld1q_u8((const uint8_t *)w + c / 2 * 16 + c % 2 * 4 * GLOSS_PANEL);
            for (int p = 0; p < pairs; p++) acc[p][c] = vusmmlaq_s32(acc[p][c], columns, row[p]);
        }
    }
    int32_t *to = (int32_t *)(part.ends ? partial : running);
    for (int p = 0; p < pairs; p++)
        for (int c = 0; c < 4; c++) {
            vst1q_s32(to + 2 * p * GLOSS_PANEL + 4 * c, vuzp1q_s32(acc[p][2 * c], acc[p][2 * c + 1]));
            if (2 * p + 1 < rows)
                vst1q_s32(to + (2 * p + 1) * GLOSS_PANEL + 4 * c, vuzp2q_s32(acc[p][2 * c], acc[p][2 * c + 1]));
        }
}
#endif
