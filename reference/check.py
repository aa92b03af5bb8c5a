"""Compare the numpy PaliGemma and the numpy resize with Tests/Fixtures.

    python reference/check.py [FOLDER]

Prints the largest difference of every kind. Exits with 1 if one is too large. Needs numpy and sentencepiece. With
Pillow it also decodes the images again.
"""
import json
import os
import sys

import numpy as np
import sentencepiece

from checkpoint import load_weights, read_safetensors
from paligemma import PaliGemma
from pixels import pixel_values, resize

TOLERANCE = 2e-4


class Differences(dict):
    def add(self, what, value):
        self[what] = max(self.get(what, 0.0), float(value))

    def report(self, title):
        print(title)
        for what, value in self.items():
            print(f"  {what:34} {value:.3g}")
        return all(v <= (0 if "differ" in k else TOLERANCE) for k, v in self.items())


def apart(a, b):
    return np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max()


def load(path):
    with open(path) as f:
        return json.load(f)


def check_images(root):
    d, arrays = Differences(), read_safetensors(f"{root}/resize.safetensors")
    for name in sorted({k.rsplit("/", 1)[0] for k in arrays}):
        target = arrays[f"{name}/target"]
        d.add("resized bytes that differ", (resize(arrays[f"{name}/source"], target.shape[1], target.shape[0]) != target).sum())
    try:
        from PIL import Image

        from fixture_images import on_white
    except ImportError:
        return d.report("images (without decoding)")
    for name, rgb in read_safetensors(f"{root}/decoded.safetensors").items():
        with Image.open(f"{root}/{name}") as image:
            d.add("decoded bytes that differ", (on_white(image) != rgb).sum())
    return d.report("images")


def text_of(tokenizer, ids):
    """Text as Hugging Face decodes it: in a run of byte pieces that is not UTF-8, each byte becomes U+FFFD."""
    parts, run = [], b""
    for i in [*(i for i in ids if i < tokenizer.get_piece_size()), None]:
        if i is not None and tokenizer.is_byte(i):
            run += bytes([int(tokenizer.id_to_piece(i)[3:5], 16)])
            continue
        try:
            parts.append(run.decode())
        except UnicodeDecodeError:
            parts.append("\N{REPLACEMENT CHARACTER}" * len(run))
        run = b""
        if i is not None and not tokenizer.is_control(i) and not tokenizer.is_unknown(i):
            parts.append(tokenizer.decode([i]))
    return "".join(parts)


def check_model(root):
    d, config = Differences(), load(f"{root}/model/config.json")
    model = PaliGemma(config, load_weights(f"{root}/model"))
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=f"{root}/model/tokenizer.model")
    images, rows = (read_safetensors(f"{root}/golden/{n}.safetensors") for n in ("images", "prefill"))
    golden, strings = load(f"{root}/golden/cases.json"), load(f"{root}/golden/tokenizer.json")
    for s in strings["encode"]:
        d.add("strings whose ids differ", tokenizer.encode(s["text"]) != s["ids"])
    for s in strings["decode"]:
        d.add("ids whose text differs", text_of(tokenizer, s["ids"]) != s["text"])
    features = {}
    for name in sorted({k.rsplit("/", 1)[0] for k in images}):
        small = resize(images[f"{name}/rgb"], model.image, model.image)
        d.add("resized bytes that differ", (small != images[f"{name}/resized"]).sum())
        values = pixel_values(small)
        if f"{name}/pixel_values" in images:
            d.add("pixel values that differ", (values != images[f"{name}/pixel_values"]).sum())
        features[name] = model.image_features(values)
        d.add("image features", apart(features[name], images[f"{name}/features"]))
    for case in golden["cases"]:
        seen, name = np.concatenate([features[n] for n in case["images"]]), case["id"]
        ids = model.prompt_ids(tokenizer, case["prompt"], len(case["images"]))
        d.add("prompts whose ids differ", ids != case["input_ids"])
        logits, _ = model.prefill(ids, seen)
        d.add("last logits", apart(logits[-1], rows[f"{name}/last_logits"]))
        if f"{name}/logits" in rows:
            d.add("logits of every position", apart(logits, rows[f"{name}/logits"]))
        tokens, logprobs = model.greedy(ids, seen, golden["limit"])
        d.add("greedy answers that differ", tokens != case["greedy"]["ids"])
        d.add("greedy texts that differ", text_of(tokenizer, tokens) != case["greedy"]["text"])
        d.add("greedy log-probabilities", apart(logprobs, case["greedy"]["logprobs"][:len(logprobs)]))
        d.add("scores of a suffix", apart(model.score(ids, seen, case["score"]["suffix_ids"]), case["score"]["logprobs"]))
    if os.path.exists(f"{root}/golden/cases_none.json"):
        other = PaliGemma(config, load_weights(f"{root}/model"))
        other.window = None
        for case in load(f"{root}/golden/cases_none.json")["cases"]:
            seen, ids = np.concatenate([features[n] for n in case["images"]]), case["input_ids"]
            tokens, logprobs = other.greedy(ids, seen, golden["limit"])
            d.add("greedy answers that differ, no window", tokens != case["greedy"]["ids"])
            d.add("greedy log-probabilities, no window", apart(logprobs, case["greedy"]["logprobs"][:len(logprobs)]))
    trace, first = {}, golden["cases"][0]
    values = images[f"{first['images'][0]}/pixel_values"]
    model.prefill(first["input_ids"], model.image_features(values, trace), trace=trace)
    for name, hidden in read_safetensors(f"{root}/golden/layers.safetensors").items():
        d.add("hidden states", apart(trace[name], hidden))
    for kind, folder in (("bf16", "model_bf16_sharded"), ("f16", "model_f16")):
        if os.path.exists(f"{root}/{folder}"):
            other = PaliGemma(load(f"{root}/{folder}/config.json"), load_weights(f"{root}/{folder}"))
            logits, _ = other.prefill(first["input_ids"], other.image_features(values))
            d.add(f"last logits of {kind} weights", apart(logits[-1], rows[f"{kind}/{first['id']}/last_logits"]))
    return d.report(f"{os.path.basename(root)}: {len(golden['cases'])} cases")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "Tests", "Fixtures")
    good = [check_images(f"{root}/images"), check_model(f"{root}/tiny"), check_model(f"{root}/tiny2"),
            check_model(f"{root}/tiny3")]
    print("all agree" if all(good) else "TOO FAR APART")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
