// BMP, as Pillow reads it. It is small enough to be read here: no library in Debian reads it and little else.
#include "internal.h"

#include <stdbool.h>
#include <string.h>

enum { uncompressed = 0, rle8 = 1, rle4 = 2, bitfields = 3 };

// Where each channel lies in a pixel of 32 bits.
typedef struct {
    uint32_t red, green, blue, alpha;
} masks;

typedef struct {
    uint32_t width, height;
    bool is_top_down;
    uint32_t bits, compression;
    masks mask;
    uint8_t colours[256][3];
    size_t offset;  // of the first stored row
} bitmap;

static uint32_t little16(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }
static uint32_t little32(const uint8_t *at) { return little16(at) | little16(at + 2) << 16; }

static cimage_status truncated(cimage_reason *reason) {
    return cimage_fail(reason, CIMAGE_TRUNCATED, "the file ends before the image does");
}

static bool has_known_masks(const bitmap *image) {
    const masks m = image->mask;
    if (image->bits == 16) {
        return m.blue == 0x1F && ((m.red == 0xF800 && m.green == 0x7E0) || (m.red == 0x7C00 && m.green == 0x3E0));
    }
    if (image->bits == 24) return m.red == 0xFF0000 && m.green == 0xFF00 && m.blue == 0xFF;
    static const masks known[] = {
        {0xFF0000, 0xFF00, 0xFF, 0},          {0xFF000000, 0xFF0000, 0xFF00, 0}, {0xFF000000, 0xFF00, 0xFF, 0},
        {0xFF000000, 0xFF0000, 0xFF00, 0xFF}, {0xFF, 0xFF00, 0xFF0000, 0xFF000000}, {0xFF0000, 0xFF00, 0xFF, 0xFF000000},
        {0xFF000000, 0xFF00, 0xFF, 0xFF0000},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (memcmp(&known[i], &m, sizeof m) == 0) return image->bits == 32;
    }
    return false;
}

static cimage_status read_masks(
    bitmap *image, const uint8_t *bytes, size_t count, uint32_t header_size, size_t *behind, cimage_reason *reason) {
    const masks usual = {0xFF0000, 0xFF00, 0xFF, 0};
    if (image->compression != bitfields) {
        image->mask = image->bits == 16 ? (masks){0x7C00, 0x3E0, 0x1F, 0} : usual;
        return CIMAGE_OK;
    }
    // They stand in the header, or behind the shortest one.
    if (count < 14 + 40 + 12) return truncated(reason);
    const uint8_t *at = bytes + 14 + 40;
    image->mask = (masks){little32(at), little32(at + 4), little32(at + 8), 0};
    if (header_size >= 56) image->mask.alpha = little32(at + 12);
    if (header_size < 52) *behind += 12;
    const masks none = {0, 0, 0, 0};
    if (image->bits == 32 && memcmp(&image->mask, &none, sizeof none) == 0) {
        image->mask = (masks){0xFF0000, 0xFF00, 0xFF, 0xFF000000};
    }
    if (!has_known_masks(image)) return cimage_fail(reason, CIMAGE_UNSUPPORTED, "its bit fields");
    return CIMAGE_OK;
}

static cimage_status read_palette(
    bitmap *image, const uint8_t *bytes, size_t count, size_t at, uint32_t colour_count, size_t entry, cimage_reason *reason) {
    if (colour_count > 256) return cimage_fail(reason, CIMAGE_CORRUPT, "a palette of %u colours", colour_count);
    if (at > count || colour_count * entry > count - at) return truncated(reason);
    for (uint32_t i = 0; i < colour_count; i++) {
        const uint8_t *colour = bytes + at + i * entry;
        image->colours[i][0] = colour[2], image->colours[i][1] = colour[1], image->colours[i][2] = colour[0];
    }
    return CIMAGE_OK;
}

static cimage_status read_bitmap(const uint8_t *bytes, size_t count, bitmap *image, cimage_reason *reason) {
    if (count < 14 + 12) return truncated(reason);
    const uint32_t header_size = little32(bytes + 14);
    const bool is_core = header_size == 12;
    switch (header_size) {
        case 12: case 40: case 52: case 56: case 64: case 108: case 124: break;
        default: return cimage_fail(reason, CIMAGE_UNSUPPORTED, "a header of %u bytes", header_size);
    }
    if (count < 14 + header_size) return truncated(reason);
    const uint8_t *header = bytes + 18;
    uint32_t colour_count = 0;
    if (is_core) {
        image->width = little16(header), image->height = little16(header + 2), image->bits = little16(header + 6);
    } else {
        image->is_top_down = header[7] == 0xFF;
        image->width = little32(header);
        image->height = image->is_top_down ? 0u - little32(header + 4) : little32(header + 4);
        image->bits = little16(header + 10), image->compression = little32(header + 12);
        colour_count = little32(header + 28);
    }
    const uint32_t bits = image->bits;
    if (bits != 1 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32) {
        return cimage_fail(reason, CIMAGE_UNSUPPORTED, "%u bits a pixel", bits);
    }
    const bool is_run_length = image->compression == rle8 || image->compression == rle4;
    if (image->compression > bitfields || (is_run_length && bits != (image->compression == rle8 ? 8 : 4))) {
        return cimage_fail(reason, CIMAGE_UNSUPPORTED, "compression %u with %u bits", image->compression, bits);
    }
    size_t behind = 14 + header_size;
    cimage_status status = read_masks(image, bytes, count, header_size, &behind, reason);
    if (status != CIMAGE_OK) return status;
    const size_t entry = is_core ? 3 : 4;
    if (!colour_count && bits <= 8) colour_count = 1u << bits;
    image->offset = little32(bytes + 10);
    if (bits <= 8) {
        status = read_palette(image, bytes, count, behind, colour_count, entry, reason);
        if (status != CIMAGE_OK) return status;
        behind += colour_count * entry;
        // Some writers forget the palette when they say where the pixels are.
        if (image->offset == 14 + header_size) image->offset = behind;
    }
    if (image->offset == 0) image->offset = behind;
    return CIMAGE_OK;
}

// The row of the image that is stored as number `index`.
static uint8_t *row_at(const bitmap *image, uint8_t *rgb, size_t index) {
    const size_t y = image->is_top_down ? index : image->height - 1 - index;
    return rgb + y * image->width * 3;
}

static uint8_t channel(uint32_t pixel, uint32_t mask) { return (uint8_t)(pixel >> __builtin_ctz(mask)); }

static void convert(const bitmap *image, const uint8_t *stored, const uint8_t background[3], uint8_t *rgb) {
    const masks m = image->mask;
    for (size_t x = 0; x < image->width; x++, rgb += 3) {
        switch (image->bits) {
            case 1: memcpy(rgb, image->colours[stored[x / 8] >> (7 - x % 8) & 1], 3); break;
            case 4: memcpy(rgb, image->colours[x % 2 ? stored[x / 2] & 15 : stored[x / 2] >> 4], 3); break;
            case 8: memcpy(rgb, image->colours[stored[x]], 3); break;
            case 16: {
                const uint32_t pixel = little16(stored + 2 * x);
                const uint32_t greens = m.green == 0x7E0 ? 63 : 31;
                rgb[0] = (uint8_t)((pixel & m.red) / (m.red & -m.red) * 255 / 31);
                rgb[1] = (uint8_t)((pixel >> 5 & greens) * 255 / greens);
                rgb[2] = (uint8_t)((pixel & 31) * 255 / 31);
                break;
            }
            case 24: rgb[0] = stored[3 * x + 2], rgb[1] = stored[3 * x + 1], rgb[2] = stored[3 * x]; break;
            default: {
                const uint32_t pixel = little32(stored + 4 * x);
                const uint8_t rgba[4] = {
                    channel(pixel, m.red), channel(pixel, m.green), channel(pixel, m.blue),
                    m.alpha ? channel(pixel, m.alpha) : 255};
                cimage_composite(rgba, 1, background, rgb);
            }
        }
    }
}

static cimage_status decode_rows(
    const bitmap *image, const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, cimage_reason *reason) {
    const uint64_t bits = (uint64_t)image->width * image->bits;
    const uint64_t stride = (bits + 31) / 32 * 4, used = (bits + 7) / 8;
    // The last row may do without its padding.
    if (image->offset > count || (image->height - 1) * stride + used > count - image->offset) return truncated(reason);
    for (size_t y = 0; y < image->height; y++) {
        convert(image, bytes + image->offset + y * stride, background, row_at(image, rgb, y));
    }
    return CIMAGE_OK;
}

// Where a run length's pixels go: in the order in which they are stored.
typedef struct {
    const bitmap *image;
    uint8_t *rgb;
    size_t done, total;
} canvas;

static void put(canvas *self, uint8_t index, size_t count) {
    const size_t width = self->image->width;
    for (; count > 0 && self->done < self->total; count--, self->done++) {
        memcpy(row_at(self->image, self->rgb, self->done / width) + self->done % width * 3, self->image->colours[index], 3);
    }
}

static cimage_status decode_runs(
    const bitmap *image, const uint8_t *bytes, size_t count, uint8_t *rgb, cimage_reason *reason) {
    canvas target = {image, rgb, 0, (size_t)image->width * image->height};
    const bool is_rle4 = image->compression == rle4;
    const size_t width = image->width;
    size_t x = 0, at = image->offset;  // x: as Pillow counts it, which is not always where the next pixel goes
    while (target.done < target.total) {
        if (at > count || count - at < 2) return truncated(reason);
        const size_t first = bytes[at], second = bytes[at + 1];
        at += 2;
        if (first > 0) {
            size_t run = first;
            if (x + run > width) run = x < width ? width - x : 0;
            for (size_t i = 0; i < run; i++) {
                put(&target, (uint8_t)(is_rle4 ? (i % 2 ? second & 15 : second >> 4) : second), 1);
            }
            x += run;
        } else if (second == 0) {  // the row's end
            if (target.done % width) put(&target, 0, width - target.done % width);
            x = 0;
        } else if (second == 1) {  // the image's end
            break;
        } else if (second == 2) {  // pixels that are left out
            if (count - at < 2) return truncated(reason);
            put(&target, 0, bytes[at] + bytes[at + 1] * width);
            at += 2;
            x = target.done % width;
        } else {  // pixels one by one
            const size_t left = target.total - target.done, pixels = second < left ? second : left;
            const size_t used = is_rle4 ? (pixels + 1) / 2 : pixels;
            if (used > count - at) return truncated(reason);
            for (size_t i = 0; i < pixels; i++) {
                const uint8_t pair = bytes[at + (is_rle4 ? i / 2 : i)];
                put(&target, is_rle4 ? (i % 2 ? pair & 15 : pair >> 4) : pair, 1);
            }
            at += used;
            x += second;
            at += at & 1;
        }
    }
    if (target.done < target.total) {
        return cimage_fail(reason, CIMAGE_TRUNCATED, "its runs end before the image does");
    }
    return CIMAGE_OK;
}

cimage_status cimage_bmp_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason) {
    bitmap image = {0};
    const cimage_status status = read_bitmap(bytes, count, &image, reason);
    if (status != CIMAGE_OK) return status;
    *header = (cimage_header){image.width, image.height, 3 * (uint64_t)image.width * image.height};
    return CIMAGE_OK;
}

cimage_status cimage_bmp_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason) {
    bitmap image = {0};
    const cimage_status status = read_bitmap(bytes, count, &image, reason);
    if (status != CIMAGE_OK) return status;
    if (!image.width || !image.height || rgb_size != (size_t)image.width * image.height * 3) {
        return cimage_fail(reason, CIMAGE_CORRUPT, "it has no pixels");
    }
    const bool is_run_length = image.compression == rle8 || image.compression == rle4;
    return is_run_length ? decode_runs(&image, bytes, count, rgb, reason)
                         : decode_rows(&image, bytes, count, background, rgb, reason);
}
