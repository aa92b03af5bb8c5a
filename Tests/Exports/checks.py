"""Exports, and what readers said of them."""
import contextlib
import io
import os
import subprocess

import numpy as np
from PIL import Image, ImageOps
from pycocotools import mask as masks

import pictures as drawn

OBJECTS = [("objaverse:1", [("mug", 0.625), ('a "cup"; blue', 0.375)]), ("o;2", [("🐈", 1.0)])]
ORIENTATIONS = ("upright", "stored")


class Checks:
    """Exports, and what readers said of them, counted by reader."""

    def __init__(self, glossctl, folder, conninfo, pictures):
        self.glossctl, self.folder, self.conninfo = glossctl, folder, conninfo
        self.pictures = {os.path.basename(picture.path): picture for picture in pictures}
        self.counts, self.failures, self.skipped = {}, [], []

    def export(self, name, *words):
        """The folder of a new export."""
        place = f"{self.folder}/{name}"
        command = [self.glossctl, "export", *words, "--verify", "--output", place, "--database", self.conninfo]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
        return place

    def images(self):
        return ["--images", "copy", "--allow-files", f"{self.folder}/pictures"]

    def equal(self, reader, what, found, expected):
        self.counts[reader] = self.counts.get(reader, 0) + 1
        if found != expected:
            self.failures.append(f"{reader}: {what}: {found!r} in place of {expected!r}")

    def near(self, reader, what, found, expected, tolerance):
        found, expected = np.asarray(found, float), np.asarray(expected, float)
        isNear = found.shape == expected.shape and np.allclose(found, expected, rtol=0, atol=tolerance)
        self.equal(reader, f"{what} ({found.tolist()} and {expected.tolist()})", isNear, True)

    def things(self, reader, picture, orientation, found, tolerance=0.0051, scores=True, has_masks=True, labels=drawn.LABELS):
        """found: (label, box, score, mask), as `expected`; masks may be None."""
        expected = [thing for thing in picture.expected(orientation)[1] if thing[0] in labels]
        key = lambda thing: (thing[0], np.round(thing[1], 0).tolist())  # noqa: E731
        found, expected = sorted(found, key=key), sorted(expected, key=key)
        self.equal(reader, f"{picture.name}: labels", [x[0] for x in found], [x[0] for x in expected])
        for one, other in zip(found, expected):
            self.near(reader, f"{picture.name}: box", one[1], other[1], tolerance)
            if scores:
                self.near(reader, f"{picture.name}: score", one[2], other[2], 1e-6)
            if has_masks and (other[3] is not None or one[3] is not None):
                self.equal(reader, f"{picture.name}: mask", one[3] is not None and np.array_equal(one[3], other[3]), True)

    def colours(self, reader, picture, orientation, image, boxes):
        """Whether the things are where the boxes are, in a picture as the reader shows it."""
        pixels = np.asarray(image.convert("RGB")).astype(int)
        for number, (x, y, width, height) in enumerate(boxes):
            middle = pixels[int(y + height / 2), int(x + width / 2)]
            isAny = any(abs(middle - np.array(picture.colour(n))).max() < 60 for n in range(len(picture.things)))
            self.equal(reader, f"{picture.name}: the colour in box {number}", isAny, True)
        size, _ = picture.expected(orientation)
        self.equal(reader, f"{picture.name}: size", image.size, tuple(size))

    def by_digest(self, row):
        """The picture that a row is about."""
        return next(p for p in self.pictures.values() if p.sha256 == row["sha256"])

    def rows(self, reader, rows, orientation, parts):
        """Rows of Hugging Face's formats. parts: an image and the fields of a row."""
        self.equal(reader, "rows", len(rows), len(self.pictures))
        for row in rows:
            image, row = parts(row)
            picture = self.by_digest(row)
            objects = row["objects"]
            decoded = [masks.decode({"size": [row["height"], row["width"]], "counts": c}) if c else None for c in objects["masks"]]
            self.things(reader, picture, orientation, list(zip(objects["categories"], objects["bbox"], objects["scores"], decoded)))
            self.equal(reader, "text", row["text"], picture.caption or "")
            self.equal(reader, "size", (row["width"], row["height"]), tuple(picture.expected(orientation)[0]))
            # The library turns pictures upright itself.
            if orientation == "upright":
                self.colours(reader, picture, orientation, image, objects["bbox"])

    def skip(self, reader, why):
        self.skipped.append(f"{reader}: {why}")


@contextlib.contextmanager
def quiet():
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def opened(path, orientation):
    """A picture as browsers show it, or as its file has it."""
    image = Image.open(path)
    return ImageOps.exif_transpose(image) if orientation == "upright" else image
