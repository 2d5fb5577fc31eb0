"""The outbox: what is to be told to whom, queued by the commit that caused it.

Rules:
1. The outbox holds ids; the text is made when a message is sent.
2. What the commit makes untrue is cancelled in the same transaction.
3. What one receiver could not be told, the fallback is told once.
4. A message gets its place, its recipient and its notifications when it is queued; `claims` says
   how they may part or come together when it leaves.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, text

from monitor.core.duration import Duration
from monitor.core.model import (
    Event,
    EventType,
    Micros,
    NotificationState,
    SettledReason,
    Undelivered,
)
from monitor.core.route import Audience, PlannedMessage, Receiver, Recipient, fallback_event

from . import incidents, rows

GROUP_WAIT: Final = Duration.parse("10s")
"""How long a fallback that groups waits for more of what the same receiver could not be told."""

MAX_PORTION: Final = 100
"""How many messages of a removed or refusing receiver are looked at in one transaction."""


@dataclass(frozen=True, slots=True)
class Settled:
    """One notification came to an end: *outcome* is delivered, dead or cancelled."""

    receiver: str
    event: EventType
    outcome: NotificationState
    reason: SettledReason | None = None


# ── the end of notifications ─────────────────────────────────────────────────────────────────────

NOT_EMPTY: Final = text("""
SELECT DISTINCT message_id FROM notification WHERE message_id IN :ids AND settled_at IS NULL
""")

CLOSE_EMPTY: Final = text("""
UPDATE message SET state = 'cancelled', waits = NULL, settled_at = :now
WHERE id IN :ids AND state = 'pending'
""")

REST: Final = text("""
UPDATE message SET waits = CASE WHEN next_attempt_at > :now THEN 'time' END
WHERE waits = 'turn' AND id IN :ids
""")

NEXT_IN_TURN: Final = text("""
UPDATE message SET waits = CASE WHEN next_attempt_at > :now THEN 'time' END
WHERE waits = 'turn' AND id IN (
    SELECT message_id FROM notification
    WHERE receiver = :receiver AND address = :address AND workspace = :workspace
        AND subject IN :subjects AND settled_at IS NULL
)
""")


def end(tx: Connection, ended: Iterable[Row[Any]], *, now: Micros) -> list[Settled]:
    """Follow up what came to an end, rows of `notification` with their state as *outcome*.

    Messages of which nothing is left are closed, what waited behind them need not any more, nor may
    the rest of a message that waited because of what ended.
    """
    notifications = list(ended)
    ids = dict.fromkeys(row.message_id for row in notifications)
    kept = {row.message_id for row in rows.execute_portions(tx, NOT_EMPTY, "ids", ids)}
    rows.execute_portions(tx, CLOSE_EMPTY, "ids", (id_ for id_ in ids if id_ not in kept), now=now)
    rows.execute_portions(tx, REST, "ids", ids, now=now)
    pass_turn(tx, notifications, now=now)
    return [rows.read(Settled, row) for row in notifications]


def pass_turn(tx: Connection, notifications: Iterable[Row[Any]], *, now: Micros) -> None:
    """Let what waited behind *notifications* go, or wait for others."""
    subjects: dict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
    for row in notifications:
        subjects[row.receiver, row.address, row.workspace][row.subject] = None
    for (receiver, address, workspace), listed in subjects.items():
        queue_of = {"receiver": receiver, "address": address, "workspace": workspace}
        rows.execute_portions(tx, NEXT_IN_TURN, "subjects", listed, now=now, **queue_of)


CANCEL_ENDED: Final = text("""
UPDATE notification SET state = 'cancelled', settled_at = :now, reason = CASE
    WHEN (SELECT resolution FROM incident WHERE id = notification.incident_id) = 'unwatched'
    THEN 'unwatched' ELSE 'recovered' END
WHERE incident_id IN :ids AND settled_at IS NULL AND state = 'pending'
    AND (event <> 'notice' OR undelivered_to IS NOT NULL)
RETURNING *, state AS outcome
""")

CANCEL_CHANGED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'superseded', settled_at = :now
WHERE incident_id IN :ids AND settled_at IS NULL AND state = 'pending'
    AND event IN ('changed', 'reminded', 'refreshed')
RETURNING *, state AS outcome
""")


def cancel_outdated(tx: Connection, events: Iterable[Event], *, now: Micros) -> list[Settled]:
    """Cancel what *events* make untrue or needless before anything new is queued."""
    ended, changed = [], []
    for event in events:
        if event.type is EventType.RESOLVED:
            ended.append(event.incident_id)
        elif event.type is EventType.CHANGED:
            changed.append(event.incident_id)
    cancelled = [
        *rows.execute_portions(tx, CANCEL_ENDED, "ids", ended, now=now),
        *rows.execute_portions(tx, CANCEL_CHANGED, "ids", changed, now=now),
    ]
    return end(tx, cancelled, now=now)


CANCEL_REROUTED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'superseded', settled_at = :now
WHERE incident_id = :incident_id AND settled_at IS NULL AND state = 'pending'
    AND receiver = :receiver AND address = :address
    AND undelivered_to IS NULL AND event <> 'notice'
RETURNING *, state AS outcome
""")


def cancel_rerouted(
    tx: Connection, incident_id: str, recipient: Recipient, *, now: Micros
) -> list[Settled]:
    """Cancel what is queued of an incident for one whom its new cause leads away from."""
    values = {"incident_id": incident_id, **recipient._asdict(), "now": now}
    return end(tx, tx.execute(CANCEL_REROUTED, values), now=now)


SET_STATE: Final = text("""
UPDATE notification SET state = :to, reason = :reason, settled_at = :at
WHERE message_id = :message_id AND settled_at IS NULL
RETURNING *, state AS outcome
""")


def set_state(
    tx: Connection,
    message_id: str,
    *,
    to: NotificationState,
    reason: SettledReason | None = None,
    at: Micros | None = None,
) -> Sequence[Row[Any]]:
    """Change the notifications of a message that have not ended yet, and return them."""
    values = {"message_id": message_id, "to": to, "reason": reason, "at": at}
    return tx.execute(SET_STATE, values).all()


# ── queueing ─────────────────────────────────────────────────────────────────────────────────────

AUDIENCE: Final = text("""
SELECT incident_id, receiver, address, 'heard' AS state FROM heard WHERE incident_id IN :ids
UNION ALL
SELECT incident_id, receiver, address, state FROM notification
WHERE incident_id IN :ids AND settled_at IS NULL AND event <> 'notice' AND NOT EXISTS (
    SELECT 1 FROM message WHERE message.id = notification.message_id AND message.done IS NOT NULL
)
""")


def audiences(tx: Connection, incident_ids: Iterable[str]) -> dict[str, Audience]:
    """Return for each incident who heard of it and for whom something is queued or being sent."""
    by_incident: dict[str, dict[str, set[Recipient]]] = {
        id_: defaultdict(set) for id_ in incident_ids
    }
    for row in rows.execute_portions(tx, AUDIENCE, "ids", list(by_incident)):
        by_incident[row.incident_id][row.state].add(Recipient(row.receiver, row.address))
    return {
        incident_id: Audience(
            heard=frozenset(by_state["heard"]),
            waiting=frozenset(by_state["pending"]),
            sending=frozenset(by_state["sending"]),
        )
        for incident_id, by_state in by_incident.items()
    }


ADD_MESSAGE: Final = text("""
INSERT INTO message (
    id, workspace, receiver, address, undelivered_to, undelivered_why, undelivered_since, state,
    waits, position, part, attempts, unanswered, next_attempt_at, created_at
) VALUES (
    :id, :workspace, :receiver, :address, :undelivered_to, :undelivered_why, :undelivered_since,
    'pending', :waits, :position, 0, 0, 0, :start, :now
)
""")

ADD_NOTIFICATION: Final = text("""
INSERT INTO notification (
    id, message_id, event_id, event, incident_id, workspace, subject, receiver, address, position,
    state, undelivered_to
)
VALUES (
    :id, :message_id, :event_id, :event, :incident_id, :workspace, :subject, :receiver, :address,
    :position, 'pending', :undelivered_to
)
""")

SUBJECTS: Final = text("SELECT id, subject FROM incident WHERE id IN :ids")

NEXT_POSITION: Final = text("SELECT COALESCE(MAX(position), 0) + 1 FROM notification")


class _Told(NamedTuple):
    """An event that a message tells, and as what it is told."""

    event_id: str
    event: EventType
    incident_id: str | None
    subject: str


@dataclass(frozen=True, slots=True)
class _Queued:
    """A message to queue, and what it tells."""

    workspace: str
    recipient: Recipient
    events: Sequence[_Told]
    start: Micros
    undelivered: Undelivered | None = None


def queue(
    tx: Connection,
    messages: Sequence[PlannedMessage],
    *,
    now: Micros,
    waits: Mapping[str, Micros],
    new_id: Callable[[], str],
) -> None:
    """Queue *messages*; *waits* says until when the opening of an incident waits."""
    events = [event for message in messages for event in message.events]
    of_workspaces = {event.incident_id for event in events if event.account_id is None}
    subjects = {
        row.id: row.subject for row in rows.execute_portions(tx, SUBJECTS, "ids", of_workspaces)
    }
    queued = [
        _Queued(
            message.events[0].workspace,
            message.recipient,
            [
                _Told(event.id, event.type, event.incident_id, subject)
                for event in message.events
                for subject in [event.account_id or subjects[event.incident_id]]
            ],
            max(waits.get(event.incident_id or "", now) for event in message.events),
        )
        for message in messages
    ]
    _add(tx, queued, now=now, new_id=new_id)


def _add(
    tx: Connection, queued: Sequence[_Queued], *, now: Micros, new_id: Callable[[], str]
) -> None:
    """Add messages, each behind all that there are, and number what they hold."""
    if not queued:
        return
    positions = count(tx.execute(NEXT_POSITION).scalar_one())
    messages, notifications = [], []
    for message in queued:
        message_id, places = new_id(), list(islice(positions, len(message.events)))
        common = {
            "workspace": message.workspace,
            **message.recipient._asdict(),
            "undelivered_to": message.undelivered and message.undelivered.receiver,
        }
        messages.append(
            {
                **common,
                "id": message_id,
                "waits": "time" if message.start > now else None,
                "position": places[0],
                "start": message.start,
                "now": now,
                "undelivered_why": message.undelivered and message.undelivered.why,
                "undelivered_since": message.undelivered and message.undelivered.since,
            }
        )
        notifications += [
            {
                **common,
                **event._asdict(),
                "id": new_id(),
                "message_id": message_id,
                "position": place,
            }
            for place, event in zip(places, message.events, strict=True)
        ]
    rows.execute_many(tx, ADD_MESSAGE, messages)
    rows.execute_many(tx, ADD_NOTIFICATION, notifications)


RELEASE: Final = text("""
UPDATE message SET next_attempt_at = :now, waits = CASE waits WHEN 'time' THEN NULL ELSE waits END
WHERE settled_at IS NULL AND attempts = 0 AND next_attempt_at > :now AND id IN (
    SELECT message_id FROM notification
    WHERE incident_id = :incident_id AND settled_at IS NULL
)
RETURNING receiver
""")


def release(tx: Connection, incident_id: str, *, now: Micros) -> set[str]:
    """Let what waited for the link of *incident_id* go; return the receivers it is for."""
    return set(tx.execute(RELEASE, {"incident_id": incident_id, "now": now}).scalars())


# ── the fallback ─────────────────────────────────────────────────────────────────────────────────


MESSAGE: Final = text("SELECT * FROM message WHERE id = :id")


def enqueue_for_fallback(
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
            undelivered = undelivered_of(message) or undelivered
        event = _fallback_event(tx, row.incident_id, recipient, undelivered.receiver)
        if event is not None:
            events = [_Told(row.event_id, event, row.incident_id, row.subject)]
            copy = _Queued(row.workspace, recipient, events, start, undelivered)
            _add(tx, [copy], now=now, new_id=new_id)


def undelivered_of(message: Row[Any]) -> Undelivered | None:
    """Return who could not be told, if *message* is a copy for the fallback."""
    if message.undelivered_to is None:
        return None
    return Undelivered(message.undelivered_to, message.undelivered_why, message.undelivered_since)


IS_KNOWN: Final = text("""
SELECT 1 FROM notification
WHERE incident_id = :incident_id AND receiver = :receiver AND undelivered_to = :undelivered_to
LIMIT 1
""")


def _fallback_event(
    tx: Connection, incident_id: str | None, recipient: Recipient, undelivered_to: str
) -> EventType | None:
    values = {
        "incident_id": incident_id,
        "receiver": recipient.receiver,
        "undelivered_to": undelivered_to,
    }
    return fallback_event(
        incidents.load(tx, incident_id),
        audiences(tx, [incident_id])[incident_id] if incident_id else Audience(),
        recipient,
        is_known=tx.execute(IS_KNOWN, values).one_or_none() is not None,
    )


# ── receivers that are gone ──────────────────────────────────────────────────────────────────────

LIVE: Final = text("""
SELECT id, done FROM message WHERE receiver = :receiver AND settled_at IS NULL
ORDER BY created_at, id LIMIT :limit
""")

MARK_SENDING_HEARD: Final = text("""
INSERT INTO heard (incident_id, receiver, address, message_id, at)
SELECT DISTINCT incident_id, receiver, address, message_id, CAST(:now AS BIGINT) FROM notification
WHERE message_id = :message_id AND state = 'sending' AND incident_id IS NOT NULL
    AND event <> 'notice'
ON CONFLICT (incident_id, receiver, address) DO NOTHING
""")

CANCEL_REMOVED_MESSAGE: Final = text("""
UPDATE message SET state = 'cancelled', waits = NULL, claimed_until = NULL, settled_at = :now
WHERE id = :message_id
""")


def cancel_removed(
    tx: Connection,
    receiver: str,
    fallback: Receiver | None,
    *,
    now: Micros,
    new_id: Callable[[], str],
) -> list[Settled] | None:
    """Cancel a portion of what is queued for a *receiver* that is gone, and tell *fallback*.

    Return None if there was nothing. What was being sent may have arrived: should the receiver come
    back, it has heard.
    """
    values = {"receiver": receiver, "limit": MAX_PORTION}
    live = tx.execute(LIVE, values).all()
    messages = [{"message_id": row.id, "now": now} for row in live]
    rows.execute_many(tx, MARK_SENDING_HEARD, messages)
    to, reason = NotificationState.CANCELLED, SettledReason.RECEIVER_REMOVED
    cancelled = [
        row for message in live for row in set_state(tx, message.id, to=to, reason=reason, at=now)
    ]
    rows.execute_many(tx, CANCEL_REMOVED_MESSAGE, messages)
    if fallback:
        taken = {row.id for row in live if row.done is not None}
        untold = [row for row in cancelled if row.message_id not in taken]
        why = "left the configuration"
        enqueue_for_fallback(tx, untold, fallback, why=why, since=now, now=now, new_id=new_id)
    return end(tx, cancelled, now=now) if messages else None


# ── how much is queued ───────────────────────────────────────────────────────────────────────────

QUEUED_WORKSPACES: Final = text("""
SELECT DISTINCT workspace FROM message WHERE settled_at IS NULL
""")


def queued_workspaces(tx: Connection) -> set[str]:
    """Return the workspaces of which something is queued."""
    return set(tx.execute(QUEUED_WORKSPACES).scalars())


BACKLOG: Final = text("""
SELECT receiver, COUNT(*) AS notifications FROM notification
WHERE settled_at IS NULL GROUP BY receiver
""")

OLDEST: Final = text("""
SELECT MIN(created_at) FROM message WHERE receiver = :receiver AND settled_at IS NULL
""")


def backlog(tx: Connection) -> dict[str, tuple[int, Micros]]:
    """Return for each receiver with a queue how many notifications are in it and since when."""
    return {
        row.receiver: (
            row.notifications,
            tx.execute(OLDEST, {"receiver": row.receiver}).scalar_one(),
        )
        for row in tx.execute(BACKLOG).all()
    }
