"""The outbox: what is to be told to whom, queued by the commit that caused it.

Rules:
1. The outbox holds ids; the text is made when a message leaves.
2. What the commit makes untrue is withdrawn in the same transaction.
3. What one receiver could not be told, the fallback is told once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.duration import Duration
from monitor.core.model import (
    Account,
    Event,
    EventType,
    Micros,
    NotificationState,
    SettledReason,
)
from monitor.core.route import Audience, PlannedMessage, PlannedNotification, Routing, plan

from . import incidents

GROUP_WAIT: Final = Duration.parse("10s")
"""How long a fallback that groups waits for more of what the same receiver could not be told."""

POSITION: Final = text("SELECT COALESCE(MAX(position), 0) FROM notification")

ADD_MESSAGE: Final = text("""
INSERT INTO message (id, receiver, state, position, attempts, next_attempt_at, created_at)
VALUES (:id, :receiver, 'pending', :position, 0, :next_attempt_at, :now)
""")

ADD_NOTIFICATION: Final = text("""
INSERT INTO notification (
    id, message_id, event_id, event, incident_id, workspace, subject, receiver, position, state,
    undelivered_to
) VALUES (
    :id, :message_id, :event_id, :event, :incident_id, :workspace, :subject, :receiver, :position,
    'pending', :undelivered_to
)
""")

HEARD: Final = text("SELECT receiver FROM heard WHERE incident_id = :incident_id")

LIVE: Final = text("""
SELECT receiver, state FROM notification
WHERE incident_id = :incident_id AND settled_at IS NULL AND event <> 'notice'
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

CANCEL_REROUTED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'superseded', settled_at = :now
WHERE incident_id = :incident_id AND settled_at IS NULL AND state = 'pending'
    AND receiver = :receiver AND undelivered_to IS NULL AND event <> 'notice'
RETURNING receiver, event, reason
""")

CLOSE_EMPTY: Final = text("""
UPDATE message SET state = 'cancelled', settled_at = :now
WHERE settled_at IS NULL AND state = 'pending' AND NOT EXISTS (
    SELECT 1 FROM notification
    WHERE notification.message_id = message.id AND notification.settled_at IS NULL
)
""")

BACKLOG: Final = text("""
SELECT notification.receiver, COUNT(*) AS notifications, MIN(message.created_at) AS oldest_at
FROM notification JOIN message ON message.id = notification.message_id
WHERE notification.settled_at IS NULL GROUP BY notification.receiver
""")

RELEASE: Final = text("""
UPDATE message SET next_attempt_at = :now
WHERE settled_at IS NULL AND state = 'pending' AND attempts = 0 AND next_attempt_at > :now
    AND id IN (
        SELECT message_id FROM notification
        WHERE incident_id = :incident_id AND settled_at IS NULL
    )
""")

RECEIVERS: Final = text("""
SELECT DISTINCT receiver FROM message WHERE settled_at IS NULL
""")

IS_KNOWN: Final = text("""
SELECT id FROM notification
WHERE incident_id = :incident_id AND receiver = :receiver AND undelivered_to = :undelivered_to
LIMIT 1
""")

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

MARK_SENDING_HEARD: Final = text("""
INSERT INTO heard (incident_id, receiver, at)
SELECT DISTINCT incident_id, receiver, CAST(:now AS BIGINT) FROM notification
WHERE receiver = :receiver AND state = 'sending' AND incident_id IS NOT NULL
    AND event <> 'notice'
ON CONFLICT (incident_id, receiver) DO NOTHING
""")

CANCEL_REMOVED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'receiver_removed', settled_at = :now
WHERE receiver = :receiver AND settled_at IS NULL
RETURNING *
""")

CANCEL_REMOVED_MESSAGES: Final = text("""
UPDATE message SET state = 'cancelled', claimed_until = NULL, settled_at = :now
WHERE receiver = :receiver AND settled_at IS NULL
""")


@dataclass(frozen=True, slots=True)
class Receiver:
    """What the outbox has to know of a receiver; *address_label* holds its address, if any."""

    name: str
    groups: bool
    may_have_link: bool
    address_label: str | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """One notification came to an end: *outcome* is delivered, dead or cancelled."""

    receiver: str
    event: EventType
    outcome: NotificationState
    reason: SettledReason | None = None


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What telling came to: notifications that were *cancelled*, events nobody would hear of."""

    cancelled: tuple[Settled, ...] = ()
    unrouted: tuple[Event, ...] = ()


def audience(tx: Connection, incident_ids: Iterable[str]) -> dict[str, Audience]:
    """Return for each incident who heard of it and for whom something is waiting or leaving."""
    found = {}
    for incident_id in incident_ids:
        values = {"incident_id": incident_id}
        live = tx.execute(LIVE, values).all()
        found[incident_id] = Audience(
            heard=frozenset(tx.execute(HEARD, values).scalars()),
            waiting=frozenset(row.receiver for row in live if row.state == "pending"),
            sending=frozenset(row.receiver for row in live if row.state == "sending"),
        )
    return found


def cancel_outdated(tx: Connection, events: Iterable[Event], *, now: Micros) -> list[Settled]:
    """Cancel what *events* make untrue or needless before anything new is queued."""
    ended = []
    for event in events:
        values = {"incident_id": event.incident_id, "now": now}
        if event.type is EventType.RESOLVED:
            ended += _cancelled(tx.execute(CANCEL_ENDED, values))
        elif event.type is EventType.CHANGED:
            ended += _cancelled(tx.execute(CANCEL_CHANGED, values))
    if ended:
        tx.execute(CLOSE_EMPTY, {"now": now})
    return ended


def enqueue(
    tx: Connection,
    events: Sequence[Event],
    *,
    routing: Routing,
    accounts: Mapping[str, Account],
    group_over: int,
    now: Micros,
    new_id: Callable[[], str],
    waits: Mapping[str, Micros] | None = None,
) -> Enqueued:
    """Queue what people are to hear of *events*, which come from one commit of one workspace.

    What they make untrue or needless is withdrawn first; *waits* says until when the opening of an
    incident waits for its link.
    """
    cancelled = cancel_outdated(tx, events, now=now)
    planned = plan(
        events,
        audience=audience(tx, {one.incident_id for one in events if one.incident_id}),
        routing=routing,
        accounts=accounts,
        group_over=group_over,
    )
    for one in planned.rerouted:
        cancelled += _cancel_rerouted(tx, one, now)
    queue(tx, planned.messages, now=now, waits=waits or {}, new_id=new_id)
    for event in events:
        if event.type is EventType.REFRESHED and event.incident_id:
            release(tx, event.incident_id, now=now)
    return Enqueued(tuple(cancelled), planned.unrouted)


def queue(
    tx: Connection,
    messages: Sequence[PlannedMessage],
    *,
    now: Micros,
    waits: Mapping[str, Micros],
    new_id: Callable[[], str],
) -> None:
    """Queue a message for each parcel; *waits* says until when the opening of an incident waits."""
    if not messages:
        return
    position = tx.execute(POSITION).scalar_one()
    for message in messages:
        position += 1
        message_id = new_id()
        start = max(waits.get(one.event.incident_id or "", now) for one in message.notifications)
        add_message(tx, message_id, message.receiver, position, now=now, start=start)
        for notification in message.notifications:
            position += 1
            event = notification.event
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


def release(tx: Connection, incident_id: str, *, now: Micros) -> None:
    """Let what waited for the link of *incident_id* go."""
    tx.execute(RELEASE, {"incident_id": incident_id, "now": now})


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
    The opening of an incident that is still open and that the fallback has not heard of is an
    opening for it too; anything else is a notice, and one notice a receiver is enough while the
    incident is open.
    """
    position = tx.execute(POSITION).scalar_one()
    for row in undelivered:
        event = _for_fallback(tx, row, fallback.name)
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


def cancel_removed(
    tx: Connection,
    known: Iterable[str],
    fallback: Receiver | None,
    *,
    now: Micros,
    new_id: Callable[[], str],
) -> list[Settled]:
    """Cancel what is queued for receivers that are not *known* any more and tell *fallback*.

    What was leaving may have arrived: should the receiver come back, it has heard.
    """
    ended = []
    for receiver in set(tx.execute(RECEIVERS).scalars()) - set(known):
        tx.execute(MARK_SENDING_HEARD, {"receiver": receiver, "now": now})
        rows = tx.execute(CANCEL_REMOVED, {"receiver": receiver, "now": now}).all()
        tx.execute(CANCEL_REMOVED_MESSAGES, {"receiver": receiver, "now": now})
        if fallback:
            enqueue_for_fallback(tx, rows, fallback, now=now, new_id=new_id)
        ended += _cancelled(rows)
    return ended


def backlog(tx: Connection) -> dict[str, tuple[int, Micros]]:
    """Return for each receiver with a queue how many notifications are in it and since when."""
    return {row.receiver: (row.notifications, row.oldest_at) for row in tx.execute(BACKLOG)}


def _cancel_rerouted(
    tx: Connection, notification: PlannedNotification, now: Micros
) -> list[Settled]:
    values = {
        "incident_id": notification.event.incident_id,
        "receiver": notification.receiver,
        "now": now,
    }
    ended = _cancelled(tx.execute(CANCEL_REROUTED, values))
    tx.execute(CLOSE_EMPTY, {"now": now})
    return ended


def _cancelled(rows: Iterable[Row[Any]]) -> list[Settled]:
    cancelled = NotificationState.CANCELLED
    return [
        Settled(row.receiver, EventType(row.event), cancelled, SettledReason(row.reason))
        for row in rows
    ]


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


def _for_fallback(tx: Connection, row: Row[Any], fallback: str) -> EventType | None:
    """Return as what the fallback is told of *row*, or None if it knows already."""
    incident = incidents.load(tx, row.incident_id) if row.incident_id else None
    if incident is None or not incident.is_open:
        return EventType.NOTICE
    known = audience(tx, [incident.id])[incident.id]
    if fallback not in known.heard | known.waiting | known.sending:
        return EventType.OPENED
    untold = row.undelivered_to or row.receiver
    values = {"incident_id": incident.id, "receiver": fallback, "undelivered_to": untold}
    is_known = tx.execute(IS_KNOWN, values).one_or_none() is not None
    return None if is_known else EventType.NOTICE


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
