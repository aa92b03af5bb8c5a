"""Evaluate the demo's results against its manifest, with glossctl, and print one table.

    python3 demo/evaluate.py GLOSSCTL [--batch demo]      the database is that of GLOSS_DATABASE, or of PG* variables
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))


def name(scene):
    return re.search("scene-[0-9]+", scene["file"])[0]


def phrase(thing):
    return f"{'an' if thing['colour'][0] in 'aeiou' else 'a'} {thing['colour']} {thing['name']}"


def ground_truth(scenes, suffix=""):
    """What was asked for in each scene, the first two things, in COCO's format. The jobs' keys are the files' names."""
    names = sorted({thing["name"] for scene in scenes for thing in scene["objects"]})
    images, annotations = [], []
    for number, scene in enumerate(scenes, 1):
        width, height = scene["width"], scene["height"]
        images.append(dict(id=number, file_name=name(scene) + suffix, width=width, height=height))
        for thing in scene["objects"][:2]:
            y1, x1, y2, x2 = thing["box"]
            box = [x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height]
            annotations.append(dict(
                id=len(annotations) + 1, image_id=number, category_id=names.index(thing["name"]) + 1, bbox=box,
                area=box[2] * box[3], iscrowd=0, segmentation=dict(size=[height, width], counts=thing["mask"])))
    categories = [dict(id=number, name=each) for number, each in enumerate(names, 1)]
    return dict(images=images, annotations=annotations, categories=categories)


def labels(manifest):
    """Labels by the name of what they are for, as rows."""
    scenes = manifest["scenes"]
    caption = {name(s): next(q["answer"] for q in s["questions"] if q["task"] == "caption") for s in scenes}
    return dict(
        captions=[dict(key=key, answers=[text]) for key, text in caption.items()],
        boxed=[dict(key=name(s) + "/box", answers=[phrase(s["objects"][-1])]) for s in scenes],
        vqa=[dict(key=f"{name(s)}/{what}", image=name(s), question=what, answers=[answer]) for s in scenes
             for what, answer in (("count", str(len(s["objects"]))), ("colour", s["objects"][0]["colour"]))],
        choice=[dict(key=name(s) + "/star", answers=["yes" if any(o["name"] == "star" for o in s["objects"]) else "no"])
                for s in scenes],
        single=[dict(key=name(s) + "/mask", box=s["objects"][0]["box"],
                     mask=dict(size=[s["height"], s["width"]], counts=s["objects"][0]["mask"]))
                for s in scenes if len(s["objects"]) == 1],
        objects=[dict(key=re.search("obj-[0-9]+", o["folder"])[0], answers=[o["name"]]) for o in manifest["objects"]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("glossctl")
    parser.add_argument("--batch", default="demo")
    args = parser.parse_args()
    with open(f"{FOLDER}/manifest.json") as f:
        manifest = json.load(f)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for key, value in labels(manifest).items():
            with open(f"{folder}/{key}.jsonl", "w") as f:
                f.writelines(json.dumps(row) + "\n" for row in value)
        for kind, suffix in (("boxes", ""), ("masks", "/mask")):
            with open(f"{folder}/{kind}.json", "w") as f:
                json.dump(ground_truth(manifest["scenes"], suffix), f)
        for title, metric, task, source, figures in [
                ("captions", "caption", "caption", "captions.jsonl", ["CIDEr-D", "BLEU-4"]),
                ("captions, word by word", "exact", "caption", "captions.jsonl", ["accuracy"]),
                ("captions of a box", "exact", "caption", "boxed.jsonl", ["accuracy"]),
                ("VQA: how many, what colour", "exact", "vqa", "vqa.jsonl", ["accuracy"]),
                ("choice: is there a star?", "exact", "choice", "choice.jsonl", ["accuracy"]),
                ("boxes", "coco", "detect", "boxes.json", ["AP", "AP50"]),
                ("masks", "coco-masks", "segment", "masks.json", ["AP", "AP50"]),
                ("masks of single things", "refcoco", "segment", "single.jsonl", ["mIoU", "cIoU"]),
                ("objects (ScoreAgg)", "objaverse", "multiview", "objects.jsonl", ["top-1", "mass"])]:
            line = [args.glossctl, "evaluate", metric, "--batch", args.batch, "--task", task, "--json",
                    "--gt" if source.endswith(".json") else "--labels", f"{folder}/{source}"]
            run = subprocess.run(line, stdout=subprocess.PIPE, text=True)
            if run.returncode:
                sys.exit(run.returncode)
            report = json.loads(run.stdout)
            missing = sum(g["count"] for g in report["not_scored"] if g["reason"].endswith("without a result"))
            for figure in report["figures"]:
                if figure["name"] in figures:
                    interval = f"{figure['low']:.3f} … {figure['high']:.3f}" if "low" in figure else ""
                    rows.append((title, figure["name"], f"{figure['value']:.3f}", interval, str(report["n"]), str(missing)))
    heading = ("what", "figure", "value", "95 % interval", "n", "no result")
    widths = [max(len(row[column]) for row in [heading, *rows]) for column in range(len(heading))]
    for row in [heading, *rows]:
        cells = [text.ljust(width) if column in (0, 1, 3) else text.rjust(width)
                 for column, (text, width) in enumerate(zip(row, widths))]
        print("  " + "  ".join(cells).rstrip())


if __name__ == "__main__":
    main()
