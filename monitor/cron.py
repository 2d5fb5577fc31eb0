"""When a crontab expression is due by the clocks of a time zone.

The syntax is that of crontab(5); a range of weekdays may also go round the end of the week
(`fri-mon`). Where the clocks change, cronsim follows Debian's cron: in an hour that comes twice an
expression with fixed minutes and hours is due once, one whose minutes or hours begin with `*` both
times. What the clocks skip is due once, at the moment of the change.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from monitor.core.duration import Duration
from monitor.core.model import Micros

_FORM: Final = 'must be five fields such as "*/5 8-20 * * mon-fri"'
_MAX_STEPS: Final = {"minute": 59, "hour": 23, "day of month": 30, "month": 11, "weekday": 7}
_ITEM: Final = re.compile(
    r"(?:\*|(?P<first>[a-z]{3}|\d+)(?:-(?P<last>[a-z]{3}|\d+))?)(?:/(?P<step>\d+))?",
    re.ASCII | re.IGNORECASE,
)
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def check_cron(expression: str) -> str:
    """Return *expression*; raise ValueError if it cannot be read or no date ever fits it."""
    _crontabs(expression)
    return expression


def next_time(expression: str, after: Micros, timezone: str) -> Micros:
    """Return the first time after *after* that *expression* names by the clocks of *timezone*."""
    start = (_EPOCH + after * _MICROSECOND).astimezone(ZoneInfo(timezone))
    return min(
        next(due for due in _times(crontab, start) if due > after)
        for crontab in _crontabs(expression)
    )


MAX_OVERLAPS: Final = 100
"""So many times that follow each other closely are put together to one at most."""


def window(expression: str, lasts: Duration, timezone: str, now: Micros) -> tuple[Micros, Micros]:
    """Return from when until when it is after a time of *expression*, for as long as that *lasts*.

    *now* lies in it, or it is the next one; what overlaps is one.
    """
    starts = next_time(expression, now - lasts, timezone)
    until = starts + lasts
    for _ in range(MAX_OVERLAPS if starts <= now else 0):
        again = next_time(expression, until - lasts, timezone)
        if again > until:
            break
        until = again + lasts
    return starts, until


def _times(crontab: str, start: datetime) -> Iterator[Micros]:
    """Yield when *crontab* is due; in an hour that comes twice the first may precede *start*."""
    for due in CronSim(crontab, start):
        yield (due - _EPOCH) // _MICROSECOND


@cache
def _crontabs(expression: str) -> frozenset[str]:
    """Return what cronsim takes for *expression*; the earliest of their times counts.

    Of an expression with a `*` among minutes and hours cronsim leaves out what the clocks skip, but
    not if the ranges are written out.
    """
    texts = expression.split()
    if len(texts) != len(_MAX_STEPS):
        raise ValueError(f"{_FORM} (minute, hour, day of month, month, weekday)")
    minute, hour, *days = map(_field, texts, _MAX_STEPS)
    crontab = " ".join((minute, hour, *days))
    try:
        CronSim(crontab, _EPOCH)
    except CronSimError:
        raise ValueError("must come up some day: there is no such date") from None
    ranges = (minute.replace("*", "0-59"), hour.replace("*", "0-23"), *days)
    return frozenset((crontab, " ".join(ranges)))


def _field(text: str, name: str) -> str:
    """Return the field *name* as cronsim takes it; raise ValueError if it cannot be read."""
    items = []
    for item in text.split(","):
        try:
            items.append(_item(item, name))
        except (CronSimError, ValueError):
            message = f"{_FORM}; the {name} {item[:20]!r} cannot be read"
            raise ValueError(message) from None
    return ",".join(items)


def _item(text: str, field: str) -> str:
    match = _ITEM.fullmatch(text)
    if match is None or int(match["step"] or 0) > _MAX_STEPS[field]:
        raise ValueError(text)
    item = _weekdays(*match.groups()) if field == "weekday" and match["first"] else text
    CronSim(" ".join(item if name == field else "*" for name in _MAX_STEPS), _EPOCH)
    return item


def _weekdays(first: str, last: str | None, step: str | None) -> str:
    """Write a range of weekdays as a list: cronsim knows none round the end of the week."""
    start = _weekday(first)
    end = _weekday(last) if last else 6 if step else start
    days = range(start, end + 1 if start <= end else end + 8, int(step or 1))
    return ",".join(str(day % 7) for day in days)


def _weekday(word: str) -> int:
    return "01234567".index(word) if len(word) == 1 else _WEEKDAYS.index(word.lower())
