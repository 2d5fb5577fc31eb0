"""What waits for a look at its workspace, which shows whether it is still true."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, text

from monitor.core.model import READING, Micros

from . import rows

HOLD: Final = text("""
UPDATE message SET waits = 'look'
WHERE workspace IN :names AND holder = :replica AND state = 'pending' AND settled_at IS NULL
    AND (waits IS NULL OR waits = 'time') AND NOT EXISTS (
        SELECT 1 FROM notification WHERE notification.message_id = message.id
            AND notification.settled_at IS NULL
            AND (notification.event = 'resolved'
                OR notification.workspace = '*' AND notification.event <> 'opened')
    )
""")


def hold(tx: Connection, replica: str, names: Iterable[str]) -> None:
    """Let what is queued of those of the workspaces *names* that *replica* holds wait for a look.

    Resolutions don't. Of '*' it is the opening of an outage: only a poll shows whether it goes on.
    """
    rows.execute_portions(tx, HOLD, "names", names, replica=replica)


RELEASE: Final = text("""
UPDATE message SET waits = CASE WHEN next_attempt_at > :now THEN 'time' END
WHERE workspace = :workspace AND waits = 'look'
RETURNING receiver
""")


def release(tx: Connection, workspace: str, *, now: Micros) -> set[str]:
    """Let what waited for a look at *workspace* go; return the receivers it is for."""
    values = {"workspace": workspace, "now": now}
    return set(tx.execute(RELEASE, values).scalars())


WAITING: Final = text("""
SELECT DISTINCT workspace FROM message WHERE waits = 'look'
""")


def waiting(tx: Connection) -> set[str]:
    """Return the workspaces of which something waits for a look."""
    return set(tx.execute(WAITING).scalars())


RELEASE_FAILED: Final = text("""
UPDATE message SET waits = CASE WHEN next_attempt_at > :now THEN 'time' END
WHERE workspace = :workspace AND waits = 'look' AND EXISTS (
    SELECT 1 FROM notification WHERE notification.message_id = message.id
        AND notification.settled_at IS NULL AND notification.subject = :subject
)
RETURNING receiver
""")


def release_failed(tx: Connection, workspace: str, *, now: Micros) -> set[str]:
    """Let go what waited to be told of blindness: a poll has shown that *workspace* is blind."""
    values = {"workspace": workspace, "subject": READING[1], "now": now}
    return set(tx.execute(RELEASE_FAILED, values).scalars())
