"""Train gloss-shapes on a CPU core or two.

    python -m shapes.train --out FOLDER --state STATE.pt --minutes 40            # from nothing
    python -m shapes.train --out FOLDER --state STATE.pt --minutes 40 --resume   # go on from STATE.pt
    python -m shapes.train --out FOLDER --state STATE.pt --minutes 40 --start OLD  # go on from a saved folder's weights

The time is wall-clock time. First the vision tower learns alone, from a dense helper loss. Then all weights learn
from prompts and responses. FOLDER becomes a Hugging Face checkpoint in bf16 with the published names. STATE.pt holds
what training needs to continue: f32 weights, the helper's head, the optimisers. masks.py makes ENCODER.pt first.
"""
import argparse
import json
import os
import shutil
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
import sentencepiece
import torch
from torch import nn

from .hard import spoilt
from .helpers import Muon, PatchHead, SoftTokens, patch_labels
from .masks import label, load_encoder
from .model import Dims, ShapesModel, stack
from .render import COUNTS, sample_scene, training_view
from .tasks import corpus, describe, mirrored, questions
from .tokenizer import padded_vocabulary, save_processor, train_tokenizer

WEIGHTS = {"caption": 1.2, "what": 0.6, "type": 0.5, "image": 0.6, "describe": 0.5, "colour": 1.0, "count": 0.6,
           "is there": 0.7, "detect": 1.6, "detect two": 2.5, "detect absent": 0.5, "detect one of two": 0.5,
           "box caption": 0.8, "segment": 1.6, "segment two": 1.6, "segment absent": 0.3, "segment one of two": 0.4}


def labelled(items, encoder):
    """The objects of a drawn scene, with the code words of their masks."""
    return [dict(o, codes=codes, mirror_codes=mirror)
            for o, (codes, mirror) in zip(describe(items), label(encoder, items))]


class Data:
    """Rendered scenes, each also used as its mirror image."""

    def __init__(self, count, seed, side, patches, mix, hard, encoder):
        rng = np.random.default_rng(seed)
        self.rng, self.patches = rng, patches
        self.images = np.empty((count, side, side, 3), np.uint8)
        self.objects, self.labels = [], []
        for i in range(count):
            scene = sample_scene(rng, 1 + int(rng.choice(3, p=mix)))
            spoil = (lambda image: spoilt(image, describe(scene.items), rng)) if rng.random() < hard else None
            self.images[i] = training_view(rng, scene, side, spoil)
            self.objects.append(labelled(scene.items, encoder))
            self.labels.append(patch_labels(self.objects[-1], patches))
        self.order, self.at = rng.permutation(count), 0

    def batch(self, size):
        """(u8 images, objects, labels) of the next scenes, with random contrast and brightness."""
        if self.at + size > len(self.order):
            self.order, self.at = self.rng.permutation(len(self.order)), 0
        chosen = self.order[self.at:self.at + size]
        self.at += size
        images, objects, labels = [], [], []
        for i in chosen:
            image, here, label = self.images[i], self.objects[i], self.labels[i]
            if self.rng.random() < 0.5:
                image, here = image[:, ::-1], mirrored(here)
                label = patch_labels(here, self.patches)
            images.append(image), objects.append(here), labels.append(label)
        gain = self.rng.uniform(0.9, 1.1, (size, 1, 1, 1)).astype(np.float32)
        shift = self.rng.uniform(-10, 10, (size, 1, 1, 1)).astype(np.float32)
        u8 = (np.stack(images).astype(np.float32) * gain + shift).clip(0, 255).astype(np.uint8)
        return torch.from_numpy(u8), objects, [stack(c) for c in zip(*labels)]


class Prompts:
    """Token ids of prompts (BOS, text, line feed) and answers (text, EOS)."""

    def __init__(self, tokenizer):
        self.tokenizer, self.known = tokenizer, {}

    def prompt(self, text):
        if text not in self.known:
            self.known[text] = [2] + self.tokenizer.encode(text) + self.tokenizer.encode("\n")
        return self.known[text]

    def rows(self, objects, rng, per_image, several):
        """(image index, prompt ids, response ids) of some questions about each image. `several`: how much likelier
        "colour" and "detect" are for scenes of several objects."""
        out = []
        for i, scene in enumerate(objects):
            asked = questions(scene, rng)
            weight = np.array([WEIGHTS[t] * (several.get(t, 1) if len(scene) > 1 else 1) for t, _, _ in asked])
            for k in rng.choice(len(asked), size=min(per_image, len(asked)), replace=False, p=weight / weight.sum()):
                out.append((i, self.prompt(asked[k][1]), self.tokenizer.encode(asked[k][2]) + [1]))
        return out


class Optimisers:
    """Muon on the hidden matrices, AdamW on the rest, under one schedule."""

    def __init__(self, model, head, lr, muon):
        hidden = [p for part in (model.vision, model.text) for p in part.parameters() if p.ndim == 2]
        known = {id(p) for p in hidden}
        self.rest = [p for p in [*model.parameters(), *head.parameters()] if id(p) not in known]
        groups = [dict(params=[p for p in self.rest if p.ndim > 1], weight_decay=0.02),
                  dict(params=[p for p in self.rest if p.ndim < 2], weight_decay=0.0)]
        self.all = [torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98)), Muon(hidden, lr=muon)]
        self.base = [[g["lr"] for g in o.param_groups] for o in self.all]

    def step(self, loss, rate):
        for o, base in zip(self.all, self.base):
            for g, lr in zip(o.param_groups, base):
                g["lr"] = lr * rate
            o.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.rest, 1.0)
        for o in self.all:
            o.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("--encoder", required=True, help="of the mask code words, by masks.py")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--start", default="", help="a saved folder: its weights and tokenizer, not its optimisers")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=30000)
    parser.add_argument("--mix", type=float, nargs=3, default=COUNTS, help="shares of scenes with 1, 2 and 3 objects")
    parser.add_argument("--hard", type=float, default=0, help="share of blurred, noisy, pale or covered scenes")
    parser.add_argument("--several", type=float, nargs=2, default=(2, 2), metavar=("COLOUR", "DETECT"),
                        help="how much likelier these questions are for scenes of several objects")
    parser.add_argument("--batch", type=int, default=16, help="images a step")
    parser.add_argument("--per-image", type=int, default=4, help="prompts an image")
    parser.add_argument("--vision-share", type=float, default=0.3, help="share of the time for the vision tower alone")
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--muon", type=float, default=0.02)
    parser.add_argument("--peak", type=float, default=1.0, help="factor on both learning rates")
    parser.add_argument("--floor", type=float, default=0.02, help="where the factor ends")
    parser.add_argument("--sigma", type=float, default=8.0)
    parser.add_argument("--helper", type=float, default=0.5, help="weight of the helper loss in the second part")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="autocast; not faster on every processor")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    os.makedirs(args.out, exist_ok=True)

    path = f"{args.out}/tokenizer.model"
    if args.start:
        shutil.copyfile(f"{args.start}/tokenizer.model", path)
    elif not args.resume:
        with open(path, "wb") as f:
            f.write(train_tokenizer(corpus(), 640))
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=path)
    pieces, first = tokenizer.get_piece_size(), tokenizer.piece_to_id("<loc0000>")
    dims, prompts = Dims(), Prompts(tokenizer)
    model, head = ShapesModel(dims, padded_vocabulary(pieces), first), PatchHead(dims.vision_width)
    count = sum(p.numel() for p in model.parameters())
    print(f"{count} parameters, {pieces} pieces of which {first} are words", flush=True)

    began, cpu = time.time(), time.process_time()
    encoder = load_encoder(args.encoder)
    data = Data(args.images, args.seed + 1, dims.image, dims.side, args.mix, args.hard, encoder)
    print(f"rendered {args.images} images in {time.time() - began:.0f} s", flush=True)

    opt = Optimisers(model, head, args.lr, args.muon)
    log = []
    if args.resume:
        state = torch.load(args.state)
        model.load_state_dict(state["model"]), head.load_state_dict(state["head"])
        for o, s in zip(opt.all, state["optimisers"]):
            o.load_state_dict(s)
        log = state["log"]
    elif args.start:
        model.load(args.start)
    else:
        model.whiten(torch.from_numpy(data.images[:1500]))

    def keep():
        torch.save(dict(model=model.state_dict(), head=head.state_dict(), optimisers=[o.state_dict() for o in opt.all],
                        log=log), args.state)

    soft, rng = SoftTokens(first, args.sigma, encoder.codebook), np.random.default_rng(args.seed + 2)
    several = dict(zip(("colour", "detect"), args.several))
    budget, step, recent, kept = args.minutes * 60, 0, [], 0
    vision_share = 0 if args.resume or args.start else args.vision_share
    while (spent := time.time() - began) < budget:
        done = spent / budget
        rate = args.peak * min(1, (step + 1) / 100) * (args.floor + (1 - args.floor) * min(1, (1 - done) / 0.6))
        alone = done < vision_share
        u8, objects, labels = data.batch(args.batch * (4 if alone else 1))
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            features, seen = model.see(u8)
        helper, right, off = head.loss(seen.float(), labels)
        if alone:
            opt.step(helper, rate)
            line = dict(helper=helper.item(), patches_right=right.item(), box_error=off.item())
        else:
            rows = prompts.rows(objects, rng, args.per_image, several)
            prefix = torch.tensor([len(p) for _, p, _ in rows])
            total = torch.tensor([len(p) + len(a) for _, p, a in rows])
            ids = torch.zeros(len(rows), int(total.max()), dtype=torch.long)
            for i, (_, p, a) in enumerate(rows):
                ids[i, :len(p) + len(a)] = torch.tensor(p + a)
            with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                hidden = model.read(features[[i for i, _, _ in rows]], ids[:, :-1], prefix, total)
                at = torch.arange(ids.shape[1] - 1)[None]
                answers = (at >= prefix[:, None] - 1) & (at < total[:, None] - 1)
            logits = hidden[answers].float() @ model.embedding.T
            losses, where, words = soft(logits, ids[:, 1:][answers])
            weight = torch.where(where, 0.5, torch.where(words, 0.35, 1.0))
            opt.step((losses * weight).sum() / weight.sum() + args.helper * helper, rate)
            means = {name: float(losses[which].detach().mean())
                     for name, which in (("text", ~where & ~words), ("words", words), ("location", where))}
            line = dict(means, patches_right=right.item())
        step += 1
        recent.append(line)
        if step % 100 == 0:
            names = recent[-1].keys()
            mean = {k: round(float(np.nanmean([r[k] for r in recent if k in r])), 4) for k in names}
            log.append(dict(step=step, seconds=round(spent), cpu_seconds=round(time.process_time() - cpu), rate=round(rate, 3), **mean))
            print(log[-1], flush=True)
            recent = []
        if spent - kept > 300:
            kept = spent
            keep()

    log.append(dict(step=step, minutes=args.minutes, cpu_seconds=round(time.process_time() - cpu)))
    print(log[-1], flush=True)
    keep()
    model.save(args.out, pieces)
    save_processor(args.out, dims.image, dims.patch)
    with open(args.state + ".log.json", "w") as f:
        json.dump(dict(arguments=vars(args), parameters=count, log=log), f, indent=1)


if __name__ == "__main__":
    main()
