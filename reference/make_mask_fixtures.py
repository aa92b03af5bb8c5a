"""Writes what tests of masks compare with: Tests/Fixtures/masks.

decoder.safetensors is the start: random weights with the names of big_vision's vae-oid.npz, and for some codes the masks
that PyTorch's layers make of them (golden/N/codes, golden/N/mask64). From it come:

- decoder.npz: the same weights, half of the files stored and half deflated
- masks.json: for each mask, boxes and image sizes: Pillow's resize of mode F pasted as big_vision's evaluator does, as
  run lengths by pycocotools

Needs pillow, numpy, safetensors and pycocotools==2.0.11.
"""
import io
import json
import pathlib
import zipfile

import numpy as np
from pycocotools import mask as coco
from safetensors.numpy import load_file

from pixels import paste

FOLDER = pathlib.Path(__file__).parent.parent / "Tests/Fixtures/masks"
# y1, x1, y2, x2 as <loc> values; height and width in pixels. Grown, shrunk, both, columns first, thin, without a pixel.
CASES = [
    ([0, 0, 1023, 1023], 64, 64), ([100, 200, 900, 700], 97, 131), ([0, 0, 1023, 1023], 13, 200),
    ([5, 17, 1000, 1010], 300, 21), ([400, 400, 410, 1000], 480, 640), ([341, 341, 682, 682], 300, 300),
    ([0, 0, 1023, 1023], 1, 1), ([10, 10, 12, 12], 100, 100), ([1, 3, 1022, 1020], 777, 512),
]


def main():
    tensors = load_file(FOLDER / "decoder.safetensors")
    with zipfile.ZipFile(FOLDER / "decoder.npz", "w") as archive:
        for index, name in enumerate(sorted(n for n in tensors if not n.startswith("golden/"))):
            file = io.BytesIO()
            np.lib.format.write_array(file, tensors[name], version=(1 + index % 2, 0))
            entry = zipfile.ZipInfo(name + ".npy")
            entry.compress_type = zipfile.ZIP_DEFLATED if index % 3 else zipfile.ZIP_STORED
            archive.writestr(entry, file.getvalue())
    masks = []
    for number in range(4):
        for box, height, width in CASES:
            pixels = paste(tensors[f"golden/{number}/mask64"], [edge / 1023 for edge in box], height, width)
            counts = None if pixels is None else coco.encode(np.asfortranarray(pixels, np.uint8))["counts"].decode()
            masks.append({"golden": number, "box": box, "size": [height, width], "counts": counts})
    lines = ",\n".join(json.dumps(mask) for mask in masks)
    (FOLDER / "masks.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
