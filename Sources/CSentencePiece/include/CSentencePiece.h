// A C interface to libsentencepiece. A gloss_sp is one loaded tokenizer.model.
#pragma once
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

typedef struct gloss_sp gloss_sp;

// Loads a serialised model. Returns NULL on failure, with a message in `error`.
gloss_sp *gloss_sp_load(const void *bytes, size_t size, char *error, size_t error_size);
void gloss_sp_free(gloss_sp *);
int32_t gloss_sp_piece_count(const gloss_sp *);
// The id of a piece, or −1 where there is none.
int32_t gloss_sp_id(const gloss_sp *, const char *piece);
// Encodes `text`. Returns the number of ids, or −1 on failure. Free `ids` with gloss_sp_free_ids.
int64_t gloss_sp_encode(const gloss_sp *, const char *text, size_t size, int32_t **ids);
void gloss_sp_free_ids(int32_t *);
// Decodes `ids` (each in 0..<piece count). Returns the text, not terminated, or NULL on failure. Free it with
// gloss_sp_free_text.
char *gloss_sp_decode(const gloss_sp *, const int32_t *ids, size_t count, size_t *size);
void gloss_sp_free_text(char *);
// The value of a byte piece such as <0x41>. GLOSS_SP_TEXT for a piece of text, GLOSS_SP_NO_TEXT for a control or
// unknown piece, which decodes to nothing.
enum { GLOSS_SP_TEXT = -1, GLOSS_SP_NO_TEXT = -2 };
int32_t gloss_sp_byte(const gloss_sp *, int32_t id);

#ifdef __cplusplus
}
#endif
