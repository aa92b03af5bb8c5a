"""PostgreSQL's protocol, as much as a thousand simulated daemons need: connect by a Unix socket, simple queries, notifications."""
import asyncio
import struct


class Refused(Exception):
    """PostgreSQL's own refusal; args: SQLSTATE, message."""


class Connection:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.notified = asyncio.Event()

    @classmethod
    async def open(cls, folder, database, port=5432, user="postgres"):
        self = cls(*await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}"))
        body = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database)) + b"\0"
        self.writer.write(struct.pack("!ii", len(body) + 8, 196608) + body)
        await self._answer()
        return self

    def close(self):
        self.writer.close()

    async def query(self, sql):
        """Runs statements; the rows of all of them, each a list of texts."""
        body = sql.encode() + b"\0"
        self.writer.write(b"Q" + struct.pack("!i", len(body) + 4) + body)
        return await self._answer()

    async def listen(self, channel):
        """From now on `notified` is set with each notification; no other queries."""
        await self.query(f"listen {channel}")
        while True:
            kind, _ = await self._message()
            if kind == b"A":
                self.notified.set()

    async def _answer(self):
        rows, refusal = [], None
        while True:
            kind, body = await self._message()
            if kind == b"D":
                rows.append(self._row(body))
            elif kind == b"A":
                self.notified.set()
            elif kind == b"E":
                fields = {field[:1]: field[1:].decode() for field in body.split(b"\0") if field}
                refusal = Refused(fields.get(b"C"), fields.get(b"M"))
                if fields.get(b"S") in ("FATAL", "PANIC"):
                    raise refusal
            elif kind == b"Z":
                if refusal:
                    raise refusal
                return rows

    async def _message(self):
        head = await self.reader.readexactly(5)
        return head[:1], await self.reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)

    @staticmethod
    def _row(body):
        (count,), place, row = struct.unpack("!h", body[:2]), 2, []
        for _ in range(count):
            (length,) = struct.unpack("!i", body[place:place + 4])
            place += 4
            row.append(None if length < 0 else body[place:place + length].decode())
            place += max(length, 0)
        return row
