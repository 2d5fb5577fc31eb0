"""Changes from outside: how the monitor that works notices what others committed.

Its own commits say whom they concern. Whatever another process commits is counted, and who works
reads that one number every second: no wait is longer for it, and nothing is asked again.
"""

from typing import Final

from sqlalchemy import Connection, text

NOTE: Final = text("""
INSERT INTO outside (id, changes) VALUES (1, 1)
ON CONFLICT (id) DO UPDATE SET changes = outside.changes + 1
""")


def note(tx: Connection) -> None:
    """Let the monitor that works see that something of this transaction concerns it."""
    tx.execute(NOTE)


COUNT: Final = text("SELECT changes FROM outside WHERE id = 1")


def count(tx: Connection) -> int:
    """Return how often others have changed something so far."""
    return tx.execute(COUNT).scalar_one_or_none() or 0
