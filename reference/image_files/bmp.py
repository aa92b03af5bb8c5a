"""BMPs, whole and damaged."""
import struct

import numpy as np

from .base import SIZES, packed, saved


def bmp(c, size, bits, header=40, compression=0, top_down=False, colours=None, masks=None, rows=None, offset=None, pad=b""):
    w, h = size
    count = (colours or 2 ** bits) if bits <= 8 else 0
    entry = 3 if header == 12 else 4
    palette = b""
    for _ in range(count):
        palette += c.numbers.integers(0, 256, 3).astype(np.uint8).tobytes() + b"\0" * (entry - 3)
    stride = (w * bits + 31) // 32 * 4
    if rows is None:
        if bits <= 8:
            top = min(2 ** bits, count)
            lines = packed(c.numbers.integers(0, top, (h, w)), bits)
        else:
            lines = [c.numbers.integers(0, 256, w * bits // 8).astype(np.uint8).tobytes() for _ in range(h)]
        rows = b"".join(line.ljust(stride, b"\0") for line in lines)
    if header == 12:
        info = struct.pack("<IHHHH", 12, w, h, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, w, -h if top_down else h, 1, bits, compression, len(rows), 2835, 2835,
                           colours or 0, 0)
        fields = struct.pack("<IIII", *masks) if masks else b""
        if header == 40:
            info += fields[:12]
        else:
            info += fields.ljust(header - 40, b"\0")[:header - 40]
    start = 14 + len(info) + len(palette) + len(pad)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start if offset is None else offset) + info + palette + pad + rows


MASKS = {32: [(0xFF0000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0), (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
              (0xFF, 0xFF00, 0xFF0000, 0xFF000000), (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0, 0, 0, 0),
              (0xFF000000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF00, 0xFF, 0xFF0000)],
         16: [(0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0)], 24: [(0xFF0000, 0xFF00, 0xFF, 0)]}


def run_lengths(c, size, is_rle4, early=False):
    """Random runs that fill the image, with all that the format has."""
    w, h = size
    r, out = c.random, bytearray()
    for y in range(h):
        x = 0
        while x < w:
            left = w - x
            kind = r.random()
            if kind < .5 or left < 3:
                n = r.randint(1, min(left, 255))
                out += bytes([n, r.randrange(256) if not is_rle4 else r.randrange(256)])
                x += n
            elif kind < .9:
                n = r.randint(3, min(left, 255))
                size_of = (n + 1) // 2 if is_rle4 else n
                out += bytes([0, n]) + bytes(r.randrange(256) for _ in range(size_of))
                if size_of & 1:
                    out += b"\0"
                x += n
            elif kind < .95:
                n = r.randint(0, left)
                out += bytes([0, 2, n, 0])
                x += n
            elif x:
                break
        out += b"\0\0"
    return bytes(out[:len(out) // 2] if early else out) + b"\0\1"


def bmps(c):
    r = c.random
    for bits in (1, 4, 8, 16, 24, 32):
        for header in (12, 40, 52, 56, 64, 108, 124):
            if header == 12 and bits > 24:
                continue
            for top_down in (False, True) if header != 12 else (False,):
                size = c.size()
                colours = r.choice([None, r.randint(2, 2 ** bits)]) if bits <= 8 and header != 12 else None
                data = bmp(c, size, bits, header, top_down=top_down, colours=colours, pad=r.choice([b"", b"", b"gap "]))
                whole = c.add(f"b{bits}h{header}.bmp", data)
                if r.random() < .5:
                    c.add("trailer.bmp", data + b"junk", f"whole {whole}")
                    c.add("cut.bmp", data[:len(data) - max(4, len(data) // 9)], "refused")
        for masks in MASKS.get(bits, []):
            for header in (40, 56, 108, 124):
                if header == 40 and masks[3]:
                    continue
                c.add(f"fields-b{bits}h{header}.bmp", bmp(c, c.size(), bits, header, 3, masks=masks))
    for _ in range(30):
        is_rle4, size = r.random() < .5, c.size()
        data = bmp(c, size, 4 if is_rle4 else 8, compression=2 if is_rle4 else 1, rows=run_lengths(c, size, is_rle4))
        c.add(f"rle{4 if is_rle4 else 8}.bmp", data)
    for _ in range(6):
        size = (40, 40)
        c.add("rle-early.bmp", bmp(c, size, 8, compression=1, rows=run_lengths(c, size, False, early=True)), None)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        for size in SIZES:
            if (mode, size) != ("1", (1, 1)):
                c.add(f"saved-{mode}.bmp", saved(c.picture(size, mode), "BMP"))
