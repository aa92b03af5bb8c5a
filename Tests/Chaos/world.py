"""Everything that runs, and what was seen."""

import collections
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import cluster
import jobs
import postgres
import schema
from checks import Checker
from daemon import Daemon, Harm
from ledger import Ledger
from pooler import Pooler
from web import HOSTS, Web

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
# What two violations of one kind differ in.
SHAPE = re.compile(r"(\b[bsp][0-9]+/\S+|[0-9]+(\.[0-9]+)?|\{[^}]*\})")


class Children:
    """The processes that must not outlive this one: files named by their numbers, for the undertaker."""

    def __init__(self, root):
        self.folder = pathlib.Path(root, "children")
        self.folder.mkdir()
        self.lifeline, writer = os.pipe()
        os.set_inheritable(writer, False)
        # A number may have gone to another process by then.
        script = ('trap "" INT TERM HUP; read line; '
                  'for p in $(ls "$0/children") $(head -qn1 "$0"/?/disk/data/postmaster.pid); do '
                  'case $(cat "/proc/$p/comm") in glossd*|pgbouncer|postgres) kill -9 "$p";; esac; done; '
                  'sleep 0.3; umount -l "$0/a/disk" "$0/b/disk"; rm -rf "$0"')
        subprocess.Popen(["/bin/sh", "-c", script, str(root)], stdin=self.lifeline, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, cwd="/", start_new_session=True)
        os.close(self.lifeline)
        self.writer = writer

    def add(self, pid):
        (self.folder / str(pid)).touch()

    def remove(self, pid):
        (self.folder / str(pid)).unlink(missing_ok=True)


class World:
    AWAY = (OSError, postgres.Refused)
    Refused = postgres.Refused

    def __init__(self, options):
        self.options, self.rescue = options, options.rescue
        self.root = tempfile.mkdtemp(prefix="gloss-chaos-")
        os.chmod(self.root, 0o755)
        self.children = Children(self.root)
        self.violations, self.shapes = {}, collections.Counter()
        self.recoveries, self.missed = [], collections.Counter()
        self.local, self.lock = threading.local(), threading.Lock()
        self.progress, self.harms_to_all, self.is_over = {}, [], False
        self.poisoned = set()  # leases, key and fence, whose daemon was killed for its poisonous job
        self.steps = collections.Counter()  # of those who steer, and what they were told
        self.leaks, self.under_way = set(), []
        self.checking = threading.Lock()  # held while nothing may be checked
        self.web = Web(REPOSITORY / "Tests/Fixtures/images", options.delay)
        self.web.hosts = HOSTS
        self.cluster = cluster.Cluster(self.root)
        self.pooler = Pooler(self.root, self.cluster.folder, self.children)
        self.shim = self.build_clock()
        self.program = str(pathlib.Path(options.binaries, "glossd").resolve())
        self.other = self.stamp_other_version()
        self.daemons = []
        self.ledger = Ledger()
        self.feeder = jobs.Feeder(self, random.Random(f"jobs {options.seed}"))
        self.checker = Checker(self)

    # Saying

    def say(self, text):
        with self.lock:
            print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def violation(self, text, most=5):
        """Says it once, however often it is seen, and only the first of those that differ in numbers and names."""
        with self.lock:
            if text in self.violations:
                return
            self.violations[text] = shape = SHAPE.sub("#", text.splitlines()[0])
            self.shapes[shape] += 1
        if self.shapes[shape] <= most:
            self.say(f"VIOLATION {text}" + (" (no more of this kind are shown)" if self.shapes[shape] == most else ""))

    # The database

    def ask(self, sql, user="postgres"):
        """Rows; this thread's own connection."""
        held = self.local.__dict__.setdefault("clients", {})
        try:
            if user not in held:
                held[user] = self.cluster.client(user=user)
            return held[user].query(sql)
        except OSError:
            if user in held:
                held.pop(user).close()
            raise
        except postgres.Refused as refusal:
            if refusal.args[0][:2] in ("57", "53", "25", "08") and user in held:
                held.pop(user).close()
            raise

    def rollback(self):
        try:
            self.ask("rollback")
        except self.AWAY:
            pass

    def insist(self, sql, user="postgres", patience=60):
        """Until the database has done it."""
        end = time.monotonic() + patience
        while True:
            try:
                return self.ask(sql, user)
            except self.AWAY as error:
                if isinstance(error, postgres.Refused) and not error.is_passing or time.monotonic() > end:
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

    @property
    def pooled(self):
        """How many daemons, the last ones, reach PostgreSQL through the pooler."""
        return self.options.pooled if self.pooler.is_here else 0

    def skipped(self):
        """Kinds of faults that cannot be had here, and why."""
        found = {}
        if not self.cluster.primary.has_disk:
            found["disk full"] = "no disk of a small size may be mounted here"
        if not self.shim:
            found["clock off"] = "there is no C compiler"
        if not self.other:
            found["other version"] = "the program's version could not be replaced in a copy"
        if not self.pooled:
            reason = "no daemon uses it" if self.pooler.is_here else "PgBouncer is not installed"
            found |= {"pooler killed": reason, "pooler frozen": reason}
        if self.pooled == self.options.daemons:
            found["silent first host"] = "all daemons use the pooler"
        return found

    def start(self):
        self.cluster.start()
        postgres.Client(self.cluster.folder, "postgres").query("create database chaos")
        glossctl = pathlib.Path(self.options.binaries, "glossctl")
        subprocess.run([glossctl, "migrate", "--directory", self.options.migrations, "--database",
                        f"host={self.cluster.folder} dbname=chaos user=postgres"], check=True,
                       stdout=subprocess.DEVNULL)
        for role in ("worker", "producer", "admin"):
            self.ask(f"create role chaos_{role} login in role gloss_{role}")
        self.ask(schema.SCHEMA)
        self.ask(schema.SETTINGS.format(rescue=self.rescue))
        self.cluster.add_standby()
        if self.pooled:
            self.pooler.start()
        settings = {
            "GLOSS_MODEL": str(self.options.model.resolve()),
            "GLOSS_MASK_DECODER": str(REPOSITORY / "Tests/Fixtures/masks/decoder.npz"), "GLOSS_POLL_SECONDS": "0.5", "GLOSS_THREADS": "1",
            "GLOSS_HEARTBEAT_SECONDS": str(self.rescue / 8), "GLOSS_RESCUE_SECONDS": str(self.rescue),
            "GLOSS_MAX_JOBS": "12", "GLOSS_FETCH_NETWORKS": "127.0.0.0/8", "GLOSS_FETCH_PORTS": str(self.web.port),
            "GLOSS_FETCH_TIMEOUT_SECONDS": "5", "GLOSS_FETCH_CONNECT_TIMEOUT_SECONDS": "3",
            "GLOSS_FETCH_MAX_BYTES": "1000000", "GLOSS_FETCH_PER_HOST_CONCURRENCY": "16", "GLOSS_KV_CACHE_MB": "64",
            "GLOSS_LOG_LEVEL": "info", "GLOSS_DRAIN_SECONDS": "20",
        }
        straight = self.options.daemons - self.pooled
        self.daemons = [Daemon(self, number, self.program, settings, is_pooled=number >= straight)
                        for number in range(self.options.daemons)]
        for daemon in self.daemons:
            daemon.start()

    def stop(self):
        if self.pooler.process:
            self.pooler.stop()
        self.cluster.stop("immediate")

    # Watching

    def begun(self, daemon, call, jobs):
        """A daemon's engine begins jobs, or keeps a view of one. The poisonous kill it: at once, or, objects, the
        first time, when a view is kept."""
        if not self.ledger.has_poison():
            return
        # It computes nothing while we ask.
        began = time.monotonic()
        daemon.signal(signal.SIGSTOP)
        try:
            found = self.ask(schema.POISON.format(jobs=",".join(map(str, jobs))))
        except self.AWAY:
            found = []
        deadly = {(key, fence) for template, rescues, key, fence in found
                  if template == "poison" or call == "checkpoint" or int(rescues) > 0}
        if deadly:
            self.poisoned |= deadly
            return daemon.kill("poison")
        daemon.signal(signal.SIGCONT)
        if time.monotonic() - began > 0.5:
            daemon.harm("stop")

    def harm_all(self, kind):
        """Notes what may silence every daemon, or take its leases from it."""
        self.harms_to_all.append(Harm(time.time(), kind))

    def harms(self, pid, before):
        found = self.harms_to_all + [harm for daemon in self.daemons for harm in daemon.harms.get(pid, [])]
        return sorted(harm for harm in found if before - 90 < harm.at < before)

    def observe(self):
        """Which process recorded a result when."""
        while not self.is_over:
            try:
                for pid, at in self.ask(schema.PROGRESS):
                    self.progress[int(pid)] = max(float(at), self.progress.get(int(pid), 0))
            except self.AWAY:
                pass
            time.sleep(0.1)

    def check_now_and_then(self):
        while not self.is_over:
            try:
                with self.checking:
                    self.checker.glance()
                    self.checker.sweep()
                self.look_for_leaks()
            except postgres.Refused as refusal:
                if not refusal.is_passing:
                    self.violation(f"a check failed: {refusal}")
            except OSError:
                pass
            time.sleep(0.7)

    def look_for_leaks(self):
        for what in {row[0] for row in self.pooler.leaks() or []} - self.leaks if self.pooled else ():
            self.leaks.add(what)
            self.violation(f"left in a session of the pooler, which others use: {what}")

    def recovered(self, fault, targets, since, limit=30, is_patient=True):
        """Waits until the targets have recorded results again; how long that took."""
        for daemon in targets:
            patience = limit
            while daemon.pid in daemon.ended or self.progress.get(daemon.pid, 0) <= since:
                if time.time() - since > patience:
                    self.violation(f"daemon {daemon.number} is not back at work {limit} s after fault {fault}:\n"
                                   f"{daemon.tail()}")
                    if not is_patient:
                        return None
                    patience = 120
                    if time.time() - since > 120:
                        raise SystemExit("chaos: a daemon never came back")
                time.sleep(0.02)
        took = time.time() - since
        self.recoveries.append((took, fault))
        return took
