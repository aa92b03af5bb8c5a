"""The queue from the client libraries that people use, with values as each library binds them by default. scripts/check-clients runs it.

Each check enqueues as gloss_producer, a simulated daemon answers, and the results are read as gloss_reader.
"""
import argparse
import asyncio
import datetime
import json
import os
import sys
import time
import uuid

ROOT = os.path.normpath(f"{os.path.dirname(os.path.abspath(__file__))}/../..")
sys.path.insert(0, f"{ROOT}/Benchmarks/scale")
sys.dont_write_bytecode = True

import asyncpg  # noqa: E402
import pandas  # noqa: E402
import psycopg  # noqa: E402
import psycopg2  # noqa: E402
import psycopg2.extras  # noqa: E402
import sqlalchemy  # noqa: E402
from server import Server  # noqa: E402

URL = "https://images.example.org/{}.jpg"
LATER = datetime.datetime(2099, 1, 1, tzinfo=datetime.timezone.utc)


class Checks:
    """Runs checks by name, and counts them."""

    def __init__(self, server, rows):
        self.server, self.rows, self.count, self.failures = server, rows, 0, []

    def conninfo(self, role):
        return f"host={self.server.folder} dbname=bench user={role}"

    def sql(self, text):
        return self.server.sql(text)

    def equal(self, what, found, expected):
        self.count += 1
        if found != expected:
            self.failures.append(f"{what}: {found!r} in place of {expected!r}")

    def settings(self, key):
        """What became of a job's settings."""
        return json.loads(self.sql(f"select spec -> 'settings' from gloss.job where key = '{key}'"))

    def check_one(self, client, key):
        """What each client enqueues as its one job: a VQA job with every kind of value."""
        settings = self.settings(key)
        self.equal(f"{client}: settings", [settings[n] for n in ("temperature", "top_p", "top_k", "samples", "max_tokens", "seed")],
                   [0.7, 0.95, 40, 3, 20, 2**53 + 1])
        row = self.sql(f"select state, priority, max_attempts, batch from gloss.job_state where key = '{key}'")
        self.equal(f"{client}: the job", row, "scheduled\t-3\t7\t" + client)

    def check_many(self, client, batch, count, seconds):
        self.equal(f"{client}: {batch}", self.sql(f"select total from gloss.batch_progress where batch = '{batch}'"), str(count))
        print(f"  {client}: {count:,} rows, {count / seconds:,.0f} rows/s", flush=True)

    def answer(self):
        """A daemon's part: gives each job that is due the result `a cat`."""
        with psycopg.connect(self.conninfo("client_worker"), autocommit=True) as connection:
            identity = uuid.uuid4()
            (worker,) = connection.execute(
                "select gloss.register_worker('host', 1, '0.1.0', array['tiny'], array['caption', 'vqa', 'detect', 'multiview'],"
                " '1 hour', %s)", [identity]).fetchone()
            while True:
                jobs = connection.execute(
                    "select job, fence, image_urls from gloss.claim(%s::bigint, %s, 500)", [worker, identity]).fetchall()
                if not jobs:
                    return
                reports = [{"job": job, "fence": fence, "outcome": "completed", "result": self.result(urls)}
                           for job, fence, urls in jobs]
                (receipts,) = connection.execute("select receipts from gloss.record(%s::bigint, %s, %s::jsonb)",
                                                 [worker, identity, json.dumps(reports)]).fetchone()
                assert set(receipts) == {"recorded"}, receipts

    @staticmethod
    def result(urls):
        digest = "0f" * 32
        image = {"sha256": digest, "width": 640, "height": 480, "orientation": 1, "format": "jpeg", "byte_count": 81234}
        return {"model": "tiny", "digest": "ab" * 32, "precision": "f32", "resize": "bicubic", "version": "0.1.0",
                "prompts": ["caption en"], "settings": None, "timings": {"prefill": 1.5}, "image_sha256": [digest] * len(urls),
                "final_urls": urls, "images": [image] * len(urls), "texts": ["a cat"], "sums": [-1.5], "norms": [-0.75],
                "tokens": [2], "finish": ["eos"], "views": 1, "questions": 1, "samples": 1, "score": -0.75, "not_understood": 0,
                "findings": []}


ONE = """select job_id, outcome from gloss.enqueue_vqa({url}, {question}, key => {key}, batch => {batch}, priority => {priority},
    max_attempts => {attempts}, run_at => {run_at}, temperature => {temperature}, top_p => {top_p}, top_k => {top_k},
    samples => {samples}, max_tokens => {max_tokens}, seed => {seed})"""
NAMES = ["url", "question", "key", "batch", "priority", "attempts", "run_at", "temperature", "top_p", "top_k", "samples",
         "max_tokens", "seed"]


def values(client, key):
    return [URL.format(1), "what is it?", key, client, -3, 7, LATER, 0.7, 0.95, 40, 3, 20, 2**53 + 1]


def rows(client, checks):
    """(task, image_url, key, batch), as many as are asked for."""
    return [("caption", URL.format(n), f"{client}/{n}", f"{client} many") for n in range(checks.rows)]


def psycopg3(checks):
    with psycopg.connect(checks.conninfo("client_producer")) as connection:
        sql = ONE.format(**{name: "%s" for name in NAMES})
        _, outcome = connection.execute(sql, values("psycopg 3", "p3")).fetchone()
        checks.equal("psycopg 3: outcome", outcome, "inserted")
        checks.equal("psycopg 3: again", connection.execute(sql, values("psycopg 3", "p3")).fetchone()[1], "duplicate")
        # Keys that are no texts are cast; lists are arrays.
        name = uuid.UUID(int=7)
        connection.execute("select gloss.enqueue_caption(%s, key => %s::text)", [URL.format(2), 17])
        connection.execute("select gloss.enqueue_detect(%s, %s, key => %s::text)", [URL.format(2), ["cat", "dog"], name])
        connection.execute("select gloss.enqueue_multiview(%s, %s)", ["object", [URL.format(3), URL.format(4)]])
        connection.commit()
        checks.check_one("psycopg 3", "p3")
        checks.equal("psycopg 3: keys", checks.sql(f"select count(*) from gloss.job where key in ('17', '{name}', 'object')"), "3")

        start = time.time()
        with connection.cursor() as cursor, cursor.copy(
                "copy gloss.inbox (task, image_url, key, batch) from stdin") as copy:
            for row in rows("psycopg3", checks):
                copy.write_row(row)
        connection.commit()
        checks.check_many("psycopg 3, COPY", "psycopg3 many", checks.rows, time.time() - start)
        start, few = time.time(), checks.rows // 100
        with connection.cursor() as cursor:
            cursor.executemany("insert into gloss.inbox (task, image_url, key, batch, temperature) values (%s, %s, %s, %s, %s)",
                               [("caption", URL.format(n), f"p3 one by one/{n}", "p3 one by one", 0.5) for n in range(few)])
        connection.commit()
        checks.check_many("psycopg 3, executemany", "p3 one by one", few, time.time() - start)


def psycopg_2(checks):
    connection = psycopg2.connect(checks.conninfo("client_producer"))
    with connection, connection.cursor() as cursor:
        cursor.execute(ONE.format(**{name: "%s" for name in NAMES}), values("psycopg2", "p2"))
        checks.equal("psycopg2: outcome", cursor.fetchone()[1], "inserted")
        cursor.execute("select gloss.enqueue_detect(%s, %s, key => %s)", [URL.format(2), ["cat", "dog"], "p2 detect"])
    checks.check_one("psycopg2", "p2")
    start = time.time()
    with connection, connection.cursor() as cursor:
        psycopg2.extras.execute_values(
            cursor, "insert into gloss.inbox (task, image_url, key, batch) values %s", rows("psycopg2", checks), page_size=10_000)
    checks.check_many("psycopg2, execute_values", "psycopg2 many", checks.rows, time.time() - start)
    connection.close()


async def asyncpg_(checks):
    connection = await asyncpg.connect(host=checks.server.folder, database="bench", user="client_producer")
    sql = ONE.format(**{name: f"${n + 1}" for n, name in enumerate(NAMES)})
    row = await connection.fetchrow(sql, *values("asyncpg", "ap"))
    checks.equal("asyncpg: outcome", row["outcome"], "inserted")
    await connection.fetchrow("select gloss.enqueue_multiview($1, $2, $3)", "ap object", [URL.format(3)], ["what?"])
    checks.check_one("asyncpg", "ap")
    start = time.time()
    await connection.copy_records_to_table("inbox", schema_name="gloss", columns=["task", "image_url", "key", "batch"],
                                           records=rows("asyncpg", checks))
    checks.check_many("asyncpg, COPY", "asyncpg many", checks.rows, time.time() - start)
    start = time.time()
    await connection.executemany("insert into gloss.inbox (task, image_url, key, batch, top_p) values ($1, $2, $3, $4, $5)",
                                 [("caption", URL.format(n), f"ap one by one/{n}", "ap one by one", 0.9) for n in range(200)])
    checks.check_many("asyncpg, executemany", "ap one by one", 200, time.time() - start)
    await connection.close()


def engine(checks, role):
    return sqlalchemy.create_engine(f"postgresql+psycopg://{role}@/bench?host={checks.server.folder}")


def sql_alchemy(checks):
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    class Base(DeclarativeBase):
        pass

    class Submission(Base):
        """A row that is inserted, and comes back with the job's number."""
        __tablename__, __table_args__ = "submission", {"schema": "gloss"}
        job_id: Mapped[int] = mapped_column(primary_key=True)
        outcome: Mapped[str] = mapped_column(server_default=sqlalchemy.FetchedValue())
        task: Mapped[str]
        image_url: Mapped[str]
        key: Mapped[str | None]
        batch: Mapped[str | None]
        temperature: Mapped[float | None]
        samples: Mapped[int | None]

    # Kept as they are after the commit: gloss.submission shows no rows, so nothing can be read again.
    with Session(engine(checks, "client_producer"), expire_on_commit=False) as session:
        one = Submission(task="caption", image_url=URL.format(1), key="sa", batch="sqlalchemy", temperature=0.5, samples=2)
        session.add(one)
        session.commit()
        checks.equal("SQLAlchemy, ORM: the number is the job's", str(one.job_id), checks.sql("select id from gloss.job where key = 'sa'"))
        checks.equal("SQLAlchemy, ORM: outcome", one.outcome, "inserted")
    with Session(engine(checks, "client_producer"), expire_on_commit=False) as session:
        again = Submission(task="caption", image_url=URL.format(1), key="sa", batch="sqlalchemy", temperature=0.5, samples=2)
        session.add(again)
        session.commit()
        checks.equal("SQLAlchemy, ORM: again", (again.job_id, again.outcome), (one.job_id, "duplicate"))
    inbox = sqlalchemy.table("inbox", *map(sqlalchemy.column, ("task", "image_url", "key", "batch")), schema="gloss")
    many = [dict(zip(("task", "image_url", "key", "batch"), row)) for row in rows("sa", checks)]
    start = time.time()
    with engine(checks, "client_producer").begin() as connection:
        for first in range(0, len(many), 5000):
            connection.execute(inbox.insert().values(many[first:first + 5000]))
    checks.check_many("SQLAlchemy, rows in one statement", "sa many", checks.rows, time.time() - start)
    start, few = time.time(), [{**row, "key": "few " + row["key"], "batch": "sa few"} for row in many[:200]]
    with engine(checks, "client_producer").begin() as connection:
        connection.execute(inbox.insert(), few)
    checks.check_many("SQLAlchemy, a statement a row", "sa few", len(few), time.time() - start)


def pandas_(checks):
    frame = pandas.DataFrame(rows("pandas", checks), columns=["task", "image_url", "key", "batch"])
    frame["temperature"] = 0.5
    frame["samples"] = 2
    start = time.time()
    with engine(checks, "client_producer").begin() as connection:
        frame.to_sql("inbox", connection, schema="gloss", if_exists="append", index=False, method="multi", chunksize=5000)
    checks.check_many("pandas, to_sql", "pandas many", checks.rows, time.time() - start)
    checks.equal("pandas: settings", checks.settings("pandas/0")["samples"], 2)


def results(checks):
    """A table of one's own, joined with what was answered."""
    checks.sql("create table photo (id bigint primary key, url text); grant select on photo to client_reader;"
               f"insert into photo select n, 'https://images.example.org/' || n || '.jpg' from generate_series(0, {checks.rows - 1}) n")
    join = """select p.id, c.caption, c.sum_logprob, c.samples from photo p
        left join gloss.caption c on c.key = 'psycopg3/' || p.id order by p.id"""
    expected = (checks.rows, (0, "a cat", -1.5, ["a cat"]))
    with psycopg.connect(checks.conninfo("client_reader")) as connection:
        found = connection.execute(join).fetchall()
        checks.equal("psycopg 3: join", (len(found), found[0]), expected)
    connection = psycopg2.connect(checks.conninfo("client_reader"))
    with connection, connection.cursor() as cursor:
        cursor.execute(join)
        found = cursor.fetchall()
        checks.equal("psycopg2: join", (len(found), found[0]), expected)
    connection.close()

    async def by_asyncpg():
        connection = await asyncpg.connect(host=checks.server.folder, database="bench", user="client_reader")
        found = await connection.fetch(join)
        checks.equal("asyncpg: join", (len(found), tuple(found[0])), expected)
        whole = await connection.fetchrow("select * from gloss.result where key = 'ap one by one/0'")
        checks.equal("asyncpg: result", (whole["model"], whole["image_sha256"], list(whole["widths"])), ("tiny", ["0f" * 32], [640]))
        await connection.close()
    asyncio.run(by_asyncpg())
    frame = pandas.read_sql(join, engine(checks, "client_reader"))
    checks.equal("pandas: join", (len(frame), frame["caption"][0], float(frame["sum_logprob"][0])), (checks.rows, "a cat", -1.5))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="of each bulk")
    parser.add_argument("--glossctl", default=f"{ROOT}/.build/debug/glossctl")
    options = parser.parse_args()
    server = Server(options.glossctl, f"{ROOT}/migrations")
    checks = Checks(server, options.rows)
    try:
        for role in ("producer", "reader", "worker"):
            server.sql(f"create role client_{role} login in role gloss_{role}")
        psycopg3(checks)
        psycopg_2(checks)
        asyncio.run(asyncpg_(checks))
        sql_alchemy(checks)
        pandas_(checks)
        checks.answer()
        results(checks)
    finally:
        server.stop()
    for failure in checks.failures:
        print(f"check-clients: {failure}")
    print(f"check-clients: {checks.count} checks, {len(checks.failures)} failed, PostgreSQL {server.version}")
    sys.exit(bool(checks.failures))


if __name__ == "__main__":
    main()
