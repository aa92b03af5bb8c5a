"""What all writers share: drawn pictures, and the ways in which files say how they are turned."""
import io
import random
import struct

import numpy as np
from PIL import Image, ImageDraw


SIZES = [(1, 1), (7, 5), (8, 8), (16, 9), (17, 33), (33, 17), (40, 40), (64, 31), (97, 23)]


class Corpus:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.files = []

    def add(self, name, data, expected="same"):
        self.files.append((f"{len(self.files):05d}-{name}", bytes(data), expected))
        return self.files[-1][0]

    def picture(self, size, mode="RGB"):
        """Waves, noise and flat shapes."""
        w, h = size
        yy, xx = np.mgrid[:h, :w].astype(np.float32)
        r = self.numbers
        base = np.stack([128 + 100 * np.sin(xx / (2 + 9 * r.random()) + 6 * r.random()),
                         128 + 100 * np.cos(yy / (2 + 9 * r.random())), 255 * (xx + yy) / (w + h)], -1)
        image = Image.fromarray((base + r.normal(0, 15, (h, w, 3))).clip(0, 255).astype(np.uint8))
        pen = ImageDraw.Draw(image)
        for _ in range(2):
            x, y = int(r.integers(0, w)), int(r.integers(0, h))
            pen.rectangle([x, y, x + w // 3, y + h // 3], fill=tuple(int(v) for v in r.integers(0, 256, 3)))
        if mode in ("RGBA", "LA"):
            image = image.convert("RGBA")
            image.putalpha(Image.fromarray(r.integers(0, 256, (h, w)).astype(np.uint8)))
        if mode == "P":
            return image.quantize(int(r.integers(2, 257)))
        return image.convert(mode)

    def size(self):
        return self.random.choice(SIZES)


def saved(image, form, **how):
    out = io.BytesIO()
    image.save(out, form, **how)
    return out.getvalue()


def packed(samples, depth):
    """Rows of samples (height, width × samples) as bytes."""
    if depth == 16:
        return [r.astype(">u2").tobytes() for r in samples]
    if depth == 8:
        return [r.astype(np.uint8).tobytes() for r in samples]
    per = 8 // depth
    rows = []
    for r in samples:
        r = np.pad(r, (0, -len(r) % per)).reshape(-1, per)
        rows.append(bytes(int(sum(int(v) << (8 - depth * (i + 1)) for i, v in enumerate(group))) for group in r))
    return rows


FORMATS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q"}


def tiff_block(orientation, kind=3, order="<", count=1, magic=None, before=(), twice=None):
    """A TIFF block with the tag 0x0112 of any type; `before`: other entries; `twice`: a second entry of the tag."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order] if magic is None else magic
    entries, outside = list(before), b""

    def encoded(value):
        if kind in (5, 10):
            return struct.pack(order + ("II" if kind == 5 else "ii"), value * 3, 3) * count
        if kind in (2, 7):
            return str(value).encode() + b"\0"
        return struct.pack(order + FORMATS[kind], value) * count

    for value in [orientation] + ([] if twice is None else [twice]):
        entries.append((0x0112, kind, encoded(value)))
    start = 8 + 2 + 12 * len(entries) + 4
    body = struct.pack(order + "H", len(entries))
    for tag, code, data in entries:
        size = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}[code]
        body += struct.pack(order + "HHI", tag, code, len(data) // size)
        if len(data) <= 4:
            body += data.ljust(4, b"\0")
        else:
            body += struct.pack(order + "I", start + len(outside))
            outside += data + b"\0" * (len(data) & 1)
    return mark + struct.pack(order + "I", 8) + body + b"\0\0\0\0" + outside


def xmp(orientation, style='attribute'):
    inner = f'tiff:Orientation="{orientation}"' if style == "attribute" else ""
    element = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if style == "element" else ""
    return (f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            f'<rdf:Description {inner} xmlns:tiff="http://ns.adobe.com/tiff/1.0/">{element}</rdf:Description>'
            f'</rdf:RDF></x:xmpmeta>').encode()


def stores(random):
    """(name, EXIF block or None, XMP or None) of every way to say an orientation."""
    found = []
    for order in "<>":
        for kind in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 16):
            found.append((f"type{kind}", tiff_block(random.randint(2, 8), kind, order), None))
        for kind in (3, 4, 9):
            found.append((f"many{kind}", tiff_block(random.randint(2, 8), kind, order, count=random.randint(2, 5)), None))
        found.append(("twice", tiff_block(6, 3, order, twice=3), None))
        found.append(("second", tiff_block(6, 3, order, before=[(0x010F, 2, b"Maker\0\0\0"), (0x0110, 2, b"abc\0")]), None))
        found.append(("and-xmp", tiff_block(6, 3, order), xmp(3)))
        found.append(("upright-and-xmp", tiff_block(1, 3, order), xmp(6)))
        found.append(("other-tag-and-xmp", tiff_block(1, 3, order).replace(struct.pack(order + "H", 0x112), struct.pack(order + "H", 0x10E)), xmp(6)))
    found.append(("odd-magic-MM", tiff_block(8, 3, ">", magic=b"MM*\0"), None))
    found.append(("odd-magic-II", tiff_block(8, 3, "<", magic=b"II\0*"), None))
    for value in range(0, 10):
        found.append((f"value{value}", tiff_block(value, 3, random.choice("<>")), None))
        found.append((f"xmp{value}", None, xmp(value, random.choice(["attribute", "element"]))))
    return found
