"""Accounts with their sessions, and the transitions of their status."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.model import Account, Session, Status, Transition
from monitor.core.secret import Secret

from . import sessions

LOAD: Final = text("""
SELECT account.*, session.session_id, session.link, session.workspace AS has_session
FROM account
LEFT JOIN session ON session.workspace = account.workspace AND session.account_id = account.id
WHERE account.workspace = :workspace AND account.id = :id
""")


def load(tx: Connection, workspace: str, id_: str) -> Account | None:
    """Return what is recorded about an account, removed or not."""
    row = tx.execute(LOAD, {"workspace": workspace, "id": id_}).one_or_none()
    return None if row is None else _account(row)


LOAD_LISTED: Final = text("""
SELECT account.*, session.session_id, session.link, session.workspace AS has_session
FROM account
LEFT JOIN session ON session.workspace = account.workspace AND session.account_id = account.id
WHERE account.workspace = :workspace AND account.removed_at IS NULL
""")


def load_listed(tx: Connection, workspace: str) -> dict[str, Account]:
    """Return the accounts of *workspace* that are not removed, by id."""
    return {row.id: _account(row) for row in tx.execute(LOAD_LISTED, {"workspace": workspace})}


WRITE: Final = text("""
INSERT INTO account (
    workspace, id, name, url, country, status, raw_status, since, first_seen_at,
    bad_polls, good_polls, missing_polls, missing_since, changes, incident_id, removed_at
) VALUES (
    :workspace, :id, :name, :url, :country, :status, :raw_status, :since, :first_seen_at,
    :bad_polls, :good_polls, :missing_polls, :missing_since, :changes, :incident_id,
    :removed_at
)
ON CONFLICT (workspace, id) DO UPDATE SET
    name = excluded.name, url = excluded.url, country = excluded.country,
    status = excluded.status, raw_status = excluded.raw_status, since = excluded.since,
    first_seen_at = excluded.first_seen_at,
    bad_polls = excluded.bad_polls, good_polls = excluded.good_polls,
    missing_polls = excluded.missing_polls, missing_since = excluded.missing_since,
    changes = excluded.changes, incident_id = excluded.incident_id,
    removed_at = excluded.removed_at
""")


def write(tx: Connection, accounts: Iterable[Account], before: Mapping[str, Account]) -> None:
    """Write *accounts*, and the sessions that differ from those *before*."""
    rows = [_values(account) for account in accounts]
    if rows:
        tx.execute(WRITE, rows)
    for account in accounts:
        old = before[account.id].session if account.id in before else None
        if account.session == old:
            continue
        if account.session is None:
            sessions.delete(tx, account.workspace, account.id)
        else:
            sessions.write(tx, account.workspace, account.id, account.session)


WRITE_TRANSITION: Final = text("""
INSERT INTO transition (workspace, account_id, at, before, after)
VALUES (:workspace, :account_id, :at, :before, :after)
ON CONFLICT (workspace, account_id, at) DO NOTHING
""")


def write_transitions(tx: Connection, transitions: Iterable[Transition]) -> None:
    """Add *transitions* to the history."""
    rows = [asdict(transition) for transition in transitions]
    if rows:
        tx.execute(WRITE_TRANSITION, rows)


def _account(row: Row[Any]) -> Account:
    session = None
    if row.has_session is not None:
        session = Session(row.session_id, Secret(row.link) if row.link else None)
    return Account(
        workspace=row.workspace,
        id=row.id,
        name=row.name,
        url=row.url,
        country=row.country,
        status=Status(row.status),
        raw_status=row.raw_status,
        since=row.since,
        first_seen_at=row.first_seen_at,
        bad_polls=row.bad_polls,
        good_polls=row.good_polls,
        missing_polls=row.missing_polls,
        missing_since=row.missing_since,
        changes=tuple(int(at) for at in row.changes.split()),
        incident_id=row.incident_id,
        session=session,
        removed_at=row.removed_at,
    )


def _values(account: Account) -> dict[str, Any]:
    values = {field.name: getattr(account, field.name) for field in fields(account)}
    return {**values, "session": None, "changes": " ".join(map(str, account.changes))}
