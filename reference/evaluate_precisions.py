"""Accuracy and log-probabilities of a built glossctl in each precision, on held-out scenes.

    python reference/evaluate_precisions.py --glossctl .build/release/glossctl [--scenes 500]

Scenes and questions are those of quantisation.py, which emulates the precisions that this program runs. Prints the
percentage of right responses by task, and |Δ log p| against f32 of the tokens (EOS included) in the response of f32.
Needs torch, sentencepiece and pillow.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from quantisation import FOLDER, LIMIT, TASKS, apart
from shapes.evaluate import SEED
from shapes.render import sample_scene, training_view
from shapes.tasks import describe, judge, questions

PRECISIONS = ("f32", "bf16", "int8")


def ask(binary, precision, image, prompt, *options):
    done = subprocess.run([binary, "infer", "--model", FOLDER, "--json", "--precision", precision, "--threads", "1", "--max-tokens",
                           str(LIMIT), "--prompt", prompt, *options, image], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{precision}, {prompt}: {done.stderr}")
    return json.loads(done.stdout)


def answer_all(binary, image, prompt):
    """{precision: (response, log-probabilities of f32's response)}"""
    answers = {p: ask(binary, p, image, prompt) for p in PRECISIONS}
    scored = {p: ask(binary, p, image, prompt, "--score", answers["f32"]["text"])["logprobs"] for p in PRECISIONS}
    return {p: (answers[p]["text"], scored[p]) for p in PRECISIONS}


def held_out(scenes, folder):
    """(image, task, prompt, expected response) for each question of quantisation.py, from the same seeds."""
    with open(f"{FOLDER}/config.json") as file:
        size = json.load(file)["vision_config"]["image_size"]
    rng = np.random.default_rng(SEED - 1)
    for i in range(scenes):
        own, image = np.random.default_rng(SEED + i), os.path.join(folder, f"{i}.png")
        scene = sample_scene(own)
        Image.fromarray(training_view(own, scene, size)).save(image)
        for task, prompt, want in questions(describe(scene.items), rng, plain=True):
            if task in TASKS:
                yield image, task, prompt, want


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glossctl", required=True)
    parser.add_argument("--scenes", type=int, default=500)
    options = parser.parse_args()
    right, logp = collections.defaultdict(list), collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        asked = list(held_out(options.scenes, folder))
        found = pool.map(lambda q: answer_all(options.glossctl, q[0], q[2]), asked)
        for n, ((_, task, _, want), answers) in enumerate(zip(asked, found), 1):
            for precision, (text, scores) in answers.items():
                good, overlap = judge(task, want, text)
                right[precision, task].append(good)
                if overlap is not None:
                    right[precision, "IoU " + task].append(overlap)
                logp[precision].append(scores)
            if n % 100 == 0:
                print(f"{n} of {len(asked)} questions", file=sys.stderr)
    columns = [*TASKS, "IoU detect", "IoU detect two"]
    print(f"{options.scenes} scenes, {len(asked)} questions; |Δ log p|: a token's mean, 99%, max, percent above 0.02; an answer's max\n")
    print("| | " + " | ".join(columns) + " | mean | 99% | max | > .02 | sum |\n" + "|---" * (len(columns) + 6) + "|")
    for p in PRECISIONS:
        cells = " | ".join(f"{100 * np.mean(right[p, c]):.2f}" for c in columns)
        print(f"| {p} | {cells} | {apart(logp[p], logp['f32'])} |")


if __name__ == "__main__":
    main()
