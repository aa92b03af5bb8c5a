"""Pillow's bicubic and TensorFlow's bilinear resize and its boxes, bit for bit, SigLIP's normalisation, and masks in images."""
import numpy as np
from PIL import Image

BITS = 22  # fixed-point bits of a filter weight


def _bicubic(x, a=-0.5):
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    if x < 2:
        return (((x - 5) * x + 8) * x - 4) * a
    return 0.0


def filter_weights(source, target):
    """For each output sample, the index of its first input sample and the fixed-point weights from that sample on."""
    scale = source / target
    stretch = max(scale, 1.0)
    out = []
    for o in range(target):
        centre = (o + 0.5) * scale
        first = max(int(centre - 2 * stretch + 0.5), 0)
        last = min(int(centre + 2 * stretch + 0.5), source)
        weights = [_bicubic((i + first - centre + 0.5) * (1 / stretch)) for i in range(last - first)]
        total = 0.0
        for w in weights:
            total += w
        fixed = [w / total * (1 << BITS) for w in weights]
        out.append((first, np.array([int(w - 0.5) if w < 0 else int(w + 0.5) for w in fixed], np.int64)))
    return out


def _resize_width(image, target):
    out = np.empty((image.shape[0], target, image.shape[2]), np.uint8)
    wide = image.astype(np.int64)
    for o, (first, weights) in enumerate(filter_weights(image.shape[1], target)):
        total = np.tensordot(wide[:, first:first + len(weights)], weights, axes=([1], [0]))
        out[:, o] = np.clip((total + (1 << (BITS - 1))) >> BITS, 0, 255)
    return out


def resize(image, width, height):
    """u8 (h, w, 3) -> (height, width, 3), as Pillow 13 does it: two passes with u8 between them.

    A side that has its size already needs no pass. The vertical pass comes first if the height shrinks by more pixels
    than twice those that the width shrinks by. A width that grows shrinks by a negative number."""
    def horizontal(a):
        return a if a.shape[1] == width else _resize_width(a, width)

    def vertical(a):
        return a if a.shape[0] == height else _resize_width(a.transpose(1, 0, 2), height).transpose(1, 0, 2)

    lower, narrower = image.shape[0] - height, image.shape[1] - width
    vertical_first = lower > 0 and lower > 2 * narrower
    out = horizontal(vertical(image)) if vertical_first else vertical(horizontal(image))
    return np.ascontiguousarray(out)


def resize_bilinear(image, width, height):
    """u8 (h, w, 3) -> (height, width, 3), as big_vision does it: tf.image.resize, bilinear, cast to u8."""
    def axis(source, target):
        position = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * np.float32(source / np.float32(target)) - np.float32(0.5)
        floor = np.floor(position)
        low, high = np.maximum(floor, 0).astype(int), np.minimum(np.ceil(position), source - 1).astype(int)
        return low, high, position - floor

    (top, bottom, down), (left, right, across) = axis(image.shape[0], height), axis(image.shape[1], width)
    a, down, across = image.astype(np.float32), down[:, None, None], across[None, :, None]
    upper = a[top][:, left] + (a[top][:, right] - a[top][:, left]) * across
    lower = a[bottom][:, left] + (a[bottom][:, right] - a[bottom][:, left]) * across
    return np.clip(upper + (lower - upper) * down, 0, 255).astype(np.uint8)


def triangle_spans(source, target):
    """For each output sample, the index of its first input sample and the f32 weights from that sample on."""
    f = np.float32
    step = f(1 / float(f(target) / f(source)))
    radius = max(step, f(1))
    inverse = f(1) / radius
    out = []
    for o in range(target):
        sample = (f(o) + f(0.5)) * step
        first = min(max(int(np.ceil(sample - radius - f(0.5))), 0), source - 1)
        last = min(max(int(np.floor(sample + radius - f(0.5))), 0), source - 1) + 1
        weights = [max(f(0), f(1) - abs((f(i) + f(0.5) - sample) * inverse)) for i in range(first, last)]
        total = f(0)
        for w in weights:
            total += w
        whole = total >= 1000 * np.finfo(np.float32).tiny
        out.append((first, [w * (f(1) / total) if whole else f(0) for w in weights]))
    return out


def resize_antialiased(image, width, height):
    """The same with antialias=True: rows of the target are summed first, then columns, each in order and in f32."""
    def gather(a, spans):
        out = np.zeros((len(spans), *a.shape[1:]), np.float32)
        for o, (first, weights) in enumerate(spans):
            for i, w in enumerate(weights):
                out[o] += a[first + i] * w
        return out

    rows = gather(image.astype(np.float32), triangle_spans(image.shape[0], height))
    whole = gather(rows.transpose(1, 0, 2), triangle_spans(image.shape[1], width)).transpose(1, 0, 2)
    return np.ascontiguousarray(np.clip(whole, 0, 255).astype(np.uint8))


def draw_box(image, box):
    """u8 (h, w, 3) and y1, x1, y2, x2 -> the same with a red outline, as big_vision's draw_bbox: tf.image.draw_bounding_boxes."""
    height, width = image.shape[:2]
    edges = np.float32(box) * np.float32([height - 1, width - 1] * 2)
    top, left, bottom, right = (int(edge) for edge in edges)  # towards zero
    out = image.copy()
    if top > bottom or left > right:
        return out
    for y in range(height):
        for x in range(width):
            if top <= y <= bottom and left <= x <= right and (y in (top, bottom) or x in (left, right)):
                out[y, x] = 255, 0, 0
    return out


def paste(mask, box, height, width):
    """A mask f32 (64, 64) in its box, y1, x1, y2, x2 in fractions -> bool (height, width); None: the box has no pixel.

    big_vision's evaluator: edges cut off to whole pixels, Pillow's bilinear on floats, above 0 is inside."""
    y1, x1, y2, x2 = (int(edge * side) for edge, side in zip(box, (height, width, height, width)))
    if y2 <= y1 or x2 <= x1:
        return None
    pixels = np.zeros((height, width), bool)
    pixels[y1:y2, x1:x2] = np.asarray(Image.fromarray(mask).resize((x2 - x1, y2 - y1), Image.BILINEAR)) > 0
    return pixels


def pixel_values(resized):
    """u8 (S, S, 3) -> f32 (3, S, S) in -1…1, rounded as Hugging Face's rescale and normalise round."""
    table = ((np.arange(256) * (1 / 255)).astype(np.float32) - np.float32(0.5)) / np.float32(0.5)
    return table[resized].transpose(2, 0, 1)
