"""The claims: taking a message out of the outbox; `attempts` says how a send ends.

Who waits for whom: a message waits for another one if both hold something of the same account (or
of the workspace itself) for the same recipient, and the other stands before it. Where a message
stands, (position, part), it gets when it is made, and never changes; no two stand at one place. So
who waits stands behind whom it waits for, and there is no circle, however notifications move:

- what has to wait leaves its message for a new part of it, right behind, with all of its account;
- what the fallback hears of one receiver comes together in the first of its messages, which is
  waiting for nobody any more, and all that moves there need not wait for anybody else.

Rules:
1. A message is claimed by comparing and swapping its state; its number of attempts is the fence.
2. A claim that lapsed was a send whose outcome is unknown: its receiver counts as having heard.
3. A message that may have arrived stays as it is: its id is the key that it arrived under.
4. What waits is marked with what ends its wait, and not looked at before: see `message.waits`.
5. A link that may have expired is asked about before it is told, and waited for only so long.
6. A message that some of its addresses took stays as it is, for the others; nothing waits for it.
7. "Nothing claimed" never means "queue empty".
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.decide.sessions import LINK_TRUST, LINK_WAIT, is_doubtful
from monitor.core.duration import Duration
from monitor.core.inventory import Inventory
from monitor.core.model import EventType, Micros
from monitor.core.notification import Message, Notification, NotificationState, SettledReason
from monitor.core.recheck import QueuedNotification, Wait, recheck
from monitor.core.route import Receiver

from . import (
    accounts,
    due,
    incidents,
    locks,
    outbox,
    receivers,
    rows,
    session_intents,
    sessions,
    undelivered,
)
from .outbox import Settled
from .receivers import ReceiverState
from .session_intents import SessionIntent

MOMENT: Final = Duration.parse("2s")
"""How long a message waits while another configuration is being applied."""

UNREADABLE_PAUSE: Final = Duration.parse("1h")
"""How long a message waits that can't be read."""

MAX_EXAMINED: Final = 20
"""How many messages are looked at in one claim until one can be sent."""

MAX_TOGETHER: Final = 100
"""How many messages come together in one."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who claims: a *worker* of a *replica*, both by their ids.

    Its own claims don't lapse, whatever the clock does.
    """

    replica: str
    worker: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that is ours to send; *ended* are notifications found to be over.

    Without a *message*, *next_at* is when to look again (None: when something is queued), unless
    there is *more* to look at right now; *refuses* says that the receiver has to be mended. It has
    been *failing_since* then.
    *unreadable* are messages that hold what this version does not know: they wait. *asking* are the
    workspaces whose sessions are to be asked about.
    """

    message: Message | None
    attempts: int = 0
    created_at: Micros = 0
    ended: tuple[Settled, ...] = ()
    next_at: Micros | None = None
    more: bool = False
    refuses: bool = False
    failing_since: Micros | None = None
    unreadable: tuple[str, ...] = ()
    asking: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Examined:
    """What a claim came across until there was a message to send: see `Claimed`."""

    state: ReceiverState
    ended: list[Settled] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    asking: set[str] = field(default_factory=set)

    def claimed(self, message: Message | None = None, **rest: Any) -> Claimed:
        return Claimed(
            message,
            ended=tuple(self.ended),
            unreadable=tuple(self.unreadable),
            asking=frozenset(self.asking),
            refuses=bool(self.state.refuses),
            failing_since=self.state.failing_since,
            **rest,
        )


NEXT: Final = text("""
SELECT * FROM message
WHERE holder = :replica AND receiver = :receiver AND state = 'pending' AND waits IS NULL
ORDER BY position, part LIMIT 1
""")

CLAIM: Final = text("""
UPDATE message SET state = 'sending', attempts = attempts + 1, claimed_by = :by,
    claimed_until = :until
WHERE id = :id AND state = 'pending' AND attempts = :attempts
""")


def claim(
    tx: Connection,
    receiver: Receiver,
    sender: Sender,
    *,
    inventory: Inventory,
    now: Micros,
    lease: Duration,
    new_id: Callable[[], str],
    failing_since: Micros | None = None,
) -> Claimed:
    """Claim the next message for *receiver*, with everything about it read again just now.

    It is one of a workspace that the replica of *sender* holds. The message is None if nothing can
    be sent now. *failing_since* is when the receiver began to fail as far as the sender knew.
    """
    state = receivers.load(tx, receiver.name)
    examined = _Examined(state)
    if state.not_before is not None and state.not_before > now:
        return examined.claimed(next_at=state.not_before)
    receivers.retry(tx, sender.replica, state, failing_since, now=now)
    mine = {"replica": sender.replica, "receiver": receiver.name, "by": sender.worker, "now": now}
    due.release(tx, mine, lease=lease)
    for _ in range(MAX_EXAMINED):
        row = tx.execute(NEXT, mine).one_or_none()
        if row is None:
            return examined.claimed(next_at=due.next_at(tx, mine))
        locks.lock(tx, row.workspace)
        if _wait_in_turn(tx, row):
            continue
        if row.undelivered_to is not None and receiver.groups and not row.attempts:
            _bring_together(tx, row)
        try:
            notifications = _recheck(
                tx, row, receiver, inventory=inventory, now=now, new_id=new_id, ended=examined.ended
            )
        except ValueError:  # a word that another version wrote, say
            tx.execute(WAIT, {"id": row.id, "waits": "time", "at": now + UNREADABLE_PAUSE})
            examined.unreadable.append(row.id)
            continue
        if not notifications or _wait_for_answers(
            tx, row, notifications, now=now, new_id=new_id, asking=examined.asking
        ):
            continue
        until = now + lease
        values = {"id": row.id, "attempts": row.attempts, "by": sender.worker, "until": until}
        if tx.execute(CLAIM, values).rowcount != 1:
            continue
        if state.failing_since is not None:
            receivers.leave_alone(tx, receiver.name, until=until)
        outbox.set_state(tx, row.id, to=NotificationState.SENDING)
        return examined.claimed(
            Message(
                row.id,
                receiver.name,
                tuple(notifications),
                now,
                row.address,
                tuple(json.loads(row.done or "[]")),
            ),
            attempts=row.attempts + 1,
            created_at=row.created_at,
        )
    return examined.claimed(more=True)


OWN: Final = text("""
SELECT id FROM message
WHERE holder = :replica AND receiver = :receiver AND state = 'sending' AND claimed_by = :by
""")

DISOWN: Final = text("UPDATE message SET claimed_by = '' WHERE id = :id")


def disown(tx: Connection, receiver: str, sender: Sender, *, sending: Collection[str]) -> None:
    """Let claims of our own lapse, too, but for what we are *sending*.

    They were committed without an answer: nobody knows of them.
    """
    values = {"replica": sender.replica, "receiver": receiver, "by": sender.worker}
    own = tx.execute(OWN, values).scalars().all()
    rows.execute_many(tx, DISOWN, ({"id": id_} for id_ in own if id_ not in sending))


# ── before a send ────────────────────────────────────────────────────────────────────────────────

IN_TURN: Final = text("""
SELECT 1 FROM notification AS mine
JOIN notification AS earlier
    ON earlier.receiver = mine.receiver AND earlier.address = mine.address
    AND earlier.workspace = mine.workspace AND earlier.subject = mine.subject
    AND earlier.settled_at IS NULL AND earlier.message_id NOT IN (mine.message_id, :except)
JOIN message AS other ON other.id = earlier.message_id AND other.done IS NULL
WHERE mine.message_id = :id AND mine.settled_at IS NULL
    AND (other.position < :position OR other.position = :position AND other.part < :part)
LIMIT 1
""")

WAIT: Final = text("UPDATE message SET waits = :waits, next_attempt_at = :at WHERE id = :id")


def _has_to_wait(tx: Connection, row: Row[Any], *, besides: str = "") -> bool:
    """Return whether another message than *besides* stands before this one."""
    values = {"id": row.id, "position": row.position, "part": row.part, "except": besides}
    return tx.execute(IN_TURN, values).one_or_none() is not None


def _wait_in_turn(tx: Connection, row: Row[Any]) -> bool:
    has_to_wait = _has_to_wait(tx, row)
    if has_to_wait:
        tx.execute(WAIT, {"id": row.id, "waits": "turn", "at": row.next_attempt_at})
    return has_to_wait


MATES: Final = text("""
SELECT * FROM message
WHERE receiver = :receiver AND workspace = :workspace AND undelivered_to = :undelivered_to
    AND address = :address AND settled_at IS NULL AND state = 'pending' AND attempts = 0
    AND (waits IS NULL OR waits = 'time') AND id <> :id
ORDER BY position, part LIMIT :limit
""")

MOVE_ALL: Final = text("UPDATE notification SET message_id = :to WHERE message_id = :id")

DELETE_MESSAGE: Final = text("DELETE FROM message WHERE id = :id")


def _bring_together(tx: Connection, row: Row[Any]) -> None:
    """Move into a message what else the fallback is to hear of the same receiver."""
    for mate in tx.execute(MATES, {**row._asdict(), "limit": MAX_TOGETHER}).all():
        if not _has_to_wait(tx, mate, besides=row.id):
            tx.execute(MOVE_ALL, {"id": mate.id, "to": row.id})
            tx.execute(DELETE_MESSAGE, {"id": mate.id})


CANCEL: Final = text("""
UPDATE notification SET state = 'cancelled', reason = :reason, settled_at = :now WHERE id = :id
RETURNING *, state AS outcome
""")


def _recheck(
    tx: Connection,
    row: Row[Any],
    receiver: Receiver,
    *,
    inventory: Inventory,
    now: Micros,
    new_id: Callable[[], str],
    ended: list[Settled],
) -> list[Notification]:
    """Return what is to be told now; settle the rest, or let it wait.

    Raise ValueError, and write nothing, if something of it can't be read.
    """
    verdicts = [
        (queued.notification_id, subject, recheck(queued, receiver))
        for subject, queued in _queued(tx, row, inventory, now)
    ]
    if any(verdict is Wait.MOMENT for _, _, verdict in verdicts):  # as all of this workspace
        tx.execute(WAIT, {"id": row.id, "waits": "time", "at": now + MOMENT})
        return []
    ready: dict[str, tuple[str, Notification]] = {}
    waiting: dict[str, str] = {}
    cancelled: list[Row[Any]] = []
    for id_, subject, verdict in verdicts:
        if isinstance(verdict, SettledReason):
            cancelled += tx.execute(CANCEL, {"id": id_, "reason": verdict, "now": now})
        elif isinstance(verdict, Notification):
            ready[id_] = subject, verdict
        else:
            waiting[id_] = subject
    ended += outbox.end(tx, cancelled, now=now)
    held = set(waiting.values())
    later = [id_ for id_, (subject, _) in ready.items() if subject in held]
    if waiting and (row.unanswered or row.done or len(later) == len(ready)):
        tx.execute(WAIT, {"id": row.id, "waits": "look", "at": row.next_attempt_at})
        return []
    if waiting:
        _part(tx, row, [*waiting, *later], waits="look", new_id=new_id)
    notifications = [verdict for id_, (_, verdict) in ready.items() if id_ not in later]
    if len(notifications) > 1 and not receiver.groups:  # it did when this was queued
        for id_ in [id_ for id_ in ready if id_ not in later][1:]:
            _part(tx, row, [id_], waits=None, new_id=new_id)
        notifications = notifications[:1]
    return notifications


ADD_PART: Final = text("""
INSERT INTO message (
    id, workspace, holder, receiver, address, undelivered_to, undelivered_why, undelivered_since,
    state, waits, position, part, attempts, unanswered, next_attempt_at, created_at
)
SELECT :part_id, workspace, holder, receiver, address, undelivered_to, undelivered_why,
    undelivered_since, 'pending', :waits, position,
    (SELECT MAX(other.part) + 1 FROM message AS other
        WHERE other.workspace = message.workspace AND other.position = message.position
            AND other.settled_at IS NULL),
    0, 0, next_attempt_at, created_at
FROM message WHERE id = :id
""")

MOVE: Final = text("UPDATE notification SET message_id = :part_id WHERE id = :id")


def _part(
    tx: Connection,
    row: Row[Any],
    notification_ids: Iterable[str],
    *,
    waits: str | None,
    new_id: Callable[[], str],
) -> None:
    """Move some notifications of a message to a new part of it, right behind it."""
    part_id = new_id()
    tx.execute(ADD_PART, {"id": row.id, "part_id": part_id, "waits": waits})
    rows.execute_many(tx, MOVE, ({"id": id_, "part_id": part_id} for id_ in notification_ids))


def _wait_for_answers(
    tx: Connection,
    row: Row[Any],
    notifications: Iterable[Notification],
    *,
    now: Micros,
    new_id: Callable[[], str],
    asking: set[str],
) -> bool:
    """Let it be asked about links that may have expired; return whether the message waits for that.

    If it was asked lately, and nobody could say, the message leaves as it is.
    """
    wait_until = now
    for incident in (it.incident for it in notifications if it.incident and it.link):
        workspace, account_id = incident.workspace, incident.subject
        if is_doubtful(sessions.load(tx, workspace, account_id), now):
            intent = SessionIntent(new_id(), workspace, account_id, incident.id)
            session_intents.add(tx, [intent], cooldown=LINK_TRUST, now=now)
            since = session_intents.unfinished_since(tx, workspace, account_id)
            if since is not None:
                asking.add(workspace)
                wait_until = max(wait_until, since + LINK_WAIT)
    if wait_until > now:
        tx.execute(WAIT, {"id": row.id, "waits": "time", "at": wait_until})
    return wait_until > now


QUEUED: Final = text(f"""
SELECT notification.*, event.at AS event_at, event.type AS event_type, event.detail AS event_detail,
    event.account_id AS event_account_id, heard.at AS heard_at, heard.told_at,
    workspace.detached_at IS NULL AND workspace.name <> '*' AS is_attached,
    workspace.fresh_until,
    {rows.selected("account", accounts.COLUMNS, "of_account_")},
    {rows.selected("incident", incidents.COLUMNS, "of_incident_")},
    session.account_id AS session_of, {rows.selected("session", sessions.COLUMNS, "session_")}
FROM notification
JOIN event ON event.id = notification.event_id
LEFT JOIN workspace ON workspace.name = notification.workspace
LEFT JOIN account ON account.workspace = notification.workspace AND account.id = event.account_id
LEFT JOIN incident ON incident.id = notification.incident_id
LEFT JOIN session ON session.workspace = notification.workspace
    AND session.account_id = event.account_id
LEFT JOIN heard ON heard.incident_id = notification.incident_id
    AND heard.receiver = notification.receiver AND heard.address = notification.address
    AND heard.message_id <> notification.message_id
WHERE notification.message_id = :message_id AND notification.settled_at IS NULL
ORDER BY notification.position
""")  # noqa: S608 - names of our own columns


def _queued(
    tx: Connection, message: Row[Any], inventory: Inventory, now: Micros
) -> Iterator[tuple[str, QueuedNotification]]:
    """Return what a message holds, each with its subject.

    What was first heard of by this message itself may not have arrived: it is as new as then.
    """
    not_told = undelivered.read(message)
    for row in tx.execute(QUEUED, {"message_id": message.id}).all():
        account = incident = session = None
        if row.of_account_id is not None:
            account = accounts.from_row(row, "of_account_")
        if row.of_incident_id is not None:
            incident = incidents.from_row(row, "of_incident_")
        if row.session_of is not None:
            session = sessions.from_row(row, "session_")
        watched: bool | None = inventory.watches(row.workspace)
        if watched is not bool(row.is_attached):  # NULL if nothing is recorded of it
            watched = None  # another configuration is being applied
        yield (
            row.subject,
            QueuedNotification(
                notification_id=row.id,
                event=EventType(row.event),
                happened=EventType(row.event_type),
                at=row.event_at,
                detail=row.event_detail,
                workspace=row.workspace,
                labels=inventory.labels(row.workspace, account),
                incident=incident,
                account=account,
                session=session,
                heard_at=row.heard_at,
                told_at=row.told_at,
                watched=watched,
                current=row.fresh_until is not None and row.fresh_until >= now,
                undelivered=not_told,
            ),
        )
