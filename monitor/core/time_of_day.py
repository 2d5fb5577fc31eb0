"""Points in time as people configure them: `09:00` of any day, `2026-12-24T18:00`."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from .duration import Duration
from .model import Micros

NOW: Final = Duration(0)

END_OF_TIME: Final = 253_402_300_799_000_000
"""The end of the year 9999: nothing later can be written as a date."""

_FORM: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_HINT: Final = "must be an hour of the day such as 09:00"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TimeOfDay(str):
    """An hour and a minute of any day, such as `09:00`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `09:00`; raise ValueError for anything else."""
        if _FORM.fullmatch(text.strip()) is None:
            raise ValueError(f"{_HINT}, not {text[:40]!r}")
        return cls(text.strip())

    def on_day_of(self, moment: Micros, timezone: str, *, later: Duration = NOW) -> Micros:
        """Return when it is this time on the day of *moment* by the clocks of *timezone*.

        Or on the day so much *later* by these clocks: days may have 23 or 25 hours.
        """
        zone = ZoneInfo(timezone)
        shown = (_EPOCH + timedelta(microseconds=moment)).astimezone(zone).replace(tzinfo=None)
        day = (shown + timedelta(microseconds=later)).date()
        at = datetime.combine(day, time.fromisoformat(self), zone)
        return (at - _EPOCH) // timedelta(microseconds=1)

    @classmethod
    def _parse(cls, value: Any) -> Self:
        if not isinstance(value, str):
            raise ValueError(f"{_HINT}, not {value!r}")  # noqa: TRY004 - pydantic wants ValueError
        return cls.parse(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """Let pydantic read it from text (a core schema is a plain dict)."""
        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": cls._parse},
            "serialization": {"type": "to-string"},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """Describe the written form."""
        return {"type": "string", "pattern": f"^{_FORM.pattern}$"}


def parse_time(text: str, timezone: str) -> Micros:
    """Read `2026-12-24T18:00`, by the clocks of *timezone* if it names no offset.

    Raise ValueError for anything else, and for what lies outside the years 1970 to 9999 in UTC.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"must be a time such as 2026-12-24T18:00, not {text[:40]!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(timezone))
    at = (moment - _EPOCH) // timedelta(microseconds=1)
    return min(max(at, 0), END_OF_TIME)
