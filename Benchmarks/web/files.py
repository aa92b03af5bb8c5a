"""The files that the local web serves: the demo's images, some in odd formats, and some that are damaged."""
import glob
import os
import struct
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(f"{HERE}/../..")


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows):
    """RGB, 8 bits; `rows`: the filtered rows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 6)) + _chunk(b"IEND", b"")


def _ramp(width, height):
    """Rows of grey, 0 to 127."""
    return [bytes((x + y) * 127 // (width + height) for x in range(width)) for y in range(height)]


def gif(width, height):
    """Codes of 8 bits, the table cleared before they would grow: every byte is a pixel or a clear code."""
    palette = bytes(value for i in range(128) for value in (2 * i, 255 - 2 * i, 90))
    pixels = b"".join(_ramp(width, height))
    codes = b"".join(b"\x80" + pixels[i:i + 100] for i in range(0, len(pixels), 100)) + b"\x81"
    blocks = b"".join(bytes([len(codes[i:i + 255])]) + codes[i:i + 255] for i in range(0, len(codes), 255))
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF6, 0, 0) + palette \
        + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x07" + blocks + b"\0;"


def bmp(width, height):
    rows = b"".join(bytes(value for grey in row for value in (grey, 90, 255 - grey)) for row in reversed(_ramp(width, height)))
    return b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) \
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(rows), 2835, 2835, 0, 0) + rows


def tiff(width, height):
    pixels = b"".join(_ramp(width, height))
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
            (277, 3, 1, 1), (278, 3, 1, height), (279, 4, 1, len(pixels))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", len(tags)) + entries + bytes(4)


def with_comment(image, number):
    """The same image with a comment that holds the number, so that no two files are the same: JPEG, PNG, WebP, GIF."""
    text = b"%d" % number
    if image.startswith(b"\xff\xd8"):
        return image[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + image[2:]
    if image.startswith(b"\x89PNG"):
        return image[:33] + _chunk(b"tEXt", b"Comment\0" + text) + image[33:]
    if image.startswith(b"RIFF"):
        text += b" " * (len(text) % 2)
        whole = image + b"note" + struct.pack("<I", len(text)) + text
        return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]
    if image.startswith(b"GIF"):
        return image[:-1] + b"!\xfe" + bytes([len(text)]) + text + b"\0;"
    return image


def _read(path):
    with open(path, "rb") as file:
        return file.read()


PHOTOS = [_read(path) for path in sorted(glob.glob(f"{ROOT}/demo/images/scene-*"))]
JPEG = [photo for photo in PHOTOS if photo.startswith(b"\xff\xd8")]
HTML = b"<!DOCTYPE html><html><head><title>Shop</title></head><body>" + b"<p>The page has moved.</p>" * 100 + b"</body></html>"
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
LARGE = png(1024, 1024, b"".join(b"\0" + bytes(v for x in range(1024) for v in (x >> 2, y >> 2, (x ^ y) >> 3)) for y in range(1024)))
TINY = png(1, 1, b"\0\xff\x80\x00")
# 30,000 x 30,000 pixels, says the header.
PIXELS = png(30_000, 30_000, b"\0" * 90_001)
FORMATS = {"gif": gif(160, 120), "bmp": bmp(160, 120), "tiff": tiff(160, 120), "avif": _read(f"{HERE}/image.avif")}


def body(kind, number):
    """The file of a URL."""
    photo = PHOTOS[number % len(PHOTOS)]
    if kind in ("no_end", "stray", "corrupt", "cut", "first_cut", "first_short", "first_reset", "stall"):
        photo = JPEG[number % len(JPEG)]
    if kind == "no_end":
        # One whose last row is complete before its padding.
        photo = JPEG[1][:-2]
    elif kind == "stray":
        photo = photo[:-2] + b"\x13\x37" + photo[-2:]
    elif kind == "corrupt":
        photo = photo[:len(photo) // 2] + b"\xff\xd9"
    elif kind in ("page", "moved_page"):
        return HTML
    elif kind == "svg":
        return SVG
    elif kind == "large":
        photo = LARGE
    elif kind == "tiny":
        photo = TINY
    elif kind == "pixels":
        photo = PIXELS
    elif kind in FORMATS:
        photo = FORMATS[kind]
    return with_comment(photo, number)
