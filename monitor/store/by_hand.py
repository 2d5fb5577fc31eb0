"""Notifications that a person has tried again at once, or cancels.

What is pending is tried now, and its receiver is left alone no longer; but an attempt that may have
arrived is followed by no other within a minute. What is dead is queued again, in a message of its
own, behind all that is queued of its workspace; what no longer holds is then not sent.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.backoff import UNANSWERED_WAIT
from monitor.core.model import Cause, EventType, Micros
from monitor.core.notification import NotificationState
from monitor.core.route import Recipient

from . import outbox, receivers, rows
from .outbox import QueuedEvent, QueuedMessage, Settled

MAX_MESSAGES: Final = 500
"""So many messages are tried again, or cancelled, by one act."""


@dataclass(frozen=True, slots=True)
class ChosenMessage:
    """A message that a person means."""

    id: str
    workspace: str
    receiver: str
    state: NotificationState


_SELECT: Final = "SELECT DISTINCT message.id, message.workspace, message.receiver, message.state"

BY_WORD: Final = tuple(
    text(f"""
    {_SELECT} FROM message JOIN notification ON notification.message_id = message.id
    WHERE {condition} ORDER BY message.id LIMIT 6
    """)
    for condition in (
        "message.id = :word OR notification.id = :word",
        """substr(message.id, 1, :length) = :word
            OR substr(notification.id, 1, :length) = :word""",
    )
)


def find(tx: Connection, word: str) -> list[ChosenMessage]:
    """Return the messages that *word* can mean: by id, or its start, or that of a notification."""
    for statement in BY_WORD if word else ():
        if result := tx.execute(statement, {"word": word, "length": len(word)}).all():
            return [rows.read(ChosenMessage, row) for row in result]
    return []


UNSETTLED: Final = text(f"""
{_SELECT} FROM message JOIN notification ON notification.message_id = message.id
LEFT JOIN incident ON incident.id = notification.incident_id
WHERE notification.workspace = :workspace
    AND (notification.settled_at IS NULL
        OR notification.state = 'dead' AND incident.resolved_at IS NULL)
    AND (CAST(:cause AS TEXT) IS NULL OR incident.cause = :cause)
    AND (CAST(:receiver AS TEXT) IS NULL OR notification.receiver = :receiver)
ORDER BY message.id LIMIT :limit
""")


def of_set(
    tx: Connection, workspace: str, *, cause: Cause | None, receiver: str | None
) -> list[ChosenMessage]:
    """Return what is queued of *workspace*, and what is dead of incidents that are still open.

    That is of those of a *cause*, and for a *receiver*, if one is named.
    """
    values = {"workspace": workspace, "cause": cause, "receiver": receiver}
    listed = tx.execute(UNSETTLED, {**values, "limit": MAX_MESSAGES})
    return [rows.read(ChosenMessage, row) for row in listed]


RETRY: Final = text("""
UPDATE message SET waits = CASE waits WHEN 'time' THEN NULL ELSE waits END, next_attempt_at = :now
WHERE id IN :ids AND state = 'pending' AND NOT (
    unanswered > 0 AND EXISTS (
        SELECT 1 FROM attempt WHERE attempt.message_id = message.id AND attempt.at > :since
    )
)
""")

DEAD: Final = text("""
SELECT notification.* FROM notification
WHERE message_id IN :ids AND state = 'dead' AND NOT EXISTS (
    SELECT 1 FROM notification AS later
    WHERE later.incident_id = notification.incident_id AND later.settled_at IS NULL
        AND later.receiver = notification.receiver AND later.address = notification.address
)
ORDER BY position
""")


def retry(
    tx: Connection, messages: Iterable[ChosenMessage], *, now: Micros, new_id: Callable[[], str]
) -> list[str]:
    """Have *messages* tried again now; return the ids of those that are: of the dead, new ones."""
    chosen = list(messages)
    for receiver in sorted({message.receiver for message in chosen}):
        receivers.leave_alone(tx, receiver, until=None)
    ids = [message.id for message in chosen]
    rows.execute_portions(tx, RETRY, "ids", ids, now=now, since=now - UNANSWERED_WAIT)
    dead: dict[str, list[Row[Any]]] = {}
    for row in rows.execute_portions(tx, DEAD, "ids", ids):
        dead.setdefault(row.message_id, []).append(row)
    again = [_copy(listed, start=now) for listed in dead.values()]
    pending = [message.id for message in chosen if message.state is NotificationState.PENDING]
    return pending + outbox.add(tx, again, now=now, new_id=new_id)


def _copy(notifications: Sequence[Row[Any]], *, start: Micros) -> QueuedMessage:
    """Return a message that tells the same as one that is dead did."""
    first = notifications[0]
    events = [
        QueuedEvent(row.event_id, EventType(row.event), row.incident_id, row.subject)
        for row in notifications
    ]
    return QueuedMessage(first.workspace, Recipient(first.receiver, first.address), events, start)


CANCEL: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'by_hand', settled_at = :now
WHERE message_id IN :ids AND state = 'pending' AND (
    CAST(:cause AS TEXT) IS NULL OR EXISTS (
        SELECT 1 FROM incident WHERE incident.id = notification.incident_id AND cause = :cause
    )
)
RETURNING *, state AS outcome
""")


def cancel(
    tx: Connection, messages: Iterable[ChosenMessage], *, cause: Cause | None, now: Micros
) -> list[Settled]:
    """Cancel what is pending of *messages*, of a group only what is of *cause*; return it."""
    ids = [message.id for message in messages]
    ended = rows.execute_portions(tx, CANCEL, "ids", ids, cause=cause, now=now)
    return outbox.end(tx, ended, now=now)


INCIDENTS: Final = text("""
SELECT DISTINCT incident_id, CASE incident.scope WHEN 'account' THEN incident.subject END
    AS account_id, incident.cause
FROM notification JOIN incident ON incident.id = notification.incident_id
WHERE message_id IN :ids
""")


def incidents_of(
    tx: Connection, messages: Iterable[ChosenMessage]
) -> list[tuple[str, str | None, Cause]]:
    """Return the incidents that *messages* tell of: their ids, accounts and causes."""
    ids = [message.id for message in messages]
    listed = rows.execute_portions(tx, INCIDENTS, "ids", ids)
    return list(dict.fromkeys((it.incident_id, it.account_id, Cause(it.cause)) for it in listed))


FATES: Final = text("""
SELECT notification.id, notification.message_id, notification.workspace, notification.receiver,
    notification.event, notification.state, notification.reason, account.name AS account_name,
    message.attempts, attempt.reason AS last_reason, attempt.answer AS last_answer
FROM notification JOIN message ON message.id = notification.message_id
LEFT JOIN attempt ON attempt.message_id = message.id AND attempt.number = message.attempts
LEFT JOIN account
    ON account.workspace = notification.workspace AND account.id = notification.subject
WHERE message.id IN :ids
ORDER BY notification.position
""")


def fates(tx: Connection, message_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return what became of the notifications in messages, as rows ready to print."""
    return [row._asdict() for row in rows.execute_portions(tx, FATES, "ids", message_ids)]
