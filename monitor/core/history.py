"""The history of one incident, and the page that tells it to a person."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from . import billing, wording
from .act import Act
from .details import facts
from .duration import humanize
from .errors import AttemptReason
from .model import Account, Event, EventType, Incident, Micros
from .notification import Notification, NotificationState, SettledReason
from .secret import Secret
from .subscription import parse_conditions
from .text import bare, clean, format_clock, format_date, format_zone

SHOWN_ATTEMPTS: Final = 3
"""So many of the latest attempts to send one message are told."""


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """An attempt to send a message: when, how long it *took*, and the *answer* if it failed."""

    number: int
    at: Micros
    took: Micros | None
    reason: str
    answer: str | None
    title: str


@dataclass(frozen=True, slots=True)
class PastNotification:
    """What one recipient was to be told of an event, and what became of it.

    Of its *attempts* the latest are in *tried*. For the fallback, *undelivered_to* could not be
    told.
    """

    receiver: str
    address: str
    event: EventType
    state: NotificationState
    reason: SettledReason | None
    undelivered_to: str | None
    attempts: int
    next_attempt_at: Micros
    tried: tuple[PastAttempt, ...] = ()


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An event, and who was to be told of it."""

    event: Event
    notifications: tuple[PastNotification, ...] = ()


@dataclass(frozen=True, slots=True)
class Heard:
    """Who has heard of the incident, since when."""

    receiver: str
    address: str
    at: Micros


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A login link was asked for, and what that came to."""

    at: Micros
    outcome: str


@dataclass(frozen=True, slots=True)
class History:
    """All that is recorded of one incident, the oldest first.

    *left_out* are events between the first one and the others; *acts* are what people did, those
    from which the events followed included.
    """

    incident: Incident
    account: Account | None = None
    link: Secret | None = None
    heard: tuple[Heard, ...] = ()
    events: tuple[PastEvent, ...] = ()
    left_out: int = 0
    acts: tuple[Act, ...] = ()
    link_requests: tuple[LinkRequest, ...] = ()


def page(
    history: History, *, labels: Mapping[str, str], now: Micros, timezone: str
) -> Iterator[str]:
    """Yield the lines of a page about *history*: what is, then what happened.

    Its link is not on it.
    """
    incident = history.incident
    notification = Notification(
        event=EventType.OPENED if incident.is_open else EventType.RESOLVED,
        at=now,
        workspace=incident.workspace,
        labels=labels,
        account=history.account,
        incident=incident,
    )
    yield bare(wording.title(notification))
    shown = [
        *((fact.label, fact.value) for fact in facts(notification, now=now, timezone=timezone)),
        ("Incident id", clean(incident.id)),
        ("Told", ", ".join(_name(heard) for heard in history.heard) or "nobody"),
    ]
    width = max(len(label) for label, _ in shown)
    for label, value in shown:
        yield bare(f"  {label:<{width}}  {value}")
    yield ""
    yield from map(bare, _timeline(history, now, timezone))


def _timeline(history: History, now: Micros, timezone: str) -> Iterator[str]:
    """Yield what happened, by day."""
    acts = {act.id: act for act in history.acts}
    entries = [
        (past.event.at, list(_event(past, acts.pop(past.event.act_id or "", None), now, timezone)))
        for past in history.events
    ]
    entries += [(act.at, [act.act, _actor(act)]) for act in acts.values()]
    if history.left_out:
        left_out = f"… {history.left_out} events are left out; see --limit"
        entries.append((history.events[0].event.at, [left_out]))
    entries += [
        (request.at, [f"a login link was asked for: {_words(request.outcome)}"])
        for request in history.link_requests
    ]
    entries.sort(key=lambda entry: entry[0])
    day = ""
    for at, (what, *below) in entries:
        if (date := format_date(at, timezone)) != day:
            day = date
            yield f"{day} ({format_zone(at, timezone)})"
        yield f"  {_clock(at, timezone)}  {what}"
        yield from (f"            {line}" for line in below)


def _event(past: PastEvent, act: Act | None, now: Micros, timezone: str) -> Iterator[str]:
    event = past.event
    cause = f": {_words(event.cause)}" if event.cause else ""
    has_more = event.detail and act is None  # else it says who did it
    conditions = parse_conditions(event.detail)
    more = f"the subscription {billing.state(conditions)}" if conditions else event.detail
    detail = f", {clean(more, wording.MAX_DETAIL)}" if has_more else ""
    yield f"{event.type}{cause} ({_words(event.reason)}{detail})"
    if act is not None:
        yield _actor(act)
    width = max((len(_name(it)) for it in past.notifications), default=0)
    for notification in past.notifications:
        yield f"{_name(notification):<{width}}  {_state(notification, event, now, timezone)}"
        for attempt in notification.tried:
            if attempt.reason != AttemptReason.OK:
                answer = clean(attempt.answer or _words(attempt.reason), wording.MAX_DETAIL)
                yield f"{'':<{width}}  {_at(attempt.at, event.at, timezone)}: {answer}"
    for line in event.untold.splitlines():
        yield f"not told: {clean(line, wording.MAX_DETAIL)}"


def _actor(act: Act) -> str:
    """Say who did it, in which way, and why."""
    reason = f": {clean(act.reason, wording.MAX_DETAIL)}" if act.reason else ""
    return f"by {wording.person(act.actor, act.claimed_by)}, {act.way}{reason}"


def _state(notification: PastNotification, event: Event, now: Micros, timezone: str) -> str:
    """Say what became of *notification*."""
    state = str(notification.state)
    for attempt in notification.tried[-1:]:
        if attempt.reason == AttemptReason.OK:
            state += f" {_at(attempt.at, event.at, timezone)}"
    if notification.reason:
        state += f" ({_words(notification.reason)})"
    if notification.undelivered_to:
        state += f", in place of {notification.undelivered_to}"
    if notification.attempts > 1:
        state += f", {notification.attempts} tries"
    if notification.state is NotificationState.PENDING:
        wait = notification.next_attempt_at - now
        state += f", next try in {humanize(wait)}" if wait > 0 else ", next try now"
    return state


def _name(recipient: Heard | PastNotification) -> str:
    address = f" ({bare(clean(recipient.address))})" if recipient.address else ""
    return f"{recipient.receiver}{address}"


def _words(word: str) -> str:
    return word.replace("_", " ")


def _clock(at: Micros, timezone: str) -> str:
    return format_clock(at, timezone, seconds=True)


def _at(at: Micros, base: Micros, timezone: str) -> str:
    """Write a time beside one at *base*: of another day with its date."""
    day = format_date(at, timezone)
    is_same = day == format_date(base, timezone)
    return _clock(at, timezone) if is_same else f"{day}, {_clock(at, timezone)}"
