"""Compare the engine in a built glossctl with Hugging Face's goldens.

    python reference/check_engine.py --glossctl .build/release/glossctl --images Tests/Fixtures/images \
        Tests/Fixtures/tiny Tests/Fixtures/tiny2

Each folder has model/ and golden/ as make_fixtures.py writes them. Prints the largest difference of every kind. Exits
with 1 if one is too large. The limits are 2e-5 for stages (relative to the largest value) and 1e-4 for
log-probabilities. Ids must be equal up to a near-tie, where Hugging Face's own margin is below 1e-3. Beam searches are those of
golden/beams_bv.json, if it is there, which noise leaves as they are. Needs numpy.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from checkpoint import read_safetensors

LIMITS = {"pixel values": 0, "image features": 2e-5, "logits": 2e-5, "greedy ids that differ": 0, "greedy log-probability": 1e-4,
          "suffix ids that differ": 0, "suffix log-probability": 1e-4, "text that differs": 0, "beam ids that differ": 0,
          "beam sum": 1e-4, "beam limits that differ": 0}


def relative(found, expected):
    return float(np.abs(found - expected).max() / max(1, np.abs(expected).max()))


class Engine:
    def __init__(self, binary, model, images):
        self.command = [binary, "infer", "--model", model, "--json", "--precision", "f32"]
        self.images = images

    def run(self, case, *options):
        paths = [os.path.join(self.images, name) for name in case["images"]]
        done = subprocess.run([*self.command, "--prompt", case["prompt"], *options, *paths], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{case['id']}: {done.stderr}")
        return json.loads(done.stdout)


def check(folder, model, engine):
    worst = dict.fromkeys(LIMITS, 0.0)

    def note(what, value):
        worst[what] = max(worst[what], float(value))

    with open(f"{folder}/golden/cases.json") as file:
        cases = json.load(file)["cases"]
    pixels = read_safetensors(f"{folder}/golden/images.safetensors")
    prefill = read_safetensors(f"{folder}/golden/prefill.safetensors")
    for case in cases:
        with tempfile.NamedTemporaryFile(suffix=".safetensors") as dump:
            answer = engine.run(case, "--max-tokens", str(len(case["greedy"]["ids"])), "--dump-stages", dump.name)
            stages = read_safetensors(dump.name)
        for index, name in enumerate(case["images"]):
            lossy = name.endswith(".jpg") or name.startswith("lossy")  # another decoder may differ by one step of 255
            if f"{name}/pixel_values" in pixels and not lossy:
                note("pixel values", np.abs(stages["pixel_values"][index] - pixels[f"{name}/pixel_values"]).max())
            note("image features", relative(stages["image_features"][index], pixels[f"{name}/features"]))
        note("logits", relative(stages["logits"][-1], prefill[f"{case['id']}/last_logits"]))
        if f"{case['id']}/logits" in prefill:
            note("logits", relative(stages["logits"], prefill[f"{case['id']}/logits"]))
        greedy = case["greedy"]
        sure = next((i for i, m in enumerate(greedy["margins"]) if m < 1e-3), len(greedy["ids"]))
        note("greedy ids that differ", answer["tokens"][:sure] != greedy["ids"][:sure])
        note("greedy log-probability", np.abs(np.subtract(answer["logprobs"][:sure], greedy["logprobs"][:sure])).max(initial=0))
        if sure == len(greedy["ids"]):
            note("text that differs", answer["text"] != greedy["text"])
        score = engine.run(case, "--score", case["score"]["suffix"])
        note("suffix ids that differ", score["tokens"] != case["score"]["suffix_ids"])
        note("suffix log-probability", np.abs(np.subtract(score["logprobs"], case["score"]["logprobs"])).max())
    searches = []
    if os.path.exists(f"{folder}/golden/beams_bv.json"):
        with open(f"{folder}/golden/beams_bv.json") as file:
            searches = [search for search in json.load(file) if search["stable"]]
    for search in searches:
        answer = engine.run(search, "--beams", str(search["beams"]), "--max-tokens", str(search["max_tokens"]))
        note("beam ids that differ", answer["tokens"] != search["ids"])
        note("beam sum", abs(answer["sum_logprob"] - search["score"]))
        if "cut" in search:
            note("beam limits that differ", (answer["finish_reason"] == "length") != search["cut"])
    print(f"{model}: {len(cases)} cases, {len(searches)} beam searches")
    for what, value in worst.items():
        print(f"  {what:26} {value:.3g}{'' if value <= LIMITS[what] else '   TOO LARGE'}")
    return all(worst[what] <= limit for what, limit in LIMITS.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glossctl", default=".build/release/glossctl")
    parser.add_argument("--images", help="default: FOLDER/images")
    parser.add_argument("folders", nargs="+")
    options = parser.parse_args()
    good = True
    for folder in options.folders:
        model = f"{folder}/model"
        images = options.images or f"{folder}/images"
        good &= check(folder, model, Engine(options.glossctl, model, images))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
