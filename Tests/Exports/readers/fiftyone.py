"""COCO, by FiftyOne's importer without its database. It needs the exports of pycocotools, and a Python that has FiftyOne: it is not
among the requirements."""
import os
import tempfile

import numpy as np


def read(checks):
    os.environ.update(FIFTYONE_DO_NOT_TRACK="true", FIFTYONE_DATABASE_DIR=tempfile.mkdtemp(dir=checks.folder))
    try:
        from fiftyone.utils.coco import COCODetectionDatasetImporter
    except ImportError as problem:
        return checks.skip("fiftyone", problem)
    place = f"{checks.folder}/coco-upright"
    importer = COCODetectionDatasetImporter(
        data_path=f"{place}/images", labels_path=f"{place}/instances.json", label_types=["detections", "segmentations"])
    importer.setup()
    seen = 0
    for path, _, labels in importer:
        seen += 1
        picture = checks.pictures[os.path.basename(path)]
        (width, height), expected = picture.expected("upright")
        things, masked = labels.get("detections"), labels.get("segmentations")
        found = []
        for one in things.detections if things else []:
            x, y, w, h = one.bounding_box
            found.append((one.label, [x * width, y * height, w * width, h * height], one.confidence, None))
        checks.things("fiftyone", picture, "upright", found, tolerance=0.02, has_masks=False)
        # A mask is a window of the image, as large as its box.
        for one in masked.detections if masked else []:
            x, y, w, h = (round(v * side) for v, side in zip(one.bounding_box, (width, height, width, height)))
            full = np.zeros((height, width), np.uint8)
            full[y:y + one.mask.shape[0], x:x + one.mask.shape[1]] = one.mask
            isDrawn = any(t[0] == one.label and t[3] is not None and np.array_equal(t[3], full) for t in expected)
            checks.equal("fiftyone", f"{picture.name}: mask", isDrawn, True)
    checks.equal("fiftyone", "images", seen, len(checks.pictures))
