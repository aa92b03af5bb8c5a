"""PNGs, whole and damaged."""
import struct
import zlib

import numpy as np

from .base import SIZES, packed, stores, tiff_block, xmp


PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def chunk(kind, body, crc=None):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) if crc is None else crc)


def filtered(rows, width_bytes, step, kind):
    """Rows of bytes behind PNG's filter `kind`; 5: another one for each row."""
    out, above = b"", bytes(width_bytes)
    for number, row in enumerate(rows):
        f = number % 5 if kind == 5 else kind
        line = bytearray()
        for i, value in enumerate(row):
            a = row[i - step] if i >= step else 0
            b = above[i]
            d = above[i - step] if i >= step else 0
            p = a + b - d
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - d), 2, d))[2]
            line.append((value - [0, a, b, (a + b) // 2, paeth][f]) & 255)
        out += bytes([f]) + bytes(line)
        above = row
    return out


class PNG:
    """A PNG by parts, which may be put together in other ways."""

    def __init__(self, c, size, colour, depth, interlaced=False, entries=None):
        w, h = size
        top = 2 ** depth if colour != 3 else min(2 ** depth, entries or 2 ** depth)
        samples = c.numbers.integers(0, top, (h, w, SAMPLES[colour]))
        if colour != 3 and depth >= 8:
            ramp = (np.mgrid[:h, :w].sum(0) * top // (w + h))[..., None]
            samples = np.where(c.numbers.random((h, w, 1)) < .7, ramp, samples)
        kind, step = c.random.randint(0, 5), max(1, SAMPLES[colour] * depth // 8)
        parts = [samples[y::dy, x::dx] for y, x, dy, dx in PASSES] if interlaced else [samples]
        raw = b""
        for part in parts:
            if part.size:
                rows = packed(part.reshape(part.shape[0], -1), depth)
                raw += filtered(rows, len(rows[0]), step, kind)
        self.head = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced)))
        self.before, self.between, self.after = [], [], []
        if colour == 3:
            self.before.append(chunk(b"PLTE", c.numbers.integers(0, 256, 3 * (entries or 2 ** depth)).astype(np.uint8).tobytes()))
        self.raw = raw
        self.stream = zlib.compress(raw, c.random.choice([0, 1, 6, 9]))

    def data(self, pieces=1):
        size = -(-len(self.stream) // pieces)
        return b"".join(chunk(b"IDAT", self.stream[i:i + size]) for i in range(0, len(self.stream), size))

    def bytes(self, end=True, pieces=1, tail=b""):
        return (b"\x89PNG\r\n\x1a\n" + self.head + b"".join(self.before) + self.data(pieces) + b"".join(self.after)
                + (chunk(b"IEND", b"") if end else b"") + tail)


KINDS = [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16)]


def pngs(c):
    r = c.random
    for colour, depth in KINDS:
        for interlaced in (False, True):
            for size in SIZES:
                entries = r.randint(1, 2 ** depth) if colour == 3 else None
                png = PNG(c, size, colour, depth, interlaced, entries)
                name = f"c{colour}d{depth}{'i' if interlaced else ''}-{size[0]}x{size[1]}.png"
                if r.random() < .3:
                    png.before.insert(r.randint(0, len(png.before)), chunk(b"gAMA", struct.pack(">I", 45455)))
                if r.random() < .2:
                    png.before.insert(0, chunk(b"tEXt", b"Comment\0hello"))
                if r.random() < .2:
                    png.after.append(chunk(b"tEXt", b"Late\0text"))
                if r.random() < .1:
                    png.before.insert(0, chunk(b"prVt", b"private"))
                pieces = r.choice([1, 1, 2, 7])
                whole = c.add(name, png.bytes(pieces=pieces))
                if r.random() < .5:
                    damaged_pngs(c, png, whole, pieces)
                # Transparency: 2- and 4-bit grey and 16-bit ones are read otherwise on purpose.
                if colour == 3:
                    png.before.append(chunk(b"tRNS", bytes(r.choice([0, 255, 128]) for _ in range(r.randint(1, entries)))))
                    c.add("trns-" + name, png.bytes())
                elif colour in (0, 2) and depth == 8:
                    png.before.append(chunk(b"tRNS", struct.pack(">H", r.randint(0, 255)) * (1 if colour == 0 else 3)))
                    c.add("trns-" + name, png.bytes())
    for name, exif, packet in stores(c.random):
        for place in ("before", "after"):
            png = PNG(c, (15, 9), 2, 8)
            where = getattr(png, place)
            if exif is not None:
                where.append(chunk(b"eXIf", exif))
            if packet is not None:
                where.append(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
            c.add(f"exif-{place}-{name}.png", png.bytes())
    png_texts(c)
    png_orders(c)
    # Palettes that are shorter than what the pixels ask for.
    for depth in (2, 4, 8):
        png = PNG(c, (16, 9), 3, depth)
        png.before = [chunk(b"PLTE", bytes(i & 255 for i in range(3 * r.randint(1, 2 ** depth - 1))))]
        c.add(f"short-palette-d{depth}.png", png.bytes())


def png_orders(c):
    """Chunks in odd places, twice, damaged or unknown."""
    r = c.random
    side = {"gAMA": chunk(b"gAMA", struct.pack(">I", 45455)), "sRGB": chunk(b"sRGB", b"\0"), "pHYs": chunk(b"pHYs", struct.pack(">IIB", 9, 9, 1)),
            "tIME": chunk(b"tIME", struct.pack(">HBBBBB", 2026, 1, 2, 3, 4, 5)), "tEXt": chunk(b"tEXt", b"k\0v"), "own": chunk(b"prVt", b"xyz"),
            "damaged text": chunk(b"zTXt", b"k\0\0garbage"), "empty text": chunk(b"tEXt", b""),
            "iCCP": chunk(b"iCCP", b"name\0\0" + zlib.compress(b"profile")), "damaged iCCP": chunk(b"iCCP", b"name\0\0garbage"),
            "cHRM": chunk(b"cHRM", struct.pack(">8I", *range(31000, 31008))), "eXIf": chunk(b"eXIf", b"garbage"),
            "bKGD": chunk(b"bKGD", b"\0"), "hIST": chunk(b"hIST", b"\0\1" * 4), "sBIT": chunk(b"sBIT", b"\5\5\5"),
            "sPLT": chunk(b"sPLT", b"n\0\x08" + bytes(6)), "late PLTE": chunk(b"PLTE", bytes(12)),
            "acTL": chunk(b"acTL", struct.pack(">II", 1, 0))}
    for name, extra in side.items():
        for colour, depth in ((3, 2), (2, 8), (6, 8), (0, 8)):
            for place in ("first", "last", "after", "twice"):
                png = PNG(c, (9, 7), colour, depth, entries=4 if colour == 3 else None)
                if place in ("first", "twice"):
                    png.before.insert(0, extra)
                if place in ("last", "twice"):
                    png.before.append(extra)
                if place == "after":
                    png.after.append(extra)
                c.add(f"order-{name.replace(' ', '-')}-{place}-c{colour}.png", png.bytes(pieces=r.choice([1, 3])), None)
    for entries in (1, 2, 4):
        for count in (1, 4, 9):
            for first in (False, True):
                png = PNG(c, (9, 7), 3, 2, entries=entries)
                png.before.insert(0 if first else 1, chunk(b"tRNS", bytes(r.randrange(256) for _ in range(count))))
                c.add(f"order-tRNS{count}-of-{entries}{'-first' if first else ''}.png", png.bytes(), None)
    for colour, depth in ((0, 8), (2, 8), (3, 8), (2, 16), (3, 1)):
        png = PNG(c, (9, 7), colour, depth)
        png.after.append(chunk(b"tRNS", bytes(6) if colour == 2 else bytes(2)))
        c.add(f"order-tRNS-late-c{colour}.png", png.bytes(), None)
    for colour, depth in ((2, 8), (6, 8), (0, 4), (3, 8)):
        png = PNG(c, (9, 7), colour, depth)
        parts = png.bytes(pieces=3)
        place = parts.rindex(b"IDAT") - 4
        c.add("order-between-data.png", parts[:place] + side["tEXt"] + parts[place:], None)
        c.add("order-empty-data.png", parts[:place] + chunk(b"IDAT", b"") + parts[place:])
        png.stream = zlib.compress(png.raw + b"more")
        c.add("more-data.png", png.bytes())
        png.stream = zlib.compress(png.raw) + b"garbage"
        c.add("data-behind-the-stream.png", png.bytes())
        png.stream = zlib.compress(png.raw)[:-4] + b"sums"
        c.add("wrong-adler.png", png.bytes(), None)
        png.stream = zlib.compress(png.raw)
        png.before.append(chunk(b"ABCD", b"critical"))
        c.add("unknown-critical.png", png.bytes(), None)
    png = PNG(c, (9, 7), 2, 8)
    png.before = [chunk(b"tEXt", b"k\0v", crc=1)]
    c.add("wrong-side-checksum.png", png.bytes(), None)


def png_texts(c):
    block = tiff_block(6, 3, ">")
    lines = "\nexif\n%8d\n" % (len(block) + 6) + "\n".join((b"Exif\0\0" + block).hex()[i:i + 72] for i in range(0, 2 * len(block) + 12, 72)) + "\n"
    raw = lines.encode()
    name = b"Raw profile type exif\0"
    texts = {
        "text": chunk(b"tEXt", name + raw), "compressed": chunk(b"zTXt", name + b"\0" + zlib.compress(raw)),
        "international": chunk(b"iTXt", name + b"\0\0\0\0" + raw), "named-exif": chunk(b"tEXt", b"exif\0" + block),
        "international-compressed": chunk(b"iTXt", name + b"\1\0\0\0" + zlib.compress(raw)),
        "xmp-compressed": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(8))),
        "xmp-text": chunk(b"tEXt", b"XML:com.adobe.xmp\0" + xmp(5)), "xmp-ztext": chunk(b"zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(xmp(7))),
    }
    for kind, text in texts.items():
        for place in ("before", "after"):
            png = PNG(c, (15, 9), 2, 8)
            getattr(png, place).append(text)
            c.add(f"profile-{place}-{kind}.png", png.bytes())
    for first, second in [("text", "named-exif"), ("text", "xmp-text"), ("xmp-compressed", "xmp-text")]:
        png = PNG(c, (15, 9), 2, 8)
        png.before += [texts[first], texts[second]]
        c.add(f"profile-{first}-{second}.png", png.bytes())


def damaged_pngs(c, png, whole, pieces):
    r = c.random
    data = png.bytes(pieces=pieces)
    last = data.rindex(b"IDAT")
    length = struct.unpack(">I", data[last - 4:last])[0]
    behind = last + 4 + length + 4
    c.add("no-end.png", data[:behind], f"whole {whole}")
    c.add("half-end.png", data[:len(data) - r.randint(1, 11)], f"whole {whole}" if not png.after else None)
    c.add("trailer.png", data + bytes(r.randrange(256) for _ in range(r.randint(1, 80))), f"whole {whole}")
    c.add("trailer-for-end.png", data[:behind] + bytes(r.randrange(256) for _ in range(r.randint(8, 80))), f"whole {whole}")
    c.add("cut-checksum.png", data[:behind - r.randint(1, 4)], "refused")
    if length > 12:
        c.add("cut-data.png", data[:behind - r.randint(10, 10 + length // 2)], "refused")
    short = PNG.__new__(PNG)
    short.__dict__.update(png.__dict__)
    short.stream = zlib.compress(png.raw[:-1])
    c.add("short-data.png", short.bytes(), "refused")
    if length > 8 and r.random() < .1:
        spoilt = bytearray(data)
        spoilt[last + 4 + length // 2] ^= 1 << r.randrange(8)
        c.add("wrong-checksum.png", spoilt, "refused")
