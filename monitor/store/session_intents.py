"""Intents to ask for reconnection sessions, or about them: each is committed before the call.

    wanted ──claim──► calling ──► created | kept | needless | refused | later | limited | unknown

`calling` found by another process is a call whose outcome nobody knows: `unknown`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from monitor.core.duration import Duration
from monitor.core.model import IntentOutcome, Micros
from monitor.core.policy import is_cooling_down

from . import rows

UNFINISHED: Final = ("wanted", "calling")


@dataclass(frozen=True, slots=True)
class SessionIntent:
    """The intent to ask for a session of one account, or about the one that it has.

    *act_id* is the act that it follows from, if a person wants one.
    """

    id: str
    workspace: str
    account_id: str
    incident_id: str
    act_id: str | None = None


ADD: Final = text(rows.insert("session_intent", (*rows.columns(SessionIntent), "at", "outcome")))


def add(
    tx: Connection, intents: Iterable[SessionIntent], *, cooldown: Duration, now: Micros
) -> list[SessionIntent]:
    """Record the intents whose account has none and is not cooling down, and return them."""
    wanted = list(intents)
    hindered = _hindered(tx, wanted, cooldown=cooldown, now=now)
    added = [intent for intent in wanted if (intent.workspace, intent.account_id) not in hindered]
    what = {"at": now, "outcome": "wanted"}
    rows.execute_many(tx, ADD, ({**rows.values(intent), **what} for intent in added))
    return added


def may_ask(tx: Connection, intent: SessionIntent, *, cooldown: Duration, now: Micros) -> bool:
    """Return whether no other intent is unfinished or makes it too early for another session."""
    return not _hindered(tx, [intent], cooldown=cooldown, now=now)


TAKE_OVER: Final = text("""
UPDATE session_intent SET act_id = :act_id
WHERE workspace = :workspace AND account_id = :account_id AND outcome = 'wanted'
RETURNING id
""")


def ask(tx: Connection, intent: SessionIntent, *, now: Micros) -> str:
    """Record what a person wants, whatever was asked for lately; return the id of the intent.

    That is the one that is still to be processed, if there is one.
    """
    waiting = tx.execute(TAKE_OVER, rows.values(intent)).scalars().first()
    if waiting is None:
        tx.execute(ADD, {**rows.values(intent), "at": now, "outcome": "wanted"})
    return intent.id if waiting is None else waiting


OUTCOMES: Final = text("""
SELECT session_intent.workspace, session_intent.account_id, account.name AS account_name,
    session_intent.outcome, session.link
FROM session_intent
LEFT JOIN account ON account.workspace = session_intent.workspace
    AND account.id = session_intent.account_id
LEFT JOIN session ON session.workspace = session_intent.workspace
    AND session.account_id = session_intent.account_id
WHERE session_intent.id IN :ids
ORDER BY account.name, session_intent.account_id
""")


def outcomes(tx: Connection, ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return what intents came to and which link there is now, as rows ready to print."""
    return [row._asdict() for row in rows.execute_portions(tx, OUTCOMES, "ids", ids)]


LATEST: Final = text("""
SELECT id, account_id, at, outcome FROM (
    SELECT id, account_id, at, outcome,
        ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY at DESC) AS place
    FROM session_intent WHERE workspace = :workspace AND account_id IN :ids
) AS latest WHERE place <= 21
""")


def _hindered(
    tx: Connection, intents: Sequence[SessionIntent], *, cooldown: Duration, now: Micros
) -> set[tuple[str, str]]:
    """Return the accounts (with their workspace) for which `may_ask` says no."""
    own = {intent.id for intent in intents}
    by_workspace: dict[str, list[str]] = {}
    for intent in intents:
        by_workspace.setdefault(intent.workspace, []).append(intent.account_id)
    return {
        (workspace, row.account_id)
        for workspace, ids in by_workspace.items()
        for row in rows.execute_portions(tx, LATEST, "ids", ids, workspace=workspace)
        if row.id not in own
        and (
            row.outcome in UNFINISHED
            or is_cooling_down(IntentOutcome(row.outcome), row.at, cooldown=cooldown, now=now)
        )
    }


UNFINISHED_SINCE: Final = text("""
SELECT MAX(at) FROM session_intent
WHERE workspace = :workspace AND account_id = :account_id AND outcome IN ('wanted', 'calling')
""")


def unfinished_since(tx: Connection, workspace: str, account_id: str) -> Micros | None:
    """Return since when a session of an account is to be asked for or about, None if none is."""
    values = {"workspace": workspace, "account_id": account_id}
    at: Micros | None = tx.execute(UNFINISHED_SINCE, values).scalar_one()
    return at


CLAIM: Final = text("""
UPDATE session_intent SET outcome = 'calling' WHERE id = (
    SELECT id FROM session_intent
    WHERE workspace = :workspace AND outcome = 'wanted' ORDER BY at LIMIT 1
)
RETURNING *
""")


def claim(tx: Connection, workspace: str) -> SessionIntent | None:
    """Claim the next intent of *workspace*: from here on the call may have been made."""
    row = tx.execute(CLAIM, {"workspace": workspace}).one_or_none()
    return None if row is None else rows.read(SessionIntent, row)


FINISH: Final = text("UPDATE session_intent SET outcome = :outcome WHERE id = :id")


def finish(tx: Connection, intent: SessionIntent, outcome: IntentOutcome) -> None:
    """Record how the call ended."""
    tx.execute(FINISH, {"id": intent.id, "outcome": outcome})


MARK_UNKNOWN: Final = text("""
UPDATE session_intent SET outcome = 'unknown' WHERE workspace = :workspace AND outcome = 'calling'
""")


def mark_unknown(tx: Connection, workspace: str) -> None:
    """Mark calls that a stopped process left behind: their outcome is unknown."""
    tx.execute(MARK_UNKNOWN, {"workspace": workspace})


ASKED_FOR: Final = text("""
SELECT DISTINCT workspace FROM session_intent WHERE outcome = 'wanted' AND act_id IS NOT NULL
""")


def asked_for(tx: Connection) -> list[str]:
    """Return the workspaces in which a person wants a session that was not asked for yet."""
    return list(tx.execute(ASKED_FOR).scalars())


UNFINISHED_OF: Final = text("""
SELECT DISTINCT workspace FROM session_intent WHERE outcome IN ('wanted', 'calling')
""")


def unfinished_workspaces(tx: Connection) -> set[str]:
    """Return the workspaces that have unfinished intents."""
    return set(tx.execute(UNFINISHED_OF).scalars())
