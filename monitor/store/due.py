"""What is due to a receiver: messages whose time has come, and claims that have lapsed."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, text

from monitor.core.backoff import UNANSWERED_WAIT
from monitor.core.duration import Duration
from monitor.core.model import Micros
from monitor.core.notification import NotificationState

from . import outbox

MAX_DUE: Final = 100
"""How many messages whose time has come are let go in one claim."""

TIMES: Final = text("""
SELECT
    (SELECT MIN(next_attempt_at) FROM message
        WHERE holder = :replica AND receiver = :receiver AND waits = 'time') AS due_at,
    (SELECT MIN(claimed_until) FROM message
        WHERE holder = :replica AND receiver = :receiver AND state = 'sending'
            AND claimed_by <> :by) AS lapse_at
""")


def next_at(tx: Connection, mine: Mapping[str, Any]) -> Micros | None:
    """Return when something is due next; *mine* are the values of all that concerns one sender."""
    return min((at for at in tx.execute(TIMES, mine).one() if at is not None), default=None)


RELEASE: Final = text("""
UPDATE message SET waits = NULL WHERE id IN (
    SELECT id FROM message WHERE holder = :replica AND receiver = :receiver AND waits = 'time'
        AND next_attempt_at <= :now
    ORDER BY next_attempt_at LIMIT :limit
)
""")


def release(tx: Connection, mine: Mapping[str, Any], *, lease: Duration) -> None:
    """Let go what is due; *mine* as above. A claim holds for *lease*."""
    at = next_at(tx, mine)
    if at is not None and at <= mine["now"]:
        tx.execute(RELEASE, {**mine, "limit": MAX_DUE})
        _requeue_lapsed(tx, mine, lease=lease)


LAPSED: Final = text("""
SELECT id, attempts, claimed_until FROM message
WHERE holder = :replica AND receiver = :receiver AND state = 'sending' AND claimed_by <> :by
    AND claimed_until <= :now
LIMIT :limit
""")

REQUEUE: Final = text("""
UPDATE message SET state = 'pending', waits = 'time', next_attempt_at = :again_at,
    unanswered = unanswered + 1, claimed_by = NULL, claimed_until = NULL
WHERE id = :message_id
""")

WRITE_LOST: Final = text("""
INSERT INTO attempt (message_id, number, at, reason, answer, title)
VALUES (:message_id, :number, :at, 'timeout', 'the monitor stopped while this was being sent', '')
""")


def _requeue_lapsed(tx: Connection, mine: Mapping[str, Any], *, lease: Duration) -> None:
    for row in tx.execute(LAPSED, {**mine, "limit": MAX_DUE}).all():
        sent_at = row.claimed_until - lease
        again_at = sent_at + UNANSWERED_WAIT
        values = {"message_id": row.id, "number": row.attempts, "at": sent_at, "now": sent_at}
        tx.execute(outbox.MARK_SENDING_HEARD, values)
        tx.execute(WRITE_LOST, values)
        outbox.set_state(tx, row.id, to=NotificationState.PENDING)
        tx.execute(REQUEUE, {"message_id": row.id, "again_at": again_at})
