"""What the owner of the accounts decided: the sections of the configuration that the core uses.

And what nobody configures: how long no session is asked for after one that came to nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, get_args

from .bounds import AtMost, Between, span
from .doc import Doc
from .duration import Duration
from .model import IntentOutcome, Micros
from .time_of_day import TimeOfDay
from .url import split_web_url


class OneOrMore:
    """Marks a tuple of which a person may write a single item without a list."""

    @staticmethod
    def _parse(value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """Let pydantic read a text as a list of one (a core schema is a plain dict)."""
        items = handler(source)
        item = handler.generate_schema(get_args(source)[0])
        return {
            "type": "function-before",
            "function": {"type": "no-info", "function": cls._parse},
            "schema": items,
            "json_schema_input_schema": {"type": "union", "choices": [item, items]},
        }


Labels: TypeAlias = Annotated[Mapping[str, str], AtMost(50)]
"""Names and values of people's own; each message shows them."""

Texts: TypeAlias = Annotated[tuple[str, ...], OneOrMore]


class ConfigSection:
    """A part of the configuration: pydantic refuses keys that are none of its fields."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Flapping(ConfigSection):
    """*changes* of status *within* a span are flapping; *settle* in one status ends it."""

    changes: Annotated[
        int,
        Between(2, 100, "each change is remembered"),
        Doc("so many changes of status (`open_after` doesn't matter then) …", example=4),
    ] = 6
    within: Annotated[
        Duration, span("1s", "30d"), Doc("… within so long are flapping …", example="12h")
    ] = Duration.parse("24h")
    settle: Annotated[
        Duration,
        span("1s", "30d", "until then it stays open"),
        Doc("… and so much quiet ends it", example="1h"),
    ] = Duration.parse("30m")


Polls: TypeAlias = Annotated[int, Between(1, 1000, "until then nobody is told")]
ReminderStep: TypeAlias = Annotated[Duration, span("1s", "365d", "[] never reminds")]


@dataclass(frozen=True, slots=True)
class Recurring(ConfigSection):
    """So many *times* *within* a span is again and again."""

    times: Annotated[
        int,
        Between(2, 100),
        Doc("so many incidents of one cause, about one account or one workspace …", example=5),
    ] = 3
    within: Annotated[
        Duration,
        span("1h", "3650d"),
        Doc(
            "… that opened within so long: the last says so, with other advice. At most"
            " `storage.keep`",
            example="30d",
        ),
    ] = Duration.parse("7d")


@dataclass(frozen=True, slots=True)
class IncidentPolicy(ConfigSection):
    """The section `incidents` of the configuration. Counts are scheduled polls."""

    open_after: Annotated[Polls, Doc("polls that must agree that an account is bad", example=2)] = 1
    resolve_after: Annotated[
        Polls, Doc("polls that must agree that it is active again", example=2)
    ] = 1
    missing_after: Annotated[
        Polls, Doc("polls without an account before it counts as gone", example=5)
    ] = 3
    missing_many_after: Annotated[
        Polls,
        Doc(
            "the same if more than half of the accounts are missing at once; also how often one and"
            " the same list without any of one or two known accounts must come before it is"
            " believed",
            example=20,
        ),
    ] = 10
    blind_after: Annotated[
        Duration,
        span("0s", "1d", "until then nobody hears that nothing is seen"),
        Doc(
            "a workspace that cannot be read for so long is an incident (a rejected token: 60 s);"
            " a shorter restart doesn't matter",
            example="10m",
        ),
    ] = Duration.parse("5m")
    remind: Annotated[
        tuple[ReminderStep, ...],
        AtMost(50),
        Doc("when to remind; the last repeats; `[]` never", example=["2h", "1d"]),
    ] = tuple(map(Duration.parse, ("1h", "4h", "24h")))
    remind_max: Annotated[int, Between(0, 1000), Doc("reminders per incident", example=10)] = 20
    remind_at: Annotated[
        TimeOfDay | None,
        Doc("steps of a day or more are due at this time of `timezone`", example="09:00"),
    ] = None
    flapping: Annotated[
        Flapping,
        Doc("when an account that keeps changing is one incident", example={"changes": 4}),
    ] = field(default_factory=Flapping)
    group_over: Annotated[
        int,
        Between(1, 1000, "a message has room for no more"),
        Doc("more changes than these in one poll are one message", example=10),
    ] = 5
    notice_new: Annotated[
        bool,
        Doc("`true`: people hear of each account that is connected, in a `notice`", example=True),
    ] = False
    recurring: Annotated[
        Recurring,
        Doc("when something happens again and again", example={"times": 5}),
    ] = field(default_factory=Recurring)

    def __post_init__(self) -> None:
        if self.missing_many_after < self.missing_after:
            raise ValueError("missing_many_after must not be smaller than missing_after")


@dataclass(frozen=True, slots=True)
class SubscriptionPolicy(ConfigSection):
    """The section `subscription`: how often to ask how a workspace is paid for."""

    every: Annotated[
        Duration,
        span("1m", "7d", "what is unpaid is told before accounts freeze"),
        Doc(
            "how often to ask, right after a poll, whether the subscription is paid, goes on and"
            " has seats for all accounts; it is asked when accounts freeze or thaw, too."
            " `subscription: false` never asks",
            example="2h",
        ),
    ] = Duration.parse("30m")


@dataclass(frozen=True, slots=True)
class DeliveryPolicy(ConfigSection):
    """The section `delivery`: how long a message is tried before it is given up."""

    deadline: Annotated[
        Duration,
        span("1s", "30d", "what is later than that is no news"),
        Doc("how long a message is tried", example="12h"),
    ] = Duration.parse("24h")


REFRESH_AFTER: Final = Duration.parse("15m")
"""How long a link that rotated is kept back: the login may be under way, or over."""


@dataclass(frozen=True, slots=True)
class ReconnectionPolicy(ConfigSection):
    """The section `reconnection`: when to ask for links and to tell new ones; which to trust."""

    create: Annotated[
        Literal["never", "if_missing"],
        Doc("ask for a login link where there is none; or `never`", example="never"),
    ] = "if_missing"
    cooldown: Annotated[
        Duration,
        span("0s", "30d", "for so long an account may have no login link"),
        Doc("between two such requests for one account", example="6h"),
    ] = Duration.parse("1h")
    refresh_after: Annotated[
        Duration,
        span("0s", "30d", "for so long nobody may hear of a new login link"),
        Doc(
            "another link than the one that was told (a mail scanner may have used that one up) is"
            " told after so long, once between two reminders",
            example="30m",
        ),
    ] = REFRESH_AFTER
    link_origins: Annotated[
        tuple[str, ...],
        AtMost(50),
        Doc(
            "links that lead elsewhere are left out of messages",
            example=["https://app.linkedapi.io"],
        ),
    ] = ("https://app.linkedapi.io",)

    def __post_init__(self) -> None:
        for origin in self.link_origins:
            parts = split_web_url(origin)
            if parts is None or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError("link_origins must be origins such as https://app.linkedapi.io")


COOLDOWNS: Final = {
    IntentOutcome.NEEDLESS: Duration(0),
    IntentOutcome.LATER: Duration.parse("1m"),
    IntentOutcome.LIMITED: Duration.parse("6h"),
}
"""How long no session is asked for after these outcomes, whatever the configuration says."""


def is_cooling_down(
    outcome: IntentOutcome, asked_at: Micros, *, cooldown: Duration, now: Micros
) -> bool:
    """Return whether it is too early to ask for another session of the same account.

    *outcome* is how it ended to ask for the latest one, *cooldown* what is configured.
    """
    return now < asked_at + COOLDOWNS.get(outcome, cooldown)
