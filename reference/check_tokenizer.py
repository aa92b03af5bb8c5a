"""Compare the ids that a built glossctl gives by a tokenizer.json with those of Hugging Face's tokenizers.

    python reference/check_tokenizer.py --glossctl .build/release/glossctl [--texts 20000] [--seed 1]
        [--tokenizer tokenizer.json]

Texts are of many scripts, with emoji, runs of blanks, control characters, added tokens and parts of such, long words and
special tokens, which stay text. The tokenizer is trained on texts of the same kind, unless one is given, such as
PaliGemma's own. A tiny model scores the texts, some at a time, and names their ids.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer

import folder_draws
from tokenizer_texts import Texts, tokenizer_json


def model_folder(folder, spec):
    """A model of the least size around a tokenizer."""
    ids = [*spec["model"]["vocab"].values(), *(t["id"] for t in spec["added_tokens"])]
    text = dict(model_type="gemma", hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
                num_key_value_heads=1, head_dim=8, vocab_size=max(ids) + 1, max_position_embeddings=65536)
    vision = dict(model_type="siglip_vision_model", hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                  num_attention_heads=1, patch_size=14, image_size=14)
    config = dict(model_type="paligemma", image_token_index=max(ids), projection_dim=8, text_config=text, vision_config=vision)
    draw = folder_draws.Draw(random.Random(1))
    state = folder_draws.Maker.weights(None, draw, config)
    folder_draws.save_file(state, f"{folder}/model.safetensors", metadata={"format": "pt"})
    for name, value in (("config.json", config), ("tokenizer.json", spec)):
        with open(f"{folder}/{name}", "w") as f:
            json.dump(value, f, ensure_ascii=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glossctl", default=".build/release/glossctl")
    parser.add_argument("--texts", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pieces", type=int, default=12000)
    parser.add_argument("--tokenizer", help="a tokenizer.json to use instead of one that is trained here")
    options = parser.parse_args()
    if options.tokenizer:
        with open(options.tokenizer) as f:
            spec = json.load(f)
    else:
        spec = tokenizer_json(options.seed, options.pieces)
    expected = Tokenizer.from_str(json.dumps(spec))
    expected.encode_special_tokens = True
    texts = Texts(options.seed)  # the words that the tokenizer was trained on
    count = tokens = bad = 0
    with tempfile.TemporaryDirectory() as work:
        model_folder(work, spec)
        image = f"{work}/image.png"
        from PIL import Image
        Image.new("RGB", (14, 14)).save(image)
        while count < options.texts:
            # Texts are joined, since a run of glossctl takes longer than a text. An argument holds no NUL, and begins with a letter.
            parts = [texts.text() for _ in range(40)]
            count += len(parts)
            text = "a" + texts.rng.choice(["", " ", "\n", "  "]).join(parts)[:30000].encode("utf-8", "ignore").decode()
            done = subprocess.run([options.glossctl, "infer", "--model", work, "--json", "--precision", "f32", "--prompt", "x",
                                   "--score", text, image], capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"glossctl: {done.stderr}")
            found = json.loads(done.stdout)["tokens"][:-1]
            wanted = expected.encode(text, add_special_tokens=False).ids
            tokens += len(wanted)
            if found != wanted:
                bad += 1
                at = next(i for i, (a, b) in enumerate(zip(found + [-1], wanted + [-1])) if a != b)
                print(f"at token {at}: {found[at:at + 5]}, expected {wanted[at:at + 5]} "
                      f"{[expected.id_to_token(i) for i in wanted[max(0, at - 2):at + 5]]}")
    print(f"check-tokenizer: {count} texts, {tokens} tokens, {bad} joined texts differ")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
