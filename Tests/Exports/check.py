"""What glossctl export writes, read by those for whom it is written: scripts/check-exports runs it.

Pictures of all eight EXIF orientations are drawn with things in them, and their results recorded in a queue. Each reader must find
the same boxes, labels, scores and masks, and the things' colours where the boxes are.
"""
import argparse
import importlib
import os
import shutil
import sys
import tempfile
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(f"{HERE}/../..")
sys.path += [HERE, f"{ROOT}/Benchmarks/scale"]
sys.dont_write_bytecode = True
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", YOLO_OFFLINE="true", DATUMARO_TELEMETRY_DISABLED="1")

import psycopg  # noqa: E402

import pictures as drawn  # noqa: E402
from checks import OBJECTS, Checks  # noqa: E402
from server import Server  # noqa: E402

# Files of readers/, in an order in which each finds the exports that it needs.
READERS = ["pycocotools", "ultralytics", "supervision", "label_studio", "hugging_face", "webdataset", "datumaro", "lvis", "fiftyone",
           "duckdb", "pyarrow", "objaverse"]
SAMPLE = ["pycocotools", "hugging_face"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--glossctl", default=f"{ROOT}/.build/debug/glossctl")
    parser.add_argument("--reader", action="append", choices=READERS,
                        help="only this reader; those that read what another one exported need it before them")
    parser.add_argument("--sample", action="store_true", help="few pictures and the readers of scripts/test")
    parser.add_argument("--rows", type=int, help="measure this many results in place of asking readers")
    parser.add_argument("--masks", action="store_true", help="of measurements: each thing has one")
    parser.add_argument("--repeat", type=int, default=3, help="of measurements; the best counts")
    parser.add_argument("--keep", action="store_true", help="keep what was written, and say where")
    arguments = parser.parse_args()
    if arguments.rows:
        import scale
        return scale.measure(os.path.abspath(arguments.glossctl), arguments.rows, arguments.repeat, arguments.masks)
    folder = tempfile.mkdtemp(prefix="gloss-exports.")
    server = Server(os.path.abspath(arguments.glossctl), f"{ROOT}/migrations")
    try:
        conninfo = f"host={server.folder} user=postgres dbname=bench"
        pictures = drawn.draw(f"{folder}/pictures", more=2 if arguments.sample else 40)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            drawn.fill(connection, pictures, OBJECTS)
        checks = Checks(os.path.abspath(arguments.glossctl), folder, conninfo, pictures)
        for reader in arguments.reader or (SAMPLE if arguments.sample else READERS):
            before = len(checks.failures)
            try:
                importlib.import_module(f"readers.{reader}").read(checks)
            except Exception as problem:
                checks.failures.append(f"{reader}: {type(problem).__name__}: {problem}")
                if arguments.keep:
                    traceback.print_exc()
            print(f"{reader}: {len(checks.failures) - before} failures", flush=True)
    finally:
        server.stop()
        if arguments.keep:
            print(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for reader, count in checks.counts.items():
        print(f"  {reader}: {count:,} comparisons")
    for line in checks.skipped:
        print(f"  skipped: {line}")
    shown = {}
    for line in checks.failures:
        reader = line.split(":")[0]
        shown[reader] = shown.get(reader, 0) + 1
        if shown[reader] <= 5:
            print(f"  {line}")
    total = sum(checks.counts.values())
    print(f"check-exports: {len(pictures)} pictures, {len(checks.counts)} readers, {total:,} comparisons, {len(checks.failures)} failures")
    sys.exit(1 if checks.failures else 0)


main()
