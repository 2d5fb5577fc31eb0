"""Leases: which replica (a monitor that works) holds which workspaces.

    free ──take──► held ──release, or its replica is gone or silent──► free

A replica has a row and changes it every few seconds; a lease that is not renewed so for `LAPSE`, on
the clock of whoever watches, has lapsed. Each taking raises the *term* of the workspace: what its
former holder still wants to commit under an earlier one fails. Nobody takes from the living.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from monitor.core.duration import Duration
from monitor.core.model import Micros

from . import rows
from .errors import LeaseLostError

LAPSE: Final = Duration.parse("30s")
"""A lease that has not been renewed for so long has lapsed."""

ALL_TAKEN: Final = "others have taken over all that this monitor held"
"""Why the lease of a replica is lost whose row is gone."""

MAX_PORTION: Final = 500
"""How many workspaces change hands, come or leave in one transaction at the most."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A monitor that works, or did when it died: *seen_at* is the latest time on its clock.

    *generation* is the number of its configuration; while one is *alone* no other works.
    """

    id: str
    name: str
    seen_at: Micros
    generation: int = 0
    alone: int = 0


REPLICAS: Final = text("SELECT * FROM replica")


def replicas(tx: Connection) -> dict[str, Replica]:
    """Return the replicas by id, those that have died since they last wrote included."""
    return {row.id: rows.read(Replica, row) for row in tx.execute(REPLICAS)}


def seen(present: Mapping[str, Replica]) -> dict[str, Micros]:
    """Return what each of the replicas *present* last wrote."""
    return {id_: replica.seen_at for id_, replica in present.items()}


ADD: Final = text(rows.upsert("replica", rows.columns(Replica), key=("id",)))


def register(tx: Connection, replica: Replica, *, silent: Mapping[str, Micros]) -> bool:
    """Let *replica* work beside those who live; the *silent* do not (what each last wrote, by id).

    One that is to be alone can't while another lives, nor can any while that one does: return False
    then, and change nothing.
    """
    others = replicas(tx)
    others.pop(replica.id, None)
    living = [other for other in others.values() if silent.get(other.id) != other.seen_at]
    if any(replica.alone or other.alone for other in living):
        return False
    alone = [other.id for other in others.values() if other.alone]
    _remove(tx, others if replica.alone else alone)
    tx.execute(ADD, rows.values(replica))
    return True


RENEW: Final = text("""
UPDATE replica SET seen_at = CASE WHEN seen_at < :now THEN :now ELSE seen_at + 1 END
WHERE id = :replica
""")


def renew(tx: Connection, replica: str, now: Micros) -> None:
    """Say that *replica* lives: whatever its clock does, the row is another one than before.

    Raise LeaseLostError if others have taken all that it held.
    """
    if tx.execute(RENEW, {"replica": replica, "now": now}).rowcount != 1:
        raise LeaseLostError(ALL_TAKEN)


LEAVE: Final = text("""
UPDATE workspace SET holder = NULL, requests = NULL, released_at = COALESCE(
    (SELECT seen_at FROM replica WHERE replica.id = workspace.holder), released_at
)
WHERE holder IN :ids AND detached_at IS NULL
""")

REMOVE: Final = text("DELETE FROM replica WHERE id IN :ids")


def leave(tx: Connection, replica: str) -> None:
    """Let *replica* work no more: what it has not given back is free."""
    _remove(tx, [replica])


def _remove(tx: Connection, replicas: Iterable[str]) -> None:
    ids = list(replicas)
    for statement in (LEAVE, REMOVE):
        rows.execute_portions(tx, statement, "ids", ids)


# ── which configuration is newer ─────────────────────────────────────────────────────────────────

ADD_GENERATION: Final = text("""
INSERT INTO generation (fingerprint, number)
SELECT :fingerprint, COALESCE(MAX(number), 0) + 1 FROM generation WHERE TRUE
ON CONFLICT (fingerprint) DO UPDATE SET number = generation.number
RETURNING number
""")

SET_GENERATION: Final = text("UPDATE replica SET generation = :number WHERE id = :replica")


def set_generation(tx: Connection, replica: str, fingerprint: str) -> int:
    """Note which configuration *replica* has; return its number."""
    number: int = tx.execute(ADD_GENERATION, {"fingerprint": fingerprint}).scalar_one()
    tx.execute(SET_GENERATION, {"replica": replica, "number": number})
    return number


# ── who holds what ───────────────────────────────────────────────────────────────────────────────

COUNTS: Final = text("""
SELECT holder, COUNT(*) AS workspaces, SUM(term) AS terms FROM workspace
WHERE detached_at IS NULL AND name <> '*' GROUP BY holder
""")


@dataclass(frozen=True, slots=True)
class Held:
    """How many workspaces somebody holds; the sum of their *terms* shows whether others are."""

    workspaces: int = 0
    terms: int = 0


def count(tx: Connection) -> dict[str | None, Held]:
    """Return how many workspaces each replica holds, dead ones too (None: given back)."""
    return {row.holder: Held(row.workspaces, int(row.terms)) for row in tx.execute(COUNTS)}


HOLDER: Final = text("SELECT holder FROM workspace WHERE name = :name")


def holder(tx: Connection, name: str) -> str | None:
    """Return the replica that holds the workspace *name*, or did; None if it was given back."""
    id_: str | None = tx.execute(HOLDER, {"name": name}).scalar_one_or_none()
    return id_


HELD: Final = text(
    "SELECT name, term FROM workspace WHERE holder = :replica AND detached_at IS NULL"
)


def held(tx: Connection, replica: str) -> dict[str, int]:
    """Return the workspaces that *replica* holds, each with its term."""
    return {row.name: row.term for row in tx.execute(HELD, {"replica": replica})}


_IS_FREE: Final = """
FROM workspace LEFT JOIN replica ON replica.id = workspace.holder
WHERE workspace.detached_at IS NULL
    AND (replica.id IS NULL OR replica.id = :replica OR replica.id IN :silent)"""

FREE: Final = text(f"""
SELECT workspace.name, workspace.holder {_IS_FREE} ORDER BY workspace.name
""")


def free(tx: Connection, replica: str, silent: Iterable[str]) -> dict[str, bool]:
    """Return the workspaces that *replica* may take; True are those that it holds already."""
    values = {"replica": replica, "silent": list(silent)}
    listed = tx.execute(rows.listing(FREE, "silent"), values)
    return {row.name: row.holder == replica for row in listed}


TAKEABLE: Final = text(f"""
SELECT workspace.name,
    COALESCE(replica.seen_at, workspace.released_at) AS former_at {_IS_FREE}
    AND workspace.name IN :names ORDER BY workspace.name
""")

TAKE: Final = text("""
UPDATE workspace SET holder = :replica, held_since = :now, term = term + 1, fresh_until = NULL,
    requests = CASE WHEN holder IS NULL THEN requests END
WHERE name IN :names
""")

BURY: Final = text("""
DELETE FROM replica WHERE id IN :silent AND NOT EXISTS (
    SELECT 1 FROM workspace WHERE workspace.holder = replica.id AND workspace.detached_at IS NULL
)
""")


def take(
    tx: Connection,
    replica: str,
    names: Collection[str],
    *,
    silent: Mapping[str, Micros],
    now: Micros,
) -> dict[str, Micros | None]:
    """Take those of the workspaces *names* that are free; the *silent* replicas hold nothing.

    Return for each the latest time on the clock of who held it before, None if nobody did. Those of
    a replica that has written since it was silent are left to it.
    """
    present = seen(replicas(tx))
    dead = [id_ for id_, at in silent.items() if present.get(id_) == at]
    statement = rows.listing(TAKEABLE, "silent")
    values = {"replica": replica, "silent": dead}
    taken = rows.execute_portions(tx, statement, "names", names, **values)
    ours = [row.name for row in taken]
    rows.execute_portions(tx, TAKE, "names", ours, replica=replica, now=now)
    rows.execute_portions(tx, BURY, "silent", dead)
    return {row.name: row.former_at for row in taken}


TAKE_DETACHED: Final = text("""
UPDATE workspace SET holder = :replica WHERE detached_at IS NOT NULL RETURNING name
""")


def take_detached(tx: Connection, replica: str) -> list[str]:
    """Let *replica*, which holds '*', hold what has left the configuration; return which."""
    return list(tx.execute(TAKE_DETACHED, {"replica": replica}).scalars())


RELEASE: Final = text("""
UPDATE workspace SET holder = NULL, released_at = :now, requests = :requests
WHERE name = :name AND holder = :replica AND term = :term
""")


def release(
    tx: Connection, replica: str, terms: Mapping[str, int], requests: Mapping[str, int], now: Micros
) -> None:
    """Give back workspaces that *replica* holds (their terms by name).

    *requests* is how many each has made in the last minute.
    """
    values = {"replica": replica, "now": now}
    rows.execute_many(
        tx,
        RELEASE,
        (
            {**values, "name": name, "term": term, "requests": requests.get(name, 0)}
            for name, term in terms.items()
        ),
    )
