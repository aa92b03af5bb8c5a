"""A million results: glossctl export beside psql's \\copy of the same rows, with the memory that glossctl takes.

    scripts/check-exports --rows 1000000 --glossctl .build/release/glossctl              boxes, all of them and a half by --where
    scripts/check-exports --rows 1000000 --masks --glossctl .build/release/glossctl      boxes with masks of some 600 bytes
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
from pycocotools import mask as masks

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(f"{HERE}/../..")
sys.path.append(f"{ROOT}/Benchmarks/scale")
sys.dont_write_bytecode = True

from server import Server  # noqa: E402

# A result an image, a thing a result; every tenth image is empty, every tenth has two. Images have a hundred sizes.
FILL = """
create table drawn (size int primary key, counts text);
insert into drawn values {drawn};
insert into gloss.batch (name) values ('all');
insert into gloss.kind (task, model) select '{task}', '' where not exists (select from gloss.kind where task = '{task}');
insert into gloss.engine (model, digest, version) values ('tiny', repeat('ab', 32), '0.1.0');
insert into gloss.job (batch_id, kind, prefills, tokens, bytes, images, priority, max_attempts, key, image_urls, spec)
select (select id from gloss.batch), (select id from gloss.kind where task = '{task}' limit 1), 1, 64, 60, 1, 0, 5, 'row-' || n,
       array['https://images.example.org/' || n % 100 || '/' || md5(n::text) || '.jpg'], '{"texts": ["cat"], "settings": {}}'
from generate_series(1, {rows}) n;
insert into gloss.image (sha256, width, height, byte_count, orientation, format, job_id, fence)
select sha256(id::text::bytea), 600 + (id % 100)::int, 400 + (id % 50)::int, 81234, 1 + (id % 8)::int, 'jpeg', id, id from gloss.job order by id;
insert into gloss.annotation (job_id, fence, worker, engine, score, attempts, rescues, not_understood, findings, views, questions,
    samples, task, finish, texts, sums, norms, tokens, prompts, image_sha256, final_urls, timings)
select id, id, 1, (select id from gloss.engine), 0.5, 0, 0, 0, 1, 1, 1, 1, '{task}', 'e',
       array['<loc0123><loc0456><loc0789><loc1000> cat'], '{-1}', '{-1}', '{6}', '{detect cat}', array[sha256(id::text::bytea)],
       image_urls, '{"prefill": 1.5}' from gloss.job;
insert into gloss.finding (job_id, fence, n, image, score, y1, x1, y2, x2, label, mask)
select id, id, m, 1, (id % 1000) / 1000.0, 0.1, (id % 400) / 1000.0, 0.7, 0.5 + (id % 500) / 1000.0, 'label ' || id % 80, d.counts
from gloss.job join drawn d on d.size = id % 100, generate_series(1, case id % 10 when 0 then 0 when 1 then 2 else 1 end) m;
vacuum analyze gloss.job, gloss.annotation, gloss.finding, gloss.image;
"""


def ellipse(size):
    """Run lengths of an ellipse in an image of this number."""
    height, width = 400 + size % 50, 600 + size
    y, x = np.mgrid[0:height, 0:width]
    inside = ((y / height - 0.4) / 0.3) ** 2 + ((x / width - 0.4) / 0.25) ** 2 < 1
    return masks.encode(np.asfortranarray(inside.astype(np.uint8)))["counts"].decode()


def timed(command, **options):
    """Seconds, and the most memory in MB of this child."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)}: {process.stderr.read().decode()}")
    return time.monotonic() - start, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def measure(glossctl, rows, repeat, has_masks):
    """Prints times and memory. A run with masks is one of its own: both together do not fit into five minutes."""
    folder = tempfile.mkdtemp(prefix="gloss-exports.")
    server = Server(glossctl, f"{ROOT}/migrations")
    results = {}
    try:
        start = time.monotonic()
        task, view = ("segment", "gloss.segmentation") if has_masks else ("detect", "gloss.detection")
        drawn = ", ".join(f"({n}, $m${ellipse(n)}$m$)" if has_masks else f"({n}, null)" for n in range(100))
        for statement in FILL.replace("{rows}", str(rows)).replace("{task}", task).replace("{drawn}", drawn).split(";\n"):
            if statement.strip():
                server.sql(statement)
        print(f"  {rows:,} results in {time.monotonic() - start:.0f} s", flush=True)
        psql = ["psql", "-X", "-q", "-h", server.folder, "-U", "postgres", "-d", "bench"]
        half = "score > .5"
        exports = {"coco": (["coco"], "true"), "coco --where": (["coco", "--where", half], half),
                   "coco --kind results": (["coco", "--kind", "results"], "true"), "jsonl": (["jsonl"], "true"),
                   "jsonl --nested": (["jsonl", "--nested", "--task", task], "true")}
        if has_masks:
            exports = {name: exports[name] for name in ("coco", "coco --where", "coco --kind results")}
        best = lambda xs: min(xs, key=lambda x: x[0])  # noqa: E731
        copied = {}
        for condition in ("true", half):
            copied[condition] = best([timed(
                [*psql, "-c", f"\\copy (select * from {view} where batch = 'all' and {condition}) to '{folder}/copy.txt'"])
                for _ in range(repeat)])
            print(f"  \\copy of {view} where {condition}: {copied[condition][0]:.2f} s,"
                  f" {os.path.getsize(folder + '/copy.txt') / 1e6:.0f} MB", flush=True)
        for name, (words, condition) in exports.items():
            place = f"{folder}/export"
            seconds, memory, processor = best([timed(
                [glossctl, "export", *words, "--batch", "all", "--output", place, "--database",
                 f"host={server.folder} user=postgres dbname=bench"]) for _ in range(repeat)])
            ratio = seconds / copied[condition][0]
            size = sum(os.path.getsize(f"{place}/{n}") for n in os.listdir(place))
            counts = json.load(open(f"{place}/manifest.json"))["counts"]
            assert counts["results"] == rows and counts["images"] == rows, counts
            results[name] = (ratio, memory)
            print(f"  {name}: {seconds:.2f} s ({processor:.2f} s of glossctl's processor time), {ratio:.2f} times \\copy, "
                  f"{memory:.0f} MB of memory, {size / 1e6:.0f} MB written", flush=True)
            shutil.rmtree(place)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    # With a condition, images without things are rows of the export still, and not of the copy.
    bad = [n for n, (ratio, memory) in results.items() if ratio > 3 and "--where" not in n or memory > 200]
    print(f"check-exports: {rows:,} results{' with masks' if has_masks else ''}, at most {max(r for r, _ in results.values()):.2f} times \\copy, "
          f"at most {max(m for _, m in results.values()):.0f} MB" + (f"; over the limit: {', '.join(bad)}" if bad else ""))
    sys.exit(1 if bad and rows >= 1_000_000 else 0)
