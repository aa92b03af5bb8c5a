"""The questions about a scene, the expected responses, and how a response is judged.

Objects are plain dictionaries {name, colour, box}, in order from left to right; box = (y1, x1, y2, x2) in 0…1. An
object may also have `codes`, the 16 code words of its mask within the box, and `mirror_codes`, those of its mirror image.
"""
import re

import numpy as np

from .render import COLOURS, FLAT, SHAPES, SOLIDS

# The four questions about every view of an object, usually written with a capital.
VIEW_QUESTIONS = ["What is this?", "What type of object is this?", "What is in the image?",
                  "Describe the object in the image"]
SHORT_IMAGE_ANSWER = 0.15  # share of "what is in the image?" whose response is the bare name


def describe(items) -> list:
    """The objects of a drawn scene."""
    return [dict(name=i.name, colour=i.colour, box=tuple(i.box)) for i in items]


def mirrored(objects) -> list:
    """The objects of the scene's mirror image."""
    out = [dict(o, box=(o["box"][0], 1 - o["box"][3], o["box"][2], 1 - o["box"][1])) for o in objects]
    for o in out:
        if "codes" in o:
            o["codes"], o["mirror_codes"] = o["mirror_codes"], o["codes"]
    return out[::-1]


def with_article(text):
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def phrase(obj):
    return with_article(f"{obj['colour']} {obj['name']}")


def listing(objects):
    parts = [phrase(o) for o in objects]
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def location(box):
    """Four location tokens: round(v * 1023), in the order y1 x1 y2 x2."""
    return "".join(f"<loc{min(1023, max(0, round(v * 1023))):04d}>" for v in box)


def detection(objects):
    return " ; ".join(f"{location(o['box'])} {o['name']}" for o in objects)


def segmentation(objects):
    """As a detection, with the code words of each mask between its box and its label."""
    return " ; ".join(location(o["box"]) + "".join(f"<seg{c:03d}>" for c in o.get("codes", ())) + f" {o['name']}"
                      for o in objects)


def questions(objects, rng, plain=False) -> list:
    """(task, prompt, response) for every question that fits a scene. rng chooses the variants.

    With `plain`, as in evaluation, every prompt has its usual spelling and the usual response."""
    one = len(objects) == 1
    target = objects[int(rng.integers(len(objects)))]
    out = [("caption", "caption en", listing(objects))]

    def ask(task, question, answer, capital=0.3):
        out.append((task, "answer en " + _spelling(question, rng, capital, plain), answer))

    if one:
        ask("what", VIEW_QUESTIONS[0], target["name"], 0.6)
        ask("type", VIEW_QUESTIONS[1], target["name"], 0.6)
        short = not plain and rng.random() < SHORT_IMAGE_ANSWER
        ask("image", VIEW_QUESTIONS[2], with_article(target["name"]) if short else phrase(target), 0.6)
        ask("describe", VIEW_QUESTIONS[3], phrase(target), 0.6)
    else:
        ask("image", VIEW_QUESTIONS[2], listing(objects), 0.6)
    colour = "colour" if plain or rng.random() < 0.5 else "color"
    if one and rng.random() < 0.5:
        ask("colour", f"what {colour} is this?", target["colour"])
    else:
        ask("colour", f"what {colour} is the {target['name']}?", target["colour"])
    ask("count", f"how many {'shapes' if rng.random() < 0.5 else 'objects'} are there?", str(len(objects)))
    there = rng.random() < 0.5
    names = [o["name"] for o in objects]
    absent = [s for s in SHAPES if s not in names]
    asked = target["name"] if there else absent[int(rng.integers(len(absent)))]
    ask("is there", f"is there {with_article(asked)}?", "yes" if there else "no")
    boxed = objects[int(rng.integers(len(objects)))]
    out.append(("box caption", f"caption {location(boxed['box'])}", phrase(boxed)))
    for verb, respond in (("detect", detection), ("segment", segmentation)):
        found = objects[int(rng.integers(len(objects)))]
        out.append((verb, f"{verb} {found['name']}", respond([found])))
        missing = absent[int(rng.integers(len(absent)))]
        out.append((f"{verb} absent", f"{verb} {missing}", ""))
        if not one:
            pair = [objects[int(i)] for i in rng.permutation(len(objects))[:2]]
            out.append((f"{verb} two", f"{verb} " + " ; ".join(o["name"] for o in pair), respond(pair)))
        asked = [found["name"], missing] if rng.random() < 0.5 else [missing, found["name"]]
        out.append((f"{verb} one of two", f"{verb} " + " ; ".join(asked), respond([found])))
    return out


def _spelling(question, rng, capital, plain):
    if plain:
        return question
    if rng.random() >= capital:
        question = question[0].lower() + question[1:]
    else:
        question = question[0].upper() + question[1:]
    return question.rstrip("?") if rng.random() < 0.15 else question


def corpus(lines=6000, seed=0) -> list:
    """Sentences to train the tokenizer on."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(lines):
        n = int(rng.integers(1, 4))
        names = rng.permutation(SOLIDS + FLAT)[:n]
        colours = rng.permutation(list(COLOURS))[:n]
        for task, prompt, answer in questions(
                [dict(name=str(a), colour=str(c), box=(0, 0, 0, 0)) for a, c in zip(names, colours)], rng):
            out.append(prompt)
            if not task.startswith(("detect", "segment")):
                out.append(answer)
    return out


# ------------------------------------------------------------------------------------------ judging
def parse_boxes(text):
    """[(box, 16 codes or none, label)] from the text of a detection or segmentation."""
    found = re.finditer(r"((?:<loc\d{4}>){4})((?:<seg\d{3}>){16})?([^;<]*)", text)
    return [([int(v) / 1023 for v in re.findall(r"\d{4}", m[1])], [int(v) for v in re.findall(r"\d{3}", m[2] or "")],
             m[3].strip()) for m in found]


def iou(a, b):
    height, width = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(0.0, height) * max(0.0, width)
    area = lambda z: max(0.0, z[2] - z[0]) * max(0.0, z[3] - z[1])
    return inter / (area(a) + area(b) - inter + 1e-9)


def judge(task, want, got, overlap=lambda wanted, given: iou(wanted[0], given[0])):
    """(right, mean IoU or None). A detection or segmentation is right when the labels agree and every IoU is above 0.5.

    The IoU of a box that is missing or has another label counts as 0. `overlap` gives the IoU of two parsed boxes."""
    if not task.startswith(("detect", "segment")) or not want:
        return want == got, None
    wanted, given = parse_boxes(want), parse_boxes(got)
    if len(wanted) != len(given) or any(a[2] != b[2] for a, b in zip(wanted, given)):
        return False, 0.0
    overlaps = [overlap(a, b) for a, b in zip(wanted, given)]
    return min(overlaps) > 0.5, float(np.mean(overlaps))
