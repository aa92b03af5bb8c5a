"""COCO's twelve numbers by `glossctl evaluate coco` and by pycocotools, on small cases drawn by chance: crowds, ignored things,
equal scores, equal overlaps, overlaps that equal a threshold, areas at the edge of a range, categories without anything,
images without anything, more than 100 detections, polygons and masks.

    python check_coco.py [--glossctl ../.build/release/glossctl] [--cases 1200] [--seed 1]
    python check_coco.py --write ../Tests/Fixtures/coco.jsonl    # the cases of the tests, with pycocotools' numbers

Needs numpy and pycocotools. Prints the largest difference; more than 1e-12 is a failure, and the case is kept.
"""
import argparse
import collections
import contextlib
import copy
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

LIMIT = 1e-12
# Of seed 1: small ones with crowds, both kinds.
FIXTURES = [18, 36, 104, 115, 197, 219]


def box(rng, width, height, grid):
    """[x, y, w, h] in an image, on a grid or anywhere."""
    x, y = rng.uniform(0, width * 0.8), rng.uniform(0, height * 0.8)
    w, h = rng.uniform(1, width - x), rng.uniform(1, height - y)
    if rng.random() < 0.3:  # around a range's edge
        w = h = float(rng.choice([32, 96]))
    values = [x, y, w, h]
    return [max(1.0, round(v / grid) * grid) if grid else float(round(v, int(rng.integers(0, 4)))) for v in values]


def polygon(rng, b):
    """Corners around a box, some of them beyond the image."""
    x, y, w, h = b
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
    points = np.stack([x + w / 2 + np.cos(angles) * w * rng.uniform(0.3, 0.7), y + h / 2 + np.sin(angles) * h * rng.uniform(0.3, 0.7)], 1)
    if rng.random() < 0.2:
        points = np.repeat(points, 2, axis=0)  # the same corner twice
    return [float(round(v, 2)) for v in points.reshape(-1)]


def pixels(rng, b, width, height):
    """A mask within a box: all of it, an ellipse, or with holes."""
    x, y, w, h = b
    mask = np.zeros((height, width), np.uint8)
    ys, xs = np.mgrid[:height, :width]
    inside = (xs >= x) & (xs < x + w) & (ys >= y) & (ys < y + h)
    kind = rng.integers(3)
    if kind == 1:
        inside &= ((xs - x - w / 2) / (w / 2)) ** 2 + ((ys - y - h / 2) / (h / 2)) ** 2 <= 1
    if kind == 2:
        inside &= rng.random((height, width)) < 0.7
    mask[inside] = 1
    return mask


def rle(mask):
    code = masks.encode(np.asfortranarray(mask))
    return dict(size=[int(v) for v in code["size"]], counts=code["counts"].decode())


def uncompressed(mask):
    flat, counts, value = mask.flatten(order="F"), [], 0
    at = 0
    while at < len(flat):
        end = at
        while end < len(flat) and flat[end] == value:
            end += 1
        counts.append(end - at)
        at, value = end, 1 - value
    return dict(size=list(mask.shape), counts=counts)


def shift(rng, b, grid):
    """A box near another one."""
    if rng.random() < 0.3:
        return list(b)
    out = list(b)
    for i in range(4):
        out[i] += float(rng.integers(-2, 3) * grid if grid else rng.normal() * b[2 + i % 2] * 0.1)
    return out[:2] + [max(1.0, out[2]), max(1.0, out[3])]


def scores(rng):
    kind = rng.integers(3)
    if kind == 0:
        return lambda: float(rng.integers(1, 5)) / 4
    return (lambda: float(np.float32(rng.random()))) if kind == 1 else (lambda: 1.0)


def case(rng, is_mask):
    """(ground truth, results) as COCO writes them."""
    grid = float(rng.choice([0, 0, 1, 5, 10]))
    categories = [int(v) for v in rng.choice(np.arange(1, 91), int(rng.integers(1, 5)), replace=False)]
    used = categories[:max(1, len(categories) - int(rng.integers(0, 2)))]
    images, annotations, results = [], [], []
    score = scores(rng)
    next_id = 0 if rng.random() < 0.1 else 1
    for number in rng.choice(np.arange(1, 1000), int(rng.integers(1, 5)), replace=False):
        size = int(rng.integers(20, 90)) if is_mask else int(rng.integers(20, 400))
        width, height = size, int(size * rng.uniform(0.5, 2))
        image = dict(id=int(number), file_name=f"{number}.jpg", width=width, height=height)
        images.append(image)
        truths = []
        for _ in range(int(rng.integers(0, 7))):
            b = box(rng, width, height, grid)
            a = dict(id=next_id, image_id=image["id"], category_id=int(rng.choice(used)), bbox=b,
                     iscrowd=int(rng.random() < 0.2), area=b[2] * b[3])
            next_id += 1
            if is_mask:
                kind = rng.integers(4)
                if kind == 0:
                    a["segmentation"] = [polygon(rng, b) for _ in range(int(rng.integers(1, 4)))]
                    a["iscrowd"] = 0
                    merged = masks.merge(masks.frPyObjects(copy.deepcopy(a["segmentation"]), height, width))
                    a["area"] = float(masks.area(merged))
                else:
                    m = pixels(rng, b, width, height)
                    a["segmentation"] = uncompressed(m) if kind == 1 else rle(m)
                    a["area"] = float(m.sum())
            kind = rng.integers(6)
            if kind == 0:
                a["area"] = float(rng.choice([1024, 9216, 1023.5, 9216.5, 1e10]))
            if kind == 1:
                a["area"] *= float(rng.uniform(0.2, 1))
            if rng.random() < 0.1:
                a["ignore"] = 1
            truths.append((a["category_id"], b))
            annotations.append(a)
        many = rng.random() < 0.04
        for _ in range(int(rng.integers(100, 130)) if many else int(rng.integers(0, 12))):
            if truths and rng.random() < 0.7:
                category, b = truths[int(rng.integers(len(truths)))]
                b = shift(rng, b, grid)
            else:
                category, b = int(rng.choice(categories)), box(rng, width, height, grid)
            if many:
                category = used[0]
            if rng.random() < 0.1:
                category = int(rng.choice(categories))
            found = dict(image_id=image["id"], category_id=int(category), score=score())
            if is_mask:
                m = pixels(rng, b, width, height)
                found["segmentation"] = rle(m)
            else:
                found["bbox"] = b
            results.append(found)
    order = rng.permutation(len(results))
    truth = dict(images=[images[i] for i in rng.permutation(len(images))],
                 annotations=[annotations[i] for i in rng.permutation(len(annotations))],
                 categories=[dict(id=c, name=f"thing {c}") for c in categories])
    return truth, [results[i] for i in order]


def official(truth, results, is_mask):
    """pycocotools' twelve numbers."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), "segm" if is_mask else "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(v) for v in evaluation.stats]


def ours(glossctl, folder, is_mask):
    line = [glossctl, "evaluate", "coco-masks" if is_mask else "coco-boxes", "--gt", f"{folder}/gt.json", "--results",
            f"{folder}/results.json", "--bootstrap", "0", "--json"]
    run = subprocess.run(line, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"check-coco: {' '.join(line)}: {run.stderr}")
    return [-1.0 if f["value"] is None else f["value"] for f in json.loads(run.stdout)["figures"][:12]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    parser.add_argument("--glossctl", default=f"{root}/.build/release/glossctl")
    parser.add_argument("--cases", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write")
    args = parser.parse_args()
    if args.write:
        with open(args.write, "w") as f:
            for number in FIXTURES:
                truth, results = case(np.random.default_rng([1, number]), number % 2 == 1)
                f.write(json.dumps(dict(masks=number % 2 == 1, gt=truth, results=results,
                                        stats=official(truth, results, number % 2 == 1))) + "\n")
        return
    worst, count, seen = 0.0, collections.Counter(), collections.Counter()
    folder = tempfile.mkdtemp()
    for number in range(args.cases):
        is_mask = number % 2 == 1
        truth, results = case(np.random.default_rng([args.seed, number]), is_mask)
        if not results:
            continue  # pycocotools cannot load no results
        for name, value in (("gt", truth), ("results", results)):
            with open(f"{folder}/{name}.json", "w") as f:
                json.dump(value, f)
        wanted, got = official(truth, results, is_mask), ours(args.glossctl, folder, is_mask)
        difference = max(abs(a - b) for a, b in zip(wanted, got, strict=True))
        worst = max(worst, difference)
        count["masks" if is_mask else "boxes"] += 1
        seen["a crowd"] += any(a["iscrowd"] for a in truth["annotations"])
        seen["the id 0"] += any(a["id"] == 0 for a in truth["annotations"])
        seen["100 and more"] += len(results) > 100
        seen["nothing to find"] += not truth["annotations"]
        if not difference <= LIMIT:
            sys.exit(f"check-coco: case {number} of seed {args.seed} differs by {difference}: pycocotools has {wanted}, "
                     f"gloss {got}; it is in {folder}")
    shutil.rmtree(folder)
    print(f"cases with {', '.join(f'{name}: {n}' for name, n in seen.items())}")
    print(f"check-coco: {count['boxes']} cases of boxes and {count['masks']} of masks, largest difference {worst:.1e}")


if __name__ == "__main__":
    main()
