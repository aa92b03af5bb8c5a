"""The local web: 2,000 hosts at addresses of their own, their name server, and what they have seen of whoever asks.

    python3 webserver.py HOSTS SEED FOLDER

Clients are to trust FOLDER/authority.pem. GET http://127.0.0.1:8053/begin forgets what was seen and starts the clock of the hosts that
fail at first; /stats tells what was seen, as JSON.
"""
import asyncio
import collections
import json
import os
import resource
import socket
import ssl
import struct
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import answers  # noqa: E402
import certificates  # noqa: E402
import kinds  # noqa: E402
import plan  # noqa: E402

CONTROL = 8053


class Seen:
    """What came in."""

    def __init__(self):
        self.requests = collections.Counter()     # by kind
        self.questions = collections.Counter()    # of names, by type
        self.robots = 0
        self.connections = 0
        self.statuses = collections.Counter()     # of answers
        self.active = collections.Counter()       # by ("host", name), ("address", …), ("domain", …)
        self.most = collections.Counter()         # the largest of these
        self.second = {}                          # by host: the second, and its requests
        self.busiest = collections.Counter()      # by host
        self.by_host = collections.Counter()
        self.agents = collections.Counter()

    def begin(self, site, address, kind):
        keys = places(site, address)
        for key in keys:
            self.active[key] += 1
            self.most[key] = max(self.most[key], self.active[key])
        if kind == "robots.txt":
            self.robots += 1
        else:
            self.requests[kind] += 1
        now, name = int(time.monotonic()), site.name
        second, count = self.second.get(name, (0, 0))
        count = count + 1 if second == now else 1
        self.second[name] = now, count
        self.busiest[name] = max(self.busiest[name], count)
        self.by_host[name] += 1

    def end(self, site, address):
        for key in places(site, address):
            self.active[key] -= 1

    def largest(self, what):
        """The most requests at a time, and of whom."""
        return max(((count, key[1]) for key, count in self.most.items() if key[0] == what), default=(0, ""))

    def report(self):
        return dict(
            requests=self.requests, robots=self.robots, questions=self.questions, connections=self.connections, statuses=self.statuses,
            most={what: self.largest(what) for what in ("host", "address", "domain")},
            concurrency=collections.Counter(count for key, count in self.most.items() if key[0] == "host"),
            busiest=max(((count, name) for name, count in self.busiest.items()), default=(0, "")),
            busiest_host=max(((count, name) for name, count in self.by_host.items()), default=(0, "")),
            hosts=len(self.by_host), agents=self.agents)


def places(site, address):
    return ("host", site.name), ("address", address), ("domain", ".".join(site.name.split(".")[-2:]))


class Connection(asyncio.Protocol):
    """One connection of HTTP/1.1. Requests are answered one after the other."""

    def __init__(self, web, is_secure):
        self.web, self.is_secure = web, is_secure
        self.pending, self.busy, self.steps, self.timer = b"", None, None, None

    def connection_made(self, transport):
        self.transport = transport
        tls = transport.get_extra_info("ssl_object")
        self.is_http2 = tls and tls.selected_alpn_protocol() == "h2"
        self.address = transport.get_extra_info("sockname")[0]
        self.web.seen.connections += 1

    def connection_lost(self, error):
        if self.timer:
            self.timer.cancel()
        self.finish()

    def data_received(self, data):
        self.pending += data
        if self.is_http2:
            return self.break_http2()
        if data[:1] == b"\x16":  # TLS where there is none
            self.transport.write(answers.reply(400, b"no TLS here"))
            return self.transport.close()
        if not self.busy and b"\r\n\r\n" in self.pending:
            head, self.pending = self.pending.split(b"\r\n\r\n", 1)
            self.serve(head.decode("latin-1"))

    def break_http2(self):
        """SETTINGS, then the fault, once a frame of headers has come."""
        place, kind = 24, None  # behind the client's preface
        while kind != 1 and len(self.pending) >= place + 9:
            kind = self.pending[place + 3]
            place += 9 + int.from_bytes(self.pending[place:place + 3], "big")
        if self.busy or kind != 1:
            return
        site = next(site for site in self.web.sites.values() if site.address == self.address)
        self.busy = site
        self.web.seen.begin(site, self.address, site.kind)
        self.transport.write(b"\0\0\0\4\0\0\0\0\0")
        if site.kind == "h2_reset":
            self.transport.write(b"\0\0\4\3\0\0\0\0\1\0\0\0\2")
        else:
            self.transport.write(b"\0\0\x08\7\0\0\0\0\0\0\0\0\0\0\0\0\2")
        self.finish()
        self.web.loop.call_later(0.2, self.transport.close)

    def serve(self, head):
        lines = head.split("\r\n")
        method, path, _ = (lines[0] + "  ").split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        host = headers.get("host", "").split(":")[0].rstrip(".").lower()
        site = self.web.sites.get(host)
        if not site or site.address != self.address:
            self.transport.write(answers.reply(421, b"this host is not here"))
            return self.transport.close()
        kind = path.split("/")[1]
        self.busy = site
        self.web.seen.begin(site, self.address, kind)
        self.web.seen.agents[headers.get("user-agent", "")] += 1
        self.steps = iter(self.web.answers.steps(site, path, method, self.is_secure))
        self.step()

    def step(self):
        """Takes the answer's steps until one of them waits."""
        self.timer = None
        for what, value in self.steps:
            if self.transport.is_closing():
                return
            if what == "write":
                if value.startswith(b"HTTP/1.1 "):
                    self.web.seen.statuses[value[9:12].decode()] += 1
                self.transport.write(value)
            elif what == "wait":
                self.timer = self.web.loop.call_later(value, self.step)
                return
            elif what == "hang":
                return
            elif what == "close":
                self.finish()
                return self.transport.close()
            elif what == "reset":
                self.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.finish()
                return self.transport.abort()
        self.finish()
        self.data_received(b"")

    def finish(self):
        if self.busy:
            self.web.seen.end(self.busy, self.address)
        self.busy = None


class Names(asyncio.DatagramProtocol):
    """The name server: A records, and no others."""

    def __init__(self, web):
        self.web = web

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        end, labels = 12, []
        while data[end]:
            labels.append(data[end + 1:end + 1 + data[end]].decode("latin-1").lower())
            end += data[end] + 1
        kind = struct.unpack("!H", data[end + 1:end + 3])[0]
        self.web.seen.questions["A" if kind == 1 else "AAAA" if kind == 28 else str(kind)] += 1
        site = self.web.sites.get(".".join(labels))
        state = site.kind if site else "dead_name"
        if state == "name_silent":
            return
        failing = state == "name_failing" or state == "name_later" and self.web.is_early
        code = 2 if failing else 3 if state == "dead_name" else 0
        answer = b""
        if code == 0 and kind == 1:
            answer = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 300, 4) + socket.inet_aton(site.address)
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, 1 if answer else 0, 0, 0)
        self.transport.sendto(head + data[12:end + 5] + answer, peer)


class Web:
    def __init__(self, hosts, seed, folder):
        self.sites = plan.sites(hosts, seed)
        self.seen, self.start = Seen(), None
        self.answers = answers.Answers(self)
        files = certificates.make(folder, self.sites)
        contexts = {}
        self.contexts = {}
        for host, file in files.items():
            has_http2 = self.sites[host].kind in kinds.HTTP2
            if file not in contexts:
                contexts[file] = self.context(file, ["h2", "http/1.1"] if has_http2 else ["http/1.1"])
            self.contexts[host] = contexts[file]
        self.gate = self.context(next(iter(files.values())), ["http/1.1"])
        self.gate.sni_callback = self.choose

    @property
    def is_early(self):
        """Whether the hosts fail that fail at first."""
        return self.start is None or time.monotonic() < self.start + answers.EARLY

    @staticmethod
    def context(file, protocols):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        context.set_alpn_protocols(protocols)
        return context

    def choose(self, connection, name, _):
        context = self.contexts.get((name or "").rstrip(".").lower())
        if context:
            connection.context = context

    async def listen(self, address, port, is_secure, has_tls):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        await self.loop.create_server(lambda: Connection(self, is_secure), sock=listener, backlog=1024,
                                      ssl=self.gate if has_tls else None)

    async def serve(self):
        self.loop = asyncio.get_running_loop()
        await self.loop.create_datagram_endpoint(lambda: Names(self), ("127.0.0.1", 53))
        for address, of in self.by_address().items():
            found = {site.kind for site in of}
            if found & {"refused", "refused_later", "no_route", "silent"} or found <= {"dead_name", "name_failing", "name_silent"}:
                continue
            await self.listen(address, 80, False, False)
            if found & {*kinds.SECURE, "plain_to_tls"}:
                await self.listen(address, 443, True, "no_tls" not in found)
        control = await asyncio.start_server(self.control, "127.0.0.1", CONTROL)
        await control.serve_forever()

    def by_address(self):
        found = collections.defaultdict(list)
        for site in self.sites.values():
            found[site.address].append(site)
        return found

    async def control(self, reader, writer):
        path = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1]
        if path == "/begin":
            self.seen, self.start = Seen(), time.monotonic()
            self.loop.call_later(answers.EARLY, lambda: asyncio.ensure_future(self.open_late()))
        writer.write(answers.reply(200, json.dumps(self.seen.report()).encode()))
        writer.close()

    async def open_late(self):
        for address, of in self.by_address().items():
            if any(site.kind == "refused_later" for site in of):
                await self.listen(address, 80, False, False)


if __name__ == "__main__":
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    asyncio.run(Web(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]).serve())
