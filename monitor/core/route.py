"""Who hears of what: events and routes in, messages for the outbox out.

Rules:
1. `resolved` and `refreshed` go to exactly those who heard of the incident, whatever routes say.
2. `changed` goes to those who heard and to the route of the new cause; whoever has not heard yet
   and is not on that route will not.
3. What waits to be told of an incident is told once: the text is made when it leaves.
4. A receiver whose address is a label of the account hears of accounts that have the label, and in
   one message only of those that have the same address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from .inventory import Inventory, matches_any
from .model import Account, Cause, Event, EventType, Scope
from .policy import OneOrMore, Texts


@dataclass(frozen=True, slots=True)
class Match:
    """Which events a route is for: those that match all parts; an empty part matches everything.

    *workspaces* and *accounts* (their ids or names) may be globs.
    """

    causes: Annotated[tuple[Cause, ...], OneOrMore] = field(default=(), metadata={"alias": "cause"})
    workspaces: Texts = field(default=(), metadata={"alias": "workspace"})
    accounts: Texts = field(default=(), metadata={"alias": "account"})
    scopes: Annotated[tuple[Scope, ...], OneOrMore] = field(default=(), metadata={"alias": "scope"})
    labels: Mapping[str, str] = field(default_factory=dict)

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The receivers *to* hear what matches; the next routes are asked only if it *continues*."""

    match: Match = field(default_factory=Match)
    to: Texts = field(metadata={"min_length": 1})
    continues: bool = field(default=False, metadata={"alias": "continue"})

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Routing:
    """The whole table: receivers by name and whether one message may tell them of many incidents.

    No routes at all send every event to every receiver; *fallback* hears what no route matches.
    *address_labels* names the label that holds the address of a receiver without its own.
    """

    groups: Mapping[str, bool]
    routes: tuple[Route, ...] = ()
    fallback: str | None = None
    inventory: Inventory = field(default_factory=Inventory)
    address_labels: Mapping[str, str] = field(default_factory=dict)

    def address(self, receiver: str, labels: Mapping[str, str]) -> str | None:
        """Return where *receiver* hears of an account with *labels*: "" is its own address."""
        label = self.address_labels.get(receiver)
        return "" if label is None else labels.get(label)


@dataclass(frozen=True, slots=True)
class Audience:
    """Who *heard* of an incident, who has something *waiting* about it and whose is *sending*."""

    heard: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()
    sending: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PlannedNotification:
    """One notification to be: *event* for *receiver*."""

    event: Event
    receiver: str


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """One message to be: what one receiver is told in one go, worst first."""

    receiver: str
    notifications: tuple[PlannedNotification, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The messages to queue, the events that nobody would hear of, and who is no longer to hear.

    *rerouted* are the changes that lead away from a receiver before it heard of the incident.
    """

    messages: tuple[PlannedMessage, ...] = ()
    unrouted: tuple[Event, ...] = ()
    rerouted: tuple[PlannedNotification, ...] = ()


SEVERITY: Final[Mapping[Cause | None, int]] = {
    Cause.TOKEN_REJECTED: 0,
    Cause.UNREACHABLE: 1,
    Cause.BAD_RESPONSE: 2,
    Cause.RATE_LIMITED: 3,
    Cause.RECONNECTION_REQUIRED: 4,
    Cause.FROZEN: 5,
    Cause.FLAPPING: 6,
    Cause.UNKNOWN: 7,
    None: 8,
}


def plan(
    events: Sequence[Event],
    *,
    audience: Mapping[str, Audience],
    routing: Routing,
    accounts: Mapping[str, Account],
    group_over: int,
) -> Plan:
    """Return who is to be told of *events*, which come from one commit of one workspace."""
    told: dict[tuple[str, str | None], list[PlannedNotification]] = {}
    unrouted: list[Event] = []
    rerouted: list[PlannedNotification] = []
    for event in events:
        account = accounts.get(event.account_id or "")
        labels = routing.inventory.labels(event.workspace, account)
        receivers = _receivers(event, account, audience, routing, labels)
        if receivers is None:
            unrouted.append(event)
        for receiver in receivers or ():
            address = routing.address(receiver, labels)
            told.setdefault((receiver, address), []).append(PlannedNotification(event, receiver))
        if event.type is EventType.CHANGED:
            known = audience.get(event.incident_id or "", Audience())
            routed = routed_to(event, account, routing, labels) or (routing.fallback,)
            missed = known.waiting - known.heard - set(routed)
            rerouted += [PlannedNotification(event, receiver) for receiver in sorted(missed)]
    messages: list[PlannedMessage] = []
    for (receiver, _), notifications in told.items():
        notifications.sort(key=lambda one: _badness(one, accounts))
        if routing.groups.get(receiver, False) and len(notifications) > group_over:
            messages.append(PlannedMessage(receiver, tuple(notifications)))
        else:
            messages.extend(
                PlannedMessage(receiver, (notification,)) for notification in notifications
            )
    return Plan(tuple(messages), tuple(unrouted), tuple(rerouted))


def _receivers(
    event: Event,
    account: Account | None,
    audience: Mapping[str, Audience],
    routing: Routing,
    labels: Mapping[str, str],
) -> tuple[str, ...] | None:
    """Return who is to hear *event*, or None if it is for people and nobody would hear of it."""
    known = audience.get(event.incident_id or "", Audience())
    listening = known.heard | known.sending
    if event.type is EventType.RESOLVED:
        return tuple(sorted(listening & routing.groups.keys()))
    if event.type is EventType.REFRESHED:
        return tuple(sorted((listening - known.waiting) & routing.groups.keys()))
    routed = routed_to(event, account, routing, labels)
    if event.type is EventType.CHANGED:
        routed = tuple(dict.fromkeys((*sorted(listening & routing.groups.keys()), *routed)))
    fallback = (routing.fallback,) if routing.fallback else ()
    if event.type is EventType.REMINDED and listening.issuperset(fallback):
        routed = tuple(dict.fromkeys((*routed, *fallback)))  # it stands in for another
    if not routed:
        routed = fallback
    if not routed:
        return None
    return tuple(receiver for receiver in routed if receiver not in known.waiting)


def routed_to(
    event: Event, account: Account | None, routing: Routing, labels: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the receivers that the routes name for *event* and that have an address for it."""
    found = dict.fromkeys(() if routing.routes else routing.groups)
    for route in routing.routes:
        if _matches(route.match, event, account, labels):
            found.update(dict.fromkeys(route.to))
            if not route.continues:
                break
    return tuple(one for one in found if routing.address(one, labels) is not None)


def _matches(
    match: Match, event: Event, account: Account | None, labels: Mapping[str, str]
) -> bool:
    scope = Scope.ACCOUNT if event.account_id else Scope.WORKSPACE
    called = (account.id, account.name) if account else (event.account_id or "",)
    return (
        (not match.causes or event.cause in match.causes)
        and (not match.scopes or scope in match.scopes)
        and (not match.workspaces or matches_any(match.workspaces, (event.workspace,)))
        and (not match.accounts or matches_any(match.accounts, called))
        and all(labels.get(key) == value for key, value in match.labels.items())
    )


def _badness(
    notification: PlannedNotification, accounts: Mapping[str, Account]
) -> tuple[int, int, str]:
    event = notification.event
    good = event.type in (EventType.RESOLVED, EventType.NOTICE)
    account = accounts.get(event.account_id or "")
    return (good, 0 if good else SEVERITY[event.cause], account.name if account else "")
