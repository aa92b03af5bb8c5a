"""webdataset, by the library of that name. It needs the exports of hugging_face."""
import os


def read(checks):
    import webdataset
    place = f"{checks.folder}/webdataset-stored"
    urls = sorted(f"{place}/{n}" for n in os.listdir(place) if n.endswith(".tar"))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil").to_tuple("jpg", "json"))
    checks.equal("webdataset", "samples", len(samples), len(checks.pictures))
    for image, row in samples:
        found = list(zip(row["objects"]["categories"], row["objects"]["bbox"], row["objects"]["scores"], [None] * 99))
        checks.things("webdataset", checks.by_digest(row), "stored", found, has_masks=False)
