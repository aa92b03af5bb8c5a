#include "internal.h"

#include <stdbool.h>
#include <stdlib.h>

#include <webp/decode.h>
#include <webp/demux.h>

// Bytes that decoding takes: the caller's RGB, RGBA where there is alpha, and what libwebp keeps: a lossless image in
// ARGB, or lossy alpha and the lossless image that it is made of.
static uint64_t working_bytes(const WebPBitstreamFeatures *features) {
    const uint64_t pixels = (uint64_t)features->width * (uint64_t)features->height;
    const bool is_lossy = features->format == 1, is_lossless = features->format == 2;
    if (is_lossy && !features->has_alpha) return 3 * pixels;
    if (is_lossless) return (features->has_alpha ? 11 : 7) * pixels;
    return 12 * pixels;
}

static cimage_status failure(VP8StatusCode code, uint64_t working, cimage_reason *reason) {
    switch (code) {
        case VP8_STATUS_NOT_ENOUGH_DATA:
        case VP8_STATUS_SUSPENDED:
            return cimage_fail(reason, CIMAGE_TRUNCATED, "the file ends before the image does");
        case VP8_STATUS_OUT_OF_MEMORY:
            return cimage_no_memory(working, reason);
        case VP8_STATUS_UNSUPPORTED_FEATURE:
            return cimage_fail(reason, CIMAGE_UNSUPPORTED, "an unsupported WebP feature");
        default:
            return cimage_fail(reason, CIMAGE_CORRUPT, "invalid WebP bitstream");
    }
}

static VP8StatusCode decode_frame(const WebPIterator *frame, WEBP_CSP_MODE mode, uint8_t *target, size_t size) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return VP8_STATUS_UNSUPPORTED_FEATURE;
    const int channels = mode == MODE_RGBA ? 4 : 3;
    config.output.colorspace = mode;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = target;
    config.output.u.RGBA.stride = frame->width * channels;
    config.output.u.RGBA.size = size;
    return WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
}

// A frame with alpha, or the first frame of an animation where it covers only part of the canvas.
static VP8StatusCode decode_onto_canvas(
    const WebPIterator *frame, size_t width, size_t height, const uint8_t background[3], uint8_t *rgb) {
    const size_t columns = (size_t)frame->width, rows = (size_t)frame->height;
    const size_t left = (size_t)frame->x_offset, top = (size_t)frame->y_offset;
    if (left + columns > width || top + rows > height) return VP8_STATUS_BITSTREAM_ERROR;
    uint8_t *rgba = malloc(columns * rows * 4);
    if (!rgba) return VP8_STATUS_OUT_OF_MEMORY;
    const VP8StatusCode code = decode_frame(frame, MODE_RGBA, rgba, columns * rows * 4);
    if (code == VP8_STATUS_OK) {
        for (size_t i = 0; i < width * height * 3; i++) rgb[i] = background[i % 3];
        for (size_t y = 0; y < rows; y++) {
            cimage_composite(rgba + y * columns * 4, columns, background, rgb + ((top + y) * width + left) * 3);
        }
    }
    free(rgba);
    return code;
}

static VP8StatusCode decode_first_frame(
    WebPDemuxer *demuxer, const uint8_t background[3], uint8_t *rgb, size_t rgb_size) {
    const size_t width = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH);
    const size_t height = WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT);
    if (width * height * 3 != rgb_size) return VP8_STATUS_BITSTREAM_ERROR;
    WebPIterator frame;
    if (!WebPDemuxGetFrame(demuxer, 1, &frame)) return VP8_STATUS_BITSTREAM_ERROR;
    const bool fills = (size_t)frame.width == width && (size_t)frame.height == height;
    const VP8StatusCode code = fills && !frame.has_alpha
        ? decode_frame(&frame, MODE_RGB, rgb, rgb_size)
        : decode_onto_canvas(&frame, width, height, background, rgb);
    WebPDemuxReleaseIterator(&frame);
    return code;
}

cimage_status cimage_webp_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason) {
    WebPBitstreamFeatures features;
    const VP8StatusCode code = WebPGetFeatures(bytes, count, &features);
    if (code != VP8_STATUS_OK) return failure(code, 0, reason);
    *header = (cimage_header){(uint32_t)features.width, (uint32_t)features.height, working_bytes(&features)};
    return CIMAGE_OK;
}

cimage_status cimage_webp_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason) {
    cimage_header header;
    const cimage_status status = cimage_webp_header(bytes, count, &header, reason);
    if (status != CIMAGE_OK) return status;
    const WebPData data = {bytes, count};
    WebPDemuxState state;
    WebPDemuxer *demuxer = WebPDemuxPartial(&data, &state);
    VP8StatusCode code = VP8_STATUS_OK;
    if (state == WEBP_DEMUX_DONE) {
        code = demuxer ? decode_first_frame(demuxer, background, rgb, rgb_size) : VP8_STATUS_OUT_OF_MEMORY;
    } else {
        code = state == WEBP_DEMUX_PARSE_ERROR ? VP8_STATUS_BITSTREAM_ERROR : VP8_STATUS_NOT_ENOUGH_DATA;
    }
    WebPDemuxDelete(demuxer);
    return code == VP8_STATUS_OK ? CIMAGE_OK : failure(code, header.working, reason);
}
