"""The outbox: what is to be told to whom, queued by the commit that caused it.

Rules:
1. The outbox holds ids; the text is made when a message leaves.
2. What the commit makes untrue is cancelled in the same transaction.
3. What one receiver could not be told, the fallback is told once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.duration import Duration
from monitor.core.model import (
    Event,
    EventType,
    Micros,
    NotificationState,
    SettledReason,
)
from monitor.core.route import (
    Audience,
    PlannedMessage,
    Receiver,
    fallback_event,
)

from . import incidents

GROUP_WAIT: Final = Duration.parse("10s")
"""How long a fallback that groups waits for more of what the same receiver could not be told."""


@dataclass(frozen=True, slots=True)
class Settled:
    """One notification came to an end: *outcome* is delivered, dead or cancelled."""

    receiver: str
    event: EventType
    outcome: NotificationState
    reason: SettledReason | None = None


LIVE: Final = text("""
SELECT receiver, state FROM notification
WHERE incident_id = :incident_id AND settled_at IS NULL AND event <> 'notice'
""")


HEARD: Final = text("SELECT receiver FROM heard WHERE incident_id = :incident_id")


def audience(tx: Connection, incident_ids: Iterable[str]) -> dict[str, Audience]:
    """Return for each incident who heard of it and for whom something is queued or being sent."""
    audiences = {}
    for incident_id in incident_ids:
        values = {"incident_id": incident_id}
        live = tx.execute(LIVE, values).all()
        audiences[incident_id] = Audience(
            heard=frozenset(tx.execute(HEARD, values).scalars()),
            waiting=frozenset(row.receiver for row in live if row.state == "pending"),
            sending=frozenset(row.receiver for row in live if row.state == "sending"),
        )
    return audiences


CLOSE_EMPTY: Final = text("""
UPDATE message SET state = 'cancelled', settled_at = :now
WHERE settled_at IS NULL AND state = 'pending' AND NOT EXISTS (
    SELECT 1 FROM notification
    WHERE notification.message_id = message.id AND notification.settled_at IS NULL
)
""")


CANCEL_ENDED: Final = text("""
UPDATE notification SET state = 'cancelled', settled_at = :now, reason = CASE
    WHEN (SELECT resolution FROM incident WHERE id = :incident_id) = 'unwatched' THEN 'unwatched'
    ELSE 'recovered' END
WHERE incident_id = :incident_id AND settled_at IS NULL AND state = 'pending'
    AND (event <> 'notice' OR undelivered_to IS NOT NULL)
RETURNING receiver, event, reason
""")


CANCEL_CHANGED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'superseded', settled_at = :now
WHERE incident_id = :incident_id AND settled_at IS NULL AND state = 'pending'
    AND event IN ('changed', 'reminded', 'refreshed')
RETURNING receiver, event, reason
""")


def cancel_outdated(tx: Connection, events: Iterable[Event], *, now: Micros) -> list[Settled]:
    """Cancel what *events* make untrue or needless before anything new is queued."""
    cancelled = []
    for event in events:
        values = {"incident_id": event.incident_id, "now": now}
        if event.type is EventType.RESOLVED:
            cancelled += _cancelled(tx.execute(CANCEL_ENDED, values))
        elif event.type is EventType.CHANGED:
            cancelled += _cancelled(tx.execute(CANCEL_CHANGED, values))
    if cancelled:
        tx.execute(CLOSE_EMPTY, {"now": now})
    return cancelled


POSITION: Final = text("SELECT COALESCE(MAX(position), 0) FROM notification")


ADD_NOTIFICATION: Final = text("""
INSERT INTO notification (
    id, message_id, event_id, event, incident_id, workspace, subject, receiver, position, state,
    undelivered_to
) VALUES (
    :id, :message_id, :event_id, :event, :incident_id, :workspace, :subject, :receiver, :position,
    'pending', :undelivered_to
)
""")


def queue(
    tx: Connection,
    messages: Sequence[PlannedMessage],
    *,
    now: Micros,
    waits: Mapping[str, Micros],
    new_id: Callable[[], str],
) -> None:
    """Queue *messages*; *waits* says until when the opening of an incident waits."""
    if not messages:
        return
    position = tx.execute(POSITION).scalar_one()
    for message in messages:
        position += 1
        message_id = new_id()
        start = max(waits.get(event.incident_id or "", now) for event in message.events)
        add_message(tx, message_id, message.receiver, position, now=now, start=start)
        for event in message.events:
            position += 1
            tx.execute(
                ADD_NOTIFICATION,
                {
                    "id": new_id(),
                    "message_id": message_id,
                    "event_id": event.id,
                    "event": event.type,
                    "incident_id": event.incident_id,
                    "workspace": event.workspace,
                    "subject": event.account_id or incidents.READING,
                    "receiver": message.receiver,
                    "position": position,
                    "undelivered_to": None,
                },
            )


RELEASE: Final = text("""
UPDATE message SET next_attempt_at = :now
WHERE settled_at IS NULL AND state = 'pending' AND attempts = 0 AND next_attempt_at > :now
    AND id IN (
        SELECT message_id FROM notification
        WHERE incident_id = :incident_id AND settled_at IS NULL
    )
RETURNING receiver
""")


def release(tx: Connection, incident_id: str, *, now: Micros) -> set[str]:
    """Let what waited for the link of *incident_id* go; return the receivers it is for."""
    return set(tx.execute(RELEASE, {"incident_id": incident_id, "now": now}).scalars())


def enqueue_for_fallback(
    tx: Connection,
    undelivered: Iterable[Row[Any]],
    fallback: Receiver,
    *,
    now: Micros,
    new_id: Callable[[], str],
) -> None:
    """Queue for *fallback* what another receiver could not be told.

    If it groups, what comes within a few seconds of one workspace is one message: a receiver that
    gets an event a request refuses them one by one.
    """
    position = tx.execute(POSITION).scalar_one()
    for row in undelivered:
        event = _fallback_event(tx, row, fallback.name)
        if event is None:
            continue
        message_id = _collecting(tx, row, fallback)
        if message_id is None:
            position += 1
            message_id = new_id()
            start = now + GROUP_WAIT if fallback.groups else now
            add_message(tx, message_id, fallback.name, position, now=now, start=start)
        position += 1
        tx.execute(
            ADD_NOTIFICATION,
            {
                "id": new_id(),
                "message_id": message_id,
                "event_id": row.event_id,
                "event": event,
                "incident_id": row.incident_id,
                "workspace": row.workspace,
                "subject": row.subject,
                "receiver": fallback.name,
                "position": position,
                "undelivered_to": row.undelivered_to or row.receiver,
            },
        )


MARK_SENDING_HEARD: Final = text("""
INSERT INTO heard (incident_id, receiver, at)
SELECT DISTINCT incident_id, receiver, CAST(:now AS BIGINT) FROM notification
WHERE receiver = :receiver AND state = 'sending' AND incident_id IS NOT NULL
    AND event <> 'notice'
ON CONFLICT (incident_id, receiver) DO NOTHING
""")


CANCEL_REMOVED_MESSAGES: Final = text("""
UPDATE message SET state = 'cancelled', claimed_until = NULL, settled_at = :now
WHERE receiver = :receiver AND settled_at IS NULL
""")


CANCEL_REMOVED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'receiver_removed', settled_at = :now
WHERE receiver = :receiver AND settled_at IS NULL
RETURNING *
""")


RECEIVERS: Final = text("""
SELECT DISTINCT receiver FROM message WHERE settled_at IS NULL
""")


def cancel_removed(
    tx: Connection,
    receivers: Iterable[str],
    fallback: Receiver | None,
    *,
    now: Micros,
    new_id: Callable[[], str],
) -> list[Settled]:
    """Cancel what is queued for receivers that are gone (not in *receivers*); tell *fallback*.

    What was being sent may have arrived: should the receiver come back, it has heard.
    """
    cancelled = []
    for receiver in set(tx.execute(RECEIVERS).scalars()) - set(receivers):
        tx.execute(MARK_SENDING_HEARD, {"receiver": receiver, "now": now})
        rows = tx.execute(CANCEL_REMOVED, {"receiver": receiver, "now": now}).all()
        tx.execute(CANCEL_REMOVED_MESSAGES, {"receiver": receiver, "now": now})
        if fallback:
            enqueue_for_fallback(tx, rows, fallback, now=now, new_id=new_id)
        cancelled += _cancelled(rows)
    return cancelled


BACKLOG: Final = text("""
SELECT notification.receiver, COUNT(*) AS notifications, MIN(message.created_at) AS oldest_at
FROM notification JOIN message ON message.id = notification.message_id
WHERE notification.settled_at IS NULL GROUP BY notification.receiver
""")


def backlog(tx: Connection) -> dict[str, tuple[int, Micros]]:
    """Return for each receiver with a queue how many notifications are in it and since when."""
    return {row.receiver: (row.notifications, row.oldest_at) for row in tx.execute(BACKLOG)}


CANCEL_REROUTED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'superseded', settled_at = :now
WHERE incident_id = :incident_id AND settled_at IS NULL AND state = 'pending'
    AND receiver = :receiver AND undelivered_to IS NULL AND event <> 'notice'
RETURNING receiver, event, reason
""")


def cancel_rerouted(tx: Connection, incident_id: str, receiver: str, now: Micros) -> list[Settled]:
    """Cancel what is queued of an incident for a receiver that its new cause leads away from."""
    values = {"incident_id": incident_id, "receiver": receiver, "now": now}
    cancelled = _cancelled(tx.execute(CANCEL_REROUTED, values))
    tx.execute(CLOSE_EMPTY, {"now": now})
    return cancelled


def _cancelled(rows: Iterable[Row[Any]]) -> list[Settled]:
    return [
        Settled(
            row.receiver,
            EventType(row.event),
            NotificationState.CANCELLED,
            SettledReason(row.reason),
        )
        for row in rows
    ]


COLLECTING: Final = text("""
SELECT id FROM message
WHERE receiver = :receiver AND state = 'pending' AND settled_at IS NULL AND attempts = 0
    AND EXISTS (
        SELECT 1 FROM notification
        WHERE notification.message_id = message.id AND notification.settled_at IS NULL
            AND notification.workspace = :workspace
            AND notification.undelivered_to = :undelivered_to
    )
LIMIT 1
""")


def _collecting(tx: Connection, row: Row[Any], fallback: Receiver) -> str | None:
    """Return the message for *fallback* that *row* may join, if there is one."""
    if not fallback.groups:
        return None
    values = {
        "receiver": fallback.name,
        "workspace": row.workspace,
        "undelivered_to": row.undelivered_to or row.receiver,
    }
    message_id: str | None = tx.execute(COLLECTING, values).scalar_one_or_none()
    return message_id


IS_KNOWN: Final = text("""
SELECT id FROM notification
WHERE incident_id = :incident_id AND receiver = :receiver AND undelivered_to = :undelivered_to
LIMIT 1
""")


def _fallback_event(tx: Connection, row: Row[Any], fallback: str) -> EventType | None:
    incident = incidents.load(tx, row.incident_id) if row.incident_id else None
    if incident is None:
        return fallback_event(None, Audience(), fallback, is_known=False)
    undelivered_to = row.undelivered_to or row.receiver
    values = {
        "incident_id": incident.id,
        "receiver": fallback,
        "undelivered_to": undelivered_to,
    }
    is_known = tx.execute(IS_KNOWN, values).one_or_none() is not None
    reached = audience(tx, [incident.id])[incident.id]
    return fallback_event(incident, reached, fallback, is_known=is_known)


ADD_MESSAGE: Final = text("""
INSERT INTO message (id, receiver, state, position, attempts, next_attempt_at, created_at)
VALUES (:id, :receiver, 'pending', :position, 0, :next_attempt_at, :now)
""")


def add_message(
    tx: Connection, id_: str, receiver: str, position: int, *, now: Micros, start: Micros
) -> None:
    """Queue an empty message, first due at *start*."""
    tx.execute(
        ADD_MESSAGE,
        {
            "id": id_,
            "receiver": receiver,
            "position": position,
            "next_attempt_at": start,
            "now": now,
        },
    )
