"""Wakes the workers when their workspace is due: APScheduler, and nothing else touches it."""

import asyncio
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from pydantic import BaseModel, ConfigDict, field_validator

from monitor.core.duration import Duration

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STEP: Final = timedelta(seconds=1)  # a clock that goes back by less is being adjusted, not set

log = structlog.get_logger("schedule")


class PollSettings(BaseModel):
    """The section `poll`, for all workspaces or for one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Duration = Duration.parse("60s")
    jitter: Duration = Duration.parse("5s")

    @field_validator("every")
    @classmethod
    def _is_long_enough(cls, value: Duration) -> Duration:
        if value.seconds < 1:
            raise ValueError("must be 1s or longer")
        return value


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
        jitter = min(settings.jitter, settings.every / 4) / 1_000_000
        trigger = _Every(settings.every.seconds, offset, lambda: jitter * self._jitter())
        self._scheduler.add_job(
            _wake, trigger, args=(wake,), id=name, name=name, replace_existing=True
        )

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
