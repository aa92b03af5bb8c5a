"""Lines, and the tokens that Stanford's PTBTokenizer makes of them."""
import glob
import json
import os
import subprocess
import tempfile

import pycocoevalcap.tokenizer.ptbtokenizer as ptb

JAR = os.path.join(os.path.dirname(ptb.__file__), ptb.STANFORD_CORENLP_3_4_1_JAR)
ENDS = {10: " ", 11: " ", 12: " ", 13: " ", 0x2028: " ", 0x2029: " "}

FRAGMENTS = (
    "a an the man dog's dogs' DON'T can't it's I'm we'll cannot gonna U.S. Mr. Dr. Inc. etc. e.g. St. No. Ph.D. a.m. p.m. "
    "5 10 3.5 1,000 10:30 5:30pm 1/2 3/4 20th 1990s '90s $5 €5 £5.50 50% #1 #tag @user a@b.com www.x.com http://x.com/a "
    "3-year-old mother-in-law and/or AT&T R&D o'clock rock'n'roll 'em y'all T-shirt 4x4 6'2\" \"red\" 'blue' “big” ‘small’ "
    "(left) [sic] {x} ... … -- — – - :) :-) ;D <3 &amp; &lt; <b> </b> ½ é café naïve Zürich 日本語 ไทย Привет ελληνικά 😀 ™ ° "
    "² H₂O C++ C# x_y a_b_c hello.world end. end, end! what? what?! !!! ?? ; : , . ' \" ` `` '' / \\ * ** _ + = ~ ^ | A B "
    "The He In 555-1212 (555) 14.x main.cpp &eacute; 12/25/2010 Jr. Co. can’t ’90s d'Angelo Hawai'i").split(" ")
GLUE = [" "] * 12 + ["", "", "  ", ",", ".", "'", "-", "/", "\u00a0", "\t"]
CHARACTERS = "aabbcdenstxAIST0125  ..,,''\"-–:;!?()/&%$#@_*+`’“”éß中\u00a0…"


def phrase(rng):
    return "".join(rng.choice(FRAGMENTS) + rng.choice(GLUE) for _ in range(rng.randint(1, 12)))


def characters(rng):
    return "".join(rng.choice(CHARACTERS) for _ in range(rng.randint(1, 24)))


def tokens(lines):
    """The tokens of each line, in lower case. Each is followed by a line of its own: what follows a line may change how
    the original cuts its end."""
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write("".join(f"{line.translate(ENDS)}\nzq\n" for line in lines).encode())
    command = ["java", "-cp", JAR, "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines", "-lowerCase", file.name]
    output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode()
    os.remove(file.name)
    rows = output.split("\n")
    assert rows[1:2 * len(lines):2] == ["zq"] * len(lines), "a line was lost"
    return [row.rstrip().split(" ") if row.strip() else [] for row in rows[:2 * len(lines):2]]


def documents(count, rng):
    """Lines of what is installed here."""
    lines = set()
    for path in glob.glob("/usr/share/doc/**/*", recursive=True):
        if os.path.isfile(path) and not path.endswith((".gz", ".png", ".jpg", ".html", ".pdf")):
            try:
                with open(path, encoding="utf-8") as file:
                    lines.update(line.strip() for line in file.read().split("\n") if line.strip())
            except UnicodeDecodeError:
                continue
    return rng.sample(sorted(lines), min(count, len(lines)))


def write_lines(path, captions, documented, drawn, rng):
    """Writes a file of lines with their tokens, and prints how many there are."""
    parts = {"documents": documents(documented, rng) if documented else [],
             "phrases": [phrase(rng) for _ in range(drawn)], "characters": [characters(rng) for _ in range(drawn)]}
    if captions:
        with open(captions) as file:
            parts["captions"] = [row["caption"] for row in json.load(file)]
    with open(path, "w") as file:
        for part, lines in filter(lambda part: part[1], parts.items()):
            for line, cut in zip(lines, tokens(lines)):
                file.write(json.dumps({"part": part, "line": line, "tokens": cut}, ensure_ascii=False) + "\n")
            print(f"{part}: {len(lines)} lines")
