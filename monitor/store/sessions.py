"""Reconnection sessions: the only place that holds a link, and only while its incident is open."""

from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.model import Session
from monitor.core.secret import Secret

from . import rows

KEY: Final = ("workspace", "account_id")

COLUMNS: Final = (*rows.columns(Session), "link")

WRITE: Final = text(rows.upsert("session", (*KEY, *COLUMNS), key=KEY))


def write(tx: Connection, workspace: str, account_id: str, session: Session) -> None:
    """Write the session of an account whose incident is open."""
    link = session.link.reveal() if session.link else None
    values = {"workspace": workspace, "account_id": account_id, "link": link}
    tx.execute(WRITE, {**rows.values(session), **values})


DELETE: Final = text("""
DELETE FROM session WHERE workspace = :workspace AND account_id = :account_id
""")


def delete(tx: Connection, workspace: str, account_id: str) -> None:
    """Delete the session of an account, and its link with it."""
    tx.execute(DELETE, {"workspace": workspace, "account_id": account_id})


def read(row: Row[Any]) -> Session:
    """Return the session in *row*, whose columns have the prefix `session_`."""
    link = Secret(row.session_link) if row.session_link else None
    return rows.read(Session, row, "session_", link=link)
