"""How each kind of host and URL answers a request."""
import collections
import time

import files

# For so many seconds fail the hosts that fail at first.
EARLY = 20
HUGE = 40_000_000
# Requests a second of hosts that limit them, and how many at once.
RATE, BURST = 10, 10
REASONS = {200: "OK", 302: "Found", 301: "Moved Permanently", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests",
           500: "Internal Server Error", 503: "Service Unavailable"}


def reply(status, body=b"", *headers, length=None):
    """An answer with a length."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}", "Content-Type: image/jpeg" if status == 200 else "Content-Type: text/html",
             *headers, f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(body):
    return b"".join(b"%x\r\n" % len(part) + part + b"\r\n" for part in (body[:4000], body[4000:]) if part) + b"0\r\n\r\n"


class Answers:
    def __init__(self, web):
        self.web = web
        self.asked = collections.Counter()   # by path, where the first request fares otherwise
        self.plain = [site.name for site in web.sites.values() if site.kind == "plain"]
        self.buckets = {}                    # by host: how many requests it takes now, and since when

    def steps(self, site, path, method, is_secure):
        """What a connection does: ("write", bytes), ("wait", seconds), and at most one of "close", "reset", "hang" at the end."""
        if site.kind == "hung":
            yield "hang", None
            return
        yield "wait", site.latency
        refusal = self.refusal(site, path, is_secure)
        if refusal or path == "/robots.txt":
            yield "write", refusal or self.robots(site)
            return
        _, kind, number, name = (path + "///").split("/")[:4]
        yield from self.answer(site, path, kind, int(number) if number.isdigit() else 0, name)

    def robots(self, site):
        if site.kind == "robots":
            return reply(200, b"User-agent: *\nAllow: /\n\nUser-agent: Gloss\nUser-agent: img2dataset\nDisallow: /\n")
        if site.kind == "robots_all":
            return reply(200, b"User-agent: *\nDisallow: /\n")
        if len(site.name) % 2:
            return reply(200, b"User-agent: *\nDisallow: /admin\n")
        return reply(404, files.HTML)

    def refusal(self, site, path, is_secure):
        """What a host of this kind says to everybody; None: it depends on the URL."""
        if site.kind == "wall":
            return reply(403, files.HTML)
        if site.kind == "down" or site.kind == "down_later" and self.web.is_early:
            return reply(503, files.HTML)
        if site.kind == "cloud":
            return reply(521, files.HTML)
        if site.kind == "plain_to_tls" and not is_secure:
            return reply(301, b"", f"Location: https://{site.name}{path}")
        if site.kind in ("rate", "rate_after") and not self.takes(site):
            return reply(429, files.HTML, *(["Retry-After: 1"] if site.kind == "rate_after" else []))
        if site.kind == "two" and self.web.seen.active["host", site.name] > 2:
            return reply(429, files.HTML)
        return None

    def takes(self, site):
        """Whether a host that takes so many requests a second takes one more."""
        now = time.monotonic()
        left, since = self.buckets.get(site.name, (BURST, now))
        left = min(BURST, left + (now - since) * RATE)
        self.buckets[site.name] = (left - 1 if left >= 1 else left), now
        return left >= 1

    def answer(self, site, path, kind, number, name):
        if kind.startswith("first_"):
            self.asked[path] += 1
            if self.asked[path] == 1:
                yield from self.first(kind[6:], number)
                return
        elif kind.isdigit():
            yield "write", reply(int(kind), files.HTML)
            return
        elif name == "photo.jpg" and kind in ("moved", "elsewhere", "thrice", "loop", "moved_404", "moved_page", "moved_dead", "moved_inside"):
            yield "write", reply(302, b"", "Location: " + self.target(site, kind, number, 1))
            return
        elif kind == "loop" or kind == "thrice" and name != "3.jpg":
            yield "write", reply(302, b"", "Location: " + self.target(site, kind, number, int(name[0]) + 1))
            return
        elif kind == "moved_404":
            yield "write", reply(404, files.HTML)
            return
        yield from self.file(kind, number)

    def target(self, site, kind, number, hop):
        path = f"/{kind}/{number}/{hop}.jpg"
        if kind == "elsewhere":
            return f"http://{self.plain[number % len(self.plain)]}{path}"
        if kind == "moved_dead":
            return f"http://gone{number}.example.org{path}"
        if kind == "moved_inside":
            return f"http://127.0.0.1{path}"
        return path

    def first(self, fault, number):
        """How the first request for such a URL fails."""
        body = files.body("first_" + fault, number)
        if fault[:3].isdigit():
            later = ["Retry-After: 1"] if fault in ("503_after", "403_after", "429") else []
            if fault == "503_huge":
                yield "write", reply(503, files.HTML, length=HUGE)
                yield "close", None
            else:
                yield "write", reply(int(fault[:3]), files.HTML, *later)
        elif fault == "closed":
            yield "close", None
        elif fault == "garbage":
            yield "write", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"
            yield "close", None
        elif fault == "reset":
            yield "write", reply(200, body[:len(body) // 2], length=len(body))
            yield "wait", 0.05
            yield "reset", None
        elif fault == "short":
            yield "write", reply(200, body[:len(body) // 2], length=len(body))
            yield "close", None
        elif fault == "cut":
            yield "write", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body[:len(body) // 2]
            yield "close", None

    def file(self, kind, number):
        body = files.body(kind, number)
        if kind == "hang":
            yield "hang", None
        elif kind == "stall":
            yield "write", reply(200, body[:1000], length=len(body))
            yield "hang", None
        elif kind == "late":
            yield "wait", 1
            yield "write", reply(200, body)
        elif kind == "dribble":
            yield "write", reply(200, body[:1000], length=len(body))
            for start in range(1000, len(body), max(1, len(body) // 8)):
                yield "wait", 0.25
                yield "write", body[start:start + max(1, len(body) // 8)]
        elif kind == "chunked":
            yield "write", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body)
        elif kind in ("unmeasured", "cut"):
            yield "write", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + (body[:len(body) // 2] if kind == "cut" else body)
            yield "close", None
        elif kind == "huge":
            yield from self.flood(reply(200, b"", length=HUGE), lambda part: part)
        elif kind == "huge_chunked":
            yield from self.flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", lambda part: b"%x\r\n" % len(part) + part + b"\r\n")
            yield "write", b"0\r\n\r\n"
        else:
            yield "write", reply(200, b"" if kind == "empty" else body, *self.headers(kind))

    def flood(self, head, wrap):
        """As many bytes as are huge, by and by: a connection that is given up costs little."""
        yield "write", head + wrap(files.JPEG[0])
        left = HUGE - len(files.JPEG[0])
        while left > 0:
            yield "wait", 0.005
            part = bytes(min(left, 500_000))
            left -= len(part)
            yield "write", wrap(part)

    @staticmethod
    def headers(kind):
        return {"encoding": ["Content-Encoding: utf-8"], "noai": ["X-Robots-Tag: noai"], "tdm": ["TDM-Reservation: 1"],
                "noimageai": ["X-Robots-Tag: noimageai, noindex"], "noindex": ["X-Robots-Tag: noindex"]}.get(kind, [])
