"""The claims: taking a message out of the outbox, and settling it.

Rules:
1. A message is claimed by comparing and swapping its state; `attempts` is the fencing token, so a
   claim that lapsed cannot settle.
2. A claim that lapsed was a send whose outcome is unknown: its receiver counts as having heard.
3. Nothing about an account is sent to a receiver while something queued earlier is still there.
4. "Nothing claimed" never means "queue empty".
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.backoff import delivery_backoff
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.inventory import Inventory
from monitor.core.model import (
    EventType,
    Message,
    Micros,
    Notification,
    NotificationState,
    SettledReason,
)
from monitor.core.recheck import QueuedNotification, Wait, recheck
from monitor.core.route import Receiver
from monitor.core.text import sanitize

from . import accounts, incidents, outbox, rows, sessions, workspaces
from .outbox import Settled

RECHECK_WAIT: Final = Duration.parse("2s")
"""How long a message waits while nobody knows whether it still holds."""

MAX_ERROR: Final = 1000
"""More characters of an error are not kept."""


@dataclass(frozen=True, slots=True)
class View:
    """What the database doesn't know of workspaces.

    *inventory* says which are watched and how they are labelled, *is_current* whether one was
    polled lately.
    """

    inventory: Inventory
    is_current: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is ours to send; *ended* are notifications found to be over."""

    message: Message | None
    attempts: int = 0
    created_at: Micros = 0
    ended: tuple[Settled, ...] = ()


NEXT: Final = text("""
SELECT message.* FROM message
WHERE message.receiver = :receiver AND message.settled_at IS NULL
    AND message.state = 'pending' AND message.next_attempt_at <= :now
    AND NOT EXISTS (
        SELECT 1 FROM notification AS mine
        JOIN notification AS earlier
            ON earlier.receiver = mine.receiver AND earlier.workspace = mine.workspace
            AND earlier.subject = mine.subject AND earlier.position < mine.position
            AND earlier.settled_at IS NULL
            AND earlier.message_id <> mine.message_id
        WHERE mine.message_id = message.id AND mine.state = 'pending'
    )
ORDER BY message.position LIMIT 1
""")

CLAIM: Final = text("""
UPDATE message SET state = 'sending', attempts = attempts + 1, claimed_until = :until
WHERE id = :id AND state = 'pending' AND attempts = :attempts
""")


def claim(
    tx: Connection,
    receiver: Receiver,
    *,
    view: View,
    sending: Container[str],
    now: Micros,
    lease: Duration,
    new_id: Callable[[], str],
) -> Claimed:
    """Claim the next message for *receiver*, with everything about it read again just now.

    *sending* are messages that this process is sending: their claims don't lapse, whatever the
    clock does. The message is None if nothing can be sent now.
    """
    _requeue_lapsed(tx, receiver.name, sending, now=now, lease=lease)
    ended: list[Settled] = []
    while True:
        row = tx.execute(NEXT, {"receiver": receiver.name, "now": now}).one_or_none()
        if row is None:
            return Claimed(None, ended=tuple(ended))
        notifications = _recheck(tx, row, receiver, view=view, now=now, new_id=new_id, ended=ended)
        if not notifications:
            continue
        values = {"id": row.id, "attempts": row.attempts, "until": now + lease}
        if tx.execute(CLAIM, values).rowcount != 1:
            continue
        _set_state(tx, row.id, NotificationState.PENDING, to=NotificationState.SENDING)
        return Claimed(
            message=Message(row.id, receiver.name, tuple(notifications), now),
            attempts=row.attempts + 1,
            created_at=row.created_at,
            ended=tuple(ended),
        )


SETTLE: Final = text("""
UPDATE message SET state = :state, next_attempt_at = :next_attempt_at, claimed_until = NULL,
    settled_at = :settled_at, last_reason = :last_reason, last_error = :last_error
WHERE id = :id AND state = 'sending' AND attempts = :attempts
""")


def settle(
    tx: Connection,
    claimed: Claimed,
    error: DeliveryError | None,
    *,
    now: Micros,
    deadline: Duration,
    jitter: float,
    fallback: Receiver | None,
    new_id: Callable[[], str],
) -> list[Settled] | None:
    """Record how an attempt ended; return what came to an end, or None if the claim had lapsed.

    A message is dead once an attempt that began past its deadline failed, or trying again cannot
    help; then *fallback* is told.
    """
    message = claimed.message
    assert message is not None
    reason, again_at = None, now
    if error is None:
        outcome = NotificationState.DELIVERED
    elif error.permanent:
        outcome, reason = NotificationState.DEAD, SettledReason.PERMANENT
    elif message.now >= claimed.created_at + deadline:
        outcome, reason = NotificationState.DEAD, SettledReason.DEADLINE
    else:
        outcome = NotificationState.PENDING
        again_at += delivery_backoff(claimed.attempts, jitter=jitter, retry_after=error.retry_after)
    ended_at = None if outcome is NotificationState.PENDING else now
    values = {
        "id": message.id,
        "attempts": claimed.attempts,
        "state": outcome,
        "next_attempt_at": again_at,
        "settled_at": ended_at,
        "last_reason": error.reason if error else AttemptReason.OK,
        "last_error": sanitize(str(error), limit=MAX_ERROR) if error else None,
    }
    if tx.execute(SETTLE, values).rowcount != 1:
        return None
    if error is None or error.ambiguous:
        tx.execute(outbox.MARK_HEARD, {"message_id": message.id, "now": min(message.now, now)})
    sending = NotificationState.SENDING
    sent = _set_state(tx, message.id, sending, to=outcome, reason=reason, at=ended_at)
    if outcome is NotificationState.PENDING:
        return []
    if outcome is NotificationState.DEAD and fallback and fallback.name != message.receiver:
        outbox.enqueue_for_fallback(tx, sent, fallback, now=now, new_id=new_id)
    return outbox.settled(sent)


NEXT_AT: Final = text("""
SELECT MIN(at) FROM (
    SELECT next_attempt_at AS at FROM message
    WHERE receiver = :receiver AND settled_at IS NULL AND state = 'pending'
        AND next_attempt_at > :now
    UNION ALL
    SELECT claimed_until AS at FROM message
    WHERE receiver = :receiver AND settled_at IS NULL AND state = 'sending'
) AS times
""")


def next_at(tx: Connection, receiver: str, now: Micros) -> Micros | None:
    """Return when something for *receiver* is due next, if anything is queued for later."""
    at: Micros | None = tx.execute(NEXT_AT, {"receiver": receiver, "now": now}).scalar_one()
    return at


LAPSED: Final = text("""
SELECT id, claimed_until FROM message
WHERE receiver = :receiver AND settled_at IS NULL AND state = 'sending' AND claimed_until <= :now
""")

REQUEUE: Final = text("""
UPDATE message SET state = 'pending', claimed_until = NULL, last_reason = 'timeout',
    last_error = 'the monitor stopped while this was being sent'
WHERE id = :message_id
""")


def _requeue_lapsed(
    tx: Connection, receiver: str, sending: Container[str], *, now: Micros, lease: Duration
) -> None:
    for row in tx.execute(LAPSED, {"receiver": receiver, "now": now}).all():
        if row.id not in sending:
            values = {"message_id": row.id, "now": row.claimed_until - lease}
            tx.execute(outbox.MARK_HEARD, values)
            _set_state(tx, row.id, NotificationState.SENDING, to=NotificationState.PENDING)
            tx.execute(REQUEUE, values)


CANCEL: Final = text("""
UPDATE notification SET state = 'cancelled', reason = :reason, settled_at = :now WHERE id = :id
RETURNING receiver, event, state AS outcome, reason
""")

POSTPONE: Final = text("UPDATE message SET next_attempt_at = :at WHERE id = :id")


def _recheck(
    tx: Connection,
    row: Row[Any],
    receiver: Receiver,
    *,
    view: View,
    now: Micros,
    new_id: Callable[[], str],
    ended: list[Settled],
) -> list[Notification]:
    """Return what is to be told now; settle or move the rest."""
    notifications: list[Notification] = []
    waiting: list[str] = []
    first_address: str | None = None
    parts: dict[str | None, list[str]] = {}  # the configuration may have changed since
    for queued in _queued(tx, row.id, view):
        verdict = recheck(queued, receiver)
        address = receiver.address(queued.labels)
        if isinstance(verdict, Wait):
            waiting.append(queued.notification_id)
        elif not isinstance(verdict, Notification):
            values = {"id": queued.notification_id, "reason": verdict, "now": now}
            ended += outbox.settled(tx.execute(CANCEL, values))
        elif notifications and not (receiver.groups and address == first_address):
            key = address if receiver.groups else queued.notification_id
            parts.setdefault(key, []).append(queued.notification_id)
        else:
            first_address = address
            notifications.append(verdict)
    for notification_ids in parts.values():
        _move(tx, row.id, notification_ids, start=now, part=new_id())
    if waiting and notifications:
        _move(tx, row.id, waiting, start=now + RECHECK_WAIT, part=new_id())
    elif waiting:
        tx.execute(POSTPONE, {"id": row.id, "at": now + RECHECK_WAIT})
    elif not notifications:
        tx.execute(outbox.CLOSE_EMPTY, {"now": now})
    return notifications


ADD_PART: Final = text("""
INSERT INTO message (id, receiver, state, position, attempts, next_attempt_at, created_at)
SELECT :part, receiver, 'pending', position, 0, CAST(:start AS BIGINT), created_at
FROM message WHERE id = :id
""")

MOVE: Final = text("UPDATE notification SET message_id = :part WHERE id = :id")


def _move(
    tx: Connection, message_id: str, notification_ids: Iterable[str], *, start: Micros, part: str
) -> None:
    """Move some notifications of a message to one of their own: *part*, as old as it is."""
    tx.execute(ADD_PART, {"id": message_id, "part": part, "start": start})
    rows.execute_many(tx, MOVE, ({"id": id_, "part": part} for id_ in notification_ids))


QUEUED: Final = text("""
SELECT notification.*, event.at AS event_at, event.type AS event_type, event.detail AS event_detail,
    event.account_id AS event_account_id, heard.at AS heard_at
FROM notification
JOIN event ON event.id = notification.event_id
LEFT JOIN heard ON heard.incident_id = notification.incident_id
    AND heard.receiver = notification.receiver
WHERE notification.message_id = :message_id AND notification.state = 'pending'
ORDER BY notification.position
""")


def _queued(tx: Connection, message_id: str, view: View) -> Iterator[QueuedNotification]:
    for row in tx.execute(QUEUED, {"message_id": message_id}).all():
        account = accounts.load(tx, row.workspace, row.event_account_id)
        watched: bool | None = view.inventory.watches(row.workspace)
        if not watched and workspaces.is_attached(tx, row.workspace):
            watched = None  # it may be so in a moment
        yield QueuedNotification(
            notification_id=row.id,
            event=EventType(row.event),
            happened=EventType(row.event_type),
            at=row.event_at,
            detail=row.event_detail,
            workspace=row.workspace,
            labels=view.inventory.labels(row.workspace, account),
            incident=incidents.load(tx, row.incident_id),
            account=account,
            session=sessions.load(tx, row.workspace, row.event_account_id),
            heard_at=row.heard_at,
            watched=watched,
            current=view.is_current(row.workspace),
            undelivered_to=row.undelivered_to,
        )


SET_STATE: Final = text("""
UPDATE notification SET state = :to, reason = :reason, settled_at = :at
WHERE message_id = :message_id AND state = :state
RETURNING *, state AS outcome
""")


def _set_state(
    tx: Connection,
    message_id: str,
    state: NotificationState,
    *,
    to: NotificationState,
    reason: SettledReason | None = None,
    at: Micros | None = None,
) -> Sequence[Row[Any]]:
    """Change the notifications of a message that are in *state*, and return them."""
    values = {"message_id": message_id, "state": state, "to": to, "reason": reason, "at": at}
    return tx.execute(SET_STATE, values).all()
