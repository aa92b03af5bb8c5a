"""A web server that misbehaves: each path says how. Its hosts are addresses of the loopback network.

/good/NAME                 an image, of a host that has all kinds of misbehaviour too
/clean/NAME                an image, of a host that has nothing else
/KIND/KEY/NAME             a misbehaviour, of the host that HOSTS gives to its kind
"""

import collections
import gzip
import pathlib
import select
import socket
import threading
import time

from proxy import disconnect, shut

# Parking is by host, so what makes a host look ill has one of its own. Other misbehaviour is beside good images: a host that
# fails for all that it is asked would be parked. By chance it is, too, and then daemons work for the clean one.
HOSTS = {
    "good": "127.0.0.1", "elsewhere": "127.0.0.1", "reset_first": "127.0.0.2", "busy_first": "127.0.0.3",
    "down_first": "127.0.0.4", "dies": "127.0.0.5", "drip_dead": "127.0.0.6", "mute": "127.0.0.6",
    "clean": "127.0.0.7", "drip": "127.0.0.8",
}
OTHERS = "127.0.0.1"
BOMB = gzip.compress(bytes(50 << 20), 9)


class Web:
    """`images`: a folder. `armed`: by daemon."""

    def __init__(self, images, delay):
        self.images = {path.name: path.read_bytes() for path in pathlib.Path(images).iterdir()}
        self.delay = delay
        self.armed, self.seen, self.counts = {}, set(), collections.Counter()
        self.listeners, self.port = {}, 0
        for host in sorted(set(HOSTS.values()) | {OTHERS}):
            self.open(host)

    def url(self, kind, rest):
        return f"http://{HOSTS.get(kind, OTHERS)}:{self.port}/{kind}/{rest}"

    def open(self, host):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, self.port))
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self.listeners[host] = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self, host):
        """The host dies: nobody listens."""
        shut(self.listeners[host])
        self.listeners[host].close()

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        reader = client.makefile("rb")
        try:
            while line := reader.readline():
                path = line.split()[1].decode().strip("/").split("/")
                headers = dict(self._headers(reader))
                daemon = int(headers.get("user-agent", "chaos/0").rsplit("/", 1)[1])
                getattr(self, "_" + path[0])(Exchange(self, client, daemon), path[1:])
                self.counts[path[0]] += 1
        except (OSError, ValueError):
            pass
        finally:
            reader.close()
            client.close()

    @staticmethod
    def _headers(reader):
        while (line := reader.readline().strip()):
            name, _, value = line.decode().partition(":")
            yield name.lower(), value.strip()

    # As it should be

    def _good(self, exchange, path):
        exchange.reach("asked")
        time.sleep(self.delay)
        body = self.images[path[-1]]
        exchange.head(200, len(body))
        exchange.send(body[:len(body) // 2])
        exchange.reach("half")
        exchange.send(body[len(body) // 2:])
        exchange.reach("answered")

    _clean = _dies = _good

    # At first, or slowly

    def _is_first(self, path):
        if tuple(path) in self.seen:
            return False
        self.seen.add(tuple(path))
        return True

    def _reset_first(self, exchange, path):
        exchange.reset_half(self.images[path[-1]]) if self._is_first(path) else self._good(exchange, path)

    def _busy_first(self, exchange, path):
        exchange.answer(429, b"busy", "Retry-After: 1") if self._is_first(path) else self._good(exchange, path)

    def _down_first(self, exchange, path):
        exchange.answer(503, b"down", "Retry-After: 1") if self._is_first(path) else self._good(exchange, path)

    def _drip(self, exchange, path):
        body = self.images[path[-1]]
        exchange.head(200, len(body))
        for part in range(20):
            exchange.send(body[len(body) * part // 20:len(body) * (part + 1) // 20])
            time.sleep(0.05)

    def _drip_dead(self, exchange, path):
        exchange.head(200, 100_000)
        while not exchange.waits(0.2):
            exchange.send(b"x")

    def _mute(self, exchange, path):
        exchange.waits(60)

    def _redirect(self, exchange, path):
        exchange.answer(302, b"", "Location: " + self.url("elsewhere", path[-1]))

    _elsewhere = _good

    # For good

    def _missing(self, exchange, path):
        exchange.answer(404, b"no")

    def _always_reset(self, exchange, path):
        exchange.reset_half(self.images[path[-1]])

    def _endless(self, exchange, path):
        exchange.head(200, None)
        while True:
            exchange.send(bytes(1 << 16))

    def _too_long(self, exchange, path):
        exchange.head(200, 1 << 40)

    def _promises_more(self, exchange, path):
        body = self.images[path[-1]]
        exchange.head(200, len(body) + 1000)
        exchange.send(body)
        exchange.end()

    def _promises_less(self, exchange, path):
        body = self.images[path[-1]]
        exchange.head(200, len(body) - 100, "Connection: close")  # else the rest would answer the next request
        exchange.send(body)
        exchange.end()

    def _bomb(self, exchange, path):
        exchange.answer(200, BOMB, "Content-Encoding: gzip")

    def _not_gzip(self, exchange, path):
        exchange.answer(200, self.images[path[-1]], "Content-Encoding: gzip")

    def _loop(self, exchange, path):
        exchange.answer(302, b"", f"Location: /loop/{path[0]}/{path[-1]}")

    def _page(self, exchange, path):
        exchange.answer(200, b"<!doctype html><title>no image</title>", "Content-Type: image/jpeg")

    def _wrong_type(self, exchange, path):
        exchange.answer(200, self.images[path[-1]], "Content-Type: text/html")

    def _void(self, exchange, path):
        exchange.answer(200, b"")

    def _not_http(self, exchange, path):
        exchange.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        exchange.end()

    def _endless_head(self, exchange, path):
        exchange.send(b"HTTP/1.1 200 OK\r\n")
        for number in range(20_000):
            exchange.send(f"X-{number}: {'y' * 60}\r\n".encode())
        exchange.send(b"\r\n")


class Exchange:
    """One request, from the server's side."""

    def __init__(self, web, client, daemon):
        self.web, self.client, self.daemon = web, client, daemon

    def send(self, data):
        self.client.sendall(data)

    def head(self, status, length, *headers):
        if length is not None:
            headers += (f"Content-Length: {length}",)
        self.send("".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} Chaos", *headers, "")).encode())

    def answer(self, status, body, *headers):
        self.head(status, len(body), *headers)
        self.send(body)

    def reset_half(self, body):
        self.head(200, len(body))
        self.send(body[:len(body) // 2])
        disconnect(self.client)

    def end(self):
        shut(self.client)

    def waits(self, seconds):
        """True once the client has hung up."""
        waiting = select.poll()
        waiting.register(self.client, select.POLLRDHUP)
        return bool(waiting.poll(seconds * 1000))

    def reach(self, place):
        armed = self.web.armed.get(self.daemon)
        if armed and armed.point == f"fetch:{place}":
            self.web.armed.pop(self.daemon, None)
            armed.run(None)
