"""COCO and YOLO, as another library opens pictures. It needs the exports of pycocotools and ultralytics."""
import os

import pictures as drawn
from checks import quiet


def read(checks):
    import supervision
    place = f"{checks.folder}/coco-stored"
    with quiet():
        dataset = supervision.DetectionDataset.from_coco(f"{place}/images", f"{place}/instances.json")
    checks.equal("supervision", "classes", sorted(dataset.classes), sorted(drawn.LABELS))
    for path, _, found in dataset:
        boxes(checks, "supervision", dataset, path, found, "stored")
    # Fractions become pixels of what cv2.imread gives, which is upright.
    place = f"{checks.folder}/yolo-boxes-upright"
    with quiet():
        dataset = supervision.DetectionDataset.from_yolo(f"{place}/images/train", f"{place}/labels/train", f"{place}/data.yaml")
    for path, _, found in dataset:
        boxes(checks, "supervision", dataset, path, found, "upright")


def boxes(checks, reader, dataset, path, found, orientation):
    picture = checks.pictures[os.path.basename(path)]
    things = [(dataset.classes[c], [x1, y1, x2 - x1, y2 - y1], 0, None) for (x1, y1, x2, y2), c in zip(found.xyxy, found.class_id)]
    checks.things(reader, picture, orientation, things, tolerance=0.02, scores=False, has_masks=False)
