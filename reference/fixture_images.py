"""Encoded images of every kind that the decoders must read, and the pixels that they must give."""
import struct
import zlib

import numpy as np
import pillow_heif
from PIL import Image, ImageDraw, ImageOps

import image_files

from pixels import resize_antialiased, resize_bilinear

# The images that the tiny models are tested with too.
MAIN = ["rgb.png", "rgba.png", "grey.png", "photo.jpg", "lossy.webp", "lossless.webp"]


def picture(width, height, seed) -> Image.Image:
    """Waves, noise and a few flat shapes."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:height, :width].astype(np.float32)
    base = np.stack([128 + 100 * np.sin(xx / (3 + rng.random() * 9) + rng.random() * 6),
                     128 + 100 * np.cos(yy / (3 + rng.random() * 9)),
                     255 * (xx + yy) / (width + height)], -1) + rng.normal(0, 12, (height, width, 3))
    image = Image.fromarray(base.clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(3):
        x, y = int(rng.integers(0, width * 2 // 3)), int(rng.integers(0, height * 2 // 3))
        box = [x, y, x + int(rng.integers(6, width // 2 + 6)), y + int(rng.integers(6, height // 2 + 6))]
        fill = tuple(int(v) for v in rng.integers(0, 256, 3))
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)(box, fill=fill)
    return image


def on_white(image) -> np.ndarray:
    """u8 RGB of an opened image: turned upright, 16 bits cut to 8, blended with white with exact rounding."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, 2)
    if "A" not in image.getbands() and "transparency" not in image.info:
        return np.asarray(image.convert("RGB"))
    rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
    alpha = rgba[..., 3:]
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def make_images(folder, seed) -> list:
    """Writes the images and returns their names."""
    names, s = [], seed * 100

    def save(image, name, **how):
        image.save(f"{folder}/{name}", **how)
        names.append(name)

    def write(data, name):
        with open(f"{folder}/{name}", "wb") as f:
            f.write(data)
        names.append(name)

    # PNG
    save(picture(83, 61, s + 1), "rgb.png")
    rgba = picture(47, 95, s + 2).convert("RGBA")
    alpha = (np.mgrid[:95, :47][0] * 255 / 94).astype(np.uint8)
    alpha[20:40, 10:30] = 0
    rgba.putalpha(Image.fromarray(alpha))
    save(rgba, "rgba.png")
    save(picture(57, 57, s + 3).convert("L"), "grey.png")
    grey_alpha = picture(29, 37, s + 11).convert("L").convert("LA")
    grey_alpha.putalpha(128)
    save(grey_alpha, "grey_alpha.png")
    save(picture(51, 38, s + 8).quantize(32), "palette.png")
    save(picture(30, 30, s + 9).quantize(16), "palette_trns.png", transparency=3)
    save(picture(35, 27, s + 17).convert("1"), "bit1.png")
    grey16 = np.asarray(picture(40, 31, s + 10).convert("L")).astype(np.uint16) * 257
    save(Image.fromarray(grey16 ^ _noise(grey16.shape, s)), "grey16.png")
    rgb16 = np.asarray(picture(37, 26, s + 16)).astype(np.uint16) * 257
    write(_png(rgb16 ^ _noise(rgb16.shape, s), 16, 2), "rgb16.png")
    rgba16 = np.asarray(picture(24, 33, s + 18).convert("RGBA")).astype(np.uint16) * 257
    rgba16[..., 3] = np.linspace(0, 65535, 33 * 24).reshape(33, 24).astype(np.uint16)
    write(_png(rgba16, 16, 6), "rgba16.png")
    write(_png(np.asarray(picture(45, 34, s + 19)), 8, 2, interlaced=True), "interlaced.png")
    # JPEG
    save(picture(131, 77, s + 4), "photo.jpg", quality=88, subsampling=2)
    save(picture(48, 48, s + 13), "progressive.jpg", quality=85, progressive=True, subsampling=1)
    save(picture(90, 33, s + 12).convert("L"), "grey.jpg", quality=80)
    save(picture(45, 52, s + 14).convert("CMYK"), "cmyk.jpg", quality=90)
    for orientation in (3, 6, 8):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(picture(60, 40, s + 7), f"exif{orientation}.jpg", quality=92, exif=exif, subsampling=0)
    # WebP
    save(picture(64, 49, s + 5), "lossy.webp", quality=75, method=4)
    save(picture(33, 71, s + 6), "lossless.webp", lossless=True)
    veiled = picture(40, 44, s + 15).convert("RGBA")
    veiled.putalpha(100)
    save(veiled, "alpha.webp", lossless=True)
    soft = picture(38, 52, s + 20).convert("RGBA")
    soft.putalpha(Image.fromarray((np.mgrid[:52, :38][1] * 255 / 37).astype(np.uint8)))
    save(soft, "alpha_lossy.webp", quality=80)
    frames = [picture(36, 30, s + n) for n in (21, 22, 23)]
    save(frames[0], "animated.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    make_other_formats(save, write, s)
    return names


def make_other_formats(save, write, s):
    """A JPEG with restart markers; GIF, BMP, AVIF, TIFF and HEIC."""
    pillow_heif.register_heif_opener()
    c = image_files.Corpus(s)
    veiled = picture(36, 28, s + 24).convert("RGBA")
    veiled.putalpha(Image.fromarray((np.mgrid[:28, :36][1] * 255 / 35).astype(np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = 6
    save(picture(43, 29, s + 35), "restart.jpg", quality=85, restart_marker_blocks=3)
    frames = [picture(34, 26, s + n).quantize(60) for n in (25, 26)]
    save(frames[0], "animated.gif", save_all=True, append_images=frames[1:], duration=100)
    parts = image_files.gif.gif(c, (29, 21), 4, frame=(3, 2, 22, 17), palette="local", interlaced=True, transparent=5)
    write(b"".join(parts), "interlaced.gif")
    save(picture(37, 25, s + 27), "rgb.bmp")
    save(picture(31, 18, s + 28).quantize(200), "palette.bmp")
    write(image_files.bmp.bmp(c, (33, 17), 32, 108, 3, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000)), "alpha.bmp")
    write(image_files.bmp.bmp(c, (33, 17), 4, compression=2, rows=image_files.bmp.run_lengths(c, (33, 17), True)), "rle.bmp")
    save(picture(47, 33, s + 29), "lossy.avif", quality=80, speed=9)
    save(veiled, "alpha.avif", quality=90, speed=9)
    save(picture(40, 23, s + 30), "turned.avif", exif=exif, quality=90, speed=9)
    save(picture(39, 27, s + 31), "lzw.tif", compression="tiff_lzw")
    save(picture(39, 27, s + 32).convert("CMYK"), "cmyk.tif", compression="packbits")
    write(image_files.tiff.tiff(c, (33, 19), 2, 8, 4, ">", (1,), tile=(16, 16), compression=8, orientation=8), "tiles.tif")
    save(picture(64, 48, s + 33), "lossy.heic", quality=80)
    save(veiled, "alpha.heic", quality=90)
    save(picture(48, 32, s + 34), "turned.heic", quality=90, exif=exif.tobytes())


def _noise(shape, seed):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint16)


def _png(pixels, depth, colour, interlaced=False) -> bytes:
    """Writes a PNG that Pillow cannot write: 16 bits a channel, or Adam7."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def rows(part):
        part = part.astype(">u2" if depth == 16 else np.uint8)
        return b"".join(b"\0" + r.tobytes() for r in part)

    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [pixels[y::dy, x::dx] for y, x, dy, dx in passes] if interlaced else [pixels]
    body = b"".join(rows(p) for p in parts if p.size)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, colour, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


# Source and target sizes (width, height) for the tests of the resize alone.
RESIZES = [((131, 77), (112, 112)), ((40, 230), (56, 56)), ((100, 170), (56, 56)), ((230, 40), (56, 56)),
           ((20, 13), (56, 56)), ((1, 1), (28, 28)), ((56, 56), (56, 56)), ((56, 90), (56, 56)),
           ((90, 56), (56, 56)), ((3, 200), (70, 70)), ((60, 61), (112, 112)), ((150, 113), (84, 84))]


def make_bilinear_resizes(sources) -> dict:
    """{name/bilinear, name/antialiased}: big_vision's resizes of `make_resizes`'s sources, and of one in one colour.

    In the latter, sums of weights that are not quite 1 show, since big_vision cuts off what is behind the point."""
    out = {"flat_61x47_28x28/source": np.full((47, 61, 3), (255, 77, 3), np.uint8)}
    for name, image in [(k.removesuffix("/source"), v) for k, v in [*sources.items(), *out.items()] if k.endswith("/source")]:
        width, height = map(int, name.split("_")[-1].split("x"))
        out[f"{name}/bilinear"] = resize_bilinear(image, width, height)
        out[f"{name}/antialiased"] = resize_antialiased(image, width, height)
    return out


def make_resizes(seed) -> dict:
    """{name/source, name/target}: arrays by Pillow's bicubic. Names begin with `vertical` if that pass is first."""
    out = {}
    for i, ((w, h), (tw, th)) in enumerate(RESIZES):
        rng = np.random.default_rng(seed * 1000 + i)
        image = picture(w, h, seed * 1000 + i) if min(w, h) > 8 else Image.fromarray(
            rng.integers(0, 256, (h, w, 3)).astype(np.uint8))
        first = "vertical" if h > th and h - th > 2 * (w - tw) else "horizontal"
        name = f"{first}_{w}x{h}_{tw}x{th}"
        out[f"{name}/source"] = np.asarray(image)
        out[f"{name}/target"] = np.asarray(image.resize((tw, th), Image.BICUBIC))
    return out
