"""Draw texts and labels, and compare `glossctl evaluate` with the official tools: item by item, figure by figure.

    python reference/check_metrics.py --glossctl .build/release/glossctl [--cases 2000] [--seed 1] [METRIC...]
    python reference/check_metrics.py --record Tests/Fixtures/metrics --cases 40
    python reference/check_metrics.py --ptb-lines FILE [--captions JSON] [--lines 40000]

Needs Java (17 or later) and, from PyPI: pycocoevalcap==1.2 jiwer==4.0.0 anls==0.0.2 editdistance==0.8.1, and the wheel
of lmms-eval==0.7.3 without its dependencies, for VQA's table of contractions. Scores agree within 1e-9, or it is an error.

`python` is PythonText: every code point in lower case, at a split, at a strip and in a number, through metrics.
--ptb-lines writes lines of /usr/share/doc, captions of a COCO results file and drawn ones, each with the tokens of the
original; `GLOSS_TEST_PTB=FILE scripts/test --filter PTBTokenizerTests` counts how many Gloss cuts alike.
--record writes a small sample for Tests/EvaluationTests.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

import metric_draws
import metric_oracles
import python_text_draws
from ptb_lines import JAR, phrase, write_lines

TOLERANCE = 1e-9


def glossctl(program, metric, items, folder, *options):
    """(scores of the items, figures by name) as glossctl has them."""
    paths = {name: os.path.join(folder, name + ".jsonl") for name in ("results", "labels", "scores")}
    with open(paths["results"], "w") as results, open(paths["labels"], "w") as labels:
        for item in items:
            result = {k: v for k, v in item.items() if k in ("key", "text", "distribution")}
            if item["text"] is not None:
                results.write(json.dumps(result) + "\n")
            labels.write(json.dumps({k: v for k, v in item.items() if k not in ("text", "distribution")}) + "\n")
    command = [program, "evaluate", metric, "--results", paths["results"], "--labels", paths["labels"], "--json",
               "--per-item", paths["scores"], *options]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode:
        sys.exit(f"{metric}: {run.stderr}")
    with open(paths["scores"]) as file:
        scores = {row["key"]: row["score"] for row in map(json.loads, file)}
    return [scores[i["key"]] for i in items], {f["name"]: f["value"] for f in json.loads(run.stdout)["figures"]}


def differs(left, right):
    return (left is None) != (right is None) or left is not None and abs(left - right) > TOLERANCE


class Comparison:
    def __init__(self):
        self.failed = False

    def compare(self, name, items, ours, theirs, tolerated=0):
        """Prints how many agree, and the first that do not. `tolerated`: the share of items that may differ."""
        (scores, figures), (expected, official) = ours, theirs
        wrong = [(i, s, e) for i, s, e in zip(items, scores, expected) if differs(s, e)]
        missing = [f for f in official if f not in figures]
        figures_wrong = [] if tolerated and wrong else [
            (f, figures.get(f), v) for f, v in official.items() if f not in missing and differs(figures[f], v)]
        agree = len(items) - len(wrong)
        print(f"{name:18} {agree} of {len(items)} items, {len(official) - len(missing) - len(figures_wrong)} of "
              f"{len(official)} figures")
        for item, score, value in wrong[:3]:
            print(f"    {json.dumps(item)}\n    gloss {score}, official {value}")
        for figure, value, expected in figures_wrong[:3]:
            print(f"    {figure}: gloss {value}, official {expected}")
        if missing:
            print(f"    not among Gloss' figures: {missing[:5]}")
        self.failed |= len(wrong) > tolerated * len(items) or bool(missing) or bool(figures_wrong)


def caption_parts(name, official):
    """The oracle's part of one measure."""
    scores, figures = official
    begins = {"cider-d": "CIDEr", "bleu": "BLEU", "rouge-l": "ROUGE"}[name]
    return scores[name], {k: v for k, v in figures.items() if k.startswith(begins)}


def check(arguments, metrics):
    comparison = Comparison()
    with tempfile.TemporaryDirectory() as folder:
        for name in metrics:
            rng = metric_draws.seeded(arguments.seed, name)
            if name == "captions":
                plain = metric_draws.captions(rng, arguments.cases)
                official = metric_oracles.captions(plain, tokenized=True)
                for part in official[0]:
                    ours = glossctl(arguments.glossctl, part, plain, folder, "--tokenizer", "whitespace")
                    comparison.compare(part, plain, ours, caption_parts(part, official))
                typed = [{**i, "text": metric_draws.written(rng, i["text"]),
                          "answers": [metric_draws.written(rng, a) for a in i["answers"]]} for i in plain]
                official = metric_oracles.captions(typed)
                for part in official[0]:
                    ours = glossctl(arguments.glossctl, part, typed, folder)
                    comparison.compare(part + " and PTB", typed, ours, caption_parts(part, official))
                # By the jar itself the numbers are equal whatever the captions are.
                typed = [{**i, "text": i["text"] + rng.choice(["", " c.", " U.S."]),
                          "answers": [phrase(rng) for _ in i["answers"]]} for i in typed]
                official = metric_oracles.captions(typed)
                for part in official[0]:
                    ours = glossctl(arguments.glossctl, part, typed, folder, "--ptb-jar", JAR)
                    comparison.compare(part + " and jar", typed, ours, caption_parts(part, official))
                # METEOR has one figure for all captions.
                _, figures = glossctl(arguments.glossctl, "caption", typed, folder, "--ptb-jar", JAR, "--meteor-jar",
                                      metric_oracles.METEOR_JAR, "--bootstrap", "0")
                comparison.compare(f"meteor of {len(typed)}", [], ([], figures),
                                   ([], {"METEOR": metric_oracles.meteor(typed)}))
            elif name == "objaverse":
                items, vectors = metric_draws.distributions(rng, arguments.cases)
                path = os.path.join(folder, "embeddings.jsonl")
                with open(path, "w") as file:
                    file.writelines(json.dumps({"text": t, "vector": v}) + "\n" for t, v in vectors.items())
                ours = glossctl(arguments.glossctl, name, items, folder, "--embeddings", path)
                vectors = python_text_draws.as_floats(vectors)
                comparison.compare(name, items, ours, metric_oracles.objaverse(items, vectors))
            elif name == "python":
                for metric, title, items, expected in python_text_draws.parts(rng):
                    scores, _ = glossctl(arguments.glossctl, metric, items, folder)
                    comparison.compare(title, items, (scores, {}), (expected, {}))
            else:
                items = metric_draws.DRAWS[name](rng, arguments.cases)
                ours = glossctl(arguments.glossctl, name, items, folder)
                comparison.compare(name, items, ours, metric_oracles.ORACLES[name](items))
    return comparison


def record(folder, cases, seed):
    """Items, and what the official tools say of them."""
    os.makedirs(folder, exist_ok=True)
    rows = []
    for name, oracle in metric_oracles.ORACLES.items():
        items = metric_draws.DRAWS[name](metric_draws.seeded(seed, name), cases)
        scores, figures = oracle(items)
        rows.append({"metric": name, "items": items, "scores": scores, "figures": figures})
    items = metric_draws.captions(metric_draws.seeded(seed, "captions"), cases)
    official = metric_oracles.captions(items, tokenized=True)
    for part in official[0]:
        scores, figures = caption_parts(part, official)
        rows.append({"metric": part, "items": items, "scores": scores, "figures": figures})
    with open(os.path.join(folder, "cases.jsonl"), "w") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_lines(os.path.join(folder, "ptb.jsonl"), None, 0, 8 * cases, random.Random(seed))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ["python", *metric_oracles.ORACLES, "captions", "objaverse"]
    parser.add_argument("metrics", nargs="*", default=[], metavar="METRIC")
    parser.add_argument("--glossctl", default=".build/release/glossctl")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", metavar="DIR")
    parser.add_argument("--ptb-lines", metavar="FILE")
    parser.add_argument("--captions", metavar="JSON", help="a results file of COCO captions, for --ptb-lines")
    parser.add_argument("--lines", type=int, default=40000, help="how many lines of /usr/share/doc, for --ptb-lines")
    arguments = parser.parse_args()
    if unknown := set(arguments.metrics) - set(names):
        parser.error(f"{', '.join(sorted(unknown))}: the metrics are {', '.join(names)}")
    if arguments.ptb_lines:
        rng = random.Random(arguments.seed)
        return write_lines(arguments.ptb_lines, arguments.captions, arguments.lines, arguments.lines // 2, rng)
    if arguments.record:
        return record(arguments.record, arguments.cases, arguments.seed)
    comparison = check(arguments, arguments.metrics or names)
    print(f"check-metrics: {len(arguments.metrics or names)} metrics, {'some differ' if comparison.failed else 'all agree'}")
    return comparison.failed


if __name__ == "__main__":
    sys.exit(main())
