"""What the owner of the accounts decided: the sections of the configuration that the core uses.

And what nobody configures: how long no session is asked for after one that came to nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, get_args

from .bounds import AtMost, Between, span
from .duration import Duration
from .model import IntentOutcome, Micros
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

    changes: Annotated[int, Between(2, 100, "each change is remembered")] = 6
    within: Annotated[Duration, span("1s", "30d")] = Duration.parse("24h")
    settle: Annotated[Duration, span("1s", "30d", "until then it stays open")] = Duration.parse(
        "30m"
    )


Polls: TypeAlias = Annotated[int, Between(1, 1000, "until then nobody is told")]
ReminderStep: TypeAlias = Annotated[Duration, span("1s", "365d", "[] never reminds")]


@dataclass(frozen=True, slots=True)
class IncidentPolicy(ConfigSection):
    """The section `incidents` of the configuration. Counts are scheduled polls."""

    open_after: Polls = 1
    resolve_after: Polls = 1
    missing_after: Polls = 3
    missing_many_after: Polls = 10
    blind_after: Annotated[
        Duration, span("0s", "1d", "until then nobody hears that nothing is seen")
    ] = Duration.parse("5m")
    remind: Annotated[tuple[ReminderStep, ...], AtMost(50)] = tuple(
        map(Duration.parse, ("1h", "4h", "24h"))
    )
    remind_max: Annotated[int, Between(0, 1000)] = 20
    flapping: Flapping = field(default_factory=Flapping)
    group_over: Annotated[int, Between(1, 1000, "a message has room for no more")] = 5

    def __post_init__(self) -> None:
        if self.missing_many_after < self.missing_after:
            raise ValueError("missing_many_after must not be smaller than missing_after")


@dataclass(frozen=True, slots=True)
class DeliveryPolicy(ConfigSection):
    """The section `delivery`: how long a message is tried before it is given up."""

    deadline: Annotated[Duration, span("1s", "30d", "what is later than that is no news")] = (
        Duration.parse("24h")
    )


REFRESH_AFTER: Final = Duration.parse("15m")
"""How long a link that rotated is kept back: the login may be under way, or over."""


@dataclass(frozen=True, slots=True)
class ReconnectionPolicy(ConfigSection):
    """The section `reconnection`: when to ask for links and to tell new ones; which to trust."""

    create: Literal["never", "if_missing"] = "if_missing"
    cooldown: Annotated[
        Duration, span("0s", "30d", "for so long an account may have no login link")
    ] = Duration.parse("1h")
    refresh_after: Annotated[
        Duration, span("0s", "30d", "for so long nobody may hear of a new login link")
    ] = REFRESH_AFTER
    link_origins: Annotated[tuple[str, ...], AtMost(50)] = ("https://app.linkedapi.io",)

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
