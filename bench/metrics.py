"""What a scrape of `/metrics` costs, beside the same series as gauges of `prometheus_client`."""

import asyncio
import gc
import gzip
import re
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from multiprocessing import get_context
from statistics import median
from typing import Final
from uuid import UUID

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from starlette.types import ASGIApp

from monitor.core.model import Account, Status, Transition, Workspace
from monitor.metrics import Metrics
from monitor.web.app import build
from monitor.web.server import bind, serve
from monitor.web.settings import WebSettings

from .measure import cpu_seconds, format_bytes, format_seconds, peak_memory, run_in_fresh_process
from .table import Row

SIZES: Final = ((1, 1_000), (50, 200), (1_000, 100))
"""How many workspaces, and how many accounts each has."""

LIMIT: Final = 1 / 20
NOON: Final = 1_795_435_200_000_000
TIMER_STEP: Final = 0.001
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


class Fleet:
    """The metrics of a monitor with many accounts, and events that change them."""

    def __init__(self, workspaces: int, accounts: int) -> None:
        self.metrics = Metrics(version="1.2.3")
        self._states: dict[str, Workspace] = {}
        self._times = count(NOON + 60_000_000, 60_000_000)
        numbers = count(1)
        names = [f"customer-{number:04}" for number in range(workspaces)]
        self.metrics.declare(workspaces=names, receivers={"chat": "slack", "mail": "email"})
        for name in names:
            listed = [_account(name, next(numbers)) for _ in range(accounts)]
            by_id = {account.id: account for account in listed}
            self._set(Workspace(name, accounts=by_id, baseline_at=NOON))
            self.metrics.polled(name, "ok", 0.2)

    def no_change(self) -> None:
        """Change nothing."""

    def poll(self) -> None:
        """Poll every workspace without a change."""
        at = next(self._times)
        for name in self._states:
            self.metrics.polled(name, "ok", 0.2)
            self.metrics.poll_succeeded(name, at)

    def change(self) -> None:
        """Poll 1 % of the workspaces (at least one), with a change of one account in each."""
        at = next(self._times)
        for name in list(self._states)[:: min(100, len(self._states))]:
            state = self._states[name]
            account = next(iter(state.accounts.values()))
            status = Status.FROZEN if account.status is Status.ACTIVE else Status.ACTIVE
            after = replace(account, status=status, raw_status=status.value, since=at)
            self._set(replace(state, accounts={**state.accounts, account.id: after}))
            self.metrics.transition(Transition(name, account.id, account.status, status, at))
            self.metrics.polled(name, "ok", 0.2)
            self.metrics.poll_succeeded(name, at)

    def _set(self, state: Workspace) -> None:
        self._states[state.name] = state
        self.metrics.workspace(state, {})


def _account(workspace: str, number: int) -> Account:
    return Account(
        workspace=workspace,
        id=str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128)),
        name=f"Person Number {number}",
        url=f"https://www.linkedin.com/in/person-number-{number}/",
        country="DE",
        status=Status.ACTIVE,
        raw_status="active",
        since=NOON + number * 1_000_000,
        first_seen_at=NOON,
    )


@dataclass(slots=True)
class ScrapeCosts:
    """What scrapes cost: seconds by what had changed before them, series, bytes and memory."""

    first: list[float] = field(default_factory=list)
    compressed: dict[str, list[float]] = field(default_factory=dict)
    plain: list[float] = field(default_factory=list)
    series: int = 0
    bytes: tuple[int, int] = (0, 0)
    memory: int = 0


def measure_ours(workspaces: int, accounts: int, runs: int) -> ScrapeCosts:
    """Measure scrapes of the monitor's metrics."""
    costs = ScrapeCosts()
    for _ in range(2):
        fleet = Fleet(workspaces, accounts)
        gc.collect()
        before = peak_memory()
        costs.first.append(cpu_seconds(partial(_scrape, fleet.metrics, compressed=True)))
        costs.memory = costs.memory or peak_memory() - before  # of the first: later ones reuse it
    for what, change in _cases(fleet):
        for _ in range(runs):
            change()
            seconds = cpu_seconds(partial(_scrape, fleet.metrics, compressed=True))
            costs.compressed.setdefault(what, []).append(seconds)
    costs.plain = [cpu_seconds(partial(_scrape, fleet.metrics)) for _ in range(runs)]
    text, page = b"".join(fleet.metrics.render()), fleet.metrics.render(compressed=True)
    costs.series = sum(not line.startswith(b"#") for line in text.splitlines())
    costs.bytes = len(text), page.size
    return costs


def _cases(fleet: Fleet) -> Iterator[tuple[str, Callable[[], None]]]:
    yield "nothing changed", fleet.no_change
    yield "1 % of the workspaces changed", fleet.change
    yield "every workspace polled, no news", fleet.poll


def measure_gauges(
    workspaces: int, accounts: int, runs: int
) -> tuple[list[float], list[float], int]:
    """Measure `generate_latest` of gauges with the same series.

    Return its seconds, those of gzip, and the memory of the gauges in MB.
    """
    text = run_in_fresh_process(_text, workspaces, accounts)
    before = peak_memory()
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, _, rest = line.partition("{")
        labels = dict(_LABEL.findall(rest))
        if not labels:
            name = name.partition(" ")[0]
        if name not in gauges:
            gauges[name] = Gauge(name, "The same.", list(labels), registry=registry)
        gauge = gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(float(line.rpartition(" ")[2]))
    del text
    gc.collect()
    plain = [cpu_seconds(lambda: generate_latest(registry)) for _ in range(runs)]
    memory = peak_memory() - before
    page = generate_latest(registry)
    return plain, [cpu_seconds(lambda: gzip.compress(page, 1)) for _ in range(runs)], memory


def _text(workspaces: int, accounts: int) -> str:
    return b"".join(Fleet(workspaces, accounts).metrics.render()).decode()


def _scrape(metrics: Metrics, *, compressed: bool = False) -> None:
    for _ in metrics.render(compressed=compressed):
        pass


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    results: list[Row] = []
    for workspaces, accounts in SIZES[: 2 if quick else None]:
        total = workspaces * accounts
        runs = 3 if quick else 15
        ours = run_in_fresh_process(measure_ours, workspaces, accounts, runs)
        theirs, gzips, memory = run_in_fresh_process(
            measure_gauges, workspaces, accounts, runs if total < 1e5 else 2
        )
        gauges = median(theirs)
        text, compressed = ours.bytes
        beside = f"gauges {format_seconds(theirs)}"
        where = f"{total:,} accounts in {workspaces:,}"
        results.append(
            Row(
                f"{where}: {ours.series:,} series",
                f"{format_bytes(compressed)} gzip, {format_bytes(text)} plain;"
                f" peak +{ours.memory} MB",
                beside=f"gauges: peak +{memory} MB; gzip, not counted: {format_seconds(gzips)}",
            )
        )
        for what, times in ours.compressed.items():
            name = f"{where}, gzip, {what}"
            results.append(Row(name, format_seconds(times), median(times) / gauges, LIMIT, beside))
        name = f"{where}, plain, nothing changed"
        plain = median(ours.plain) / gauges
        results.append(Row(name, format_seconds(ours.plain), plain, LIMIT, beside))
        first = median(ours.first)
        name = f"{where}, gzip, first scrape"
        results.append(Row(name, format_seconds(ours.first), first / gauges, beside=beside))
    results += run_in_fresh_process(measure_stalls, *SIZES[1 if quick else 2])
    return results


# ── stalls of the event loop ─────────────────────────────────────────────────────────────────────


def measure_stalls(workspaces: int, accounts: int) -> list[Row]:
    """Measure for how long the event loop is blocked while pages are served."""
    return asyncio.run(_stalls(Fleet(workspaces, accounts), f"{workspaces * accounts:,} accounts"))


async def _stalls(fleet: Fleet, where: str) -> list[Row]:
    stopping = asyncio.Event()
    sock = bind(WebSettings(listen="127.0.0.1:0"))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/metrics"
    serving = asyncio.create_task(serve(_endpoint(fleet.metrics), sock, stopping=stopping))
    results = [Row(f"{where}, longest stall of the event loop: no scrape", await _stall(None))]
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as reader:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(reader, _nothing)  # to start a process takes long

        async def scrape(encoding: str, times: int) -> None:
            for _ in range(times):
                fleet.change()
                await loop.run_in_executor(reader, _fetch, url, encoding)

        for what, encoding, times in (
            ("the first scrape, gzip", "gzip", 1),
            ("10 scrapes, gzip, 1 % changed each time", "gzip", 10),
            ("10 scrapes, plain, 1 % changed each time", "identity", 10),
        ):
            stall = await _stall(scrape(encoding, times))
            results.append(Row(f"{where}, longest stall of the event loop: {what}", stall))
    stopping.set()
    await serving
    return results


def _endpoint(metrics: Metrics) -> ASGIApp:
    return build(metrics=metrics, alive=list, ready=list, metrics_token=None, is_local=True)


async def _stall(work: Coroutine[None, None, None] | None) -> str:
    """Return by how much a task that is due every millisecond was late at most, during *work*."""
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(work or asyncio.sleep(1))
    longest = 0.0
    while not task.done():
        before = loop.time()
        await asyncio.sleep(TIMER_STEP)
        longest = max(longest, loop.time() - before - TIMER_STEP)
    await task
    return f"{longest * 1000:.1f} ms"


def _nothing() -> None:
    pass


def _fetch(url: str, encoding: str) -> int:
    """Read a page as a program of its own does."""
    request = urllib.request.Request(url, headers={"Accept-Encoding": encoding})  # noqa: S310 - ours
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as response:
        return len(response.read())
