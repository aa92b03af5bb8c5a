"""Texts of many scripts, and tokenizers with byte pairs of all of them, as tokenizer.json."""
import random
import unicodedata

# A few letters of each script suffice for merges; whole blocks are drawn for the texts.
BLOCKS = [(0x61, 0x7A), (0x61, 0x7A), (0x61, 0x7A), (0xC0, 0x24F), (0x250, 0x2AF), (0x370, 0x3FF), (0x400, 0x52F),
          (0x530, 0x58F), (0x590, 0x5FF), (0x600, 0x6FF), (0x700, 0x74F), (0x900, 0x97F), (0x980, 0x9FF),
          (0xA80, 0xAFF), (0xB80, 0xBFF), (0xC00, 0xC7F), (0xD80, 0xDFF), (0xE00, 0xE7F), (0xE80, 0xEFF),
          (0x10A0, 0x10FF), (0x1200, 0x137F), (0x1780, 0x17FF), (0x1800, 0x18AF), (0x1E00, 0x1EFF), (0x2000, 0x206F),
          (0x20A0, 0x20BF), (0x2190, 0x22FF), (0x2500, 0x27BF), (0x3040, 0x30FF), (0x3130, 0x318F), (0x4E00, 0x9FFF),
          (0xAC00, 0xD7AF), (0xFB00, 0xFB4F), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x10330, 0x1034F),
          (0x1D400, 0x1D7FF), (0x1F1E6, 0x1F1FF), (0x1F300, 0x1F6FF), (0x1F900, 0x1F9FF), (0x20000, 0x2A6DF)]
ADDED = ["<loc0000>", "<loc0001>", "<loc0010>", "<loc1023>", "<seg000>", "<seg127>", "<mine>", "<mine too>", "\n", "\n\n",
         "\n\n\n", "<table>", "</table>"]
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<image>"]


def letters(rng, low, high, count):
    found = []
    while len(found) < count:
        c = chr(rng.randint(low, high))
        if unicodedata.category(c) != "Cn":
            found.append(c)
    return found


class Texts:
    """Draws texts. Words come from a list and repeat, so that there are merges to learn and to use."""

    def __init__(self, seed, words=4000):
        self.rng = rng = random.Random(seed)
        alphabets = [letters(rng, low, high, min(18, high - low + 1)) for low, high in BLOCKS]
        self.words = ["".join(rng.choices(alphabet, k=rng.randint(1, 9)))
                      for alphabet in (rng.choice(alphabets) for _ in range(words))]

    def word(self):
        return self.words[int(len(self.words) * self.rng.random() ** 3)]

    def text(self, length=12):
        rng, parts = self.rng, []
        for _ in range(rng.randint(0, length)):
            kind = rng.random()
            if kind < 0.55:
                parts.append(self.word())
            elif kind < 0.63:
                low, high = rng.choice(BLOCKS)
                parts.append("".join(letters(rng, low, high, rng.randint(1, 6))))
            elif kind < 0.70:
                parts.append(rng.choice(ADDED + SPECIAL + ["<loc", "<loc00", "1023>", "<0x41>", "<mine", " too>"]))
            elif kind < 0.76:
                parts.append(rng.choice(["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪🇫🇷", "é", "é", "ﬁ", "Å", "Å", "\u200b", "\ufeff"]))
            elif kind < 0.82:
                parts.append(rng.choice([" ", "\n", "\t", "\u2581", "\u00a0", "\r\n", "\u3000"]) * rng.randint(1, 9))
            elif kind < 0.86:
                parts.append(chr(rng.choice([*range(1, 32), 0x7F, 0xE000, 0xFFFD, 0xFFFF, 0x10FFFF])))
            elif kind < 0.9:
                parts.append("".join(self.word() for _ in range(rng.randint(2, 30))))
            elif kind < 0.95:
                parts.append(str(rng.randrange(10 ** rng.randint(1, 9))))
            else:
                parts.append(rng.choice(".,;:!?\"'()[]{}<>/\\|@#$%^&*-_=+~`"))
            if rng.random() < 0.6:
                parts.append(" ")
        return "".join(parts)


def tokenizer_json(seed, size):
    """A tokenizer.json of Gemma's kind, as a dict: `size` byte pairs and pieces, trained on `Texts`."""
    from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer
    import json

    texts = Texts(seed)
    trained = Tokenizer(BPE())
    trained.normalizer = normalizers.Replace(" ", "\u2581")
    trained.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    trained.train_from_iterator((texts.text() for _ in range(6000)), BpeTrainer(vocab_size=size, limit_alphabet=size // 4, show_progress=False))
    learnt = json.loads(trained.to_str())["model"]
    pieces = SPECIAL[:5] + [f"<0x{b:02X}>" for b in range(256)] + [a for a in ADDED if a.startswith("\n")]
    pieces += [p for p in sorted(learnt["vocab"], key=learnt["vocab"].get) if p not in pieces]
    model = BPE(vocab={p: i for i, p in enumerate(pieces)}, merges=[tuple(m) for m in learnt["merges"]],
                unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(s, normalized=False, special=True) for s in SPECIAL])
    # Fine-tunes add tokens with one setting or the other.
    tokenizer.add_tokens([AddedToken(a, normalized=i % 2 == 1) for i, a in enumerate(ADDED)])
    return json.loads(tokenizer.to_str())


def expected(tokenizer, text):
    """The ids and the text that they become again; tokens such as <eos> are text, as they are for Gloss."""
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return dict(text=text, ids=ids, decoded=tokenizer.decode(ids))
