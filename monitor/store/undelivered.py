"""What one receiver could not be told: the fallback is told once, by a copy."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.duration import Duration
from monitor.core.model import EventType, Micros
from monitor.core.notification import NotificationState, SettledReason, Undelivered
from monitor.core.plan import fallback_event
from monitor.core.route import Audience, Receiver, Recipient

from . import incidents, outbox, rows
from .outbox import QueuedEvent, QueuedMessage, Settled

GROUP_WAIT: Final = Duration.parse("10s")
"""How long a fallback that groups waits for more of what the same receiver could not be told."""

MAX_PORTION: Final = 100
"""How many messages of a removed or refusing receiver are looked at in one transaction."""

MESSAGE: Final = text("SELECT * FROM message WHERE id = :id")


def enqueue(
    tx: Connection,
    notifications: Iterable[Row[Any]],
    fallback: Receiver,
    *,
    why: str,
    since: Micros,
    now: Micros,
    new_id: Callable[[], str],
) -> None:
    """Queue for *fallback* what another receiver could not be told, each in a message of its own.

    *why* is how the attempts ended *since* then. If it groups, the copies wait a few seconds for
    each other: `claims` sends together what it finds.
    """
    recipient = Recipient(fallback.name)
    start = now + GROUP_WAIT if fallback.groups else now
    for row in notifications:
        undelivered = Undelivered(row.receiver, why, since)
        if row.undelivered_to is not None:  # a former fallback's copy
            message = tx.execute(MESSAGE, {"id": row.message_id}).one()
            undelivered = read(message) or undelivered
        event = _event_of(tx, row.incident_id, recipient, undelivered.receiver)
        if event is not None:
            events = [QueuedEvent(row.event_id, event, row.incident_id, row.subject)]
            copy = QueuedMessage(row.workspace, recipient, events, start, undelivered)
            outbox.add(tx, [copy], now=now, new_id=new_id)


def read(message: Row[Any]) -> Undelivered | None:
    """Return who could not be told, if *message* is a copy for the fallback."""
    if message.undelivered_to is None:
        return None
    return Undelivered(message.undelivered_to, message.undelivered_why, message.undelivered_since)


IS_KNOWN: Final = text("""
SELECT 1 FROM notification
WHERE incident_id = :incident_id AND receiver = :receiver AND undelivered_to = :undelivered_to
LIMIT 1
""")


def _event_of(
    tx: Connection, incident_id: str | None, recipient: Recipient, undelivered_to: str
) -> EventType | None:
    values = {
        "incident_id": incident_id,
        "receiver": recipient.receiver,
        "undelivered_to": undelivered_to,
    }
    return fallback_event(
        incidents.load(tx, incident_id),
        outbox.audiences(tx, [incident_id])[incident_id] if incident_id else Audience(),
        recipient,
        is_known=tx.execute(IS_KNOWN, values).one_or_none() is not None,
    )


# ── receivers that are gone ──────────────────────────────────────────────────────────────────────

LIVE: Final = text("""
SELECT id, done FROM message
WHERE holder = :replica AND receiver = :receiver AND settled_at IS NULL
ORDER BY created_at, id LIMIT :limit
""")

CANCEL_REMOVED_MESSAGE: Final = text("""
UPDATE message SET state = 'cancelled', waits = NULL, claimed_until = NULL, settled_at = :now
WHERE id = :message_id
""")


def cancel_removed(
    tx: Connection,
    replica: str,
    receiver: str,
    fallback: Receiver | None,
    *,
    now: Micros,
    new_id: Callable[[], str],
) -> list[Settled] | None:
    """Cancel a portion of what *replica* has for a *receiver* that is gone, and tell *fallback*.

    Return None if there was nothing. What was being sent may have arrived: should the receiver come
    back, it has heard.
    """
    values = {"replica": replica, "receiver": receiver, "limit": MAX_PORTION}
    live = tx.execute(LIVE, values).all()
    messages = [{"message_id": row.id, "now": now} for row in live]
    rows.execute_many(tx, outbox.MARK_SENDING_HEARD, messages)
    to, reason = NotificationState.CANCELLED, SettledReason.RECEIVER_REMOVED
    cancelled = [
        row
        for message in live
        for row in outbox.set_state(tx, message.id, to=to, reason=reason, at=now)
    ]
    rows.execute_many(tx, CANCEL_REMOVED_MESSAGE, messages)
    if fallback:
        taken = {row.id for row in live if row.done is not None}
        untold = [row for row in cancelled if row.message_id not in taken]
        why = "left the configuration"
        enqueue(tx, untold, fallback, why=why, since=now, now=now, new_id=new_id)
    return outbox.end(tx, cancelled, now=now) if messages else None
