"""Accounts, and the transitions of their status."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.model import Account, Transition

from . import rows

LOAD: Final = text("SELECT * FROM account WHERE workspace = :workspace AND id = :id")


def load(tx: Connection, workspace: str, id_: str | None) -> Account | None:
    """Return what is recorded about an account, removed or not."""
    row = tx.execute(LOAD, {"workspace": workspace, "id": id_}).one_or_none()
    return None if row is None else _account(row)


LOAD_ALL: Final = text("SELECT * FROM account WHERE workspace = :workspace")


def load_all(tx: Connection, workspace: str) -> dict[str, Account]:
    """Return the accounts of *workspace* by id, removed or not."""
    return {row.id: _account(row) for row in tx.execute(LOAD_ALL, {"workspace": workspace})}


WRITE: Final = text(
    rows.upsert("account", (*rows.columns(Account), "changes"), key=("workspace", "id"))
)


def write(tx: Connection, accounts: Iterable[Account]) -> None:
    """Write *accounts*, new ones or not."""
    rows.execute_many(
        tx,
        WRITE,
        (
            {**rows.values(account), "changes": " ".join(map(str, account.changes))}
            for account in accounts
        ),
    )


WRITE_TRANSITION: Final = text(f"""
{rows.insert("transition", rows.columns(Transition))}
ON CONFLICT (workspace, account_id, at) DO NOTHING
""")


def write_transitions(tx: Connection, transitions: Iterable[Transition]) -> None:
    """Add *transitions* to the history."""
    rows.execute_many(tx, WRITE_TRANSITION, map(rows.values, transitions))


def _account(row: Row[Any]) -> Account:
    return rows.read(Account, row, changes=tuple(int(at) for at in row.changes.split()))
