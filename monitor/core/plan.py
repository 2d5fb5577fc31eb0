"""Who is told of what a commit brings: events and routes in, messages for the outbox out.

Rules:
1. `resolved` goes to exactly those who heard of the incident, whatever routes say by then.
2. `refreshed` goes to the receivers that heard; `changed` to them and to the route of the new
   cause; whoever has not heard yet and is not on that route will not.
3. `acknowledged` goes to the machines that heard; people see it in what they are told next.
4. What waits to be told of an incident is told once: the text is made when it is sent.
5. A receiver whose address is a label of the account hears of accounts that have the label. Each
   address is a recipient of its own: if the label changes, who had it hears the end, and who has it
   an opening with what is told next.
6. What is muted is left out, but for an end; of what would be news it is noted until when.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from .model import ALL_WORKSPACES, Account, Cause, Event, EventType, Incident, Micros, Reason
from .mutes import Mutes
from .route import (
    Audience,
    Recipient,
    Routing,
    at_present,
    fallback_of,
    named_for,
    routed_to,
    steps_of,
)
from .subscription import parse_conditions


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """One message to be: the *events* that one recipient is told of together, worst first."""

    recipient: Recipient
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The messages to queue, the events that nobody would hear of, and who is no longer to hear.

    *rerouted* are changes that lead away from a recipient before it heard of the incident: the id
    of the incident and the recipient. *held* says until when something of an incident is muted,
    *untold* of events why recipients that would hear do not.
    """

    messages: tuple[PlannedMessage, ...] = ()
    unrouted: tuple[Event, ...] = ()
    rerouted: tuple[tuple[str, Recipient], ...] = ()
    held: Mapping[str, Micros] = field(default_factory=dict)
    untold: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


SEVERITY: Final[Sequence[Cause | None]] = (
    Cause.TOKEN_REJECTED,
    Cause.UNREACHABLE,
    Cause.BAD_RESPONSE,
    Cause.RATE_LIMITED,
    Cause.SUBSCRIPTION,
    Cause.RECONNECTION_REQUIRED,
    Cause.FROZEN,
    Cause.FLAPPING,
    Cause.UNKNOWN,
    None,
)
"""The worst cause first; what has none comes last."""


_NEWS: Final = (EventType.OPENED, EventType.CHANGED, EventType.ESCALATED)
"""What is told once a mute ends, if it is still true."""

_ROUTED: Final = (EventType.OPENED, EventType.CHANGED, EventType.REMINDED)

_ONCE: Final = (EventType.ESCALATED, EventType.REMINDED)
"""Of these a commit tells a recipient one about an incident, the first."""


def plan(
    events: Sequence[Event],
    *,
    audiences: Mapping[str, Audience],
    routing: Routing,
    accounts: Mapping[str, Account],
    group_over: int,
    affected: Sequence[str] = (),
    mutes: Mutes | None = None,
) -> Plan:
    """Return who is to be told of *events*, which come from one commit.

    They are of one workspace, and of all workspaces: of those everybody hears who hears of one of
    the *affected*. One message holds nothing of both. What *mutes* hold is left out; when it is to
    be told instead is noted of what would be news.
    """
    left_out = _LeftOut(mutes)
    planned: dict[tuple[Recipient, str], list[Event]] = {}
    unrouted: list[Event] = []
    rerouted: list[tuple[str, Recipient]] = []
    for event in events:
        account = accounts.get(event.account_id or "")
        incident_id = event.incident_id or ""
        audience = audiences.get(incident_id, Audience())
        labels = routing.inventory.labels(event.workspace, account)
        if event.workspace == ALL_WORKSPACES:
            routed = _routed_of_all(event, affected, routing)
        elif event.type is EventType.ESCALATED:
            routed = _at_step(event, account, routing, labels)
        else:
            routed = routed_to(event, account, routing, labels)
        called = _called(event, account, routing, labels)
        recipients = _recipients(event, audience, routing, routed, labels, called=called)
        named = _addresses(event, account, routing, labels)
        left_out.explain(event, named, audience, is_unrouted=recipients is None)
        if recipients is None:
            unrouted.append(event)
        for recipient in left_out.hearing(event, account, labels, recipients or ()):
            group = planned.setdefault((recipient, event.workspace), [])
            if event.type not in _ONCE or all(it.incident_id != incident_id for it in group):
                group.append(event)
        if event.type is EventType.CHANGED and event.reason is not Reason.MUTE_ENDED:
            staying = {*(routed or fallback_of(routing)), *called}
            unheard = audience.waiting - audience.heard - staying
            rerouted += [(incident_id, recipient) for recipient in sorted(unheard)]
    messages: list[PlannedMessage] = []
    for (recipient, _), group in planned.items():
        group.sort(key=lambda event: _badness(event, accounts))
        if routing.receivers[recipient.receiver].groups:
            parts = _parts(group, group_over)
        else:
            parts = [[event] for event in group]
        messages.extend(PlannedMessage(recipient, tuple(part)) for part in parts)
    return Plan(
        tuple(messages),
        tuple(unrouted),
        tuple(rerouted),
        left_out.held,
        left_out.untold,
    )


@dataclass(slots=True)
class _LeftOut:
    """Who is left out of a plan, by *mutes* or else, and why: see `Plan`."""

    mutes: Mutes | None
    held: dict[str, Micros] = field(default_factory=dict)
    untold: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def explain(
        self,
        event: Event,
        named: Mapping[str, str | None],
        audience: Audience,
        *,
        is_unrouted: bool,
    ) -> None:
        """Note why those *named* for *event*, each with its address, do not hear of it."""
        why = ["nobody: no route matches, and no fallback"] if is_unrouted else []
        for name, address in named.items():
            if address is None:
                why.append(f"{name}: no label has its address")
            elif Recipient(name, address) in audience.waiting:
                why.append(f"{name}: something is queued for it already")
        if why:
            self.untold[event.id] = tuple(why)

    def hearing(
        self,
        event: Event,
        account: Account | None,
        labels: Mapping[str, str],
        recipients: Iterable[Recipient],
    ) -> Iterator[Recipient]:
        """Yield those of *recipients* who are told of *event* now: an end is never held."""
        for recipient in recipients:
            until = None
            if self.mutes is not None and event.type is not EventType.RESOLVED:
                until = self.mutes.until(event, account, labels, recipient.receiver)
            if until is None:
                yield recipient
                continue
            before = self.untold.get(event.id, ())
            self.untold[event.id] = (*before, f"{recipient.receiver}: muted")
            if event.type in _NEWS and event.incident_id:
                self.held[event.incident_id] = min(until, self.held.get(event.incident_id, until))


def _parts(group: Sequence[Event], group_over: int) -> list[list[Event]]:
    """Return what is one message each: accounts that froze for one reason are, however few.

    So is that reason itself.
    """
    together: list[Event] = []
    if any(map(_is_explained, group)):
        together = [event for event in group if _is_explained(event) or _explains(event)]
        group = [event for event in group if not (_is_explained(event) or _explains(event))]
    parts = [list(group)] if len(group) > group_over else [[event] for event in group]
    return [together, *parts] if together else parts


def _is_explained(event: Event) -> bool:
    return event.cause is Cause.FROZEN and parse_conditions(event.detail).explains


def _explains(event: Event) -> bool:
    return event.cause is Cause.SUBSCRIPTION and event.type is not EventType.RESOLVED


def fallback_event(
    incident: Incident | None, audience: Audience, fallback: Recipient, *, is_known: bool
) -> EventType | None:
    """Return as what *fallback* is told what another receiver could not be told; None if not.

    The opening of an incident that is still open and that the fallback has not heard of is an
    opening for it too; anything else is a notice, and one notice a receiver (*is_known*: there was
    one) is enough while the incident is open.
    """
    if incident is None or not incident.is_open:
        return EventType.NOTICE
    if fallback not in audience.heard | audience.waiting | audience.sending:
        return EventType.OPENED
    return None if is_known else EventType.NOTICE


def _recipients(
    event: Event,
    audience: Audience,
    routing: Routing,
    routed: tuple[Recipient, ...],
    labels: Mapping[str, str],
    *,
    called: tuple[Recipient, ...],
) -> tuple[Recipient, ...] | None:
    """Return who is to hear *event*, or None if it is for people and nobody would hear of it."""
    heard = sorted(
        recipient
        for recipient in audience.heard | audience.sending
        if recipient.receiver in routing.receivers
    )
    if event.type is EventType.RESOLVED:
        return tuple(heard)
    hearing = at_present((recipient.receiver for recipient in heard), routing, labels)
    if event.reason is Reason.MUTE_ENDED:
        others = (
            it
            for it in hearing
            if it in audience.behind or audience.causes.get(it, event.cause) is not event.cause
        )
        unheard = (it for it in routed or fallback_of(routing) if it not in hearing)
        return tuple(it for it in (*others, *unheard) if it not in audience.waiting)
    if event.type is EventType.ACKNOWLEDGED:
        hearing = tuple(it for it in hearing if routing.receivers[it.receiver].is_machine)
    if event.type in (EventType.REFRESHED, EventType.ACKNOWLEDGED):
        return tuple(recipient for recipient in hearing if recipient not in audience.waiting)
    if event.type is EventType.CHANGED:
        routed = tuple(dict.fromkeys((*hearing, *routed)))
    fallback = fallback_of(routing)
    if event.type is EventType.REMINDED and set(hearing).issuperset(fallback):
        is_called = set(called).issuperset(fallback) and set(hearing).issuperset(routed)
        if not is_called:  # by a step: then it stands in for another
            routed = tuple(dict.fromkeys((*routed, *fallback)))
    routed = routed or fallback
    if not routed:
        return None
    return tuple(recipient for recipient in routed if recipient not in audience.waiting)


def _at_step(
    event: Event, account: Account | None, routing: Routing, labels: Mapping[str, str]
) -> tuple[Recipient, ...]:
    """Return those of the step of which *event* says that it is due."""
    steps = steps_of(event, account, routing)
    names = (name for after, names in steps.items() if str(after) == event.detail for name in names)
    return at_present(names, routing, labels)


def _called(
    event: Event, account: Account | None, routing: Routing, labels: Mapping[str, str]
) -> tuple[Recipient, ...]:
    """Return those of all steps: who waits to be called is called, whatever the cause is by now."""
    steps = steps_of(event, account, routing)
    return at_present((name for names in steps.values() for name in names), routing, labels)


def _addresses(
    event: Event, account: Account | None, routing: Routing, labels: Mapping[str, str]
) -> dict[str, str | None]:
    """Return the receivers that the routes name for *event*, each with its address, if it has one.

    There are none if who is told depends on who heard, or on other workspaces.
    """
    if event.type not in _ROUTED or event.workspace == ALL_WORKSPACES:
        return {}
    names = named_for(event, account, routing, labels)
    return {name: routing.receivers[name].address(labels) for name in names}


def _routed_of_all(
    event: Event, affected: Sequence[str], routing: Routing
) -> tuple[Recipient, ...]:
    """Return those with an address of their own who hear of one of the *affected*."""
    recipients: dict[Recipient, None] = {}
    for workspace in affected:
        of_one = replace(event, workspace=workspace)
        labels = routing.inventory.labels(workspace)
        recipients.update(dict.fromkeys(routed_to(of_one, None, routing, labels)))
    return tuple(recipient for recipient in recipients if not recipient.address)


def _badness(event: Event, accounts: Mapping[str, Account]) -> tuple[int, int, str]:
    good = event.type in (EventType.RESOLVED, EventType.NOTICE)
    account = accounts.get(event.account_id or "")
    return (good, 0 if good else SEVERITY.index(event.cause), account.name if account else "")
