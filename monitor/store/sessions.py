"""Reconnection sessions: the only place that holds a link, and only while its incident is open."""

from typing import Final

from sqlalchemy import Connection, text

from monitor.core.model import Session

WRITE: Final = text("""
INSERT INTO session (workspace, account_id, session_id, link)
VALUES (:workspace, :account_id, :session_id, :link)
ON CONFLICT (workspace, account_id) DO UPDATE SET
    session_id = excluded.session_id, link = excluded.link
""")


def write(tx: Connection, workspace: str, account_id: str, session: Session) -> None:
    """Write the session of an account whose incident is open."""
    values = {
        "workspace": workspace,
        "account_id": account_id,
        "session_id": session.id,
        "link": session.link.reveal() if session.link else None,
    }
    tx.execute(WRITE, values)


DELETE: Final = text("""
DELETE FROM session WHERE workspace = :workspace AND account_id = :account_id
""")


def delete(tx: Connection, workspace: str, account_id: str) -> None:
    """Delete the session of an account, and its link with it."""
    tx.execute(DELETE, {"workspace": workspace, "account_id": account_id})
