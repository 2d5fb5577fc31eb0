"""Monitors that share a PostgreSQL: the processor time of each, and that it falls with a third.

It is measured with the empty database that BENCH_DATABASE_URL names, of a server on this machine:
its processor time, that of the simulated Linked API and how busy the machine was stand beside it.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Final

from sqlalchemy import text

from monitor.app import process
from monitor.store.db import Store

from . import machine
from .program import Monitor, SimulatedApi, monitor, simulated
from .running import CLOSED_PORT, JITTER, OK, SCRAPE, count_late, count_polls, values_of
from .table import Row

ACCOUNTS: Final = 20
EVERY: Final = 60
MAX_SETTLING: Final = 600.0
"""Seconds until all workspaces are looked at, and each monitor holds its share of them."""

SHARE: Final = 1.2
"""How much more than its share a monitor may hold."""

BACKEND: Final = text("SELECT pg_backend_pid()")
HELD: Final = "linkedapi_workspaces_held"


@dataclass(frozen=True, slots=True)
class Used:
    """Processor seconds so far: of each monitor, and of what stands beside them."""

    monitors: Sequence[float]
    api: float
    database: float
    machine: tuple[int, int]


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    url = os.environ.get("BENCH_DATABASE_URL", "")
    if not url.startswith("postgres"):
        return [Row("not measured", "BENCH_DATABASE_URL names no PostgreSQL")]
    workspaces, window = (1_000, 30.0) if quick else (10_000, 60.0)
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        return asyncio.run(_measure(Path(folder), url, workspaces, window))


async def _measure(folder: Path, url: str, workspaces: int, window: float) -> Sequence[Row]:
    with closing(await asyncio.to_thread(Store.open, url)) as store:
        database = machine.parent(await store.read(lambda tx: tx.execute(BACKEND).scalar_one()))
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(simulated(workspaces, ACCOUNTS))
        start = partial(
            monitor,
            api=api,
            workspaces=workspaces,
            hook=CLOSED_PORT,
            every=f"{EVERY}s",
            jitter=f"{JITTER:.0f}s",
            storage=url,
        )
        running: list[Monitor] = []
        measured: list[tuple[float, Row]] = []
        for number in range(3):
            running.append(await stack.enter_async_context(start(folder / str(number))))
            if number:
                await _until_shared(running, workspaces)
                before = measured[-1][0] if measured else None
                measured.append(
                    await _window(running, api, database, window, workspaces, before=before)
                )
    return [row for _, row in measured]


async def _window(
    running: Sequence[Monitor],
    api: SimulatedApi,
    database: int,
    window: float,
    workspaces: int,
    *,
    before: float | None,
) -> tuple[float, Row]:
    """Measure for so long; return the mean of the monitors, and beside what it was *before*."""
    first, began, used = await _scrape(running), time.monotonic(), _used(running, api, database)
    while time.monotonic() - began < window:
        await asyncio.sleep(SCRAPE)
        asked_at = process.now()
        last = await _scrape(running)
    after, minutes = _used(running, api, database), (time.monotonic() - began) / 60
    each = [(now - then) / minutes for then, now in zip(used.monitors, after.monitors, strict=True)]
    asked = sum(map(count_polls, last)) - sum(map(count_polls, first))
    well = sum(count_polls(page, OK) for page in last) - sum(
        count_polls(page, OK) for page in first
    )
    held = [f"{page[HELD]:,.0f}" for page in last]
    return mean(each), Row(
        f"{workspaces:,} workspaces of {ACCOUNTS} accounts at {EVERY} s on {len(running)} monitors",
        f"CPU {' + '.join(f'{seconds:.1f}' for seconds in each)} s a minute;"
        f" {' + '.join(held)} workspaces",
        mean(each) / before if before else None,
        1.0 if before else None,
        f"database {(after.database - used.database) / minutes:.1f} s,"
        f" simulated API {(after.api - used.api) / minutes:.1f} s,"
        f" machine {machine.busy(used.machine, after.machine):.0%} busy;"
        f" {asked / minutes:,.0f} requests a minute, {asked - well} failed,"
        f" {sum(count_late(page, EVERY, asked_at) for page in last)} late",
    )


def _used(running: Sequence[Monitor], api: SimulatedApi, database: int) -> Used:
    return Used(
        [each.cpu() for each in running],
        machine.cpu(api.process.pid),
        machine.cpu_of_family(database),
        machine.processor_times(),
    )


async def _scrape(running: Sequence[Monitor]) -> Sequence[Mapping[str, float]]:
    return [await each.scrape() for each in running]


async def _until_shared(running: Sequence[Monitor], workspaces: int) -> None:
    """Wait until each holds its share and has looked at it, and then for an interval."""
    share = SHARE * workspaces / len(running)
    async with asyncio.timeout(MAX_SETTLING):
        while True:
            pages = await _scrape(running)
            polls = [
                count for page in pages for count in values_of(page, "linkedapi_polls_total", OK)
            ]
            if sum(count > 0 for count in polls) >= workspaces and all(
                page[HELD] <= share for page in pages
            ):
                return await asyncio.sleep(EVERY)
            await asyncio.sleep(2)
