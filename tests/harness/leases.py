"""Workspaces that a replica holds, without the loops that take them."""

from harness.core import NOON
from monitor.core.duration import Duration
from monitor.core.model import ALL_WORKSPACES
from monitor.store import leases, workspaces
from monitor.store.claims import Sender
from monitor.store.leases import Replica
from monitor.work import handover

REPLICA = "replica"
DAY = Duration.parse("24h")


def hold(tx, name, *, replica=REPLICA, now=NOON, silent=None, blind_after=DAY):
    """Attach the workspace *name* and take it, and what is of all; return its state and term.

    The *silent* replicas (what each last wrote) hold nothing.
    """
    names = [name, ALL_WORKSPACES]
    workspaces.attach(tx, names)
    handover.take(tx, replica, names, silent=silent or {}, blind_after=blind_after, now=now)
    taken, unreadable = handover.load(tx, [name])
    assert not unreadable
    return taken[name].workspace, taken[name].term


def live(tx, replica=REPLICA, now=NOON, **settings):
    """Let *replica* work beside all others."""
    return leases.register(tx, Replica(replica, f"host-{replica}", now, **settings), silent={})


def sender(worker="worker", replica=REPLICA):
    """A worker that delivers what *replica* holds."""
    return Sender(replica, worker)
