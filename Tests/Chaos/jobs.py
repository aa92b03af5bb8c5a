"""The jobs, and what must become of each: what became of its like without faults."""

import json
import threading
import time

from schema import WAITING

IMAGES = ["rgb.png", "photo.jpg", "lossless.webp", "grey.png", "alpha.webp", "exif6.jpg"]
QUESTIONS = ["What is this?", "What type of object is this?"]
# A box and its outline: the tiny model writes none by itself.
OUTLINE = "<loc0100><loc0200><loc0900><loc0800>" + "".join(f"<seg{code:03}>" for code in range(0, 128, 8))

# What a kind of web page makes of its job, where that must be the same each time: done, or dead after so many attempts.
FINE = ["drip", "reset_first", "busy_first", "down_first", "dies", "redirect", "wrong_type"]
DEAD = ["missing", "always_reset", "endless", "too_long", "promises_more", "promises_less", "bomb", "not_gzip", "loop",
        "page", "void", "not_http", "endless_head"]
# Their host looks dead, so their jobs may fail, or wait until somebody cancels them.
HOPELESS = ["drip_dead", "mute"]


def templates():
    """By name: weight and columns of gloss.inbox; {key} in a URL is the job's."""
    found = {}

    def add(name, weight, kind="good", image="rgb.png", **columns):
        where = image if kind == "good" else "{key}/" + image
        views = columns.pop("views", None)
        if kind == "good" and columns["task"] != "caption":
            kind = "clean"
        urls = [(kind, where)] if views is None else [("clean", view) for view in views]
        found[name] = (weight, urls, {"max_tokens": 5, "max_attempts": 5} | columns)

    for place, image in enumerate(IMAGES):
        add(f"caption-{image}", 6, image=image, task="caption")
        add(f"vqa-{image}", 4, image=image, task="vqa", texts=["what is this?"], samples=3, temperature=1, seed=place)
        add(f"detect-{image}", 3, image=image, task="detect", texts=["cat", "dog"])
    for seed in range(3):
        add(f"object-{seed}", 6, task="multiview", views=(IMAGES * 2)[seed:seed + 3], texts=QUESTIONS, samples=3,
            temperature=1, seed=seed)
    # Follow-up questions: stages, which depend on what the first one is answered.
    for seed in range(2):
        add(f"follow-ups-{seed}", 4, task="multiview", views=(IMAGES * 2)[seed + 1:seed + 4], texts=QUESTIONS, samples=2,
            temperature=1, seed=seed, follow_ups=["where is the {answer}?", "why?"], ignore=["unanswerable"])
    for image in IMAGES[:3]:
        add(f"segment-{image}", 2, image=image, task="segment", texts=["cat"], continue_from=OUTLINE, max_tokens=24)
        add(f"choice-{image}", 2, image=image, task="choice", texts=["is it red?"], options=["yes", "no", "a b"],
            token_scores=True)
        add(f"beams-{image}", 2, image=image, task="caption", beams=3)
        # The same files as of the captions, and other images.
        add(f"drawn-{image}", 2, image=image, task="caption", draw_box=[0.1, 0.2, 0.9, 0.8])
    add("drawn-otherwise", 2, task="caption", draw_box=[0.1, 0.2, 0.9, 0.9])
    add("box", 2, task="caption", style="box", texts=["0.1,0.2,0.9,0.8"])
    add("ocr", 2, task="ocr", max_tokens=12, max_repeats=3)
    add("question", 2, task="question", texts=["blue"], samples=4, temperature=1, pick="likeliest")
    add("video", 2, task="caption", views=IMAGES[:2], frames=4)
    for kind in FINE:
        add(f"web-{kind}", 1.5, kind=kind, task="caption", max_attempts=40 if kind == "dies" else 5)
    for kind in DEAD:
        add(f"web-{kind}", 0.7, kind=kind, task="caption", max_attempts=2)
    for kind in HOPELESS:
        add(f"web-{kind}", 0.25, kind=kind, task="caption", max_attempts=2)
    add("poison", 0, task="caption")
    add("poison-object", 0, task="multiview", views=IMAGES[:3], texts=QUESTIONS, samples=3, temperature=1)
    return found


class Feeder:
    """Enqueues jobs in batches, as a producer, so that there is always something to do."""

    COLUMNS = ("task text, image_urls text[], texts text[], key text, batch text, priority int, max_tokens int, "
               "samples int, temperature float8, seed bigint, max_attempts int, run_at timestamptz, style text, beams int, "
               "pick text, continue_from text, max_repeats int, token_scores bool, frames int, options text[], "
               "follow_ups text[], ignore text[], draw_box real[]")

    def __init__(self, world, rng):
        self.world, self.rng, self.templates = world, rng, templates()
        self.names = [name for name, (weight, _, _) in self.templates.items() if weight > 0]
        self.weights = [self.templates[name][0] for name in self.names]
        self.clean = [name for name in self.names if self.templates[name][1][0][0] == "clean"]
        self.batch_count, self.is_over = 0, False
        self.lock = threading.Lock()

    def row(self, name, batch, number, priority=0):
        _, urls, columns = self.templates[name]
        key = f"{batch}/{name}/{number}"
        flat = key.replace("/", "_")
        images = [self.world.web.url(kind, rest.replace("{key}", flat)) for kind, rest in urls]
        return {"key": key, "batch": batch, "image_urls": images, "priority": priority} | columns

    def next_batch(self, prefix="b"):
        with self.lock:
            self.batch_count += 1
            return f"{prefix}{self.batch_count}"

    def insert(self, rows, into="inbox"):
        """One INSERT, as SQL."""
        names = ", ".join(column.split()[0] for column in self.COLUMNS.split(", "))
        text = json.dumps(rows).replace("'", "''")
        return (f"insert into gloss.{into} ({names}) select {names} "
                f"from jsonb_to_recordset('{text}') x ({self.COLUMNS})")

    def enqueue(self, rows):
        """Repeated until the database has it. The keys make that safe."""
        self.world.ledger.add(rows, is_sure=False)
        self.world.insist(self.insert(rows), user="chaos_producer")
        self.world.ledger.add(rows, is_sure=True)

    def draw(self, rng, count):
        """Names of templates, by their weights."""
        return rng.choices(self.names, self.weights, k=count)

    def enqueue_all(self, batch):
        """One job of each template that ends the same way each time."""
        names = [name for name in self.names if name not in [f"web-{kind}" for kind in HOPELESS]]
        self.enqueue([self.row(name, batch, 0) for name in names])

    def run(self, waiting=60, most=800, size=40):
        """Keeps so many jobs due, unless so many are paused or put off. Half of that may wait for a host that is parked: the
        rest is of the clean host."""
        while not self.is_over:
            try:
                ((ready, others),) = self.world.ask(WAITING)
            except self.world.AWAY:
                time.sleep(0.1)
                continue
            if int(ready) < waiting and int(others) < most:
                batch = self.next_batch()
                names = self.draw(self.rng, size) if int(others) < most / 2 else self.rng.choices(self.clean, k=size)
                self.enqueue([self.row(name, batch, number) for number, name in enumerate(names)])
            time.sleep(0.2)
