"""The hosts of the local web and the list of URLs, from a seed."""
import collections
import itertools
import random

import kinds

# Networks that exist in the namespace only. They are public ones, so that nobody must be allowed to fetch from them.
LIVE, UNREACHABLE, SILENT = "11.0", "11.2", "11.3"

Site = collections.namedtuple("Site", "name shown address kind latency")


def sites(count, seed):
    """The hosts, by name: a kind, an address, and seconds before an answer begins.

    A third of the hosts are subdomains of a domain that has four of them at one address. Of the others a third share an address
    among twenty.
    """
    draw = random.Random(seed)
    total = sum(kind.share for kind in kinds.HOSTS)
    plain = max(1, round(count * (1 - total / 10_000)))
    names = ["plain"] * plain
    for kind in kinds.HOSTS:
        names += [kind.name] * max(1, round(count * kind.share / 10_000))
    draw.shuffle(names)
    found, last, domains, crowd = {}, 0, {}, (0, 0)
    for number, kind in enumerate(names):
        place = draw.random()
        if place < 1 / 3:
            size, domain, address = domains.get(kind, (4, "", 0))
            if size == 4:
                last += 1
                size, domain, address = 0, f"site{last}.com", last
            domains[kind] = size + 1, domain, address
            name = f"img{size}.{domain}"
        elif place < 5 / 9 and kind in kinds.MIXED:
            size, address = crowd
            if size % 20 == 0:
                last += 1
                address = last
            crowd = size + 1, address
            name = f"shop{number}.org"
        else:
            last += 1
            name, address = f"www.page{number}.net", last
        shown = name
        if kind == "umlaut":
            shown = f"bilder{number}\u00fc.de"
            name = shown.encode("idna").decode()
        network = {"no_route": UNREACHABLE, "silent": SILENT}.get(kind, LIVE)
        where = f"{network}.{address >> 8}.{address & 255}"
        found[name] = Site(name, shown, where, kind, min(0.4, draw.lognormvariate(-3, 0.7)))
    return found


def urls(sites, count, seed):
    """Yields kind, number and URL, in the order of the list. The hosts' shares fall as in Zipf's law."""
    draw = random.Random(seed + 1)
    hosts = collections.defaultdict(list)
    for site in sites.values():
        hosts["mixed" if site.kind in kinds.MIXED else site.kind].append(site)
    weights = {kind: list(itertools.accumulate(1 / (rank + 5) ** 0.9 for rank in range(len(of)))) for kind, of in hosts.items()}
    host_kinds = [kind for kind in kinds.HOSTS if kind.name not in kinds.MIXED]
    special = [*kinds.URLS, *host_kinds]
    shares = [kind.share for kind in special]
    special.append(kinds.PLAIN)
    shares.append(10_000 - sum(shares))
    # Each kind occurs, however short the list is.
    drawn = [kind.name for kind in special[:count]]
    drawn += draw.choices([kind.name for kind in special], shares, k=max(0, count - len(drawn)))
    draw.shuffle(drawn)
    last = None
    for number, kind in enumerate(drawn):
        group = kind if kind in hosts else "mixed"
        site = draw.choices(hosts[group], cum_weights=weights[group])[0]
        if kind == "twice" and last:
            yield kind, number, last
            last = None
            continue
        url = _url(site, kind, number)
        if kind == "twice":
            last = url
        yield kind, number, url


def _url(site, kind, number):
    scheme = "https" if site.kind in kinds.SECURE else "http"
    host, path = site.shown, f"{kind}/{number}/photo.jpg"
    if kind == "upper":
        host = host.replace("img", "IMG").replace("page", "Page").replace("shop", "Shop").replace("www", "WWW")
    elif kind == "dot":
        host += "."
    elif kind == "space":
        path = f"{kind}/{number}/my phötö.jpg"
    elif kind == "userinfo":
        host = f"user:secret@{host}"
    return f"{scheme}://{host}/{path}"
