"""The end of a send: what an attempt came to, who has heard, and how the receiver fares since.

Rules:
1. The end of a send counts unless the message has been sent again since: `attempts` is the fence.
2. Who took a message, or may have taken it, has heard of its incidents; who refused after all what
   was taken for lost, has not.
3. A message that is wrong is dead at once, one past its deadline with the attempt that fails then;
   what waits behind a receiver that fails counts that receiver's attempts as its own.
4. What somebody has to mend a receiver for, the fallback hears at once. A refusal that is doubtful
   is none of both before it has lasted.
5. A message that some of its addresses took is tried again for the others, alone, until its
   deadline. They hold up nothing; the fallback hears of what nobody took.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.backoff import DOUBTFUL_FOR, delivery_backoff
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.model import EventType, Micros
from monitor.core.notification import Message, NotificationState, SettledReason
from monitor.core.receipt import Receipt
from monitor.core.route import Receiver
from monitor.core.text import redact, sanitize

from . import locks, outbox, outside, receivers, rows, undelivered
from .claims import Claimed
from .outbox import Settled
from .receivers import ReceiverState

MAX_ERROR: Final = 300
"""More characters of an error or a title are not kept."""


SETTLE: Final = text("""
UPDATE message SET state = :state, waits = :waits, next_attempt_at = :next_attempt_at,
    done = :done, unanswered = unanswered + CASE (
        SELECT CASE WHEN took IS NULL THEN 'lost' ELSE 'settled' END FROM attempt
        WHERE message_id = :id AND number = :attempts
    ) WHEN 'lost' THEN :unanswered - 1 WHEN 'settled' THEN 0 ELSE :unanswered END,
    claimed_by = NULL, claimed_until = NULL, settled_at = :settled_at
WHERE id = :id AND settled_at IS NULL AND attempts = :attempts
RETURNING workspace, unanswered, holder
""")
"""An attempt that was taken for lost is there already, and has been counted; so has one that was
settled by a commit whose answer was lost."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended: with its receipt, or an error.

    *took* is how long it lasted, *title* how its text began; *post* is what the receiver needs to
    edit it later.
    """

    result: Receipt | DeliveryError
    took: Duration
    title: str
    post: str | None = None

    @property
    def error(self) -> DeliveryError | None:
        """What went wrong, if only for some of the addresses."""
        return self.result.failure if isinstance(self.result, Receipt) else self.result

    @property
    def is_taken(self) -> bool:
        """Whether anybody took the message."""
        return isinstance(self.result, Receipt) and self.result.is_taken


@dataclass(frozen=True, slots=True)
class SettledMessage:
    """What a settled attempt brought to an end, and how the receiver fares since."""

    ended: tuple[Settled, ...]
    receiver: ReceiverState


def settle(
    tx: Connection,
    replica: str,
    claimed: Claimed,
    attempt: Attempt,
    *,
    now: Micros,
    deadline: Duration,
    jitter: float,
    fallback: Receiver | None,
    new_id: Callable[[], str],
) -> SettledMessage | None:
    """Record how an attempt of *replica* ended; return None if the message was sent again since.

    A message is dead once an attempt that began past its deadline failed, or if it is wrong itself;
    then *fallback* is told, unless some of its addresses took it.
    """
    attempt = _weighed(tx, claimed, attempt)
    message, error = claimed.message, attempt.error
    assert message is not None
    again_at, done = now, _done(message, attempt)
    outcome, reason = _outcome(attempt, is_late=message.now >= claimed.created_at + deadline)
    is_over = outcome is not NotificationState.PENDING
    if error is not None and not is_over:
        again_at += delivery_backoff(claimed.attempts, jitter=jitter, ambiguous=error.ambiguous)
    values = {
        "id": message.id,
        "attempts": claimed.attempts,
        "state": outcome,
        "waits": None if is_over else "time",
        "next_attempt_at": again_at,
        "done": json.dumps(done) if done else None,
        "unanswered": int(error is not None and error.ambiguous),
        "settled_at": now if is_over else None,
    }
    row = tx.execute(SETTLE, values).one_or_none()
    if row is None:
        return None
    if row.workspace != message.workspace:  # it was renamed meanwhile
        locks.lock(tx, row.workspace)
    _write_attempt(tx, claimed, attempt)
    sent = outbox.set_state(tx, message.id, to=outcome, reason=reason, at=now if is_over else None)
    if not message.done:  # else it has been heard
        if attempt.is_taken or (error and error.ambiguous):
            is_told = outcome is NotificationState.DELIVERED
            at = min(message.now, now)
            _mark_heard(tx, message, attempt.post, is_told=is_told, at=at, new_id=new_id)
        elif not row.unanswered:
            rows.execute_many(tx, UNMARK_HEARD, (row._asdict() for row in sent))
    state = _note_receiver(tx, replica, message.receiver, attempt, jitter=jitter, now=now)
    if row.holder != replica:  # its workspace has been taken over meanwhile
        outside.note(tx)
    is_lost = outcome is NotificationState.DEAD and not message.done
    if is_lost and fallback and fallback.name != message.receiver:
        since = tx.execute(FIRST_ATTEMPT, {"id": message.id}).scalar_one()
        why = "" if error is None else _answer(error)
        undelivered.enqueue(tx, sent, fallback, why=why, since=since, now=now, new_id=new_id)
    ended = outbox.settled(sent) if is_over else []
    if is_over or done:
        ended += _follow_up(tx, sent, is_delivered=error is None, now=now)
    return SettledMessage(tuple(ended), state)


FIRST_ATTEMPT: Final = text("SELECT MIN(at) FROM attempt WHERE message_id = :id")

SAID_SINCE: Final = text("""
SELECT MIN(at) FROM attempt WHERE message_id = :id AND number > (
    SELECT COALESCE(MAX(number), 0) FROM attempt
    WHERE message_id = :id AND (answer IS NULL OR answer <> :answer)
)
""")


def _weighed(tx: Connection, claimed: Claimed, attempt: Attempt) -> Attempt:
    """Return *attempt*; that its message is wrong, if that is doubtful, counts once it lasts."""
    message, error = claimed.message, attempt.result
    assert message is not None
    if isinstance(error, Receipt) or not error.doubtful or error.remedy is not Remedy.DROP:
        return attempt
    values = {"id": message.id, "answer": _answer(error)}
    since = tx.execute(SAID_SINCE, values).scalar()
    if since is not None and message.now - since >= DOUBTFUL_FOR:
        return attempt
    return replace(attempt, result=replace(error, remedy=Remedy.RETRY))


def _answer(error: DeliveryError) -> str:
    """Return what an error says: people read it, and not every notifier is ours."""
    return redact(str(error), limit=MAX_ERROR)


def _outcome(attempt: Attempt, *, is_late: bool) -> tuple[NotificationState, SettledReason | None]:
    error = attempt.error
    if error is None:
        return NotificationState.DELIVERED, None
    if not is_late and error.remedy is not Remedy.DROP:
        return NotificationState.PENDING, None
    if attempt.is_taken:
        return NotificationState.DELIVERED, None
    is_wrong = error.remedy is Remedy.DROP
    return NotificationState.DEAD, SettledReason.PERMANENT if is_wrong else SettledReason.DEADLINE


def _done(message: Message, attempt: Attempt) -> list[str]:
    """Return the addresses that need no further attempt, if any of them took *message*."""
    if not attempt.is_taken and not message.done:
        return []
    receipt = attempt.result if isinstance(attempt.result, Receipt) else Receipt()
    return list(dict.fromkeys((*message.done, *receipt.accepted, *receipt.refused)))


WRITE_ATTEMPT: Final = text("""
INSERT INTO attempt (message_id, number, at, took, reason, answer, title)
VALUES (:message_id, :number, :at, :took, :reason, :answer, :title)
ON CONFLICT (message_id, number) DO UPDATE SET took = excluded.took, reason = excluded.reason,
    answer = excluded.answer, title = excluded.title
""")


def _write_attempt(tx: Connection, claimed: Claimed, attempt: Attempt) -> None:
    message, error = claimed.message, attempt.error
    assert message is not None
    values = {
        "message_id": message.id,
        "number": claimed.attempts,
        "at": message.now,
        "took": int(attempt.took),
        "reason": error.reason if error else AttemptReason.OK,
        "answer": _answer(error) if error else None,
        "title": sanitize(attempt.title, limit=MAX_ERROR),
    }
    tx.execute(WRITE_ATTEMPT, values)


ADD_POST: Final = text("""
INSERT INTO post (id, receiver, address, receipt) VALUES (:id, :receiver, :address, :receipt)
""")

MARK_HEARD: Final = text("""
INSERT INTO heard (incident_id, receiver, address, message_id, at, told_at, told_cause, post_id)
SELECT incident.id, :receiver, :address, :message_id, CAST(:at AS BIGINT),
    CAST(:told_at AS BIGINT), :cause, :post_id
FROM incident WHERE incident.id = :incident_id
ON CONFLICT (incident_id, receiver, address) DO UPDATE SET told_cause = excluded.told_cause,
    told_at = COALESCE(excluded.told_at, heard.told_at),
    post_id = COALESCE(excluded.post_id, heard.post_id)
""")


def _mark_heard(
    tx: Connection,
    message: Message,
    post: str | None,
    *,
    is_told: bool,
    at: Micros,
    new_id: Callable[[], str],
) -> None:
    recipient = {"receiver": message.receiver, "address": message.address}
    post_id = None
    if post is not None:
        post_id = new_id()
        tx.execute(ADD_POST, {"id": post_id, **recipient, "receipt": post})
    heard = {**recipient, "message_id": message.id, "at": at, "post_id": post_id}
    heard["told_at"] = at if is_told else None
    causes = {
        notification.incident.id: notification.incident.cause
        for notification in message.notifications
        if notification.incident and notification.event is not EventType.NOTICE
    }
    rows.execute_many(
        tx,
        MARK_HEARD,
        ({**heard, "incident_id": id_, "cause": cause} for id_, cause in causes.items()),
    )


UNMARK_HEARD: Final = text("""
DELETE FROM heard
WHERE incident_id = :incident_id AND receiver = :receiver AND address = :address
    AND message_id = :message_id
""")
"""What a message still holds nobody was told of by a later one: that waits behind it."""


def _note_receiver(
    tx: Connection, replica: str, name: str, attempt: Attempt, *, jitter: float, now: Micros
) -> ReceiverState:
    before, error = receivers.load(tx, name), attempt.result
    if isinstance(error, Receipt) or error.remedy is Remedy.DROP:
        return receivers.note_success(tx, replica, before, now=now)
    return receivers.note_failure(
        tx,
        before,
        _answer(error),
        refuses=error.remedy is Remedy.MEND,
        doubtful=error.doubtful,
        retry_after=error.retry_after,
        jitter=jitter,
        now=now,
    )


BEHIND: Final = text("""
SELECT MAX(CASE WHEN message.done IS NULL THEN 0 ELSE 1 END) AS has_rest
FROM notification JOIN message ON message.id = notification.message_id
WHERE notification.receiver = :receiver AND notification.address = :address
    AND notification.workspace = :workspace AND notification.subject IN :subjects
    AND notification.settled_at IS NULL AND notification.message_id <> :message_id
""")
"""Of most accounts nothing more is queued when something was told."""


def _follow_up(
    tx: Connection, sent: Sequence[Row[Any]], *, is_delivered: bool, now: Micros
) -> list[Settled]:
    """Let what waited behind *sent* go; return what that made needless, if it was delivered."""
    if not sent:
        return []
    names = ("receiver", "address", "workspace", "message_id")
    queue_of = {name: getattr(sent[0], name) for name in names}
    subjects = dict.fromkeys(row.subject for row in sent)
    behind = rows.execute_portions(tx, BEHIND, "subjects", subjects, **queue_of)
    if all(row.has_rest is None for row in behind):
        return []
    has_rest = is_delivered and any(row.has_rest for row in behind)
    cancelled = _cancel_rest(tx, sent) if has_rest else []
    outbox.pass_turn(tx, sent, now=now)
    return outbox.end(tx, cancelled, now=now)


CANCEL_REST: Final = text("""
UPDATE notification SET state = 'cancelled', reason = 'superseded', settled_at = :settled_at
WHERE receiver = :receiver AND address = :address AND workspace = :workspace AND subject = :subject
    AND settled_at IS NULL AND state = 'pending' AND event <> 'notice' AND position < :position
    AND EXISTS (
        SELECT 1 FROM message
        WHERE message.id = notification.message_id AND message.done IS NOT NULL
    )
RETURNING *, state AS outcome
""")


def _cancel_rest(tx: Connection, delivered: Iterable[Row[Any]]) -> list[Row[Any]]:
    """Cancel what some addresses have not got yet of what all were told of now.

    It may be of an earlier incident: who hears that it is back need not hear that it was over.
    """
    cancelled: list[Row[Any]] = []
    for row in delivered:
        if row.event != EventType.NOTICE:
            cancelled += tx.execute(CANCEL_REST, row._asdict())
    return cancelled


EXPIRED: Final = text("""
SELECT id, done FROM message
WHERE holder = :replica AND receiver = :receiver AND settled_at IS NULL AND state = 'pending'
    AND created_at <= :before AND created_at >= :since
ORDER BY created_at LIMIT :limit
""")

EXPIRE: Final = text("""
UPDATE message SET state = 'dead', waits = NULL, settled_at = :at WHERE id = :message_id
""")


def expire(
    tx: Connection,
    replica: str,
    receiver: str,
    *,
    now: Micros,
    deadline: Duration,
    fallback: Receiver | None,
    new_id: Callable[[], str],
) -> list[Settled]:
    """Give up a portion of what *replica* has behind a failing receiver past its deadline.

    The receiver has failed since before that deadline, and until after it: the attempts that it
    waited behind count as its own.
    """
    state = receivers.load(tx, receiver)
    if state.failing_since is None:
        return []
    values = {
        "replica": replica,
        "receiver": state.name,
        "before": now - deadline,
        "limit": undelivered.MAX_PORTION,
    }
    expired = tx.execute(EXPIRED, {**values, "since": state.failing_since - deadline}).all()
    dead: list[Row[Any]] = []
    for message in expired:
        reason = SettledReason.DEADLINE
        ended = outbox.set_state(tx, message.id, to=NotificationState.DEAD, reason=reason, at=now)
        tx.execute(EXPIRE, {"message_id": message.id, "at": now})
        if fallback and fallback.name != receiver and message.done is None:
            why, since = state.failing_why or "", state.failing_since
            undelivered.enqueue(tx, ended, fallback, why=why, since=since, now=now, new_id=new_id)
        dead += ended
    return outbox.end(tx, dead, now=now)


PORTION: Final = text("""
SELECT id, created_at FROM message
WHERE holder = :replica AND receiver = :receiver AND settled_at IS NULL AND done IS NULL
    AND (created_at, id) > (:at, :id)
ORDER BY created_at, id LIMIT :limit
""")

OPENINGS: Final = text("""
SELECT * FROM notification
WHERE message_id = :message_id AND settled_at IS NULL AND event = 'opened'
""")

BEGINNING: Final = (0, "")
"""Before all that is queued."""


def divert(
    tx: Connection,
    replica: str,
    receiver: str,
    fallback: Receiver,
    *,
    after: tuple[Micros, str],
    now: Micros,
    new_id: Callable[[], str],
) -> tuple[Micros, str] | None:
    """Tell *fallback* of some openings that *replica* has for a receiver that is to be mended.

    *after* is how far the earlier portions went. Return how far this one did, None if there is no
    more, or the receiver need not be mended.
    """
    state = receivers.load(tx, receiver)
    if not state.refuses:
        return None
    why, since = state.failing_why or "", state.failing_since or now
    at, id_ = after
    values = {
        "replica": replica,
        "receiver": receiver,
        "at": at,
        "id": id_,
        "limit": undelivered.MAX_PORTION,
    }
    portion = tx.execute(PORTION, values).all()
    for message in portion:
        openings = tx.execute(OPENINGS, {"message_id": message.id}).all()
        undelivered.enqueue(tx, openings, fallback, why=why, since=since, now=now, new_id=new_id)
    return (portion[-1].created_at, portion[-1].id) if portion else None
