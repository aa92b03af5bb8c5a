"""JSONL and Parquet in DuckDB."""
from pycocotools import mask as masks


def read(checks):
    import duckdb
    nested, flat = checks.export("nested", "jsonl", "--nested"), checks.export("flat", "jsonl")
    parquet = f"{checks.folder}/images.parquet"
    duckdb.sql(f"copy (select * from '{nested}/images.jsonl') to '{parquet}' (format parquet)")
    rows = duckdb.sql(f"select file_name, objects from '{parquet}'").fetchall()
    checks.equal("duckdb", "rows", len(rows), len(checks.pictures))
    for name, objects in rows:
        found = [(o["label"], o["bbox"], o["score"], o["mask"] and masks.decode(o["mask"])) for o in objects]
        checks.things("duckdb", checks.pictures[name], "upright", found)
    things = duckdb.sql(f"select count(*) from '{flat}/objects.jsonl' where score > .3").fetchall()[0][0]
    checks.equal("duckdb", "things", things, sum(t.score > 0.3 for p in checks.pictures.values() for t in p.things))
