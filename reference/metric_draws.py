"""Texts and labels drawn by chance, as hard as users' are: case, marks, numbers, other scripts, wrong forms."""
import random

WORDS = ("a an the man woman dog dogs' dog's red blue two three 3 10 none zero yes no Yes YES it's its don't dont cant "
         "wont let's she's somebody'd im Im ain't street-light ice/cream T-shirt U.S. 1,000 3.5 50% $5 ﬁ Straße STRASSE "
         "café cafe\u0301 ΟΔΟΣ ΑΣ ας İstanbul ǅ 日本 मेज़ ½ ² x_y (left) [up] \"quoted\" ... . , ! ? ; @ `").split()
BLANKS = [" "] * 8 + ["", "  ", "\t", "\n", " . ", ", ", "-", "\u00a0", "\u2003", "\x1c", "\u200b", "/"]


def text(rng, most=5):
    return "".join(rng.choice(WORDS) + rng.choice(BLANKS) for _ in range(rng.randint(0, most)))


def changed(rng, s):
    """A text that differs by case, blanks or a letter, or not at all."""
    choice = rng.randrange(9)
    if choice == 0:
        return s.upper()
    if choice == 1:
        return s.lower()
    if choice == 2:
        return " " + s + rng.choice([" ", "\n", ".", "!", "\u00a0"])
    if choice == 3 and s:
        at = rng.randrange(len(s))
        return s[:at] + rng.choice(["", "x", " ", "é", "."]) + s[at + 1:]
    if choice == 4:
        return s.replace(" ", rng.choice(["  ", "\t", "-", ", "]))
    if choice == 5:
        return text(rng)
    return s


def number(rng):
    value = rng.choice([rng.randint(-20, 3000), rng.randint(1990, 2030), round(rng.uniform(-5, 120), rng.randint(0, 3)), 0])
    form = rng.randrange(12)
    digits = str(value)
    return [digits, digits, digits, digits + "%", f" {digits} ", f"{value:,}", f"{value:e}", digits + "%%",
            digits.replace("1", "１"), digits.replace("0", "_0"), f"${digits}", f"{digits}\x1f"][form]


def numbers(rng):
    """A number and one near it."""
    answer = number(rng)
    try:
        value = float(answer.rstrip("%"))
        near = value * rng.choice([1, 1, 1.05, .95, 1.0499999, 1.0500001, .9, 100, .01, -1])
        near = rng.choice([repr(near), str(int(near)), f"{near:.2f}", f"{near:g}%"])
    except (ValueError, OverflowError):
        near = number(rng)
    odd = ["nan", "inf", "-inf", "0x10", "1_000", "1__0", "", "%", "e5", "5.", ".5", "１２", "Yes", "YES", "true"]
    return rng.choice([near, near, near, answer, answer, rng.choice(odd)]), rng.choice([answer] * 9 + [rng.choice(odd)])


def items(rng, count, draw):
    rows = []
    for index in range(count):
        row = {"key": f"k{index}", **draw()}
        if rng.random() < .03:
            row["text"] = None
        rows.append(row)
    return rows


def vqa(rng, count, people=None):
    def draw():
        pool = [text(rng, 3) for _ in range(rng.choice([1, 2, 3, 4]))]
        answers = [changed(rng, rng.choice(pool)) if rng.random() < .3 else rng.choice(pool)
                   for _ in range(people or rng.choice([1, 2, 5, 9, 10, 10, 10]))]
        return {"text": changed(rng, rng.choice(answers)), "answers": answers,
                "answer_type": rng.choice(["yes/no", "number", "other"]),
                "question_type": rng.choice(["what is the", "how many", "none of the above"])}
    return items(rng, count, draw)


def answers(rng, count):
    def draw():
        pool = [text(rng) for _ in range(rng.choice([1, 1, 2, 3]))]
        return {"text": changed(rng, rng.choice(pool)), "answers": pool}
    return items(rng, count, draw)


def short(rng, count):
    """Words of a few letters, so that half of the distances are near 0.5."""
    def draw():
        word = lambda: "".join(rng.choice("aabBß é") for _ in range(rng.randint(0, 6)))
        pool = [word() for _ in range(rng.choice([1, 2]))]
        return {"text": rng.choice([word(), changed(rng, rng.choice(pool))]), "answers": pool}
    return items(rng, count, draw)


def charts(rng, count):
    def draw():
        told, answer = numbers(rng)
        return {"text": told, "answers": [answer] if rng.random() < .8 else [answer, number(rng)]}
    return items(rng, count, draw)


def pope(rng, count):
    said = ["yes", "no", "Yes", "No", "NO", "Yes, there is.", "No, there is not.", "There is no dog.", "It is not. Yes.",
            "maybe", "", "no,", "No.", "not", "cannot", "Yes. No.", "nothing", " no ", "yes\n", "n o"]
    return items(rng, count, lambda: {"text": rng.choice(said), "answers": [rng.choice(["yes", "no"])]})


def counts(rng, count):
    names = ["none", "zero", "One", "two", "THREE", "ten", "twelve", "twenty", "twenty-one", "many", "", " 2", "2.0", "03"]
    def draw():
        label = rng.randint(0, 12)
        return {"text": rng.choice([str(label), str(label), str(label + rng.choice([-1, 1, 5])), rng.choice(names)]),
                "answers": [rng.choice([str(label), str(label), rng.choice(["one", "Two", "none", "eleven"])])],
                "question_type": rng.choice(["simple", "complex"])}
    return items(rng, count, draw)


def remote(rng, count):
    def draw():
        answer = rng.choice(["yes", "no", "rural", "urban", "4", "0", "between 0 and 10"])
        return {"text": changed(rng, answer), "answers": [answer],
                "question_type": rng.choice(["comp", "count", "presence", "rural_urban", "area"])}
    return items(rng, count, draw)


def science(rng, count):
    def draw():
        letter = rng.choice("ABCDE")
        said = [f"The answer is {letter}.", f"the answer is {letter.lower()}.", f"The answer is {rng.choice('ABC')}.", letter,
                f"The answer is {letter}", f" The answer is {letter}.", f"THE ANSWER IS {letter}. Because", "", "İ",
                "The answer is 1.", f"So the answer is {letter}."]
        return {"text": rng.choice(said), "answers": [f"The answer is {letter}."]}
    return items(rng, count, draw)


def groups(rng, count):
    def draw():
        answer = rng.choice(["True", "False"])
        return {"text": rng.choice([answer, answer, answer, answer.lower(), changed(rng, answer)]), "answers": [answer],
                "group": f"g{rng.randrange(count // 2)}"}
    return items(rng, count, draw)


def transcripts(rng, count):
    def draw():
        reference = text(rng, 12)
        said = reference
        for _ in range(rng.randint(0, 3)):
            said = changed(rng, said)
        return {"text": said, "answers": [reference]}
    return items(rng, count, draw)


def distributions(rng, count):
    """Names in ScoreAgg's canonical form, with vectors of them."""
    names = [f"{a} {b}" for a in "red blue wooden old small".split() for b in "chair table lamp boat robot dog".split()]
    vectors = {name: [rng.gauss(0, 1) for _ in range(8)] for name in names}
    def draw():
        chosen = rng.sample(names, rng.randint(1, 8))
        weights = [rng.random() ** 3 for _ in chosen]
        distribution = sorted(({"answer": n, "p": w / sum(weights)} for n, w in zip(chosen, weights)), key=lambda d: -d["p"])
        label = rng.choice([chosen[0], distribution[0]["answer"], rng.choice(names)])
        return {"text": distribution[0]["answer"], "distribution": distribution,
                "answers": [label] + rng.sample([n for n in names if n != label], rng.choice([0, 0, 1]))}
    return [{"key": f"k{i}", **draw()} for i in range(count)], vectors


def captions(rng, count):
    """Images with captions of a small world, as COCO's are written."""
    things = "man woman dog cat train pizza table horse bench kite red bus street sign baby elephant bowl of fruit".split()
    doing = "sitting standing riding holding looking at flying eating near on top of in front of next to with".split()
    def sentence():
        words = ["a"] + [rng.choice(things if rng.random() < .6 else doing + ["the", "a", "some"])
                         for _ in range(rng.choice([0, 1, 3, 6, 8, 8, 9, 10, 12, 20]))]
        return " ".join(words)
    rows = []
    for index in range(count):
        base = sentence()
        def like():
            words = base.split()
            for _ in range(rng.randint(0, 4)):
                words[rng.randrange(len(words))] = rng.choice(things)
            return " ".join(words)
        references = [rng.choice([sentence, like])() for _ in range(rng.randint(1, 5))]
        told = rng.choice([like, like, sentence, lambda: ""])()
        rows.append({"key": f"k{index}", "text": told, "answers": references})
    return rows


def written(rng, caption):
    """The same with what people type: capitals, a period, quotes, contractions. It does not end in a letter by itself:
    whether the period behind that is an abbreviation's depends, in the original, on how the next image's caption begins."""
    marks = [".", "", " .", "!", "...", ",", "!!", " (left)", "'s", "-", " \"stop\" sign", " it's", " 5:30pm", " U.S.", "?"]
    words = caption.split() + (["dog"] if caption.endswith(" a") or caption == "a" else [])
    words = [w.capitalize() if rng.random() < .1 else w + (rng.choice(marks) if rng.random() < .15 else "")
             for w in words]
    return " ".join(words) + rng.choice([".", ".", "", " ."])


DRAWS = {
    "vqa-v2": vqa, "vqa-simple": vqa, "textvqa": lambda rng, n: vqa(rng, n, people=10),
    "exact": answers, "exact-lower": answers, "squad": answers, "anls": short, "anls-pix2struct": short, "anls-bv": short,
    "relaxed": charts, "relaxed-strict": charts, "pope": pope, "pope-bv": pope, "counting": counts, "rsvqa": remote,
    "scienceqa": science, "nlvr2": groups, "paired": groups, "cer": transcripts, "cer-lower": transcripts,
    "wer": transcripts, "wer-lower": transcripts,
}


def seeded(seed, name):
    return random.Random(f"{seed} {name}")
