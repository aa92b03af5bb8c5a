"""COCO: instances, captions, and results against ground truths."""
import json

import numpy as np
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import pictures as drawn
from checks import ORIENTATIONS, opened, quiet


def read(checks):
    for orientation in ORIENTATIONS:
        place = checks.export(f"coco-{orientation}", "coco", "--orientation", orientation, *checks.images())
        with quiet():
            coco = COCO(f"{place}/instances.json")
        names = {c["id"]: c["name"] for c in coco.loadCats(coco.getCatIds())}
        checks.equal("pycocotools", "images", len(coco.imgs), len(checks.pictures))
        for image in coco.imgs.values():
            picture = checks.pictures[image["file_name"]]
            found = []
            for a in coco.imgToAnns[image["id"]]:
                mask = coco.annToMask(a) if a["segmentation"] else None
                checks.equal("pycocotools", "iscrowd", a["iscrowd"], 0)
                area = mask.sum() if mask is not None else a["bbox"][2] * a["bbox"][3]
                checks.near("pycocotools", "area", a["area"], area, 0.02)
                found.append((names[a["category_id"]], a["bbox"], a["score"], mask))
            checks.things("pycocotools", picture, orientation, found)
            checks.colours("pycocotools", picture, orientation, opened(f"{place}/images/{picture.name}.{drawn.FORMATS[picture.form]}",
                           orientation), [x[1] for x in found])
        # Results against the same export as a ground truth.
        for task, kind in (("detect", "bbox"), ("segment", "segm")):
            truth = checks.export(f"truth-{task}-{orientation}", "coco", "--task", task, "--orientation", orientation)
            results = checks.export(f"results-{task}-{orientation}", "coco", "--kind", "results", "--task", task, "--gt",
                                    f"{truth}/instances.json", "--orientation", orientation)
            with quiet():
                coco = COCO(f"{truth}/instances.json")
            stats = evaluated(coco, f"{results}/results.json", kind)
            checks.near("pycocotools", f"AP of {task} against itself", stats[0], 1, 1e-12)
            perturbed(checks, coco, f"{results}/results.json", task, kind, orientation)
    place = checks.export("captions", "coco", "--kind", "captions")
    with quiet():
        coco = COCO(f"{place}/captions.json")
    captions = {coco.imgs[a["image_id"]]["file_name"]: a["caption"] for a in coco.anns.values()}
    checks.equal("pycocotools", "captions", captions, {n: p.caption for n, p in checks.pictures.items() if p.caption})
    results = checks.export("caption-results", "coco", "--kind", "results", "--task", "caption", "--gt", f"{place}/captions.json")
    with quiet():
        again = coco.loadRes(f"{results}/results.json")
    checks.equal("pycocotools", "caption results", sorted(a["caption"] for a in again.anns.values()), sorted(captions.values()))


def evaluated(truth, results, kind):
    """pycocotools' twelve numbers."""
    with quiet():
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def perturbed(checks, truth, results, task, kind, orientation):
    """Against a ground truth that was changed: the twelve numbers of results that were made here from what was drawn."""
    changed = COCO()
    random = np.random.default_rng(3)
    dataset = json.loads(json.dumps(truth.dataset))
    keep = [a for a in dataset["annotations"] if random.uniform() > 0.1]
    for a in keep:
        if kind == "bbox":
            shift = random.uniform(-0.25, 0.25, 2) * a["bbox"][2:]
            a["bbox"] = [a["bbox"][0] + shift[0], a["bbox"][1] + shift[1], *a["bbox"][2:]]
        else:
            mask = np.roll(truth.annToMask(a), int(random.integers(-2, 3)), 1)
            a["segmentation"] = {**masks.encode(np.asfortranarray(mask)), "size": list(mask.shape)}
            a["segmentation"]["counts"] = a["segmentation"]["counts"].decode()
        if random.uniform() < 0.1:
            a["category_id"] = 1
    dataset["annotations"] = keep
    changed.dataset = dataset
    with quiet():
        changed.createIndex()
    ours = evaluated(changed, results, kind)
    numbers = {c["name"]: c["id"] for c in dataset["categories"]}
    own = []
    for image in dataset["images"]:
        for label, box, score, mask in checks.pictures[image["file_name"]].expected(orientation)[1]:
            one = {"image_id": image["id"], "category_id": numbers[label], "score": score}
            own.append({**one, "bbox": box} if kind == "bbox" else {**one, "segmentation": masks.encode(np.asfortranarray(mask))})
    for number, (a, b) in enumerate(zip(ours, evaluated(changed, own, kind))):
        checks.near("pycocotools", f"number {number + 1} of {task} against a perturbed copy", a, b, 1e-12)
