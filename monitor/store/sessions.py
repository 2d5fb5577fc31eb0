"""Reconnection sessions: the only place that holds a link, and only while its incident is open."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.model import Session
from monitor.core.secret import Secret

from . import erasure, rows

LOAD: Final = text("""
SELECT * FROM session WHERE workspace = :workspace AND account_id = :account_id
""")


def load(tx: Connection, workspace: str, account_id: str | None) -> Session | None:
    """Return the session of an account, if it has one."""
    row = tx.execute(LOAD, {"workspace": workspace, "account_id": account_id}).one_or_none()
    return None if row is None else from_row(row)


LOAD_ALL: Final = text("SELECT * FROM session WHERE workspace = :workspace")


def load_all(tx: Connection, workspace: str) -> dict[str, Session]:
    """Return the sessions of the accounts of *workspace*, by account id."""
    sessions = tx.execute(LOAD_ALL, {"workspace": workspace})
    return {row.account_id: from_row(row) for row in sessions}


KEY: Final = ("workspace", "account_id")

COLUMNS: Final = (*rows.columns(Session), "link")

WRITE: Final = text(rows.upsert("session", (*KEY, *COLUMNS), key=KEY))

DELETE: Final = text("""
DELETE FROM session WHERE workspace = :workspace AND account_id = :account_id
""")


def write(tx: Connection, workspace: str, sessions: Mapping[str, Session | None]) -> None:
    """Write the *sessions* of accounts whose incident is open, by account id (None: delete it)."""
    over, written = [], []
    for account_id, session in sessions.items():
        key = {"workspace": workspace, "account_id": account_id}
        if session is None:
            over.append(key)
        else:
            link = session.link.reveal() if session.link else None
            written.append({**key, **rows.values(session), "link": link})
    if over:
        erasure.note(tx)
    rows.execute_many(tx, DELETE, over)
    rows.execute_many(tx, WRITE, written)


def from_row(row: Row[Any], prefix: str = "") -> Session:
    """Return the session in a *row*, whose columns have this *prefix*."""
    link = getattr(row, f"{prefix}link")
    return rows.read(Session, row, prefix, link=Secret(link) if link else None)
