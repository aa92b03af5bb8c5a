"""A private PostgreSQL that can be stopped, killed, frozen and filled up, and a small client for it.

The client speaks the protocol itself: what checks the daemon shares no code with it, and needs no package.
"""

import os
import pathlib
import signal
import socket
import struct
import subprocess
import time


class Refused(Exception):
    """PostgreSQL's own refusal; args: SQLSTATE, message."""


class Client:
    """One connection over the server's Unix socket, simple queries only."""

    def __init__(self, folder, database, user="postgres", timeout=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(f"{folder}/.s.PGSQL.5432")
            words = ["user", user, "database", database, "application_name", "chaos"]
            body = b"".join(word.encode() + b"\0" for word in words) + b"\0"
            self.socket.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
            self._answer()
        except BaseException:
            self.socket.close()
            raise

    def close(self):
        self.socket.close()

    def query(self, sql):
        """Runs statements; the rows of all of them, each a list of texts."""
        body = sql.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)
        return self._answer()

    def _answer(self):
        rows, refusal = [], None
        while True:
            kind, body = self._message()
            if kind == b"D":
                rows.append(self._row(body))
            elif kind == b"E":
                fields = {field[:1]: field[1:].decode() for field in body.split(b"\0") if field}
                refusal = Refused(fields.get(b"C"), fields.get(b"M"))
                if fields.get(b"S") in ("FATAL", "PANIC"):
                    raise refusal
            elif kind == b"Z":
                if refusal:
                    raise refusal
                return rows

    def _message(self):
        head = self._bytes(5)
        return head[:1], self._bytes(struct.unpack("!i", head[1:])[0] - 4)

    def _bytes(self, count):
        parts = []
        while count:
            part = self.socket.recv(count)
            if not part:
                raise ConnectionError("the server hung up")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    @staticmethod
    def _row(body):
        (count,), place, row = struct.unpack("!h", body[:2]), 2, []
        for _ in range(count):
            (length,) = struct.unpack("!i", body[place:place + 4])
            place += 4
            row.append(None if length < 0 else body[place:place + length].decode())
            place += max(length, 0)
        return row


class Server:
    """The server, with a disk of its own where that may be mounted."""

    OPTIONS = ("-c listen_addresses='' -c max_connections=40 -c superuser_reserved_connections=8 -c fsync=off "
               "-c full_page_writes=off -c shared_buffers=32MB -c min_wal_size=32MB -c max_wal_size=64MB "
               "-c log_min_messages=warning")

    def __init__(self, root, disk_mb=512):
        self.root, self.disk = str(root), f"{root}/disk"
        self.data, self.log = f"{self.disk}/data", f"{root}/postgres.log"
        newest = max((p for p in pathlib.Path("/usr/lib/postgresql").iterdir() if p.name.isdigit()),
                     key=lambda p: int(p.name))
        self.binaries = newest / "bin"
        os.makedirs(self.disk)
        self.has_disk = os.getuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={disk_mb}m,mode=755", "tmpfs", self.disk],
            capture_output=True).returncode == 0
        if os.getuid() == 0:
            for path in (self.root, self.disk):
                subprocess.run(["chown", "postgres:postgres", path], check=True)
        self._run("initdb", "-D", self.data, "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8",
                  "--locale=C.UTF-8")

    def _run(self, program, *arguments, check=True):
        command = [str(self.binaries / program), *arguments]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        with open(f"{self.root}/output", "w") as output:
            code = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode
        if check and code:
            raise RuntimeError(f"{program}: {pathlib.Path(self.root, 'output').read_text()}")
        return code

    def start(self, patience=30):
        """Starts it if it is not running; after a kill its shared memory may be held for a moment."""
        end = time.monotonic() + patience
        while self._run("pg_ctl", "-D", self.data, "-w", "-s", "-l", self.log, "-o", f"-k {self.root} {self.OPTIONS}",
                        "start", check=False):
            if self.answers():
                return
            if time.monotonic() > end:
                raise RuntimeError("PostgreSQL does not start:\n" + pathlib.Path(self.log).read_text()[-2000:])
            time.sleep(0.2)

    def stop(self, mode):
        self._run("pg_ctl", "-D", self.data, "-w", "-s", "-m", mode, "stop", check=False)

    def answers(self):
        try:
            client = Client(self.root, "postgres", timeout=5)
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

    def processes(self):
        """The server's process and its children."""
        try:
            first = int(pathlib.Path(self.data, "postmaster.pid").read_text().split("\n")[0])
            os.kill(first, 0)
        except (OSError, ValueError):
            return []
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(first)], capture_output=True, text=True).stdout
        return [first] + [int(pid) for pid in found.split()]

    def signal(self, number, processes=None):
        for pid in self.processes() if processes is None else processes:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        """As if the machine had lost its power."""
        self.signal(signal.SIGKILL)

    def client(self, database="chaos", user="postgres", timeout=30):
        return Client(self.root, database, user, timeout)

    def fill(self):
        """Leaves nothing free on its disk."""
        with open(f"{self.disk}/ballast", "wb") as ballast:
            try:
                while True:
                    ballast.write(bytes(1 << 16))
                    ballast.flush()
            except OSError:
                pass

    def empty(self):
        os.unlink(f"{self.disk}/ballast")
