"""The faults, and the sequence of them that a seed gives. A fault's number draws all of it, before anything happens."""

import random
import signal
import time

import failover
from operators import MENUS, steer

STATEMENTS = ["claim", "claim", "record", "record", "begin_jobs", "heartbeat", "checkpoint", "register_worker", "rescue",
              "release_unheld", "announce"]
PLACES = ["sent", "answered", "delivered"]
PIPELINE = ["fetch:asked", "fetch:half", "fetch:answered", "run:decode", "run:vision", "run:prefill", "run:extend",
            "run:parse", "any"]

# Weight; what it hits: one daemon, all of them, the web, the queue; whether the short form has it. One after the other
# are those of one daemon, of the web, and of the queue; those of all are alone, but for those of the queue.
KINDS = {
    "kill": (24, "daemon", True), "stop past the lease": (5, "daemon", False), "stop briefly": (4, "daemon", False),
    "SIGTERM": (6, "daemon", True), "SIGTERM, then kill": (3, "daemon", False),
    "cut": (12, "daemon", True), "reset": (6, "daemon", False), "half an answer": (4, "daemon", True),
    "half-open": (5, "daemon", False), "network gone": (3, "daemon", False), "slow network": (2, "daemon", False),
    "refused": (4, "daemon", False), "backend terminated": (8, "daemon", False), "clock off": (5, "daemon", False),
    "other version": (3, "daemon", False), "silent first host": (4, "daemon", True),
    "pooler killed": (3, "daemon", True), "pooler frozen": (2, "daemon", False),
    "restart fast": (3, "all", False), "restart immediate": (3, "all", False), "database killed": (3, "all", True),
    "backend killed": (3, "all", False), "database frozen": (2, "all", False),
    "all backends terminated": (3, "all", False), "too many connections": (2, "all", False),
    "disk full": (2, "all", False), "read-only": (3, "all", False), "demoted": (4, "all", True),
    "failed over": (2, "all", False),
    "host dies": (3, "web", False), "poison": (1.5, "web", False),
    "pause": (10, "queue", True), "park": (6, "queue", True), "cancel": (10, "queue", True),
    "retry and rerun": (6, "queue", False), "forget and prune": (5, "queue", False), "steer": (8, "queue", True),
}
CLOCKS = [-86400 * 365, -3600, -300, -7, 11, 600, 86400, 86400 * 3650]


class Fault:
    """One fault as drawn: what, to which daemon, at which point, for how long."""

    def __init__(self, number, kind, rng, daemon_count, pooled_count):
        self.number, self.kind = number, kind
        _, self.scope, _ = KINDS[kind]
        self.target = rng.randrange(daemon_count)
        if kind == "silent first host":  # only of those that have two
            self.target %= max(1, daemon_count - pooled_count)
        elif kind.startswith("pooler"):
            self.target = daemon_count - 1
        statement = f"{rng.choice(STATEMENTS)}:{rng.choice(PLACES)}"
        in_pipeline = kind in ("kill", "stop past the lease", "stop briefly") and rng.random() < 0.5
        self.point = rng.choice(PIPELINE) if in_pipeline else statement
        self.pause, self.share, self.choice = rng.uniform(0, 0.6), rng.random(), rng.randrange(1 << 16)

    @property
    def slot(self):
        """One fault at a time has it; None: it is alone."""
        return {"daemon": self.target, "all": None}.get(self.scope, self.scope)

    def __str__(self):
        place = f" daemon {self.target}" if self.scope == "daemon" else ""
        point = f" at {self.point}" if self.kind in AT_A_POINT else ""
        return f"{self.number}: {self.kind}{place}{point} ({self.share:.2f})"


def sequence(options, pooled_count):
    """Endless. The same for the same options."""
    rng = random.Random(f"faults {options.seed}")
    kinds = [kind for kind, (_, _, short) in KINDS.items()
             if (short or not options.short) and kind in (options.only or KINDS)]
    number, shuffled = 0, []
    while True:
        number += 1
        if options.short:  # each kind once before any comes twice
            shuffled = shuffled or rng.sample(kinds, len(kinds))
            kind = shuffled.pop()
        else:
            kind = rng.choices(kinds, [KINDS[kind][0] for kind in kinds])[0]
        yield Fault(number, kind, rng, options.daemons, pooled_count)


def at_point(world, fault, action):
    """Does `action` when the daemon comes to the fault's point, or after some seconds wherever it is then."""
    daemon = world.daemons[fault.target]
    if fault.point == "any":
        time.sleep(fault.share / 2)
        return action(None)
    if fault.point.startswith("run:"):
        return when_counted(daemon, fault.point[4:], action)
    # What is rare must be brought about: a registration by a new start, a lost claim by a cut.
    if fault.point.startswith("release_unheld"):
        daemon.proxy.arm("claim:answered", lambda link: link.close()).hit.wait(2.5)
    armed = daemon.proxy.arm(fault.point, action)
    if fault.point.startswith("fetch:"):
        world.web.armed[daemon.number] = armed
    if fault.point.startswith("register_worker"):
        daemon.kill()
    if not armed.hit.wait(world.rescue + 2 if fault.point.startswith("rescue") else 2.5):
        world.web.armed.pop(daemon.number, None)
        daemon.proxy.armed = None
        if not armed.hit.is_set():
            world.missed[fault.point] += 1
            action(next(iter(list(daemon.proxy.links)), None))


def when_counted(daemon, stage, action):
    """The moment after /metrics counted one more of a stage."""
    end, start = time.monotonic() + 3, daemon.units(stage)
    while time.monotonic() < end and daemon.units(stage) <= start:
        time.sleep(0.003)
    action(None)


def kill(world, fault):
    at_point(world, fault, lambda link: world.daemons[fault.target].kill())


def stop(world, fault, seconds):
    daemon = world.daemons[fault.target]

    def halt(link):
        if seconds > world.rescue / 2:
            daemon.harm("stop")
        daemon.signal(signal.SIGSTOP)

    at_point(world, fault, halt)
    time.sleep(seconds)
    daemon.signal(signal.SIGCONT)


def terminate(world, fault, then_kill):
    daemon = world.daemons[fault.target]
    process = daemon.process
    armed = daemon.proxy.arm("deregister_worker:" + PLACES[fault.choice % 3], lambda link: daemon.kill())
    if not then_kill:
        daemon.proxy.armed = None
    daemon.terminate()
    if then_kill:
        if fault.choice % 2 or not armed.hit.wait(3):
            time.sleep(fault.share / 20)
            daemon.kill()
    try:
        process.wait(30)
    except Exception:
        world.violation(f"daemon {daemon.number} does not stop within 30 s:\n{daemon.tail()}")
        daemon.kill()


def on_link(method):
    """A fault of the connection that came to the point."""
    def run(world, fault):
        at_point(world, fault, lambda link: link and method(link))
    return run


def halve(link):
    link.halved = True


def half_open(world, fault):
    """The connection goes silent and nobody is told. It never heals: the daemon has to notice."""
    daemon, stalled = world.daemons[fault.target], []

    def stall(link):
        daemon.harm("half-open")
        if link:
            link.stalled = True
            stalled.append((link, time.time()))

    at_point(world, fault, stall)
    for link, since in stalled:
        while link.is_open and time.time() - since < 30:
            time.sleep(0.05)
        if link.is_open:
            world.violation(f"daemon {daemon.number} has not noticed a silent connection for 30 s")
        return since


def network_gone(world, fault):
    daemon = world.daemons[fault.target]
    daemon.harm("network gone")
    daemon.proxy.is_mute = True
    for link in list(daemon.proxy.links):
        link.stalled = True
    time.sleep(1 + fault.share * 5)
    daemon.proxy.is_mute = False


def slow_network(world, fault):
    proxy = world.daemons[fault.target].proxy
    proxy.latency = 0.02 + fault.share / 5
    time.sleep(3)
    proxy.latency = 0


def refused(world, fault):
    daemon = world.daemons[fault.target]
    daemon.harm("refused")
    daemon.proxy.refuse()
    for link in list(daemon.proxy.links):
        link.reset()
    time.sleep(0.5 + fault.share * 3)
    daemon.proxy.open()


def backend_terminated(world, fault):
    name = f"chaos-{world.daemons[fault.target].number}"

    def end(link):
        world.insist(f"select pg_terminate_backend(pid) from (select pid from pg_stat_activity "
                     f"where application_name = '{name}' order by pid offset {fault.choice % 3} limit 1) x")

    at_point(world, fault, end)


def clock_off(world, fault):
    world.daemons[fault.target].clock.set(CLOCKS[fault.choice % len(CLOCKS)])
    time.sleep(fault.share)


def other_version(world, fault):
    daemon = world.daemons[fault.target]
    daemon.program = world.other if daemon.program == world.program else world.program
    process = daemon.process
    daemon.kill() if fault.choice % 2 else daemon.terminate()
    process.wait(60)


def restart(mode):
    def run(world, fault):
        world.cluster.primary.stop(mode)
        time.sleep(fault.share ** 3 * 5)
        world.cluster.primary.start()
    return run


def database_killed(world, fault):
    world.cluster.primary.kill()
    time.sleep(fault.share)
    world.cluster.primary.wait()


def backend_killed(world, fault):
    processes = world.cluster.primary.processes()[1:]
    world.cluster.primary.signal(signal.SIGKILL, processes[fault.choice % len(processes):][:1])
    time.sleep(0.1)
    world.cluster.primary.wait()


def database_frozen(world, fault):
    processes = world.cluster.primary.processes()
    world.cluster.primary.signal(signal.SIGSTOP, processes)
    time.sleep(0.5 + fault.share ** 2 * 9)
    world.cluster.primary.signal(signal.SIGCONT, processes)
    world.cluster.primary.wait()


def all_terminated(world, fault):
    world.insist("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'chaos-%'")


def too_many_connections(world, fault):
    """All places are taken but those kept for superusers."""
    taken = []
    while len(taken) < 64:
        try:
            taken.append(world.cluster.client(user="chaos_producer"))
        except (OSError, world.Refused):
            break
    all_terminated(world, fault)
    end = time.monotonic() + 1 + fault.share * 3
    while time.monotonic() < end:  # also the places that became free
        try:
            taken.append(world.cluster.client(user="chaos_producer"))
        except (OSError, world.Refused):
            time.sleep(0.02)
    for client in taken:
        client.close()


def disk_full(world, fault):
    world.cluster.primary.fill()
    time.sleep(0.5 + fault.share * 3)
    world.cluster.primary.empty()
    world.cluster.primary.wait()


def host_dies(world, fault):
    host = world.web.hosts["dies"]
    world.web.shut(host)
    time.sleep(0.5 + fault.share * 3)
    world.web.open(host)


def poison(world, fault):
    """Some jobs that kill whatever daemon's engine begins them, before all others in the queue, among harmless ones."""
    feeder, batch = world.feeder, world.feeder.next_batch("p")
    names = ["poison", "poison-object", "poison"][fault.choice % 2:][:1 + fault.choice % 3]
    rows = [feeder.row(name, batch, number, -50) for number, name in enumerate(names)]
    rows += [feeder.row(name, batch, number, -50)
             for number, name in enumerate(feeder.names[fault.choice % 9:][:9])]
    feeder.enqueue(rows)


AT_A_POINT = {"kill", "stop past the lease", "stop briefly", "cut", "reset", "half an answer", "half-open",
              "backend terminated"}

RUN = {
    "kill": kill,
    "stop past the lease": lambda world, fault: stop(world, fault, world.rescue + 0.5 + fault.share * 2),
    "stop briefly": lambda world, fault: stop(world, fault, 0.1 + fault.share * world.rescue / 3),
    "SIGTERM": lambda world, fault: terminate(world, fault, False),
    "SIGTERM, then kill": lambda world, fault: terminate(world, fault, True),
    "cut": on_link(lambda link: link.close()), "reset": on_link(lambda link: link.reset()),
    "half an answer": on_link(halve), "half-open": half_open, "network gone": network_gone,
    "slow network": slow_network, "refused": refused, "backend terminated": backend_terminated,
    "clock off": clock_off, "other version": other_version,
    "restart fast": restart("fast"), "restart immediate": restart("immediate"),
    "database killed": database_killed, "backend killed": backend_killed, "database frozen": database_frozen,
    "all backends terminated": all_terminated, "too many connections": too_many_connections, "disk full": disk_full,
    "host dies": host_dies, "poison": poison,
    "silent first host": failover.silent_first_host, "read-only": failover.read_only, "demoted": failover.demoted,
    "failed over": failover.failed_over, "pooler killed": failover.pooler_killed,
    "pooler frozen": failover.pooler_frozen,
} | {kind: steer for kind in MENUS}
