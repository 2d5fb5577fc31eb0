"""Which workspaces belong to the configuration: taken over, renamed, detached, ended.

    (unknown) ──enter──► attached ──left the configuration──► detached ──a day later──► ended
                            ▲                                    │                        │
                            └──────────────enter─────────────────┴────────────────────────┘

Detached means that nothing is asked or told any more, and nothing is forgotten yet.
"""

from collections.abc import Container
from typing import Final

from sqlalchemy import Connection, text

from monitor.core.model import Micros, Workspace

from . import state

ATTACH_NEW: Final = text("""
INSERT INTO workspace (name, term) VALUES (:name, 1)
ON CONFLICT (name) DO UPDATE SET term = workspace.term + 1, detached_at = NULL
RETURNING term
""")

FORGET_FAILING: Final = text("""
UPDATE workspace SET failing_cause = NULL, failing_detail = NULL, failing_since = NULL,
    failing_cause_polls = NULL
WHERE name = :name AND incident_id IS NULL
""")

ATTACHED: Final = text("SELECT name FROM workspace WHERE detached_at IS NULL")

ATTACH: Final = text("UPDATE workspace SET detached_at = NULL WHERE name = :name")

DETACH: Final = text("UPDATE workspace SET detached_at = :now WHERE name = :name")

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

TERM: Final = text("SELECT term FROM workspace WHERE name = :name")

POSTPONE: Final = text("""
UPDATE workspace SET detached_at = :detached_at WHERE name = :name AND detached_at IS NOT NULL
""")

IS_RECORDED: Final = text("SELECT 1 FROM workspace WHERE name = :name")

RENAME: Final = (
    text("""
    INSERT INTO workspace (
        name, term, baseline_at, last_good_at, failing_cause, failing_detail, failing_since,
        failing_cause_polls, incident_id, detached_at
    )
    SELECT CAST(:new AS TEXT), term, baseline_at, last_good_at, failing_cause, failing_detail,
        failing_since, failing_cause_polls, incident_id, detached_at
    FROM workspace WHERE name = :old
    """),
    text("""
    INSERT INTO account (
        workspace, id, name, url, country, status, raw_status, since, first_seen_at,
        bad_polls, good_polls, missing_polls, missing_since, changes, incident_id, removed_at
    )
    SELECT CAST(:new AS TEXT), id, name, url, country, status, raw_status, since, first_seen_at,
        bad_polls, good_polls, missing_polls, missing_since, changes, incident_id, removed_at
    FROM account WHERE workspace = :old
    """),
    text("UPDATE session SET workspace = :new WHERE workspace = :old"),
    text("DELETE FROM account WHERE workspace = :old"),
    text("DELETE FROM workspace WHERE name = :old"),
    text("UPDATE transition SET workspace = :new WHERE workspace = :old"),
    text("UPDATE incident SET workspace = :new WHERE workspace = :old"),
    text("UPDATE event SET workspace = :new WHERE workspace = :old"),
    text("UPDATE notification SET workspace = :new WHERE workspace = :old"),
    text("UPDATE creation SET workspace = :new WHERE workspace = :old"),
)


def attach(tx: Connection, name: str) -> tuple[Workspace, int]:
    """Take over the workspace *name*: return its recorded state and the term of this claim.

    A run of failed polls that nobody was told of ends here: what was between is not known.
    """
    term = tx.execute(ATTACH_NEW, {"name": name}).scalar_one()
    tx.execute(FORGET_FAILING, {"name": name})
    return state.load(tx, name), term


def rename(tx: Connection, old: str, new: str) -> bool:
    """Carry everything that is recorded of the workspace *old* over to *new*.

    Return False, and change nothing, if nothing is recorded of *old* or *new* has a past already.
    """
    if not is_recorded(tx, old) or is_recorded(tx, new):
        return False
    for statement in RENAME:
        tx.execute(statement, {"old": old, "new": new})
    return True


def is_recorded(tx: Connection, name: str) -> bool:
    """Return whether anything is recorded of the workspace *name*."""
    return tx.execute(IS_RECORDED, {"name": name}).one_or_none() is not None


def is_attached(tx: Connection, name: str) -> bool:
    """Return whether the workspace *name* is recorded and has not been detached."""
    return name in tx.execute(ATTACHED).scalars()


def undo_attach(tx: Connection, name: str, renamed_to: str | None) -> tuple[Workspace, int]:
    """Undo what a take-over did to the workspace *name*, if it did; return its state and term."""
    if renamed_to and not is_recorded(tx, name):
        rename(tx, renamed_to, name)
    tx.execute(ATTACH, {"name": name})
    return load(tx, name)


def detach(tx: Connection, known: Container[str], now: Micros) -> list[str]:
    """Detach the workspaces that are not *known* any more; return those that were attached."""
    left = [name for name in tx.execute(ATTACHED).scalars().all() if name not in known]
    for name in left:
        tx.execute(DETACH, {"name": name, "now": now})
    return left


def long_detached(tx: Connection, before: Micros) -> str | None:
    """Return the workspace that was detached first, *before* then, and has not ended yet."""
    name: str | None = tx.execute(LONG_DETACHED, {"before": before}).scalar_one_or_none()
    return name


def load(tx: Connection, name: str) -> tuple[Workspace, int]:
    """Return the recorded state of the workspace *name* and its term, taking over nothing."""
    return state.load(tx, name), tx.execute(TERM, {"name": name}).scalar_one()


def postpone(tx: Connection, name: str, detached_at: Micros) -> None:
    """Let the workspace *name* count as detached later than it was: others get their turn."""
    tx.execute(POSTPONE, {"name": name, "detached_at": detached_at})
