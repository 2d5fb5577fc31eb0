"""Wakes the workers when their workspace is due, by APScheduler alone."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from monitor.core.duration import Duration
from monitor.core.model import Micros

_MINUTE: Final = Duration.parse("1m")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_RETRY: Final = 5
"""Seconds after which wakes that failed are tried again."""

_CLOCK_STEP: Final = timedelta(seconds=1)
"""A clock that goes back by less is being adjusted, not set."""

log = structlog.get_logger("schedule")


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
        interval or a minute. An entry of the same *name* is replaced.
        """
        shortest = rhythm if isinstance(rhythm, Duration) else _MINUTE
        longest_jitter = min(jitter, shortest / 4) * _MICROSECOND
        trigger = _Trigger(rhythm, offset, lambda: longest_jitter * self._jitter())
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
    return every.seconds * index / count


async def _wake(wake: Callable[[], None]) -> None:
    """Wake as a task of the event loop: APScheduler runs plain functions in threads."""
    wake()


class _Trigger(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Due *offset* seconds after the start, then by the *rhythm*, each time put off by jitter.

    An interval is a fixed grid. APScheduler's own counts from the last jittered time, so that 60 s
    with a jitter of 5 s becomes 62.5 s on average, and it lists every single run that was missed.
    """

    def __init__(
        self,
        rhythm: Duration | Callable[[Micros], Micros],
        offset: float,
        jitter: Callable[[], timedelta],
    ) -> None:
        self._rhythm = rhythm
        self._offset = offset
        self._jitter = jitter

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return the next point after *now* (the interface of APScheduler)."""
        if previous is None:
            self._start = now + timedelta(seconds=self._offset)
            return self._start
        if isinstance(self._rhythm, Duration):
            every = self._rhythm * _MICROSECOND
            due = self._start + ((now - self._start) // every + 1) * every
        else:
            due = _EPOCH + self._rhythm((now - _EPOCH) // _MICROSECOND) * _MICROSECOND
        return due + self._jitter()


class _Scheduler(AsyncIOScheduler):  # type: ignore[misc]  # APScheduler has no types
    """A scheduler that is not held up by a clock that was set back."""

    _ahead: timedelta | None = None

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
        for job in self.get_jobs():
            job.modify(next_run_time=job.trigger.get_next_fire_time(job.next_run_time, now))
