"""What the scores of boxes are worth: on hard scenes, is a box with the score s right in a share s of all cases?

    python check_boxes.py MODEL [--glossctl ../.build/release/glossctl] [--scenes 2400] [--rounds 1] [--absent 0.15]
    python check_boxes.py MODEL --expectation 600    # by Hugging Face's model: are expected coordinates better?

A box is right if it overlaps the thing of its label by an IoU of 0.5 or more, and no box before it does. Scores are
compared with √(geometric mean of the locations' probabilities × that of the label's), which takes exact bins for all
there is. Needs numpy, pillow, sentencepiece and pycocotools; --expectation needs torch and transformers.
"""
import argparse
import collections
import contextlib
import io
import json
import os
import subprocess
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np

from shapes.hard import ABSENT_SHARE, SEED, hard_scene
from shapes.render import SHAPES
from shapes.tasks import iou

BINS = 15
KINDS = ["covered", "pale", "blurred", "noisy"]


class Tokens:
    """Which ids are locations, codes and separators."""

    def __init__(self, model):
        import sentencepiece
        pieces = sentencepiece.SentencePieceProcessor(model_file=f"{model}/tokenizer.model")
        self.first, self.count = pieces.piece_to_id("<loc0000>"), pieces.get_piece_size()
        self.separators = {i for i in range(self.count) if pieces.id_to_piece(i).lstrip("▁") == ";"}

    def is_location(self, id):
        return self.first <= id < self.first + 1024

    def boxes(self, ids):
        """(index of the first location, range of the label's tokens) of each box with an area."""
        found, at = [], 0
        while at + 4 <= len(ids):
            if not all(map(self.is_location, ids[at:at + 4])):
                at += 1
                continue
            label = at + 4
            while label < len(ids) and self.first + 1024 <= ids[label] < self.first + 1152:
                label += 1  # codes of an outline
            end = label
            while end < len(ids) and not self.is_location(ids[end]) and ids[end] != 1 and ids[end] not in self.separators:
                end += 1
            y1, x1, y2, x2 = ids[at:at + 4]
            if y2 > y1 and x2 > x1:
                found.append((at, range(label, end)))
            at = end
        return found


def exact_bins(at, label, logprobs):
    """The score of the locations' and the label's own probabilities."""
    place = np.mean(logprobs[at:at + 4])
    return float(np.exp((place + (np.mean([logprobs[i] for i in label]) if label else place)) / 2))


def right(boxes, things):
    """[(IoU, whether it is right)] of boxes (label, box), in order."""
    free, out = {o["name"]: o["box"] for o in things}, []
    for label, box in boxes:
        overlap = iou(free[label], box) if label in free else 0.0
        out.append((overlap, overlap >= 0.5))
        if overlap >= 0.5:
            del free[label]
    return out


def scene(args, index):
    return hard_scene(SEED + index, absent_share=args.absent, rounds=args.rounds)


def ask(args, folder, index):
    """A scene, and what glossctl says of it."""
    image, prompt, things, kinds = scene(args, index)
    path = f"{folder}/{index}.png"
    image.save(path)
    command = [args.glossctl, "infer", "--model", args.model, "--prompt", prompt, "--json", "--threads", "1", path]
    response = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    os.remove(path)
    return things, kinds, response


def calibration_error(scores, is_right):
    """Expected calibration error over bins of the same width."""
    at = np.minimum((scores * BINS).astype(int), BINS - 1)
    return sum(abs(scores[at == i].sum() - is_right[at == i].sum()) for i in range(BINS)) / len(scores)


def separation(scores, is_right):
    """Area under the ROC curve; equal scores count half."""
    if is_right.all() or not is_right.any():
        return float("nan")
    high, low = scores[is_right], np.sort(scores[~is_right])
    below, upto = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return float((below + upto).mean() / 2 / len(low))


def average_precision(scenes, found, scores):
    """mAP at IoU 0.50 to 0.95 by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def corners(box):
        y1, x1, y2, x2 = (1000 * v for v in box)
        return [x1, y1, x2 - x1, y2 - y1]

    truth = []
    for image, things in enumerate(scenes):
        for o in things:
            box = corners(o["box"])
            truth.append(dict(id=len(truth) + 1, image_id=image, category_id=SHAPES.index(o["name"]), bbox=box,
                              area=box[2] * box[3], iscrowd=0))
    results = [dict(image_id=image, category_id=SHAPES.index(label), bbox=corners(box), score=score)
               for (image, label, box), score in zip(found, scores) if label in SHAPES]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = dict(info={}, images=[dict(id=i) for i in range(len(scenes))], annotations=truth,
                            categories=[dict(id=i, name=s) for i, s in enumerate(SHAPES)])
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate(), evaluation.accumulate(), evaluation.summarize()
    return float(evaluation.stats[0])


def judge(args):
    tokens = Tokens(args.model)
    scenes, found, overlaps, rows = [], [], [], []
    groups = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for index in range(args.scenes):
            things, kinds, response = ask(args, folder, index)
            scenes.append(things)
            boxes = [(b["label"], b["box"]) for b in response["boxes"]]
            places = tokens.boxes(response["tokens"])
            assert len(places) == len(boxes), (index, response)
            for (label, box), given, (at, name), (overlap, is_right) in zip(
                    boxes, response["boxes"], places, right(boxes, things)):
                present = any(o["name"] == label for o in things)
                for group in (kinds or ["nothing"]) if present else ["absent"]:
                    groups[group].append(len(rows))
                rows.append((given["score"], exact_bins(at, name, response["logprobs"]), is_right))
                found.append((index, label, box))
                if present:
                    overlaps.append(overlap)
    score, old, is_right = (np.array(c) for c in zip(*rows))
    is_right = is_right.astype(bool)
    thing_count = sum(map(len, scenes))
    print(f"{args.scenes} scenes with {thing_count} things; {len(rows)} boxes, {is_right.mean():.3f} of them right; "
          f"mean IoU {np.mean(overlaps):.4f}\n")
    print("| score | mean | calibration error | AUROC | mAP@[.50:.95] |\n|---|---|---|---|---|")
    for name, s in (("box", score), ("exact bins", old)):
        print(f"| {name} | {s.mean():.3f} | {calibration_error(s, is_right):.3f} | {separation(s, is_right):.3f} | "
              f"{average_precision(scenes, found, s):.3f} |")
    print("\n| score from | boxes | mean | right |\n|---|---|---|---|")
    for low in range(10):
        here = np.minimum((score * 10).astype(int), 9) == low
        if here.any():
            print(f"| {low / 10:.1f} | {here.sum()} | {score[here].mean():.3f} | {is_right[here].mean():.3f} |")
    print("\n| what is hard | boxes | mean | right | calibration error | AUROC |\n|---|---|---|---|---|---|")
    for group in ["nothing"] + KINDS + ["absent"]:
        if at := groups[group]:
            print(f"| {group} | {len(at)} | {score[at].mean():.3f} | {is_right[at].mean():.3f} | "
                  f"{calibration_error(score[at], is_right[at]):.3f} | {separation(score[at], is_right[at]):.3f} |")


def expectation(args):
    """Mean IoU by the likeliest locations and by the mean of those near them, from whole distributions."""
    import torch
    from shapes.evaluate import Subject
    torch.set_num_threads(1)
    subject, tokens, reach = Subject(args.model), Tokens(args.model), 24
    overlaps = []
    for start in range(0, args.expectation, 16):
        asked = [scene(args, i) for i in range(start, min(start + 16, args.expectation))]
        x = subject.processor(images=[[a[0]] for a in asked], text=["<image>" + a[1] for a in asked],
                              return_tensors="pt", padding="longest")
        x.pop("labels", None)
        with torch.no_grad():
            out = subject.model.generate(**x, max_new_tokens=64, do_sample=False, output_logits=True,
                                         return_dict_in_generate=True)
        for row, (_, _, things, _) in enumerate(asked):
            ids = out.sequences[row, x["input_ids"].shape[1]:].tolist()
            for at, name in tokens.boxes(ids):
                label = subject.processor.tokenizer.decode([ids[i] for i in name]).strip()
                likeliest = np.array(ids[at:at + 4]) - tokens.first
                mean = []
                for i, centre in enumerate(likeliest):
                    near = np.arange(max(0, centre - reach), min(1023, centre + reach) + 1)
                    weights = torch.softmax(out.logits[at + i][row].float(), -1)[tokens.first + near].numpy()
                    mean.append((weights * near).sum() / weights.sum())
                overlaps += [(iou(o["box"], likeliest / 1023), iou(o["box"], np.array(mean) / 1023))
                             for o in things if o["name"] == label]
    before, after = np.mean(overlaps, axis=0)
    print(f"{len(overlaps)} boxes: mean IoU by the likeliest locations {before:.4f}, by the mean of those within "
          f"{reach} {after:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--glossctl", default=os.path.join(os.path.dirname(__file__), "../.build/release/glossctl"))
    parser.add_argument("--scenes", type=int, default=2400)
    parser.add_argument("--absent", type=float, default=ABSENT_SHARE, help="share of absent things among those asked for")
    parser.add_argument("--rounds", type=int, default=1, help="how often each scene is damaged: the more, the harder")
    parser.add_argument("--expectation", type=int, default=0, metavar="SCENES")
    args = parser.parse_args()
    expectation(args) if args.expectation else judge(args)


if __name__ == "__main__":
    main()
