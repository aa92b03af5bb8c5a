"""What runs on the local web did, as text; and whether it was right."""
import collections

import kinds

GOOD = ("image", "later", "format")


def images(run, outcomes=GOOD):
    return sum(found.get("image", 0) for kind, found in run["outcomes"].items() if kinds.ALL[kind].outcome in outcomes)


def wanted(urls, outcomes=GOOD):
    return sum(kinds.ALL[kind].outcome in outcomes for kind, _, _ in urls)


def whole(run):
    """All images that a run got, damaged ones left out."""
    return images(run, ("image", "later", "format", "optout", "wide"))


def by_code(rows):
    counts = collections.Counter()
    for row in rows:
        counts[row["code"]] += row["count"]
    return counts


def dead(run):
    """Jobs without an image that were given up, by code."""
    counts = collections.Counter()
    for found in run["outcomes"].values():
        counts.update({outcome: count for outcome, count in found.items() if outcome not in ("image", "waiting")})
    return counts


def top(counts):
    return ", ".join(f"{code} {count:,}" for code, count in counts.most_common(8)) or "none"


def summary(run, urls):
    """The lines of a run, each a name and a text."""
    seen = run["seen"]
    requests, got = sum(seen["requests"].values()), whole(run)
    lines = [
        ("images annotated", f"{got:,}"),
        ("of those that are there and free", f"{images(run):,} of {wanted(urls):,}"),
        ("against an opt-out", f"{images(run, ('optout',)):,} of {wanted(urls, ('optout',)):,}"),
        ("damaged ones taken for whole", f"{images(run, ('never', 'refused')):,}"),
        ("requests", f"{requests:,}"),
        ("requests an image", f"{requests / max(1, got):.3f}"),
        ("requests for robots.txt", f"{seen['robots']:,}"),
        ("connections", f"{seen['connections']:,}"),
        ("most requests at a time: to a host", f"{seen['most']['host'][0]}"),
        ("to an address", f"{seen['most']['address'][0]}"),
        ("to a domain", f"{seen['most']['domain'][0]}"),
        ("most requests in a second to a host", f"{seen['busiest'][0]}"),
        ("answers 429 and 503", f"{seen['statuses'].get('429', 0):,} and {seen['statuses'].get('503', 0):,}"),
        ("questions of names", f"{sum(seen['questions'].values()):,}"),
        ("seconds", f"{run['seconds']:.1f}" + ("" if run["is_done"] else ", not done")),
        ("images a second", f"{got / run['seconds']:.1f}"),
    ]
    if run["times"]:
        lines.append(("seconds until 50, 90, 99, 100% of the images", ", ".join(f"{time:.0f}" for time in run["times"])))
    if "burnt" in run:
        failed = [row for row in run["burnt"] if row["failed"]]
        lines += [("attempts burnt by what then gave an image", f"{sum(row['count'] for row in failed if row['has_image']):,}"),
                  ("attempts burnt by what did not", f"{sum(row['count'] for row in failed if not row['has_image']):,}"),
                  ("of the former, by code", top(by_code(row for row in failed if row["has_image"]))),
                  ("releases, which burn none", f"{sum(row['count'] for row in run['burnt'] if not row['failed']):,}")]
        lines += [("dead, by code", top(dead(run))), ("waiting for hosts that do not answer", f"{sum(found.get('waiting', 0) for found in run['outcomes'].values()):,}")]
    lines += [("memory, MB", f"{run['memory'] / 1e6:.0f}"), ("sockets", f"{run['sockets']}"),
              ("processor seconds", f"{run['processor_seconds']:.0f}")]
    return lines


def table(runs, urls):
    columns = [dict(summary(run, urls)) for run in runs]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = ["| | " + " | ".join(run["name"] for run in runs) + " |", "|---|" + "---|" * len(runs)]
    for name in names:
        rows.append(f"| {name} | " + " | ".join(column.get(name, "–") for column in columns) + " |")
    return "\n".join(rows)


def details(run):
    """A line for each kind: URLs, requests a URL, what became of them, which attempts were burnt."""
    rows = []
    for kind in kinds.ALL.values():
        found = run["outcomes"].get(kind.name, {})
        count = sum(found.values())
        if not count:
            continue
        told = ", ".join(f"{outcome} {number}" for outcome, number in sorted(found.items(), key=lambda item: -item[1])[:6])
        burnt = ", ".join(f"{row['code']} {row['count']}{'' if row['failed'] else ' (released)'}"
                          for row in run.get("burnt", []) if row["kind"] == kind.name)
        rows.append(f"  {kind.name} ({kind.outcome}): {count} URLs, {run['seen']['requests'].get(kind.name, 0) / count:.2f} requests each;"
                    f" {told}" + (f"; attempts: {burnt}" if burnt else ""))
    return "\n".join(rows)


def lost(run):
    """Jobs that are dead for a reason that passes by itself."""
    return sum(count for kind, found in run["outcomes"].items() if kinds.ALL[kind].outcome == "later"
               for outcome, count in found.items() if outcome not in ("image", "waiting"))


def expected(kind, opt_outs):
    """The outcomes that are right."""
    wishes = {"off": (), "named": ("optout",), "strict": ("optout", "wide")}[opt_outs]
    is_free = kind.outcome in GOOD or kind.outcome in ("optout", "wide") and kind.outcome not in wishes
    found = {"image"} if is_free else set(kind.codes.split())
    return found | {"unsupported_format"} if kind.name == "tiff" else found  # off by default


def faults(run, options, opt_outs):
    """What a run of Gloss did wrong, a sentence each."""
    found = []
    if not run["is_done"]:
        found.append(f"jobs that can end had not ended after {options.minutes} minutes")
    for kind in kinds.ALL.values():
        right = expected(kind, opt_outs)
        found += [f"{kind.name}: {count} ended as {outcome}, expected {' or '.join(sorted(right))}"
                  for outcome, count in run["outcomes"].get(kind.name, {}).items() if outcome not in right]
    most, host = run["seen"]["most"]["host"]
    if most > options.per_host:
        found.append(f"{host} saw {most} requests at a time, allowed are {options.per_host}")
    return found + [f"a daemon ended with {status}" for status in run["statuses"] if status]
