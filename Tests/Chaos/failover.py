"""Faults of what stands between daemons and the data: which server is the primary, and the pooler."""

import signal
import time

import schema


def demoted(world, fault):
    """The primary stops, the standby takes its place, and the old primary becomes the standby."""
    world.harm_all("demoted")
    world.cluster.switch_over(gap=fault.share ** 2 * 3, is_late=fault.choice % 2 == 1)
    if world.pooled:
        world.pooler.reconnect()


def read_only(world, fault):
    """The primary refuses to write for a while, and connections stay."""
    client = world.cluster.client()
    client.query("set default_transaction_read_only = off")

    def set_for_all(value):
        client.query(f"alter system set default_transaction_read_only = {value}")
        client.query("select pg_reload_conf()")

    world.harm_all("read-only")
    set_for_all("on")
    time.sleep(0.5 + fault.share * 5)
    set_for_all("off")
    client.close()


def failed_over(world, fault):
    """The primary dies, and what was committed last is not on the standby that takes its place. Those who enqueue and
    steer know when that was, and say it again."""
    with world.checking:
        since, until = world.cluster.fail_over(0.2 + fault.share * 1.3)
        world.harm_all("failed over")
        if world.pooled:
            world.pooler.reconnect()
        loss = world.ledger.begin("loss", everything=True)
        loss.begun = since
        world.ledger.end(loss)
        world.feeder.enqueue(world.ledger.reopen(since))
        world.insist(schema.RESUME_ALL)


def silent_first_host(world, fault):
    """The first host of the connection string accepts and says nothing; the primary is the second."""
    daemon = world.daemons[fault.target]
    first, second = daemon.proxy.doors
    usual = second.folder
    daemon.harm("silent first host")
    first.is_silent, second.folder = True, world.cluster.primary.folder
    since = time.time()
    for link in list(daemon.proxy.links):
        link.reset()
    try:
        return since if world.recovered(fault, [daemon], since, is_patient=False) else None
    finally:
        first.is_silent, second.folder = False, usual


def pooler_killed(world, fault):
    harm_pooled(world, "pooler killed")
    # Not SIGTERM: since 1.23 PgBouncer then waits until its clients leave, and a daemon never does.
    world.pooler.stop(signal.SIGKILL if fault.choice % 2 else signal.SIGQUIT)
    time.sleep(fault.share * 3)
    world.pooler.start()


def pooler_frozen(world, fault):
    harm_pooled(world, "pooler frozen")
    world.pooler.send(signal.SIGSTOP)
    time.sleep(0.5 + fault.share ** 2 * 9)
    world.pooler.send(signal.SIGCONT)


def harm_pooled(world, kind):
    for daemon in world.daemons:
        if daemon.is_pooled:
            daemon.harm(kind)
