"""What people read, as values: one incident or many; notifiers only choose the markup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from .duration import humanize
from .model import EventType, Message, Micros, Notification, Resolution
from .secret import Secret
from .text import clean, format_time
from .wording import (
    account_id,
    advice,
    facts,
    is_workspace,
    link,
    name_of,
    predicate,
    profile_link,
    resolution,
    thread_title,
    title,
)

LINES: Final = 20
"""How many of a group are named."""

SECTIONS: Final = 8


class Tone(StrEnum):
    """Whether it is bad news, good news or neither."""

    BAD = "bad"
    GOOD = "good"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Action:
    """What a reader can open to mend it."""

    label: str
    url: Secret


@dataclass(frozen=True, slots=True)
class Line:
    """One of many: *name*, since when, and the way to mend it if there is one."""

    name: str
    what: str
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """What many have in common; *more* counts those that are not listed."""

    title: str
    lead: str
    lines: tuple[Line, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """A message as people read it: one incident has *facts*, several have *sections*.

    *thread_title* is the same for all messages of one incident; *follows* says that this is not
    the first of them. *title* says in a line what happened, *lead* what it means and what to do.
    """

    thread_title: str
    tone: Tone
    title: str
    lead: str
    follows: bool = False
    facts: tuple[tuple[str, str], ...] = ()
    profile_link: str | None = None
    action: Action | None = None
    sections: tuple[Section, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def symbol(self) -> str:
        """A sign for the tone, for places that show no colour of their own."""
        return _SYMBOLS[self.tone]


_SYMBOLS: Final[Mapping[Tone, str]] = {Tone.BAD: "🔴", Tone.GOOD: "🟢", Tone.INFO: "🔵"}


def render(message: Message, *, timezone: str) -> Text:
    """Write *message* for people whose clocks show *timezone*."""
    if len(message.notifications) == 1:
        return render_item(message.notifications[0], now=message.now, timezone=timezone)
    return _render_group(message.notifications, timezone)


def render_item(notification: Notification, *, now: Micros, timezone: str) -> Text:
    """Write the one notification *notification*, as told at *now*."""
    return Text(
        thread_title=thread_title(notification),
        tone=_tone(notification),
        title=title(notification),
        lead=advice(notification),
        follows=notification.incident is not None and notification.event is not EventType.OPENED,
        facts=tuple(facts(notification, now=now, timezone=timezone)),
        profile_link=profile_link(notification),
        action=_action(notification),
        notes=_notes((notification,)),
    )


def _tone(notification: Notification) -> Tone:
    if notification.event is EventType.NOTICE:
        return Tone.INFO
    if notification.event is not EventType.RESOLVED:
        return Tone.BAD
    return Tone.INFO if resolution(notification) is Resolution.DISAPPEARED else Tone.GOOD


def _action(notification: Notification) -> Action | None:
    url = link(notification)
    return Action("Reconnect", url) if url else None


def _notes(notifications: Sequence[Notification]) -> tuple[str, ...]:
    untold = sorted(
        {
            clean(notification.undelivered_to)
            for notification in notifications
            if notification.undelivered_to
        }
    )
    if not untold:
        return ()
    names = ", ".join(untold[:5]) + (f" and {len(untold) - 5} more" if len(untold) > 5 else "")
    return (f"Could not be told to {names}. You read this because you are the fallback.",)


# ── many at once ─────────────────────────────────────────────────────────────────────────────────


def _render_group(notifications: Sequence[Notification], timezone: str) -> Text:
    kinds: dict[tuple[str, bool], list[Notification]] = {}
    for notification in notifications:
        kinds.setdefault(
            (predicate(notification, many=True), is_workspace(notification)), []
        ).append(notification)
    shown = list(kinds.values())[:SECTIONS]
    workspaces = sorted({clean(notification.workspace, 40) for notification in notifications})
    ambiguous = _ambiguous(notifications)
    sections = []
    room = LINES
    for index, members in enumerate(shown):
        share = max(1, room // (len(shown) - index))
        listed = members[:share]
        room -= len(listed)
        lines = tuple(_line(one, timezone, ambiguous, workspaces) for one in listed)
        more = len(members) - len(listed)
        sections.append(Section(_heading(members), _section_lead(members), lines, more))
    dropped = sum(map(len, kinds.values())) - sum(map(len, shown))
    where = f"({workspaces[0]})" if len(workspaces) == 1 else f"({len(workspaces)} workspaces)"
    headings = [section.title for section in sections]
    what = headings[0] if len(kinds) == 1 else f"{len(notifications)} changes"
    if len(kinds) == 1:  # the title says it already
        sections = [replace(section, title="") for section in sections]
    return Text(
        thread_title=f"LinkedIn accounts: {what} {where}",
        tone=_worst(notifications),
        title=f"{what} {where}"
        if len(kinds) == 1
        else f"{len(notifications)} changes at once {where}",
        lead="" if len(kinds) == 1 else "; ".join(headings) + ".",
        sections=tuple(sections),
        notes=((f"And {dropped} of other kinds.",) if dropped else ()) + _notes(notifications),
    )


def _ambiguous(notifications: Sequence[Notification]) -> set[str]:
    """Return the names that more than one account of the group has."""
    owners: dict[str, set[tuple[str, str]]] = {}
    for notification in notifications:
        owners.setdefault(name_of(notification), set()).add(
            (notification.workspace, account_id(notification))
        )
    return {name for name, accounts in owners.items() if len(accounts) > 1}


def _line(
    notification: Notification, timezone: str, ambiguous: set[str], workspaces: Sequence[str]
) -> Line:
    name = name_of(notification)
    marks = []
    if name in ambiguous:
        marks.append(account_id(notification)[:8])
    if len(workspaces) > 1 and not is_workspace(notification):
        marks.append(clean(notification.workspace, 40))
    if any(marks):
        name = f"{name} ({', '.join(filter(None, marks))})"
    incident = notification.incident
    if incident is None:
        return Line(name, format_time(notification.at, timezone))
    if incident.resolved_at is not None:
        return Line(name, f"after {humanize(incident.resolved_at - incident.opened_at)}")
    return Line(name, f"since {format_time(incident.opened_at, timezone)}", _action(notification))


def _heading(members: Sequence[Notification]) -> str:
    noun = "workspace" if is_workspace(members[0]) else "account"
    many = len(members) > 1
    return f"{len(members)} {noun}{'s' if many else ''} {predicate(members[0], many=many)}"


def _section_lead(members: Sequence[Notification]) -> str:
    return advice(members[0], many=len(members) > 1)


def _worst(notifications: Sequence[Notification]) -> Tone:
    tones = {_tone(notification) for notification in notifications}
    return next(tone for tone in (Tone.BAD, Tone.INFO, Tone.GOOD) if tone in tones)
