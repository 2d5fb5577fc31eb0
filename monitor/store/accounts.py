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
    return None if row is None else from_row(row)


LISTED: Final = text("""
SELECT * FROM account WHERE workspace = :workspace AND removed_at IS NULL ORDER BY name, id
""")


def listed(tx: Connection, workspace: str) -> list[Account]:
    """Return the accounts of *workspace* that are listed now."""
    return list(map(from_row, tx.execute(LISTED, {"workspace": workspace})))


ROWS: Final = text("SELECT * FROM account WHERE workspace IN :names")


def rows_of(tx: Connection, names: Iterable[str]) -> dict[str, list[Row[Any]]]:
    """Return the accounts of the workspaces *names*, removed or not, as rows to `read`."""
    by_workspace: dict[str, list[Row[Any]]] = {}
    for row in rows.execute_portions(tx, ROWS, "names", names):
        by_workspace.setdefault(row.workspace, []).append(row)
    return by_workspace


def read(listed: Iterable[Row[Any]]) -> dict[str, Account]:
    """Return accounts by id; raise ValueError if they hold what this version does not know."""
    return {row.id: from_row(row) for row in listed}


COLUMNS: Final = (*rows.columns(Account), "changes")

WRITE: Final = text(rows.upsert("account", COLUMNS, key=("workspace", "id")))


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


def from_row(row: Row[Any], prefix: str = "") -> Account:
    """Return the account in a *row*, whose columns have this *prefix*."""
    changes = getattr(row, f"{prefix}changes").split()
    return rows.read(Account, row, prefix, changes=tuple(map(int, changes)))
