#!/usr/bin/env python3
"""Breaks everything around running glossd daemons, and checks that nothing is lost or doubled.

See docs/chaos.md; scripts/chaos sets up and calls this.
"""

import argparse
import collections
import os
import pathlib
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import faults
import jobs
import postgres
from checks import SCHEMA, Checker
from daemon import Daemon
from web import HOSTS, Web

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent


class Children:
    """The processes that must not outlive this one: files named by their numbers, for the undertaker."""

    def __init__(self, root):
        self.folder = pathlib.Path(root, "children")
        self.folder.mkdir()
        self.lifeline, writer = os.pipe()
        os.set_inheritable(writer, False)
        script = ('trap "" INT TERM HUP; read line; for p in $(ls "$0/children"); do kill -9 "$p"; done; '
                  'kill -9 $(head -n1 "$0/disk/data/postmaster.pid"); sleep 0.3; umount -l "$0/disk"; rm -rf "$0"')
        subprocess.Popen(["/bin/sh", "-c", script, str(root)], stdin=self.lifeline, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, cwd="/", start_new_session=True)
        os.close(self.lifeline)
        self.writer = writer

    def add(self, pid):
        (self.folder / str(pid)).touch()

    def remove(self, pid):
        (self.folder / str(pid)).unlink(missing_ok=True)


class World:
    """Everything that runs, and what was seen."""

    AWAY = (OSError, postgres.Refused)
    Refused = postgres.Refused

    def __init__(self, options):
        self.options, self.rescue = options, options.rescue
        self.root = tempfile.mkdtemp(prefix="gloss-chaos-")
        os.chmod(self.root, 0o755)
        self.children = Children(self.root)
        self.violations, self.recoveries, self.missed = [], [], collections.Counter()
        self.local, self.lock = threading.local(), threading.Lock()
        self.progress, self.poisons, self.is_over = {}, [], False
        self.web = Web(REPOSITORY / "Tests/Fixtures/images", options.delay, self.poisoned)
        self.web.hosts = HOSTS
        self.server = postgres.Server(self.root)
        self.shim = self.build_clock()
        self.program = str(pathlib.Path(options.binaries, "glossd").resolve())
        self.other = self.stamp_other_version()
        self.daemons = []
        self.feeder = jobs.Feeder(self, random.Random(f"jobs {options.seed}"))
        self.checker = Checker(self)

    # Saying

    def say(self, text):
        with self.lock:
            print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def violation(self, text):
        self.violations.append(text)
        self.say(f"VIOLATION {text}")

    # The database

    def ask(self, sql, user="postgres"):
        """Rows; this thread's own connection."""
        held = self.local.__dict__.setdefault("clients", {})
        try:
            if user not in held:
                held[user] = self.server.client(user=user)
            return held[user].query(sql)
        except OSError:
            if user in held:
                held.pop(user).close()
            raise
        except postgres.Refused as refusal:
            if refusal.args[0][:2] in ("57", "53", "08") and user in held:
                held.pop(user).close()
            raise

    def insist(self, sql, user="postgres", patience=60):
        """Until the database has done it."""
        end = time.monotonic() + patience
        while True:
            try:
                return self.ask(sql, user)
            except self.AWAY as error:
                if isinstance(error, postgres.Refused) and error.args[0][:2] not in ("57", "53", "08", "58", "40"):
                    raise
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    # Setting up

    def build_clock(self):
        source, built = pathlib.Path(__file__).with_name("clock.c"), f"{self.root}/clock.so"
        compiler = shutil.which("cc") or shutil.which("clang")
        arguments = ["-O1", "-shared", "-fPIC", "-o", built, source, "-ldl"]
        return built if compiler and subprocess.run([compiler, *arguments]).returncode == 0 else None

    def stamp_other_version(self):
        """A copy of the program that says it has another version."""
        (version,) = subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout.split()
        other = ("9" + version[1:]).encode()
        copy = pathlib.Path(self.root, "glossd-other")
        standing_alone = rb"(?<![0-9.])" + re.escape(version.encode()) + rb"\0"
        copy.write_bytes(re.sub(standing_alone, other + b"\0", pathlib.Path(self.program).read_bytes()))
        copy.chmod(0o755)
        said = subprocess.run([copy, "--version"], capture_output=True, text=True).stdout.strip()
        return str(copy) if said == other.decode() else None

    def skipped(self):
        """Kinds of faults that cannot be had here, and why."""
        found = {}
        if not self.server.has_disk:
            found["disk full"] = "no disk of a small size may be mounted here"
        if not self.shim:
            found["clock off"] = "there is no C compiler"
        if not self.other:
            found["other version"] = "the program's version could not be replaced in a copy"
        return found

    def start(self):
        self.server.start()
        postgres.Client(self.root, "postgres").query("create database chaos")
        glossctl = pathlib.Path(self.options.binaries, "glossctl")
        subprocess.run([glossctl, "migrate", "--directory", REPOSITORY / "migrations", "--database",
                        f"host={self.root} dbname=chaos user=postgres"], check=True, stdout=subprocess.DEVNULL)
        self.ask("create role chaos_worker login in role gloss_worker")
        self.ask("create role chaos_producer login in role gloss_producer")
        self.ask(SCHEMA)
        settings = {
            "GLOSS_MODEL": str(self.options.model.resolve()), "GLOSS_POLL_SECONDS": "0.5", "GLOSS_THREADS": "1",
            "GLOSS_HEARTBEAT_SECONDS": str(self.rescue / 8), "GLOSS_RESCUE_SECONDS": str(self.rescue),
            "GLOSS_BATCH_SIZE": "12", "GLOSS_FETCH_NETWORKS": "127.0.0.0/8", "GLOSS_FETCH_PORTS": str(self.web.port),
            "GLOSS_FETCH_TIMEOUT_SECONDS": "5", "GLOSS_FETCH_CONNECT_TIMEOUT_SECONDS": "3",
            "GLOSS_FETCH_MAX_BYTES": "1000000", "GLOSS_FETCH_PER_HOST_CONCURRENCY": "16", "GLOSS_KV_CACHE_MB": "64",
            "GLOSS_LOG_LEVEL": "info", "GLOSS_DRAIN_SECONDS": "20",
        }
        self.daemons = [Daemon(self, number, self.program, settings) for number in range(self.options.daemons)]
        for daemon in self.daemons:
            daemon.start()

    # Watching

    def poisoned(self, number, key):
        """A daemon asked for a poisonous image."""
        self.daemons[number].kill("poison")

    def harms(self, pid, before):
        return [harm for daemon in self.daemons for harm in daemon.harms.get(pid, [])
                if before - 90 < harm.at < before]

    def observe(self):
        """Which process recorded a result when."""
        while not self.is_over:
            try:
                for pid, at in self.ask("select i.pid, extract(epoch from max(a.finished_at)) from gloss.annotation a "
                                        "join gloss.incarnation i on i.id = a.worker "
                                        "where a.finished_at > now() - interval '1 minute' group by 1"):
                    self.progress[int(pid)] = max(float(at), self.progress.get(int(pid), 0))
            except self.AWAY:
                pass
            time.sleep(0.1)

    def check_now_and_then(self):
        while not self.is_over:
            try:
                self.checker.glance()
                self.checker.sweep()
            except self.AWAY:
                pass
            time.sleep(0.7)

    def recovered(self, fault, targets, since):
        """Waits until the targets have recorded results again; how long that took."""
        limit = 30
        for daemon in targets:
            while daemon.pid in daemon.ended or self.progress.get(daemon.pid, 0) <= since:
                if time.time() - since > limit:
                    self.violation(f"daemon {daemon.number} is not back at work {limit} s after fault {fault}:\n"
                                   f"{daemon.tail(3000)}")
                    limit = 120
                    if time.time() - since > 120:
                        raise SystemExit("chaos: a daemon never came back")
                time.sleep(0.02)
        took = time.time() - since
        self.recoveries.append((took, fault))
        return took


class Run:
    """The faults one after the other: those of one daemon beside those of another, those of all alone."""

    def __init__(self, world):
        self.world, self.busy, self.counts = world, {}, collections.Counter()
        self.errors = queue.Queue()

    def faults(self, count, seconds):
        options, skipped = self.world.options, self.world.skipped()
        for kind, reason in skipped.items():
            self.world.say(f"skipped: {kind}: {reason}")
        end = time.monotonic() + seconds
        for fault in faults.sequence(options.seed, options.daemons, options.short, options.only):
            if sum(self.counts.values()) >= count or time.monotonic() > end or not self.errors.empty():
                break
            if fault.kind not in skipped:
                self.begin(fault)
        for thread in list(self.busy.values()):
            thread.join()

    def begin(self, fault):
        waits_for = list(self.busy) if fault.is_global else [fault.target] if fault.is_global is False else ["web"]
        for name in waits_for:
            if name in self.busy:
                self.busy.pop(name).join()
        self.counts[fault.kind] += 1
        thread = threading.Thread(target=self.run, args=(fault,), daemon=True)
        thread.start()
        if fault.is_global:
            thread.join()
        else:
            self.busy[waits_for[0]] = thread
        time.sleep(fault.pause)

    def run(self, fault):
        try:
            since = faults.RUN[fault.kind](self.world, fault) or time.time()
            targets = (self.world.daemons if fault.is_global
                       else [self.world.daemons[fault.target]] if fault.is_global is False else [])
            took = self.world.recovered(fault, targets, since) if targets else 0
            self.world.say(f"{fault}  back after {took:.1f} s")
        except BaseException as error:
            self.errors.put(error)
            self.world.violation(f"fault {fault} failed: {error!r}")


def settle(world, patience=180):
    """No more faults: every job must come to its end."""
    end = time.monotonic() + patience
    hopeless = "', '".join(f"web-{kind}" for kind in jobs.HOPELESS)
    while left := world.checker.sweep():
        # As somebody who runs the queue would: hosts that are well again need not wait, hopeless jobs go.
        world.ask("select gloss.unpark_host(host) from gloss.parked_host")
        world.ask(f"select gloss.cancel(key => key) from chaos.outcome "
                  f"where outcome is null and template in ('{hopeless}')")
        if time.monotonic() > end:
            rows = world.ask("select key, state, attempts, reason from gloss.job_state "
                             "where state not in ('done', 'dead') limit 20")
            world.violation(f"{left} jobs have not ended after {patience} s: {rows}")
            break
        time.sleep(0.3)
    world.checker.glance()
    world.checker.counts()


def reference(world):
    """What each template comes to while nothing is wrong."""
    world.say("an undisturbed run of each kind of job")
    world.feeder.enqueue_all("reference")
    end = time.monotonic() + 120
    while True:
        ((left,),) = world.ask("select count(*) from chaos.outcome where outcome is null")
        if left == "0":
            break
        if time.monotonic() > end:
            raise SystemExit("chaos: the undisturbed run does not end:\n" + world.daemons[0].tail(4000))
        world.ask("select gloss.unpark_host(host) from gloss.parked_host")
        time.sleep(0.2)
    world.ask("insert into chaos.expected select template, outcome, attempts, digest from chaos.outcome")
    if world.options.verbose:
        for row in world.ask("select template, outcome, attempts from chaos.expected order by 1"):
            world.say(str(row))
    world.checker.forget("reference", len(world.ask("select from gloss.job")))


def summary(world, run, seconds):
    total, options = sum(run.counts.values()), world.options
    print(f"\nseed {options.seed}, {options.daemons} daemons: {total} faults in {seconds:.0f} s")
    print("  " + ", ".join(f"{kind} {count}" for kind, count in sorted(run.counts.items())))
    if world.missed:
        print("  points that did not come up in time, so done at once: "
              + ", ".join(f"{point} {count}" for point, count in sorted(world.missed.items())))
    print("  jobs: " + ", ".join(f"{what} {count}" for what, count in sorted(world.checker.totals.items())))
    print("  web: " + ", ".join(f"{kind} {count}" for kind, count in sorted(world.web.counts.items())))
    took = sorted(seconds for seconds, _ in world.recoveries)
    if took:
        slowest = max(world.recoveries, key=lambda recovery: recovery[0])
        middle, high = took[len(took) // 2], took[int(len(took) * 0.99)]
        print(f"  back at work after {middle:.1f} s (median), {high:.1f} s (99 %), "
              f"{slowest[0]:.1f} s (most: {slowest[1]})")
    logs = b"".join(daemon.log.read_bytes() for daemon in world.daemons)
    print("  reports: " + ", ".join(f"{word} {logs.count(b'receipt=' + word.encode())}"
                                    for word in ("stale", "already_recorded")))
    print(f"  violations: {len(world.violations)}")
    for text in world.violations[:20]:
        print(f"    {text.splitlines()[0]}")


def parse():
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, help="how long (3, unless --faults is given)")
    parser.add_argument("--faults", type=int, help="how many")
    parser.add_argument("--seed", type=int, help="which sequence of faults (random)")
    parser.add_argument("--daemons", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="only kinds of faults that take little time")
    parser.add_argument("--only", type=lambda text: text.split(","), help="these kinds of faults, separated by commas")
    parser.add_argument("--plan", action="store_true", help="print the faults and do nothing")
    parser.add_argument("--rescue", type=float, default=4, help="rescue_seconds of the daemons (4)")
    parser.add_argument("--delay", type=float, default=0.15, help="seconds that the web server takes (0.15)")
    parser.add_argument("--model", type=pathlib.Path, default=REPOSITORY / "Tests/Fixtures/tiny/model")
    parser.add_argument("--binaries", default=REPOSITORY / ".build/debug", help="where glossd and glossctl are")
    parser.add_argument("--keep", help="keep the logs in this folder")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    options.seed = random.randrange(1 << 32) if options.seed is None else options.seed
    return options


def main():
    options = parse()
    count = options.faults or sys.maxsize
    seconds = options.minutes * 60 if options.minutes else sys.maxsize if options.faults else 180
    if options.plan:
        for fault in faults.sequence(options.seed, options.daemons, options.short, options.only):
            if fault.number > min(count, 10_000):
                return 0
            print(fault)
    print(f"chaos: seed {options.seed}", flush=True)
    world = World(options)
    try:
        world.start()
        reference(world)
        watchers = [threading.Thread(target=work, daemon=True)
                    for work in (world.observe, world.check_now_and_then, world.feeder.run)]
        for watcher in watchers:
            watcher.start()
        run, start = Run(world), time.monotonic()
        run.faults(count, seconds)
        elapsed = time.monotonic() - start
        world.say("no more faults: waiting until every job has ended")
        world.is_over = world.feeder.is_over = True
        for watcher in watchers:
            watcher.join()
        world.local.clients = {}
        settle(world)
        for daemon in world.daemons:
            daemon.end()
        summary(world, run, elapsed)
    finally:
        if options.keep:
            shutil.copytree(world.root, options.keep, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("disk", ".s.*", "glossd-other", "children"))
        world.server.stop("immediate")
    return 1 if world.violations else 0


if __name__ == "__main__":
    sys.exit(main())
