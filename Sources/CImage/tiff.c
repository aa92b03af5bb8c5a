// TIFF through libtiff, which undoes the compression; what the samples mean is read here, as Pillow reads it.
#include "internal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <tiffio.h>

// The file in memory, and what libtiff complains about first.
typedef struct {
    const uint8_t *bytes;
    toff_t count, at;
    char complaint[160];
} source;

static tmsize_t read_file(thandle_t handle, void *target, tmsize_t size) {
    source *file = handle;
    const toff_t left = file->at < file->count ? file->count - file->at : 0;
    const toff_t taken = left < (toff_t)size ? left : (toff_t)size;
    memcpy(target, file->bytes + (taken ? file->at : 0), (size_t)taken);
    file->at += taken;
    return (tmsize_t)taken;
}

static tmsize_t write_file(thandle_t handle, void *from, tmsize_t size) {
    (void)handle, (void)from, (void)size;
    return -1;
}

static toff_t seek_file(thandle_t handle, toff_t offset, int from) {
    source *file = handle;
    return file->at = offset + (from == SEEK_CUR ? file->at : from == SEEK_END ? file->count : 0);
}

static int close_file(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t size_of_file(thandle_t handle) { return ((source *)handle)->count; }

static int map_file(thandle_t handle, void **base, toff_t *size) {
    source *file = handle;
    *base = (void *)file->bytes;
    *size = file->count;
    return 1;
}

static void unmap_file(thandle_t handle, void *base, toff_t size) { (void)handle, (void)base, (void)size; }

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)module;
    source *file = user;
    if (!file->complaint[0]) vsnprintf(file->complaint, sizeof file->complaint, format, arguments);
    return 1;
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments) {
    (void)tiff, (void)user, (void)module, (void)format, (void)arguments;
    return 1;
}

// How the first page is laid out. A block is a strip or a tile.
typedef struct {
    uint32_t width, height;
    uint16_t bits, samples, photometric, compression;
    int alpha;  // the sample that is alpha; -1: none
    bool is_premultiplied, is_separate, is_tiled;
    uint32_t block_width, block_height;
    uint64_t block_size;  // bytes of one, of one plane where planes are separate
    const uint16_t *map[3];  // colours of a palette
} page;

static TIFF *open_tiff(source *file) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return NULL;
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, file);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, file);
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, 1 << 30);
    TIFF *tiff = TIFFClientOpenExt(
        "image", "r", file, read_file, write_file, seek_file, close_file, size_of_file, map_file, unmap_file, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

static cimage_status corrupt(const source *file, cimage_reason *reason) {
    return cimage_fail(reason, CIMAGE_CORRUPT, "%s", file->complaint[0] ? file->complaint : "invalid TIFF data");
}

static bool is_known_compression(uint16_t compression) {
    switch (compression) {
        case COMPRESSION_NONE:
        case COMPRESSION_CCITTRLE:
        case COMPRESSION_CCITTFAX3:
        case COMPRESSION_CCITTFAX4:
        case COMPRESSION_LZW:
        case COMPRESSION_JPEG:
        case COMPRESSION_ADOBE_DEFLATE:
        case COMPRESSION_DEFLATE:
        case COMPRESSION_PACKBITS:
            return true;
        default:
            return false;
    }
}

// Samples that a colour takes; 0: the kind of colour is not read.
static int colour_samples(const page *self) {
    switch (self->photometric) {
        case PHOTOMETRIC_MINISWHITE: return self->bits <= 8 ? 1 : 0;
        case PHOTOMETRIC_MINISBLACK: return 1;
        case PHOTOMETRIC_PALETTE: return self->bits <= 8 ? 1 : 0;
        case PHOTOMETRIC_RGB: return self->bits >= 8 ? 3 : 0;
        case PHOTOMETRIC_SEPARATED: return self->bits == 8 ? 4 : 0;
        default: return 0;
    }
}

static cimage_status read_layout(TIFF *tiff, page *self, cimage_reason *reason) {
    uint16_t planar = PLANARCONFIG_CONTIG, format = SAMPLEFORMAT_UINT, extra_count = 0, *extras = NULL;
    uint16_t ink_set = INKSET_CMYK;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &self->bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &self->samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &self->compression);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planar);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    // Not by its default: libtiff makes that up where there are more samples than colours, and they count as alpha here.
    if (!TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &extra_count, &extras)) extra_count = 0;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_INKSET, &ink_set);
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &self->photometric)) self->photometric = PHOTOMETRIC_MINISWHITE;
    if (!is_known_compression(self->compression)) {
        return cimage_fail(reason, CIMAGE_UNSUPPORTED, "compression %d", self->compression);
    }
    if (self->compression == COMPRESSION_JPEG && self->photometric == PHOTOMETRIC_YCBCR && planar == PLANARCONFIG_CONTIG) {
        TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
        self->photometric = PHOTOMETRIC_RGB;
    }
    self->is_separate = planar == PLANARCONFIG_SEPARATE && self->samples > 1;
    const uint16_t bits = self->bits;
    const int colours = colour_samples(self);
    const bool has_known_bits = bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16;
    if (!colours || !has_known_bits || format != SAMPLEFORMAT_UINT || (bits < 8 && self->samples != 1) ||
        ink_set != INKSET_CMYK) {
        return cimage_fail(
            reason, CIMAGE_UNSUPPORTED, "photometric interpretation %d with %d samples of %d bits, format %d",
            self->photometric, self->samples, bits, format);
    }
    if (self->samples < colours || self->samples > colours + (bits == 16 ? 2 : 3)) {
        return cimage_fail(reason, CIMAGE_UNSUPPORTED, "%d samples a pixel", self->samples);
    }
    // The first sample behind the colour is alpha, unless the file says that it is something else.
    self->alpha = -1;
    if (self->samples > colours && self->photometric != PHOTOMETRIC_SEPARATED) {
        const uint16_t kind = extra_count && extras ? extras[0] : (uint16_t)EXTRASAMPLE_UNASSALPHA;
        if (kind != EXTRASAMPLE_UNSPECIFIED) self->alpha = colours;
        self->is_premultiplied = kind == EXTRASAMPLE_ASSOCALPHA;
    }
    if (self->photometric == PHOTOMETRIC_PALETTE) {
        uint16_t *red, *green, *blue;
        if (!TIFFGetField(tiff, TIFFTAG_COLORMAP, &red, &green, &blue)) {
            return cimage_fail(reason, CIMAGE_CORRUPT, "it has no palette");
        }
        self->map[0] = red, self->map[1] = green, self->map[2] = blue;
    }
    return CIMAGE_OK;
}

static uint64_t block_count_at_once(const page *self) { return self->is_separate ? self->samples : 1; }

static uint64_t working_bytes(const page *self) {
    // libtiff may keep a block of its own, as it comes from the file or as it is put together.
    return 3 * (uint64_t)self->width * self->height + (block_count_at_once(self) + 1) * self->block_size;
}

static cimage_status read_page(TIFF *tiff, const source *file, page *self, cimage_reason *reason) {
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &self->width) || !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &self->height)) {
        return corrupt(file, reason);
    }
    if (!self->width || !self->height) return cimage_fail(reason, CIMAGE_CORRUPT, "it has no pixels");
    const cimage_status status = read_layout(tiff, self, reason);
    if (status != CIMAGE_OK) return status;
    self->is_tiled = TIFFIsTiled(tiff) != 0;
    if (self->is_tiled) {
        if (!TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &self->block_width) ||
            !TIFFGetField(tiff, TIFFTAG_TILELENGTH, &self->block_height)) {
            return corrupt(file, reason);
        }
        self->block_size = TIFFTileSize64(tiff);
    } else {
        uint32_t rows = 0;
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows);
        self->block_width = self->width;
        self->block_height = rows && rows < self->height ? rows : self->height;
        self->block_size = TIFFVStripSize64(tiff, self->block_height);
    }
    // Samples of 16 bits, five at the most, and the edge of a tile.
    const uint64_t most = 10 * (uint64_t)self->width * self->height + (1 << 20);
    if (!self->block_width || !self->block_height || !self->block_size || self->block_size * block_count_at_once(self) > most) {
        return cimage_fail(reason, CIMAGE_CORRUPT, "its strips or tiles are larger than the image");
    }
    return CIMAGE_OK;
}

// Eight bits of the sample that is number `index` in a row.
static uint8_t sample(const uint8_t *row, size_t index, uint16_t bits) {
    switch (bits) {
        case 1: return row[index / 8] >> (7 - index % 8) & 1;
        case 2: return row[index / 4] >> (6 - index % 4 * 2) & 3;
        case 4: return row[index / 2] >> (4 - index % 2 * 4) & 15;
        case 8: return row[index];
        default: {
            uint16_t value;  // in this machine's order
            memcpy(&value, row + 2 * index, 2);
            return (uint8_t)(value >> 8);
        }
    }
}

static void convert(const page *self, const uint8_t samples[6], const uint8_t background[3], uint8_t *rgb) {
    uint8_t rgba[4] = {0, 0, 0, 255};
    switch (self->photometric) {
        case PHOTOMETRIC_RGB: memcpy(rgba, samples, 3); break;
        case PHOTOMETRIC_SEPARATED: cimage_cmyk(samples, 1, rgba, false); break;
        case PHOTOMETRIC_PALETTE:
            for (int channel = 0; channel < 3; channel++) rgba[channel] = (uint8_t)(self->map[channel][samples[0]] >> 8);
            break;
        default: {
            const uint8_t widened = (uint8_t)(self->bits < 8 ? samples[0] * (255 / ((1 << self->bits) - 1)) : samples[0]);
            memset(rgba, self->photometric == PHOTOMETRIC_MINISWHITE ? 255 - widened : widened, 3);
        }
    }
    if (self->alpha < 0) {
        memcpy(rgb, rgba, 3);
        return;
    }
    const uint32_t alpha = rgba[3] = samples[self->alpha];
    for (int channel = 0; self->is_premultiplied && alpha && channel < 3; channel++) {
        const uint32_t value = rgba[channel] * 255u / alpha;
        rgba[channel] = (uint8_t)(value < 255 ? value : 255);
    }
    cimage_composite(rgba, 1, background, rgb);
}

// One block, in as many planes as there are, to the pixels at (left, top).
static void place(
    const page *self, const uint8_t *blocks, uint32_t left, uint32_t top, const uint8_t background[3], uint8_t *rgb) {
    const uint32_t columns = self->width - left < self->block_width ? self->width - left : self->block_width;
    const uint32_t rows = self->height - top < self->block_height ? self->height - top : self->block_height;
    const size_t together = self->is_separate ? 1 : self->samples;
    const size_t row_size = ((size_t)self->block_width * together * self->bits + 7) / 8;
    for (uint32_t y = 0; y < rows; y++) {
        for (uint32_t x = 0; x < columns; x++) {
            uint8_t samples[8] = {0};
            for (size_t i = 0; i < self->samples; i++) {
                const uint8_t *block = blocks + (self->is_separate ? i * self->block_size : 0);
                samples[i] = sample(block + y * row_size, self->is_separate ? x : x * together + i, self->bits);
            }
            convert(self, samples, background, rgb + (((size_t)top + y) * self->width + left + x) * 3);
        }
    }
}

static bool read_block(TIFF *tiff, const page *self, uint32_t left, uint32_t top, uint16_t plane, uint8_t *target) {
    const tmsize_t size = (tmsize_t)self->block_size;
    if (self->is_tiled) return TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, left, top, 0, plane), target, size) == size;
    const uint32_t rows = self->height - top < self->block_height ? self->height - top : self->block_height;
    const tmsize_t wanted = (tmsize_t)TIFFVStripSize64(tiff, rows);
    return TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, top, plane), target, wanted) == wanted;
}

static cimage_status decode_page(
    TIFF *tiff, const source *file, const page *self, const uint8_t background[3], uint8_t *rgb, cimage_reason *reason) {
    uint8_t *blocks = calloc(block_count_at_once(self), self->block_size);
    if (!blocks) return cimage_no_memory(working_bytes(self), reason);
    cimage_status status = CIMAGE_OK;
    for (uint64_t top = 0; top < self->height && status == CIMAGE_OK; top += self->block_height) {
        for (uint64_t left = 0; left < self->width && status == CIMAGE_OK; left += self->block_width) {
            for (uint16_t plane = 0; plane < block_count_at_once(self) && status == CIMAGE_OK; plane++) {
                uint8_t *target = blocks + plane * self->block_size;
                if (!read_block(tiff, self, (uint32_t)left, (uint32_t)top, plane, target)) status = corrupt(file, reason);
            }
            if (status == CIMAGE_OK) place(self, blocks, (uint32_t)left, (uint32_t)top, background, rgb);
        }
    }
    free(blocks);
    return status;
}

void cimage_tiff_prepare(void) {
    // One entry: an image of one pixel's width.
    static const uint8_t least[] = {'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0, 1, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};
    source file = {.bytes = least, .count = sizeof least};
    TIFF *tiff = open_tiff(&file);
    if (tiff) TIFFClose(tiff);
}

cimage_status cimage_tiff_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason) {
    source file = {.bytes = bytes, .count = count};
    page first = {0};
    TIFF *tiff = open_tiff(&file);
    if (!tiff) return corrupt(&file, reason);
    const cimage_status status = read_page(tiff, &file, &first, reason);
    TIFFClose(tiff);
    if (status == CIMAGE_OK) *header = (cimage_header){first.width, first.height, working_bytes(&first)};
    return status;
}

cimage_status cimage_tiff_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason) {
    source file = {.bytes = bytes, .count = count};
    page first = {0};
    TIFF *tiff = open_tiff(&file);
    if (!tiff) return corrupt(&file, reason);
    cimage_status status = read_page(tiff, &file, &first, reason);
    if (status == CIMAGE_OK && rgb_size != (size_t)first.width * first.height * 3) {
        status = cimage_fail(reason, CIMAGE_CORRUPT, "the size changed between two readings");
    }
    if (status == CIMAGE_OK) status = decode_page(tiff, &file, &first, background, rgb, reason);
    TIFFClose(tiff);
    return status;
}
