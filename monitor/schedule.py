"""Wakes the workers when their workspace is due: APScheduler, and nothing else touches it."""

import asyncio
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Annotated, Any, Final, Self
from zoneinfo import ZoneInfo

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from monitor.core.duration import Duration
from monitor.core.model import Micros
from monitor.core.text import check_timezone

FIELDS: Final = ("minute", "hour", "day", "month", "weekday")
WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_CRON_FORM: Final = 'must be five fields such as "*/5 8-20 * * mon-fri"'
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_STEP: Final = timedelta(seconds=1)  # a clock that goes back by less is being adjusted, not set

log = structlog.get_logger("schedule")


class PollSettings(BaseModel):
    """The section `poll`, for all workspaces or for one.

    A workspace is polled *every* so often, or when the crontab expression *cron* says so, in
    *timezone* (None: that of the configuration). Each poll is put off by some *jitter*.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Duration = Duration.parse("60s")
    cron: str | None = None
    timezone: Annotated[str, AfterValidator(check_timezone)] | None = None
    jitter: Duration = Duration.parse("5s")

    @field_validator("every")
    @classmethod
    def _is_long_enough(cls, value: Duration) -> Duration:
        if value.seconds < 1:
            raise ValueError("must be 1s or longer")
        return value

    @field_validator("cron")
    @classmethod
    def _comes_up(cls, value: str | None) -> str | None:
        if value is not None and _next_of(_crontab(value), datetime.now(UTC), UTC) is None:  # noqa: TID251 - only whether it comes at all
            raise ValueError("must come up some day: there is no such date")
        return value

    @model_validator(mode="after")
    def _has_one_rhythm(self) -> Self:
        if self.cron is not None and "every" in self.model_fields_set:
            raise ValueError("has both every and cron; keep one")
        return self

    @model_serializer(mode="wrap")
    def _show(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Show the rhythm that counts: what is shown could be loaded again."""
        shown: dict[str, Any] = handler(self)
        if self.cron is not None:
            shown.pop("every", None)
        return shown

    def next_due(self, at: Micros) -> Micros:
        """Return when the first scheduled poll after the time *at* is due, jitter left out."""
        if self.cron is None:
            return at + self.every
        start = _EPOCH + (at + 1) * _MICROSECOND
        due = _next_of(_crontab(self.cron), start, ZoneInfo(self.timezone or "UTC"))
        return at + self.every if due is None else (due - _EPOCH) // _MICROSECOND


class Schedule:
    """Calls `wake` of each entry on the event loop, once whenever it is due.

    Wakes that were missed (the loop was busy, the host asleep) collapse into one; none is dropped.
    *jitter* gives a number from 0 to 1.
    """

    def __init__(self, *, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._is_running = False
        self._scheduler = _Scheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def add(
        self, name: str, settings: PollSettings, wake: Callable[[], None], offset: float
    ) -> None:
        """Call *wake* first *offset* seconds from now (or from the start), then ever again.

        An entry of the same *name* is replaced.
        """
        shortest = settings.every if settings.cron is None else Duration.parse("1m")
        seconds = min(settings.jitter, shortest / 4) / 1_000_000

        def jitter() -> float:
            return seconds * self._jitter()

        trigger = (
            _Every(settings.every.seconds, offset, jitter)
            if settings.cron is None
            else _Cron(settings.next_due, offset, jitter)
        )
        self._scheduler.add_job(
            _wake, trigger, args=(wake,), id=name, name=name, replace_existing=True
        )

    def remove(self, name: str) -> None:
        """Wake the entry *name* no more."""
        self._scheduler.remove_job(name)

    def start(self) -> None:
        """Begin; a running event loop is needed."""
        self._scheduler.start()
        self._is_running = True

    def stop(self) -> None:
        """Wake nobody any more."""
        if self._is_running:
            self._is_running = False
            self._scheduler.remove_all_jobs()
            self._scheduler.shutdown(wait=False)


def spread(index: int, count: int, every: Duration) -> float:
    """Return after how many seconds the first poll of entry *index* of *count* is to start."""
    return every.seconds * index / max(count, 1)


async def _wake(wake: Callable[[], None]) -> None:
    """Wake as a task of the event loop: APScheduler runs plain functions in threads."""
    wake()


class _Every(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Due at points of a fixed grid, each put off by some jitter.

    APScheduler's own interval counts from the last jittered time, so that 60 s with a jitter of 5 s
    becomes 62.5 s on average, and it lists every single run that was missed.
    """

    def __init__(self, every: float, offset: float, jitter: Callable[[], float]) -> None:
        self._every = every
        self._offset = offset
        self._jitter = jitter
        self._start: datetime | None = None

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return the next point after *now* (the interface of APScheduler)."""
        if self._start is None or previous is None:
            self._start = now + timedelta(seconds=self._offset)
            return self._start
        passed = math.floor((now - self._start).total_seconds() / self._every)
        due = (passed + 1) * self._every + self._jitter()
        return self._start + timedelta(seconds=due)


class _Cron(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Due soon after the start, then whenever *next_due* says so, put off by jitter."""

    def __init__(
        self, next_due: Callable[[Micros], Micros], offset: float, jitter: Callable[[], float]
    ) -> None:
        self._next_due = next_due
        self._offset = offset
        self._jitter = jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return the next point after *now* (the interface of APScheduler)."""
        if previous is None:
            return now + timedelta(seconds=self._offset)
        due = self._next_due((now - _EPOCH) // _MICROSECOND)
        return _EPOCH + due * _MICROSECOND + timedelta(seconds=self._jitter())


@cache
def _crontab(text: str) -> tuple[CronTrigger, ...]:
    """Read a crontab expression, for clocks that are never changed; raise ValueError if it is none.

    As everywhere, days of the month and weekdays that are both restricted are alternatives:
    APScheduler would want a day that is both. It also counts weekdays from Monday.
    """
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise ValueError(f"{_CRON_FORM} (minute, hour, day of month, month, weekday)")
    minute, hour, day, month, weekday = parts
    days = [(day, _weekdays(weekday))]
    if not day.startswith("*") and not weekday.startswith("*"):
        days = [(day, "*"), ("*", _weekdays(weekday))]
    try:
        return tuple(
            CronTrigger(
                minute=minute,
                hour=hour,
                day=of_month,
                month=month,
                day_of_week=of_week,
                timezone=UTC,
            )
            for of_month, of_week in days
        )
    except ValueError:
        raise ValueError(f"{_CRON_FORM}; {_wrong_field(parts)} cannot be read") from None


def _weekdays(text: str) -> str:
    """Write the weekdays of a crontab, where 0 and 7 are Sunday, as names."""
    days: set[int] = set()
    for part in text.lower().split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        try:
            start = 0 if span == "*" else _weekday(first)
            end = _weekday(last) if dash else 6 if slash or span == "*" else start
            stride = _stride(step) if slash else 1
            days.update(range(start, end + 1 if end >= start else end + 8, stride))
        except ValueError:
            raise ValueError(f"{_CRON_FORM}; the weekday {part[:20]!r} cannot be read") from None
    return ",".join(WEEKDAYS[day] for day in sorted({day % 7 for day in days}))


def _weekday(word: str) -> int:
    if word in WEEKDAYS:
        return WEEKDAYS.index(word)
    if word not in "01234567" or len(word) != 1:
        raise ValueError(word)
    return int(word)


def _stride(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(text)
    return int(text)


def _wrong_field(parts: list[str]) -> str:
    for name, part in zip(FIELDS[:4], parts, strict=False):
        try:
            CronTrigger(**{name: part})
        except ValueError:
            return f"the {name.replace('day', 'day of month')} {part[:20]!r}"
    return "a field"


def _next_of(crontabs: tuple[CronTrigger, ...], start: datetime, zone: tzinfo) -> datetime | None:
    """Return the first time from *start* on that one of the *crontabs* names, within nine years.

    They go by the clocks of *zone*. What these skip comes at the moment of the change, once; what
    they go through twice comes twice.
    """
    offset = _offset(zone, start)
    due = _first(crontabs, start + offset)
    if due is None:
        return None
    due -= offset
    change = _change(zone, start, due)
    if change is None:
        return due
    is_skipped = due < change + _offset(zone, change) - offset
    return change if is_skipped else _next_of(crontabs, change, zone)


def _first(crontabs: tuple[CronTrigger, ...], start: datetime) -> datetime | None:
    found = []
    for one in crontabs:
        one.end_date = start + timedelta(days=9 * 366)
        found.append(one.get_next_fire_time(None, start))
    return min(filter(None, found), default=None)


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _change(zone: tzinfo, start: datetime, end: datetime) -> datetime | None:
    """Return when the clocks of *zone* change first after *start*, None if not until *end*."""
    offset, day = _offset(zone, start), timedelta(days=1)
    before = start
    while before < end and _offset(zone, min(before + day, end)) == offset:
        before += day
    if before >= end:
        return None
    after = min(before + day, end)
    while after - before > _MICROSECOND:
        middle = before + (after - before) // 2
        before, after = (middle, after) if _offset(zone, middle) == offset else (before, middle)
    return after


class _Scheduler(AsyncIOScheduler):  # type: ignore[misc]  # APScheduler has no types
    """A scheduler that is not held up by a clock that was set back."""

    _ahead: timedelta | None = None

    def _process_jobs(self) -> Any:
        self._follow_clock()
        return super()._process_jobs()

    def _follow_clock(self) -> None:
        """Find everybody's next point anew if the clock went back: else all would wait for it."""
        now = datetime.now(UTC)  # noqa: TID251 - the clock that APScheduler reads
        ahead = now - _EPOCH - timedelta(seconds=asyncio.get_running_loop().time())
        before, self._ahead = self._ahead, ahead
        if before is None or ahead - before > -_STEP:
            return
        log.warning("the clock went back", seconds=round((before - ahead).total_seconds(), 1))
        for job in self.get_jobs():
            job.modify(next_run_time=job.trigger.get_next_fire_time(job.next_run_time, now))
