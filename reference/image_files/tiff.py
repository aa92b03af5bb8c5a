"""TIFFs, whole and damaged."""
import struct
import zlib

import numpy as np

from .base import packed, saved, xmp


def tiff(c, size, photometric, bits, samples, order="<", extra=None, rows_per_strip=None, tile=None, separate=False, compression=1,
         orientation=None, orientation_type=3, packet=None):
    w, h = size
    top = 2 ** bits
    values = c.numbers.integers(0, top, (h, w, samples))

    def encode(part):
        data = b"".join(packed(part.reshape(part.shape[0], -1), bits)) if bits != 16 else part.astype(order + "u2").tobytes()
        return zlib.compress(data) if compression == 8 else data

    blocks = []
    planes = [values[..., i:i + 1] for i in range(samples)] if separate else [values]
    for plane in planes:
        if tile:
            for y in range(0, h, tile[1]):
                for x in range(0, w, tile[0]):
                    part = plane[y:y + tile[1], x:x + tile[0]]
                    part = np.pad(part, ((0, tile[1] - part.shape[0]), (0, tile[0] - part.shape[1]), (0, 0)))
                    blocks.append(encode(part))
        else:
            step = rows_per_strip or h
            blocks += [encode(plane[y:y + step]) for y in range(0, h, step)]
    entries = {256: (4, [w]), 257: (4, [h]), 258: (3, [bits] * samples), 259: (3, [compression]), 262: (3, [photometric]),
               277: (3, [samples]), 284: (3, [2 if separate else 1])}
    if extra is not None:
        entries[338] = (3, list(extra))
    if photometric == 3:
        entries[320] = (3, [int(v) for v in c.numbers.integers(0, 65536, 3 * top)])
    if orientation:
        entries[274] = (orientation_type, [orientation])
    if packet:
        entries[700] = (1, list(packet))
    start = 8 + sum(len(b) + (len(b) & 1) for b in blocks)
    offsets, at = [], 8
    for b in blocks:
        offsets.append(at)
        at += len(b) + (len(b) & 1)
    if tile:
        entries.update({322: (4, [tile[0]]), 323: (4, [tile[1]]), 324: (4, offsets), 325: (4, [len(b) for b in blocks])})
    else:
        entries.update({273: (4, offsets), 278: (4, [rows_per_strip or h]), 279: (4, [len(b) for b in blocks])})
    body, outside = struct.pack(order + "H", len(entries)), b""
    behind = start + 2 + 12 * len(entries) + 4
    for tag in sorted(entries):
        kind, numbers = entries[tag]
        data = struct.pack(order + {1: "B", 3: "H", 4: "I", 9: "i", 8: "h"}[kind] * len(numbers), *numbers)
        body += struct.pack(order + "HHI", tag, kind, len(numbers))
        if len(data) <= 4:
            body += data.ljust(4, b"\0")
        else:
            body += struct.pack(order + "I", behind + len(outside))
            outside += data + b"\0" * (len(data) & 1)
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", start)
    return mark + b"".join(b + b"\0" * (len(b) & 1) for b in blocks) + body + b"\0\0\0\0" + outside


def tiffs(c):
    r = c.random
    kinds = [(1, 1, 1, None), (1, 2, 1, None), (1, 4, 1, None), (1, 8, 1, None), (1, 16, 1, None), (0, 1, 1, None), (0, 4, 1, None),
             (0, 8, 1, None), (3, 1, 1, None), (3, 2, 1, None), (3, 4, 1, None), (3, 8, 1, None), (2, 8, 3, None), (2, 8, 4, None),
             (2, 8, 4, (0,)), (2, 8, 4, (1,)), (2, 8, 4, (2,)), (2, 8, 5, (2, 0)), (2, 16, 3, None), (2, 16, 4, (2,)), (5, 8, 4, None),
             (1, 8, 2, (2,))]
    for photometric, bits, samples, extra in kinds:
        for order in "<>":
            size = c.size()
            tile = (16, 16) if r.random() < .3 and bits == 8 else None
            data = tiff(c, size, photometric, bits, samples, order, extra, rows_per_strip=r.choice([None, 1, 5]), tile=tile,
                        compression=r.choice([1, 8]))
            whole = c.add(f"p{photometric}b{bits}s{samples}.tif", data)
            if r.random() < .4:
                c.add("trailer.tif", data + b"junk", f"whole {whole}")
    for compression in ("tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "jpeg", "raw"):
        for mode in ("L", "RGB", "RGBA", "CMYK", "P"):
            if compression == "jpeg" and mode in ("P", "RGBA"):
                continue
            c.add(f"{compression}-{mode}.tif", saved(c.picture(c.size(), mode), "TIFF", compression=compression))
    for compression in ("group3", "group4", "tiff_ccitt"):
        for size in ((40, 40), (64, 31)):
            c.add(f"{compression}.tif", saved(c.picture(size, "1"), "TIFF", compression=compression))
    for separate_kind in ((2, 8, 3, None), (2, 8, 4, (2,))):
        for compression in (1, 8):
            c.add("separate.tif", tiff(c, (33, 17), *separate_kind[:3], extra=separate_kind[3], separate=True, compression=compression,
                                       rows_per_strip=5))
    for value in range(1, 9):
        for kind in (3, 4):
            c.add(f"orientation{value}.tif", tiff(c, (17, 9), 2, 8, 3, r.choice("<>"), orientation=value, orientation_type=kind))
        c.add(f"xmp{value}.tif", tiff(c, (17, 9), 2, 8, 3, r.choice("<>"), packet=xmp(value)))
    pages = [c.picture((20, 12)) for _ in range(2)]
    c.add("pages.tif", saved(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw"))
    data = tiff(c, (33, 17), 2, 8, 3, compression=8)
    c.add("cut.tif", data[:len(data) // 2], "refused")
