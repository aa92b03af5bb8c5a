"""Compare int8 schemes: emulates a quantised PaliGemma on held-out scenes and prints tables.

    python reference/quantisation.py [--scenes 600] [--only bf16|int8|planted]

The weights of the file are bf16. An int8 GEMM is emulated by the f32 product of dequantised operands. Exact int32 dot
products scaled in f32 differ from that product by f32 rounding only (quantised_gemm.py checks it). Activations are
quantised a row at a time, symmetrically to [-127, 127], by the greatest magnitude of the row or of its group. Weights
are quantised in the same way, ahead of time. The residual stream, norms, softmax and GELU stay f32. Keys, values,
queries and attention probabilities stay bf16.

Accuracy is judged as in shapes/evaluate.py. Log-probabilities are those of the tokens (EOS included) in the greedy
response of f32 arithmetic, by teacher forcing. quantised_gemm.py compares single GEMMs. Needs torch and sentencepiece.
"""
import argparse
import collections
import json
import math
import os
from dataclasses import dataclass, field

os.environ.setdefault("OMP_NUM_THREADS", "2")
import numpy as np
import sentencepiece
import torch
import torch.nn.functional as F

from check import text_of
from checkpoint import load_weights
from shapes.evaluate import SEED
from shapes.render import sample_scene, training_view
from shapes.tasks import describe, judge, questions

FOLDER = os.path.join(os.path.dirname(__file__), "..", "models", "gloss-shapes")
EOS, BOS, LIMIT = 1, 2, 24
EMBEDDING, PATCH = "language_model.embed_tokens", "vision_tower.embeddings.patch_embedding"
TASKS = ("caption", "what", "image", "colour", "count", "detect", "detect two")
CLIPS = (1.0, 0.97, 0.94, 0.9, 0.85, 0.8, 0.75, 0.7)


def grouped(x, group):
    """(…, K) -> (…, groups, group), padded with zeros. Group 0 means all of K."""
    k = x.shape[-1]
    group = min(group or k, k)
    return F.pad(x, (0, -k % group)).unflatten(-1, (-1, group))


def rounded(x, scale):
    return (x / scale).round().clamp(-127, 127) * scale


def quantised(x, group, clip=False, outliers=0.0, spread=False):
    """x rounded to int8 and back. `clip` takes, in each group, the ratio of CLIPS with the least squared error.

    `outliers` emulates two more channels of so many times the row's root mean square. Their weights are zero, so they
    only widen the scale of their groups. With `spread`, rotation spreads them over a row of 2048, and they widen the
    scale of the row."""
    parts = grouped(x, group)
    greatest = parts.abs().amax(-1, keepdim=True)
    if spread:
        greatest = greatest + 2 * outliers / 2048 ** 0.5 * x.square().mean(-1, keepdim=True)[..., None].sqrt()
    elif outliers:
        count, rms = parts.shape[-2], x.square().mean(-1, keepdim=True)[..., None].sqrt()
        for at in {0, count // 2}:
            greatest[..., at:at + 1, :] = torch.maximum(greatest[..., at:at + 1, :], outliers * rms)
    scale = torch.where(greatest > 0, greatest / 127, torch.ones_like(greatest))
    best = rounded(parts, scale)
    if clip:
        least = (best - parts).square().sum(-1, keepdim=True)
        for ratio in CLIPS[1:]:
            other = rounded(parts, scale * ratio)
            error = (other - parts).square().sum(-1, keepdim=True)
            best, least = torch.where(error < least, other, best), torch.minimum(error, least)
    return best.flatten(-2)[..., :x.shape[-1]]


def rotated(x):
    """x (..., K) times an orthogonal matrix. It has one Hadamard block a power of two in K, the greatest first."""
    parts, first = [], 0
    for bit in reversed(range(x.shape[-1].bit_length())):
        if n := x.shape[-1] & 1 << bit:
            part, h = x[..., first:first + n], 1
            while h < n:
                a, b = part.unflatten(-1, (-1, 2, h)).unbind(-2)
                part, h = torch.stack([a + b, a - b], -2).flatten(-3), 2 * h
            parts.append(part * n ** -0.5)
            first += n
    return torch.cat(parts, -1)


def bf16(x):
    return x.bfloat16().float()


@dataclass(frozen=True)
class Scheme:
    """How operands are rounded. `weights` and `inputs` are "bf16", or the size of the groups of K that share an int8
    scale (0: all of K). With `parts` they are the number of groups instead, as many as the K of a real model has.
    Matrices whose name contains a string of `keep` stay bf16 x bf16."""
    name: str
    weights: object = "bf16"
    inputs: object = "bf16"
    clip: bool = False
    keep: tuple = ()
    rotate: bool = False  # multiply weights and inputs by Hadamard's matrix along K
    lookup: bool = False  # embed tokens from the int8 table, too
    parts: bool = False
    outliers: float = 0.0
    narrow: tuple = ("inputs", "heads", "cache", "shares")  # what is rounded to bf16; shares: softmax
    wide: str = "none"  # matrices whose name contains this have f32 inputs

    def group(self, size, k):
        """The size of a group of K. 0 stays 0. With `parts`, `size` is the number of groups."""
        return -(-k // size) if self.parts and size else size


@dataclass
class Model:
    """PaliGemma in batches of prompts of equal length, without padding. It computes what paligemma.py computes."""
    scheme: Scheme
    source: dict
    config: dict
    ready: dict = field(default_factory=dict)

    def __post_init__(self):
        text = self.config["text_config"]
        self.dim = text["head_dim"]
        self.frequencies = 1.0 / 10000.0 ** (torch.arange(0, self.dim, 2).float() / self.dim)
        s, self.rows = self.scheme, self.source[EMBEDDING + ".weight"]
        if s.lookup:
            table = quantised(rotated(self.rows) if s.rotate else self.rows, s.group(s.weights, self.rows.shape[1]), s.clip)
            self.rows = rotated(table) if s.rotate else table

    def narrow(self, x, what):
        return bf16(x) if what in self.scheme.narrow else x

    def kept(self, name):
        return self.scheme.weights == "bf16" or any(k in name for k in self.scheme.keep)

    def matrix(self, name):
        if name not in self.ready:
            w = self.source[name + ".weight"].flatten(1)
            if not self.kept(name):
                w = quantised(rotated(w) if self.scheme.rotate else w, self.scheme.group(self.scheme.weights, w.shape[1]), self.scheme.clip)
            self.ready[name] = w
        return self.ready[name]

    def linear(self, x, name):
        s = self.scheme
        if self.kept(name) or s.inputs == "bf16":
            x = x if s.wide in name else self.narrow(x, "inputs")
        else:
            x = quantised(rotated(x) if s.rotate else x, s.group(s.inputs, x.shape[-1]), outliers=s.outliers, spread=s.rotate)
        return F.linear(x, self.matrix(name), self.source.get(name + ".bias") if name != EMBEDDING else None)

    def attend(self, q, k, v, mask=None):
        """q, k, v: (B, heads, T, dim)."""
        scores = self.narrow(q, "heads") @ self.narrow(k, "cache").transpose(-1, -2) * q.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        return (self.narrow(scores.softmax(-1), "shares") @ self.narrow(v, "cache")).transpose(1, 2).flatten(2)

    def image_features(self, patches):
        w, vision = self.source, self.config["vision_config"]
        x = self.linear(patches, PATCH) + w["vision_tower.embeddings.position_embedding.weight"]
        norm = lambda x, n: F.layer_norm(x, x.shape[-1:], w[n + ".weight"], w[n + ".bias"], 1e-6)
        for i in range(vision["num_hidden_layers"]):
            p = f"vision_tower.encoder.layers.{i}."
            h = norm(x, p + "layer_norm1")
            q, k, v = (self.linear(h, f"{p}self_attn.{c}_proj").unflatten(-1, (vision["num_attention_heads"], -1)).transpose(1, 2)
                       for c in "qkv")
            x = x + self.linear(self.attend(q, k, v), p + "self_attn.out_proj")
            h = F.gelu(self.linear(norm(x, p + "layer_norm2"), p + "mlp.fc1"), approximate="tanh")
            x = x + self.linear(h, p + "mlp.fc2")
        return self.linear(norm(x, "vision_tower.post_layernorm"), "multi_modal_projector.linear")

    def rms_norm(self, x, name):
        return F.rms_norm(x, x.shape[-1:], eps=1e-6) * (1 + self.source[name + ".weight"])

    def rotate(self, x, first):
        angle = (first + torch.arange(x.shape[2])).float()[:, None] * self.frequencies
        a, b = x.chunk(2, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def decoder(self, x, cache, prefix=0):
        """Runs new rows x (B, T, width) after `cache`. Attention is full in the first `prefix` rows, then causal."""
        first = cache[0][0].shape[2] if cache else 0
        i, j = first + torch.arange(x.shape[1])[:, None], torch.arange(first + x.shape[1])[None]
        mask = (j <= i) | (j < prefix)
        for n in range(self.config["text_config"]["num_hidden_layers"]):
            p = f"language_model.layers.{n}."
            h = self.rms_norm(x, p + "input_layernorm")
            q, k, v = (self.linear(h, f"{p}self_attn.{c}_proj").unflatten(-1, (-1, self.dim)).transpose(1, 2) for c in "qkv")
            q, k = self.rotate(q, first), self.rotate(k, first)
            if n < len(cache):
                k, v = torch.cat([cache[n][0], k], 2), torch.cat([cache[n][1], v], 2)
                cache[n] = (k, v)
            else:
                cache.append((k, v))
            x = x + self.linear(self.attend(q, k, v, mask), p + "self_attn.o_proj")
            h = self.rms_norm(x, p + "post_attention_layernorm")
            h = F.gelu(self.linear(h, p + "mlp.gate_proj"), approximate="tanh") * self.linear(h, p + "mlp.up_proj")
            x = x + self.linear(h, p + "mlp.down_proj")
        return self.rms_norm(x, "language_model.norm")

    def embed(self, ids):
        return self.rows[ids] * math.sqrt(self.rows.shape[1])

    def greedy(self, features, prompts):
        """Greedy responses, EOS included (up to LIMIT tokens), to prompts (B, T) after features (B, N, width)."""
        x, cache, out = torch.cat([features, self.embed(prompts)], 1), [], []
        hidden = self.decoder(x, cache, x.shape[1])[:, -1:]
        ended = torch.zeros(len(prompts), dtype=torch.bool)
        while True:
            token = self.linear(hidden, EMBEDDING).argmax(-1)
            out.append(token)
            ended |= token[:, 0] == EOS
            if ended.all() or len(out) == LIMIT:
                break
            hidden = self.decoder(self.embed(token), cache)
        rows = torch.cat(out, 1).tolist()
        return [r[:r.index(EOS) + 1] if EOS in r else r for r in rows]

    def score(self, features, prompts, answers):
        """Log-probabilities of the tokens of each response (a list of ids a row)."""
        longest, n = max(map(len, answers)), features.shape[1] + prompts.shape[1]
        padded = torch.tensor([a + [0] * (longest - len(a)) for a in answers])
        x = torch.cat([features, self.embed(prompts), self.embed(padded)], 1)
        logp = self.linear(self.decoder(x, [], n)[:, n - 1:-1], EMBEDDING).double().log_softmax(-1)
        logp = logp.gather(-1, padded[..., None])[..., 0]
        return [row[:len(a)].tolist() for row, a in zip(logp, answers)]


class Exam:
    """The questions of evaluate.py about held-out scenes, from the same seeds."""

    def __init__(self, scenes):
        with open(f"{FOLDER}/config.json") as f:
            self.config = json.load(f)
        self.weights = {k: torch.from_numpy(v.copy()) for k, v in load_weights(FOLDER).items()}
        self.tokenizer = sentencepiece.SentencePieceProcessor(model_file=f"{FOLDER}/tokenizer.model")
        vision, rng, pixels = self.config["vision_config"], np.random.default_rng(SEED - 1), []
        self.asked, self.answers = [], None
        for i in range(scenes):
            own = np.random.default_rng(SEED + i)
            scene = sample_scene(own)
            pixels.append(training_view(own, scene, vision["image_size"]))
            self.asked += [(i, *q) for q in questions(describe(scene.items), rng, plain=True) if q[0] in TASKS]
        side, patch = vision["image_size"] // vision["patch_size"], vision["patch_size"]
        x = torch.from_numpy(np.stack(pixels)).float() / 127.5 - 1
        self.patches = x.view(-1, side, patch, side, patch, 3).permute(0, 1, 3, 5, 2, 4).reshape(len(x), side * side, -1)
        prompts = [[BOS] + self.tokenizer.encode(prompt + "\n") for _, _, prompt, _ in self.asked]
        by_length = collections.defaultdict(list)
        for at, ids in enumerate(prompts):
            by_length[len(ids)].append(at)
        self.batches = [(rows[i:i + 256], torch.tensor([prompts[r] for r in rows[i:i + 256]]))
                        for rows in by_length.values() for i in range(0, len(rows), 256)]

    @torch.no_grad()
    def sit(self, scheme):
        """(responses, log-probabilities of the reference's responses) for every question. The first scheme that sits
        the exam is the reference."""
        model = Model(scheme, self.weights, self.config)
        features = torch.cat([model.image_features(p) for p in self.patches.split(100)])
        answers, logp = [None] * len(self.asked), [None] * len(self.asked)
        for rows, prompts in self.batches:
            seen = features[[self.asked[r][0] for r in rows]]
            for r, a in zip(rows, model.greedy(seen, prompts)):
                answers[r] = a
            reference = [(self.answers or answers)[r] for r in rows]
            for r, values in zip(rows, model.score(seen, prompts, reference)):
                logp[r] = values
        if self.answers is None:
            self.answers = answers
        return answers, logp

    def accuracy(self, answers):
        """{task: share of right responses}, and {"IoU " + task: mean IoU}."""
        right = collections.defaultdict(list)
        for (_, task, _, want), ids in zip(self.asked, answers):
            good, overlap = judge(task, want, text_of(self.tokenizer, ids))
            right[task].append(good)
            if overlap is not None:
                right["IoU " + task].append(overlap)
        return {t: float(np.mean(v)) for t, v in right.items()}


def apart(a, b):
    """|Δ log-probability| of tokens: mean, 99th percentile, greatest, percentage above 0.02. Then the
    greatest |Δ| of a response's sum."""
    tokens, shares = np.abs(np.concatenate(a) - np.concatenate(b)), "{:.5f} | {:.4f} | {:.3f} | {:.2f} | {:.3f}"
    sums = np.abs([math.fsum(x) - math.fsum(y) for x, y in zip(a, b)])
    return shares.format(tokens.mean(), np.quantile(tokens, 0.99), tokens.max(), 100 * (tokens > 0.02).mean(), sums.max())


class Table:
    def __init__(self, exam):
        self.exam = exam
        self.f32 = exam.sit(Scheme("bf16 weights, f32 arithmetic", narrow=()))
        self.bf16 = exam.sit(Scheme("bf16 weights, bf16 inputs"))
        self.columns = [*TASKS, "IoU detect", "IoU detect two"]
        self.base = exam.accuracy(self.bf16[0])

    def head(self):
        counts = collections.Counter(task for _, task, _, _ in self.exam.asked)
        print(f"\n{len(self.exam.patches)} scenes, questions: {dict(counts)}")
        print("Accuracy in percent; worst: greatest loss against bf16 in points; other: answers that are not f32's, in percent;")
        print("|Δ log p| against f32, then against bf16: a token's mean, 99%, max and percent above 0.02, an answer's max\n")
        print("| scheme | " + " | ".join(self.columns) + " | worst | other" + 2 * " | mean | 99% | max | > .02 | sum" + " |")
        print("|---" * (len(self.columns) + 13) + "|")
        self.row("**bf16 weights, f32 arithmetic**", *self.f32)
        self.row("**bf16 weights, bf16 inputs**", *self.bf16)

    def row(self, name, answers, logp):
        got = self.exam.accuracy(answers)
        worst = max(self.base[c] - got[c] for c in self.columns)
        other = np.mean([a != b for a, b in zip(answers, self.f32[0])])
        print(f"| {name} | " + " | ".join(f"{100 * got[c]:.2f}" for c in self.columns)
              + f" | {100 * worst:.2f} | {100 * other:.2f} | {apart(logp, self.f32[1])} | {apart(logp, self.bf16[1])} |", flush=True)

    def add(self, scheme):
        self.row(scheme.name, *self.exam.sit(scheme))


def int8_schemes():
    """The combinations of weight and input groups, and which matrices could stay bf16."""
    yield Scheme("W chan, A token, rotated", 0, 0, rotate=True)
    yield Scheme("W chan, A token, rotated, lookup int8", 0, 0, rotate=True, lookup=True)
    yield Scheme("W chan, A 128, lookup int8", 0, 128, lookup=True)
    yield Scheme("W chan, inputs bf16", 0)
    yield Scheme("W group 128, inputs bf16", 128)
    yield Scheme("W group 32, inputs bf16", 32)
    for w in (0, 128, 64, 32):
        for a in (0, 512, 256, 128, 64):
            if w == 0 or a in (0, 128) and w == 128 or a == w:
                yield Scheme(f"W {w or 'chan'}, A {a or 'token'}", w, a)
    for w, a in ((0, 0), (0, 256), (0, 128), (128, 128)):
        what = f"W {w or 'chan'}, A {a or 'token'}"
        yield Scheme(what + ", clip", w, a, clip=True)
        if a in (0, 256):
            yield Scheme(what + ", logits bf16", w, a, keep=(EMBEDDING,))
            yield Scheme(what + ", patches bf16", w, a, keep=(PATCH,))
            yield Scheme(what + ", vision bf16", w, a, keep=("vision_tower", "projector"))
            yield Scheme(what + ", text bf16", w, a, keep=("language_model",))
            yield Scheme(what + ", first and last layers bf16", w, a, keep=(".layers.0.", "encoder.layers.4.", "model.layers.2."))
            yield Scheme(what + ", down and fc2 bf16", w, a, keep=("down_proj", "fc2"))
            yield Scheme(what + ", lookup int8", w, a, lookup=True)
            yield Scheme(what + ", lookup int8, logits bf16", w, a, keep=(EMBEDDING,), lookup=True)


def bf16_schemes():
    """One rounding to bf16 at a time, to see what each costs."""
    for name, narrow in (("GEMM inputs", ("inputs",)), ("keys and values", ("cache",)), ("queries", ("heads",)),
                         ("softmax", ("shares",)), ("queries, keys, values, softmax", ("heads", "cache", "shares"))):
        yield Scheme(f"bf16 only: {name}", narrow=narrow)
    for name, wide in (("logits", EMBEDDING), ("vision", "vision"), ("text", "language_model.layers")):
        yield Scheme(f"bf16 but GEMM inputs of {name} in f32", wide=wide)


def planted_schemes():
    """Inputs with two outliers in every row, of so many times the row's root mean square. K of a real model is 16
    times that of this model. So the schemes keep the number of groups: 2048 / 256 = 8, …."""
    for outliers in (20.0, 45.0, 100.0, 200.0):
        yield Scheme(f"outliers x {outliers:.0f}: A token, rotated", 0, 0, rotate=True, outliers=outliers)
        for parts, means in ((1, "token"), (4, "512"), (8, "256"), (16, "128"), (32, "64")):
            yield Scheme(f"outliers x {outliers:.0f}: A {parts} group{'s' * (parts > 1)} (of K = 2048: {means})", 1, parts,
                         parts=True, outliers=outliers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=600)
    parser.add_argument("--only", choices=("bf16", "int8", "planted"), help="one part; without, all")
    options = parser.parse_args()
    table = Table(Exam(options.scenes))
    table.head()
    for part, schemes in (("bf16", bf16_schemes), ("int8", int8_schemes), ("planted", planted_schemes)):
        if options.only in (None, part):
            for scheme in schemes():
                table.add(scheme)


if __name__ == "__main__":
    main()
