"""Draw model folders as users have them, and compare a built glossctl with Hugging Face on each.

    python reference/check_folders.py --glossctl .build/release/glossctl [--folders 1000] [--seed 1] [--keep DIR]

Each folder has a tiny random PaliGemma 1 or 2, written in one of the ways that writers have: fields of config.json
present, absent or odd, names and types of tensors, shards, heads tied or not, forms of the tokenizer, image processor
and generation settings; one in four has a LoRA adapter of PEFT beside it. For each, one of these must hold:

  same      both answer with the same tokens, and log-probabilities within 1e-4, or no further from transformers in f64
            than transformers in f32 is
  refused   Gloss refuses, and names something that was drawn
  unread    transformers does not read it, or would draw missing weights by chance; Gloss does whatever it does

With --record DIR each folder that is the same or refused is kept with what is expected of it: Tests/Fixtures/folders is
such a sample (`--only 7 --record Tests/Fixtures/folders`), and FolderSampleTests holds Gloss to it without Python.

Anything else is a different answer: it is printed with its draw, kept under --keep, and the exit status is 1.
"""
import argparse
import collections
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
import torch
from PIL import Image
from transformers import PaliGemmaForConditionalGeneration, PaliGemmaProcessor
from transformers.utils.logging import disable_progress_bar

import adapter_draws
import folder_draws

NEW_TOKENS = 6
PROMPTS = ["caption en", "detect cat ; dog", "answer en what is this?", "segment <loc0001> cat", "  two  blanks ", "a <mine> b"]


class Drawn(Exception):
    """transformers gave no answer to compare with: why."""


def load(folder, dtype=torch.float32):
    """transformers' model; Drawn where it would have weights that are in no file."""
    model, info = PaliGemmaForConditionalGeneration.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", output_loading_info=True)
    missing = [key for key in info["missing_keys"] if ".head." not in key]  # the pooling head is not computed
    if missing or info["mismatched_keys"]:
        raise Drawn(f"weights drawn by chance: {sorted(missing)[:2]}")
    return model


def hugging_face(folder, adapter, image, prompt, dtype=torch.float32):
    """Tokens, log-probabilities and margins of greedy decoding; Drawn where there is nothing to compare with."""
    try:
        model = load(folder, dtype)
        if adapter:
            model = adapter_draws.load(model, adapter).to(dtype)
        processor = PaliGemmaProcessor.from_pretrained(folder)
        x = processor(images=[image], text=["<image>" + prompt], return_tensors="pt")
        x.pop("labels", None)
        x["pixel_values"] = x["pixel_values"].to(dtype)
        with torch.no_grad():
            made = model.eval().generate(**x, max_new_tokens=NEW_TOKENS, do_sample=False, num_beams=1,
                                         return_dict_in_generate=True, output_logits=True, output_scores=True)
    except Drawn:
        raise
    except adapter_draws.NotRead as error:
        raise Drawn(str(error)) from None
    except Exception as error:  # whatever a loader throws, it did not load
        raise Drawn(f"{type(error).__name__}: {str(error)[:120]}") from None
    ids = made.sequences[0, x["input_ids"].shape[1]:].tolist()
    rows = torch.stack(made.logits, 1)[0].double()
    best = rows.topk(2, -1).values
    logprobs = torch.log_softmax(rows, -1)
    return dict(tokens=ids, logprobs=[float(logprobs[i, t]) for i, t in enumerate(ids)],
                margins=(best[:, 0] - best[:, 1]).tolist(), prefix=x["input_ids"].shape[1])


def draw_adapter(draw, folder, out):
    """The folder of an adapter of the model in `folder`, now and then; else None."""
    if not draw.chance(0.25):
        return None
    try:
        adapter_draws.draw(draw, load(folder), out)
        return out
    except Exception:  # a model that transformers does not read, or an adapter that PEFT does not make, has none
        return None


def gloss(binary, folder, adapter, image, prompt):
    command = [binary, "infer", "--model", folder, "--json", "--precision", "f32", "--prompt", prompt]
    command += ["--adapter", adapter] if adapter else []
    done = subprocess.run([*command, "--max-tokens", str(NEW_TOKENS), image], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        return None, f"exit status {done.returncode}: {done.stderr}"
    return (json.loads(done.stdout) if done.returncode == 0 else None), done.stderr


def compare(found, expected, exact):
    """What differs; None where nothing does. `exact` computes what is expected in f64."""
    if found["prefix_tokens"] != expected["prefix"]:
        return f"prefix of {found['prefix_tokens']} tokens, expected {expected['prefix']}"
    sure = next((i for i, m in enumerate(expected["margins"]) if m < 1e-3), len(expected["tokens"]))
    if found["tokens"][:sure] != expected["tokens"][:sure]:
        return f"tokens {found['tokens']}, expected {expected['tokens']}"

    def error(found, expected):
        return max((abs(a - b) for a, b in zip(found["logprobs"][:sure], expected["logprobs"])), default=0)

    worst = error(found, expected)
    if worst <= 1e-4:
        return None
    # Some of these models blow up the last bits that f32 has.
    true = exact()
    if error(found, true) <= error(expected, true):
        return None
    return f"log-probabilities differ by {worst:.2g}"


def record(directory, number, folder, adapter, image, prompt, expected, names, draw):
    """Keeps a folder with what is expected: transformers' response, or names of which a refusal has one."""
    place = f"{directory}/{number}"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, f"{place}/model")
    if adapter:
        shutil.copytree(adapter, f"{place}/adapter")
    with open(f"{place}/image.rgb", "wb") as f:
        f.write(image.convert("RGB").tobytes())
    with open(f"{place}/expected.json", "w") as f:
        json.dump(dict(prompt=prompt, width=image.width, height=image.height, drawn=draw.notes, response=expected, refusals=names), f, indent=1)
        f.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glossctl", default=".build/release/glossctl")
    parser.add_argument("--folders", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one draw")
    parser.add_argument("--show", action="store_true", help="print every draw")
    parser.add_argument("--families", default="gemma,gemma2")
    parser.add_argument("--record", help="where folders are kept with what is expected of them")
    parser.add_argument("--keep", help="where folders with a different answer are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bar()
    counts, reasons, bad, adapters = collections.Counter(), collections.Counter(), 0, 0
    with tempfile.TemporaryDirectory() as work:
        maker = folder_draws.Maker(f"{work}/tokenizers", options.families.split(","))
        picture = f"{work}/image.png"
        random.Random(options.seed).seed(options.seed)
        Image.effect_noise((61, 47), 90).convert("RGB").save(picture)
        with Image.open(picture) as image:
            image.load()
        for number in range(options.folders) if options.only is None else [options.only]:
            rng = random.Random(f"{options.seed}/{number}")
            folder = f"{work}/model"
            shutil.rmtree(folder, ignore_errors=True)
            draw = maker.draw(rng, folder)
            prompt = rng.choice(PROMPTS)
            adapter = draw_adapter(draw, folder, f"{work}/adapter")
            adapters += adapter is not None
            found, words = gloss(options.glossctl, folder, adapter, picture, prompt)
            problem = None
            try:
                expected = hugging_face(folder, adapter, image, prompt)
                if found is not None:
                    problem = compare(found, expected, lambda: hugging_face(folder, adapter, image, prompt, torch.float64))
                    kind = "same"
            except Drawn as why:
                expected = None
                kind = "unread"
                reason = str(why)[:110]
            if found is None and "exit status" in words:
                problem = words
            elif found is None and expected is not None:
                named = [name for name in draw.names if re.search(name, words)]
                kind, reason = "refused", named[0] if named else None
                if not named:
                    problem = f"refused without a name that was drawn: {words.strip()}"
            if problem:
                bad += 1
                print(f"{number}: {problem}\n    prompt {prompt!r}, drawn: {'; '.join(draw.notes)}", flush=True)
                if options.keep:
                    shutil.copytree(folder, f"{options.keep}/{number}", dirs_exist_ok=True)
                    if adapter:
                        shutil.copytree(adapter, f"{options.keep}/{number}/adapter", dirs_exist_ok=True)
                continue
            counts[kind] += 1
            if options.record and kind != "unread":
                record(options.record, number, folder, adapter, image, prompt, expected if kind == "same" else None,
                       draw.names if kind == "refused" else [], draw)
            if options.show:
                print(f"{number}: {kind} {'' if kind == 'same' else reason}\n    {'; '.join(draw.notes)}\n    {words.strip()}")
            if kind != "same":
                reasons[kind, reason] += 1
    for (kind, reason), count in sorted(reasons.items(), key=lambda item: -item[1]):
        print(f"  {kind:8} {count:5}  {reason}")
    print(f"check-folders: {sum(counts.values()) + bad} folders, {adapters} with adapters, {counts['same']} the same, {counts['refused']} refused by name,"
          f" {counts['unread']} that transformers does not read, {bad} different")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
