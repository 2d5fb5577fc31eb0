"""What was deleted for good: nobody is to find it on the disk afterwards.

A login link opens an account, and a person who left has a right to be forgotten. Who deletes such a
row notes it here; what that means is the database's own business (PostgreSQL does what it is
configured to do).
"""

from typing import Final

from sqlalchemy import Connection

KEY: Final = "has_erased"


def note(tx: Connection) -> None:
    """Note that something was deleted, or overwritten, in the transaction *tx*."""
    tx.info[KEY] = True


def take(tx: Connection) -> bool:
    """Return whether that was noted, and forget it."""
    return bool(tx.info.pop(KEY, False))
