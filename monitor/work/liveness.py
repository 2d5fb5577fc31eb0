"""Liveness: when a workspace was last read, and what waits until it is.

The first look of a term is written at once, others in batches.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Final, Protocol

from sqlalchemy import Connection

from monitor.core.duration import Duration
from monitor.core.model import ALL_WORKSPACES, Liveness, Micros
from monitor.store import incidents, looks, workspaces

from .record import Recorder

STALE: Final = Duration.parse("2m")
"""A look at a workspace counts as recent until so long after the next poll but one is due."""

MAX_BATCH: Final = 500
"""How many workspaces' liveness is in one commit at the most."""


class Looker(Protocol):
    """Who looks at a workspace: *unwritten* is what its latest look says, until it is written."""

    unwritten: Liveness | None

    def mark_written(self, liveness: Liveness) -> None:
        """Note that *liveness* has been committed."""


def hold(tx: Connection, replica: str, names: Collection[str], *, now: Micros) -> None:
    """Let all that is to be told of workspaces that *replica* holds wait for a poll of them."""
    looks.hold(tx, replica, names)
    incidents.hold_blindness(tx, names, until=now + STALE)


def record_look(tx: Connection, liveness: Liveness, *, now: Micros) -> set[str]:
    """Write that a workspace was just read, and let go what waited for it.

    Return the receivers that have something to send. Raise LeaseLostError if its term is not the
    latest.
    """
    workspaces.write_look(tx, liveness)
    return looks.release(tx, liveness.name, now=now)


async def write_liveness(recorder: Recorder, pollers: Iterable[Looker]) -> None:
    """Write what the latest polls say of their workspaces' liveness, in portions."""
    now = recorder.runtime.now()
    waiting = [poller for poller in pollers if poller.unwritten]
    for start in range(0, len(waiting), MAX_BATCH):
        portion = [  # as it is now: another portion may have taken its time
            (poller, poller.unwritten)
            for poller in waiting[start : start + MAX_BATCH]
            if poller.unwritten
        ]
        batch = [liveness for _, liveness in portion]
        write = partial(_write_batch, replica=recorder.replica, batch=batch, now=now)
        receivers = await recorder.store.run(write, of=())
        recorder.wake(receivers)
        for poller, liveness in portion:
            poller.mark_written(liveness)


def _write_batch(tx: Connection, replica: str, batch: Sequence[Liveness], now: Micros) -> set[str]:
    """Write *batch*; return the receivers for which that lets something go."""
    workspaces.write_liveness(tx, batch)
    forgotten = {liveness.name for liveness in batch if liveness.fresh_until is None}
    waiting = looks.waiting(tx)
    affected = [each for each in batch if each.name in forgotten or each.name in waiting]
    terms = workspaces.load_terms(tx, [each.name for each in affected])
    ours = {each.name for each in affected if terms.get(each.name) == each.term}
    if ours & forgotten:
        hold(tx, replica, [*(ours & forgotten), ALL_WORKSPACES], now=now)
    receivers = set[str]()
    for name in sorted(ours - forgotten):
        receivers |= looks.release(tx, name, now=now)
    return receivers
