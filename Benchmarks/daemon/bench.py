"""What stands around the daemons that are measured: a private PostgreSQL, an image server, and the daemons themselves."""
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(f"{HERE}/../..")
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def processor_seconds(pid, with_children=False):
    """User and system time of a process; of its children too, those that ended included."""
    try:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0
    ticks = sum(int(x) for x in fields[11:15 if with_children else 13])
    children = open(f"/proc/{pid}/task/{pid}/children").read().split() if with_children else []
    return ticks / TICKS + sum(processor_seconds(child) for child in children)


class Database:
    """PostgreSQL with its own defaults, fsync included, on a socket in a folder of its own; schema gloss in database bench."""

    def __init__(self, glossctl):
        self.bin = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[-2]))
        self.folder = tempfile.mkdtemp(prefix="gloss-bench.")
        self.user = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self.user = dict(user="postgres", group="postgres", extra_groups=[])
        data = f"{self.folder}/data"
        self.call("initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")
        self.call("pg_ctl", "-D", data, "-w", "-s", "-l", f"{self.folder}/log", "-o", f"-k {self.folder} -c listen_addresses=''",
                  "start")
        self.pid = int(open(f"{data}/postmaster.pid").readline())
        self.conninfo = f"host={self.folder} user=postgres dbname=bench"
        self.sql("create database bench", database="postgres")
        environment = dict(os.environ, PGHOST=self.folder, PGUSER="postgres", PGDATABASE="bench")
        subprocess.run([glossctl, "migrate", "--directory", f"{ROOT}/migrations"], check=True, env=environment,
                       stdout=subprocess.DEVNULL)

    def call(self, tool, *arguments):
        subprocess.run([f"{self.bin}/{tool}", *arguments], check=True, cwd=self.folder, stdout=subprocess.DEVNULL, **self.user)

    def sql(self, text, database="bench"):
        command = ["psql", "-X", "-q", "-At", "-F", " ", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-U", "postgres", "-d", database]
        return subprocess.run([*command, "-c", text], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def stop(self):
        self.call("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-s", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


class ImageServer:
    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen([sys.executable, f"{HERE}/imageserver.py", str(self.port)])
        while True:
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/demo/0").close()
            except OSError:
                time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Daemon:
    """A glossd that is ready."""

    def __init__(self, glossd, database, images, model, **settings):
        self.port = free_port()
        self.log = open(f"{database.folder}/glossd-{self.port}.log", "w")
        environment = dict(os.environ, GLOSS_DATABASE=database.conninfo, GLOSS_MODEL=model, GLOSS_HEALTH_PORT=str(self.port),
                           GLOSS_FETCH_NETWORKS="127.0.0.0/8", GLOSS_FETCH_PORTS=str(images.port))
        environment.update({f"GLOSS_{name.upper()}": str(value) for name, value in settings.items()})
        start = time.time()
        self.process = subprocess.Popen([glossd], env=environment, stderr=self.log)
        while not self.is_ready():
            if self.process.poll() is not None:
                raise SystemExit(f"glossd ended early: {open(self.log.name).read()[-2000:]}")
            time.sleep(0.02)
        self.ready_seconds = time.time() - start

    def is_ready(self):
        try:
            return bool(self.metrics())
        except OSError:
            return False

    def metrics(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if not x.startswith("#"))}

    def memory(self):
        """Gigabytes: resident, its share of it, and what it shares with others."""
        text = open(f"/proc/{self.process.pid}/smaps_rollup").read()
        kb = {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE)}
        shared = kb["Shared_Clean"] + kb["Shared_Dirty"]
        return dict(rss=kb["Rss"] / 976562.5, pss=kb["Pss"] / 976562.5, shared=shared / 976562.5)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
