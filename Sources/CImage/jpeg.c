// JPEG through libjpeg's own interface: turbojpeg's refuses CMYK, and hides which warning it met.
#include "internal.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include <jerror.h>

// A file may ask for any number of passes over its pixels; no encoder makes more than a few dozen, and few of images so large
// that each takes half a second.
enum { scan_limit = 100 };
static const uint64_t scanned_pixel_limit = 4000000000;

typedef struct {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    bool reading_header;
    bool has_end;     // no end marker had to be made up
    size_t count;
    size_t scan_end;  // of several scans: bytes up to the end of what was read of them
    cimage_status status;
    cimage_reason *reason;
    uint8_t *row;  // CMYK only
} decoder;

static decoder *owner(j_common_ptr info) { return (decoder *)info->client_data; }

static cimage_status status_of(int code) {
    switch (code) {
        case JWRN_JPEG_EOF:
        case JWRN_HIT_MARKER:
        case JERR_INPUT_EOF:
        case JERR_INPUT_EMPTY:
            return CIMAGE_TRUNCATED;
        case JERR_OUT_OF_MEMORY:
            return CIMAGE_NO_MEMORY;  // until it is looked into
        case JERR_BAD_PRECISION:
        case JERR_COMPONENT_COUNT:
        case JERR_CONVERSION_NOTIMPL:
        case JERR_NOT_COMPILED:
        case JERR_SOF_UNSUPPORTED:
            return CIMAGE_UNSUPPORTED;
        default:
            return CIMAGE_CORRUPT;
    }
}

static void give_up(j_common_ptr info) {
    decoder *self = owner(info);
    char text[JMSG_LENGTH_MAX];
    info->err->format_message(info, text);
    self->status = cimage_fail(self->reason, status_of(info->err->msg_code), "%s", text);
    longjmp(self->escape, 1);
}

// libjpeg goes on after a warning and paints grey what it lacks; here a picture is whole or it is an error. So a warning
// passes where every row is decoded all the same: stray bytes before a marker, an odd header, a missing end marker.
static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
        case JWRN_ADOBE_XFORM:
        case JWRN_JFIF_MAJOR:
        case JWRN_EXTRANEOUS_DATA:
        case JWRN_BOGUS_PROGRESSION:
        case JWRN_NOT_SEQUENTIAL:
            return;
        case JWRN_JPEG_EOF:
            owner(info)->has_end = false;
            if (!owner(info)->reading_header) return;
    }
    give_up(info);
}

static void on_progress(j_common_ptr info) {
    decoder *self = owner(info);
    const uint64_t scans = (uint64_t)self->info.input_scan_number;
    const uint64_t pixels = (uint64_t)self->info.image_width * self->info.image_height;
    if (jpeg_has_multiple_scans(&self->info)) {
        self->scan_end = self->count - self->info.src->bytes_in_buffer - (self->info.unread_marker ? 2 : 0);
    }
    if (scans <= scan_limit && scans * pixels <= scanned_pixel_limit) return;
    self->scan_end = 0;
    self->status = cimage_fail(
        self->reason, CIMAGE_CORRUPT, "more than %d scans of its pixels", (int)(scans - 1));
    longjmp(self->escape, 1);
}

static void create(decoder *self) {
    self->info.err = jpeg_std_error(&self->errors);
    self->errors.error_exit = give_up;
    self->errors.emit_message = on_message;
    self->info.client_data = self;
    jpeg_create_decompress(&self->info);  // keeps err and client_data
    self->progress.progress_monitor = on_progress;
    self->info.progress = &self->progress;
}

static void read_header(decoder *self, const uint8_t *bytes, size_t count) {
    struct jpeg_decompress_struct *info = &self->info;
    self->reading_header = true;
    self->count = count;
    jpeg_mem_src(info, bytes, (unsigned long)count);
    jpeg_read_header(info, TRUE);
    self->reading_header = false;
    switch (info->num_components) {
        case 1: case 3: info->out_color_space = JCS_RGB; break;
        case 4: info->out_color_space = JCS_CMYK; break;
        default:
            self->status = cimage_fail(
                self->reason, CIMAGE_UNSUPPORTED, "%d colour components", info->num_components);
            longjmp(self->escape, 1);
    }
}

// Whether every coefficient came in full: a file of several scans that is cut between two of them decodes without a warning, in
// grey or coarser than it was.
static bool has_all_scans(const struct jpeg_decompress_struct *info) {
    for (int i = 0; i < info->num_components; i++) {
        if (!info->comp_info[i].quant_table) return false;  // set by a component's first scan
        if (!info->progressive_mode || !info->coef_bits) continue;
        for (int k = 0; k < DCTSIZE2; k++) {
            if (info->coef_bits[i][k] != 0) return false;  // bits that are still to come; -1: all of them
        }
    }
    return true;
}

static void read_pixels(decoder *self, uint8_t *rgb, size_t rgb_size) {
    struct jpeg_decompress_struct *info = &self->info;
    const size_t width = info->image_width;
    if (rgb_size != width * info->image_height * 3) {
        self->status = cimage_fail(self->reason, CIMAGE_CORRUPT, "the size changed between two readings");
        longjmp(self->escape, 1);
    }
    jpeg_start_decompress(info);
    if (!self->has_end && !has_all_scans(info)) ERREXIT(info, JERR_INPUT_EOF);
    // Like Pillow it takes every CMYK JPEG to be inverted, as Adobe writes them: a stored 255 means no ink.
    const bool is_cmyk = info->out_color_space == JCS_CMYK;
    if (is_cmyk) {
        self->row = malloc(width * 4);
        if (!self->row) ERREXIT1(info, JERR_OUT_OF_MEMORY, 0);
    }
    while (info->output_scanline < info->image_height) {
        uint8_t *target = rgb + info->output_scanline * width * 3;
        JSAMPROW row = is_cmyk ? self->row : target;
        jpeg_read_scanlines(info, &row, 1);
        if (is_cmyk) cimage_cmyk(self->row, width, target, true);
    }
    // Nothing behind the last row matters: there may be a trailer in place of the end marker, or nothing at all.
}

// Bytes that decoding takes: the caller's RGB, and all coefficients of a file that gives them in several scans. Known once the
// header is read.
static uint64_t working_bytes(struct jpeg_decompress_struct *info) {
    uint64_t bytes = 3 * (uint64_t)info->image_width * info->image_height;
    if (!jpeg_has_multiple_scans(info)) return bytes;
    for (int i = 0; i < info->num_components; i++) {
        // libjpeg fills up to whole units of the sampling, which are up to four blocks.
        const uint64_t columns = info->comp_info[i].width_in_blocks + 3u, rows = info->comp_info[i].height_in_blocks + 3u;
        bytes += columns * rows * sizeof(JBLOCK);
    }
    return bytes;
}

static cimage_status conclude(const decoder *self, uint64_t working) {
    return self->status == CIMAGE_NO_MEMORY ? cimage_no_memory(working, self->reason) : self->status;
}

cimage_status cimage_jpeg_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason) {
    decoder self = {.reason = reason, .status = CIMAGE_OK, .has_end = true};
    if (setjmp(self.escape) == 0) {
        create(&self);
        read_header(&self, bytes, count);
        *header = (cimage_header){self.info.image_width, self.info.image_height, working_bytes(&self.info)};
    }
    jpeg_destroy_decompress(&self.info);
    return conclude(&self, 0);
}

static cimage_status decode(
    const uint8_t *bytes, size_t count, uint8_t *rgb, size_t rgb_size, size_t *scan_end, cimage_reason *reason) {
    decoder self = {.reason = reason, .status = CIMAGE_OK, .has_end = true};
    volatile uint64_t working = 0;
    if (setjmp(self.escape) == 0) {
        create(&self);
        read_header(&self, bytes, count);
        working = working_bytes(&self.info);
        read_pixels(&self, rgb, rgb_size);
    }
    jpeg_destroy_decompress(&self.info);
    free(self.row);
    *scan_end = self.scan_end;
    return conclude(&self, working);
}

cimage_status cimage_jpeg_decode(
    const uint8_t *bytes, size_t count, uint8_t *rgb, size_t rgb_size, cimage_reason *reason) {
    size_t scan_end, again;
    const cimage_status status = decode(bytes, count, rgb, rgb_size, &scan_end, reason);
    if (status == CIMAGE_OK || status == CIMAGE_NO_MEMORY || !scan_end || scan_end >= count) return status;
    // With several scans libjpeg reads on to the end marker before it gives a row, and fails at a trailer in its place. Without what
    // follows the scans they may be whole.
    cimage_reason ignored;
    return decode(bytes, scan_end, rgb, rgb_size, &again, &ignored) == CIMAGE_OK ? CIMAGE_OK : status;
}
