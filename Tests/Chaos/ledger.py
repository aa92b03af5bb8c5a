"""What was asked of the queue: each job that was enqueued, and each step of the people who steer it.

A job that ended otherwise than its like, or that is gone, must be explained by a step that covers it.
"""

import collections
import re
import threading
import time

ORIGIN = re.compile(r"^(http://([^/:]+)[^/]*)")
# Between this process's clock and the start of a transaction.
SLACK = 0.1


class Step:
    """One statement of a session. `scope`: job and key, key, batch, task, host, or everything. `ended` is None while it
    runs, and for ever where the answer was lost: it may have happened then."""

    def __init__(self, what, scope, begun):
        self.what, self.scope, self.begun, self.ended = what, scope, begun, None

    def covers(self, row):
        scope = self.scope
        if scope.get("everything"):
            return True
        if "key" in scope:
            return scope["key"] == row["key"]
        if "host" in scope:
            return any(scope["host"] in ORIGIN.match(url).groups() for url in row["image_urls"])
        return all(row[name] == scope[name] for name in ("batch", "task") if name in scope)

    def __str__(self):
        return f"{self.what} {self.scope}"


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.rows = collections.defaultdict(dict)  # by batch and key, as enqueued
        self.unsure = set()                        # keys of which nobody knows whether they were enqueued
        self.times = {}                            # when a batch was first enqueued into
        self.closed = collections.deque()          # batches that were judged, with their rows and when
        self.steps, self.cancelled = [], {}        # cancelled: keys that were seen dead after a cancel, and when
        self.in_use = set()                        # batches that are being steered, so not to be judged yet

    # Jobs

    def add(self, rows, is_sure):
        with self.lock:
            for row in rows:
                self.times.setdefault(row["batch"], time.time())
                self.rows[row["batch"]][row["key"]] = row
                self.unsure.discard(row["key"]) if is_sure else self.unsure.add(row["key"])

    def remove(self, rows):
        """They were rolled back."""
        with self.lock:
            for row in rows:
                self.rows[row["batch"]].pop(row["key"], None)
                self.unsure.discard(row["key"])

    def close(self, batch):
        """The batch was judged and forgotten."""
        with self.lock:
            rows = self.rows.pop(batch, {})
            self.unsure.difference_update(rows)
            for key in rows:
                self.cancelled.pop(key, None)
            began = self.times.pop(batch, time.time())
            self.closed.append((time.time(), began, batch, rows))
            while self.closed and self.closed[0][0] < time.time() - 60:
                self.closed.popleft()
            oldest = min([began, *self.times.values()])
            self.steps = [step for step in self.steps if step.ended is None or step.ended > oldest - 60]

    def has_poison(self):
        """Whether there are batches of `faults.poison`."""
        with self.lock:
            return any(batch.startswith("p") for batch in self.rows)

    def older_than(self, seconds):
        with self.lock:
            return {batch for batch, began in self.times.items() if began < time.time() - seconds}

    def reopen(self, since):
        """The database lost what was committed since then; the rows of all batches that it may concern."""
        with self.lock:
            for closed, began, batch, rows in self.closed:
                if closed >= since - SLACK:
                    self.rows[batch], self.times[batch] = rows, began
            self.cancelled.clear()
            return [row for rows in self.rows.values() for row in rows.values()]

    # Steps

    def begin(self, what, **scope):
        step = Step(what, scope, time.time() - SLACK)
        with self.lock:
            self.steps.append(step)
        return step

    def end(self, step):
        step.ended = time.time() + SLACK

    def drop(self, step):
        """It did not happen: refused or rolled back."""
        with self.lock:
            self.steps.remove(step)

    def find(self, row, *what, since=0.0, until=float("inf")):
        """Whether a step of these kinds covers the job, at some time in between."""
        since = max(since, self.times.get(row["batch"], 0) - SLACK)
        with self.lock:
            return any(step.what in what and step.begun <= until and (step.ended is None or step.ended >= since)
                       and step.covers(row) for step in self.steps)

    def row(self, batch, key):
        """As enqueued; what is known of one that nobody noted."""
        with self.lock:
            known = self.rows.get(batch, {}).get(key)
        return known or {"key": key, "batch": batch, "task": None, "image_urls": []}
