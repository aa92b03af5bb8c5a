"""WebPs, AVIFs and HEICs, whole and damaged."""
import struct

from PIL import Image

from .base import SIZES, saved, stores, tiff_block, xmp


def riff(kind, body):
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) & 1)


def webps(c):
    r = c.random
    for mode in ("RGB", "RGBA"):
        for lossless in (True, False):
            for size in SIZES:
                data = saved(c.picture(size, mode), "WEBP", lossless=lossless, quality=r.choice([20, 75, 100]))
                whole = c.add(f"{mode}{'-lossless' if lossless else '-lossy'}.webp", data, "close" if not lossless else "same")
                if r.random() < .5:
                    c.add("trailer.webp", data + b"junk", f"whole {whole}")
                    if len(data) > 60:
                        c.add("cut.webp", data[:len(data) - r.randint(2, len(data) // 3)], "refused")
    for _ in range(8):
        frames = [c.picture((30, 21), r.choice(["RGB", "RGBA"])) for _ in range(3)]
        c.add("animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=80, lossless=True))
    for name, exif, packet in stores(c.random):
        data = saved(c.picture((17, 9)), "WEBP", lossless=True)
        flags = (8 if exif is not None else 0) | (4 if packet is not None else 0)
        if r.random() < .1:
            flags = 0
        body = riff(b"VP8X", bytes([flags, 0, 0, 0]) + struct.pack("<I", 16)[:3] + struct.pack("<I", 8)[:3]) + data[12:]
        body += riff(b"EXIF", r.choice([b"", b"Exif\0\0"]) + exif) if exif is not None else b""
        body += riff(b"XMP ", packet) if packet is not None else b""
        c.add(f"exif-{name}.webp", b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    plain = saved(c.picture((17, 9)), "WEBP", lossless=True)
    body = plain[12:] + riff(b"EXIF", tiff_block(6))
    c.add("exif-unannounced.webp", b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)


def avifs(c):
    r = c.random
    for mode in ("RGB", "RGBA", "L"):
        for subsampling in ("4:4:4", "4:2:2", "4:2:0", "4:0:0"):
            for size in r.sample(SIZES, 3):
                data = saved(c.picture(size, mode), "AVIF", quality=r.choice([40, 75, 100]), subsampling=subsampling, speed=10)
                c.add(f"{mode}-{subsampling.replace(':', '')}.avif", data, "close")
                if r.random() < .3 and len(data) > 400:
                    c.add("trailer.avif", data + b"junk", None)
                    c.add("cut.avif", data[:len(data) - r.randint(10, 60)], "refused")
    for value in range(1, 9):
        for packet in (None, xmp(3)):
            exif = Image.Exif()
            exif[0x0112] = value
            how = {} if packet is None else {"xmp": packet}
            c.add(f"orientation{value}.avif", saved(c.picture((33, 17)), "AVIF", exif=exif, speed=10, **how), "close")
    for value in (3, 6):
        c.add(f"xmp{value}.avif", saved(c.picture((33, 17)), "AVIF", xmp=xmp(value), speed=10), "close")
    frames = [c.picture((32, 24)) for _ in range(3)]
    c.add("animated.avif", saved(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=50, speed=10), "close")


def heics(c):
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener()
    r = c.random
    for mode in ("RGB", "RGBA", "L"):
        for size in [(64, 64), (33, 17), (97, 64), (16, 9)]:
            for chroma in (420, 444) if mode == "RGB" else (420,):
                data = saved(c.picture(size, mode), "HEIF", quality=r.choice([50, 80, 100]), chroma=chroma)
                c.add(f"{mode}-{chroma}.heic", data, "close")
                if r.random() < .4 and len(data) > 600:
                    c.add("cut.heic", data[:len(data) - r.randint(10, 60)], "refused")
    for value in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = value
        c.add(f"orientation{value}.heic", saved(c.picture((34, 18)), "HEIF", exif=exif.tobytes()), "close")
        c.add(f"odd-orientation{value}.heic", saved(c.picture((33, 17)), "HEIF", exif=exif.tobytes()), "close")
        c.add(f"exif-alone{value}.heic", saved(c.picture((33, 17)), "HEIF", exif=exif), "close")
