"""YOLO: boxes and outlines."""
import os

import numpy as np

from checks import ORIENTATIONS


def read(checks):
    try:
        from ultralytics.data.utils import verify_image_label
    except ImportError as problem:
        return checks.skip("ultralytics", problem)
    import yaml
    for orientation in ORIENTATIONS:
        for kind in ("boxes", "segments"):
            words = ["--segments"] if kind == "segments" else []
            place = checks.export(f"yolo-{kind}-{orientation}", "yolo", "--orientation", orientation, "--conf", *words, *checks.images())
            names = yaml.safe_load(open(f"{place}/data.yaml"))["names"]
            listed = [line.strip() for line in open(f"{place}/train.txt")]
            checks.equal("ultralytics", "images", len(listed), len(checks.pictures))
            for line in listed:
                name = os.path.basename(line)
                picture, stem = checks.pictures[name], name.rsplit(".", 1)[0]
                answer = verify_image_label((f"{place}/{line}", f"{place}/labels/train/{stem}.txt", "", False, len(names), 0, 0, False))
                checks.equal("ultralytics", f"{name}: {answer[-1]}", (answer[-1], answer[5], answer[8]), ("", 0, 0))
                labels, segments = answer[1], answer[3]
                (width, height), expected = picture.expected(orientation)
                scores = [float(x.split()[-1]) for x in open(f"{place}/predictions/train/{stem}.txt")]
                found = []
                for number, row in enumerate(labels):
                    x, y, w, h = row[1:] * (width, height, width, height)
                    found.append((names[int(row[0])], [x - w / 2, y - h / 2, w, h], scores[number], None))
                if kind == "boxes":
                    checks.things("ultralytics", picture, orientation, found, tolerance=0.02, has_masks=False)
                    continue
                for number, (label, box, score, mask) in enumerate(expected):
                    full = np.zeros((height, width), np.uint8)
                    if mask is None:
                        full[int(box[1]):int(box[1] + box[3]), int(box[0]):int(box[0] + box[2])] = 1
                    else:
                        full = filled(mask)
                    x, y = (segments[number].astype(float) * (width, height)).T
                    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
                    checks.near("ultralytics", f"{name}: the outline's area", area, full.sum(), 0.02 * len(x))
                    rows, columns = np.nonzero(full.any(1))[0], np.nonzero(full.any(0))[0]
                    checks.near("ultralytics", f"{name}: the outline's edges", [x.min(), y.min(), x.max(), y.max()],
                                [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], 0.01)


def filled(mask):
    """A mask without its holes."""
    from scipy import ndimage
    return ndimage.binary_fill_holes(mask, np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) > 0).astype(np.uint8)
