"""The running program: its processor time, memory and late polls, and its start."""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from monitor.app import process
from monitor.app.workers import MAX_SPREAD

from .program import TIMEOUT, Monitor, monitor, simulated
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


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it, at the same time: it is processor time that is measured."""
    return asyncio.run(_measure(QUICK if quick else CASES, 10.0 if quick else 60.0))


async def _measure(cases: Sequence[Case], window: float) -> Sequence[Row]:
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        starting = asyncio.Lock()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_case(case, Path(folder) / str(number), window, starting))
                for number, case in enumerate(cases)
            ]
    return [row for task in tasks for row in task.result()]


async def _case(case: Case, folder: Path, window: float, starting: asyncio.Lock) -> Sequence[Row]:
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
            )
            running = await stack.enter_async_context(context)
        started = running.cpu(), running.memory()[0]
        await _until_seen(running, case)
        seen = running.cpu()
        before = await running.scrape()
        cpu, elapsed = running.cpu(), 0.0
        while elapsed < window:
            await asyncio.sleep(min(SCRAPE, window))
            elapsed += min(SCRAPE, window)
            after = await running.scrape()
        cpu = running.cpu() - cpu
        late = _late(after, case.every)
        memory, peak = running.memory()
    polls = _polls(after) - _polls(before)
    failed = polls - (_polls(after, OK) - _polls(before, OK))
    minutes = window / 60
    return [
        Row(
            f"{case.name}: start until ready",
            f"{running.ready_after:.1f} s, CPU {started[0]:.1f} s, RSS {started[1]} MB",
        ),
        Row(f"{case.name}: from then until all are seen", f"CPU {seen - started[0]:.2f} s"),
        Row(
            f"{case.name}: at work, scraped every {SCRAPE:.0f} s",
            f"CPU {cpu / minutes:.2f} s a minute, RSS {memory} MB (peak {peak})",
            beside=f"{polls / minutes:,.0f} requests a minute, {failed} failed, {late} late",
        ),
    ]


async def _until_seen(running: Monitor, case: Case) -> None:
    await asyncio.sleep(min(case.every, MAX_SPREAD.seconds))
    async with asyncio.timeout(TIMEOUT):
        while sum(_values(await running.scrape(), "linkedapi_workspace_up")) < case.workspaces:
            await asyncio.sleep(1)


def _values(series: Mapping[str, float], metric: str, label: str = "") -> Sequence[float]:
    """Return the values of the series of one metric that have a *label*."""
    return [
        value for name, value in series.items() if name.startswith(metric + "{") and label in name
    ]


def _polls(series: Mapping[str, float], label: str = "") -> int:
    return int(sum(_values(series, "linkedapi_polls_total", label)))


def _late(series: Mapping[str, float], every: int) -> int:
    """Count the workspaces whose latest successful poll is overdue by more than a second."""
    now = process.now() / 1e6
    allowed = every + (JITTER if every > JITTER else 0) + 1
    polled_at = _values(series, "linkedapi_last_successful_poll_timestamp_seconds")
    return sum(now - at > allowed for at in polled_at)
