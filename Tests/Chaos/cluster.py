"""A primary and a streaming standby, both private, which can be stopped, killed, frozen, filled up and exchanged."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

from postgres import Client, Refused


def as_postgres(command):
    """The command as a user that PostgreSQL and PgBouncer accept: neither runs as root."""
    prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.getuid() == 0 else []
    return [*prefix, *map(str, command)]


def give_to_postgres(path):
    if os.getuid() == 0:
        shutil.chown(path, "postgres", "postgres")


class Node:
    """One server. Its folder has its socket, and a disk of its own where that may be mounted."""

    OPTIONS = ("-c listen_addresses='' -c max_connections=60 -c superuser_reserved_connections=12 -c fsync=off "
               "-c full_page_writes=off -c shared_buffers=32MB -c min_wal_size=32MB -c max_wal_size=64MB "
               "-c wal_keep_size=64MB -c wal_retrieve_retry_interval=100ms -c max_wal_senders=4 "
               "-c log_min_messages=warning")

    def __init__(self, root, name, binaries, disk_mb=512):
        self.name, self.binaries = name, binaries
        self.folder, self.disk = f"{root}/{name}", f"{root}/{name}/disk"
        self.data, self.log = f"{self.disk}/data", f"{self.folder}/log"
        self.output = f"{root}/output-{name}"
        os.makedirs(self.disk)
        self.has_disk = os.getuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={disk_mb}m,mode=755", "tmpfs", self.disk],
            capture_output=True).returncode == 0
        for path in (self.folder, self.disk):
            give_to_postgres(path)

    def run(self, program, *arguments, check=True):
        command = as_postgres([self.binaries / program, *arguments])
        with open(self.output, "w") as output:
            code = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode
        if check and code:
            raise RuntimeError(f"{program}: {pathlib.Path(self.output).read_text()}")
        return code

    def create(self):
        self.run("initdb", "-D", self.data, "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8",
                 "--locale=C.UTF-8")

    def copy(self, primary):
        """Becomes a copy of the primary; not started."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.run("pg_basebackup", "-h", primary.folder, "-p", "5432", "-U", "postgres", "-D", self.data, "-X", "stream",
                 "-c", "fast", "--no-sync")

    def start(self, follows=None, patience=30):
        """Starts it if it is not running, as a standby of another; after a kill its shared memory may be held for a
        moment."""
        options = f"-k {self.folder} {self.OPTIONS}"
        if follows:
            pathlib.Path(self.data, "standby.signal").touch()
            give_to_postgres(f"{self.data}/standby.signal")
            options += f" -c primary_conninfo='host={follows.folder} user=postgres application_name={self.name}'"
        end = time.monotonic() + patience
        while self.run("pg_ctl", "-D", self.data, "-w", "-s", "-l", self.log, "-o", options, "start", check=False):
            if self.answers():
                return
            if time.monotonic() > end:
                log = pathlib.Path(self.log).read_text() if os.path.exists(self.log) else "no log"
                raise RuntimeError("PostgreSQL does not start:\n" + log[-2000:])
            time.sleep(0.2)

    def stop(self, mode):
        self.run("pg_ctl", "-D", self.data, "-w", "-s", "-m", mode, "stop", check=False)

    def promote(self):
        self.run("pg_ctl", "-D", self.data, "-w", "-s", "promote")

    def answers(self):
        try:
            client = Client(self.folder, "postgres", timeout=5)
            client.query("select 1")
            client.close()
            return True
        except (OSError, Refused):
            return False

    def wait(self, patience=60):
        """Waits until it answers, and starts it where it has given up, as an operator would."""
        end = time.monotonic() + patience
        while not self.answers():
            if not self.processes():
                self.start()
            if time.monotonic() > end:
                raise RuntimeError("PostgreSQL does not come back")
            time.sleep(0.1)

    def processes(self, title=""):
        """The server's process and its children; only those with this word in their titles."""
        try:
            first = int(pathlib.Path(self.data, "postmaster.pid").read_text().split("\n")[0])
            # After a kill the file stays, and the number may go to another process.
            if self.data not in pathlib.Path(f"/proc/{first}/cmdline").read_text().split("\0"):
                return []
        except (OSError, ValueError):
            return []
        found = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(first)], capture_output=True, text=True)
        children = [line.split(None, 1) for line in found.stdout.splitlines()]
        return ([] if title else [first]) + [int(pid) for pid, *words in children if title in " ".join(words)]

    def signal(self, number, processes=None):
        for pid in self.processes() if processes is None else processes:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        """As if the machine had lost its power."""
        self.signal(signal.SIGKILL)

    def fill(self):
        """Leaves nothing free on its disk."""
        with open(f"{self.disk}/ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(1 << 16))
            except OSError:
                pass

    def empty(self):
        os.unlink(f"{self.disk}/ballast")


class Cluster:
    """Two nodes. `folder` is a symbolic link to that of the primary, so what connects there follows it."""

    def __init__(self, root):
        newest = max((p for p in pathlib.Path("/usr/lib/postgresql").iterdir() if p.name.isdigit()),
                     key=lambda p: int(p.name))
        self.folder = f"{root}/primary"
        self.nodes = [Node(root, name, newest / "bin") for name in ("a", "b")]
        self.primary, self.standby = self.nodes

    def start(self):
        """The primary alone."""
        self.primary.create()
        self.primary.start()
        self._point()

    def add_standby(self):
        self.standby.copy(self.primary)
        self.standby.start(follows=self.primary)
        self._wait_for_stream()

    def client(self, database="chaos", user="postgres", timeout=30):
        return Client(self.folder, database, user, timeout)

    def switch_over(self, gap, is_late):
        """Stops the primary in good order and promotes the standby, after `gap` seconds. The old primary comes back
        as its standby: before the promotion if that `is_late`, so that for a time both are read-only."""
        old, new = self.primary, self.standby
        old.stop("fast")
        if is_late:
            old.start(follows=new)
        time.sleep(gap)
        new.promote()
        self._exchange()
        if not is_late:
            old.start(follows=new)
        self._wait_for_stream()

    def fail_over(self, seconds):
        """The primary sends no more to the standby; some seconds later it dies, and the standby takes its place: what
        was committed in these seconds is lost. When that was, as two moments."""
        old, new = self.primary, self.standby
        old.signal(signal.SIGSTOP, old.processes("walsender"))
        since = time.time()
        time.sleep(seconds)
        old.kill()
        until = time.time()
        new.promote()
        self._exchange()
        old.copy(new)
        old.start(follows=new)
        self._wait_for_stream()
        return since, until

    def stop(self, mode):
        for node in (self.standby, self.primary):
            node.stop(mode)

    def _exchange(self):
        self.primary, self.standby = self.standby, self.primary
        self._point()

    def _point(self):
        os.symlink(self.primary.name, self.folder + "-new")
        os.replace(self.folder + "-new", self.folder)

    def _wait_for_stream(self, patience=5):
        """Until the standby follows. One that can't, such as after a crash on the old timeline, is copied again."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            try:
                client = Client(self.primary.folder, "postgres", timeout=5)
                streams = client.query("select from pg_stat_replication where state = 'streaming'")
                client.close()
                if streams:
                    return
            except (OSError, Refused):
                pass
            time.sleep(0.05)
        self.standby.stop("immediate")
        self.standby.copy(self.primary)
        self.standby.start(follows=self.primary)
