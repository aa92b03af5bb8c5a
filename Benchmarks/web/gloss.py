"""Two daemons on a private PostgreSQL, and what became of their jobs."""
import collections
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import kinds
import processes

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(f"{HERE}/../..")
sys.path.insert(0, f"{ROOT}/Benchmarks/scale")
from server import Server  # noqa: E402

TINY = f"{ROOT}/Tests/Fixtures/tiny/model"
# Kinds whose jobs may wait until the setting give_up_after.
PATIENT = [kind.name for kind in kinds.ALL.values() if "waiting" in kind.codes]


class Daemon:
    def __init__(self, number, program, server, web, settings):
        self.port = 9471 + number
        self.log = f"{server.folder}/glossd-{number}.log"
        environment = dict(os.environ, GLOSS_DATABASE=f"host={server.folder} user=postgres dbname=bench", GLOSS_MODEL=TINY,
                           GLOSS_THREADS="1", GLOSS_HEALTH_PORT=str(self.port), GLOSS_LOG_LEVEL="notice",
                           GLOSS_FETCH_CERTIFICATE_AUTHORITIES=web.authority, **settings)
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([program], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not self.is_ready():
            if self.process.poll() is not None:
                raise SystemExit(f"glossd ended early: {self.tail()}")
            time.sleep(0.05)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10):
                return True
        except OSError:
            return False

    def tail(self):
        with open(self.log) as file:
            return file.read()[-2000:]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def run(urls, web, options, opt_outs):
    """What became of the URLs (kind, number, URL), and what it took; `opt_outs`: off, named or strict."""
    settings = {"GLOSS_FETCH_TIMEOUT_SECONDS": str(options.timeout), "GLOSS_FETCH_CONNECT_TIMEOUT_SECONDS": str(options.timeout),
                "GLOSS_FETCH_OPT_OUTS": opt_outs}
    server = Server(f"{options.bin}/glossctl", options.migrations)
    daemons = []
    try:
        refused = enqueue(server, urls, options)
        web.ask("begin")
        start = float(server.sql("select extract(epoch from clock_timestamp())"))
        daemons = [Daemon(number, f"{options.bin}/glossd", server, web, settings) for number in range(options.daemons)]
        usage = processes.Usage([daemon.process.pid for daemon in daemons])
        is_done = wait(server, daemons, options)
        seconds = float(server.sql("select extract(epoch from clock_timestamp())")) - start
        used, seen = usage.end(), web.ask("stats")
        if options.keep:
            for number, daemon in enumerate(daemons):
                with open(daemon.log) as log, open(f"{options.keep}/glossd-{opt_outs}-{number}.log", "w") as copy:
                    copy.write(log.read())
        return dict(name=f"Gloss, opt_outs: {opt_outs}", is_done=is_done, seconds=seconds, seen=seen, **used,
                    **results(server, start, refused), statuses=[daemon.stop() for daemon in daemons])
    finally:
        for daemon in daemons:
            daemon.process.kill()
            daemon.process.wait()
        server.stop()


def enqueue(server, urls, options):
    """Puts the jobs into the queue; how many lines were refused there, by kind."""
    path = f"{server.folder}/jobs.jsonl"
    with open(path, "w") as file:
        for kind, number, url in urls:
            file.write(json.dumps(dict(task="caption", image_url=url, key=f"{kind}/{number}", max_tokens=1)) + "\n")
    done = subprocess.run([f"{options.bin}/glossctl", "enqueue", "from", path, "--batch", "web", "--database",
                           f"host={server.folder} user=postgres dbname=bench"], capture_output=True, text=True)
    count = int(server.sql("select count(*) from gloss.job"))
    if done.returncode and count == 0:
        raise SystemExit(f"enqueue: {done.stdout}{done.stderr}")
    missing = collections.Counter(kind for kind, _, _ in urls)
    for line in server.sql("select split_part(key, '/', 1), count(*) from gloss.job group by 1").splitlines():
        kind, jobs = line.split("\t")
        missing[kind] -= int(jobs)
    return {kind: left for kind, left in missing.items() if left}


UNFINISHED = """select split_part(j.key, '/', 1), count(*) from (
    select job_id from gloss.ready union all select job_id from gloss.leased
    union all select job_id from gloss.scheduled union all select job_id from gloss.paused_job) w
join gloss.job j on j.id = w.job_id group by 1"""


def wait(server, daemons, options):
    """Until no job is left but those of hosts that never answer; false if that takes too long."""
    end = time.monotonic() + 60 * options.minutes
    said = time.monotonic()
    while time.monotonic() < end:
        time.sleep(1)
        for daemon in daemons:
            if daemon.process.poll() is not None:
                raise SystemExit(f"a daemon ended with {daemon.process.returncode}: {daemon.tail()}")
        if options.verbose and time.monotonic() > said + 10:
            said = time.monotonic()
            print("   ", server.sql("select count(*) filter (where state = 'done'), count(*) from gloss.job_state")
                  if options.urls <= 5000 else server.sql("select count(*) from gloss.annotation"), flush=True)
        if int(server.sql("select count(*) from gloss.ready")) > 200:
            continue
        left = dict(line.split("\t") for line in server.sql(UNFINISHED).splitlines())
        if all(kind in PATIENT for kind in left):
            return True
    return False


OUTCOMES = """select split_part(j.key, '/', 1),
    case when a.job_id is not null then 'image' else coalesce(d.code, 'waiting') end, count(*)
from gloss.job j left join gloss.annotation a on a.job_id = j.id left join gloss.dead_job d on d.job_id = j.id group by 1, 2"""
BURNT = """select split_part(j.key, '/', 1), coalesce(t.code, t.cause), t.outcome = 'failed', a.job_id is not null, sum(t.count)
from gloss.attempt t join gloss.job j on j.id = t.job_id left join gloss.annotation a on a.job_id = j.id group by 1, 2, 3, 4"""
TIMES = """select percentile_disc(array[0.5, 0.9, 0.99, 1]) within group (order by extract(epoch from finished_at) - START)
from gloss.annotation"""


def results(server, start, refused):
    outcomes = collections.defaultdict(dict, {kind: {"enqueue": count} for kind, count in refused.items()})
    for line in server.sql(OUTCOMES).splitlines():
        kind, outcome, count = line.split("\t")
        outcomes[kind][outcome] = int(count)
    burnt = []
    for line in server.sql(BURNT).splitlines():
        kind, code, failed, has_image, count = line.split("\t")
        burnt.append(dict(kind=kind, code=code, failed=failed == "t", has_image=has_image == "t", count=int(count)))
    times = server.sql(TIMES.replace("START", str(start))).strip("{}")
    return dict(outcomes=outcomes, burnt=burnt, times=[float(time) for time in times.split(",") if time])
