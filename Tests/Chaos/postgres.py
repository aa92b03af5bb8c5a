"""A small client for PostgreSQL. It speaks the protocol itself: what checks the daemon shares no code with it."""

import socket
import struct

# SQLSTATE classes of a server that is away, full, starting, read-only, or that gave up for another session's sake:
# nothing was done, and the same statement may succeed later.
PASSING = ("08", "25", "40", "53", "55", "57", "58")


class Refused(Exception):
    """PostgreSQL's own refusal; args: SQLSTATE, message."""

    @property
    def is_passing(self):
        return (self.args[0] or "")[:2] in PASSING


class Client:
    """One connection over a Unix socket, simple queries only."""

    def __init__(self, folder, database="chaos", user="postgres", timeout=30):
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
