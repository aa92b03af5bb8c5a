#pragma once

#include <stdbool.h>

#include "CImage.h"

// Fills in the reason and hands the status back, so that a failure is one `return`.
cimage_status cimage_fail(cimage_reason *reason, cimage_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// A library that says that there is no memory may be wrong: libwebp 1.5 says so of a file whose alpha is damaged, and a file
// may ask for more than any image takes. So its word counts only where as much as decoding takes is not to be had either.
// Call it when the library has given back what it had.
cimage_status cimage_no_memory(uint64_t working, cimage_reason *reason);

// Pillow's conversion of CMYK pixels; inverted: 255 means no ink.
void cimage_cmyk(const uint8_t *cmyk, size_t count, uint8_t *rgb, bool is_inverted);

// What libraries do once for a process, with system calls that a sandbox may refuse: libheif looks for its plugins in files;
// libtiff sorts what it knows, for which the C library asks how much memory there is.
void cimage_heif_prepare(void);
void cimage_tiff_prepare(void);

// Whether an ISO base media file ends within one of its boxes.
bool cimage_is_cut(const uint8_t *bytes, size_t count);
