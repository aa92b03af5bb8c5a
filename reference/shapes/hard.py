"""Scenes in which things are hard to find: blurred, noisy, pale, partly covered, or not there at all."""
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .render import SHAPES, draw, sample_scene
from .tasks import describe

SEED = 40_000_000  # beyond all seeds of training, its checks and the demo
ABSENT_SHARE = 0.15  # of the things that are asked for


def hard_scene(seed, side=112, absent_share=ABSENT_SHARE, rounds=1):
    """(image, prompt, things, kinds): a scene, what is asked, what there is of it as `describe` has it, and what makes
    it hard.

    One thing is asked for, or two where the scene has several. What is absent is one of the other shapes. `rounds`: how
    often it is damaged."""
    rng = np.random.default_rng(seed)
    scene = sample_scene(rng)
    image = draw(scene, int(rng.integers(side, 3 * side)))
    objects = describe(scene.items)
    kinds = []
    for _ in range(rounds):
        image, more = _spoilt(image, objects, rng)
        kinds += [kind for kind in more if kind not in kinds]
    there = [o["name"] for o in objects]
    absent = [s for s in SHAPES if s not in there]
    count = 1 + int(len(objects) > 1 and rng.random() < 0.5)
    names = []
    for name in rng.permutation(there)[:count]:
        names.append(str(absent[int(rng.integers(len(absent)))] if rng.random() < absent_share else name))
    names = list(dict.fromkeys(names))
    return image, "detect " + " ; ".join(names), [o for o in objects if o["name"] in names], kinds


def spoilt(image, objects, rng):
    """The image of a drawn scene, made hard. The boxes of its objects stay what they are."""
    return _spoilt(image, objects, rng)[0]


def _spoilt(image, objects, rng):
    kinds = []
    for kind, damage in (("covered", _covered), ("pale", _pale), ("blurred", _blurred), ("noisy", _noisy)):
        damaged = damage(image, objects, rng)
        if damaged is not image:
            image = damaged
            kinds.append(kind)
    return image, kinds


def _covered(image, objects, rng):
    """A third of the objects have a patch before them that hides 20 to 67 % of their box, from one side."""
    w, h = image.size
    for o in objects:
        if rng.random() >= 0.33:
            continue
        y1, x1, y2, x2 = o["box"][0] * h, o["box"][1] * w, o["box"][2] * h, o["box"][3] * w
        gap = 1 - rng.uniform(0.2, 0.67)
        colour = tuple(int(v) for v in rng.uniform(20, 240, 3))
        across, down = gap * (x2 - x1) + 3, gap * (y2 - y1) + 3
        cut = [(0, 0, -across, 0), (across, 0, 0, 0), (0, 0, 0, -down), (0, down, 0, 0)][int(rng.integers(4))]
        image = image.copy()
        ImageDraw.Draw(image).rectangle((np.array([x1 - 3, y1 - 3, x2 + 3, y2 + 3]) + cut).tolist(), fill=colour)
    return image


def _pale(image, _, rng):
    """Half of the images lose up to 85 % of their contrast."""
    if rng.random() < 0.5:
        return image
    grey = Image.new("RGB", image.size, tuple(int(v) for v in np.asarray(image).mean((0, 1))))
    return Image.blend(image, grey, rng.uniform(0.2, 0.85))


def _blurred(image, _, rng):
    """Half are blurred, by up to 6 % of a side."""
    if rng.random() < 0.5:
        return image
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.01, 0.06) * min(image.size)))


def _noisy(image, _, rng):
    """Half have noise, of a standard deviation of up to 60 of 255, in grains of 1 to 4 pixels."""
    if rng.random() < 0.5:
        return image
    w, h = image.size
    grain, deviation = int(rng.integers(1, 5)), rng.uniform(5, 60)
    noise = rng.normal(0, deviation, (-(-h // grain), -(-w // grain), 3))
    noise = noise.repeat(grain, 0).repeat(grain, 1)[:h, :w]
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
