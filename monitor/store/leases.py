"""Leases: which monitor works on the workspaces. One holds all of them, for now.

A monitor that works has a row in `replica` and changes it every few seconds. Another one waits
until that row is gone (it was given back) or has not changed for long; then it removes the row, and
the former, should it live after all, can commit nothing any more: its `check` fails.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, text

from monitor.core.duration import Duration
from monitor.core.model import Micros

from .errors import LeaseLostError

LAPSE: Final = Duration.parse("30s")
"""A lease that has not been renewed for so long has lapsed."""

PORTION: Final = 500
"""How many workspaces are taken in one transaction."""

REPLICAS: Final = text("SELECT id, seen_at FROM replica")


def replicas(tx: Connection) -> dict[str, Micros]:
    """Return the monitors that work, or worked when they died: what each last wrote, by id."""
    return {row.id: row.seen_at for row in tx.execute(REPLICAS)}


REMOVE_OTHERS: Final = text("DELETE FROM replica WHERE id <> :replica")

ADD: Final = text("""
INSERT INTO replica (id, seen_at) VALUES (:replica, :now)
ON CONFLICT (id) DO UPDATE SET seen_at =
    CASE WHEN replica.seen_at < excluded.seen_at THEN excluded.seen_at ELSE replica.seen_at + 1 END
""")


def replace(tx: Connection, replica: str, *, silent: Mapping[str, Micros], now: Micros) -> bool:
    """Let *replica* work in place of the *silent* ones (what each last wrote, by id).

    Return False, and change nothing, if one of those has written meanwhile, or another has come.
    """
    others = replicas(tx)
    others.pop(replica, None)
    if not others.items() <= silent.items():
        return False
    tx.execute(REMOVE_OTHERS, {"replica": replica})
    tx.execute(ADD, {"replica": replica, "now": now})
    return True


TAKE: Final = text("""
UPDATE workspace SET holder = :replica, term = term + 1 WHERE name IN (
    SELECT name FROM workspace WHERE holder IS NULL OR holder <> :replica LIMIT :limit
)
""")


def take(tx: Connection, replica: str) -> int:
    """Take a portion of the workspaces that *replica* does not hold yet; return how many."""
    return tx.execute(TAKE, {"replica": replica, "limit": PORTION}).rowcount


RENEW: Final = text("""
UPDATE replica SET seen_at = CASE WHEN seen_at < :now THEN :now ELSE seen_at + 1 END
WHERE id = :replica
""")


def renew(tx: Connection, replica: str, now: Micros) -> None:
    """Say that *replica* lives: whatever its clock does, the row is another one than before.

    Raise LeaseLostError if another monitor has replaced it.
    """
    if tx.execute(RENEW, {"replica": replica, "now": now}).rowcount != 1:
        raise _lost()


CHECK: Final = text("SELECT 1 FROM replica WHERE id = :replica")


def check(tx: Connection, replica: str) -> None:
    """Raise LeaseLostError if another monitor has replaced *replica*."""
    if tx.execute(CHECK, {"replica": replica}).one_or_none() is None:
        raise _lost()


GIVE_BACK: Final = text("DELETE FROM replica WHERE id = :replica")


def give_back(tx: Connection, replica: str) -> None:
    """Let whoever comes next work at once, as *replica* does no more."""
    tx.execute(GIVE_BACK, {"replica": replica})


HOLD: Final = text("UPDATE workspace SET holder = :replica WHERE holder IS NULL")


def hold(tx: Connection, replica: str) -> None:
    """Record that *replica*, which has taken all others, holds the workspaces that are new."""
    tx.execute(HOLD, {"replica": replica})


def _lost() -> LeaseLostError:
    return LeaseLostError("another monitor has taken over this database")
