"""Changes from outside: how a monitor that works notices what others committed.

Its own commits say whom they concern. Those of another process that concern it are counted, and it
reads that one number every second. All write the one row, so they do so late: after the row of a
receiver, never before.
"""

from typing import Final

from sqlalchemy import Connection, text

NOTE: Final = text("""
INSERT INTO outside (id, changes) VALUES (1, 1)
ON CONFLICT (id) DO UPDATE SET changes = outside.changes + 1
""")


def note(tx: Connection) -> None:
    """Count this transaction: something of it concerns another replica."""
    tx.execute(NOTE)


COUNT: Final = text("SELECT changes FROM outside WHERE id = 1")


def count(tx: Connection) -> int:
    """Return how many such transactions there were so far."""
    return tx.execute(COUNT).scalar_one_or_none() or 0
