"""Compare pixels.py's bilinear resizes and boxes with TensorFlow's, which big_vision uses: every bit must be equal.

    python -m venv venv-tf && venv-tf/bin/pip install tensorflow-cpu==2.21.0
    venv-tf/bin/python reference/check_resize.py
"""
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

from pixels import draw_box, resize_antialiased, resize_bilinear

SIZES = [((61, 47), 28), ((300, 200), 224), ((20, 31), 56), ((1000, 70), 224), ((57, 224), 224), ((224, 224), 224),
         ((500, 400), 448), ((3, 5), 42), ((1, 1), 28), ((333, 777), 42)]


def pictures(rng, height, width):
    yield "noise", rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    yield "one colour", np.full((height, width, 3), (255, 77, 3), np.uint8)
    ramp = np.add.outer(np.arange(height), np.arange(width))[..., None] * np.array([1, 2, 3])
    yield "ramp", (ramp % 256).astype(np.uint8)


def boxes(rng):
    yield from [(0, 0, 1, 1), (0.25, 0.25, 0.75, 0.75), (0.5, 0.1, 0.5, 0.9), (0.3, 0.3, 0.3, 0.3), (-0.2, 0.1, 0.5, 1.4),
                (0.6, 0.1, 0.4, 0.9), (1.2, 0, 1.5, 1), (-2, -2, 3, 3), (-0.001, 0.2, 1.001, 0.8)]
    yield from rng.uniform(-0.2, 1.2, (100, 4))
    yield from np.sort(rng.uniform(0, 1, (200, 2, 2)), axis=1).reshape(200, 4)


def check_boxes(rng):
    count, bad = 0, 0
    for side in (3, 14, 28, 224, 448):
        image = rng.integers(0, 256, (side, side, 3)).astype(np.uint8)
        for box in boxes(rng):
            theirs = tf.image.draw_bounding_boxes(image[None].astype(np.float32), np.float32(box).reshape(1, 1, 4),
                                                  np.float32([[255, 0, 0]]))[0].numpy()
            count += 1
            if (draw_box(image, box) != theirs).any():
                bad += 1
                print(f"the box {box} differs in {side} x {side}")
    return count, bad


def main():
    rng, count, bad = np.random.default_rng(1), 0, 0
    for (height, width), side in SIZES:
        for kind, image in pictures(rng, height, width):
            for name, ours, antialias in (("bilinear", resize_bilinear, False), ("antialiased", resize_antialiased, True)):
                theirs = tf.image.resize(image, (side, side), method="bilinear", antialias=antialias).numpy()
                differing = (ours(image, side, side) != np.clip(theirs, 0, 255).astype(np.uint8)).sum()
                count += 1
                if differing:
                    bad += 1
                    print(f"{height} x {width} to {side}, {kind}, {name}: {differing} bytes differ")
    drawn, different = check_boxes(rng)
    print(f"check-resize: {count} images, {bad} differ; {drawn} boxes, {different} differ")
    sys.exit(1 if bad or different else 0)


if __name__ == "__main__":
    main()
