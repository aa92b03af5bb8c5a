"""Draws robots.txt files and paths, and says what Google's parser makes of them, for RobotsOracleTests.

  python reference/check_robots.py --cases 20000 --out cases.jsonl
  GLOSS_TEST_ROBOTS=cases.jsonl swift test --filter RobotsOracleTests

The oracle is gpyrobotstxt, Google's parser in Python. It compares octets as they are written, but RFC 9309 (2.2.2) asks to
bring the patterns and the path into one spelling first. So it gets each case in that spelling, by `canonical` below, and every
verdict must be ours. Three habits of that parser are not drawn: it stops at a line of one word, it takes Allow: /index.html for the
folder, and a key may go on after its name (Allowed:). How often it and protego say something else of the case as it was drawn is counted, too.
"""
import argparse
import json
import random

from gpyrobotstxt.robots_cc import RobotsMatcher
from protego import Protego

AGENTS = ["gloss", "Gloss", "GLOSS/1.0", "gloss (any)", "*", "* all", "other", "glossy", "gloss-bot", "glos", "4711", ""]
ATOMS = ["/", "/", "/", "a", "a", "b", "ab", ".jpg", "?", "=", "&", ":", "%3A", "%3a", "%61", "%62", "%2F", "%2f", "%3F", "%24", "%2A",
         "%25", "%C3%A9", "%c3%a9", "~", "%7E", "%zz", "%4", "!", "%20"]
WRITTEN = ["é", "*", "*", "*", "$", " "]
KEYS = {"user-agent": ["User-agent", "user-agent", "USER-AGENT", "User agent", "useragent"],
        "allow": ["Allow", "allow", "ALLOW"],
        "disallow": ["Disallow", "Disallow", "disallow", "Dissallow", "dissalow", "disalow", "diasllow", "disallaw"],
        "other": ["Crawl-delay", "Sitemap", "Noindex", "Host", "x"]}
UNRESERVED = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def canonical(text, is_pattern):
    """The one spelling: the reserved and what is not ASCII encoded, the unreserved not; slashes and question marks as they are,
    and in a query plain."""
    octets, out, at, in_query = text.encode(), [], 0, False
    while at < len(octets):
        octet, is_encoded = octets[at], False
        if octet == ord("%"):
            try:
                digits = octets[at + 1:at + 3].decode()
                if len(digits) == 2 and all(d in "0123456789abcdefABCDEF" for d in digits):
                    octet, is_encoded = int(digits, 16), True
            except UnicodeDecodeError:
                pass
        at += 3 if is_encoded else 1
        if octet in UNRESERVED:
            out.append(chr(octet))
        elif octet in b"/?" and (not is_encoded or in_query):
            out.append(chr(octet))
            in_query |= octet == ord("?")
        elif is_pattern and not is_encoded and (octet == ord("*") or octet == ord("$") and at == len(octets)):
            out.append(chr(octet))
        else:
            out.append(f"%{octet:02X}")
    return "".join(out)


def draw_path(draw, atoms, most):
    return "/" + "".join(draw.choice(atoms) for _ in range(draw.randint(0, most)))


def draw_pattern(draw):
    kind = draw.random()
    if kind < 0.05:
        return ""
    pattern = draw_path(draw, ATOMS + WRITTEN, 5).strip()
    if kind < 0.1:
        pattern = pattern[1:].strip()
    if kind > 0.8:
        pattern += "$"
    return pattern


def draw_file(draw):
    """Lines of (key, spelling, value, comment, end), as they are written."""
    lines = []
    for _ in range(draw.randint(1, 12)):
        kind = draw.choices(["user-agent", "allow", "disallow", "other", "nothing"], [4, 3, 5, 1, 1])[0]
        end = draw.choice(["\n", "\n", "\r\n", "\r"])
        comment = draw.choice(["", "", "", " # User-agent: gloss", "#"])
        if kind == "nothing":
            lines.append((kind, "", draw.choice(["", "#", ": /", "<html lang=en>: x", "two words", "and three words"]), comment, end))
            continue
        value = draw.choice(AGENTS) if kind == "user-agent" else draw_pattern(draw) if kind != "other" else "1"
        key = draw.choice(KEYS[kind])
        separator = draw.choice([":", ": ", ": ", " : ", ":\t"])
        if value and " " not in value and " " not in key and draw.random() < 0.05:
            separator = draw.choice([" ", "\t"])
        lines.append((kind, draw.choice(["", "", " "]) + key + separator, value, comment, end))
    return lines


def written(lines, spell=lambda value: value):
    return "".join(start + (spell(value) if kind in ("allow", "disallow") else value) + comment + end
                   for kind, start, value, comment, end in lines)


def google(text, path):
    return RobotsMatcher().allowed_by_robots(text.encode(), ["gloss"], "http://a.example" + path)


def names_us(lines):
    """Whether a group is for us; what GLOSS/1.0 and its like name is the token in front."""
    for kind, _, value, _, _ in lines:
        token = value[:next((i for i, c in enumerate(value) if not (c.isascii() and c.isalpha() or c in "-_")), len(value))]
        if kind == "user-agent" and token.lower() == "gloss":
            return True
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    refused, as_written, by_protego = 0, 0, 0
    with open(options.out, "w") as out:
        for _ in range(options.cases):
            lines, path = draw_file(draw), draw_path(draw, ATOMS, 6)
            if draw.random() < 0.3:
                # More often than by chance: a path that a pattern matches.
                patterns = [value for kind, _, value, _, _ in lines if kind in ("allow", "disallow") and value.startswith("/")]
                if patterns:
                    path = draw.choice(patterns).replace("*", draw.choice(["", "a", "/b"])).rstrip("$").replace(" ", "%20")
                    path = path.replace("é", "%C3%A9").replace("$", "%24") or "/"
            text = written(lines)
            everybody = google(written(lines, lambda value: canonical(value, True)), canonical(path, False))
            named = everybody or not names_us(lines)
            out.write(json.dumps({"file": text, "path": path, "strict": everybody, "named": named}) + "\n")
            refused += not everybody
            as_written += google(text, path) != everybody
            by_protego += Protego.parse(text).can_fetch("http://a.example" + path, "gloss") != everybody
    print(f"check_robots: {options.cases} cases, {refused} refused; as they are written {as_written} differ in Google's parser and "
          f"{by_protego} in protego")


if __name__ == "__main__":
    main()
