"""One glossd under test, started again whenever it ends, as systemd would."""

import collections
import mmap
import os
import pathlib
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request

from proxy import Proxy

Harm = collections.namedtuple("Harm", "at kind")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """`world` gets what it does wrong. `harms`: what was done to each of its processes, by number."""

    def __init__(self, world, number, program, settings, is_pooled):
        self.world, self.number, self.program, self.is_pooled = world, number, program, is_pooled
        # A straight one names both servers, as for a failover.
        self.proxy = Proxy([world.pooler.folder] if is_pooled else [node.folder for node in world.cluster.nodes],
                           lambda call, jobs: world.begun(self, call, jobs))
        self.log = pathlib.Path(world.root, f"glossd-{number}.log")
        self.clock = Clock(world.root, number)
        self.harms = collections.defaultdict(list)
        self.process, self.last_pid, self.is_over = None, None, False
        self.expected, self.ended = set(), set()  # exit statuses of this process; processes that were told to end
        self.lock = threading.Lock()
        self.settings = settings | {
            "GLOSS_DATABASE": f"{self.proxy.address} dbname=chaos user=chaos_worker sslmode=disable gssencmode=disable "
                              f"application_name=chaos-{number}"
                              + ("" if is_pooled else " target_session_attrs=read-write"),
            "GLOSS_FETCH_USER_AGENT": f"chaos/{number}", "GLOSS_HEALTH_PORT": str(free_port()),
            "PATH": "/usr/bin:/bin",
        } | {name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}
        if world.shim:
            self.settings |= {"LD_PRELOAD": world.shim, "CHAOS_CLOCK": self.clock.path}

    @property
    def pid(self):
        return self.last_pid

    def start(self):
        self._spawn()
        threading.Thread(target=self._supervise, daemon=True).start()

    def _spawn(self):
        with open(self.log, "ab") as log:
            process = subprocess.Popen([self.program], env=self.settings, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, cwd="/")
        self.world.children.add(process.pid)
        with self.lock:
            self.process, self.last_pid, self.expected = process, process.pid, set()
            self.ended.discard(process.pid)

    def _supervise(self):
        while True:
            process = self.process
            code = process.wait()
            self.world.children.remove(process.pid)
            if code not in self.expected:
                self.world.violation(f"daemon {self.number} (pid {process.pid}) ended with {code}, expected "
                                     f"{self.expected or 'to run'}:\n{self.tail()}")
            if self.is_over:
                return
            time.sleep(0.1)
            self._spawn()

    def tail(self, size=1500):
        return self.log.read_bytes()[-size:].decode(errors="replace") if self.log.exists() else ""

    def harm(self, kind):
        """Notes what is done to the process that runs now."""
        self.harms[self.last_pid].append(Harm(time.time(), kind))

    def kill(self, kind="kill"):
        """kill -9, at once."""
        with self.lock:
            if self.process.poll() is None:
                self.harm(kind)
                self.expected.add(-signal.SIGKILL)  # or what it ended with already
                self.ended.add(self.last_pid)
                self.process.kill()

    def terminate(self):
        with self.lock:
            if self.process.poll() is None:
                self.expected.add(0)
                self.ended.add(self.last_pid)
                self.process.terminate()

    def signal(self, number):
        with self.lock:
            if self.process.poll() is None:
                os.kill(self.process.pid, number)

    def end(self):
        """Tells it to stop for good; its exit status."""
        self.is_over = True
        self.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.world.violation(f"daemon {self.number} does not stop:\n{self.tail()}")
            self.kill()
            return self.process.wait()

    def units(self, stage):
        """What /metrics says of a stage; 0 while it does not answer."""
        port = self.settings["GLOSS_HEALTH_PORT"]
        try:
            text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=1).read().decode()
        except (OSError, ValueError):
            return 0
        name = f'gloss_stage_units_total{{stage="{stage}"}} '
        return max((float(line[len(name):]) for line in text.splitlines() if line.startswith(name)), default=0)


class Clock:
    """How wrong the daemon's wall clock is: a number that the preloaded clock.c reads."""

    def __init__(self, root, number):
        self.path = f"{root}/clock-{number}"
        with open(self.path, "w+b") as file:
            file.write(bytes(8))
            file.flush()
            self.page = mmap.mmap(file.fileno(), 8)

    def set(self, seconds):
        self.page[:] = struct.pack("q", seconds)
