#!/usr/bin/env python3
"""Breaks everything around running glossd daemons, and checks that nothing is lost or doubled.

See docs/chaos.md; scripts/chaos sets up and calls this.
"""

import argparse
import collections
import os
import pathlib
import queue
import random
import shutil
import signal
import sys
import threading
import time

import faults
import jobs
import schema
from world import REPOSITORY, World


class Run:
    """The faults one after the other: those of one daemon beside those of another, those of all alone."""

    def __init__(self, world):
        self.world, self.busy, self.counts = world, {}, collections.Counter()
        self.errors = queue.Queue()

    def faults(self, count, seconds):
        options, skipped = self.world.options, self.world.skipped()
        for kind, reason in skipped.items():
            self.world.say(f"skipped: {kind}: {reason}")
        start = time.monotonic()
        for fault in faults.sequence(options, self.world.pooled):
            done, elapsed = sum(self.counts.values()), time.monotonic() - start
            if done >= count or elapsed > seconds or not self.errors.empty():
                break
            if done and done % 25 == 0 and fault.kind not in skipped:
                left = min(elapsed / done * (count - done), seconds - elapsed)
                self.world.say(f"{done} faults in {elapsed / 60:.1f} min, {len(self.world.violations)} violations, "
                               f"{left / 60:.0f} min left")
            if fault.kind not in skipped:
                self.begin(fault)
        for thread in list(self.busy.values()):
            thread.join()

    def begin(self, fault):
        # What steers the queue goes on while servers die, unless these forget what it did.
        waits_for = [fault.slot] if fault.slot is not None else [
            slot for slot in self.busy if slot != "queue" or fault.kind == "failed over"]
        for slot in waits_for:
            if slot in self.busy:
                self.busy.pop(slot).join()
        self.counts[fault.kind] += 1
        thread = threading.Thread(target=self.run, args=(fault,), daemon=True)
        thread.start()
        if fault.slot is None:
            thread.join()
        else:
            self.busy[fault.slot] = thread
        time.sleep(fault.pause)

    def run(self, fault):
        world = self.world
        world.under_way.append(str(fault))
        try:
            since = faults.RUN[fault.kind](world, fault) or time.time()
            targets = (world.daemons if fault.scope == "all"
                       else [world.daemons[fault.target]] if fault.scope == "daemon" else [])
            took = world.recovered(fault, targets, since) if targets else None
            world.say(f"{fault}" + ("" if took is None else f"  back after {took:.1f} s"))
        except BaseException as error:
            self.errors.put(error)
            world.violation(f"fault {fault} failed: {error!r}")
        finally:
            world.under_way.remove(str(fault))


def help_hosts(world, next_files):
    """As somebody who runs the queue would: hosts that are well again need not wait. A host of which only bad files are left is
    left alone, and its jobs wait for a day: a list has others of it. When to give it the next of these."""
    world.ask(schema.UNPARK_ALL)
    if time.monotonic() < next_files:
        return next_files
    ((bad,),) = world.ask("select count(*) from chaos.outcome where outcome is null and template like 'web-%'")
    if bad != "0":
        batch = world.feeder.next_batch()
        world.feeder.enqueue([world.feeder.row(f"caption-{image}", batch, number)
                              for number, image in enumerate(jobs.IMAGES)])
    return time.monotonic() + 2


def settle(world, patience=180):
    """No more faults: every job must come to its end."""
    end, next_files = time.monotonic() + patience, 0.0
    world.checker.pauses()
    while left := world.checker.sweep():
        next_files = help_hosts(world, next_files)
        for kind in jobs.HOPELESS:
            for key, batch in world.ask(f"select key, batch from chaos.outcome "
                                        f"where outcome is null and template = 'web-{kind}'"):
                step = world.ledger.begin("cancel", key=key, batch=batch)
                world.ask(f"select gloss.cancel(key => '{key}')")
                world.ledger.end(step)
        world.checker.glance()
        if time.monotonic() > end:
            rows = world.ask("select key, state, attempts, reason from gloss.job_state "
                             "where state not in ('done', 'dead', 'pruned') limit 20")
            world.violation(f"{left} jobs have not ended after {patience} s: {rows}")
            break
        time.sleep(0.3)
    world.checker.glance()


def reference(world):
    """What each template comes to while nothing is wrong."""
    world.say("an undisturbed run of each kind of job")
    world.feeder.enqueue_all("reference")
    start = time.monotonic()
    next_files = start + 10
    while True:
        ((left,),) = world.ask("select count(*) from chaos.outcome where batch = 'reference' and outcome is null")
        if left == "0":
            break
        if time.monotonic() > start + 120:
            raise SystemExit("chaos: the undisturbed run does not end:\n" + world.daemons[0].tail(4000))
        next_files = help_hosts(world, next_files)
        time.sleep(0.2)
    world.ask("insert into chaos.expected select template, outcome, attempts, digest from chaos.outcome "
              "where batch = 'reference'")
    if world.options.verbose:
        for row in world.ask("select template, outcome, attempts from chaos.expected order by 1"):
            world.say(str(row))
    world.checker.sweep()


def summary(world, run, seconds):
    total, options = sum(run.counts.values()), world.options
    print(f"\nseed {options.seed}, {options.daemons} daemons: {total} faults in {seconds:.0f} s")
    print(f"  daemons through the pooler: {world.pooled}")
    print("  " + ", ".join(f"{kind} {count}" for kind, count in sorted(run.counts.items())))
    if world.missed:
        print("  points that did not come up in time, so done at once: "
              + ", ".join(f"{point} {count}" for point, count in sorted(world.missed.items())))
    print("  jobs: " + ", ".join(f"{what} {count}" for what, count in sorted(world.checker.totals.items())))
    print("  web: " + ", ".join(f"{kind} {count}" for kind, count in sorted(world.web.counts.items())))
    took = sorted(seconds for seconds, _ in world.recoveries)
    if took:
        slowest = max(world.recoveries, key=lambda recovery: recovery[0])
        middle, high = took[len(took) // 2], took[int(len(took) * 0.99)]
        print(f"  back at work after {middle:.1f} s (median), {high:.1f} s (99 %), "
              f"{slowest[0]:.1f} s (most: {slowest[1]})")
    if world.steps:
        print("  steps: " + ", ".join(f"{what} {count}" for what, count in sorted(world.steps.items())))
    logs = b"".join(daemon.log.read_bytes() for daemon in world.daemons)
    print("  reports: " + ", ".join(f"{word} {logs.count(b'receipt=' + word.encode())}"
                                    for word in ("stale", "already_recorded")))
    print(f"  violations: {len(world.violations)}")
    for shape, count in world.shapes.most_common():
        print(f"    {count} × {shape}")


def parse():
    parser = argparse.ArgumentParser(prog="scripts/chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, help="how long (3, unless --faults is given)")
    parser.add_argument("--faults", type=int, help="how many")
    parser.add_argument("--seed", type=int, help="which sequence of faults (random)")
    parser.add_argument("--daemons", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="only kinds of faults that take little time")
    parser.add_argument("--only", type=lambda text: text.split(","), help="these kinds of faults, separated by commas")
    parser.add_argument("--plan", action="store_true", help="print the faults and do nothing")
    parser.add_argument("--rescue", type=float, default=4, help="rescue_seconds of the daemons (4)")
    parser.add_argument("--delay", type=float, default=0.15, help="seconds that the web server takes (0.15)")
    parser.add_argument("--model", type=pathlib.Path, default=REPOSITORY / "Tests/Fixtures/tiny/model")
    parser.add_argument("--bin", "--binaries", dest="binaries", default=REPOSITORY / ".build/debug",
                        help="where glossd and glossctl are (.build/debug)")
    parser.add_argument("--migrations", type=pathlib.Path, default=REPOSITORY / "migrations")
    parser.add_argument("--pooled", type=int, default=1, help="how many daemons use the pooler (1)")
    parser.add_argument("--keep", help="keep the logs in this folder")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    options.seed = random.randrange(1 << 32) if options.seed is None else options.seed
    return options


def watch_the_time(world, seconds):
    """Whoever started the short form may be gone: it does not run for ever. On a busy machine it takes minutes."""
    time.sleep(seconds)
    world.violation(f"the run is not over after {seconds} s; it waits for the faults {world.under_way}")
    os._exit(1)


def main():
    options = parse()
    # Whoever started this may have blocked or ignored signals, and children inherit that: a shell's job in the background ignores
    # SIGQUIT.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    count = options.faults or sys.maxsize
    seconds = options.minutes * 60 if options.minutes else sys.maxsize if options.faults else 180
    if options.plan:
        for fault in faults.sequence(options, options.pooled):
            if fault.number > min(count, 10_000):
                return 0
            print(fault)
    print(f"chaos: seed {options.seed}", flush=True)
    world = World(options)
    if options.short:
        threading.Thread(target=watch_the_time, args=(world, 600), daemon=True).start()
    try:
        world.start()
        reference(world)
        watchers = [threading.Thread(target=work, daemon=True)
                    for work in (world.observe, world.check_now_and_then, world.feeder.run)]
        for watcher in watchers:
            watcher.start()
        run, start = Run(world), time.monotonic()
        run.faults(count, seconds)
        elapsed = time.monotonic() - start
        world.say("no more faults: waiting until every job has ended")
        world.is_over = world.feeder.is_over = True
        for watcher in watchers:
            watcher.join()
        world.local.clients = {}
        settle(world)
        for daemon in world.daemons:
            daemon.end()
        summary(world, run, elapsed)
    finally:
        if options.keep:
            shutil.copytree(world.root, options.keep, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns("disk", "primary", ".s.*", "glossd-other", "children"))
        world.stop()
    return 1 if world.violations else 0


if __name__ == "__main__":
    sys.exit(main())
