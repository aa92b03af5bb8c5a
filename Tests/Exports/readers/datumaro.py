"""COCO and YOLO, and the recipes for VOC and CVAT. It needs the exports of pycocotools and ultralytics."""
import os
import shutil

import numpy as np

import pictures as drawn


def read(checks):
    try:
        from datumaro.components.dataset import Dataset
    except ImportError as problem:
        return checks.skip("datumaro", problem)
    # Its own layout of COCO.
    place, source = f"{checks.folder}/datumaro", f"{checks.folder}/coco-upright"
    os.makedirs(f"{place}/annotations")
    shutil.copytree(f"{source}/images", f"{place}/images/train")
    shutil.copy(f"{source}/instances.json", f"{place}/annotations/instances_train.json")
    coco = Dataset.import_from(place, "coco_instances")
    things(checks, "datumaro coco", coco, scores=True)
    recipe(checks, Dataset, place, "cvat", drawn.LABELS, allow_undeclared_attrs=True)
    # Datumaro's list of labels for VOC has colons between its fields.
    plain = [label for label in drawn.LABELS if ":" not in label and "#" not in label]
    names = f"{checks.folder}/names.txt"
    open(names, "w", encoding="utf8").write("".join(label + "\n" for label in plain))
    source = checks.export("coco-plain", "coco", "--categories", names)
    shutil.copy(f"{source}/instances.json", f"{place}/annotations/instances_train.json")
    recipe(checks, Dataset, place, "voc", plain)
    # It makes pixels of fractions of the picture as OpenCV opens it: upright, but not where a PNG says so.
    yolo = Dataset.import_from(f"{checks.folder}/yolo-boxes-upright", "yolo")
    things(checks, "datumaro yolo", yolo, scores=False, but="größe-png")


def recipe(checks, Dataset, place, form, labels, **words):
    """From our COCO to another format and back."""
    out = f"{checks.folder}/datumaro-{form}"
    Dataset.import_from(place, "coco_instances").export(out, form, save_media=True, **words)
    things(checks, f"datumaro {form}", Dataset.import_from(out, form), scores=form == "cvat", only="box-", labels=labels)


def things(checks, reader, dataset, scores, only="", labels=drawn.LABELS, but=None):
    from datumaro.components.annotation import AnnotationType
    names = [c.name for c in dataset.categories()[AnnotationType.label]]
    seen = 0
    for item in dataset:
        picture = next(p for p in checks.pictures.values() if os.path.basename(item.id) == p.name)
        if not picture.name.startswith(only):
            continue
        seen += 1
        if picture.name == but:
            continue
        found = []
        # A thing with a mask is a mask and a box of one group.
        masked = {a.group for a in item.annotations if a.type == AnnotationType.mask}
        for a in item.annotations:
            if a.type == AnnotationType.bbox and a.group not in masked:
                found.append((names[a.label], a.get_bbox(), a.attributes.get("score", 0), None))
            elif a.type == AnnotationType.mask:
                mask = np.asarray(a.image).astype(np.uint8)
                box = next(t[1] for t in picture.expected("upright")[1] if t[3] is not None and np.array_equal(t[3], mask))
                found.append((names[a.label], box, a.attributes.get("score", 0), mask))
        checks.things(reader, picture, "upright", found, tolerance=1.01 if reader == "datumaro voc" else 0.02, scores=scores,
                      has_masks=scores, labels=labels)
    checks.equal(reader, "images", seen, sum(p.name.startswith(only) for p in checks.pictures.values()))
