"""Wakes the workers when their workspace is due, by APScheduler alone."""

import asyncio
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from monitor.core.duration import Duration
from monitor.core.model import Micros

_SECOND: Final = Duration.parse("1s")
_MINUTE: Final = Duration.parse("1m")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_IDLE: Final = timedelta(days=1)
"""When to look again if nobody is due ever."""

_RETRY: Final = 5
"""Seconds after which wakes that failed are tried again."""

_CLOCK_STEP: Final = timedelta(seconds=1)
"""A clock that goes back by less is being adjusted, not set."""

log = structlog.get_logger("schedule")


class Schedule:
    """Calls `wake` of each entry on the event loop, once whenever it is due.

    Wakes that were missed (the loop was busy, the host asleep) collapse into one; none is dropped.
    *jitter* gives a number from 0 to 1.

    All entries with an interval have one job of APScheduler together, whose runs would otherwise
    cost half as much as the polls; those with a crontab have one each.
    """

    def __init__(self, *, jitter: Callable[[], float] = random.random) -> None:
        self._jitter = jitter
        self._is_running = False
        self._intervals = Intervals(jitter)
        self._crontabs: dict[str, Any] = {}
        self._scheduler = _Scheduler(
            self._intervals,
            timezone=UTC,
            executors={"default": DebugExecutor()},  # runs functions at once: all they do is wake
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._job = self._scheduler.add_job(self._wake_due, _NextSecond(self._intervals))

    def add(
        self,
        name: str,
        wake: Callable[[], None],
        *,
        rhythm: Duration | Callable[[Micros], Micros],
        jitter: Duration,
        offset: float,
    ) -> None:
        """Call *wake* first *offset* seconds from now (or from the start), then ever again.

        *rhythm* is an interval, or a function that returns when the wake after a time is due, a
        minute or more later. Each wake is put off by up to *jitter*, at most by a quarter of an
        interval or a minute. At an interval it comes together with all that are due in its second
        (`Intervals` says which). An entry of the same *name* is replaced.
        """
        self._drop(name)
        first = int(offset * _SECOND)
        if isinstance(rhythm, Duration):
            entry = Entry(name, wake, rhythm, min(jitter, rhythm // 4), first)
            self._intervals.add(entry)
            if self._is_running:
                self._intervals.begin(entry, _now())
                if (due := self._intervals.next_due()) and _time(due) < self._job.next_run_time:
                    self._job.modify(next_run_time=_time(due))
        else:
            longest_jitter = min(jitter, _MINUTE / 4) * _MICROSECOND
            trigger = _Trigger(rhythm, first, lambda: longest_jitter * self._jitter())
            self._crontabs[name] = self._scheduler.add_job(wake, trigger, name=name)

    def remove(self, name: str) -> None:
        """Wake the entry *name* no more."""
        self._drop(name)

    def start(self) -> None:
        """Begin; a running event loop is needed."""
        self._intervals.begin_all(_now())
        self._scheduler.start()
        self._is_running = True

    def stop(self) -> None:
        """Wake nobody any more."""
        if self._is_running:
            self._is_running = False
            self._scheduler.remove_all_jobs()
            self._crontabs.clear()
            self._scheduler.shutdown(wait=False)

    def _drop(self, name: str) -> None:
        self._intervals.remove(name)
        if job := self._crontabs.pop(name, None):
            job.remove()

    def _wake_due(self) -> None:
        for entry in self._intervals.take_due(_now()):
            try:
                entry.wake()
            except Exception:
                log.exception("a wake failed; the next one comes all the same", entry=entry.name)


def spread(index: int, count: int, every: Duration) -> float:
    """Return after how many seconds the first poll of entry *index* of *count* is to start."""
    return every.seconds * index / count


@dataclass(slots=True, eq=False)
class Entry:
    """Who is to be woken *every* so often, first *offset* after the *start* of it."""

    name: str
    wake: Callable[[], None]
    every: Duration
    jitter: Micros
    offset: Micros
    start: Micros = 0
    due: Micros = 0

    def next_due(self, now: Micros) -> Micros:
        """Return the next point after *now* of a fixed grid, jitter left out."""
        first = self.start + self.offset
        return first + ((now - first) // self.every + 1) * self.every


class Intervals:
    """Entries by the second in which they are due; time is an argument, *jitter* as above.

    A second is that of the first start, not of the clock: not all monitors poll at the same time.
    Of short intervals it is a part, a quarter at the most. Waiting for its end is part of what a
    jitter may put off.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._entries: dict[str, Entry] = {}
        self._start: Micros = 0
        self._due: dict[Micros, dict[str, Entry]] = {}
        self._order: list[Micros] = []  # a heap of the keys of `_due`

    def add(self, entry: Entry) -> None:
        """Let *entry* be one of these; nothing is due of it before it begins."""
        self._entries[entry.name] = entry

    def remove(self, name: str) -> None:
        """Let the entry *name*, if there is one, be none of these any more."""
        entry = self._entries.pop(name, None)
        if entry is not None and entry.due:
            del self._due[entry.due][name]

    def begin_all(self, now: Micros) -> None:
        """Let all entries begin."""
        self._start = now
        for entry in self._entries.values():
            self.begin(entry, now)

    def begin(self, entry: Entry, now: Micros) -> None:
        """Let *entry* be due once its offset has passed."""
        entry.start = now
        self._put(entry, now + entry.offset)

    def next_due(self) -> Micros | None:
        """Return when the next second is that something is due in, None if nothing ever is."""
        return self._order[0] if self._order else None

    def take_due(self, now: Micros) -> list[Entry]:
        """Return who is due, each once, and is from now on due at its next point."""
        due: list[Entry] = []
        while self._order and self._order[0] <= now:
            due += self._due.pop(heapq.heappop(self._order)).values()
        for entry in due:
            self._put_next(entry, now)
        return due

    def follow_clock(self, now: Micros) -> None:
        """Find everybody's next point anew."""
        self._due, self._order = {}, []
        for entry in self._entries.values():
            self._put_next(entry, now)

    def _put_next(self, entry: Entry, now: Micros) -> None:
        room = max(0, entry.jitter - _second(entry))
        self._put(entry, entry.next_due(now) + int(room * self._jitter()))

    def _put(self, entry: Entry, due: Micros) -> None:
        due += (self._start - due) % _second(entry)
        if due not in self._due:
            self._due[due] = {}
            heapq.heappush(self._order, due)
        self._due[due][entry.name] = entry
        entry.due = due


def _second(entry: Entry) -> Micros:
    return min(_SECOND, entry.every // 4)


class _NextSecond(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Due in the next second in which one of *intervals* is."""

    def __init__(self, intervals: Intervals) -> None:
        self._intervals = intervals

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        """Return the next point after *now* (the interface of APScheduler)."""
        due = self._intervals.next_due()
        return now + _IDLE if due is None else max(_time(due), now + _MICROSECOND)


class _Trigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Due *offset* after the start, then by the *rhythm*, each time put off by jitter."""

    def __init__(
        self, rhythm: Callable[[Micros], Micros], offset: Micros, jitter: Callable[[], timedelta]
    ) -> None:
        self.offset = offset
        self._rhythm = rhythm
        self._jitter = jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return the next point after *now* (the interface of APScheduler)."""
        if previous is None:
            return now + self.offset * _MICROSECOND
        return _time(self._rhythm(_micros(now))) + self._jitter()


class _Scheduler(AsyncIOScheduler):  # type: ignore[misc]  # APScheduler has no types
    """A scheduler that is not held up by a clock that was set back."""

    _ahead: timedelta | None = None

    def __init__(self, intervals: Intervals, **options: Any) -> None:
        super().__init__(**options)
        self._intervals = intervals

    def _process_jobs(self) -> Any:
        """Wake who is due; return after how many seconds to look again.

        What fails must not be the last: nobody else would ever be woken.
        """
        try:
            self._follow_clock()
            return super()._process_jobs()
        except Exception:
            log.exception("wakes failed; they are tried again")
            return _RETRY

    def _follow_clock(self) -> None:
        """Find everybody's next point anew if the clock went back: else all would wait for it."""
        now = datetime.now(UTC)  # noqa: TID251 - the clock that APScheduler reads
        ahead = now - _EPOCH - timedelta(seconds=asyncio.get_running_loop().time())
        before, self._ahead = self._ahead, ahead
        if before is None or ahead - before > -_CLOCK_STEP:
            return
        log.warning("the clock went back", seconds=round((before - ahead).total_seconds(), 1))
        self._intervals.follow_clock(_micros(now))
        for job in self.get_jobs():
            job.modify(next_run_time=job.trigger.get_next_fire_time(job.next_run_time, now))


def _now() -> Micros:
    return _micros(datetime.now(UTC))  # noqa: TID251 - the clock that APScheduler reads


def _micros(time: datetime) -> Micros:
    return (time - _EPOCH) // _MICROSECOND


def _time(at: Micros) -> datetime:
    return _EPOCH + at * _MICROSECOND
