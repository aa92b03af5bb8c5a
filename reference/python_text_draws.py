"""Items that show whether Gloss' texts behave as Python's: lower case, split, strip, numbers."""
import struct
import sys
import unicodedata


def as_floats(vectors):
    """In single precision, as Gloss keeps vectors."""
    return {text: struct.unpack(f"{len(v)}f", struct.pack(f"{len(v)}f", *v)) for text, v in vectors.items()}


def code_points():
    """Those that this Python knows. Of U+0295 and U+1171E, Swift's newer Unicode says something else: the one is cased no
    more, the other is ignored beside a sigma."""
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) not in ("Cn", "Cs") and code not in (0x295, 0x1171E):
            yield chr(code)


def item(index, text, answers):
    return {"key": f"k{index}", "text": text, "answers": answers}


def lower(rng):
    """Alone and among letters: equal to what Python makes of it, and to nothing else."""
    items, expected = [], []
    for c in code_points():
        for text in (c, f"a{c}", f"{c}Σ", f"AΣ{c}", f"AΣ{c}B"):
            if text == text.lower() and rng.random() < .9:
                continue
            items.append(item(len(items), text, [text.lower()]))
            expected.append(1.)
    for _ in range(20000):
        text = "".join(rng.choice("ΑΣΣσς.'\u00ad\u0301 İIıßẞǅaA1:") for _ in range(rng.randint(1, 6)))
        other = rng.choice([text.lower(), text.lower().replace("ς", "σ"), text.lower().replace("σ", "ς"), text.casefold()])
        items.append(item(len(items), text, [other]))
        expected.append(float(text.lower() == other.lower()))
    return "exact-lower", "lower()", items, expected


def split(rng):
    """The Robust Reading Competition's ANLS squeezes what split() splits at."""
    import metric_oracles
    items = [item(i, f"ab{c}cd", ["ab cd"]) for i, c in enumerate(code_points())]
    return "anls", "split()", items, [metric_oracles.anls_rrc(i) for i in items]


def strip(rng):
    """CER takes off what strip() takes off."""
    items, expected = [], []
    for c in code_points():
        text = f"{c}ab{c}"
        items.append(item(len(items), text, ["ab"]))
        expected.append(0. if text.strip() == "ab" else 1.)
    return "cer", "strip()", items, expected


def number(rng):
    """Relaxed accuracy says whether a text is a number: of the answers here, some are what a careless reader takes it for."""
    import metric_oracles
    pieces = ["1", "2", "0", "5", ".", "e", "E", "+", "-", "_", ",", " ", "inf", "nan", "INFINITY", "0x", "\u0665", "５", "²",
              "½", "\u2003", "\x1c", "\u00a0", "%", "x", "1e9", "\x00"]
    texts = ["".join(rng.choice(pieces) for _ in range(rng.randint(1, 7))) for _ in range(60000)]
    texts += [f"{c}5" for c in code_points()] + [f"5{c}" for c in code_points()]
    items, expected = [], []
    for text in texts:
        answers = ["inf", "16", "5"]
        for reading in (text, text.replace("_", ""), text.replace(",", ""), text.strip("%_ "), text[1:], text[:-1],
                        "".join(c for c in text if c.isdigit()), text.lstrip("+-")):
            try:
                answers.append(repr(float(reading)))
            except ValueError:
                continue
        row = item(len(items), text, sorted(set(answers) - {"inf", "-inf"}) or ["5"])
        items.append(row)
        expected.append(metric_oracles.relaxed(row))
    return "relaxed", "float()", items, expected


def parts(rng):
    for part in (lower, split, strip, number):
        yield part(rng)
