"""What people read, as values: one incident or many; notifiers only choose the markup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from .display import clean, clock
from .duration import describe
from .model import EventType, Item, Message, Micros, Resolution
from .secret import Secret
from .wording import (
    account_id,
    advice,
    facts,
    is_workspace,
    link,
    predicate,
    profile,
    resolution,
    subject,
    title,
    who,
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
    """One of many: *who*, since when, and the way to mend it if there is one."""

    who: str
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

    *subject* is the same for all messages of one incident, and *follows* says that this is not the
    first of them. *title* says in a line what happened, *lead* what it means and what to do.
    """

    subject: str
    tone: Tone
    title: str
    lead: str
    follows: bool = False
    facts: tuple[tuple[str, str], ...] = ()
    profile: str | None = None
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
    if len(message.items) == 1:
        return render_item(message.items[0], now=message.now, timezone=timezone)
    return _render_group(message.items, timezone)


def render_item(item: Item, *, now: Micros, timezone: str) -> Text:
    """Write the one notification *item*, as told at *now*."""
    return Text(
        subject=subject(item),
        tone=_tone(item),
        title=title(item),
        lead=advice(item),
        follows=item.incident is not None and item.event is not EventType.OPENED,
        facts=tuple(facts(item, now=now, timezone=timezone)),
        profile=profile(item),
        action=_action(item),
        notes=_notes((item,)),
    )


def _tone(item: Item) -> Tone:
    if item.event is EventType.NOTICE:
        return Tone.INFO
    if item.event is not EventType.RESOLVED:
        return Tone.BAD
    return Tone.INFO if resolution(item) is Resolution.DISAPPEARED else Tone.GOOD


def _action(item: Item) -> Action | None:
    url = link(item)
    return Action("Reconnect", url) if url else None


def _notes(items: Sequence[Item]) -> tuple[str, ...]:
    untold = sorted({clean(item.undelivered_to) for item in items if item.undelivered_to})
    if not untold:
        return ()
    names = ", ".join(untold[:5]) + (f" and {len(untold) - 5} more" if len(untold) > 5 else "")
    return (f"Could not be told to {names}. You read this because you are the fallback.",)


# ── many at once ─────────────────────────────────────────────────────────────────────────────────


def _render_group(items: Sequence[Item], timezone: str) -> Text:
    kinds: dict[tuple[str, bool], list[Item]] = {}
    for item in items:
        kinds.setdefault((predicate(item, many=True), is_workspace(item)), []).append(item)
    shown = list(kinds.values())[:SECTIONS]
    workspaces = sorted({clean(item.workspace, 40) for item in items})
    ambiguous = _ambiguous(items)
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
    what = headings[0] if len(kinds) == 1 else f"{len(items)} changes"
    if len(kinds) == 1:  # the title says it already
        sections = [replace(section, title="") for section in sections]
    return Text(
        subject=f"LinkedIn accounts: {what} {where}",
        tone=_worst(items),
        title=f"{what} {where}" if len(kinds) == 1 else f"{len(items)} changes at once {where}",
        lead="" if len(kinds) == 1 else "; ".join(headings) + ".",
        sections=tuple(sections),
        notes=((f"And {dropped} of other kinds.",) if dropped else ()) + _notes(items),
    )


def _ambiguous(items: Sequence[Item]) -> set[str]:
    """Return the names that more than one account of the group has."""
    owners: dict[str, set[tuple[str, str]]] = {}
    for item in items:
        owners.setdefault(who(item), set()).add((item.workspace, account_id(item)))
    return {name for name, accounts in owners.items() if len(accounts) > 1}


def _line(item: Item, timezone: str, ambiguous: set[str], workspaces: Sequence[str]) -> Line:
    name = who(item)
    marks = []
    if name in ambiguous:
        marks.append(account_id(item)[:8])
    if len(workspaces) > 1 and not is_workspace(item):
        marks.append(clean(item.workspace, 40))
    if any(marks):
        name = f"{name} ({', '.join(filter(None, marks))})"
    incident = item.incident
    if incident is None:
        return Line(name, clock(item.at, timezone))
    if incident.resolved_at is not None:
        return Line(name, f"after {describe(incident.resolved_at - incident.opened_at)}")
    return Line(name, f"since {clock(incident.opened_at, timezone)}", _action(item))


def _heading(members: Sequence[Item]) -> str:
    noun = "workspace" if is_workspace(members[0]) else "account"
    many = len(members) > 1
    return f"{len(members)} {noun}{'s' if many else ''} {predicate(members[0], many=many)}"


def _section_lead(members: Sequence[Item]) -> str:
    return advice(members[0], many=len(members) > 1)


def _worst(items: Sequence[Item]) -> Tone:
    tones = {_tone(item) for item in items}
    return next(tone for tone in (Tone.BAD, Tone.INFO, Tone.GOOD) if tone in tones)
