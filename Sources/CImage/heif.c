// HEIC through libheif. Its own plugin for libde265 starts a thread for each image, which the decoders' sandbox has no call
// for; so libde265 is driven from here, by no other thread than this one.
#define _GNU_SOURCE  // memmem
#include "internal.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libde265/de265.h>
#include <libheif/heif.h>
#include <libheif/heif_plugin.h>

static const struct heif_error success = {heif_error_Ok, heif_suberror_Unspecified, "success"};

static struct heif_error complaint(enum heif_suberror_code detail, const char *text) {
    return (struct heif_error){heif_error_Decoder_plugin_error, detail, text};
}

static const char *plugin_name(void) { return "libde265, single-threaded"; }
static void start_plugin(void) { de265_init(); }
static void stop_plugin(void) { de265_free(); }
// More than libheif's own, which is 100.
static int priority(enum heif_compression_format format) { return format == heif_compression_HEVC ? 200 : 0; }
static void set_strictness(void *decoder, int flag) { (void)decoder, (void)flag; }

static struct heif_error new_decoder(void **decoder) {
    *decoder = de265_new_decoder();
    return *decoder ? success : complaint(heif_suberror_Unspecified, "libde265 has no memory");
}

static void free_decoder(void *decoder) { de265_free_decoder(decoder); }

// Units of data, each behind its length in four bytes.
static struct heif_error push_data(void *decoder, const void *data, size_t size) {
    const uint8_t *bytes = data;
    for (size_t at = 0; at < size;) {
        if (size - at < 4) return complaint(heif_suberror_End_of_data, "a unit of data ends early");
        const size_t length = (size_t)bytes[at] << 24 | (size_t)bytes[at + 1] << 16 | (size_t)bytes[at + 2] << 8 | bytes[at + 3];
        at += 4;
        if (length > size - at || length > INT32_MAX) return complaint(heif_suberror_End_of_data, "a unit of data ends early");
        de265_push_NAL(decoder, bytes + at, (int)length, 0, NULL);
        at += length;
    }
    return success;
}

static struct heif_error copy_plane(
    const struct de265_image *from, int plane, int bits, enum heif_channel channel, struct heif_image *to) {
    int stride, to_stride;
    const uint8_t *source = de265_get_image_plane(from, plane, &stride);
    const int width = de265_get_image_width(from, plane), height = de265_get_image_height(from, plane);
    if (!source || width <= 0 || height <= 0 || de265_get_bits_per_pixel(from, plane) != bits) {
        return complaint(heif_suberror_Unspecified, "its planes differ");
    }
    const struct heif_error error = heif_image_add_plane(to, channel, width, height, bits);
    if (error.code) return error;
    uint8_t *target = heif_image_get_plane(to, channel, &to_stride);
    if (!target) return complaint(heif_suberror_Unspecified, "there is no memory for a plane");
    const size_t size = (size_t)width * (size_t)((bits + 7) / 8);
    for (int y = 0; y < height; y++) memcpy(target + (size_t)y * (size_t)to_stride, source + (size_t)y * (size_t)stride, size);
    return success;
}

// Which colours the numbers mean. What the file says outside of its stream comes before that.
static struct heif_error copy_colours(const struct de265_image *from, struct heif_image *to) {
    struct heif_color_profile_nclx *colours = heif_nclx_color_profile_alloc();
    if (!colours) return complaint(heif_suberror_Unspecified, "there is no memory for its colours");
    // A number that libheif does not know leaves the usual one.
    heif_nclx_color_profile_set_color_primaries(colours, (uint16_t)de265_get_image_colour_primaries(from));
    heif_nclx_color_profile_set_transfer_characteristics(colours, (uint16_t)de265_get_image_transfer_characteristics(from));
    heif_nclx_color_profile_set_matrix_coefficients(colours, (uint16_t)de265_get_image_matrix_coefficients(from));
    colours->full_range_flag = de265_get_image_full_range_flag(from) != 0;
    const struct heif_error error = heif_image_set_nclx_color_profile(to, colours);
    heif_nclx_color_profile_free(colours);
    return error;
}

static struct heif_error copy_image(const struct de265_image *from, struct heif_image **to) {
    static const enum heif_channel channels[] = {heif_channel_Y, heif_channel_Cb, heif_channel_Cr};
    const enum de265_chroma chroma = de265_get_chroma_format(from);
    const bool is_grey = chroma == de265_chroma_mono;
    struct heif_error error = heif_image_create(
        de265_get_image_width(from, 0), de265_get_image_height(from, 0),
        is_grey ? heif_colorspace_monochrome : heif_colorspace_YCbCr, (enum heif_chroma)chroma, to);
    if (error.code) return error;
    const int bits = de265_get_bits_per_pixel(from, 0);
    for (int plane = 0; plane < (is_grey ? 1 : 3) && !error.code; plane++) {
        error = copy_plane(from, plane, bits, channels[plane], *to);
    }
    if (!error.code) error = copy_colours(from, *to);
    if (error.code) {
        heif_image_release(*to);
        *to = NULL;
    }
    return error;
}

// The first picture of what was pushed; NULL: there is none.
static struct heif_error decode_pictures(void *decoder, struct heif_image **image) {
    *image = NULL;
    for (int more = 1; more;) {
        more = 0;
        const de265_error code = de265_decode(decoder, &more);
        if (code != DE265_OK) return complaint(heif_suberror_Unspecified, de265_get_error_text(code));
        const struct de265_image *picture = de265_get_next_picture(decoder);
        if (!picture) continue;
        const struct heif_error error = copy_image(picture, image);
        de265_release_next_picture(decoder);
        return error;
    }
    return success;
}

static struct heif_error decode_image(void *decoder, struct heif_image **image) {
    de265_flush_data(decoder);
    const struct heif_error error = decode_pictures(decoder, image);
    return error.code || *image ? error : complaint(heif_suberror_End_of_data, "it has no picture");
}

#if LIBHEIF_NUMERIC_VERSION >= 0x01150000  // 1.21 calls these instead
static int priority_of(const struct heif_decoder_plugin_compressed_format_description *format) { return priority(format->format); }

static struct heif_error new_decoder_for(void **decoder, const struct heif_decoder_plugin_options *options) {
    (void)options;
    return new_decoder(decoder);
}

static struct heif_error push_for(void *decoder, const void *data, size_t size, uintptr_t user) {
    (void)user;
    return push_data(decoder, data, size);
}

static struct heif_error flush(void *decoder) {
    de265_flush_data(decoder);
    return success;
}

static struct heif_error decode_next(
    void *decoder, struct heif_image **image, uintptr_t *user, const struct heif_security_limits *limits) {
    (void)limits;
    if (user) *user = 0;
    return decode_pictures(decoder, image);
}
#endif

static const struct heif_decoder_plugin plugin = {
#if LIBHEIF_NUMERIC_VERSION >= 0x01150000
    .plugin_api_version = 5,
    .does_support_format2 = priority_of,
    .new_decoder2 = new_decoder_for,
    .push_data2 = push_for,
    .flush_data = flush,
    .decode_next_image2 = decode_next,
#else
    .plugin_api_version = 3,
#endif
    .get_plugin_name = plugin_name,
    .init_plugin = start_plugin,
    .deinit_plugin = stop_plugin,
    .does_support_format = priority,
    .new_decoder = new_decoder,
    .free_decoder = free_decoder,
    .push_data = push_data,
    .decode_image = decode_image,
    .set_strict_decoding = set_strictness,
    .id_name = "gloss-libde265",
};

static void prepare_once(void) {
    heif_init(NULL);
    heif_register_decoder_plugin(&plugin);
}

void cimage_heif_prepare(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_once);
}

typedef struct {
    struct heif_context *context;
    struct heif_image_handle *image;
    uint32_t width, height;
    // Pixels before it is cropped.
    uint64_t pixels;
    bool has_alpha;
    int bits;
} opened;

static cimage_status failure(
    struct heif_error error, const uint8_t *bytes, size_t count, uint64_t working, cimage_reason *reason) {
    if (error.code == heif_error_Memory_allocation_error) return cimage_no_memory(working, reason);
    const bool is_unknown = error.code == heif_error_Unsupported_feature || error.code == heif_error_Unsupported_filetype;
    if (error.subcode == heif_suberror_End_of_data || cimage_is_cut(bytes, count)) {
        return cimage_fail(reason, CIMAGE_TRUNCATED, "the file ends before the image does");
    }
    const cimage_status status = is_unknown ? CIMAGE_UNSUPPORTED : CIMAGE_CORRUPT;
    cimage_fail(reason, status, "%s", error.message ? error.message : "invalid HEIC data");
    reason->text[strcspn(reason->text, "\n")] = 0;
    return status;
}

// libheif before 1.19 turns halved planes of colour as if they were as large as half the image: where a side is odd, colours are off
// by a pixel.
static bool turns_wrongly(const opened *self, const uint8_t *bytes, size_t count) {
    if (heif_get_version_number() >= 0x01130000 || (self->width % 2 == 0 && self->height % 2 == 0)) return false;
    return memmem(bytes, count, "irot", 4) || memmem(bytes, count, "imir", 4);
}

static void close_heif(opened *self) {
    heif_image_handle_release(self->image);
    heif_context_free(self->context);
}

// Allows no picture more pixels than the file says that it has, blocks filled up: an overlay has a size of its own, and so may a grid.
static void limit_pixels(opened *self) {
    const uint64_t width = (uint64_t)heif_image_handle_get_ispe_width(self->image);
    const uint64_t height = (uint64_t)heif_image_handle_get_ispe_height(self->image);
    const uint64_t shown = (uint64_t)self->width * self->height;
    self->pixels = width * height > shown ? width * height : shown;
    uint64_t most = (width + 63) / 64 * 64 * ((height + 63) / 64 * 64);
    if (most < shown) most = shown;
    int side = 1;
    while ((uint64_t)side * (uint64_t)side < most) side++;
    heif_context_set_maximum_image_size_limit(self->context, side);
}

static struct heif_error open_heif(const uint8_t *bytes, size_t count, opened *self) {
    cimage_heif_prepare();
    self->context = heif_context_alloc();
    if (!self->context) return (struct heif_error){heif_error_Memory_allocation_error, heif_suberror_Unspecified, NULL};
    heif_context_set_max_decoding_threads(self->context, 0);
    heif_context_set_maximum_image_size_limit(self->context, 65535);
    struct heif_error error = heif_context_read_from_memory_without_copy(self->context, bytes, count, NULL);
    if (!error.code) error = heif_context_get_primary_image_handle(self->context, &self->image);
    if (error.code) return error;
    self->width = (uint32_t)heif_image_handle_get_width(self->image);
    self->height = (uint32_t)heif_image_handle_get_height(self->image);
    self->has_alpha = heif_image_handle_has_alpha_channel(self->image) != 0;
    self->bits = heif_image_handle_get_luma_bits_per_pixel(self->image);
    limit_pixels(self);
    if (turns_wrongly(self, bytes, count)) {
        return (struct heif_error){
            heif_error_Unsupported_feature, heif_suberror_Unspecified,
            "it is turned or mirrored and a side is odd, which this libheif gets wrong; 1.19 does not"};
    }
    return success;
}

// Bytes that decoding takes: the caller's RGB, and at the same time planes or pixels before and after one of the steps: from
// libde265, which has some for its own use, into libheif, into a grid, turned, with alpha, into RGB of eight bits. Measured: up to 14
// for each pixel with eight bits.
static uint64_t working_bytes(const opened *self) {
    return (uint64_t)self->width * self->height * 3 + self->pixels * (self->bits > 8 ? 20 : 12);
}

static struct heif_error decode_opened(opened *self, const uint8_t background[3], uint8_t *rgb, size_t rgb_size) {
    const size_t width = self->width, height = self->height, channels = self->has_alpha ? 4 : 3;
    if (rgb_size != width * height * 3) return complaint(heif_suberror_Unspecified, "the size changed between two readings");
    struct heif_decoding_options *options = heif_decoding_options_alloc();
    if (!options) return (struct heif_error){heif_error_Memory_allocation_error, heif_suberror_Unspecified, NULL};
    options->convert_hdr_to_8bit = 1;
    struct heif_image *image = NULL;
    const struct heif_error error = heif_decode_image(
        self->image, &image, heif_colorspace_RGB,
        self->has_alpha ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, options);
    heif_decoding_options_free(options);
    if (error.code) return error;
    int stride = 0;
    const uint8_t *pixels = heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride);
    const bool has_size = heif_image_get_width(image, heif_channel_interleaved) == (int)width &&
        heif_image_get_height(image, heif_channel_interleaved) == (int)height && (size_t)stride >= width * channels;
    for (size_t y = 0; y < height && pixels && has_size; y++) {
        const uint8_t *row = pixels + y * (size_t)stride;
        if (self->has_alpha) cimage_composite(row, width, background, rgb + y * width * 3);
        else memcpy(rgb + y * width * 3, row, width * 3);
    }
    heif_image_release(image);
    return pixels && has_size ? success : complaint(heif_suberror_Unspecified, "its picture is not of the size that it says");
}

cimage_status cimage_heif_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason) {
    opened file = {0};
    const struct heif_error error = open_heif(bytes, count, &file);
    const cimage_status status = error.code ? failure(error, bytes, count, 0, reason) : CIMAGE_OK;
    if (!error.code) *header = (cimage_header){file.width, file.height, working_bytes(&file)};
    close_heif(&file);
    return status;
}

cimage_status cimage_heif_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason) {
    opened file = {0};
    struct heif_error error = open_heif(bytes, count, &file);
    const uint64_t working = working_bytes(&file);
    if (!error.code) error = decode_opened(&file, background, rgb, rgb_size);
    const cimage_status status = error.code ? failure(error, bytes, count, working, reason) : CIMAGE_OK;
    close_heif(&file);
    return status;
}
