"""JPEGs, whole and damaged."""
import struct

from .base import SIZES, saved, stores, tiff_block, xmp


def with_segment(jpeg, marker, content):
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def oriented_jpeg(jpeg, exif, packet):
    if packet is not None:
        jpeg = with_segment(jpeg, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)
    return jpeg if exif is None else with_segment(jpeg, 0xE1, b"Exif\0\0" + exif)


def scan_data(jpeg):
    """Where the last scan's data begins, and where its end marker is."""
    at = jpeg.rindex(b"\xff\xda")
    return at + 2 + struct.unpack(">H", jpeg[at + 2:at + 4])[0], jpeg.rindex(b"\xff\xd9")


def jpegs(c):
    for mode in ("L", "RGB", "CMYK"):
        for progressive in (False, True):
            for subsampling in (0, 1, 2) if mode == "RGB" else (None,):
                for size in SIZES:
                    how = {"quality": c.random.choice([30, 75, 95]), "progressive": progressive}
                    if subsampling is not None:
                        how["subsampling"] = subsampling
                    if c.random.random() < .3:
                        how["restart_marker_blocks"] = c.random.randint(1, 4)
                    if c.random.random() < .2:
                        how["optimize"] = True
                    name = f"{mode}{'-progressive' if progressive else ''}-{size[0]}x{size[1]}.jpg"
                    data = saved(c.picture(size, mode), "JPEG", **how)
                    whole = c.add(name, data)
                    damaged_jpegs(c, data, whole, "restart_marker_blocks" in how, progressive)
    for name, exif, packet in stores(c.random):
        base = saved(c.picture((17, 9)), "JPEG", quality=90, subsampling=0)
        c.add(f"exif-{name}.jpg", oriented_jpeg(base, exif, packet))
    base = saved(c.picture((19, 9)), "JPEG", quality=90)
    block = tiff_block(6)
    c.add("exif-doubled.jpg", with_segment(base, 0xE1, b"Exif\0\0Exif\0\0" + block))
    c.add("exif-behind-junk.jpg", base[:2] + b"\xff\xfe\0\4ab" + b"\0\0junk" + oriented_jpeg(base, block, None)[2:])
    split = with_segment(with_segment(base, 0xE1, b"Exif\0\0" + block[20:]), 0xE1, b"Exif\0\0" + block[:20])
    c.add("exif-split.jpg", split)
    for cut in range(0, len(block), 3):
        c.add("exif-cut.jpg", with_segment(base, 0xE1, b"Exif\0\0" + block[:cut]))
    for keep in (False, True):
        for size in SIZES[1:5]:
            data = saved(c.picture(size), "JPEG", quality=85, keep_rgb=keep, subsampling=0)
            c.add("rgb.jpg", data)
            c.add("jfif-of-the-future.jpg", data.replace(b"JFIF\0\1", b"JFIF\0\3", 1))
            c.add("odd-adobe.jpg", with_segment(data, 0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([c.random.choice([1, 9])])))
            c.add("comment.jpg", with_segment(data, 0xFE, b"a comment"))
            start = scan_data(data)[0]
            place = data.rindex(b"\xff\xda")
            c.add("fill-bytes.jpg", data[:place] + b"\xff" * c.random.randint(1, 9) + data[place:])
            c.add("stray-before-scan.jpg", data[:place] + b"\0\1stray" + data[place:])
            spoilt = bytearray(data)
            for _ in range(3):
                spoilt[c.random.randint(start, len(data) - 3)] = c.random.randrange(255)
            c.add("spoilt.jpg", spoilt, None)
    many = with_segment(with_segment(base, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(3)), 0xE1,
                        b"http://ns.adobe.com/xap/1.0/\0" + xmp(8))
    c.add("two-xmps.jpg", many)


def damaged_jpegs(c, data, whole, has_restarts, progressive):
    start, end = scan_data(data)
    r = c.random

    def trailer():
        return r.choice([bytes(r.randrange(256) for _ in range(r.randint(1, 300))), b"\0" * 40, b"SEFHh\0\0\0SEFT" * 3, b"\xff" * 5,
                         data[:60]])

    c.add(f"stray-before-end-{r.randint(1, 9)}.jpg", data[:end] + bytes(r.randint(0, 254) for _ in range(r.randint(1, 2000))) + data[end:],
          f"whole {whole}")
    c.add("trailer.jpg", data + trailer(), f"whole {whole}")
    c.add("no-end.jpg", data[:end], f"whole {whole}")
    # A segment, text, another JPEG's beginning: but no bytes right behind the scan, which could be its data.
    for behind in (b"\xff\xe0\0\6abcd" + r.choice([b"\0" * 40, b"SEFHh\0\0\0SEFT" * 3, b"trailer"]), data[:80], b"\xff\xc0\0\x11\x08garbage"):
        c.add("trailer-for-end.jpg", data[:end] + behind, f"whole {whole}")
    # The scan's last bytes: whatever is cut there has bits of the last row, but for those that fill up the last byte.
    if end - start > 12:
        c.add("cut-last-row.jpg", data[:end - r.randint(3, 6)], "refused")
        c.add("cut-last-row-with-end.jpg", data[:end - r.randint(3, 6)] + b"\xff\xd9", "refused")
        c.add("cut-half.jpg", data[:start + (end - start) // 2], "refused")
        c.add("cut-half-with-end.jpg", data[:start + (end - start) // 2] + b"\xff\xd9", "refused")
    if progressive:
        scans = [i for i in range(len(data) - 1) if data[i:i + 2] == b"\xff\xda"]
        c.add("cut-before-last-scan.jpg", data[:scans[-1]], "refused")
    restarts = [i for i in range(start, end) if data[i] == 0xFF and 0xD0 <= data[i + 1] <= 0xD7]
    if has_restarts and restarts:
        at = r.choice(restarts)
        c.add("stray-before-restart.jpg", data[:at] + bytes(r.randint(0, 254) for _ in range(r.randint(1, 60))) + data[at:], f"whole {whole}")
        if r.random() < .4:
            c.add("no-restart.jpg", data[:at] + data[at + 2:], None)
    c.add("header-alone.jpg", data[:r.randint(3, start)], "refused")
