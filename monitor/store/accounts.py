"""Accounts with their sessions, and the transitions of their status."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.model import Account, Transition

from . import rows, sessions

_SESSION: Final = [f"session.{name} AS session_{name}" for name in sessions.COLUMNS]

_SELECT: Final = f"""
SELECT account.*, session.account_id AS session_of, {", ".join(_SESSION)}
FROM account
LEFT JOIN session ON session.workspace = account.workspace AND session.account_id = account.id
WHERE account.workspace = :workspace AND """  # noqa: S608 - all names are our own

LOAD: Final = text(_SELECT + "account.id = :id")


def load(tx: Connection, workspace: str, id_: str | None) -> Account | None:
    """Return what is recorded about an account, removed or not."""
    row = tx.execute(LOAD, {"workspace": workspace, "id": id_}).one_or_none()
    return None if row is None else _account(row)


LOAD_LISTED: Final = text(_SELECT + "account.removed_at IS NULL")


def load_listed(tx: Connection, workspace: str) -> dict[str, Account]:
    """Return the accounts of *workspace* that are not removed, by id."""
    return {row.id: _account(row) for row in tx.execute(LOAD_LISTED, {"workspace": workspace})}


WRITE: Final = text(
    rows.upsert("account", (*rows.columns(Account), "changes"), key=("workspace", "id"))
)


def write(tx: Connection, accounts: Iterable[Account], before: Mapping[str, Account]) -> None:
    """Write *accounts*, and the sessions that differ from those *before*."""
    rows.execute_many(
        tx,
        WRITE,
        (
            {**rows.values(account), "changes": " ".join(map(str, account.changes))}
            for account in accounts
        ),
    )
    for account in accounts:
        old = before[account.id].session if account.id in before else None
        if account.session == old:
            continue
        if account.session is None:
            sessions.delete(tx, account.workspace, account.id)
        else:
            sessions.write(tx, account.workspace, account.id, account.session)


WRITE_TRANSITION: Final = text(f"""
{rows.insert("transition", rows.columns(Transition))}
ON CONFLICT (workspace, account_id, at) DO NOTHING
""")


def write_transitions(tx: Connection, transitions: Iterable[Transition]) -> None:
    """Add *transitions* to the history."""
    rows.execute_many(tx, WRITE_TRANSITION, map(rows.values, transitions))


def _account(row: Row[Any]) -> Account:
    return rows.read(
        Account,
        row,
        changes=tuple(int(at) for at in row.changes.split()),
        session=sessions.read(row) if row.session_of is not None else None,
    )
