"""Objaverse's CSV."""
import csv

import psycopg

from checks import OBJECTS


def read(checks):
    place = checks.export("objaverse", "objaverse")
    rows = list(csv.reader(open(f"{place}/objects.csv", newline="", encoding="utf8"), delimiter=";"))
    expected = sorted((k, a, p) for k, answers in OBJECTS for a, p in answers)
    checks.equal("csv", "objects", sorted((k, a, float(p)) for k, a, p in rows), expected)
    # The query of docs/sql.md.
    sql = ("copy (select key, x ->> 'answer', (x ->> 'p')::real from gloss.multiview, jsonb_array_elements(distribution) x"
           " order by key) to stdout with (format csv, delimiter ';')")
    with psycopg.connect(checks.conninfo) as connection, connection.cursor().copy(sql) as copy:
        published = b"".join(bytes(block) for block in copy).decode()
    checks.equal("psql", "objects", open(f"{place}/objects.csv", encoding="utf8").read(), published)
