"""The outbox: what is to be told to whom, queued by the commit that caused it.

Rules:
1. The outbox holds ids; the text is made when a message is sent.
2. What the commit makes untrue is cancelled in the same transaction.
3. A message gets its place, its recipient and its notifications when it is queued; `claims` says
   how they may part or come together when it leaves.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, text

from monitor.core.draft import Decision
from monitor.core.model import Cause, EventType, Micros, Reason, Resolution
from monitor.core.notification import NotificationState, SettledReason, Undelivered
from monitor.core.plan import PlannedMessage
from monitor.core.route import Audience, Recipient

from . import rows


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
    return settled(notifications)


def settled(ended: Iterable[Row[Any]]) -> list[Settled]:
    """Return what came to an end, rows of `notification` with their state as *outcome*."""
    return [rows.read(Settled, row) for row in ended]


def pass_turn(tx: Connection, notifications: Iterable[Row[Any]], *, now: Micros) -> None:
    """Let what waited behind *notifications* go, or wait for others."""
    subjects: dict[tuple[str, str, str], dict[str, None]] = defaultdict(dict)
    for row in notifications:
        subjects[row.receiver, row.address, row.workspace][row.subject] = None
    for (receiver, address, workspace), listed in subjects.items():
        queue_of = {"receiver": receiver, "address": address, "workspace": workspace}
        rows.execute_portions(tx, NEXT_IN_TURN, "subjects", listed, now=now, **queue_of)


CANCEL_ENDED: Final = text("""
UPDATE notification SET state = 'cancelled', settled_at = :now, reason = :reason
WHERE incident_id IN :ids AND settled_at IS NULL AND state = 'pending'
    AND (event <> 'notice' OR undelivered_to IS NOT NULL)
RETURNING *, state AS outcome
""")

CANCEL_CHANGED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'superseded', settled_at = :now
WHERE incident_id IN :ids AND settled_at IS NULL AND state = 'pending'
    AND (event IN ('changed', 'reminded', 'refreshed', 'acknowledged')
        OR event = 'escalated' AND EXISTS (
            SELECT 1 FROM heard WHERE heard.incident_id = notification.incident_id
                AND heard.receiver = notification.receiver AND heard.address = notification.address
        ))
RETURNING *, state AS outcome
""")


def cancel_outdated(tx: Connection, decision: Decision, *, now: Micros) -> list[Settled]:
    """Cancel what *decision* makes untrue or needless before anything new is queued."""
    cancelled, ended = list[Row[Any]](), defaultdict[SettledReason, list[str]](list)
    for incident in decision.incidents:
        if not incident.is_open:
            is_unwatched = incident.resolution is Resolution.UNWATCHED
            reason = SettledReason.UNWATCHED if is_unwatched else SettledReason.RECOVERED
            ended[reason].append(incident.id)
    for reason, ids in ended.items():
        cancelled += rows.execute_portions(tx, CANCEL_ENDED, "ids", ids, now=now, reason=reason)
    changed = (
        it.incident_id
        for it in decision.events
        if it.type is EventType.CHANGED and it.reason is not Reason.MUTE_ENDED
    )
    cancelled += rows.execute_portions(tx, CANCEL_CHANGED, "ids", changed, now=now)
    return end(tx, cancelled, now=now)


CANCEL_ERASED: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'by_hand', settled_at = :now
WHERE workspace = :workspace AND subject = :subject AND settled_at IS NULL AND state = 'pending'
RETURNING *, state AS outcome
""")


def cancel_erased(tx: Connection, workspace: str, account_id: str, *, now: Micros) -> list[Settled]:
    """Cancel what is still to be told of an account that is erased."""
    values = {"workspace": workspace, "subject": account_id, "now": now}
    return end(tx, tx.execute(CANCEL_ERASED, values), now=now)


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
SELECT incident_id, receiver, address, 'heard' AS state, told_cause, EXISTS (
    SELECT 1 FROM event WHERE event.incident_id = heard.incident_id
        AND event.reason = 'new_condition' AND event.at > COALESCE(heard.told_at, heard.at)
) AS is_behind FROM heard
WHERE incident_id IN :ids
UNION ALL
SELECT incident_id, receiver, address, state, NULL, NULL FROM notification
WHERE incident_id IN :ids AND settled_at IS NULL AND event <> 'notice' AND NOT EXISTS (
    SELECT 1 FROM message WHERE message.id = notification.message_id AND message.done IS NOT NULL
)
""")


def audiences(tx: Connection, incident_ids: Iterable[str]) -> dict[str, Audience]:
    """Return for each incident who heard of it and for whom something is queued or being sent."""
    by_incident: dict[str, dict[str, set[Recipient]]] = {
        id_: defaultdict(set) for id_ in incident_ids
    }
    causes: dict[str, dict[Recipient, Cause]] = defaultdict(dict)
    behind: dict[str, set[Recipient]] = defaultdict(set)
    for row in rows.execute_portions(tx, AUDIENCE, "ids", list(by_incident)):
        recipient = Recipient(row.receiver, row.address)
        by_incident[row.incident_id][row.state].add(recipient)
        if row.told_cause is not None:
            causes[row.incident_id][recipient] = Cause(row.told_cause)
        if row.is_behind:
            behind[row.incident_id].add(recipient)
    return {
        incident_id: Audience(
            heard=frozenset(by_state["heard"]),
            causes=causes[incident_id],
            behind=frozenset(behind[incident_id]),
            waiting=frozenset(by_state["pending"]),
            sending=frozenset(by_state["sending"]),
        )
        for incident_id, by_state in by_incident.items()
    }


ADD_MESSAGE: Final = text("""
INSERT INTO message (
    id, workspace, holder, receiver, address, undelivered_to, undelivered_why, undelivered_since,
    state, waits, position, part, attempts, unanswered, next_attempt_at, created_at
) VALUES (
    :id, :workspace, :holder, :receiver, :address, :undelivered_to, :undelivered_why,
    :undelivered_since, 'pending', :waits, :position, 0, 0, 0, :start, :now
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

NEXT_POSITIONS: Final = text("""
UPDATE workspace SET position =
    CASE WHEN position < :now THEN CAST(:now AS BIGINT) ELSE position + 1 END + :more
WHERE name = :workspace RETURNING position, holder
""")
"""Positions are times, so that what comes first of several workspaces is what was queued first."""


class QueuedEvent(NamedTuple):
    """An event that a message tells, and as what it is told."""

    event_id: str
    event: EventType
    incident_id: str | None
    subject: str


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message to queue, and what it tells."""

    workspace: str
    recipient: Recipient
    events: Sequence[QueuedEvent]
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
        QueuedMessage(
            message.events[0].workspace,
            message.recipient,
            [
                QueuedEvent(event.id, event.type, event.incident_id, subject)
                for event in message.events
                for subject in [event.account_id or subjects[event.incident_id]]
            ],
            max(waits.get(event.incident_id or "", now) for event in message.events),
        )
        for message in messages
    ]
    add(tx, queued, now=now, new_id=new_id)


def add(
    tx: Connection, queued: Sequence[QueuedMessage], *, now: Micros, new_id: Callable[[], str]
) -> list[str]:
    """Add messages, each behind all that there are of its workspace, and number what they hold.

    Return their ids.
    """
    sizes = Counter[str]()
    for message in queued:
        sizes[message.workspace] += len(message.events)
    positions, holders = {}, {}
    for workspace, size in sizes.items():
        values = {"workspace": workspace, "now": now, "more": size - 1}
        row = tx.execute(NEXT_POSITIONS, values).one()
        holders[workspace], positions[workspace] = row.holder, count(row.position - size + 1)
    messages, notifications = [], []
    for message in queued:
        places = list(islice(positions[message.workspace], len(message.events)))
        message_id = new_id()
        common = {
            "workspace": message.workspace,
            **message.recipient._asdict(),
            "undelivered_to": message.undelivered and message.undelivered.receiver,
        }
        messages.append(
            {
                **common,
                "id": message_id,
                "holder": holders[message.workspace],
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
    return [message["id"] for message in messages]


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


# ── what is being sent ───────────────────────────────────────────────────────────────────────────

MARK_SENDING_HEARD: Final = text("""
INSERT INTO heard (incident_id, receiver, address, message_id, at)
SELECT DISTINCT incident_id, receiver, address, message_id, CAST(:now AS BIGINT) FROM notification
WHERE message_id = :message_id AND state = 'sending' AND incident_id IS NOT NULL
    AND event <> 'notice'
ON CONFLICT (incident_id, receiver, address) DO NOTHING
""")


# ── how much is queued ───────────────────────────────────────────────────────────────────────────

QUEUED_WORKSPACES: Final = text("""
SELECT DISTINCT workspace FROM message WHERE holder = :replica AND settled_at IS NULL
""")


def queued_workspaces(tx: Connection, replica: str) -> set[str]:
    """Return the workspaces of *replica* of which something is queued."""
    return set(tx.execute(QUEUED_WORKSPACES, {"replica": replica}).scalars())


BACKLOG: Final = text("""
SELECT receiver, COUNT(*) AS notifications FROM notification
WHERE settled_at IS NULL AND workspace IN (SELECT name FROM workspace WHERE holder = :replica)
GROUP BY receiver
""")

OLDEST: Final = text("""
SELECT MIN(created_at) FROM message
WHERE holder = :replica AND receiver = :receiver AND settled_at IS NULL
""")


def backlog(tx: Connection, replica: str) -> dict[str, tuple[int, Micros]]:
    """Return for each receiver with a queue how much *replica* has for it, and since when.

    That is a number of notifications.
    """
    return {
        row.receiver: (
            row.notifications,
            tx.execute(OLDEST, {"replica": replica, "receiver": row.receiver}).scalar_one(),
        )
        for row in tx.execute(BACKLOG, {"replica": replica}).all()
    }


HAND_OVER: Final = text("""
UPDATE message SET holder = (SELECT holder FROM workspace WHERE workspace.name = message.workspace)
WHERE workspace IN :names AND settled_at IS NULL
""")


def hand_over(tx: Connection, names: Iterable[str]) -> None:
    """Let who holds the workspaces *names* now deliver what is queued of them."""
    rows.execute_portions(tx, HAND_OVER, "names", names)


SENDING_OF: Final = text("""
SELECT DISTINCT workspace FROM message WHERE workspace IN :names AND state = 'sending'
""")


def sending_of(tx: Connection, names: Iterable[str]) -> set[str]:
    """Return those of the workspaces *names* of which something is being sent."""
    return {row.workspace for row in rows.execute_portions(tx, SENDING_OF, "names", names)}
