"""The running program: its processor time, memory and late polls, and its start."""

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from monitor.app import process
from monitor.app.workers import MAX_SPREAD
from monitor.core.model import Micros

from .machine import busy, processor_times
from .program import ROOT, TIMEOUT, Monitor, monitor, simulated
from .table import Row

SCRAPE: Final = 15.0
"""Seconds between two scrapes, which are part of what is measured."""

JITTER: Final = 5.0
OK: Final = 'outcome="ok"'
CLOSED_PORT: Final = "http://127.0.0.1:9/"


@dataclass(frozen=True, slots=True)
class Case:
    """A monitor to measure: *workspaces* with *accounts* each, polled *every* so many seconds."""

    workspaces: int
    accounts: int
    every: int

    @property
    def name(self) -> str:
        """Return its name in the table."""
        plural = "s" if self.workspaces > 1 else ""
        return (
            f"{self.workspaces:,} workspace{plural} of {self.accounts:,} accounts at {self.every} s"
        )


CASES: Final = (Case(1000, 20, 60), Case(1, 1000, 60), Case(1, 1000, 1))
QUICK: Final = (Case(170, 20, 10), Case(1, 1000, 10), Case(1, 1000, 1))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a monitor took: processor seconds, memory in MB.

    *busy* is the share of the machine's processor time that was used meanwhile, by anybody.
    """

    ready_after: float
    cpu_until_ready: float
    memory_when_ready: int
    cpu_until_seen: float
    cpu_a_minute: float
    memory: int
    peak: int
    requests_a_minute: float
    failed: int
    late: int
    busy: float

    def rows(self, name: str) -> Sequence[Row]:
        """Return them as rows of the table."""
        return [
            Row(
                f"{name}: start until ready",
                f"{self.ready_after:.1f} s, CPU {self.cpu_until_ready:.1f} s,"
                f" RSS {self.memory_when_ready} MB",
            ),
            Row(f"{name}: from then until all are seen", f"CPU {self.cpu_until_seen:.2f} s"),
            Row(f"{name}: at work, scraped every {SCRAPE:.0f} s", self.at_work(), beside=self.load),
        ]

    def at_work(self) -> str:
        """Return what it takes once all have been seen."""
        return f"CPU {self.cpu_a_minute:.2f} s a minute, RSS {self.memory} MB (peak {self.peak})"

    @property
    def load(self) -> str:
        """What was polled, and whether the machine had the time for it."""
        return (
            f"{self.requests_a_minute:,.0f} requests a minute, {self.failed} failed,"
            f" {self.late} late; machine {self.busy:.0%} busy"
        )


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it, at the same time: it is processor time that is measured."""
    cases = QUICK if quick else CASES
    figures = asyncio.run(measure(cases, 10.0 if quick else 60.0))
    return [row for case, each in zip(cases, figures, strict=True) for row in each.rows(case.name)]


async def measure(cases: Sequence[Case], window: float, root: Path = ROOT) -> Sequence[Figures]:
    """Measure all *cases* at the same time, for *window* seconds; *root* has the program."""
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        starting = asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_case(case, Path(folder) / str(number), window, starting, root))
                for number, case in enumerate(cases)
            ]
    return [task.result() for task in tasks]


async def _case(
    case: Case, folder: Path, window: float, starting: asyncio.Lock, root: Path
) -> Figures:
    async with AsyncExitStack() as stack:
        async with starting:  # one after the other, or they would wait for each other
            api = await stack.enter_async_context(simulated(case.workspaces, case.accounts))
            context = monitor(
                folder,
                api=api,
                workspaces=case.workspaces,
                hook=CLOSED_PORT,
                every=f"{case.every}s",
                jitter=f"{JITTER:.0f}s" if case.every > JITTER else "0s",
                root=root,
            )
            running = await stack.enter_async_context(context)
        cpu_until_ready, memory_when_ready = running.cpu(), running.memory()[0]
        await _until_seen(running, case)
        cpu_until_seen = running.cpu() - cpu_until_ready
        before, began = await running.scrape(), time.monotonic()
        cpu, late, times = running.cpu(), 0, processor_times()
        while time.monotonic() - began < window:
            await asyncio.sleep(min(SCRAPE, window))
            asked_at = process.now()
            after = await running.scrape()
            late = max(late, count_late(after, case.every, asked_at))
        cpu, minutes = running.cpu() - cpu, (time.monotonic() - began) / 60
        share = busy(times, processor_times())
        memory, peak = running.memory()
    polls = count_polls(after) - count_polls(before)
    return Figures(
        ready_after=running.ready_after,
        cpu_until_ready=cpu_until_ready,
        memory_when_ready=memory_when_ready,
        cpu_until_seen=cpu_until_seen,
        cpu_a_minute=cpu / minutes,
        memory=memory,
        peak=peak,
        requests_a_minute=polls / minutes,
        failed=polls - (count_polls(after, OK) - count_polls(before, OK)),
        late=late,
        busy=share,
    )


async def _until_seen(running: Monitor, case: Case) -> None:
    await asyncio.sleep(min(case.every, MAX_SPREAD.seconds))
    async with asyncio.timeout(TIMEOUT):
        while sum(values_of(await running.scrape(), "linkedapi_workspace_up")) < case.workspaces:
            await asyncio.sleep(1)


def values_of(series: Mapping[str, float], metric: str, label: str = "") -> Sequence[float]:
    """Return the values of the series of one metric that have a *label*."""
    return [
        value for name, value in series.items() if name.startswith(metric + "{") and label in name
    ]


def count_polls(series: Mapping[str, float], label: str = "") -> int:
    """Count the polls whose series have a *label*."""
    return int(sum(values_of(series, "linkedapi_polls_total", label)))


def count_late(series: Mapping[str, float], every: int, asked_at: Micros) -> int:
    """Count those whose latest successful poll was overdue by more than a second when asked."""
    now = asked_at / 1e6
    allowed = every + (JITTER if every > JITTER else 0) + 1
    polled_at = values_of(series, "linkedapi_last_successful_poll_timestamp_seconds")
    return sum(now - at > allowed for at in polled_at)
