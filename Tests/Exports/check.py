"""What glossctl export writes, read by those for whom it is written: scripts/check-exports runs it.

Pictures of all eight EXIF orientations are drawn with things in them, and their results recorded in a queue. Each reader must find
the same boxes, labels, scores and masks, and the things' colours where the boxes are.
"""
import argparse
import contextlib
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(f"{HERE}/../..")
sys.path += [HERE, f"{ROOT}/Benchmarks/scale"]
sys.dont_write_bytecode = True
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", YOLO_OFFLINE="true", DATUMARO_TELEMETRY_DISABLED="1")

import numpy as np  # noqa: E402
import psycopg  # noqa: E402
from PIL import Image, ImageOps  # noqa: E402
from pycocotools import mask as masks  # noqa: E402
from pycocotools.coco import COCO  # noqa: E402
from pycocotools.cocoeval import COCOeval  # noqa: E402

import pictures as drawn  # noqa: E402
from server import Server  # noqa: E402

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


def evaluated(truth, results, kind):
    """pycocotools' twelve numbers."""
    with quiet():
        evaluation = COCOeval(truth, truth.loadRes(results), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


# MARK: Readers

def pycocotools(checks):
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


def ultralytics(checks):
    try:
        from ultralytics.data.utils import verify_image_label
    except ImportError as problem:
        return checks.skip("ultralytics", problem)
    import yaml
    for orientation in ORIENTATIONS:
        for kind in ("boxes", "segments"):
            words = ["--segments"] if kind == "segments" else []
            place = checks.export(f"yolo-{kind}-{orientation}", "yolo", "--orientation", orientation, "--conf", *words, *checks.images())
            names = yaml.safe_load(open(f"{place}/data.yaml"))["names"]
            listed = [line.strip() for line in open(f"{place}/train.txt")]
            checks.equal("ultralytics", "images", len(listed), len(checks.pictures))
            for line in listed:
                name = os.path.basename(line)
                picture, stem = checks.pictures[name], name.rsplit(".", 1)[0]
                answer = verify_image_label((f"{place}/{line}", f"{place}/labels/train/{stem}.txt", "", False, len(names), 0, 0, False))
                checks.equal("ultralytics", f"{name}: {answer[-1]}", (answer[-1], answer[5], answer[8]), ("", 0, 0))
                labels, segments = answer[1], answer[3]
                (width, height), expected = picture.expected(orientation)
                scores = [float(x.split()[-1]) for x in open(f"{place}/predictions/train/{stem}.txt")]
                found = []
                for number, row in enumerate(labels):
                    x, y, w, h = row[1:] * (width, height, width, height)
                    found.append((names[int(row[0])], [x - w / 2, y - h / 2, w, h], scores[number], None))
                if kind == "boxes":
                    checks.things("ultralytics", picture, orientation, found, tolerance=0.02, has_masks=False)
                    continue
                for number, (label, box, score, mask) in enumerate(expected):
                    full = np.zeros((height, width), np.uint8)
                    if mask is None:
                        full[int(box[1]):int(box[1] + box[3]), int(box[0]):int(box[0] + box[2])] = 1
                    else:
                        full = filled(mask)
                    x, y = (segments[number].astype(float) * (width, height)).T
                    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
                    checks.near("ultralytics", f"{name}: the outline's area", area, full.sum(), 0.02 * len(x))
                    rows, columns = np.nonzero(full.any(1))[0], np.nonzero(full.any(0))[0]
                    checks.near("ultralytics", f"{name}: the outline's edges", [x.min(), y.min(), x.max(), y.max()],
                                [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], 0.01)


def filled(mask):
    """A mask without its holes."""
    from scipy import ndimage
    return ndimage.binary_fill_holes(mask, np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]]) > 0).astype(np.uint8)


def supervision(checks):
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


def label_studio(checks):
    from label_studio_sdk.converter.brush import decode_rle
    from label_studio_sdk.label_interface import LabelInterface
    for orientation in ORIENTATIONS:
        place = checks.export(f"label-studio-{orientation}", "label-studio", "--orientation", orientation)
        interface = LabelInterface(open(f"{place}/config.xml").read())
        tasks = json.load(open(f"{place}/tasks.json"))
        checks.equal("label-studio-sdk", "tasks", len(tasks), len(checks.pictures))
        for task in tasks:
            from urllib.parse import unquote
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


def hugging_face(checks):
    import datasets
    datasets.disable_progress_bars()
    cache = f"{checks.folder}/cache"
    for orientation in ORIENTATIONS:
        place = checks.export(f"imagefolder-{orientation}", "imagefolder", "--orientation", orientation, *checks.images())
        rows = datasets.load_dataset("imagefolder", data_dir=place, cache_dir=cache)["train"]
        check_rows(checks, "datasets imagefolder", rows, orientation, lambda row: (row["image"], row))
        place = checks.export(f"webdataset-{orientation}", "webdataset", "--orientation", orientation, "--shard", "20", *checks.images())
        files = {"train": sorted(f"{place}/{n}" for n in os.listdir(place) if n.endswith(".tar"))}
        rows = datasets.load_dataset("webdataset", data_files=files, cache_dir=cache)["train"]
        check_rows(checks, "datasets webdataset", rows, orientation, lambda row: (row["jpg"], row["json"]))
    import webdataset
    urls = files["train"]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil").to_tuple("jpg", "json"))
    checks.equal("webdataset", "samples", len(samples), len(checks.pictures))
    for image, row in samples:
        found = list(zip(row["objects"]["categories"], row["objects"]["bbox"], row["objects"]["scores"], [None] * 99))
        checks.things("webdataset", by_digest(checks, row), "stored", found, has_masks=False)
    # One without any object, whose lists have no type.
    place = checks.export("imagefolder-empty", "imagefolder", "--where", "false", *checks.images())
    rows = datasets.load_dataset("imagefolder", data_dir=place, cache_dir=cache)["train"]
    checks.equal("datasets imagefolder", "rows without objects", [r["objects"]["bbox"] for r in rows], [[]] * len(checks.pictures))


def by_digest(checks, row):
    return next(p for p in checks.pictures.values() if p.sha256 == row["sha256"])


def check_rows(checks, reader, rows, orientation, parts):
    checks.equal(reader, "rows", len(rows), len(checks.pictures))
    for row in rows:
        image, row = parts(row)
        picture = by_digest(checks, row)
        objects = row["objects"]
        decoded = [masks.decode({"size": [row["height"], row["width"]], "counts": c}) if c else None for c in objects["masks"]]
        checks.things(reader, picture, orientation, list(zip(objects["categories"], objects["bbox"], objects["scores"], decoded)))
        checks.equal(reader, "text", row["text"], picture.caption or "")
        checks.equal(reader, "size", (row["width"], row["height"]), tuple(picture.expected(orientation)[0]))
        # The library turns pictures upright itself.
        if orientation == "upright":
            checks.colours(reader, picture, orientation, image, objects["bbox"])


def datumaro(checks):
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
    datumaro_things(checks, "datumaro coco", coco, scores=True)
    datumaro_recipe(checks, Dataset, place, "cvat", drawn.LABELS, allow_undeclared_attrs=True)
    # Datumaro's list of labels for VOC has colons between its fields.
    plain = [label for label in drawn.LABELS if ":" not in label and "#" not in label]
    names = f"{checks.folder}/names.txt"
    open(names, "w", encoding="utf8").write("".join(label + "\n" for label in plain))
    source = checks.export("coco-plain", "coco", "--categories", names)
    shutil.copy(f"{source}/instances.json", f"{place}/annotations/instances_train.json")
    datumaro_recipe(checks, Dataset, place, "voc", plain)
    # It makes pixels of fractions of the picture as OpenCV opens it: upright, but not where a PNG says so.
    yolo = Dataset.import_from(f"{checks.folder}/yolo-boxes-upright", "yolo")
    datumaro_things(checks, "datumaro yolo", yolo, scores=False, but="größe-png")


def datumaro_recipe(checks, Dataset, place, form, labels, **words):
    """From our COCO to another format and back."""
    out = f"{checks.folder}/datumaro-{form}"
    Dataset.import_from(place, "coco_instances").export(out, form, save_media=True, **words)
    datumaro_things(checks, f"datumaro {form}", Dataset.import_from(out, form), scores=form == "cvat", only="box-", labels=labels)


def datumaro_things(checks, reader, dataset, scores, only="", labels=drawn.LABELS, but=None):
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


def lvis(checks):
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


def duckdb(checks):
    import duckdb
    nested, flat = checks.export("nested", "jsonl", "--nested"), checks.export("flat", "jsonl")
    parquet = f"{checks.folder}/images.parquet"
    duckdb.sql(f"copy (select * from '{nested}/images.jsonl') to '{parquet}' (format parquet)")
    rows = duckdb.sql(f"select file_name, objects from '{parquet}'").fetchall()
    checks.equal("duckdb", "rows", len(rows), len(checks.pictures))
    for name, objects in rows:
        found = [(o["label"], o["bbox"], o["score"], o["mask"] and masks.decode(o["mask"])) for o in objects]
        checks.things("duckdb", checks.pictures[name], "upright", found)
    things = duckdb.sql(f"select count(*) from '{flat}/objects.jsonl' where score > .3").fetchall()[0][0]
    checks.equal("duckdb", "things", things, sum(t.score > 0.3 for p in checks.pictures.values() for t in p.things))


def pyarrow(checks):
    import pyarrow.json
    import pyarrow.parquet
    table = pyarrow.json.read_json(f"{checks.folder}/nested/images.jsonl")
    path = f"{checks.folder}/pyarrow.parquet"
    pyarrow.parquet.write_table(table, path)
    for row in pyarrow.parquet.read_table(path).to_pylist():
        found = [(o["label"], o["bbox"], o["score"], o["mask"] and masks.decode(o["mask"])) for o in row["objects"]]
        checks.things("pyarrow", checks.pictures[row["file_name"]], "upright", found)


def objaverse(checks):
    place = checks.export("objaverse", "objaverse")
    rows = list(csv.reader(open(f"{place}/objects.csv", newline="", encoding="utf8"), delimiter=";"))
    expected = sorted((k, a, p) for k, answers in OBJECTS for a, p in answers)
    checks.equal("csv", "objects", sorted((k, a, float(p)) for k, a, p in rows), expected)
    # The query of docs/sql.md.
    sql = ("copy (select key, x ->> 'answer', (x ->> 'p')::real from gloss.multiview, jsonb_array_elements(distribution) x"
           " order by key) to stdout with (format csv, delimiter ';')")
    with psycopg.connect(checks.conninfo) as connection, connection.cursor().copy(sql) as copy:
        published = b"".join(bytes(block) for block in copy).decode()
    checks.equal("psql", "objects", open(f"{place}/objects.csv", encoding="utf8").read(), published)


READERS = [pycocotools, ultralytics, supervision, label_studio, hugging_face, datumaro, lvis, duckdb, pyarrow, objaverse]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glossctl", default=f"{ROOT}/.build/debug/glossctl")
    parser.add_argument("--reader", action="append", help="only this reader; those that read what another one exported need it too")
    parser.add_argument("--rows", type=int, help="measure this many results in place of asking readers")
    parser.add_argument("--repeat", type=int, default=3, help="of measurements; the best counts")
    parser.add_argument("--keep", action="store_true", help="keep what was written, and say where")
    arguments = parser.parse_args()
    if arguments.rows:
        import scale
        return scale.measure(os.path.abspath(arguments.glossctl), arguments.rows, arguments.repeat)
    folder = tempfile.mkdtemp(prefix="gloss-exports.")
    server = Server(os.path.abspath(arguments.glossctl), f"{ROOT}/migrations")
    try:
        conninfo = f"host={server.folder} user=postgres dbname=bench"
        pictures = drawn.draw(f"{folder}/pictures")
        with psycopg.connect(conninfo, autocommit=True) as connection:
            drawn.fill(connection, pictures, OBJECTS)
        checks = Checks(os.path.abspath(arguments.glossctl), folder, conninfo, pictures)
        for reader in READERS:
            if arguments.reader and reader.__name__ not in arguments.reader:
                continue
            before = len(checks.failures)
            try:
                reader(checks)
            except Exception as problem:
                checks.failures.append(f"{reader.__name__}: {type(problem).__name__}: {problem}")
                if arguments.keep:
                    import traceback
                    traceback.print_exc()
            print(f"{reader.__name__}: {len(checks.failures) - before} failures", flush=True)
    finally:
        server.stop()
        if arguments.keep:
            print(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for reader, count in checks.counts.items():
        print(f"  {reader}: {count:,} comparisons")
    for line in checks.skipped:
        print(f"  skipped: {line}")
    shown = {}
    for line in checks.failures:
        reader = line.split(":")[0]
        shown[reader] = shown.get(reader, 0) + 1
        if shown[reader] <= 5:
            print(f"  {line}")
    total = sum(checks.counts.values())
    print(f"check-exports: {len(pictures)} pictures, {len(checks.counts)} readers, {total:,} comparisons, {len(checks.failures)} failures")
    sys.exit(1 if checks.failures else 0)


main()
