#include "internal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <gif_lib.h>

// The file, and how far giflib has read it.
typedef struct {
    const uint8_t *bytes;
    size_t count, at;
} source;

// A file that ends where a block would begin gets an end of its blocks: whether rows are missing, giflib says.
static int read_bytes(GifFileType *gif, GifByteType *target, int count) {
    source *file = gif->UserData;
    const size_t left = file->count - file->at;
    if (left == 0 && count == 1) {
        *target = 0;
        return 1;
    }
    const size_t taken = left < (size_t)count ? left : (size_t)count;
    memcpy(target, file->bytes + file->at, taken);
    file->at += taken;
    return (int)taken;
}

// The first frame: where it lies, and which of its colours is transparent.
typedef struct {
    size_t width, height;  // of the canvas, which grows where the frame is larger
    int transparent;       // index; -1: none
} first_frame;

static cimage_status failure(int code, uint64_t working, cimage_reason *reason) {
    switch (code) {
        case D_GIF_ERR_READ_FAILED:
        case D_GIF_ERR_EOF_TOO_SOON:
            return cimage_fail(reason, CIMAGE_TRUNCATED, "the file ends before its first frame does");
        case D_GIF_ERR_NOT_ENOUGH_MEM:
            return cimage_no_memory(working, reason);
        default: {
            const char *text = GifErrorString(code);
            return cimage_fail(reason, CIMAGE_CORRUPT, "%s", text ? text : "invalid GIF data");
        }
    }
}

static bool read_extension(GifFileType *gif, first_frame *frame) {
    int function;
    GifByteType *block;
    if (DGifGetExtension(gif, &function, &block) == GIF_ERROR) return false;
    // As Pillow: of several, the last one that names a transparent colour.
    if (function == GRAPHICS_EXT_FUNC_CODE && block && block[0] >= 4 && block[1] & 1) frame->transparent = block[4];
    while (block) {
        if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) return false;
    }
    return true;
}

// Reads on to the first frame's rows.
static bool read_header(GifFileType *gif, first_frame *frame) {
    frame->transparent = -1;
    for (;;) {
        GifRecordType type;
        if (DGifGetRecordType(gif, &type) == GIF_ERROR) return false;
        switch (type) {
            case EXTENSION_RECORD_TYPE:
                if (!read_extension(gif, frame)) return false;
                break;
            case IMAGE_DESC_RECORD_TYPE: {
                if (DGifGetImageDesc(gif) == GIF_ERROR) return false;
                const GifImageDesc *image = &gif->Image;
                const size_t right = (size_t)image->Left + (size_t)image->Width;
                const size_t bottom = (size_t)image->Top + (size_t)image->Height;
                frame->width = right > (size_t)gif->SWidth ? right : (size_t)gif->SWidth;
                frame->height = bottom > (size_t)gif->SHeight ? bottom : (size_t)gif->SHeight;
                return true;
            }
            default:
                gif->Error = D_GIF_ERR_NO_IMAG_DSCR;
                return false;
        }
    }
}

// 256 colours. A file without a palette has shades of grey; an index beyond its palette is black.
static void fill_palette(const GifFileType *gif, const first_frame *frame, const uint8_t background[3], uint8_t colours[256][3]) {
    const ColorMapObject *map = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
    memset(colours, 0, 256 * 3);
    for (int i = 0; i < 256; i++) {
        if (!map) {
            memset(colours[i], i, 3);
        } else if (i < map->ColorCount) {
            const GifColorType colour = map->Colors[i];
            colours[i][0] = colour.Red, colours[i][1] = colour.Green, colours[i][2] = colour.Blue;
        }
    }
    if (frame->transparent >= 0) memcpy(colours[frame->transparent], background, 3);
}

static bool decode_rows(GifFileType *gif, const first_frame *frame, uint8_t colours[256][3], uint8_t *line, uint8_t *rgb) {
    static const int starts[] = {0, 4, 2, 1}, steps[] = {8, 8, 4, 2};
    const GifImageDesc *image = &gif->Image;
    const bool is_interlaced = image->Interlace;
    for (int pass = 0; pass < (is_interlaced ? 4 : 1); pass++) {
        for (int y = is_interlaced ? starts[pass] : 0; y < image->Height; y += is_interlaced ? steps[pass] : 1) {
            if (DGifGetLine(gif, line, image->Width) == GIF_ERROR) return false;
            uint8_t *row = rgb + (((size_t)image->Top + (size_t)y) * frame->width + (size_t)image->Left) * 3;
            for (int x = 0; x < image->Width; x++) memcpy(row + 3 * x, colours[line[x]], 3);
        }
    }
    return true;
}

static uint64_t working_bytes(const first_frame *frame) { return 3 * (uint64_t)frame->width * frame->height; }

// Opens the file and reads on to the first frame's rows; NULL: the status says why not.
static GifFileType *open_gif(source *file, first_frame *frame, cimage_status *status, cimage_reason *reason) {
    int code = 0;
    GifFileType *gif = DGifOpen(file, read_bytes, &code);
    if (!gif) {
        *status = failure(code, 0, reason);
        return NULL;
    }
    if (read_header(gif, frame)) return gif;
    *status = failure(gif->Error, 0, reason);
    DGifCloseFile(gif, &code);
    return NULL;
}

cimage_status cimage_gif_header(const uint8_t *bytes, size_t count, cimage_header *header, cimage_reason *reason) {
    source file = {bytes, count, 0};
    first_frame frame = {0};
    cimage_status status = CIMAGE_OK;
    GifFileType *gif = open_gif(&file, &frame, &status, reason);
    if (!gif) return status;
    *header = (cimage_header){(uint32_t)frame.width, (uint32_t)frame.height, working_bytes(&frame)};
    int code;
    DGifCloseFile(gif, &code);
    return CIMAGE_OK;
}

cimage_status cimage_gif_decode(
    const uint8_t *bytes, size_t count, const uint8_t background[3], uint8_t *rgb, size_t rgb_size,
    cimage_reason *reason) {
    source file = {bytes, count, 0};
    first_frame frame = {0};
    cimage_status status = CIMAGE_OK;
    GifFileType *gif = open_gif(&file, &frame, &status, reason);
    if (!gif) return status;
    uint8_t *line = NULL;
    if (rgb_size != frame.width * frame.height * 3) {
        status = cimage_fail(reason, CIMAGE_CORRUPT, "the size changed between two readings");
    } else if (gif->Image.Width == 0 || gif->Image.Height == 0) {
        status = cimage_fail(reason, CIMAGE_CORRUPT, "its first frame has no pixels");
    } else if (!(line = malloc((size_t)gif->Image.Width))) {
        status = cimage_no_memory(working_bytes(&frame), reason);
    } else {
        uint8_t colours[256][3];
        fill_palette(gif, &frame, background, colours);
        // What the frame leaves out is transparent, or of the first colour.
        const uint8_t *around = colours[frame.transparent >= 0 ? frame.transparent : 0];
        for (size_t i = 0; i < frame.width * frame.height; i++) memcpy(rgb + 3 * i, around, 3);
        if (!decode_rows(gif, &frame, colours, line, rgb)) status = failure(gif->Error, working_bytes(&frame), reason);
    }
    free(line);
    int code;
    DGifCloseFile(gif, &code);
    return status;
}
