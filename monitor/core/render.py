"""A message as people read it, as a value: of one incident or of many. Notifiers add the markup."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from typing import Final

from . import details, wording
from .advice import advice
from .billing import BILLING
from .details import Fact
from .model import EventType, Micros, Resolution
from .notification import Message, Notification
from .recurring import how_often
from .secret import Secret
from .text import clean, format_clock, format_date, format_time, format_zone, set_off

MAX_LINES: Final = 1000
"""So many of a group are listed at the most; where there is less room, `fit` lists fewer."""

NEARLY: Final = 0.97
"""How much of the room that there is for a text is used at the least, if it needs more."""

MAX_REASONS: Final = 5
"""So many receivers that could not be told are named."""


class Tone(StrEnum):
    """Whether it is bad news, good news or neither."""

    BAD = "bad"
    GOOD = "good"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Style:
    """How messages are written, whatever they say.

    Times are those of the clocks in *timezone*, titles begin with *prefix*; *monitor* and *host*
    say who sends them. *billing_url* is where to go for accounts that are frozen.
    """

    timezone: str = "UTC"
    prefix: str = ""
    monitor: str = ""
    host: str = ""
    billing_url: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """A link that a reader opens to solve the problem."""

    label: str
    url: Secret


@dataclass(frozen=True, slots=True)
class Line:
    """One account or workspace of many: its name, what about it, and the link if there is one."""

    name: str
    what: str = ""
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """The notifications of a group that say the same; *unlisted* counts those without a line."""

    title: str
    lead: str
    lines: tuple[Line, ...]
    unlisted: int = 0
    action: Action | None = None
    listing: str = ""

    @property
    def rest(self) -> str:
        """Where those are that are not listed, if there are any."""
        return f"{self.unlisted} more: run “{self.listing}”" if self.unlisted else ""


@dataclass(frozen=True, slots=True)
class Text:
    """A message as people read it, in this order; *title* says in one line what happened.

    *lead* says first what to do; one incident has *facts*, several have *sections*. *thread_title*
    is the same for all messages of one incident; *follows* says that this is not the first of them.
    *sender* is the name of the monitor.
    """

    thread_title: str
    tone: Tone
    title: str
    lead: str
    follows: bool = False
    action: Action | None = None
    facts: tuple[Fact, ...] = ()
    sections: tuple[Section, ...] = ()
    notes: tuple[str, ...] = ()
    sender: str = ""

    @property
    def symbol(self) -> str:
        """A sign for the tone, for places that show no colour of their own."""
        return _SYMBOLS[self.tone]

    @property
    def listed(self) -> int:
        """How many lines its sections have."""
        return sum(len(section.lines) for section in self.sections)


_SYMBOLS: Final[Mapping[Tone, str]] = {Tone.BAD: "🔴", Tone.GOOD: "🟢", Tone.INFO: "🔵"}


def render(message: Message, style: Style) -> Text:
    """Write *message* for people."""
    notifications = wording.told_once(message.notifications)
    if len(notifications) > 1:
        return _Group(replace(message, notifications=tuple(notifications)), style).text()
    (notification,) = notifications
    return render_notification(notification, style, receiver=message.receiver, now=message.now)


def render_notification(
    notification: Notification, style: Style, *, receiver: str, now: Micros
) -> Text:
    """Write *notification* as a message of its own that is sent at *now*."""
    facts = details.facts(notification, now=now, timezone=style.timezone)
    if wording.is_test(notification):
        facts = _who_tests(style, receiver, notification.at)
    return Text(
        thread_title=_prefixed(wording.thread_title(notification), style),
        tone=tone_of(notification),
        title=_prefixed(wording.title(notification), style),
        lead=advice((notification,)),
        follows=notification.incident is not None and notification.event is not EventType.OPENED,
        action=_login(notification) or _billing((notification,), style),
        facts=tuple(facts),
        notes=_notes((notification,), style, now),
        sender=clean(style.monitor),
    )


def _who_tests(style: Style, receiver: str, at: Micros) -> Iterator[Fact]:
    yield Fact("Sent", format_time(at, style.timezone))
    yield Fact("Receiver", clean(receiver))
    if style.monitor != style.host:
        yield Fact("Monitor", clean(style.monitor))
    yield Fact("Host", clean(style.host))


def _prefixed(title: str, style: Style) -> str:
    return f"{clean(style.prefix)} {title}" if style.prefix else title


def tone_of(notification: Notification) -> Tone:
    """Return the tone of what happened; a copy for the fallback has that of its incident."""
    match wording.resolution_of(notification):
        case None:
            return Tone.BAD if notification.incident else Tone.INFO
        case Resolution.RECOVERED | Resolution.REPLACED:
            is_notice = notification.incident is None and notification.event is EventType.NOTICE
            return Tone.INFO if is_notice else Tone.GOOD
        case _:
            return Tone.INFO


def _login(notification: Notification) -> Action | None:
    url = wording.login_link(notification)
    return Action(wording.RECONNECT, url) if url else None


def _billing(members: Sequence[Notification], style: Style) -> Action | None:
    if not style.billing_url or not all(map(wording.needs_billing, members)):
        return None
    return Action(BILLING, Secret(style.billing_url))


def _notes(notifications: Sequence[Notification], style: Style, now: Micros) -> tuple[str, ...]:
    """Say why the fallback gets this: who could not be told, what the answer was, since when."""
    copies = {
        copy.undelivered.receiver: copy.undelivered for copy in notifications if copy.undelivered
    }
    notes = []
    for _, undelivered in sorted(copies.items())[:MAX_REASONS]:
        since = format_time(min(undelivered.since, now), style.timezone)
        why = f" ({clean(undelivered.why, 200)})" if undelivered.why else ""
        notes.append(
            f"You get this as the fallback: {set_off(clean(undelivered.receiver))} could not be"
            f" told since {since}{why}."
        )
    if (others := len(copies) - MAX_REASONS) > 0:
        notes.append(f"Nor could {others} more.")
    return tuple(notes)


def plain_text(text: Text) -> str:
    """Write *text*, its links included, for readers without markup."""
    blocks = [text.title, text.lead, *_plain_action(text.action)]
    blocks.append("\n".join(f"{label}: {url or value}" for label, value, url in text.facts))
    for section in text.sections:
        lines = [*filter(None, (section.title, section.lead)), *_plain_action(section.action), ""]
        for line in section.lines:
            lines.append("  - " + ", ".join(filter(None, (line.name, line.what))))
            lines.extend(f"    {link}" for link in _plain_action(line.action))
        if section.rest:
            lines.append(f"  … {section.rest}")
        blocks.append("\n".join(lines).strip("\n"))
    blocks.extend(text.notes)
    return "\n\n".join(filter(None, blocks)) + "\n"


def _plain_action(action: Action | None) -> tuple[str, ...]:
    return (f"{action.label}: {action.url.reveal()}",) if action else ()


# ── many at once ─────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Group:
    """Several notifications that are one message."""

    message: Message
    style: Style
    kinds: list[list[Notification]] = field(init=False)
    rooms: list[int] = field(init=False)
    workspaces: list[str] = field(init=False)
    ambiguous: set[str] = field(init=False)
    facts: tuple[Fact, ...] = field(init=False)
    when: Callable[[Micros], str] = field(init=False)

    def __post_init__(self) -> None:
        notifications = self.message.notifications
        kinds: dict[tuple[str, bool], list[Notification]] = {}
        for notification in notifications:
            kind = wording.predicate(notification, many=True), wording.is_workspace(notification)
            kinds.setdefault(kind, []).append(notification)
        self.kinds = [*kinds.values()]
        self.rooms = _shares([*map(len, self.kinds)], MAX_LINES)
        listed = [members[:room] for members, room in zip(self.kinds, self.rooms, strict=True)]
        self.ambiguous = _ambiguous(chain.from_iterable(listed))
        workspaces = {member.workspace for member in notifications}
        self.workspaces = sorted({clean(workspace, 40) for workspace in workspaces})
        self.facts, self.when = _times(notifications, self.style.timezone)

    def text(self) -> Text:
        """Write all of them, those that say the same together."""
        notifications, style = self.message.notifications, self.style
        sections = [*map(self._section, self.kinds, self.rooms)]
        if len(sections) == 1:  # the message itself says what its only section would
            (only,) = sections
            summary, lead, action = only.title, only.lead, only.action
            sections = [replace(only, title="", lead="", action=None)]
        else:
            summary, action = _summary(notifications), None
            lead = f"{'; '.join(section.title for section in sections)}."
        several = len(self.workspaces) > 1
        where = f"{len(self.workspaces)} workspaces" if several else self.workspaces[0]
        title = _prefixed(f"{summary} ({where})", style)
        return Text(
            thread_title=title,
            tone=min(map(tone_of, notifications), key=(Tone.BAD, Tone.INFO, Tone.GOOD).index),
            title=title,
            lead=lead,
            action=action,
            facts=self.facts,
            sections=tuple(sections),
            notes=_notes(notifications, style, self.message.now),
            sender=clean(style.monitor),
        )

    def _section(self, members: Sequence[Notification], room: int) -> Section:
        return Section(
            title=_heading(members),
            lead=advice(members),
            lines=tuple(map(self._line, members[:room])),
            unlisted=len(members) - room,
            action=_billing(members, self.style),
            listing=wording.listing(members[0]),
        )

    def _line(self, member: Notification) -> Line:
        name = wording.name_of(member)
        marks = []
        if name in self.ambiguous:
            marks.append(wording.account_id(member)[:8])
        if len(self.workspaces) > 1 and not wording.is_workspace(member):
            marks.append(clean(member.workspace, 40))
        if any(marks):
            name = f"{name} ({', '.join(filter(None, marks))})"
        incident = member.incident
        if incident is None:
            what = self.when(member.at)
        elif incident.resolved_at is not None:
            what = wording.parts(incident, incident.resolved_at)
        else:
            when = self.when(incident.cause_since)
            detail = details.detail_of(member)
            holder = wording.acknowledged_by(incident)
            taken_over = holder and f"acknowledged by {holder}"
            parts = (when and f"since {when}", detail, how_often(incident), taken_over)
            what = ", ".join(filter(None, parts))
            return Line(name, what, _login(member))
        return Line(name, ", ".join(filter(None, (what, wording.ids(member)))))


def _times(
    notifications: Sequence[Notification], timezone: str
) -> tuple[tuple[Fact, ...], Callable[[Micros], str]]:
    """Return what all times have in common, and how each is written beside it."""
    moments = [
        member.incident.cause_since if member.incident else member.at
        for member in notifications
        if member.incident is None or member.incident.is_open
    ]
    if moments:
        first, last = min(moments), max(moments)
        is_all = all(member.incident and member.incident.is_open for member in notifications)
        if is_all and format_time(first, timezone) == format_time(last, timezone):
            return (Fact("Since", format_time(first, timezone)),), lambda _: ""
        date, zone = format_date(first, timezone), format_zone(first, timezone)
        if (date, zone) == (format_date(last, timezone), format_zone(last, timezone)):
            date = f"{date}, times in {zone}"
            return (Fact("On", date),), lambda moment: format_clock(moment, timezone)
    return (), lambda moment: format_time(moment, timezone)


def _summary(notifications: Sequence[Notification]) -> str:
    """Name what says different things, as one."""
    count, tones = len(notifications), set(map(tone_of, notifications))
    if tones == {Tone.GOOD}:
        return f"{count} problems are over"
    if tones != {Tone.BAD}:
        return f"{count} changes"
    still = all(member.event is EventType.REMINDED for member in notifications)
    noun = "problems" if any(map(wording.is_workspace, notifications)) else "accounts"
    return f"{count} {noun} {'still need' if still else 'need'} attention"


def _ambiguous(notifications: Iterable[Notification]) -> set[str]:
    """Return the names that more than one account of the group has."""
    accounts: dict[str, set[tuple[str, str]]] = {}
    for notification in notifications:
        key = (notification.workspace, wording.account_id(notification))
        accounts.setdefault(wording.name_of(notification), set()).add(key)
    return {name for name, keys in accounts.items() if len(keys) > 1}


def _heading(members: Sequence[Notification]) -> str:
    if wording.is_subscription(members[0]):  # there is one of a workspace
        return wording.title(members[0])
    noun = "workspace" if wording.is_workspace(members[0]) else "account"
    many = len(members) > 1
    return f"{len(members)} {noun}{'s' if many else ''} {wording.predicate(members[0], many=many)}"


# ── as much as there is room for ─────────────────────────────────────────────────────────────────


def fit(text: Text, size: Callable[[Text], int], limit: int) -> Text:
    """Return *text* with as many lines of its sections as its *size* may have, or nearly so.

    What a line adds differs little, so a few guesses find out.
    """
    low, high = with_lines(text, 0), text
    low_size, high_size = size(low), size(high)
    if high_size <= limit:
        return high
    while high.listed - low.listed > 1 and low_size < limit * NEARLY:
        share = (limit - low_size) / (high_size - low_size)
        step = max(1, int((high.listed - low.listed) * share))
        guess = with_lines(text, min(low.listed + step, high.listed - 1))
        if guess.listed <= low.listed:  # nobody is left out alone
            break
        guessed = size(guess)
        if guessed <= limit:
            low, low_size = guess, guessed
        else:
            high, high_size = guess, guessed
    return low


def with_lines(text: Text, count: int) -> Text:
    """Return *text* with *count* lines in all: each section has its share, or gives it on."""
    shares = _shares([len(section.lines) for section in text.sections], count)
    sections = []
    for section, share in zip(text.sections, shares, strict=True):
        whole = len(section.lines) + section.unlisted
        sections.append(replace(section, lines=section.lines[:share], unlisted=whole - share))
    return replace(text, sections=tuple(sections))


def _shares(sizes: Sequence[int], room: int) -> list[int]:
    """Divide *room* among lists of these *sizes*; one that needs less than its share gives it on.

    Nowhere is a single one left out: to say so takes as much room.
    """
    shares = [0] * len(sizes)
    for place, index in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        share = min(sizes[index], room // (len(sizes) - place))
        if share == sizes[index] - 1:
            share = max(share - 1, 0)
        shares[index] = share
        room -= share
    return shares
