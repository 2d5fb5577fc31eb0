"""Workspaces: their recorded state, and which of them belong to the configuration.

    (unknown) ──attach──► attached ──left the configuration──► detached ──a day later──► ended
                             ▲                                    │                        │
                             └──────────────attach────────────────┴────────────────────────┘

Nothing of a detached workspace is polled or sent any more, and nothing is deleted yet. An attached
one is worked on by who holds it (see `leases`): its *term* counts how often it was taken, and only
who holds the latest term may write. Its *version* counts how often its accounts were changed by
others than its polls, which then have to be loaded again.
"""

from collections.abc import Collection, Container, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.decide.outage import Others
from monitor.core.draft import Decision
from monitor.core.model import (
    Account,
    Cause,
    Event,
    FailureStreak,
    Fingerprint,
    Liveness,
    Micros,
    RefusedList,
    Workspace,
)

from . import accounts, incidents, outbox, outside, rows, sessions
from .errors import LeaseLostError

ROWS: Final = text("SELECT * FROM workspace WHERE name IN :names")


def rows_of(tx: Connection, names: Iterable[str]) -> list[Row[Any]]:
    """Return what is recorded of the workspaces *names*, as rows to `read`."""
    return rows.execute_portions(tx, ROWS, "names", names)


def load(tx: Connection, name: str) -> Workspace:
    """Return the recorded state of the workspace *name*; an unknown one is empty."""
    by_id = accounts.read(accounts.rows_of(tx, [name]).get(name, ()))
    return next((read(row, by_id) for row in rows_of(tx, [name])), Workspace(name))


def read(row: Row[Any], by_id: Mapping[str, Account]) -> Workspace:
    """Return the *row* of a workspace with its accounts, *by_id*.

    Raise ValueError if it holds what this version does not know.
    """
    is_failing, is_refused = row.failing_cause is not None, row.refused_key is not None
    return rows.read(
        Workspace,
        row,
        failing=rows.read(FailureStreak, row, "failing_") if is_failing else None,
        fingerprint=_fingerprint(row),
        refused=rows.read(RefusedList, row, "refused_") if is_refused else None,
        accounts={id_: it for id_, it in by_id.items() if it.removed_at is None},
        removed={id_: it for id_, it in by_id.items() if it.removed_at is not None},
    )


def _fingerprint(row: Row[Any]) -> Fingerprint | None:
    if row.fingerprint_salt is None:
        return None
    ignored = tuple(row.fingerprint_ignored.split())
    return rows.read(Fingerprint, row, "fingerprint_", ignored=ignored)


TERM: Final = text("SELECT term FROM workspace WHERE name = :name")


def load_term(tx: Connection, name: str) -> int | None:
    """Return the latest term of the workspace *name*; None if nothing is recorded of it."""
    term: int | None = tx.execute(TERM, {"name": name}).scalar_one_or_none()
    return term


VERSION: Final = text("SELECT version FROM workspace WHERE name = :name")


def load_version(tx: Connection, name: str) -> int:
    """Return how often others than its polls changed the accounts of the workspace *name*."""
    return tx.execute(VERSION, {"name": name}).scalar_one_or_none() or 0


VERSIONS: Final = text("SELECT name, version FROM workspace WHERE holder = :replica")


def load_versions(tx: Connection, replica: str) -> dict[str, int]:
    """Return how often others than polls changed the accounts of each workspace of *replica*."""
    return {row.name: row.version for row in tx.execute(VERSIONS, {"replica": replica})}


IS_FAILING: Final = text("""
SELECT 1 FROM workspace WHERE name = :name AND failing_cause IS NOT NULL
""")


def is_failing(tx: Connection, name: str) -> bool:
    """Return whether the latest poll of the workspace *name* failed."""
    return tx.execute(IS_FAILING, {"name": name}).one_or_none() is not None


def record(tx: Connection, decision: Decision, name: str, term: int | None) -> None:
    """Write the rows of *decision* about the workspace *name*, but for incidents and events.

    Raise LeaseLostError if *term* is not the latest.
    """
    if decision.workspace is None:
        check_term(tx, name, term)
    else:
        _write(tx, decision.workspace, term)
    accounts.write(tx, decision.accounts)
    sessions.write(tx, name, decision.sessions)
    accounts.write_transitions(tx, decision.transitions)


PARTS: Final = {
    f"{part}_{name}": (part, name)
    for part, kind in (
        ("failing", FailureStreak),
        ("fingerprint", Fingerprint),
        ("refused", RefusedList),
    )
    for name in rows.columns(kind)
}
"""The columns of a workspace that are fields of one of its parts."""

_COLUMNS: Final = (
    *(name for name in rows.columns(Workspace) if name not in ("name", "version")),
    *PARTS,
    "fingerprint_ignored",
)

WRITE: Final = text(f"""
UPDATE workspace SET {", ".join(f"{name} = :{name}" for name in _COLUMNS)}
WHERE name = :name AND term = :term
""")  # noqa: S608 - all names are our own


def _write(tx: Connection, workspace: Workspace, term: int | None) -> None:
    parts = {
        column: getattr(getattr(workspace, part), name, None)
        for column, (part, name) in PARTS.items()
    }
    ignored = workspace.fingerprint.ignored if workspace.fingerprint else ()
    parts["fingerprint_ignored"] = " ".join(ignored)
    if tx.execute(WRITE, {**rows.values(workspace), **parts, "term": term}).rowcount != 1:
        raise _lease_lost(workspace.name)


WRITE_LIVENESS: Final = text("""
UPDATE workspace
SET last_good_at = COALESCE(:last_good_at, last_good_at), fresh_until = :fresh_until
WHERE name = :name AND term = :term
""")


def write_liveness(tx: Connection, batch: Iterable[Liveness]) -> None:
    """Write when workspaces were last polled, but for those that another replica has taken over."""
    rows.execute_many(tx, WRITE_LIVENESS, map(rows.values, batch))


def write_look(tx: Connection, liveness: Liveness) -> None:
    """Write when one workspace was last polled; raise LeaseLostError if its term is over."""
    if tx.execute(WRITE_LIVENESS, rows.values(liveness)).rowcount != 1:
        raise _lease_lost(liveness.name)


IS_FRESH: Final = text("SELECT 1 FROM workspace WHERE name = :name AND fresh_until >= :now")


def is_fresh(tx: Connection, name: str, now: Micros) -> bool:
    """Return whether the workspace *name* has been polled lately (its failing is known, too).

    Right after a start, or after the host slept, nothing that is recorded may still hold.
    """
    return tx.execute(IS_FRESH, {"name": name, "now": now}).one_or_none() is not None


TERMS: Final = text("SELECT name, term FROM workspace WHERE name IN :names")


def load_terms(tx: Connection, names: Iterable[str]) -> dict[str, int]:
    """Return the latest term of each of the workspaces *names* that is recorded."""
    return {row.name: row.term for row in rows.execute_portions(tx, TERMS, "names", names)}


def check_term(tx: Connection, name: str, term: int | None) -> None:
    """Raise LeaseLostError unless *term* is the latest of the workspace *name*."""
    if load_term(tx, name) != term:
        raise _lease_lost(name)


END_FAILURES: Final = text("""
UPDATE workspace SET failing_cause = NULL, failing_detail = NULL, failing_since = NULL,
    failing_cause_since = NULL
WHERE name IN :names AND NOT EXISTS (
    SELECT 1 FROM incident
    WHERE incident.scope = 'workspace' AND incident.resolved_at IS NULL AND (
        incident.workspace = workspace.name AND incident.subject = 'reading'
        OR incident.workspace = '*' AND failing_cause IN ('unreachable', 'rate_limited')
    )
)
""")


def end_failures(tx: Connection, names: Iterable[str]) -> None:
    """End runs of failed polls of the workspaces *names* that nobody was told of.

    What was since the last of them is not known. An outage has told of those that it is made of.
    """
    rows.execute_portions(tx, END_FAILURES, "names", names)


RETURNING: Final = text(
    "SELECT name FROM workspace WHERE name IN :names AND detached_at IS NOT NULL"
)

ATTACH: Final = text("""
INSERT INTO workspace (name, term, version, position) VALUES (:name, 0, 0, 0)
ON CONFLICT (name) DO UPDATE SET detached_at = NULL,
    holder = CASE WHEN workspace.detached_at IS NULL THEN workspace.holder END
""")


def attach(tx: Connection, names: Collection[str]) -> None:
    """Attach the workspaces *names*, new ones or not: they are free to be taken."""
    returning = rows.execute_portions(tx, RETURNING, "names", names)
    end_failures(tx, [row.name for row in returning])
    rows.execute_many(tx, ATTACH, ({"name": name} for name in names))


ATTACH_AGAIN: Final = text("""
UPDATE workspace SET detached_at = NULL, holder = NULL
WHERE name = :name AND detached_at IS NOT NULL
""")


def undo_detach(tx: Connection, name: str, renamed_to: str | None) -> None:
    """Undo what applying a configuration did to the workspace *name*, if it did."""
    if renamed_to:
        rename(tx, renamed_to, name)
    tx.execute(ATTACH_AGAIN, {"name": name})


FAILING: Final = text("""
SELECT name FROM workspace WHERE detached_at IS NULL AND failing_cause = :cause ORDER BY name
""")


def load_failing(tx: Connection, causes: Iterable[Cause]) -> list[str]:
    """Return the workspaces whose latest poll failed for one of *causes*."""
    return [name for cause in causes for name in tx.execute(FAILING, {"cause": cause}).scalars()]


COUNT_OTHERS: Final = text("""
SELECT failing_cause, COUNT(*) AS workspaces FROM workspace
WHERE detached_at IS NULL AND name <> :name
    AND (failing_cause IS NOT NULL OR baseline_at IS NOT NULL)
GROUP BY failing_cause
""")

OUTAGE_ENDED_AT: Final = text("SELECT MAX(resolved_at) FROM incident WHERE workspace = '*'")


def load_others(tx: Connection, name: str) -> Others:
    """Return how all workspaces but *name* fare, those left out that were never polled."""
    counts = {row.failing_cause: row.workspaces for row in tx.execute(COUNT_OTHERS, {"name": name})}
    return Others(
        count=sum(counts.values()),
        failing={Cause(cause): count for cause, count in counts.items() if cause is not None},
        outage_ended_at=tx.execute(OUTAGE_ENDED_AT).scalar_one(),
    )


ACCEPT: Final = text("""
INSERT INTO acceptance (workspace, list_key, at, way, actor)
SELECT name, refused_key, :at, :way, :actor FROM workspace
WHERE name = :name AND refused_key IS NOT NULL AND detached_at IS NULL
ON CONFLICT (workspace) DO UPDATE SET list_key = excluded.list_key, at = excluded.at,
    way = excluded.way, actor = excluded.actor
""")


def accept(tx: Connection, name: str, *, now: Micros, way: str, actor: str) -> bool:
    """Let the refused list of the workspace *name* be believed; return False if there is none."""
    values = {"name": name, "at": now, "way": way, "actor": actor}
    is_accepted = tx.execute(ACCEPT, values).rowcount == 1
    if is_accepted:
        outside.note(tx)
    return is_accepted


ACCEPTED: Final = text("SELECT workspace FROM acceptance")


def load_accepted(tx: Connection) -> list[str]:
    """Return the workspaces whose refused list somebody has accepted, and no poll has seen yet."""
    return list(tx.execute(ACCEPTED).scalars())


TAKE_ACCEPTANCE: Final = text("""
DELETE FROM acceptance WHERE workspace = :name AND list_key = :key AND at > :since RETURNING actor
""")


def take_acceptance(tx: Connection, name: str, key: str, since: Micros) -> str | None:
    """Return who accepted the list *key* after *since*, which counts once; None if nobody did."""
    values = {"name": name, "key": key, "since": since}
    actor: str | None = tx.execute(TAKE_ACCEPTANCE, values).scalar_one_or_none()
    return actor


ACCEPT_ACCOUNT: Final = text("""
UPDATE account SET matched_name = name, matched_url = url, rules_told_at = NULL
WHERE workspace = :name AND id = :id
""")

RAISE_VERSION: Final = text("UPDATE workspace SET version = version + 1 WHERE name = :name")


def raise_version(tx: Connection, name: str) -> None:
    """Note that others than its polls changed the accounts of the workspace *name*."""
    tx.execute(RAISE_VERSION, {"name": name})


def accept_account(tx: Connection, accepted: Event) -> None:
    """Let an account be matched as it is called now; *accepted* says which, and by whom."""
    values = {"name": accepted.workspace, "id": accepted.account_id}
    tx.execute(ACCEPT_ACCOUNT, values)
    raise_version(tx, accepted.workspace)
    incidents.write_events(tx, [accepted])
    outside.note(tx)


RENAME: Final = (
    # accounts and sessions follow; who holds it sees by the term that it is another one
    text("UPDATE workspace SET name = :new, term = term + 1 WHERE name = :old"),
    text("UPDATE transition SET workspace = :new WHERE workspace = :old"),
    text("UPDATE incident SET workspace = :new WHERE workspace = :old"),
    text("UPDATE event SET workspace = :new WHERE workspace = :old"),
    text("UPDATE act SET workspace = :new WHERE workspace = :old"),
    text("UPDATE message SET workspace = :new WHERE workspace = :old"),
    text("UPDATE notification SET workspace = :new WHERE workspace = :old"),
    text("UPDATE session_intent SET workspace = :new WHERE workspace = :old"),
)


def rename(tx: Connection, old: str, new: str) -> bool:
    """Carry everything that is recorded of the workspace *old* over to *new*.

    Return False, and change nothing, if nothing is recorded of *old* or *new* has a past already.
    """
    if load_term(tx, old) is None or load_term(tx, new) is not None:
        return False
    for statement in RENAME:
        tx.execute(statement, {"old": old, "new": new})
    return True


ATTACHED: Final = text("SELECT name FROM workspace WHERE detached_at IS NULL AND name <> '*'")


def load_attached(tx: Connection) -> list[str]:
    """Return the names of the workspaces that are recorded and have not been detached."""
    return list(tx.execute(ATTACHED).scalars())


IS_ATTACHED: Final = text("""
SELECT 1 FROM workspace WHERE name = :name AND detached_at IS NULL AND name <> '*'
""")


def is_attached(tx: Connection, name: str) -> bool:
    """Return whether the workspace *name* is recorded and has not been detached."""
    return tx.execute(IS_ATTACHED, {"name": name}).one_or_none() is not None


DETACH: Final = text("""
UPDATE workspace SET detached_at = :now, released_at = :now,
    holder = (SELECT holder FROM workspace AS of_all WHERE of_all.name = '*')
WHERE name = :name
""")


def detach(
    tx: Connection, watched: Container[str], now: Micros, *, limit: int | None = None
) -> list[str]:
    """Detach workspaces that are not *watched* any more; return those that were attached.

    Who holds '*' tells what is left of them.
    """
    detached = [name for name in load_attached(tx) if name not in watched][:limit]
    rows.execute_many(tx, DETACH, ({"name": name, "now": now} for name in detached))
    outbox.hand_over(tx, detached)
    if detached:
        outside.note(tx)
    return detached


LONG_DETACHED: Final = text("""
SELECT name FROM workspace
WHERE detached_at <= :before AND (
    EXISTS (
        SELECT 1 FROM account
        WHERE account.workspace = workspace.name AND account.removed_at IS NULL
    ) OR EXISTS (
        SELECT 1 FROM incident
        WHERE incident.workspace = workspace.name AND incident.resolved_at IS NULL
    )
)
ORDER BY detached_at LIMIT 1
""")


def long_detached(tx: Connection, before: Micros) -> str | None:
    """Return the workspace that was detached first, *before* then, and has not ended yet."""
    name: str | None = tx.execute(LONG_DETACHED, {"before": before}).scalar_one_or_none()
    return name


POSTPONE: Final = text("""
UPDATE workspace SET detached_at = :detached_at WHERE name = :name AND detached_at IS NOT NULL
""")


def postpone(tx: Connection, name: str, detached_at: Micros) -> None:
    """Let the workspace *name* count as detached later than it was: others get their turn."""
    tx.execute(POSTPONE, {"name": name, "detached_at": detached_at})


def _lease_lost(name: str) -> LeaseLostError:
    return LeaseLostError(f"another monitor took over the workspace {name!r} in this database")
