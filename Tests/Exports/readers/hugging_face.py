"""imagefolder and webdataset, as Hugging Face's datasets loads them."""
import os

from checks import ORIENTATIONS


def read(checks):
    import datasets
    datasets.disable_progress_bars()
    cache = f"{checks.folder}/cache"
    for orientation in ORIENTATIONS:
        place = checks.export(f"imagefolder-{orientation}", "imagefolder", "--orientation", orientation, *checks.images())
        rows = datasets.load_dataset("imagefolder", data_dir=place, cache_dir=cache)["train"]
        checks.rows("datasets imagefolder", rows, orientation, lambda row: (row["image"], row))
        place = checks.export(f"webdataset-{orientation}", "webdataset", "--orientation", orientation, "--shard", "20", *checks.images())
        files = {"train": sorted(f"{place}/{n}" for n in os.listdir(place) if n.endswith(".tar"))}
        rows = datasets.load_dataset("webdataset", data_files=files, cache_dir=cache)["train"]
        checks.rows("datasets webdataset", rows, orientation, lambda row: (row["jpg"], row["json"]))
    # One without any object, whose lists have no type.
    place = checks.export("imagefolder-empty", "imagefolder", "--where", "false", *checks.images())
    rows = datasets.load_dataset("imagefolder", data_dir=place, cache_dir=cache)["train"]
    checks.equal("datasets imagefolder", "rows without objects", [r["objects"]["bbox"] for r in rows], [[]] * len(checks.pictures))
