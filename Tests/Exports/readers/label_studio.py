"""Label Studio: predictions that its own library validates."""
import json
import os
from urllib.parse import unquote

import numpy as np

from checks import ORIENTATIONS


def read(checks):
    from label_studio_sdk.converter.brush import decode_rle
    from label_studio_sdk.label_interface import LabelInterface
    for orientation in ORIENTATIONS:
        place = checks.export(f"label-studio-{orientation}", "label-studio", "--orientation", orientation)
        interface = LabelInterface(open(f"{place}/config.xml").read())
        tasks = json.load(open(f"{place}/tasks.json"))
        checks.equal("label-studio-sdk", "tasks", len(tasks), len(checks.pictures))
        for task in tasks:
            picture = checks.pictures[os.path.basename(unquote(task["data"]["image"]))]
            checks.equal("label-studio-sdk", "predictions of an image", len(task["predictions"]), 1)
            (prediction,) = task["predictions"]
            problems = interface.validate_prediction(prediction, return_errors=True)
            checks.equal("label-studio-sdk", f"{picture.name}: prediction", list(problems), [])
            found, size = [], picture.expected(orientation)[0]
            for region in prediction["result"]:
                value = region["value"]
                checks.equal("label-studio-sdk", "size", (region["original_width"], region["original_height"]), tuple(size))
                if region["type"] == "textarea":
                    checks.equal("label-studio-sdk", "caption", value["text"], [picture.caption])
                elif region["type"] == "rectanglelabels":
                    box = [value[n] / 100 * side for n, side in zip(("x", "y", "width", "height"), (*size, *size))]
                    found.append((value["rectanglelabels"][0], box, region["score"], None))
                else:
                    mask = (decode_rle(value["rle"]).reshape(size[1], size[0], 4)[:, :, 3] > 0).astype(np.uint8)
                    box = next(t[1] for t in picture.expected(orientation)[1] if t[3] is not None and np.array_equal(t[3], mask))
                    found.append((value["brushlabels"][0], box, region["score"], mask))
            checks.things("label-studio-sdk", picture, orientation, found)
