"""Accuracy of a trained folder by Hugging Face's model and processor, in f32. No training code runs.

    python -m shapes.evaluate FOLDER [--scenes 600]            # held-out renders, a table by task and kind of scene
    python -m shapes.evaluate FOLDER --demo demo/manifest.json # the demo's images, resized by the processor
    python -m shapes.evaluate FOLDER --demo … --samples 5      # also sampled responses, at temperature 1
"""
import argparse
import collections
import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import torch
from PIL import Image

from pixels import paste

from .geometry import SOLIDS
from .masks import MaskDecoder, overlap
from .render import sample_scene, silhouette, training_view
from .tasks import VIEW_QUESTIONS, describe, judge, questions

MASK_SIDE = 256  # masks are compared at this many pixels a side
SEED = 20_000_000  # training uses small seeds, the demo 30_000_000, hard scenes 40_000_000, masks 50_000_000


class Subject:
    """The model of a folder, loaded like any PaliGemma."""

    def __init__(self, folder):
        from transformers import PaliGemmaForConditionalGeneration, PaliGemmaProcessor
        self.processor = PaliGemmaProcessor.from_pretrained(folder)
        self.model = PaliGemmaForConditionalGeneration.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float32).eval()

    @torch.no_grad()
    def answer(self, asked, **how):
        """Responses to (image, prompt) pairs, in one padded batch; greedy by default."""
        x = self.processor(images=[[i] for i, _ in asked], text=["<image>" + p for _, p in asked],
                           return_tensors="pt", padding="longest")
        x.pop("labels", None)
        assert "token_type_ids" in x  # without them the prefix would be causal
        out = self.model.generate(**x, max_new_tokens=60, **dict(dict(do_sample=False), **how))
        return self.processor.tokenizer.batch_decode(out[:, x["input_ids"].shape[1]:], skip_special_tokens=True)


class Scores:
    """Right responses, by task and by group of scenes."""

    def __init__(self):
        self.right = collections.defaultdict(list)
        self.overlap = collections.defaultdict(list)

    def add(self, task, groups, right, overlap):
        for g in groups:
            self.right[task, g].append(right)
            if overlap is not None:
                self.overlap[task, g].append(overlap)

    def table(self, groups):
        tasks = list(dict.fromkeys(t for t, _ in self.right))
        lines = ["| | n | " + " | ".join(groups) + " |", "|---|---" + "|---" * len(groups) + "|"]
        for kind, scores in (("", self.right), ("mean IoU of ", self.overlap)):
            for t in tasks:
                if (t, groups[0]) in scores:
                    cells = [f"{np.mean(scores[t, g]):.3f}" if (t, g) in scores else "–" for g in groups]
                    lines.append(f"| {kind}{t} | {len(scores[t, groups[0]])} | " + " | ".join(cells) + " |")
        return "\n".join(lines)


def mask_overlap(decoder, items):
    """The IoU of a parsed answer's mask with the silhouette of the drawn item that it should show."""
    silhouettes = {i.name: silhouette(i, MASK_SIDE, MASK_SIDE) for i in items}

    def of(wanted, given):
        box, codes, _ = given
        mask = paste(decoder(codes), box, MASK_SIDE, MASK_SIDE) if codes else None
        return 0.0 if mask is None else overlap(mask, silhouettes[wanted[2]])
    return of


def held_out(subject, count, side, decoder):
    """Scenes of the training mix, from seeds that training does not use."""
    rng, scores, mistakes = np.random.default_rng(SEED - 1), Scores(), []
    kinds = collections.Counter()
    for start in range(0, count, 8):
        asked = []
        for i in range(start, min(start + 8, count)):
            own = np.random.default_rng(SEED + i)
            scene = sample_scene(own)
            image = Image.fromarray(training_view(own, scene, side))
            objects = describe(scene.items)
            groups = ["all", f"{len(objects)} object" + ("s" if len(objects) > 1 else ""),
                      "solid" if objects[0]["name"] in SOLIDS else "flat"]
            kinds.update(groups)
            masks = mask_overlap(decoder, scene.items)
            asked += [(i, image, groups, masks, q) for q in questions(objects, rng, plain=True)]
        answers = subject.answer([(image, q[1]) for _, image, _, _, q in asked])
        for (i, _, groups, masks, (task, prompt, want)), got in zip(asked, answers):
            right, iou = judge(task, want, got, masks) if task.startswith("segment") else judge(task, want, got)
            scores.add(task, groups, right, iou)
            if not right:
                mistakes.append((SEED + i, prompt, want, got))
    print("scenes:", dict(kinds))
    print(scores.table(["all", "1 object", "2 objects", "3 objects", "solid", "flat"]))
    return mistakes


def demo(subject, path, samples):
    """The demo's scenes and turned objects, from their files. Of a segmentation, the box is judged."""
    with open(path) as f:
        manifest = json.load(f)
    folder, scores, mistakes = os.path.dirname(path), Scores(), []
    for scene in manifest["scenes"]:
        image = Image.open(f"{folder}/{scene['file']}").convert("RGB")
        answers = subject.answer([(image, q["prompt"]) for q in scene["questions"]])
        for q, got in zip(scene["questions"], answers):
            right, iou = judge(q["task"], q["answer"], got)
            scores.add(q["task"], ["scenes"], right, iou)
            if not right:
                mistakes.append((scene["file"], q["prompt"], q["answer"], got))
    print(scores.table(["scenes"]))
    for obj in manifest["objects"]:
        images = [Image.open(f"{folder}/{v['file']}").convert("RGB") for v in obj["views"]]
        asked = [(i, "answer en " + q) for i in images for q in VIEW_QUESTIONS]
        found = collections.Counter(subject.answer(asked))
        print(obj["folder"], f"{obj['colour']} {obj['name']}:", dict(found.most_common()))
        if samples:
            torch.manual_seed(0)
            drawn = collections.Counter()
            for _ in range(samples):
                drawn.update(subject.answer(asked, do_sample=True, temperature=1.0, top_k=0))
            print("   sampled:", dict(drawn.most_common(8)))
    return mistakes


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--demo", default="")
    parser.add_argument("--samples", type=int, default=0)
    parser.add_argument("--mistakes", type=int, default=0, help="how many to print")
    args = parser.parse_args()
    torch.set_num_threads(1)
    subject = Subject(args.folder)
    if args.demo:
        mistakes = demo(subject, args.demo, args.samples)
    else:
        decoder = MaskDecoder(f"{args.folder}/mask-decoder.safetensors")
        mistakes = held_out(subject, args.scenes, subject.model.config.vision_config.image_size, decoder)
    for m in mistakes[:args.mistakes]:
        print(*m, sep=" | ")


if __name__ == "__main__":
    main()
