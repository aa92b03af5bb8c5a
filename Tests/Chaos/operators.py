"""People who steer the queue while daemons work: several sessions at once, each with its own steps and pauses.

A fault has a batch of its own, on which most of its sessions meet; the rest concerns what the feeder enqueued.
"""

import json
import random
import threading
import time

import schema
from postgres import PASSING
from web import HOSTS

# By kind of fault: what its sessions do. After it, everything that it paused is resumed.
MENUS = {
    "pause": ["pause", "pause", "resume", "resume", "enqueue"],
    "park": ["park", "unpark", "pause host", "resume host", "enqueue"],
    "cancel": ["cancel", "cancel job", "cancel job", "enqueue", "retry"],
    "retry and rerun": ["retry", "rerun", "cancel job", "rerun"],
    "forget and prune": ["forget", "forget", "prune", "enqueue", "cancel", "rerun"],
}
MENUS["steer"] = sorted({step for menu in MENUS.values() for step in menu})
# What all of them do at the same time.
RUSHES = {"pause", "resume", "cancel", "retry", "rerun", "forget"}
# What a session waits for longer than this hangs.
LIMIT = 20
# Refusals that say that there was nothing to do.
NOTHING_TO_DO = ("there is no batch", "is neither paused nor parked")


def quoted(value):
    return "true" if value is True else str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def call(function, scope):
    """SQL; a job's key only says in the ledger which job it is."""
    arguments = {"job": scope["job"]} if "job" in scope else scope
    return f"select gloss.{function}({', '.join(f'{name} => {quoted(value)}' for name, value in arguments.items())})"


def condition(scope):
    """The same choice as a condition on chaos.outcome."""
    if scope.get("everything"):
        return "true"
    if "host" in scope:
        return f"{quoted(scope['host'])} in (select chaos.hosts(image_urls))"
    return " and ".join(f"{'id' if name == 'job' else name} = {quoted(value)}" for name, value in scope.items()
                        if not (name == "key" and "job" in scope))


class Operation:
    """What the sessions of one fault share."""

    def __init__(self, world, fault):
        self.world, self.fault = world, fault
        self.rng = random.Random(f"operators {world.options.seed} {fault.number}")
        self.menu = MENUS[fault.kind]
        self.batch = world.feeder.next_batch("s")
        self.numbers = iter(range(1 << 30))
        self.paused, self.late = [], None
        self.task = self.rng.choice(["caption", "vqa", "detect", "multiview"])
        # By its name, or as an origin.
        self.host = self.rng.choice([HOSTS["good"], HOSTS["good"], *sorted(set(HOSTS.values()))])
        if self.rng.random() < 0.5:
            self.host = f"http://{self.host}:{world.web.port}"

    def run(self):
        world = self.world
        world.ledger.in_use.add(self.batch)
        is_slow = self.rng.random() < 0.7
        try:
            if is_slow:  # so that others come first
                world.insist(schema.DAWDLE.format(share=0.2))
            world.feeder.enqueue(self.rows(self.rng, 10 + self.fault.choice % 20))
            if self.fault.kind in ("retry and rerun", "forget and prune"):
                self.wait_for_ends()
            self.in_parallel(lambda session: session.steps())
            self.rush()
            if "pause" in self.menu:
                self.hold()
        finally:
            self.undo()
            if is_slow:
                world.insist(schema.DAWDLE.format(share=0))
            world.ledger.in_use.discard(self.batch)

    def rows(self, rng, count):
        """Jobs of the batch, of several priorities; a few of them are to run later."""
        feeder, rows = self.world.feeder, []
        for name in feeder.draw(rng, count):
            row = feeder.row(name, self.batch, next(self.numbers), rng.choice([-10, 0, 0, 0, 10]))
            if rng.random() < 0.15:
                row["run_at"] = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(time.time() + rng.uniform(0, 4)))
            rows.append(row)
        return rows

    def in_parallel(self, plan):
        sessions = [Session(self, random.Random(self.rng.random()), plan) for _ in range(2 + self.fault.choice % 3)]
        for session in sessions:
            session.start()
        for session in sessions:
            session.join()

    def rush(self):
        """All do the same to the same jobs at once."""
        what = self.rng.choice(sorted(RUSHES & set(self.menu) or {"resume"}))
        if what == "pause":
            self.paused.append({"batch": self.batch})
        if what == "forget":
            self.in_parallel(lambda session: session.step("prune"))
        self.in_parallel(lambda session: session.do(what, session.own, seconds=session.rng.choice([None, 0.2])))

    def wait_for_ends(self, patience=4):
        """Until half of the batch has ended, and is old enough to be pruned."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            ((left, ended),) = self.world.insist(f"select count(*) filter (where outcome is null), count(outcome) "
                                                 f"from chaos.outcome where batch = '{self.batch}'")
            if int(ended) >= int(left):
                break
            time.sleep(0.1)
        time.sleep(0.6)

    def hold(self):
        """Pauses alone: then nothing of that may be given out, in spite of the claims that are under way. Some jobs are
        enqueued by a transaction that ends only when everything has been resumed, or is about to be."""
        session, scope = Session(self, self.rng, None), self.rng.choice(
            [{"batch": self.batch}, {"batch": self.batch}, {"task": self.task}, {"host": self.host},
             {"everything": True}])
        self.paused.append(scope)
        try:
            if session.do("pause", scope):
                session.watch(scope, 0.2 + self.fault.share / 2)
        except OSError:
            self.world.steps["answers lost"] += 1
        session.close()
        self.late = Session(self, random.Random(self.rng.random()),
                            lambda late: late.do("enqueue", *late.choose_enqueue(), seconds=0.3))
        self.late.start()
        time.sleep(self.rng.uniform(0, 0.3))

    def undo(self):
        """Resumes whatever was paused, and parks nothing any more."""
        for scope in self.paused:
            try:
                self.world.insist(call("resume", scope), user="chaos_admin")
            except self.world.Refused as refusal:
                if not any(words in refusal.args[1] for words in NOTHING_TO_DO):
                    raise
        if self.late:
            self.late.join()
        if self.rng.random() < 0.5:
            step = self.world.ledger.begin("retry", batch=self.batch)
            self.world.insist(call("retry", {"batch": self.batch}), user="chaos_admin")
            self.world.ledger.end(step)


class Session(threading.Thread):
    """One connection, straight to the primary, and some steps on it."""

    def __init__(self, operation, rng, plan):
        super().__init__(daemon=True)
        self.operation, self.world, self.rng, self.plan, self.client = operation, operation.world, rng, plan, None

    def run(self):
        try:
            self.plan(self)
        except OSError:
            self.world.steps["answers lost"] += 1
        except Exception as error:
            self.world.violation(f"a session that steers failed: {error!r}")
        self.close()

    def steps(self):
        for _ in range(self.rng.randrange(3, 9)):
            time.sleep(self.rng.expovariate(15))
            self.step(self.rng.choice(self.operation.menu))

    def close(self):
        if self.client:
            self.client.close()
            self.client = None

    # Statements

    def query(self, sql):
        """Rows. None: it was refused for the moment, and nothing happened. Whoever loses the connection raises."""
        try:
            if not self.client:
                self.client = self.world.cluster.client(user="chaos_admin", timeout=LIMIT + 10)
                self.client.query(f"set statement_timeout = '{LIMIT}s'")
            return self.client.query(sql)
        except OSError:
            self.close()
            raise
        except self.world.Refused as refusal:
            code, message = refusal.args
            self.world.steps[f"refused {code}"] += 1
            if code[:3] == "57P":
                # The server goes away: perhaps it had committed.
                self.close()
                raise ConnectionResetError(message) from refusal
            if code == "40P01":
                self.world.say(f"a deadlock ended: {sql}")
            if code == "57014":
                self.world.violation(f"took longer than {LIMIT} s: {sql}")
            elif code[:2] in ("57", "53", "25", "08"):
                self.close()
            elif code[:2] not in PASSING and not any(words in message for words in NOTHING_TO_DO):
                self.world.violation(f"{sql} was refused: {code} {message}")
            return None

    def step(self, what):
        # Who cancels single jobs cancels several.
        for _ in range(self.rng.randrange(1, 6) if what == "cancel job" else 1):
            try:
                self.do(what.split()[0], *getattr(self, "choose_" + what.replace(" ", "_"))())
            except OSError:
                self.world.steps["answers lost"] += 1

    def do(self, what, scope, sql=None, rows=(), seconds=None):
        """One step, perhaps in a transaction that takes its time; whether it surely happened."""
        ledger, world, rng = self.world.ledger, self.world, self.rng
        in_transaction, is_kept = bool(seconds) or rng.random() < 0.4, rng.random() < 0.8
        step = ledger.begin(what, **scope)
        ledger.add(rows, is_sure=False)
        world.steps[what] += 1
        happened = None
        try:
            before = self.not_ended(scope) if what == "cancel" else []
            if in_transaction:
                self.query("begin")
                happened = self.query(sql or call(what, scope)) is not None
                time.sleep(seconds or rng.expovariate(10))
                if happened and is_kept:
                    happened = None
                    happened = self.query("commit") is not None
                else:
                    happened = False
                    self.query("rollback")
            else:
                happened = self.query(sql or call(what, scope)) is not None
            ledger.end(step)
            if what == "cancel" and happened:
                self.check_cancelled(step, before)
        except OSError:
            world.steps["answers lost"] += 1
            step.ended = time.time() + LIMIT  # until then it may still happen
        if happened is False:
            ledger.drop(step)
            ledger.remove(rows)
        elif happened:
            ledger.add(rows, is_sure=True)
        return happened

    # What must hold at once

    def not_ended(self, scope):
        return self.query(f"select id, batch, key from chaos.outcome "
                          f"where outcome is null and {condition(scope)}") or []

    def check_cancelled(self, step, jobs):
        """Jobs that were there before a cancel began have ended when it has returned."""
        ledger = self.world.ledger
        found = self.query(f"select id, batch, key, outcome from chaos.outcome "
                           f"where id = any ('{{{','.join(job for job, *_ in jobs)}}}')") or []
        for job, batch, key, outcome in found:
            if ledger.find(ledger.row(batch, key), "retry", "rerun", "loss", since=step.begun):
                continue
            if outcome == "dead: cancelled":
                ledger.cancelled.setdefault(key, time.time())
            elif outcome is None:
                self.world.violation(f"{step} has returned, and the job {job} ({key}) goes on")

    def watch(self, scope, seconds):
        """While these jobs are paused no claim leases one."""
        now = self.query("select clock_timestamp()")
        end = time.monotonic() + seconds
        while now and time.monotonic() < end:
            for job, key, at in self.query(
                    f"select id, key, leased_at from chaos.outcome join gloss.leased on job_id = id "
                    f"where leased_at > '{now[0][0]}' and {condition(scope)}") or []:
                return self.world.violation(f"{scope} was paused at {now[0][0]}, and the job {job} ({key}) was given "
                                            f"out at {at}")
            time.sleep(0.05)

    # What to do to which jobs

    @property
    def own(self):
        """The batch on which all sessions meet."""
        return {"batch": self.operation.batch}

    def job(self):
        """A single job: one that is about to be claimed, one that is leased, or one of the batch."""
        source = self.rng.choice([schema.NEXT, schema.NEXT, schema.LEASED,
                                  f"chaos.outcome where batch = '{self.operation.batch}'"])
        found = self.query(f"select id, key from {source}")
        if not found:
            return self.own
        job, key = self.rng.choice(found)
        return {"key": key} if self.rng.random() < 0.3 else {"job": int(job), "key": key}

    def some(self):
        draw = self.rng.random()
        return (self.own if draw < 0.6 else self.job() if draw < 0.75 else {"task": self.operation.task} if draw < 0.97
                else {"everything": True})

    def pausable(self):
        draw = self.rng.random()
        return (self.own if draw < 0.6 else {"task": self.operation.task} if draw < 0.75
                else self.host if draw < 0.93 else {"everything": True})

    @property
    def host(self):
        return {"host": self.operation.host}

    def pausing(self, scope):
        self.operation.paused.append(scope)
        return (scope,)

    def choose_pause(self):
        return self.pausing(self.pausable())

    def choose_resume(self):
        return (self.pausable(),)

    def choose_pause_host(self):
        return self.pausing(self.host)

    def choose_resume_host(self):
        return (self.host,)

    def choose_park(self):
        seconds = round(self.rng.uniform(0.1, 2), 2)
        return self.host, f"select gloss.park_origin('{self.operation.host}', '{seconds} s', 'they asked us to')"

    def choose_unpark(self):
        return self.host, f"select gloss.unpark_origin('{self.operation.host}')"

    def choose_cancel(self):
        return (self.some(),)

    def choose_cancel_job(self):
        return (self.job(),)

    def choose_retry(self):
        return (self.some(),)

    def choose_rerun(self):
        return (self.own if self.rng.random() < 0.7 else self.job(),)

    def choose_forget(self):
        return (self.own,)

    def choose_prune(self):
        return {"everything": True}, "select gloss.prune(history => '2 s', results => '0.5 s', dead => '0.5 s')"

    def choose_enqueue(self):
        # Not those of which another session may yet think better.
        ledger = self.world.ledger
        known = [row for key, row in list(ledger.rows[self.operation.batch].items()) if key not in ledger.unsure]
        if known and self.rng.random() < 0.25:  # once more, in case some were forgotten
            return self.own, self.world.feeder.insert(self.rng.sample(known, min(4, len(known))))
        rows = self.operation.rows(self.rng, 1 if self.rng.random() < 0.5 else 6)
        if len(rows) > 1:
            return self.own, self.world.feeder.insert(rows), rows
        text = json.dumps(rows[0]).replace("'", "''")
        sql = self.rng.choice([
            f"select gloss.enqueue_json('{text}')",
            self.world.feeder.insert(rows, into="submission") + " returning job_id, outcome"])
        return self.own, sql, rows


def steer(world, fault):
    Operation(world, fault).run()
