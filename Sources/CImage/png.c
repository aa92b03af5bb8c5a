#include "internal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <spng.h>

// Profiles and texts are read past, not used: no file needs more of them than this.
enum { side_chunk_limit = 32 << 20 };

static cimage_status failure(int code, uint64_t working, cimage_reason *reason) {
    switch (code) {
        case SPNG_IO_EOF:
            return cimage_fail(reason, CIMAGE_TRUNCATED, "the file ends before its data does");
        case SPNG_EMEM:
            return cimage_no_memory(working, reason);
        case SPNG_ECHUNK_LIMITS:
            return cimage_fail(reason, CIMAGE_UNSUPPORTED, "a side chunk exceeds %d bytes", side_chunk_limit);
        default:
            return cimage_fail(reason, CIMAGE_CORRUPT, "%s", spng_strerror(code));
    }
}

static spng_ctx *open_png(const uint8_t *bytes, size_t count, struct spng_ihdr *ihdr, int *code) {
    spng_ctx *context = spng_ctx_new(0);
    if (!context) {
        *code = SPNG_EMEM;
        return NULL;
    }
    *code = spng_set_png_buffer(context, bytes, count);
    if (!*code) *code = spng_set_chunk_limits(context, side_chunk_limit, side_chunk_limit);
    if (!*code) *code = spng_get_ihdr(context, ihdr);
    return context;
}

static size_t big16(const uint8_t *at) { return (size_t)at[0] << 8 | at[1]; }
static size_t big32(const uint8_t *at) { return big16(at) << 16 | big16(at + 2); }

// Whether every chunk of data is there whole. What stands behind them, the end chunk too, says nothing about a pixel.
static bool has_all_data(const uint8_t *bytes, size_t count) {
    bool has_data = false;
    for (size_t at = 8; at <= count && count - at >= 8;) {
        const uint8_t *chunk = bytes + at;
        const size_t length = big32(chunk);
        const bool is_data = memcmp(chunk + 4, "IDAT", 4) == 0;
        if (has_data && !is_data) return true;
        if (count - at < 12 || length > count - at - 12) return false;
        has_data = is_data;
        at += length + 12;
    }
    return has_data;
}

// The last chunk of a kind before the end, as whole as it is said to be; NULL: there is none.
static const uint8_t *last_chunk(const uint8_t *bytes, size_t count, const char *kind) {
    const uint8_t *found = NULL;
    for (size_t at = 8; at <= count && count - at >= 12;) {
        const uint8_t *chunk = bytes + at;
        const size_t length = big32(chunk);
        if (length > count - at - 12 || memcmp(chunk + 4, "IEND", 4) == 0) break;
        if (memcmp(chunk + 4, kind, 4) == 0) found = chunk;
        at += length + 12;
    }
    return found;
}

// Transparent colours count wherever they stand, as in Pillow, and as many of them as there are: spng passes over those that stand
// before the palette, behind the data, or are more than the palette's.
static int take_transparency(spng_ctx *context, const struct spng_ihdr *ihdr, const uint8_t *bytes, size_t count) {
    const uint8_t *chunk = ihdr->color_type & 4 ? NULL : last_chunk(bytes, count, "tRNS");
    if (!chunk) return 0;
    const size_t length = big32(chunk);
    const uint8_t *content = chunk + 8;
    struct spng_trns transparency = {0};
    const size_t least = ihdr->color_type == SPNG_COLOR_TYPE_GRAYSCALE ? 2 : ihdr->color_type == SPNG_COLOR_TYPE_TRUECOLOR ? 6 : 1;
    if (length < least) return SPNG_ECHUNK_SIZE;
    if (ihdr->color_type == SPNG_COLOR_TYPE_GRAYSCALE) {
        transparency.gray = (uint16_t)big16(content);
    } else if (ihdr->color_type == SPNG_COLOR_TYPE_TRUECOLOR) {
        transparency.red = (uint16_t)big16(content), transparency.green = (uint16_t)big16(content + 2);
        transparency.blue = (uint16_t)big16(content + 4);
    } else {
        const uint32_t most = 1u << ihdr->bit_depth;
        transparency.n_type3_entries = length < most ? (uint32_t)length : most;
        struct spng_plte palette;
        int code = spng_get_plte(context, &palette);
        if (!code && palette.n_entries < transparency.n_type3_entries) {
            memset(palette.entries + palette.n_entries, 0, (256 - palette.n_entries) * sizeof *palette.entries);  // black
            palette.n_entries = transparency.n_type3_entries;
            code = spng_set_plte(context, &palette);
        }
        if (code) return code;
        memcpy(transparency.type3_alpha, content, transparency.n_type3_entries);
    }
    return spng_set_trns(context, &transparency);
}

static int has_alpha(spng_ctx *context, const struct spng_ihdr *ihdr, bool *answer) {
    struct spng_trns transparency;
    const int code = spng_get_trns(context, &transparency);
    *answer = code == 0 || (ihdr->color_type & 4) != 0;  // bit 2: samples carry alpha
    return code == SPNG_ECHUNKAVAIL ? 0 : code;
}

// Row by row: the RGBA image never stands in memory beside the RGB one.
static int decode_rows(
    spng_ctx *context, const struct spng_ihdr *ihdr, const uint8_t background[3], uint8_t *rgb) {
    const size_t width = ihdr->width;
    int code = spng_decode_image(context, NULL, 0, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS | SPNG_DECODE_PROGRESSIVE);
    if (code) return code;
    uint8_t *row = malloc(width * 4);
    if (!row) return SPNG_EMEM;
    for (size_t y = 0; y < ihdr->height && !code; y++) {
        code = spng_decode_row(context, row, width * 4);
        if (!code || code == SPNG_EOI) cimage_composite(row, width, background, rgb + y * width * 3);
    }
    free(row);
    return code == SPNG_EOI ? 0 : code;
}

static int decode_whole(
    spng_ctx *context, const struct spng_ihdr *ihdr, const uint8_t background[3], uint8_t *rgb) {
    const size_t count = (size_t)ihdr->width * ihdr->height;
    uint8_t *rgba = malloc(count * 4);
    if (!rgba) return SPNG_EMEM;
    const int code = spng_decode_image(context, rgba, count * 4, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS);
    if (!code) cimage_composite(rgba, count, background, rgb);
    free(rgba);
    return code;
}

static int decode(
    spng_ctx *context, const struct spng_ihdr *ihdr, const uint8_t background[3], uint8_t *rgb, size_t rgb_size) {
    bool on_background;
    int code = has_alpha(context, ihdr, &on_background);
    if (code) return code;
    if (!on_background) {
        code = spng_decode_image(context, rgb, rgb_size, SPNG_FMT_RGB8, 0);
    } else if (ihdr->interlace_method == SPNG_INTERLACE_NONE) {
        code = decode_rows(context, ihdr, background, rgb);
    } else {
        code = decode_whole(context, ihdr, background, rgb);
    }
    if (code) return code;
    // Checks the last data's checksum, and reads on. What is wrong from there on says nothing about a pixel.
    code = spng_decode_chunks(context);
    return code == SPNG_ECHUNK_CRC || code == SPNG_EMEM ? code : 0;
}

// Bytes that decoding takes: the caller's RGB, and RGBA where that is not decoded row by row.
static uint64_t working_bytes(const struct spng_ihdr *ihdr) {
    const uint64_t pixels = (uint64_t)ihdr->width * ihdr->height;
    return (ihdr->interlace_method == SPNG_INTERLACE_NONE ? 3 : 7) * pixels;
}

cimage_status cimage_png_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason) {
    struct spng_ihdr ihdr = {0};
    int code;
    spng_ctx *context = open_png(bytes, count, &ihdr, &code);
    spng_ctx_free(context);
    if (code) return failure(code, 0, reason);
    *header = (cimage_header){ihdr.width, ihdr.height, working_bytes(&ihdr)};
    return CIMAGE_OK;
}

cimage_status cimage_png_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason) {
    struct spng_ihdr ihdr = {0};
    int code;
    spng_ctx *context = open_png(bytes, count, &ihdr, &code);
    if (!code && !has_all_data(bytes, count)) code = SPNG_IO_EOF;
    if (!code) code = take_transparency(context, &ihdr, bytes, count);
    if (!code && rgb_size != (size_t)ihdr.width * ihdr.height * 3) code = SPNG_EBUFSIZ;
    if (!code) code = decode(context, &ihdr, background, rgb, rgb_size);
    spng_ctx_free(context);
    return code ? failure(code, working_bytes(&ihdr), reason) : CIMAGE_OK;
}
