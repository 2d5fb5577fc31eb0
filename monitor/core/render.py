"""A message as people read it, as a value: of one incident or of many. Notifiers add the markup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from . import wording
from .duration import humanize
from .model import EventType, Message, Micros, Notification, Resolution
from .secret import Secret
from .text import clean, format_time

MAX_LINES: Final = 20  # how many of a group are named
MAX_SECTIONS: Final = 8  # how many kinds of a group are named


class Tone(StrEnum):
    """Whether it is bad news, good news or neither."""

    BAD = "bad"
    GOOD = "good"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Action:
    """A link that a reader opens to solve the problem."""

    label: str
    url: Secret


@dataclass(frozen=True, slots=True)
class Line:
    """One account or workspace of many: its name, since when, and the link if there is one."""

    name: str
    what: str
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """The notifications of a group that say the same; *more* counts those that are not listed."""

    title: str
    lead: str
    lines: tuple[Line, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Text:
    """A message as people read it: one incident has *facts*, several have *sections*.

    *thread_title* is the same for all messages of one incident; *follows* says that this is not
    the first of them. *title* says in one line what happened, *lead* what it means and what to do.
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
        return render_notification(message.notifications[0], now=message.now, timezone=timezone)
    return _render_group(message.notifications, timezone)


def render_notification(notification: Notification, *, now: Micros, timezone: str) -> Text:
    """Write *notification* as a message of its own that is sent at *now*."""
    return Text(
        thread_title=wording.thread_title(notification),
        tone=_tone(notification),
        title=wording.title(notification),
        lead=wording.advice(notification),
        follows=notification.incident is not None and notification.event is not EventType.OPENED,
        facts=tuple(wording.facts(notification, now=now, timezone=timezone)),
        profile_link=wording.profile_link(notification),
        action=_action(notification),
        notes=_notes((notification,)),
    )


def _tone(notification: Notification) -> Tone:
    if notification.event is EventType.NOTICE:
        return Tone.INFO
    if notification.event is not EventType.RESOLVED:
        return Tone.BAD
    return Tone.INFO if wording.resolution_of(notification) is Resolution.DISAPPEARED else Tone.GOOD


def _action(notification: Notification) -> Action | None:
    url = wording.login_link(notification)
    return Action("Reconnect", url) if url else None


def _notes(notifications: Sequence[Notification]) -> tuple[str, ...]:
    receivers = sorted(
        {clean(name) for notification in notifications if (name := notification.undelivered_to)}
    )
    if not receivers:
        return ()
    more = f" and {len(receivers) - 5} more" if len(receivers) > 5 else ""
    names = ", ".join(receivers[:5]) + more
    return (f"Could not be told to {names}. You read this because you are the fallback.",)


def plain_text(text: Text) -> str:
    """Write *text*, its links included, for readers without markup."""
    blocks = [text.title, text.lead]
    if text.action:
        blocks.append(f"{text.action.label}: {text.action.url.reveal()}")
    facts = [*text.facts, *([("Profile", text.profile_link)] if text.profile_link else [])]
    blocks.append("\n".join(f"{label}: {value}" for label, value in facts))
    for section in text.sections:
        lines = [*filter(None, (section.title, section.lead)), ""]
        for line in section.lines:
            link = f"\n    {line.action.label}: {line.action.url.reveal()}" if line.action else ""
            lines.append(f"  - {line.name}, {line.what}{link}")
        if section.more:
            lines.append(f"  and {section.more} more")
        blocks.append("\n".join(lines))
    blocks.extend(text.notes)
    return "\n\n".join(filter(None, blocks)) + "\n"


# ── many at once ─────────────────────────────────────────────────────────────────────────────────


def _render_group(notifications: Sequence[Notification], timezone: str) -> Text:
    kinds: dict[tuple[str, bool], list[Notification]] = {}
    for notification in notifications:
        kind = (wording.predicate(notification, many=True), wording.is_workspace(notification))
        kinds.setdefault(kind, []).append(notification)
    sections = _sections(list(kinds.values())[:MAX_SECTIONS], notifications, timezone)
    headings = [section.title for section in sections]
    workspaces = _workspaces(notifications)
    where = f"({workspaces[0]})" if len(workspaces) == 1 else f"({len(workspaces)} workspaces)"
    notes = _notes(notifications)
    if len(kinds) == 1:
        summary = title = headings[0]
        lead = ""
        sections = [replace(sections[0], title="")]  # the title of the message says it already
    else:
        summary = f"{len(notifications)} changes"
        title, lead = f"{summary} at once", "; ".join(headings) + "."
        if unlisted := sum(map(len, list(kinds.values())[MAX_SECTIONS:])):
            notes = (f"And {unlisted} of other kinds.", *notes)
    return Text(
        thread_title=f"LinkedIn accounts: {summary} {where}",
        tone=min(map(_tone, notifications), key=(Tone.BAD, Tone.INFO, Tone.GOOD).index),
        title=f"{title} {where}",
        lead=lead,
        sections=tuple(sections),
        notes=notes,
    )


def _sections(
    kinds: Sequence[Sequence[Notification]], notifications: Sequence[Notification], timezone: str
) -> list[Section]:
    """Write a section for each of *kinds*; together they list at most MAX_LINES, in equal parts."""
    workspaces = _workspaces(notifications)
    ambiguous = _ambiguous(notifications)
    sections: list[Section] = []
    lines_left = MAX_LINES
    for index, members in enumerate(kinds):
        listed = members[: max(1, lines_left // (len(kinds) - index))]
        lines_left -= len(listed)
        lines = tuple(_line(member, timezone, ambiguous, workspaces) for member in listed)
        lead = wording.advice(members[0], many=len(members) > 1)
        sections.append(Section(_heading(members), lead, lines, len(members) - len(listed)))
    return sections


def _workspaces(notifications: Sequence[Notification]) -> list[str]:
    return sorted({clean(notification.workspace, 40) for notification in notifications})


def _ambiguous(notifications: Sequence[Notification]) -> set[str]:
    """Return the names that more than one account of the group has."""
    accounts: dict[str, set[tuple[str, str]]] = {}
    for notification in notifications:
        key = (notification.workspace, wording.account_id(notification))
        accounts.setdefault(wording.name_of(notification), set()).add(key)
    return {name for name, keys in accounts.items() if len(keys) > 1}


def _line(
    notification: Notification, timezone: str, ambiguous: set[str], workspaces: Sequence[str]
) -> Line:
    name = wording.name_of(notification)
    marks = []
    if name in ambiguous:
        marks.append(wording.account_id(notification)[:8])
    if len(workspaces) > 1 and not wording.is_workspace(notification):
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
    noun = "workspace" if wording.is_workspace(members[0]) else "account"
    many = len(members) > 1
    return f"{len(members)} {noun}{'s' if many else ''} {wording.predicate(members[0], many=many)}"
