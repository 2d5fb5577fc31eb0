"""Who hears of what: events and routes in, messages for the outbox out.

Rules:
1. `resolved` goes to exactly those who heard of the incident, whatever routes say by then.
2. `refreshed` goes to the receivers that heard; `changed` to them and to the route of the new
   cause; whoever has not heard yet and is not on that route will not.
3. `acknowledged` goes to the machines that heard; people see it in what they are told next.
4. What waits to be told of an incident is told once: the text is made when it is sent.
5. A receiver whose address is a label of the account hears of accounts that have the label. Each
   address is a recipient of its own: if the label changes, who had it hears the end, and who has it
   an opening with what is told next.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, TypeAlias

from .bounds import AtMost, span
from .doc import Doc
from .duration import Duration
from .inventory import Inventory, matches_any, names_of
from .model import (
    ALL_WORKSPACES,
    Account,
    Cause,
    Event,
    EventType,
    Incident,
    ListedAccount,
    Micros,
    Reason,
    Scope,
)
from .policy import ConfigSection, Labels, OneOrMore, Texts
from .subscription import parse_conditions

if TYPE_CHECKING:
    from .mutes import MuteRule, Mutes


@dataclass(frozen=True, slots=True)
class Match(ConfigSection):
    """Which events a route is for: those that match all parts; an empty part matches everything.

    *workspaces* and *accounts* (their ids, or the names that they are matched by) may be globs.
    """

    causes: Annotated[
        tuple[Cause, ...],
        OneOrMore,
        Doc("one or a list of the causes of incidents", example=["frozen"], default="everything"),
    ] = field(default=(), metadata={"alias": "cause"})
    workspaces: Annotated[
        Texts, Doc("a glob or a list of them", example="acme-*", default="everything")
    ] = field(default=(), metadata={"alias": "workspace"})
    accounts: Annotated[
        Texts,
        Doc(
            "globs for the id, or the name that it is matched by (see `accounts`)",
            example=["Jane *"],
            default="everything",
        ),
    ] = field(default=(), metadata={"alias": "account"})
    scopes: Annotated[
        tuple[Scope, ...],
        OneOrMore,
        Doc("`account` or `workspace`", example="account", default="everything"),
    ] = field(default=(), metadata={"alias": "scope"})
    labels: Annotated[
        Labels,
        Doc(
            "labels of the account (or workspace) that must have these values",
            example={"team": "growth"},
        ),
    ] = field(default_factory=dict)
    recurring: Annotated[
        bool | None,
        Doc(
            "`true`: incidents that recur (`incidents.recurring`); `false`: those that do not",
            example=True,
            default="everything",
        ),
    ] = None


MatchPart: TypeAlias = Literal["cause", "scope", "workspace", "account", "labels", "recurring"]
"""A part of a match, as the configuration calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(ConfigSection):
    """So long *after* somebody was told, the receivers *to* are, unless it was taken over."""

    after: Annotated[
        Duration,
        span("1m", "365d"),
        Doc("so long after it was first told …", example="2h"),
    ]
    to: Annotated[Texts, Doc("… these receivers are told as well", example=["ops-email"])] = field(
        metadata={"min_length": 1}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Route(ConfigSection):
    """The receivers *to* hear what matches; the next routes are asked only if it *continues*.

    Those of the steps in *escalate* hear of it later, each step once an incident.
    """

    match: Annotated[Match, Doc("the events that match all parts", example={"cause": "frozen"})] = (
        field(default_factory=Match)
    )
    to: Annotated[Texts, Doc("names of receivers", example=["ops-slack"])] = field(
        metadata={"min_length": 1}
    )
    continues: Annotated[bool, Doc("`true`: the next routes are asked as well", example=True)] = (
        field(default=False, metadata={"alias": "continue"})
    )
    escalate: Annotated[
        tuple[Step, ...],
        AtMost(20),
        Doc(
            "who is told if nobody takes it over (`ack`), and when",
            example=[{"after": "2h", "to": ["ops-email"]}],
        ),
    ] = ()

    def __post_init__(self) -> None:
        if len({step.after for step in self.escalate}) < len(self.escalate):
            raise ValueError("escalate must have no two steps after the same time")


@dataclass(frozen=True, slots=True)
class Receiver:
    """A configured destination: what one message may hold (*groups*: many incidents), its address.

    One that *is_machine* follows each incident by rule: it hears at once who has taken it over.
    *address_label* is the label of an account that holds the address, for one without its own. The
    messages of one that *is_log* are lines of our own log.
    """

    name: str
    groups: bool = True
    is_machine: bool = False
    is_log: bool = False
    may_have_link: bool = True
    address_label: str | None = None

    def address(self, labels: Mapping[str, str]) -> str | None:
        """Return where it hears of an account with *labels*: "" is its own address."""
        return "" if self.address_label is None else labels.get(self.address_label)


@dataclass(frozen=True, slots=True)
class Routing:
    """The whole table: the *receivers* by name, and the *routes* to them.

    No routes at all send every event to every receiver; *fallback* hears what no route matches.
    *mutes* are those of the configuration, *timezone* is that of the times that people configure.
    """

    receivers: Mapping[str, Receiver]
    routes: tuple[Route, ...] = ()
    fallback: str | None = None
    inventory: Inventory = field(default_factory=Inventory)
    mutes: "tuple[MuteRule, ...]" = ()
    timezone: str = "UTC"


class Recipient(NamedTuple):
    """A receiver, and the address that a label gave it ("": its own)."""

    receiver: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who *heard* of an incident, for whom something about it is *waiting* or *sending*.

    *causes* are those that were told last, as far as is known.
    """

    heard: frozenset[Recipient] = frozenset()
    causes: Mapping[Recipient, Cause] = field(default_factory=dict)
    waiting: frozenset[Recipient] = frozenset()
    sending: frozenset[Recipient] = frozenset()


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


_NEWS: Final = (EventType.OPENED, EventType.CHANGED)
"""What is told once a mute ends, if it is still true."""

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
    mutes: "Mutes | None" = None,
) -> Plan:
    """Return who is to be told of *events*, which come from one commit.

    They are of one workspace, and of all workspaces: of those everybody hears who hears of one of
    the *affected*. One message holds nothing of both. What *mutes* hold is left out; when it is to
    be told instead is noted of what would be news.
    """
    silence = _Silence(mutes)
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
            routed = _routed(event, account, routing, labels)
        recipients = _recipients(event, audience, routing, routed, labels)
        if recipients is None:
            unrouted.append(event)
        for recipient in silence.leave_out(event, account, labels, recipients or ()):
            group = planned.setdefault((recipient, event.workspace), [])
            if event.type not in _ONCE or all(it.incident_id != incident_id for it in group):
                group.append(event)
        if event.type is EventType.CHANGED and event.reason is not Reason.MUTE_ENDED:
            unheard = audience.waiting - audience.heard - set(routed or _fallback(routing))
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
        silence.held,
        silence.untold,
    )


@dataclass(slots=True)
class _Silence:
    """What *mutes* hold of a plan: see `Plan`."""

    mutes: "Mutes | None"
    held: dict[str, Micros] = field(default_factory=dict)
    untold: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def leave_out(
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
) -> tuple[Recipient, ...] | None:
    """Return who is to hear *event*, or None if it is for people and nobody would hear of it."""
    heard = sorted(
        recipient
        for recipient in audience.heard | audience.sending
        if recipient.receiver in routing.receivers
    )
    if event.type is EventType.RESOLVED:
        return tuple(heard)
    hearing = _at_present((recipient.receiver for recipient in heard), routing, labels)
    if event.reason is Reason.MUTE_ENDED:
        others = (it for it in hearing if audience.causes.get(it, event.cause) is not event.cause)
        unheard = (it for it in routed or _fallback(routing) if it not in hearing)
        return tuple(it for it in (*others, *unheard) if it not in audience.waiting)
    if event.type is EventType.ACKNOWLEDGED:
        hearing = tuple(it for it in hearing if routing.receivers[it.receiver].is_machine)
    if event.type in (EventType.REFRESHED, EventType.ACKNOWLEDGED):
        return tuple(recipient for recipient in hearing if recipient not in audience.waiting)
    if event.type is EventType.CHANGED:
        routed = tuple(dict.fromkeys((*hearing, *routed)))
    fallback = _fallback(routing)
    if event.type is EventType.REMINDED and set(hearing).issuperset(fallback):
        routed = tuple(dict.fromkeys((*routed, *fallback)))  # it stands in for another
    routed = routed or fallback
    if not routed:
        return None
    return tuple(recipient for recipient in routed if recipient not in audience.waiting)


def _fallback(routing: Routing) -> tuple[Recipient, ...]:
    """Return who hears what no route matches: a fallback has an address of its own."""
    return (Recipient(routing.fallback),) if routing.fallback else ()


def _routed(
    event: Event | Incident,
    account: Account | None,
    routing: Routing,
    labels: Mapping[str, str],
) -> tuple[Recipient, ...]:
    """Return those whom the routes name for *event* and who have an address for it."""
    names = dict.fromkeys(() if routing.routes else routing.receivers)
    for route, differs in ask(routing.routes, event, account, labels):
        if differs is None:
            names.update(dict.fromkeys(route.to))
    return _at_present(names, routing, labels)


def reminded(event: Event | Incident, account: Account | None, routing: Routing) -> list[str]:
    """Return the receivers that are reminded of *event*, which is about *account*."""
    labels = routing.inventory.labels(event.workspace, account)
    routed = _routed(event, account, routing, labels) or _fallback(routing)
    return [recipient.receiver for recipient in routed]


def steps_of(
    event: Event | Incident, account: Account | None, routing: Routing
) -> dict[Duration, list[str]]:
    """Return who is told of *event*, which is about *account*, after how long: in that order.

    The steps of all routes that match count.
    """
    labels = routing.inventory.labels(event.workspace, account)
    steps: dict[Duration, list[str]] = {}
    for route, differs in ask(routing.routes, event, account, labels):
        for step in route.escalate if differs is None else ():
            steps.setdefault(step.after, []).extend(step.to)
    return dict(sorted(steps.items()))


def _at_step(
    event: Event, account: Account | None, routing: Routing, labels: Mapping[str, str]
) -> tuple[Recipient, ...]:
    """Return those of the step of which *event* says that it is due."""
    steps = steps_of(event, account, routing)
    names = (name for after, names in steps.items() if str(after) == event.detail for name in names)
    return _at_present(names, routing, labels)


def _at_present(
    names: Iterable[str], routing: Routing, labels: Mapping[str, str]
) -> tuple[Recipient, ...]:
    """Return the receivers *names*, each once and with the address that it has now, if it has."""
    return tuple(
        Recipient(name, address)
        for name in dict.fromkeys(names)
        if (address := routing.receivers[name].address(labels)) is not None
    )


def _routed_of_all(
    event: Event, affected: Sequence[str], routing: Routing
) -> tuple[Recipient, ...]:
    """Return those with an address of their own who hear of one of the *affected*."""
    recipients: dict[Recipient, None] = {}
    for workspace in affected:
        of_one = replace(event, workspace=workspace)
        labels = routing.inventory.labels(workspace)
        recipients.update(dict.fromkeys(_routed(of_one, None, routing, labels)))
    return tuple(recipient for recipient in recipients if not recipient.address)


def ask(
    routes: Iterable[Route],
    event: Event | Incident,
    account: Account | None,
    labels: Mapping[str, str],
) -> Iterator[tuple[Route, MatchPart | None]]:
    """Yield the *routes* that are asked for *event*, in their order.

    With each comes the first part of its match that differs; None: it matches.
    """
    for route in routes:
        differs = _differing_part(route.match, event, account, labels)
        yield route, differs
        if differs is None and not route.continues:
            return


def _differing_part(
    match: Match,
    event: Event | Incident,
    account: Account | ListedAccount | None,
    labels: Mapping[str, str],
) -> MatchPart | None:
    scope = Scope.ACCOUNT if event.account_id else Scope.WORKSPACE
    names = (account.id, *names_of(account)) if account else (event.account_id or "",)
    if match.causes and event.cause not in match.causes:
        return "cause"
    if match.scopes and scope not in match.scopes:
        return "scope"
    if match.workspaces and not matches_any(match.workspaces, (event.workspace,)):
        return "workspace"
    if match.accounts and not matches_any(match.accounts, names):
        return "account"
    if match.recurring not in (None, event.times is not None):
        return "recurring"
    differs = any(labels.get(key) != value for key, value in match.labels.items())
    return "labels" if differs else None


def matches(
    match: Match,
    event: Event | Incident,
    account: Account | ListedAccount | None,
    labels: Mapping[str, str],
) -> bool:
    """Return whether *event*, about *account* with these *labels*, is what *match* is for."""
    return _differing_part(match, event, account, labels) is None


def _badness(event: Event, accounts: Mapping[str, Account]) -> tuple[int, int, str]:
    good = event.type in (EventType.RESOLVED, EventType.NOTICE)
    account = accounts.get(event.account_id or "")
    return (good, 0 if good else SEVERITY.index(event.cause), account.name if account else "")
