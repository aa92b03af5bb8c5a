"""GIFs, whole and damaged."""
import struct

import numpy as np

from .base import SIZES, saved


def lzw(indices, bits, deferred=False):
    """GIF's compression, in blocks; `deferred`: a full table stays."""
    clear, end = 1 << bits, (1 << bits) + 1
    out, filled = 0, 0
    table, size, following = {}, bits + 1, end + 1
    codes = []

    def reset():
        nonlocal table, size, following
        table, size, following = {(i,): i for i in range(clear)}, bits + 1, end + 1

    codes.append((clear, size))
    reset()
    word = ()
    for i in indices:
        if word + (i,) in table:
            word += (i,)
            continue
        codes.append((table[word], size))
        if following < 4096:
            table[word + (i,)] = following
            if following == 1 << size and size < 12:
                size += 1
            following += 1
        elif not deferred:
            codes.append((clear, size))
            reset()
        word = (i,)
    codes.append((table[word], size))
    if following == 1 << size and size < 12:
        size += 1
    codes.append((end, size))
    data = bytearray()
    for code, width in codes:
        out |= code << filled
        filled += width
        while filled >= 8:
            data.append(out & 255)
            out >>= 8
            filled -= 8
    if filled:
        data.append(out & 255)
    blocks = b"".join(bytes([len(data[i:i + 255])]) + bytes(data[i:i + 255]) for i in range(0, len(data), 255))
    return bytes([bits]) + blocks


def gif(c, size, bits, frame=None, palette="global", interlaced=False, transparent=None, entries=None, version=b"GIF89a", extensions=b""):
    """The file's parts: all up to the data, the data's blocks without their end, what comes behind."""
    left, top, w, h = frame or (0, 0, *size)
    count = min(2 ** bits, entries or 2 ** bits)
    indices = c.numbers.integers(0, count, (h, w))
    order = [y for start, step in ((0, 8), (4, 8), (2, 4), (1, 2)) for y in range(start, h, step)] if interlaced else range(h)
    colours = c.numbers.integers(0, 256, 3 * 2 ** bits).astype(np.uint8).tobytes()
    head = version + struct.pack("<HHBBB", *size, (0x80 | bits - 1) if palette == "global" else 0, 0, 0)
    head += colours if palette == "global" else b""
    head += extensions
    if transparent is not None:
        head += b"!\xf9\4" + bytes([1, 0, 0, transparent]) + b"\0"
    flags = (0x40 if interlaced else 0) | (0x80 | bits - 1 if palette == "local" else 0)
    head += b"," + struct.pack("<HHHHB", left, top, w, h, flags) + (colours if palette == "local" else b"")
    pixels = [int(v) for y in order for v in indices[y]]
    return head, lzw(pixels, max(2, bits), c.random.random() < .5), b"\0;"


def gifs(c):
    r = c.random
    for bits in range(1, 9):
        for interlaced in (False, True):
            for palette in ("global", "local", "none"):
                for size in r.sample(SIZES, 4):
                    transparent = r.choice([None, None, r.randrange(2 ** bits)])
                    frame = None
                    if r.random() < .3 and min(size) > 4:
                        frame = (r.randint(0, 3), r.randint(0, 3), size[0] - r.randint(0, 4), size[1] - r.randint(0, 4))
                    extensions = r.choice([b"", b"!\xfe\5hello\0", b"!\xff\x0bNETSCAPE2.0\3\1\0\0\0", b"!\xfe\0"])
                    head, data, tail = gif(c, size, bits, frame, palette, interlaced, transparent, extensions=extensions,
                                           version=r.choice([b"GIF89a", b"GIF87a"]))
                    name = f"b{bits}{'i' if interlaced else ''}-{palette}-{size[0]}x{size[1]}.gif"
                    whole = c.add(name, head + data + tail)
                    if r.random() < .4:
                        c.add("no-end.gif", head + data + b"\0", f"whole {whole}")
                        c.add("no-block-end.gif", head + data, f"whole {whole}")
                        c.add("trailer.gif", head + data + tail + b"\0junk" * r.randint(1, 9), f"whole {whole}")
                        if size[0] * size[1] > 60:
                            c.add("cut.gif", head + data[:len(data) // 2], "refused")
                            c.add("cut-with-end.gif", head + data[:1] + bytes([len(data) // 3 % 200]) + data[2:2 + len(data) // 3 % 200] + tail,
                                  "refused" if len(data) < 600 else None)
    for size in ((130, 110), (200, 97)):
        for bits in (4, 7, 8, 8, 8):
            c.add("large.gif", b"".join(gif(c, size, bits)))
    for _ in range(12):
        frames = [c.picture((31, 22), "P") for _ in range(3)]
        c.add("animated.gif", saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50, optimize=False))
    for _ in range(8):
        c.add("saved.gif", saved(c.picture(c.size(), r.choice(["P", "L", "RGB", "1"])), "GIF", interlace=r.randint(0, 1)))
