"""Spans of time as people write them: `30s`, `5m`, `2h`, `7d`."""

import re
from typing import Any, Final, Self

MICROSECONDS: Final = {
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_FORM: Final = re.compile(r"(\d{1,9})(ms|s|m|h|d)", re.ASCII)
_MAX: Final = 3650 * MICROSECONDS["d"]
_HINT: Final = "must be a duration such as 30s, 5m, 2h or 7d"


class Duration(int):
    """A span in whole microseconds; being an `int`, it adds to and compares with points in time."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `30s`, `5m`, `2h`, `7d` or `500ms`; raise ValueError for anything else."""
        match = _FORM.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{_HINT}, not {text[:40]!r}")
        span = int(match[1]) * MICROSECONDS[match[2]]
        if span > _MAX:
            raise ValueError("must be 3650d or shorter")
        return cls(span)

    @property
    def seconds(self) -> float:
        """The span in seconds."""
        return self / 1_000_000

    def __str__(self) -> str:
        for unit in ("d", "h", "m", "s", "ms"):
            if self % MICROSECONDS[unit] == 0 and self:
                return f"{int(self) // MICROSECONDS[unit]}{unit}"
        return f"{int(self)}us" if self else "0s"

    def __repr__(self) -> str:
        return f"Duration({str(self)!r})"

    @classmethod
    def _parse(cls, value: Any) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError(f"{_HINT}, not {value!r}")  # noqa: TRY004 - pydantic wants ValueError
        return cls.parse(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """Let pydantic read a duration from text (a core schema is a plain dict)."""
        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": cls._parse},
            "serialization": {"type": "to-string"},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """Describe the written form."""
        return {"type": "string", "pattern": f"^{_FORM.pattern}$"}


def humanize(span: int) -> str:
    """Write a span of microseconds for people, in two units, to the nearest: `2 h 5 min`, `3 d`."""
    seconds = max(0, span) // 1_000_000
    if seconds < 60:
        return f"{seconds} s"
    minutes = _nearest(seconds, 60)
    if minutes < 24 * 60:
        units = (("h", minutes // 60), ("min", minutes % 60))
    else:
        hours = _nearest(minutes, 60)
        units = (("d", hours // 24), ("h", hours % 24))
    return " ".join(f"{count} {name}" for name, count in units if count)


def _nearest(value: int, size: int) -> int:
    return (value + size // 2) // size


def humanize_between(start: int, end: int) -> str:
    """Write the span between two points in time, which people see to the minute, as they see it."""
    minute = MICROSECONDS["m"]
    span = end - start
    return humanize(span if span < minute else end // minute * minute - start // minute * minute)
