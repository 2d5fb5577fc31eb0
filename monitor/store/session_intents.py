"""Reconnection sessions that we ask for: the intent is committed before the call.

    wanted ──claim──► calling ──► created | kept | needless | refused | later | limited | unknown

`calling` found by another process is a call whose outcome nobody knows: `unknown`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Connection, text

from monitor.core.duration import Duration
from monitor.core.model import Micros

from . import rows


class IntentOutcome(StrEnum):
    """How asking for a session ended.

    `kept`: the one at hand is still good; `needless`: it wasn't asked for, as the account has a
    link or needs none any more; `later`: it could not be asked for just now; `limited`: the API
    allows no more of them today.
    """

    CREATED = "created"
    KEPT = "kept"
    NEEDLESS = "needless"
    REFUSED = "refused"
    LATER = "later"
    LIMITED = "limited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SessionIntent:
    """The intent to create a session for one account."""

    id: str
    workspace: str
    account_id: str
    incident_id: str


COOLDOWNS: Final = {
    IntentOutcome.NEEDLESS: Duration(0),
    IntentOutcome.LATER: Duration.parse("1m"),
    IntentOutcome.LIMITED: Duration.parse("6h"),
}
"""How long nothing is asked for again after these outcomes, whatever the configuration says."""

LATEST: Final = text("""
SELECT at, outcome FROM session_intent WHERE workspace = :workspace AND account_id = :account_id
ORDER BY at DESC LIMIT 1
""")

ADD: Final = text(rows.insert("session_intent", (*rows.columns(SessionIntent), "at", "outcome")))

NEXT: Final = text("""
SELECT * FROM session_intent
WHERE workspace = :workspace AND outcome = 'wanted' ORDER BY at LIMIT 1
""")

CALL: Final = text(
    "UPDATE session_intent SET outcome = 'calling' WHERE id = :id AND outcome = 'wanted'"
)

FINISH: Final = text("UPDATE session_intent SET outcome = :outcome WHERE id = :id")

MARK_UNKNOWN: Final = text("""
UPDATE session_intent SET outcome = 'unknown' WHERE workspace = :workspace AND outcome = 'calling'
""")


def add(
    tx: Connection,
    intents: Iterable[SessionIntent],
    *,
    cooldown: Duration,
    now: Micros,
) -> list[SessionIntent]:
    """Record the intents whose account is not cooling down, and return them."""
    taken = []
    for one in intents:
        values = {"workspace": one.workspace, "account_id": one.account_id}
        latest = tx.execute(LATEST, values).one_or_none()
        if latest is not None:
            pause = COOLDOWNS.get(latest.outcome, cooldown)
            if latest.outcome in ("wanted", "calling") or now < latest.at + pause:
                continue
        tx.execute(ADD, {**rows.values(one), "at": now, "outcome": "wanted"})
        taken.append(one)
    return taken


def claim(tx: Connection, workspace: str) -> SessionIntent | None:
    """Take the next intent of *workspace*: from here on the call may have been made."""
    row = tx.execute(NEXT, {"workspace": workspace}).one_or_none()
    if row is None or tx.execute(CALL, {"id": row.id}).rowcount != 1:
        return None
    return rows.read(SessionIntent, row)


def finish(tx: Connection, intent: SessionIntent, outcome: IntentOutcome) -> None:
    """Record how the call ended."""
    tx.execute(FINISH, {"id": intent.id, "outcome": outcome})


def mark_unknown(tx: Connection, workspace: str) -> None:
    """Mark calls that a stopped process left behind: their outcome is unknown."""
    tx.execute(MARK_UNKNOWN, {"workspace": workspace})
