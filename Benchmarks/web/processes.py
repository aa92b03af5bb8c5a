"""The local web as a process, and what processes use."""
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
TICKS = os.sysconf("SC_CLK_TCK")
CONTROL = "http://127.0.0.1:8053"


class LocalWeb:
    """The web server and its name server, alive until `stop`."""

    def __init__(self, hosts, seed):
        self.folder = tempfile.TemporaryDirectory(prefix="gloss-web.")
        self.authority = f"{self.folder.name}/authority.pem"
        self.process = subprocess.Popen([sys.executable, f"{HERE}/webserver.py", str(hosts), str(seed), self.folder.name])
        while True:
            try:
                self.ask("stats")
                return
            except OSError:
                if self.process.poll() is not None:
                    raise SystemExit("the local web does not start")
                time.sleep(0.1)

    def ask(self, what):
        with urllib.request.urlopen(f"{CONTROL}/{what}", timeout=60) as answer:
            return json.load(answer)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def tree(pid):
    """A process and all its descendants."""
    try:
        children = open(f"/proc/{pid}/task/{pid}/children").read().split()
        # A thread's children are listed with the thread.
        for thread in os.listdir(f"/proc/{pid}/task"):
            if thread != str(pid):
                children += open(f"/proc/{pid}/task/{thread}/children").read().split()
    except OSError:
        children = []
    return [pid, *(each for child in children for each in tree(int(child)))]


class Usage:
    """Samples what process trees use, twice a second, until `end`."""

    def __init__(self, pids):
        self.pids = pids
        self.memory = self.sockets = 0   # the most, of each: bytes of its whole tree; sockets of the process itself
        self.seconds = {}
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()

    def sample(self):
        while not self.is_over.wait(0.5):
            for root in self.pids:
                pids = tree(root)
                self.memory = max(self.memory, sum(map(proportional, pids)))
                self.sockets = max(self.sockets, sum(map(sockets, pids)))
                for pid in pids:
                    self.seconds[pid] = processor_seconds(pid) or self.seconds.get(pid, 0)

    def end(self):
        self.is_over.set()
        self.thread.join()
        return dict(memory=self.memory, sockets=self.sockets, processor_seconds=sum(self.seconds.values()))


def proportional(pid):
    """Bytes of memory, what is shared counted in parts."""
    try:
        found = re.search(r"^Pss: +(\d+) kB", open(f"/proc/{pid}/smaps_rollup").read(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def sockets(pid):
    count = 0
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                count += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
            except OSError:
                pass
    except OSError:
        pass
    return count


def processor_seconds(pid):
    try:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return sum(int(field) for field in fields[11:13]) / TICKS
