"""How small and how large what people configure may be, and why."""

from typing import Any, Final, Generic, TypeVar

from .duration import Duration

N = TypeVar("N", int, Duration)


class Between(Generic[N]):
    """Marks a number or a span that must not be below *low* nor above *high*; *why* is told.

    What is too large is as good as never, or too much for a message or for memory, though it may
    have been meant as something else.
    """

    __slots__ = ("high", "low", "why")

    def __init__(self, low: N, high: N, why: str = "") -> None:
        self.low: Final[N] = low
        self.high: Final[N] = high
        self.why: Final = why

    def check(self, value: N) -> N:
        """Return *value*; raise ValueError if it is out of bounds."""
        if self.low <= value <= self.high:
            return value
        raise ValueError(
            f"must be from {self.low} to {self.high}" + (f": {self.why}" if self.why else "")
        )

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        """Let pydantic check the number after it was read (a core schema is a plain dict)."""
        return {
            "type": "function-after",
            "function": {"type": "no-info", "function": self.check},
            "schema": handler(source),
        }

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Describe the bounds of numbers: JSON Schema knows none of spans."""
        described: dict[str, Any] = handler(schema)
        if described.get("type") == "integer":
            described |= {"minimum": int(self.low), "maximum": int(self.high)}
        return described


class AtMost:
    """Marks a list, or a mapping, that has no more than so many entries."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count: Final = count

    def check(self, value: Any) -> Any:
        """Return *value*; raise ValueError if it is too long."""
        if len(value) > self.count:
            raise ValueError(f"must have {self.count} or fewer entries")
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        """Let pydantic count the entries after they were read (a core schema is a plain dict)."""
        return {
            "type": "function-after",
            "function": {"type": "no-info", "function": self.check},
            "schema": handler(source),
        }


def span(low: str, high: str, why: str = "") -> Between[Duration]:
    """Mark a span that must be from *low* to *high*."""
    return Between(Duration.parse(low), Duration.parse(high), why)
