// AVIF through libavif, decoded by dav1d alone and by no other thread than this one.
#include "internal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <avif/avif.h>

static cimage_status failure(
    avifResult code, const uint8_t *bytes, size_t count, uint64_t working, cimage_reason *reason) {
    const char *text = avifResultToString(code);
    if (code == AVIF_RESULT_OUT_OF_MEMORY) return cimage_no_memory(working, reason);
    if (code == AVIF_RESULT_TRUNCATED_DATA || cimage_is_cut(bytes, count)) {
        return cimage_fail(reason, CIMAGE_TRUNCATED, "the file ends before the image does");
    }
    switch (code) {
        case AVIF_RESULT_NOT_IMPLEMENTED:
        case AVIF_RESULT_UNSUPPORTED_DEPTH:
            return cimage_fail(reason, CIMAGE_UNSUPPORTED, "%s", text);
        case AVIF_RESULT_NO_CODEC_AVAILABLE:
            return cimage_fail(reason, CIMAGE_UNSUPPORTED, "this machine's libavif has no dav1d");
        default:
            return cimage_fail(reason, CIMAGE_CORRUPT, "%s", text);
    }
}

// EXIF's number for what irot and imir ask for: first turned anticlockwise, then mirrored.
static int orientation_of(const avifImage *image) {
    const bool is_mirrored = (image->transformFlags & AVIF_TRANSFORM_IMIR) != 0;
#if AVIF_VERSION_MAJOR >= 1
    const bool is_left_right = image->imir.axis == 1;
#else
    const bool is_left_right = image->imir.mode == 1;
#endif
    const int quarters = image->transformFlags & AVIF_TRANSFORM_IROT ? image->irot.angle & 3 : 0;
    static const int turned[] = {1, 8, 3, 6}, left_right[] = {2, 7, 4, 5}, top_bottom[] = {4, 5, 2, 7};
    return (!is_mirrored ? turned : is_left_right ? left_right : top_bottom)[quarters];
}

// Bytes that decoding takes: the caller's RGB, RGBA where there is alpha, and planes twice, as dav1d's and as libavif's.
static uint64_t working_bytes(const avifDecoder *decoder) {
    const avifImage *image = decoder->image;
    const uint64_t pixels = (uint64_t)image->width * image->height;
    const uint64_t sample = image->depth > 8 ? 2 : 1;
    uint64_t halves = 6;  // of a sample, for each pixel
    if (image->yuvFormat == AVIF_PIXEL_FORMAT_YUV400) halves = 2;
    if (image->yuvFormat == AVIF_PIXEL_FORMAT_YUV420) halves = 3;
    if (image->yuvFormat == AVIF_PIXEL_FORMAT_YUV422) halves = 4;
    if (decoder->alphaPresent) halves += 2;
    return pixels * (3 + (decoder->alphaPresent ? 4 : 0) + halves * sample);
}

static avifResult open_avif(avifDecoder *decoder, const uint8_t *bytes, size_t count) {
    decoder->maxThreads = 1;
    decoder->codecChoice = AVIF_CODEC_CHOICE_DAV1D;
    // As Pillow: files without these properties, or with odd ones, are images all the same.
    decoder->strictFlags &= ~(avifStrictFlags)(AVIF_STRICT_CLAP_VALID | AVIF_STRICT_PIXI_REQUIRED);
    decoder->imageDimensionLimit = 65535;
    const avifResult code = avifDecoderSetIOMemory(decoder, bytes, count);
    return code == AVIF_RESULT_OK ? avifDecoderParse(decoder) : code;
}

cimage_status cimage_avif_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason) {
    avifDecoder *decoder = avifDecoderCreate();
    if (!decoder) return cimage_no_memory(0, reason);
    const avifResult code = open_avif(decoder, bytes, count);
    cimage_status status = CIMAGE_OK;
    if (code == AVIF_RESULT_OK) {
        *header = (cimage_header){decoder->image->width, decoder->image->height, working_bytes(decoder)};
    } else {
        status = failure(code, bytes, count, 0, reason);
    }
    avifDecoderDestroy(decoder);
    return status;
}

// NULL where there is nothing to copy, or no memory: then it counts as not being there.
static uint8_t *copy_of(const avifRWData *data, size_t *size) {
    uint8_t *copy = data->size ? malloc(data->size) : NULL;
    if (copy) memcpy(copy, data->data, *size = data->size);
    return copy;
}

void cimage_avif_metadata(const uint8_t *bytes, size_t count, cimage_metadata *metadata) {
    *metadata = (cimage_metadata){.orientation = 1};
    avifDecoder *decoder = avifDecoderCreate();
    if (!decoder) return;
    if (open_avif(decoder, bytes, count) == AVIF_RESULT_OK) {
        metadata->orientation = orientation_of(decoder->image);
        metadata->exif = copy_of(&decoder->image->exif, &metadata->exif_size);
        metadata->xmp = copy_of(&decoder->image->xmp, &metadata->xmp_size);
    }
    avifDecoderDestroy(decoder);
}

void cimage_metadata_free(cimage_metadata *metadata) {
    free(metadata->exif);
    free(metadata->xmp);
    *metadata = (cimage_metadata){.orientation = 1};
}

static avifResult decode_first(
    avifDecoder *decoder, const uint8_t background[3], uint8_t *rgb, size_t rgb_size) {
    avifImage *image = decoder->image;
    const size_t pixels = (size_t)image->width * image->height;
    if (rgb_size != pixels * 3) return AVIF_RESULT_BMFF_PARSE_FAILED;
    // The stream may not be larger than its container says. Tiles may stand out a little.
    const uint64_t most = 2 * (uint64_t)pixels + 65536;
    if (most < decoder->imageSizeLimit) decoder->imageSizeLimit = (uint32_t)most;
    const avifResult code = avifDecoderNextImage(decoder);
    if (code != AVIF_RESULT_OK) return code;
    if ((size_t)image->width * image->height != pixels) return AVIF_RESULT_BMFF_PARSE_FAILED;
    avifRGBImage target;
    avifRGBImageSetDefaults(&target, image);
    target.depth = 8;
    target.format = decoder->alphaPresent ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    target.rowBytes = image->width * (decoder->alphaPresent ? 4 : 3);
    target.pixels = decoder->alphaPresent ? malloc(pixels * 4) : rgb;
    if (!target.pixels) return AVIF_RESULT_OUT_OF_MEMORY;
    const avifResult converted = avifImageYUVToRGB(image, &target);
    if (decoder->alphaPresent) {
        if (converted == AVIF_RESULT_OK) cimage_composite(target.pixels, pixels, background, rgb);
        free(target.pixels);
    }
    return converted;
}

cimage_status cimage_avif_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason) {
    avifDecoder *decoder = avifDecoderCreate();
    if (!decoder) return cimage_no_memory(0, reason);
    uint64_t working = 0;
    avifResult code = open_avif(decoder, bytes, count);
    if (code == AVIF_RESULT_OK) {
        working = working_bytes(decoder);
        code = decode_first(decoder, background, rgb, rgb_size);
    }
    avifDecoderDestroy(decoder);
    return code == AVIF_RESULT_OK ? CIMAGE_OK : failure(code, bytes, count, working, reason);
}
