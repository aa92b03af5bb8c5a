// Image decoders behind one shape: read the header, then decode into the caller's RGB buffer.
//
// No function keeps a pointer, and none allocates more than a working set in proportion to the header's size.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef enum {
    CIMAGE_OK = 0,
    CIMAGE_TRUNCATED,    // the file ends before the image does
    CIMAGE_CORRUPT,      // the bytes contradict the format
    CIMAGE_UNSUPPORTED,  // valid, perhaps, but a variant that is not decoded
    CIMAGE_NO_MEMORY,    // this machine has none; never a file's own fault
} cimage_status;

typedef struct {
    uint32_t width, height;  // as stored in the file, and as decode writes them
    uint64_t working;        // bytes that decoding takes at the most, beside the file: the caller's buffer and the library's
} cimage_header;

// Why a call failed; always a C string.
typedef struct {
    char text[200];
} cimage_reason;

cimage_status cimage_jpeg_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason);
cimage_status cimage_jpeg_decode(
    const uint8_t *bytes, size_t count, uint8_t *rgb, size_t rgb_size, cimage_reason *reason);

// background: the RGB colour that transparent pixels are laid on.
cimage_status cimage_png_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason);
cimage_status cimage_png_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason);

cimage_status cimage_webp_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason);
cimage_status cimage_webp_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason);

// Of an animation the first frame.
cimage_status cimage_gif_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason);
cimage_status cimage_gif_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason);

cimage_status cimage_bmp_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason);
cimage_status cimage_bmp_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason);

// As stored: what turns the image is a part of the metadata. Of a sequence the first image.
cimage_status cimage_avif_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason);
cimage_status cimage_avif_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason);

// The first page, as stored.
cimage_status cimage_tiff_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason);
cimage_status cimage_tiff_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason);

// HEIC: the primary image, upright, as libheif turns it.
cimage_status cimage_heif_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason);
cimage_status cimage_heif_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason);

// Does what the libraries do once for a process, with system calls that a sandbox may refuse.
void cimage_prepare(void);

// What an AVIF says about its image: how to turn it (EXIF's number, 1 to 8), and the blocks of EXIF and XMP that it carries.
// NULL: it carries none.
typedef struct {
    int orientation;
    uint8_t *exif, *xmp;
    size_t exif_size, xmp_size;
} cimage_metadata;
// Of a file that is no AVIF: as if it said nothing. Call cimage_metadata_free when done.
void cimage_avif_metadata(const uint8_t *bytes, size_t count, cimage_metadata *metadata);
void cimage_metadata_free(cimage_metadata *metadata);

// Undoes zlib's compression, as in PNG's texts. Returns the bytes written; 0 where they are damaged, or more than there is room for.
size_t cimage_inflate(const uint8_t *bytes, size_t count, uint8_t *target, size_t capacity);

// rgb[i] = round((c * a + background * (255 - a)) / 255) for `count` RGBA pixels.
void cimage_composite(const uint8_t *rgba, size_t count, const uint8_t background[3], uint8_t *rgb);

// Applies an EXIF orientation (1 to 8). `width` and `height` are the source's; 5 to 8 swap them in the target.
void cimage_orient(const uint8_t *source, size_t width, size_t height, int orientation, uint8_t *target);

// Writes `width` × `height` RGB pixels as a JPEG file of a quality from 1 to 100. Returns its length, and the file in memory that
// the caller frees; 0: there is no memory, or a side has more than 65,500 pixels.
size_t cimage_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t **file);
