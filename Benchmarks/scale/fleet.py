"""Daemons, simulated by their statements."""
import asyncio
import json
import random
import time
import uuid

from wire import Connection

HEARTBEAT, POLL = 3.0, 5.0
DIGEST = "ab" * 32
RESULT = {
    "model": "tiny", "digest": DIGEST, "precision": "f32", "resize": "bicubic", "version": "0.1.0", "prompts": ["caption en"],
    "settings": {"beams": 1, "max_tokens": 64, "samples": 1, "seed": 0, "temperature": 0, "top_k": 0, "top_p": 1},
    "final_urls": ["https://images.example.org/1.jpg"], "timings": {"extend": 0.5, "fetch": 0.25, "prefill": 1.5, "vision": 0.75},
    "texts": ["a cat sits on a mat"], "sums": [-1.5], "norms": [-0.75], "tokens": [7], "finish": ["eos"], "views": 1,
    "questions": 1, "samples": 1, "score": -0.75, "not_understood": 0, "findings": [],
}


def result(digest):
    """A caption of an image that no other job has."""
    image = {"sha256": digest, "width": 640, "height": 480, "orientation": 1, "format": "jpeg", "byte_count": 81234}
    return {**RESULT, "image_sha256": [digest], "images": [image]}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


class Latencies(dict):
    """Seconds of each kind of statement."""

    async def time(self, kind, call):
        start = time.perf_counter()
        answer = await call
        self.setdefault(kind, []).append(time.perf_counter() - start)
        return answer

    def quantile(self, kind, share):
        """Milliseconds."""
        values = sorted(self.get(kind, []))
        return 1000 * values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


class Daemon:
    """A daemon's sessions: one that claims and records, one that beats, and one that listens where that can work."""

    def __init__(self, number, connect, listens, latencies):
        self.number, self.connect, self.listens, self.latencies = number, connect, listens, latencies
        self.identity = str(uuid.uuid4())
        self.tasks, self.listener = [], None
        self.jobs, self.is_stopping = 0, asyncio.Event()

    async def start(self):
        self.work, self.pulse = await self.connect(), await self.connect()
        number = (await self.work.query(
            f"select gloss.register_worker('host{self.number}', {self.number}, '0.1.0', array['tiny'], array['caption'],"
            f" '15 s', '{self.identity}')"))[0][0]
        self.worker = f"{number}, '{self.identity}'"
        if self.listens:
            self.listener = await self.connect()
            self.tasks.append(asyncio.create_task(self.listener.listen("gloss_ready")))
        self.tasks.append(asyncio.create_task(self.beat()))

    @property
    def connections(self):
        return 3 if self.listens else 2

    async def beat(self):
        """As the daemon does: a heartbeat every three seconds, and with it a rescue and what is to be tidied."""
        await asyncio.sleep(random.uniform(0, HEARTBEAT))
        while True:
            await self.latencies.time("heartbeat", self.pulse.query(
                f"select registered, lost, workers from gloss.heartbeat({self.worker}, '{{}}', '{{}}', null, '{{}}', null)"))
            await self.latencies.time("rescue", self.pulse.query("select lost_workers, rescued, poisoned from gloss.rescue()"))
            await self.latencies.time("maintain", self.pulse.query("select * from gloss.maintain()"))
            await asyncio.sleep(HEARTBEAT)

    async def claim(self, count):
        """(job, fence) of what was claimed."""
        rows = await self.latencies.time("claim", self.work.query(
            f"select to_json(c) from gloss.claim({self.worker}, {count}) c"))
        return [tuple(json.loads(row[0])[name] for name in ("job", "fence")) for row in rows]

    async def record(self, claimed):
        reports = [{"job": job, "fence": fence, "outcome": "completed",
                    "result": result(f"{random.getrandbits(256):064x}")} for job, fence in claimed]
        if not reports:
            return
        await self.latencies.time("record", self.work.query(
            f"select ended from gloss.record({self.worker}, {quoted(json.dumps(reports))}::jsonb)"))
        self.jobs += len(claimed)

    async def wait_for_work(self):
        """Claims when told, and every five seconds, until told to stop; records what it gets as done."""
        woken = self.listener.notified if self.listener else self.is_stopping
        await self.pause(self.is_stopping, random.uniform(0, POLL))
        while not self.is_stopping.is_set():
            claimed = await self.claim(64)
            if claimed:
                await self.record(claimed)
                continue
            await self.pause(woken, POLL)
            if self.listener:
                woken.clear()

    def stop_waiting(self):
        self.is_stopping.set()
        if self.listener:
            self.listener.notified.set()

    @staticmethod
    async def pause(event, seconds):
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def work_until(self, end, batch):
        while time.perf_counter() < end:
            await self.record(await self.claim(batch))

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for connection in (self.work, self.pulse, self.listener):
            if connection:
                connection.close()


async def fleet(server, count, port, listens, latencies):
    """So many daemons, connected and registered."""
    async def connect():
        connection = await Connection.open(server.folder, "bench", port)
        await connection.query("select set_config('statement_timeout', '30000', false), set_config('jit', 'off', false)")
        return connection
    daemons = [Daemon(number, connect, listens, latencies) for number in range(count)]
    gate = asyncio.Semaphore(20)

    async def start(daemon):
        async with gate:
            await daemon.start()
    await asyncio.gather(*(start(daemon) for daemon in daemons))
    return daemons
