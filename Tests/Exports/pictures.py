"""Pictures with things in them whose places are known, and their results in a queue."""
import hashlib
import json
import os
import random
from urllib.parse import quote

import numpy as np
from PIL import Image
from pycocotools import mask as masks

# What every format has to escape, or takes for something else.
LABELS = ["cat", 'a "dog", red', "<b>&amp;</b> 'x'", "🐈 猫", "back\\slash", "semi;colon", "%20 #1", "no: yes"]
CAPTION = 'a "red", <cube>; it\'s 🧊 — {}'
FORMATS = {"jpeg": "jpg", "png": "png", "webp": "webp"}
# EXIF's number of what has to be done to a file's picture; and what undoes it.
TRANSPOSE = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
             5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
             8: Image.Transpose.ROTATE_90}
UNDO = {**TRANSPOSE, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


class Thing:
    def __init__(self, label, box, score, mask=None):
        self.label, self.box, self.score, self.mask = label, box, score, mask  # box: x1, y1, x2, y2 in pixels


class Picture:
    """A file, and what is known of it."""

    def __init__(self, folder, name, size, orientation, form, things, caption=None):
        self.name, self.size, self.orientation, self.form = name, size, orientation, form
        self.things, self.caption = things, caption
        self.path = f"{folder}/{name}.{FORMATS[form]}"
        self.url = "file://" + quote(self.path)
        upright = Image.fromarray(self.pixels())
        stored = upright.transpose(UNDO[orientation]) if orientation > 1 else upright
        exif = Image.Exif()
        if orientation > 1:
            exif[0x0112] = orientation
        options = {"jpeg": dict(quality=95, subsampling=0), "png": {}, "webp": dict(lossless=True)}[form]
        stored.save(self.path, form.upper(), exif=exif.tobytes() if orientation > 1 else b"", **options)
        self.bytes = open(self.path, "rb").read()
        self.sha256 = hashlib.sha256(self.bytes).hexdigest()

    def pixels(self):
        """Grey noise, and each thing in a colour of its own."""
        width, height = self.size
        seed = int(hashlib.sha256(self.name.encode()).hexdigest()[:8], 16)
        pixels = np.random.default_rng(seed).integers(90, 110, (height, width, 3), dtype=np.uint8)
        for number, thing in enumerate(self.things):
            x1, y1, x2, y2 = thing.box
            pixels[y1:y2, x1:x2] = self.colour(number)
        return pixels

    @staticmethod
    def colour(number):
        return [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255), (0, 255, 255)][number % 6]

    def stored(self, array):
        """A picture of the upright one's size as the file has it."""
        if self.orientation == 1:
            return array
        return np.array(Image.fromarray(array).transpose(UNDO[self.orientation]))

    def expected(self, orientation):
        """(size, [(label, box, score, mask)]) in an orientation; boxes as x, y, width, height, masks as arrays."""
        things = []
        for thing in self.things:
            full = np.zeros(self.size[::-1], np.uint8)
            x1, y1, x2, y2 = thing.box
            full[y1:y2, x1:x2] = 1
            mask = thing.mask
            if orientation == "stored":
                full = self.stored(full)
                mask = None if mask is None else self.stored(mask)
            rows, columns = np.nonzero(full.any(1))[0], np.nonzero(full.any(0))[0]
            box = [columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]
            things.append((thing.label, [float(x) for x in box], thing.score, mask))
        size = self.size if orientation == "upright" or self.orientation < 5 else self.size[::-1]
        return size, things


def blob(size, box, kind):
    """A mask in a box: all of it, an ellipse, a ring, or two parts."""
    width, height = size
    x1, y1, x2, y2 = box
    y, x = np.mgrid[0:height, 0:width]
    u, v = (x + 0.5 - x1) / (x2 - x1) * 2 - 1, (y + 0.5 - y1) / (y2 - y1) * 2 - 1
    inside = (abs(u) < 1) & (abs(v) < 1)
    mask = {"box": inside, "ellipse": u * u + v * v < 1, "ring": (u * u + v * v < 1) & (u * u + v * v > 0.25),
            "parts": inside & ((u < -0.3) | (v > 0.4) & (u > 0.3))}[kind]
    return mask.astype(np.uint8)


def draw(folder, seed=1, more=40):
    """Eight orientations with boxes, eight with masks, three formats, pictures without things, and some more."""
    random.seed(seed)
    os.makedirs(folder, exist_ok=True)
    pictures = []
    for orientation in range(1, 9):
        for kind in ("box", "mask"):
            size = (random.randrange(40, 90), random.randrange(40, 90))
            things = []
            for number in range(3):
                x1, y1 = random.randrange(0, size[0] - 12), random.randrange(number * size[1] // 3, (number + 1) * size[1] // 3 - 8)
                box = (x1, y1, random.randrange(x1 + 8, size[0] + 1), min(y1 + random.randrange(6, 9), (number + 1) * size[1] // 3))
                label = LABELS[(orientation + 3 * number) % len(LABELS)]
                mask = blob(size, box, ["ellipse", "ring", "parts"][number]) if kind == "mask" else None
                if mask is not None and not mask.any():
                    mask[box[1]:box[3], box[0]:box[2]] = 1
                things.append(Thing(label, box, float(np.float32(random.uniform(0.1, 1))), mask))
            pictures.append(Picture(folder, f"{kind}-{orientation}", size, orientation, "jpeg", things,
                                    CAPTION.format(orientation) if kind == "box" else None))
    for form in FORMATS:
        pictures.append(Picture(folder, f"empty {form}", (33, 44), 1, form, [], f"nothing ({form})"))
        pictures.append(Picture(folder, f"größe-{form}", (50, 40), 6 if form != "webp" else 1, form,
                                [Thing("cat", (5, 7, 31, 29), 0.5)]))
    for number in range(more):
        size = (random.randrange(30, 200), random.randrange(30, 200))
        things = []
        for _ in range(random.randrange(0, 6)):
            x1, y1 = random.randrange(0, size[0] - 8), random.randrange(0, size[1] - 8)
            box = (x1, y1, random.randrange(x1 + 4, size[0] + 1), random.randrange(y1 + 4, size[1] + 1))
            things.append(Thing(random.choice(LABELS[:4]), box, float(np.float32(random.uniform(0, 1)))))
        pictures.append(Picture(folder, f"more-{number}", size, random.randrange(1, 9), "jpeg", things))
    return pictures


def runs(mask):
    return masks.encode(np.asfortranarray(mask))["counts"].decode()


def report(picture, task):
    """A result of a job as a daemon records it."""
    width, height = picture.size
    digest = picture.sha256
    findings = []
    for number, thing in enumerate(picture.things if task != "caption" else []):
        x1, y1, x2, y2 = thing.box
        findings.append({"n": number + 1, "image": 0, "score": thing.score, "label": thing.label, "y1": y1 / height,
                         "x1": x1 / width, "y2": y2 / height, "x2": x2 / width,
                         "codes": list(range(16)) if thing.mask is not None else None,
                         "mask": None if thing.mask is None else runs(thing.mask)})
    return {"model": "tiny", "digest": "ab" * 32, "precision": "f32", "resize": "bicubic", "version": "0.1.0",
            "prompts": ["prompt"], "settings": None, "timings": {"prefill": 1.5}, "image_sha256": [digest],
            "final_urls": [picture.url],
            "images": [{"sha256": digest, "width": width, "height": height, "orientation": picture.orientation,
                        "format": picture.form, "byte_count": len(picture.bytes)}],
            "texts": [picture.caption if task == "caption" else "…"], "sums": [-1.5], "norms": [-0.75], "tokens": [2],
            "finish": ["eos"], "views": 1, "questions": 1, "samples": 1, "score": -0.75, "not_understood": 0,
            "findings": findings}


def fill(connection, pictures, objects=()):
    """Enqueues jobs about the pictures and records their results. objects: (key, [(answer, probability)])."""
    wanted = {}
    for picture in pictures:
        has_masks = any(thing.mask is not None for thing in picture.things)
        tasks = ["segment" if has_masks else "detect"] + (["caption"] if picture.caption else [])
        for task in tasks:
            things = {"prompt": "x"} if task != "caption" else {}
            wanted[f"{task}/{picture.name}"] = (picture, task)
            connection.execute("select gloss.enqueue_json(%s::jsonb)", [json.dumps(
                {"task": task, "image_url": picture.url, "key": f"{task}/{picture.name}", "batch": "all", **things})])
    for key, _ in objects:
        connection.execute("select gloss.enqueue_multiview(%s, array['https://example.org/1.png'], array['what?'], 2, batch => 'objects')", [key])
    identity = "00000000-0000-0000-0000-000000000001"
    (worker,) = connection.execute(
        "select gloss.register_worker('host', 1, '0.1.0', array['tiny'], array['caption', 'detect', 'segment', 'multiview'],"
        " '1 hour', %s)", [identity]).fetchone()
    answers = dict(objects)
    while True:
        jobs = connection.execute("select job, fence from gloss.claim(%s::bigint, %s, 100)", [worker, identity]).fetchall()
        if not jobs:
            return
        reports = []
        for job, fence in sorted(jobs):
            (key,) = connection.execute("select key from gloss.job where id = %s", [job]).fetchone()
            if key in answers:
                result = report(pictures[0], "caption")
                result.update(answers=[a for a, _ in answers[key]], probabilities=[p for _, p in answers[key]],
                              texts=["a", "b"], sums=[-1, -2], norms=[-1, -2], tokens=[1, 1], finish=["eos", "eos"], samples=2)
            else:
                result = report(*wanted[key])
            reports.append({"job": job, "fence": fence, "outcome": "completed", "result": result})
        (receipts,) = connection.execute("select receipts from gloss.record(%s::bigint, %s, %s::jsonb)",
                                         [worker, identity, json.dumps(reports)]).fetchone()
        assert set(receipts) == {"recorded"}, receipts
