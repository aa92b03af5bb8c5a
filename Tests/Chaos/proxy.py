"""A TCP proxy between one glossd and PostgreSQL that cuts, resets, halves, stalls, slows and refuses.

It reads along which of gloss's functions is called, so that a fault may be set to a point of a statement's way:
`claim:sent` (before PostgreSQL sees it), `claim:answered` (done, but the daemon does not know yet), `claim:delivered`.
"""

import ctypes
import re
import select
import socket
import struct
import threading
import time

CALL = re.compile(rb"gloss\.([a-z_]+)\(")
READY = b"Z\0\0\0\5I"


class Armed:
    """An action that waits for a point; it runs on the proxy's thread, before anything more is forwarded."""

    def __init__(self, point, action):
        self.point, self.action, self.hit = point, action, threading.Event()

    def run(self, link):
        self.action(link)
        self.hit.set()


def parameters(data):
    """The values that libpq sends with the first statement that calls one of gloss's functions."""
    place, is_called = 0, False
    while place + 5 <= len(data):
        kind, length = data[place:place + 1], struct.unpack("!i", data[place + 1:place + 5])[0]
        is_called |= kind == b"P" and bool(CALL.search(data[place:place + 1 + length]))
        if kind == b"B" and is_called:
            break
        place += 1 + length
    else:
        return []
    place = data.index(b"\0", data.index(b"\0", place + 5) + 1) + 1  # portal and statement have names
    (formats,) = struct.unpack("!h", data[place:place + 2])
    place += 2 + 2 * formats
    (count,), place, values = struct.unpack("!h", data[place:place + 2]), place + 2, []
    for _ in range(count):
        (length,) = struct.unpack("!i", data[place:place + 4])
        values.append(data[place + 4:place + 4 + max(length, 0)])
        place += 4 + max(length, 0)
    return values


def jobs_of(call, data):
    """Numbers of the jobs that a call begins, or of which it keeps a view."""
    if call not in ("begin_jobs", "checkpoint"):
        return []
    try:
        return [int(number) for number in re.findall(rb"[0-9]+", parameters(data)[2])]
    except (IndexError, ValueError, struct.error):
        return []


class Link:
    """One connection of the daemon. `call`: the function that it calls now; `jobs`: those that it begins or keeps a view
    of with that."""

    def __init__(self, proxy, client, folder):
        self.proxy, self.client, self.call, self.jobs = proxy, client, None, []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.connect(f"{folder}/.s.PGSQL.5432")
        self.stalled = self.halved = False
        self.lock = threading.Lock()
        self.is_open = True

    def start(self):
        for source, target, pass_on in ((self.client, self.server, self.up), (self.server, self.client, self.down)):
            threading.Thread(target=self.pump, args=(source, target, pass_on), daemon=True).start()

    def pump(self, source, target, pass_on):
        try:
            while data := source.recv(65536):
                if self.proxy.latency:
                    time.sleep(self.proxy.latency)
                pass_on(data, target)
        except OSError:
            pass
        self.close()

    def up(self, data, target):
        if call := CALL.search(data):
            self.call = call.group(1).decode()
            self.jobs = jobs_of(self.call, data)
            self.reach("sent")
        self.hold()
        target.sendall(data)

    def down(self, data, target):
        call = self.call
        if call:
            if self.jobs and self.proxy.on_jobs:
                self.proxy.on_jobs(call, self.jobs)
                self.jobs = []
            self.reach("answered")
        self.hold()
        if self.halved:
            target.sendall(data[:len(data) // 2])
            return self.reset()
        target.sendall(data)
        if call and data.endswith(READY):
            self.reach("delivered")
            self.call = None

    def reach(self, place):
        armed = self.proxy.armed
        if armed and armed.point == f"{self.call}:{place}":
            self.proxy.armed = None
            armed.run(self)

    def hold(self):
        """While stalled nothing passes, in either direction, until the daemon hangs up."""
        while self.stalled and self.is_open:
            waiting = select.poll()
            waiting.register(self.client, select.POLLRDHUP)
            if waiting.poll(100):
                self.close()

    def close(self):
        """Both ends, in good order."""
        self._end(lambda: shut(self.client))

    def reset(self):
        """The daemon gets a TCP reset."""
        self._end(lambda: disconnect(self.client))

    def _end(self, end_client):
        with self.lock:
            if not self.is_open:
                return
            self.is_open = False
        end_client()
        shut(self.server)
        self.client.close()
        self.server.close()
        self.proxy.links.discard(self)


def shut(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def disconnect(end):
    """Drops a TCP connection with a reset, even while another thread reads from it: connecting to no family does."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ctypes.CDLL(None).connect(end.fileno(), struct.pack("h14x", socket.AF_UNSPEC), 16)


class Door:
    """One address of the proxy; `folder` has the socket to which it leads. A silent one accepts and says nothing."""

    def __init__(self, folder):
        self.folder, self.listener, self.port, self.is_silent = folder, None, 0, False


class Proxy:
    """What one daemon connects to: the hosts of its connection string, in their order, are doors. `on_jobs` gets what is
    done with which jobs: begin_jobs or checkpoint, before the daemon has its answer."""

    def __init__(self, folders, on_jobs=None):
        self.on_jobs = on_jobs
        self.links, self.armed, self.latency, self.is_mute = set(), None, 0, False
        self.doors = [Door(folder) for folder in folders]
        self.open()

    @property
    def address(self):
        """host and port of a connection string."""
        hosts, ports = ("127.0.0.1" for _ in self.doors), (str(door.port) for door in self.doors)
        return f"host={','.join(hosts)} port={','.join(ports)}"

    def open(self):
        """Takes connections, after `refuse` again at the same ports."""
        for door in self.doors:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", door.port))
            listener.listen(64)
            door.listener, door.port = listener, listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(door, listener), daemon=True).start()

    def refuse(self):
        """Nobody listens any more."""
        for door in self.doors:
            shut(door.listener)
            door.listener.close()

    def _accept(self, door, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(door, client), daemon=True).start()

    def _connect(self, door, client):
        while self.is_mute or door.is_silent:
            time.sleep(0.05)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            link = Link(self, client, door.folder)
        except OSError:
            client.close()
            return
        self.links.add(link)
        link.start()

    def arm(self, point, action):
        """Sets an action to a point; the next one of its kind runs it once."""
        self.armed = Armed(point, action)
        return self.armed
