"""A workspace's way from one replica to another: taken, loaded, given back."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from monitor.core.duration import Duration
from monitor.core.model import ALL_WORKSPACES, Cause, Micros, Workspace
from monitor.store import (
    accounts,
    clock,
    incidents,
    leases,
    outbox,
    workspaces,
)

from .liveness import hold


@dataclass(frozen=True, slots=True)
class Taken:
    """A workspace that was taken, and what is recorded of it.

    *requests* is how many its former holder made in the last minute before it gave it back; None if
    nobody knows.
    """

    workspace: Workspace
    term: int
    open_incidents: Mapping[Cause, int]
    last_good_at: Micros | None
    requests: int | None


def take(
    tx: Connection,
    replica: str,
    names: Collection[str],
    *,
    silent: Mapping[str, Micros],
    blind_after: Duration,
    now: Micros,
) -> list[str]:
    """Take those of the workspaces *names* that are free; return which.

    The *silent* replicas (what each last wrote, by id) hold nothing any more. What was queued waits
    for a look. A failure that nobody was told of is over if nobody has looked for *blind_after*.
    """
    former = leases.take(tx, replica, names, silent=silent, now=now)
    clock.follow(tx, former, now)
    workspaces.end_failures(
        tx, [name for name, at in former.items() if at is None or now - at >= blind_after]
    )
    outbox.hand_over(tx, former)
    if ALL_WORKSPACES in former:
        outbox.hand_over(tx, leases.take_detached(tx, replica))
    hold(tx, replica, former, now=now)
    return list(former)


def load(tx: Connection, names: Iterable[str]) -> tuple[dict[str, Taken], dict[str, str]]:
    """Return what is recorded of the workspaces *names*, and of which it can't be read, and why."""
    listed = list(names)
    rows, open_incidents = accounts.rows_of(tx, listed), incidents.count_open(tx, listed)
    taken: dict[str, Taken] = {}
    unreadable: dict[str, str] = {}
    for row in workspaces.rows_of(tx, listed):
        try:
            counts = open_incidents.get(row.name, {})
            taken[row.name] = Taken(
                workspaces.read(row, accounts.read(rows.get(row.name, ()))),
                row.term,
                {Cause(cause): count for cause, count in counts.items()},
                row.last_good_at,
                row.requests,
            )
        except ValueError as error:  # a word that another version wrote, say
            unreadable[row.name] = str(error)
    return taken, unreadable


def give_back(
    tx: Connection,
    replica: str,
    terms: Mapping[str, int],
    *,
    requests: Mapping[str, int],
    now: Micros,
) -> set[str]:
    """Give back those of the workspaces (their terms by name) of which nothing is being sent.

    Return which; *requests* is how many each has made in the last minute.
    """
    sending = outbox.sending_of(tx, terms)
    quiet = {name: term for name, term in terms.items() if name not in sending}
    leases.release(tx, replica, quiet, requests, now)
    return set(quiet)
