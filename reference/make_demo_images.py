"""Write demo/images and demo/manifest.json: scenes, and objects seen from several sides, that training has not used.

    python reference/make_demo_images.py [--out demo]

Every run with the same Pillow writes the same bytes. The images are larger than the model's input, mostly not square,
and in all three formats. So they need every step that a photograph needs: fetch, decode, resize.
"""
import argparse
import json
import os
import shutil

import numpy as np

from shapes.geometry import SOLIDS
from shapes.render import FLAT, draw, sample_scene, silhouette
from shapes.tasks import describe, questions

SEED = 30_000_000
VIEWS = 8
# (object count, name of the shape), or with several objects (object count, whether they are solids)
SCENES = ([(1, name) for name in SOLIDS + FLAT] + [(1, name) for name in ("cube", "torus")]
          + [(2, False)] * 4 + [(2, True)] * 3 + [(3, False)] * 4 + [(3, True)])
OBJECTS = [("cube", "red"), ("torus", "blue"), ("cone", "yellow"), ("pyramid", "green"),
           ("cylinder", "purple"), ("sphere", "orange"), ("pyramid", "cyan"), ("cube", "pink")]
FORMATS = [("jpg", dict(quality=88)), ("png", dict(optimize=True)), ("webp", dict(quality=86, method=6))]


def wanted_scene(rng, count, what):
    """Draws random scenes until one has the requested shape."""
    while True:
        scene = sample_scene(rng, count, what in SOLIDS if count == 1 else what)
        if count > 1 or scene.items[0].name == what:
            return scene


def save(image, path, kind):
    """Saves the image in one of FORMATS under `path` with its suffix, and returns the file's name."""
    suffix, how = FORMATS[kind % len(FORMATS)]
    image.save(f"{path}.{suffix}", **how)
    return f"{path}.{suffix}"


def write_scenes(out):
    entries = []
    for i, (count, what) in enumerate(SCENES):
        rng = np.random.default_rng(SEED + i)
        scene = wanted_scene(rng, count, what)
        image = draw(scene, int(rng.integers(224, 540)), 2, segments=48)
        path = save(image, f"{out}/images/scene-{i:02d}", i)
        objects = describe(scene.items)
        asked = [dict(task=t, prompt=p, answer=a) for t, p, a in questions(objects, rng, plain=True)]
        masks = [silhouette(item, image.height, image.width) for item in scene.items]
        entries.append(dict(file=os.path.relpath(path, out), width=image.width, height=image.height,
                            objects=[dict(_entry(o), mask=run_lengths(m)) for o, m in zip(objects, masks, strict=True)],
                            questions=asked))
    return entries


def run_lengths(mask):
    """A mask in the characters of pycocotools: runs down the columns, the first one outside, from the fourth on as the
    difference from the run before the last; groups of five bits, the lowest first, and a sixth where more follow."""
    flat = np.concatenate([[False], mask.T.reshape(-1)])
    edges = [*np.flatnonzero(flat[1:] != flat[:-1]), mask.size]
    runs = np.diff([0, *edges]).tolist()
    text = ""
    for i, run in enumerate(runs):
        rest = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            group = rest & 31
            rest >>= 5
            more = rest != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
    return text


def _entry(o):
    return dict(name=o["name"], colour=o["colour"], box=[round(v, 4) for v in o["box"]])


def write_objects(out):
    """Each object turns in equal steps about the vertical while the camera rises, so that no two views are equal,
    even of a symmetric object. Light and background stay."""
    entries = []
    for i, (name, colour) in enumerate(OBJECTS):
        rng = np.random.default_rng(SEED + 1000 + i)
        while True:
            scene = sample_scene(rng, 1, True, aspect=float(np.exp(rng.uniform(-0.25, 0.25))))
            item = scene.items[0]
            if item.name == name and item.colour == colour:
                break
        size, start, pitch = int(rng.integers(224, 300)), rng.uniform(0, 2 * np.pi), rng.uniform(0.38, 0.48)
        item.x, item.y, item.radius, item.roll = scene.width / 2, scene.height / 2, rng.uniform(0.28, 0.36), 0.0
        folder = f"{out}/images/objects/obj-{i}"
        os.makedirs(folder)
        views = []
        for v in range(VIEWS):
            item.yaw = start + 2 * np.pi * v / VIEWS
            item.pitch = pitch + 0.05 * v
            path = save(draw(scene, size, 2, segments=48), f"{folder}/view-{v}", i)
            views.append(dict(file=os.path.relpath(path, out), objects=[_entry(o) for o in describe(scene.items)]))
        entries.append(dict(folder=os.path.relpath(folder, out), name=name, colour=colour, views=views))
    return entries


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(os.path.dirname(__file__), "..", "demo"))
    out = os.path.normpath(parser.parse_args().out)
    shutil.rmtree(f"{out}/images", ignore_errors=True)
    os.makedirs(f"{out}/images/objects")
    manifest = dict(scenes=write_scenes(out), objects=write_objects(out))
    with open(f"{out}/manifest.json", "w") as f:
        json.dump(manifest, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
