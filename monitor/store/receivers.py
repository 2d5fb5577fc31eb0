"""Receivers: how each fares, and until when it is left alone.

One that fails is tried with one message a pause, and the pause grows with the failure: it is as
long as the receiver has been failing, within bounds. What is queued for it meanwhile waits.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from monitor.core.backoff import DOUBTFUL_FOR, UNANSWERED_WAIT, receiver_pause
from monitor.core.duration import Duration
from monitor.core.model import Micros

from . import outside, rows

MIN_OUTAGE: Final = Duration.parse("1m")
"""After a longer failure all that failed meanwhile is tried again as soon as the receiver is back.

A shorter one may be a message that the receiver fails on, among others that it takes."""

OK_EVERY: Final = Duration.parse("1m")
"""How often at the most it is noted that a receiver works."""


@dataclass(frozen=True, slots=True)
class ReceiverState:
    """How a receiver fares: *failing_since* when, *failing_why* as its last error said.

    Until *not_before* nothing is sent to it. One that *refuses* has to be mended by a person; it
    has answered so, if only with words that are doubtful, *refused_since* then.
    """

    name: str
    not_before: Micros | None = None
    failing_since: Micros | None = None
    failing_why: str | None = None
    refused_since: Micros | None = None
    refuses: int = 0
    last_ok_at: Micros | None = None


LOAD: Final = text("SELECT * FROM receiver WHERE name = :name")


def load(tx: Connection, name: str) -> ReceiverState:
    """Return how the receiver *name* fares."""
    row = tx.execute(LOAD, {"name": name}).one_or_none()
    return ReceiverState(name) if row is None else rows.read(ReceiverState, row)


ALL: Final = text("SELECT * FROM receiver")


def load_all(tx: Connection) -> Mapping[str, ReceiverState]:
    """Return how every receiver fares that anything was ever sent to, by name."""
    return {row.name: rows.read(ReceiverState, row) for row in tx.execute(ALL)}


WRITE: Final = text(rows.upsert("receiver", rows.columns(ReceiverState), key=("name",)))


def note_success(
    tx: Connection, replica: str, before: ReceiverState, *, now: Micros
) -> ReceiverState:
    """Note that a receiver took a message, and return its state since.

    What failed in a longer outage is due at once: what *replica* has for it, and the others notice.
    """
    after = ReceiverState(before.name, last_ok_at=now)
    is_news = before.last_ok_at is None or now - before.last_ok_at > OK_EVERY
    if is_news or before.not_before is not None or before.failing_since is not None:
        tx.execute(WRITE, rows.values(after))
    if before.failing_since is not None:
        retry(tx, replica, after, before.failing_since, now=now)
        outside.note(tx)
    return after


def retry(
    tx: Connection, replica: str, state: ReceiverState, failing_since: Micros | None, *, now: Micros
) -> None:
    """Try again at once what *replica* has for a receiver that was failing, if it does no more.

    A shorter outage may be one of a message, among others that the receiver takes.
    """
    if state.failing_since is not None or failing_since is None:
        return
    if now - failing_since > MIN_OUTAGE:
        _retry_now(tx, replica, state.name, now)


RETRY_NOW: Final = text("""
UPDATE message SET waits = NULL, next_attempt_at = :now
WHERE holder = :replica AND receiver = :receiver AND waits = 'time' AND attempts > unanswered
AND NOT (
    unanswered > 0 AND EXISTS (
        SELECT 1 FROM attempt WHERE attempt.message_id = message.id AND attempt.at > :since
    )
)
""")
"""What may have arrived a moment ago keeps its time."""


def _retry_now(tx: Connection, replica: str, name: str, now: Micros) -> None:
    values = {"replica": replica, "receiver": name, "now": now, "since": now - UNANSWERED_WAIT}
    tx.execute(RETRY_NOW, values)


def note_failure(
    tx: Connection,
    before: ReceiverState,
    why: str,
    *,
    refuses: bool,
    doubtful: bool = False,
    retry_after: Duration | None,
    jitter: float,
    now: Micros,
) -> ReceiverState:
    """Note that an attempt failed, and leave the receiver alone for a while; return its state.

    That it *refuses* what it is sent, if that is *doubtful*, counts once it has lasted.
    """
    since = min(before.failing_since or now, now)
    failing_for = None if before.failing_since is None else Duration(now - since)
    pause = receiver_pause(failing_for, jitter=jitter, retry_after=retry_after)
    refused_since = min(before.refused_since or now, now) if refuses else None
    if refused_since is not None and doubtful and not before.refuses:
        refuses = now - refused_since >= DOUBTFUL_FOR
    after = ReceiverState(
        before.name,
        not_before=now + pause if pause else None,
        failing_since=since,
        failing_why=why,
        refused_since=refused_since,
        refuses=int(refuses),
        last_ok_at=before.last_ok_at,
    )
    tx.execute(WRITE, rows.values(after))
    return after


LEAVE_ALONE: Final = text("UPDATE receiver SET not_before = :until WHERE name = :name")


def leave_alone(tx: Connection, name: str, *, until: Micros | None) -> None:
    """Send nothing to a receiver that fails before one attempt has ended, or *until* then.

    None: it is left alone no longer.
    """
    tx.execute(LEAVE_ALONE, {"name": name, "until": until})


CLEAR: Final = text("""
UPDATE receiver SET not_before = NULL, failing_since = NULL, failing_why = NULL,
    refused_since = NULL, refuses = 0
WHERE name = :name AND failing_since IS NOT NULL
""")


def clear(tx: Connection, replica: str, names: Iterable[str], *, now: Micros) -> None:
    """Try the receivers *names* again at once: they are configured anew."""
    for name in names:
        if tx.execute(CLEAR, {"name": name}).rowcount:
            _retry_now(tx, replica, name, now)
            outside.note(tx)
