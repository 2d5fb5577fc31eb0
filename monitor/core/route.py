"""Routes: which receivers hear of what, and the values of a configuration that say so."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias

from .bounds import AtMost, span
from .doc import Doc
from .duration import Duration
from .inventory import Inventory, matches_any, names_of
from .model import Account, Cause, Event, Incident, ListedAccount, Scope
from .policy import ConfigSection, Labels, OneOrMore, Texts

if TYPE_CHECKING:
    from .mutes import MuteRule


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

    *causes* are those that were told last, as far as is known; those who are *behind* were told
    last before what is wrong with a subscription became more.
    """

    heard: frozenset[Recipient] = frozenset()
    causes: Mapping[Recipient, Cause] = field(default_factory=dict)
    behind: frozenset[Recipient] = frozenset()
    waiting: frozenset[Recipient] = frozenset()
    sending: frozenset[Recipient] = frozenset()


def fallback_of(routing: Routing) -> tuple[Recipient, ...]:
    """Return who hears what no route matches: a fallback has an address of its own."""
    return (Recipient(routing.fallback),) if routing.fallback else ()


def routed_to(
    event: Event | Incident,
    account: Account | None,
    routing: Routing,
    labels: Mapping[str, str],
) -> tuple[Recipient, ...]:
    """Return those whom the routes name for *event* and who have an address for it."""
    return at_present(named_for(event, account, routing, labels), routing, labels)


def named_for(
    event: Event | Incident,
    account: Account | None,
    routing: Routing,
    labels: Mapping[str, str],
) -> Iterable[str]:
    """Return the receivers that the routes name for *event*, each once."""
    names = dict.fromkeys(() if routing.routes else routing.receivers)
    for route, differs in ask(routing.routes, event, account, labels):
        if differs is None:
            names.update(dict.fromkeys(route.to))
    return names


def reminded(event: Event | Incident, account: Account | None, routing: Routing) -> list[str]:
    """Return the receivers that are reminded of *event*, which is about *account*."""
    labels = routing.inventory.labels(event.workspace, account)
    routed = routed_to(event, account, routing, labels) or fallback_of(routing)
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


def at_present(
    names: Iterable[str], routing: Routing, labels: Mapping[str, str]
) -> tuple[Recipient, ...]:
    """Return the receivers *names*, each once and with the address that it has now, if it has."""
    return tuple(
        Recipient(name, address)
        for name in dict.fromkeys(names)
        if (address := routing.receivers[name].address(labels)) is not None
    )


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
