"""The outbox: what is to be told to whom, queued by the commit that caused it.

Rules:
1. The outbox holds ids; the text is made when a message is sent.
2. What the commit makes untrue is cancelled in the same transaction.
3. What one receiver could not be told, the fallback is told once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.duration import Duration
from monitor.core.model import Event, EventType, Micros, NotificationState, SettledReason
from monitor.core.route import Audience, PlannedMessage, Receiver, fallback_event

from . import incidents, rows

GROUP_WAIT: Final = Duration.parse("10s")
"""How long a fallback that groups waits for more of what the same receiver could not be told."""


@dataclass(frozen=True, slots=True)
class Settled:
    """One notification came to an end: *outcome* is delivered, dead or cancelled."""

    receiver: str
    event: EventType
    outcome: NotificationState
    reason: SettledReason | None = None


def settled(notifications: Iterable[Row[Any]]) -> list[Settled]:
    """Return what came to an end, of rows of `notification` with their state as *outcome*."""
    return [rows.read(Settled, row) for row in notifications]


AUDIENCE: Final = text("""
SELECT receiver, 'heard' AS state FROM heard WHERE incident_id = :incident_id
UNION ALL
SELECT receiver, state FROM notification
WHERE incident_id = :incident_id AND settled_at IS NULL AND event <> 'notice'
""")


def audiences(tx: Connection, incident_ids: Iterable[str]) -> dict[str, Audience]:
    """Return for each incident who heard of it and for whom something is queued or being sent."""
    by_incident = {}
    for incident_id in incident_ids:
        receivers = tx.execute(AUDIENCE, {"incident_id": incident_id}).all()
        heard, waiting, sending = (
            frozenset(row.receiver for row in receivers if row.state == state)
            for state in ("heard", "pending", "sending")
        )
        by_incident[incident_id] = Audience(heard=heard, waiting=waiting, sending=sending)
    return by_incident


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
WHERE incident_id = :incident_id AND state = 'pending'
    AND (event <> 'notice' OR undelivered_to IS NOT NULL)
RETURNING receiver, event, state AS outcome, reason
""")

CANCEL_CHANGED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'superseded', settled_at = :now
WHERE incident_id = :incident_id AND state = 'pending'
    AND event IN ('changed', 'reminded', 'refreshed')
RETURNING receiver, event, state AS outcome, reason
""")


def cancel_outdated(tx: Connection, events: Iterable[Event], *, now: Micros) -> list[Settled]:
    """Cancel what *events* make untrue or needless before anything new is queued."""
    cancelled = []
    for event in events:
        values = {"incident_id": event.incident_id, "now": now}
        if event.type is EventType.RESOLVED:
            cancelled += settled(tx.execute(CANCEL_ENDED, values))
        elif event.type is EventType.CHANGED:
            cancelled += settled(tx.execute(CANCEL_CHANGED, values))
    if cancelled:
        tx.execute(CLOSE_EMPTY, {"now": now})
    return cancelled


CANCEL_REROUTED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'superseded', settled_at = :now
WHERE incident_id = :incident_id AND state = 'pending'
    AND receiver = :receiver AND undelivered_to IS NULL AND event <> 'notice'
RETURNING receiver, event, state AS outcome, reason
""")


def cancel_rerouted(tx: Connection, incident_id: str, receiver: str, now: Micros) -> list[Settled]:
    """Cancel what is queued of an incident for a receiver that its new cause leads away from."""
    values = {"incident_id": incident_id, "receiver": receiver, "now": now}
    cancelled = settled(tx.execute(CANCEL_REROUTED, values))
    tx.execute(CLOSE_EMPTY, {"now": now})
    return cancelled


ADD_MESSAGE: Final = text("""
INSERT INTO message (id, receiver, state, position, attempts, next_attempt_at, created_at)
SELECT :id, :receiver, 'pending', COALESCE(MAX(position), 0) + 1, 0,
    CAST(:start AS BIGINT), CAST(:now AS BIGINT)
FROM notification
""")

ADD_NOTIFICATION: Final = text(f"""
INSERT INTO notification (
    id, message_id, event_id, event, incident_id, workspace, subject, receiver, position, state,
    undelivered_to
)
SELECT :id, message.id, event.id, :event, incident_id, workspace,
    COALESCE(account_id, '{incidents.READING}'), receiver,
    (SELECT COALESCE(MAX(position), 0) + 1 FROM notification), 'pending', :undelivered_to
FROM message, event WHERE message.id = :message_id AND event.id = :event_id
""")  # noqa: S608 - all names are our own


def queue(
    tx: Connection,
    messages: Sequence[PlannedMessage],
    *,
    now: Micros,
    waits: Mapping[str, Micros],
    new_id: Callable[[], str],
) -> None:
    """Queue *messages*; *waits* says until when the opening of an incident waits."""
    for message in messages:
        id_ = new_id()
        start = max(waits.get(event.incident_id or "", now) for event in message.events)
        values = {"id": id_, "receiver": message.receiver, "start": start, "now": now}
        tx.execute(ADD_MESSAGE, values)
        for event in message.events:
            values = {"id": new_id(), "message_id": id_, "event_id": event.id}
            tx.execute(ADD_NOTIFICATION, {**values, "event": event.type, "undelivered_to": None})


RELEASE: Final = text("""
UPDATE message SET next_attempt_at = :now
WHERE settled_at IS NULL AND attempts = 0 AND next_attempt_at > :now
    AND id IN (
        SELECT message_id FROM notification
        WHERE incident_id = :incident_id AND settled_at IS NULL
    )
RETURNING receiver
""")


def release(tx: Connection, incident_id: str, *, now: Micros) -> set[str]:
    """Let what waited for the link of *incident_id* go; return the receivers it is for."""
    return set(tx.execute(RELEASE, {"incident_id": incident_id, "now": now}).scalars())


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
    start = now + GROUP_WAIT if fallback.groups else now
    for row in undelivered:
        values = {
            "receiver": fallback.name,
            "workspace": row.workspace,
            "incident_id": row.incident_id,
            "event_id": row.event_id,
            "undelivered_to": row.undelivered_to or row.receiver,
        }
        event = _fallback_event(tx, values)
        if event is None:
            continue
        message_id = tx.execute(COLLECTING, values).scalar() if fallback.groups else None
        if message_id is None:
            message_id = new_id()
            tx.execute(ADD_MESSAGE, {**values, "id": message_id, "start": start, "now": now})
        added = {"id": new_id(), "message_id": message_id, "event": event}
        tx.execute(ADD_NOTIFICATION, {**values, **added})


IS_KNOWN: Final = text("""
SELECT 1 FROM notification
WHERE incident_id = :incident_id AND receiver = :receiver AND undelivered_to = :undelivered_to
LIMIT 1
""")


def _fallback_event(tx: Connection, values: Mapping[str, Any]) -> EventType | None:
    incident_id = values["incident_id"]
    return fallback_event(
        incidents.load(tx, incident_id),
        audiences(tx, [incident_id])[incident_id],
        values["receiver"],
        is_known=tx.execute(IS_KNOWN, values).one_or_none() is not None,
    )


MARK_HEARD: Final = text("""
INSERT INTO heard (incident_id, receiver, at)
SELECT DISTINCT incident_id, receiver, CAST(:now AS BIGINT) FROM notification
WHERE message_id = :message_id AND state = 'sending' AND incident_id IS NOT NULL
    AND event <> 'notice'
ON CONFLICT (incident_id, receiver) DO NOTHING
""")

CANCEL_REMOVED_MESSAGES: Final = text("""
UPDATE message SET state = 'cancelled', settled_at = :now
WHERE receiver = :receiver AND settled_at IS NULL
RETURNING id
""")

CANCEL_REMOVED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'receiver_removed', settled_at = :now
WHERE receiver = :receiver AND settled_at IS NULL
RETURNING *, state AS outcome
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
        values = {"receiver": receiver, "now": now}
        messages = tx.execute(CANCEL_REMOVED_MESSAGES, values).scalars().all()
        rows.execute_many(tx, MARK_HEARD, ({"message_id": id_, "now": now} for id_ in messages))
        undelivered = tx.execute(CANCEL_REMOVED, values).all()
        if fallback:
            enqueue_for_fallback(tx, undelivered, fallback, now=now, new_id=new_id)
        cancelled += settled(undelivered)
    return cancelled


BACKLOG: Final = text("""
SELECT notification.receiver, COUNT(*) AS notifications, MIN(message.created_at) AS oldest_at
FROM notification JOIN message ON message.id = notification.message_id
WHERE notification.settled_at IS NULL GROUP BY notification.receiver
""")


def backlog(tx: Connection) -> dict[str, tuple[int, Micros]]:
    """Return for each receiver with a queue how many notifications are in it and since when."""
    return {row.receiver: (row.notifications, row.oldest_at) for row in tx.execute(BACKLOG)}
