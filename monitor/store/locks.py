"""Locks: which transactions that write may be under way beside each other.

SQLite writes one transaction at a time, so nothing is to be locked. With PostgreSQL, replicas write
beside each other: a transaction says which workspaces it concerns, and is the only one that does.
One that does not say is alone in the schema. Locks end with the transaction.

Who locks a workspace while it holds the lock of another one does so in the order of the outbox: its
own workspaces, or one and then '*'. Nobody waits for a workspace while it holds '*', but who holds
the lease of both; so there is no circle.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from sqlalchemy import Connection

SCHEMA: Final = 20261123
"""The key of the lock of the whole schema."""

_LOCK: Final = "pg_advisory_xact_lock{}(hashtextextended(COALESCE(current_schema(), '')::text, {}))"


def statement(workspaces: Iterable[str] | None) -> str:
    """Return what locks *workspaces* at the start of a transaction (None: all there is)."""
    if workspaces is None:
        return f"SELECT {_LOCK.format('', SCHEMA)}"
    shared = _LOCK.format("_shared", SCHEMA)
    return f"SELECT {', '.join([shared, *map(_lock, sorted(set(workspaces)))])}"


def lock(tx: Connection, workspace: str) -> None:
    """Lock one more *workspace* in a transaction that said which it concerns."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"SELECT {_lock(workspace)}")


def _lock(workspace: str) -> str:
    digest = blake2b(workspace.encode(), digest_size=8).digest()
    return _LOCK.format("", int.from_bytes(digest, signed=True))
