// A C door to libsentencepiece: one loaded tokenizer.model.
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct gloss_sp gloss_sp;

// Loads a serialised model. NULL on failure, with a message in `error`.
gloss_sp *gloss_sp_load(const void *bytes, size_t size, char *error, size_t error_size);
void gloss_sp_free(gloss_sp *);
int32_t gloss_sp_piece_count(const gloss_sp *);
// Ids of `text`; the array is freed by gloss_sp_free_ids. −1 on failure.
int64_t gloss_sp_encode(const gloss_sp *, const char *text, size_t size, int32_t **ids);
void gloss_sp_free_ids(int32_t *);
// Text of `ids` (each in 0..<piece count); freed by gloss_sp_free_text. NULL on failure.
char *gloss_sp_decode(const gloss_sp *, const int32_t *ids, size_t count, size_t *size);
void gloss_sp_free_text(char *);
// The byte that a byte piece (<0x41>) stands for, or what else the piece is: text, or nothing to read (control, unknown).
enum { GLOSS_SP_TEXT = -1, GLOSS_SP_NO_TEXT = -2 };
int32_t gloss_sp_byte(const gloss_sp *, int32_t id);

#ifdef __cplusplus
}
#endif
