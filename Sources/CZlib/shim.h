#pragma once
#include <string.h>
#include <zlib.h>

// Inflates a raw deflate stream, as a zip file has it, into exactly `out_size` bytes; false if it is damaged, shorter or
// longer.
static inline int gloss_inflate(const void *in, unsigned in_size, void *out, unsigned out_size) {
    z_stream stream;
    memset(&stream, 0, sizeof stream);
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return 0;
    stream.next_in = (Bytef *)in;
    stream.avail_in = in_size;
    stream.next_out = (Bytef *)out;
    stream.avail_out = out_size;
    int status = inflate(&stream, Z_FINISH);
    int is_whole = status == Z_STREAM_END && stream.avail_out == 0;
    inflateEnd(&stream);
    return is_whole;
}
