"""JSONL and Parquet in pyarrow. It needs the exports of duckdb."""
from pycocotools import mask as masks


def read(checks):
    import pyarrow.json
    import pyarrow.parquet
    table = pyarrow.json.read_json(f"{checks.folder}/nested/images.jsonl")
    path = f"{checks.folder}/pyarrow.parquet"
    pyarrow.parquet.write_table(table, path)
    for row in pyarrow.parquet.read_table(path).to_pylist():
        found = [(o["label"], o["bbox"], o["score"], o["mask"] and masks.decode(o["mask"])) for o in row["objects"]]
        checks.things("pyarrow", checks.pictures[row["file_name"]], "upright", found)
