"""The recipe for LVIS. It needs the exports of pycocotools."""
import json

import numpy as np

from checks import quiet


def read(checks):
    try:
        from lvis import LVIS, LVISEval, LVISResults
    except ImportError as problem:
        return checks.skip("lvis", problem)
    np.float = float  # the package is older than numpy 1.24
    # As docs/exports.md says: what LVIS asks of a ground truth beside COCO's fields.
    truth = json.load(open(f"{checks.folder}/truth-segment-upright/instances.json"))
    for image in truth["images"]:
        image.update(neg_category_ids=[], not_exhaustive_category_ids=[], coco_url=image["file_name"])
    for category in truth["categories"]:
        category.update(frequency="f", synset=category["name"], image_count=1, instance_count=1)
    path = f"{checks.folder}/lvis.json"
    json.dump(truth, open(path, "w"))
    with quiet():
        ground = LVIS(path)
        evaluation = LVISEval(ground, LVISResults(ground, f"{checks.folder}/results-segment-upright/results.json"), "segm")
        evaluation.run()
    checks.near("lvis", "AP against itself", evaluation.results["AP"], 1, 1e-12)
