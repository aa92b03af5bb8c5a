// Pixels to a JPEG file, for pictures that people look at.
#include "internal.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

typedef struct {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    jmp_buf escape;
    unsigned char *bytes;
    unsigned long count;
} encoder;

static void give_up(j_common_ptr info) { longjmp(((encoder *)info->client_data)->escape, 1); }

static void say_nothing(j_common_ptr info) { (void)info; }

size_t cimage_jpeg_encode(const uint8_t *rgb, uint32_t width, uint32_t height, int quality, uint8_t **file) {
    *file = NULL;
    encoder *self = calloc(1, sizeof(encoder));
    if (self == NULL) return 0;
    self->info.err = jpeg_std_error(&self->errors);
    self->info.client_data = self;
    self->errors.error_exit = give_up;
    self->errors.output_message = say_nothing;
    if (setjmp(self->escape)) {
        jpeg_destroy_compress(&self->info);
        free(self->bytes);
        free(self);
        return 0;
    }
    jpeg_create_compress(&self->info);
    jpeg_mem_dest(&self->info, &self->bytes, &self->count);
    self->info.image_width = width;
    self->info.image_height = height;
    self->info.input_components = 3;
    self->info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&self->info);
    jpeg_set_quality(&self->info, quality, TRUE);
    jpeg_start_compress(&self->info, TRUE);
    while (self->info.next_scanline < height) {
        JSAMPROW row = (JSAMPROW)(rgb + (size_t)self->info.next_scanline * width * 3);
        jpeg_write_scanlines(&self->info, &row, 1);
    }
    jpeg_finish_compress(&self->info);
    size_t count = self->count;
    *file = self->bytes;
    jpeg_destroy_compress(&self->info);
    free(self);
    return count;
}
