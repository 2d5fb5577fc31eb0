"""What the owner of the accounts decided: the sections of the configuration that the core uses.

And what nobody configures: how long no session is asked for after one that came to nothing.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias, get_args

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


Texts: TypeAlias = Annotated[tuple[str, ...], OneOrMore]


class ConfigSection:
    """A part of the configuration: pydantic refuses keys that are none of its fields."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Flapping(ConfigSection):
    """*changes* of status *within* a span are flapping; *settle* in one status ends it."""

    changes: int = 6
    within: Duration = Duration.parse("24h")
    settle: Duration = Duration.parse("30m")

    def __post_init__(self) -> None:
        if self.changes < 2:
            raise ValueError("changes must be 2 or more")


@dataclass(frozen=True, slots=True)
class IncidentPolicy(ConfigSection):
    """The section `incidents` of the configuration. Counts are scheduled polls."""

    open_after: int = 1
    resolve_after: int = 1
    missing_after: int = 3
    missing_many_after: int = 10
    blind_after: Duration = Duration.parse("5m")
    remind: tuple[Duration, ...] = tuple(map(Duration.parse, ("1h", "4h", "24h")))
    remind_max: int = 20
    flapping: Flapping = field(default_factory=Flapping)
    group_over: int = 5

    def __post_init__(self) -> None:
        for name in ("open_after", "resolve_after", "missing_after", "missing_many_after"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more")
        if self.missing_many_after < self.missing_after:
            raise ValueError("missing_many_after must not be smaller than missing_after")
        if self.group_over < 1:
            raise ValueError("group_over must be 1 or more")
        if self.remind_max < 0:
            raise ValueError("remind_max must not be negative")
        if any(step <= 0 for step in self.remind):
            raise ValueError("every step of remind must be longer than 0s")


@dataclass(frozen=True, slots=True)
class DeliveryPolicy(ConfigSection):
    """The section `delivery`: how long a message is tried before it is given up."""

    deadline: Duration = Duration.parse("24h")


@dataclass(frozen=True, slots=True)
class ReconnectionPolicy(ConfigSection):
    """The section `reconnection`: whether to ask for links, how often, and which to trust."""

    create: Literal["never", "if_missing"] = "if_missing"
    cooldown: Duration = Duration.parse("1h")
    link_origins: tuple[str, ...] = ("https://app.linkedapi.io",)

    def __post_init__(self) -> None:
        for origin in self.link_origins:
            parts = split_web_url(origin)
            if parts is None or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(f"{origin!r} is not an origin such as https://app.linkedapi.io")


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
