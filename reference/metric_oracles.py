"""What the official tools say of texts and labels: the tools themselves where PyPI has them, else what their scripts do.

Each oracle takes items (dicts with key, text, answers and what else the metric needs) and returns the items' scores
(None: the text could not be parsed) and figures by name.
"""
import contextlib
import io
import math
import os
import re
import string
import sys

import anls
import editdistance
import jiwer
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor import meteor as meteor_program
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer


def mean(values):
    values = [v or 0 for v in values]
    return sum(values) / len(values) if values else None


def means(figure, items, scores):
    """The mean, and those by type."""
    figures = {figure: mean(scores)}
    for column in ("answer_type", "question_type"):
        for value in {i[column] for i in items if i.get(column) is not None}:
            chosen = [s for i, s in zip(items, scores) if i.get(column) == value]
            figures[f"{figure} {column}={value}"] = mean(chosen)
    return scores, figures


def each(figure, score):
    return lambda items: means(figure, items, [score(i) if i["text"] is not None else 0 for i in items])


# Captions: pycocoevalcap.

def captions(items, tokenized=False):
    references = {i: [{"caption": a} for a in item["answers"]] for i, item in enumerate(items)}
    texts = {i: [{"caption": item["text"]}] for i, item in enumerate(items)}
    with contextlib.redirect_stdout(io.StringIO()):
        if tokenized:
            references = {i: [c["caption"] for c in v] for i, v in references.items()}
            texts = {i: [c["caption"] for c in v] for i, v in texts.items()}
        else:
            references, texts = PTBTokenizer().tokenize(references), PTBTokenizer().tokenize(texts)
        cider, ciders = Cider().compute_score(references, texts)
        bleu, bleus = Bleu(4).compute_score(references, texts)
        rouge, rouges = Rouge().compute_score(references, texts)
    figures = {"CIDEr-D": float(cider), "ROUGE-L": float(rouge)} | {f"BLEU-{n + 1}": bleu[n] for n in range(4)}
    return {"cider-d": list(map(float, ciders)), "bleu": bleus[3], "rouge-l": list(map(float, rouges))}, figures


METEOR_JAR = os.path.join(os.path.dirname(meteor_program.__file__), meteor_program.METEOR_JAR)


def meteor(items):
    """METEOR of all items. Java takes its encoding from the locale, unless it is told."""
    references = {i: [{"caption": a} for a in item["answers"]] for i, item in enumerate(items)}
    texts = {i: [{"caption": item["text"]}] for i, item in enumerate(items)}
    os.environ["JAVA_TOOL_OPTIONS"] = "-Dfile.encoding=UTF-8"
    references, texts = PTBTokenizer().tokenize(references), PTBTokenizer().tokenize(texts)
    score, _ = meteor_program.Meteor().compute_score(references, texts)
    del os.environ["JAVA_TOOL_OPTIONS"]
    return score


# VQA: the official script (GT-Vision-Lab/VQA), M4C's evaluator, A-OKVQA's.

NUMBERS = dict(zip("none zero one two three four five six seven eight nine ten".split(), "0 0 1 2 3 4 5 6 7 8 9 10".split()))


def load_contractions():
    """The table of the official script, as lmms-eval's wheel has it; nothing else of lmms-eval is used."""
    import importlib.metadata
    import pathlib
    try:
        files = importlib.metadata.files("lmms_eval") or []
    except importlib.metadata.PackageNotFoundError:
        sys.exit("lmms-eval is missing, whose wheel has VQA's table: pip install --no-deps lmms-eval==0.7.3")
    path = next(f for f in files if str(f).endswith("_task_utils/vqa_eval_metric.py"))
    scope = {}
    exec(pathlib.Path(path.locate()).read_text(), scope)
    return scope["EvalAIAnswerProcessor"].CONTRACTIONS


CONTRACTIONS = load_contractions()


def vqa_normalised(text):
    out = text
    for mark in ';/[]"{}()=+\\_-><@`,?!':
        deleted = mark + " " in text or " " + mark in text or re.search(r"\d,\d", text)
        out = out.replace(mark, "" if deleted else " ")
    out = re.sub(r"\.(?!\d)", "", out, count=32)  # re.UNICODE is passed as the count
    words = [NUMBERS.get(w, w) for w in out.lower().split()]
    return " ".join(CONTRACTIONS.get(w, w) for w in words if w not in ("a", "an", "the"))


def vqa_stripped(text):
    return text.replace("\n", " ").replace("\t", " ").strip()


def leave_one_out(text, answers):
    right = [a == text for a in answers]
    return sum(min(1, sum(right[:i] + right[i + 1:]) / 3) for i in range(len(right))) / len(right)


def vqa_v2(item):
    text, answers = vqa_stripped(item["text"]), [vqa_stripped(a) for a in item["answers"]]
    if len(set(answers)) > 1:
        text, answers = vqa_normalised(text), [vqa_normalised(a) for a in answers]
    return leave_one_out(text, answers)


def textvqa(item):
    def processed(text):
        words = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
        return vqa_normalised(vqa_stripped(words))
    return leave_one_out(processed(item["text"]), [processed(a) for a in item["answers"]])


def vqa_simple(item):
    return min(1, sum(a == item["text"] for a in item["answers"]) / 3)


# Exact.

def squad(text):
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact(normalise):
    return lambda item: float(any(normalise(a) == normalise(item["text"]) for a in item["answers"]))


# ANLS: the package `anls`' distance, the script of the Robust Reading Competition, pix2struct's and big_vision's rules.

def anls_rrc(item):
    values = []
    for answer in item["answers"]:
        squeezed = [" ".join(t.strip().lower().split()) for t in (answer, item["text"])]
        length = max(len(answer.upper()), len(item["text"].upper()))
        values.append(anls.metrics.dist.levenshtein_distance(*squeezed) / length if length else 0)
    similarity = 1 - min(values)
    return similarity if similarity >= .5 else 0


def nl(left, right):
    return editdistance.eval(left, right) / max(len(left), len(right)) if left or right else 0


def anls_pix2struct(item):
    distances = [nl(a.lower(), item["text"].lower()) for a in item["answers"]]
    return max(1 - d if d <= .5 else 0 for d in distances)


def anls_bv(item):
    text = item["text"].lower()
    return max((1 - d if (d := nl(a.lower(), text)) < .5 else 0) if a else float(text == "") for a in item["answers"])


# ChartQA.

def to_float(text):
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None


def relaxed(item, years=False):
    def right(answer):
        value, target = to_float(item["text"]), to_float(answer)
        if value is None or not target:
            return item["text"].lower() == answer.lower()
        if years and not answer.endswith("%") and 1000 <= target <= 2999 and target == int(target):
            return value == target
        return abs(value - target) / abs(target) <= .05
    return float(any(map(right, item["answers"])))


# POPE: the official script, and big_vision's rule.

def pope(items, strict=False):
    def read(text):
        if text is None:
            return None
        if strict:
            return {"yes": True, "no": False}.get(text.lower())
        words = text.split(".")[0].replace(",", "").split(" ")
        return not any(w in words for w in ("No", "not", "no"))
    says = [read(i["text"]) for i in items]
    labels = [i["answers"][0] == "yes" for i in items]
    scores = [(0. if i["text"] is None else None) if s is None else float(s == l) for i, s, l in zip(items, says, labels)]
    tp, said, positive = sum(s is True and l for s, l in zip(says, labels)), says.count(True), labels.count(True)
    precision, recall = tp / said if said else None, tp / positive if positive else None
    f1 = 2 * precision * recall / (precision + recall) if precision and recall else None
    return scores, {
        "accuracy": mean(scores), "precision": precision, "recall": recall, "F1": f1, "yes ratio": said / len(items),
        "valid": sum(s is not None for s in says) / len(items)}


# TallyQA: big_vision's rule.

COUNTS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
          "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"]
NUMERALS = {w: str(i) for i, w in enumerate(COUNTS)} | {"none": "0"}


def counting(items):
    texts = [None if i["text"] is None else NUMERALS.get(i["text"].lower(), i["text"]) for i in items]
    labels = [NUMERALS.get(i["answers"][0].lower(), i["answers"][0]) for i in items]
    counts = [int(t) if t and re.fullmatch(r"[+-]?[0-9]+", t) else None for t in texts]
    scores = [1. if t == l else None if t is not None and c is None else 0. for t, l, c in zip(texts, labels, counts)]
    errors = [None if c is None else abs(c - int(l)) for c, l in zip(counts, labels)]
    _, figures = means("accuracy", [{k: v for k, v in i.items() if k != "answer_type"} for i in items], scores)
    for label in set(map(int, labels)):
        figures[f"accuracy count={label}"] = mean([s for s, l in zip(scores, labels) if int(l) == label])
    figures["mean absolute error"] = mean([e for e in errors if e is not None])
    figures["within one"] = mean([e is not None and e <= 1 for e in errors])
    return scores, figures


# RSVQA, ScienceQA, NLVR2 and pairs.

def rsvqa(items):
    scores, figures = each("accuracy", exact(str.lower))(items)
    types = {k: v for k, v in figures.items() if "question_type=" in k}
    figures = types | {"accuracy": mean(scores), "accuracy over types": mean(types.values())}
    other = [v for k, v in types.items() if k.split("=")[1] in ("comp", "presence", "rural_urban")]
    return scores, figures | {"accuracy over non-numeric types": mean(other)}


def scienceqa(items):
    def letter(text):
        match = re.match(r"the answer is ([a-z])\.", text.lower())
        return match and match[1]
    read = [None if i["text"] is None else letter(i["text"]) for i in items]
    scores = [0. if i["text"] is None else None if r is None else float(r == letter(i["answers"][0]))
              for i, r in zip(items, read)]
    figures = means("accuracy", items, scores)[1]
    return scores, figures | {"parse failures": mean([s is None for s in scores])}


def grouped(items, name, groups_first=True):
    scores, figures = each("accuracy", exact(str.lower))(items)
    groups = {}
    for item, score in zip(items, scores):
        groups[item["group"]] = groups.get(item["group"], True) and score == 1
    return scores, figures | {name: mean(groups.values())}


# Error rates: jiwer.

def error_rate(items, words, lower):
    fold = str.lower if lower else str
    rate = jiwer.wer if words else jiwer.cer
    name = "WER" if words else "CER"
    texts = [fold(i["text"] or "") for i in items]
    references = [fold(i["answers"][0]) for i in items]
    scores = [float(rate([r], [t])) for r, t in zip(references, texts)]
    return scores, {name: float(rate(references, texts)), f"mean {name}": mean(scores)}


# Objaverse: distributions. Labels and answers are in canonical form here.

def objaverse(items, vectors):
    def cosine(left, right):
        left, right = vectors[left], vectors[right]
        dot = lambda a, b: sum(x * y for x, y in zip(a, b))
        return dot(left, right) / math.sqrt(dot(left, left) * dot(right, right))
    ranks, masses, entropies, cosines = [], [], [], []
    for item in items:
        ranked = sorted(item["distribution"], key=lambda d: -d["p"])
        found = [i + 1 for i, d in enumerate(ranked) if d["answer"] in item["answers"]]
        ranks.append(found[0] if found else math.inf)
        masses.append(sum(d["p"] for d in ranked if d["answer"] in item["answers"]))
        entropies.append(-sum(d["p"] * math.log(d["p"]) for d in ranked if d["p"] > 0))
        cosines.append(max(cosine(item["text"], a) for a in item["answers"]))
    scores = [float(r == 1) for r in ranks]
    return scores, {
        "top-1": mean(scores), "top-5": mean([r <= 5 for r in ranks]), "mass": mean(masses),
        "log score": mean([math.log(max(m, 1e-6)) for m in masses]), "entropy": mean(entropies), "cosine": mean(cosines)}


ORACLES = {
    "vqa-v2": each("accuracy", vqa_v2), "vqa-simple": each("accuracy", vqa_simple), "textvqa": each("accuracy", textvqa),
    "exact": each("accuracy", exact(str)), "exact-lower": each("accuracy", exact(str.lower)),
    "squad": each("accuracy", exact(squad)),
    "anls": each("ANLS", anls_rrc), "anls-pix2struct": each("ANLS", anls_pix2struct), "anls-bv": each("ANLS", anls_bv),
    "relaxed": each("relaxed accuracy", relaxed),
    "relaxed-strict": each("relaxed accuracy", lambda i: relaxed(i, years=True)),
    "pope": pope, "pope-bv": lambda items: pope(items, strict=True),
    "counting": counting, "rsvqa": rsvqa, "scienceqa": scienceqa,
    "nlvr2": lambda items: grouped(items, "consistency"), "paired": lambda items: grouped(items, "groups all right"),
    "cer": lambda items: error_rate(items, False, False), "cer-lower": lambda items: error_rate(items, False, True),
    "wer": lambda items: error_rate(items, True, False), "wer-lower": lambda items: error_rate(items, True, True),
}
