"""Compares Gloss's decoders with Pillow over image files of every kind, whole and damaged.

    python reference/check_images.py --seed 1 --record FOLDER
    GLOSS_TEST_IMAGES=FOLDER scripts/test --filter ImageCorpusTests
    python reference/check_images.py --seed 1 --judge FOLDER

The first one draws the files (image_files/) into FOLDER. The test decodes each of them, here and in the decoders' sandbox, and writes
what came of it beside it. The third one compares that with Pillow and pillow-heif: JPEG, PNG, WebP, GIF, BMP and TIFF give the same
pixels or are refused for a reason that is listed here; AVIF and HEIC have the same size and differ by no more than 1 of 255 on the
average; what has lost a part of its picture is refused; of what Pillow reads at most 1 % is refused. It ends with 1 otherwise.

Needs pillow 13 and pillow-heif; 30 s for each of the first and the last."""
import argparse
import collections
import io
import json
import pathlib
import sys
import warnings

import numpy as np
from PIL import Image, ImageOps

import image_files

EXACT = {"jpg", "png", "webp", "gif", "bmp", "tif"}
# Why a file may be refused that Pillow reads: the code and what its message has.
REASONS = [
    ("corrupt", "found marker", "a restart marker is missing: rows are lost"),
    ("corrupt", "bad Huffman code", "damage within a JPEG's scan"),
    ("truncated", "premature end of data segment", "a part of the JPEG would be grey"),
    ("corrupt", "unknown critical chunk", "a PNG that only its own reader understands"),
    ("corrupt", "invalid chunk checksum", "damage within a PNG's data"),
    ("unsupported_format", "turned or mirrored", "libheif before 1.19 shifts the colours of HEICs of odd sides that are turned"),
]


def on_white(image):
    """u8 RGB: 16 bits cut to 8, blended with white with exact rounding."""
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, 2)
    if not {"A", "a"} & set(image.getbands()) and "transparency" not in image.info:
        return np.asarray(image.convert("RGB"))
    rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
    alpha = rgba[..., 3:]
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def by_pillow(data):
    """The pixels, or why not. A file whose EXIF Pillow cannot read is as it is stored."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except Exception as error:
        return error
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:
        pass
    return on_white(image)


class Judge:
    def __init__(self, folder):
        self.folder = folder
        self.ours = {}
        for line in (folder / "decoded.jsonl").open():
            row = json.loads(line)
            self.ours[row["name"]] = row
        self.counts = collections.Counter()
        self.refusals = collections.Counter()
        self.faults = []
        self.largest = collections.Counter()

    def pixels(self, name):
        row = self.ours[name]
        if "code" in row:
            return None
        data = np.fromfile(self.folder / f"{name}.rgb", np.uint8)
        return data.reshape(row["height"], row["width"], 3)

    def fault(self, name, what):
        self.faults.append(f"{name}: {what}")

    def judge(self, name, data, expected):
        form = name.rsplit(".", 1)[1]
        row, mine, theirs = self.ours[name], self.pixels(name), by_pillow(data)
        self.counts["files"] += 1
        if row["sandbox"] != "same":
            self.fault(name, f"the sandbox: {row['sandbox']}")
        if expected == "refused":
            self.counts["refused, as a part is missing"] += 1
            if mine is not None:
                self.fault(name, "a part of its picture is missing, and it was read")
            return
        if expected and expected.startswith("whole"):
            whole = self.pixels(expected.split()[1])
            if mine is None or whole is None or mine.shape != whole.shape or not (mine == whole).all():
                self.fault(name, f"has not the pixels of {expected.split()[1]}: {row}")
        if isinstance(theirs, Exception):
            self.counts["Pillow refuses, Gloss " + ("refuses" if mine is None else "reads")] += 1
            return
        self.counts["Pillow reads"] += 1
        if mine is None:
            reason = next((text for code, part, text in REASONS if row["code"] == code and part in row["message"]), None)
            self.refusals[reason] += 1
            if reason is None:
                self.fault(name, f"refused: {row['message']}")
            return
        self.compare(name, form, mine, theirs)

    def compare(self, name, form, mine, theirs):
        if mine.shape != theirs.shape:
            return self.fault(name, f"{mine.shape[1]} × {mine.shape[0]}, Pillow has {theirs.shape[1]} × {theirs.shape[0]}")
        difference = np.abs(mine.astype(int) - theirs)
        self.counts[f"{form}: same pixels" if not difference.any() else f"{form}: other pixels"] += 1
        self.largest[form] = max(self.largest[form], int(difference.max()))
        if form in EXACT and difference.any():
            self.fault(name, f"{(difference > 0).sum()} of {difference.size} values differ, by {difference.max()} at the most")
        elif difference.mean() > 1:
            self.fault(name, f"differs by {difference.mean():.2f} on the average, by {difference.max()} at the most")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", type=pathlib.Path)
    parser.add_argument("--judge", type=pathlib.Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    files = image_files.corpus(options.seed)
    if options.record:
        options.record.mkdir(parents=True, exist_ok=True)
        for name, data, _ in files:
            (options.record / name).write_bytes(data)
    if not options.judge:
        return print(f"{len(files)} files")
    judge = Judge(options.judge)
    for file in files:
        judge.judge(*file)
    for what, count in sorted(judge.counts.items()):
        print(f"  {what}: {count}")
    for form, largest in sorted(judge.largest.items()):
        if largest:
            print(f"  {form}: the largest difference is {largest} of 255")
    for reason, count in judge.refusals.items():
        print(f"  refused, and Pillow reads it: {count}: {reason}")
    refused, read = sum(judge.refusals.values()), judge.counts["Pillow reads"]
    if refused > read / 100:
        judge.faults.append(f"{refused} of {read} files that Pillow reads are refused")
    for fault in judge.faults[:40]:
        print(f"  {fault}")
    print(f"check_images: {judge.counts['files']} files, {refused} of {read} refused that Pillow reads, {len(judge.faults)} faults")
    sys.exit(1 if judge.faults else 0)


if __name__ == "__main__":
    main()
