"""The invariants. A batch whose jobs have all ended is checked whole, counted, and then forgotten."""

import collections

from schema import COUNTS, ENDED, FENCE, LEFT, PAUSED, RESCUES, WRONG_ATTEMPTS, WRONG_RESULTS


class Checker:
    """Looks at everything now and then, and at each batch when it has ended."""

    def __init__(self, world):
        self.world, self.totals, self.partly = world, collections.Counter(), collections.Counter()

    # Everything

    def glance(self):
        ask, violation = self.world.ask, self.world.violation
        for (what,) in ask("select what from chaos.wrong limit 20"):
            violation(what)
        for (what,) in ask(COUNTS):
            violation(what)
        for (what,) in ask(WRONG_RESULTS):
            violation(what)
        for batch, key, what in ask(WRONG_ATTEMPTS):
            if not self.world.ledger.find(self.world.ledger.row(batch, key), "retry", "rerun", "prune", "loss"):
                violation(what)

    def pauses(self):
        """At the end, when everything was resumed."""
        for (what,) in self.world.ask(PAUSED):
            self.world.violation(f"{what} though whoever had paused it resumed it")

    # Batches

    def sweep(self):
        """Checks and forgets the batches that have ended; how many jobs have not."""
        open_count, ledger, seen = 0, self.world.ledger, set()
        for batch, left, count in self.world.ask(LEFT):
            seen.add(batch)
            open_count += int(left)
            if left == "0" and batch not in ledger.in_use and not self.close(batch):
                open_count += 1
        for batch in ledger.older_than(10) - seen - ledger.in_use:  # of which nothing is left
            self.close(batch)
        return open_count

    def close(self, batch):
        """Judges a batch as it is at one moment; False if somebody changed it meanwhile, or it is not over."""
        ask, ledger, complaints = self.world.ask, self.world.ledger, []
        ask("begin isolation level repeatable read")
        try:
            jobs = ask(ENDED.format(batch=batch))
            if any(outcome is None for _, outcome, *_ in jobs):
                return False
            quarantined = self.judge(batch, jobs, complaints)
            if not quarantined:
                (forgotten,), = ask(f"select gloss.forget(batch => '{batch}')")
                if int(forgotten) != len(jobs):
                    # Some may be in the hands of somebody who prunes.
                    self.partly[batch] += 1
                    if self.partly[batch] == 10:
                        self.world.violation(f"of {len(jobs)} jobs of {batch} only {forgotten} can be forgotten")
                    return False
            ask("commit")
        except self.world.Refused as refusal:
            if refusal.args[0] != "40001":
                raise
            return False
        finally:
            self.world.rollback()
        for complaint in complaints:
            self.world.violation(complaint)
        for key in quarantined:
            self.retry(batch, key)
        if quarantined:
            return False
        self.count(jobs)
        ledger.close(batch)
        return True

    def judge(self, batch, jobs, complaints):
        """Collects what is wrong with a batch; the innocent jobs that were quarantined."""
        ledger = self.world.ledger
        for key, outcome, attempts, rescues, at, digest, *expected, history in jobs:
            row = ledger.row(batch, key)
            wrong = self.verdict(row, outcome, attempts, rescues, at, digest, expected)
            if wrong:
                complaints.append(f"{key}: {wrong}; {history}")
        present = {key for key, *_ in jobs}
        known = ledger.rows.get(batch, {})
        for key in set(known) - present - ledger.unsure:
            if not ledger.find(known[key], "forget", "loss"):
                complaints.append(f"{key} was enqueued and is nowhere")
        for key in present - set(known):
            complaints.append(f"{key} is there and was never enqueued")
        return self.rescues(batch, complaints)

    def verdict(self, row, outcome, attempts, rescues, at, digest, expected):
        """What is wrong with how a job ended; None if nothing is."""
        find, template = self.world.ledger.find, row["key"].split("/")[1]
        is_restarted = find(row, "retry", "rerun", "loss")
        if outcome == "dead: cancelled":
            moment = float(at)
            return None if find(row, "cancel", since=moment, until=moment) else "cancelled by nobody"
        if outcome == "pruned":
            return None if find(row, "prune") else "pruned by nobody"
        cancelled = self.world.ledger.cancelled.get(row["key"])
        if cancelled and not find(row, "retry", "rerun", "loss", since=cancelled):
            return f"{outcome} though it had been cancelled"
        if template.startswith("poison"):
            fine = outcome == "dead: poison" and rescues == "3"
            if outcome == "done":
                # Nobody saw it begin: the database was away, the link was cut, or all views of an object ended at once.
                # A daemon that was killed for it records nothing.
                self.world.steps["poison unseen"] += 1
                leases = {(row["key"], fence) for fence, in self.world.ask(FENCE.format(key=row["key"]))}
                fine = int(rescues) < 3 and not leases & self.world.poisoned
            return None if fine else f"poisonous, but {outcome} after {rescues} rescues"
        if outcome == "dead: poison":
            return None  # judged by its rescues
        if expected[0] is None:
            fine = outcome in ("dead: timeout", "dead: too_slow")
            return None if fine else f"{outcome} of a host that never answers"
        if outcome != expected[0] or digest != expected[2]:
            return f"{outcome} after {attempts} failed attempts, {digest}; expected {expected}"
        is_many = attempts > expected[1] if outcome == "done" else attempts != expected[1]
        if is_many and template != "web-dies" and not is_restarted:
            return f"{outcome} after {attempts} failed attempts; expected {expected[1]}"
        return None

    def rescues(self, batch, complaints):
        """An innocent job may be quarantined after three deaths of its daemons, of which the last must not have been a
        poisonous job's doing. Somebody who runs the queue then retries it, and so do we."""
        quarantined = {}
        for key, outcome, pid, at, worker, is_rescue in self.world.ask(RESCUES.format(batch=batch)):
            harms = self.world.harms(int(pid) if pid else None, float(at))
            if not harms:
                complaints.append(f"{key} was taken at {at} from worker {worker}, pid {pid}, to which nothing was done")
            if is_rescue == "t" and outcome == "dead: poison" and not key.split("/")[1].startswith("poison"):
                quarantined[key] = harms[-1].kind if harms else "nothing"
        for key, kind in quarantined.items():
            self.totals["quarantined though innocent"] += 1
            if kind == "poison":
                complaints.append(f"{key} was quarantined for what another job did")
        return list(quarantined)

    def retry(self, batch, key):
        step = self.world.ledger.begin("retry", key=key, batch=batch)
        self.world.ask(f"select gloss.retry(key => '{key}')")
        self.world.ledger.end(step)

    def count(self, jobs):
        self.totals["jobs"] += len(jobs)
        for _, outcome, attempts, rescues, *_ in jobs:
            self.totals[outcome] += 1
            self.totals["rescues"] += int(rescues or 0)
            self.totals["failed attempts"] += int(attempts or 0)
