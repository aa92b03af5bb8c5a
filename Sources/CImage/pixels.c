#include "internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <zlib.h>

cimage_status cimage_fail(cimage_reason *reason, cimage_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason->text, sizeof reason->text, format, arguments);
    va_end(arguments);
    return status;
}

cimage_status cimage_no_memory(uint64_t working, cimage_reason *reason) {
    void *volatile proof = malloc(working);
    if (!proof) return cimage_fail(reason, CIMAGE_NO_MEMORY, "out of memory");
    free(proof);
    return cimage_fail(reason, CIMAGE_CORRUPT, "it asks for more memory than an image of its size takes");
}

void cimage_prepare(void) {
    cimage_heif_prepare();
    cimage_tiff_prepare();
}

static uint64_t big(const uint8_t *at, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; i++) value = value << 8 | at[i];
    return value;
}

bool cimage_is_cut(const uint8_t *bytes, size_t count) {
    for (size_t at = 0; at < count;) {
        const size_t left = count - at;
        if (left < 8) return true;
        uint64_t size = big(bytes + at, 4);
        if (size == 0) return false;  // up to the file's end
        if (size == 1) size = left < 16 ? UINT64_MAX : big(bytes + at + 8, 8);
        if (size < 8) return false;  // damaged
        if (size > left) return true;
        at += size;
    }
    return false;
}

size_t cimage_inflate(const uint8_t *bytes, size_t count, uint8_t *target, size_t capacity) {
    uLongf size = capacity;
    return uncompress(target, &size, bytes, count) == Z_OK ? size : 0;
}

void cimage_composite(const uint8_t *rgba, size_t count, const uint8_t background[3], uint8_t *rgb) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t alpha = rgba[4 * i + 3];
        for (int channel = 0; channel < 3; channel++) {
            const uint32_t sum = rgba[4 * i + channel] * alpha + background[channel] * (255 - alpha);
            rgb[3 * i + channel] = (uint8_t)((sum + 127) / 255);  // 255 is odd: there are no ties
        }
    }
}

static uint8_t product_over_255(uint32_t a, uint32_t b) {
    const uint32_t x = a * b + 128;
    return (uint8_t)(((x >> 8) + x) >> 8);
}

void cimage_cmyk(const uint8_t *cmyk, size_t count, uint8_t *rgb, bool is_inverted) {
    const uint8_t flip = is_inverted ? 255 : 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t white = 255u - (cmyk[4 * i + 3] ^ flip);
        for (int channel = 0; channel < 3; channel++) {
            rgb[3 * i + channel] = (uint8_t)(white - product_over_255(cmyk[4 * i + channel] ^ flip, white));
        }
    }
}

// Where the target's pixel (0, 0) lies in the source, and the source's step along a target row and column.
typedef struct {
    ptrdiff_t origin, along_row, along_column;
} walk;

static walk walk_for(size_t width, size_t height, int orientation) {
    const ptrdiff_t row = (ptrdiff_t)width, right = row - 1, bottom = row * ((ptrdiff_t)height - 1);
    switch (orientation) {
        case 2: return (walk){right, -1, row};            // mirrored left to right
        case 3: return (walk){bottom + right, -1, -row};  // turned by 180°
        case 4: return (walk){bottom, 1, -row};           // mirrored top to bottom
        case 5: return (walk){0, row, 1};                 // transposed
        case 6: return (walk){bottom, -row, 1};           // to be turned by 90° clockwise
        case 7: return (walk){bottom + right, -row, -1};  // transposed along the other diagonal
        case 8: return (walk){right, row, -1};            // to be turned by 90° anticlockwise
        default: return (walk){0, 1, row};
    }
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

void cimage_orient(const uint8_t *source, size_t width, size_t height, int orientation, uint8_t *target) {
    const walk step = walk_for(width, height, orientation);
    const size_t columns = orientation >= 5 ? height : width, rows = orientation >= 5 ? width : height;
    const size_t tile = 64;  // pixels; keeps both sides of a transposition in cache
    for (size_t top = 0; top < rows; top += tile) {
        for (size_t left = 0; left < columns; left += tile) {
            for (size_t y = top; y < smaller(top + tile, rows); y++) {
                for (size_t x = left; x < smaller(left + tile, columns); x++) {
                    const ptrdiff_t across = (ptrdiff_t)x * step.along_row, down = (ptrdiff_t)y * step.along_column;
                    const uint8_t *pixel = source + 3 * (step.origin + across + down);
                    uint8_t *to = target + 3 * (y * columns + x);
                    to[0] = pixel[0], to[1] = pixel[1], to[2] = pixel[2];
                }
            }
        }
    }
}
