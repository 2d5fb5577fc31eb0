"""The processor time of a quiet poll beside that of a bare loop, part by part."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import httpx
import msgspec

from monitor import log, notifiers
from monitor.app import process
from monitor.app.components import Resources, source
from monitor.app.holdings import Holdings
from monitor.app.lease import Lease
from monitor.app.loop_health import LoopHealth
from monitor.app.process import REAL
from monitor.app.reconfigure import Reconfigurer
from monitor.app.workers import Workers, cancel
from monitor.config import Config
from monitor.core.model import Snapshot
from monitor.metrics import Metrics
from monitor.net.loop import run
from monitor.net.proxy import Proxies
from monitor.schedule import Schedule
from monitor.source.transport import exchange, open_http
from monitor.store.db import Store

from .measure import format_seconds, median_ratio, run_in_fresh_process
from .program import ROOT
from .table import Row

ACCOUNTS: Final = 20
A_SECOND: Final = 150
"""How many polls are due in a second."""

EVERY: Final = 6
"""After how many seconds each workspace is polled again."""

WORKSPACES: Final = A_SECOND * EVERY
LIMIT: Final = 2.0
PATH: Final = "admin/accounts.getAll"


class BareAccount(msgspec.Struct, gc=False, rename="camel"):
    """The five fields that tell how an account fares."""

    id: str
    name: str
    url: str
    country_code: str
    status: str


class BareResult(msgspec.Struct):
    """What a response holds."""

    accounts: list[BareAccount]


class BareResponse(msgspec.Struct):
    """A response of `accounts.getAll`."""

    success: bool
    result: BareResult


BARE: Final = msgspec.json.Decoder(BareResponse)


@dataclass(frozen=True, slots=True)
class Polling:
    """Polls of *api*, begun so many *at once*; those of a workspace (its number) are counted.

    They end with the *stack*.
    """

    api: str
    at_once: int
    stack: AsyncExitStack
    counted: Counter[int]

    def keep(self, poll: Callable[[int], Coroutine[Any, Any, object]]) -> None:
        """Let *poll* be called with the number of each workspace when it is due."""
        task = asyncio.create_task(self._keep(poll))
        self.stack.push_async_callback(cancel, [task])

    async def _keep(self, poll: Callable[[int], Coroutine[Any, Any, object]]) -> None:
        loop = asyncio.get_running_loop()
        due, began = 0, loop.time()
        async with asyncio.TaskGroup() as polls:
            while True:
                for number in range(due, due + self.at_once):
                    polls.create_task(poll(number % WORKSPACES))
                due += self.at_once
                await asyncio.sleep(began + due / A_SECOND - loop.time())

    def config(self) -> Config:
        """Return the configuration of the workspaces."""
        directory = tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-")
        folder = Path(self.stack.enter_context(directory))
        lines = (f"  - {{name: c{n}, token: linked_{n}}}\n" for n in range(WORKSPACES))
        (folder / "config.yaml").write_text(
            f'linked_api: {{base_url: "{self.api}"}}\npoll: {{every: {EVERY}s}}\n'
            f'storage: {{url: "sqlite:///{folder}/monitor.db"}}\nworkspaces:\n{"".join(lines)}',
            encoding="utf-8",
        )
        return process.load(folder / "config.yaml")

    async def workers(self) -> tuple[Workers, Schedule]:
        """Return workers of all workspaces; their schedule is still to be started."""
        process.collect_seldom()
        config, stack = self.config(), self.stack
        store = stack.enter_context(closing(Store.open(config.storage.location)))
        http = await stack.enter_async_context(notifiers.open_http(Proxies({})))
        metrics = _CountedPolls(self.counted)
        resources = Resources(store, http, REAL, stack, Proxies({}), metrics)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        schedule = Schedule()
        workers = Workers(REAL.now, schedule, group)
        stack.push_async_callback(workers.stop)
        lease, health = Lease(store, REAL), LoopHealth(REAL.monotonic)
        holdings = Holdings(resources, workers, health, lease)
        reconfigurer = Reconfigurer(resources, workers, holdings, loop_health=health, lease=lease)
        await lease.keep()
        await reconfigurer.apply(await reconfigurer.prepare(config))
        while len(workers.workspaces) < WORKSPACES:
            await holdings.balance()
        return workers, schedule


class _CountedPolls(Metrics):
    """Metrics beside which polls are counted by the numbers of their workspaces."""

    def __init__(self, counted: Counter[int]) -> None:
        super().__init__(version="bench")
        self._counted = counted

    def polled(self, workspace: str, outcome: str, seconds: float) -> None:
        """Count one poll."""
        super().polled(workspace, outcome, seconds)
        self._counted[int(workspace[1:])] += 1


async def bare(polling: Polling) -> None:
    """Poll by aiohttp and msgspec alone."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=300)
    session = await polling.stack.enter_async_context(aiohttp.ClientSession(connector=connector))

    async def poll(number: int) -> None:
        headers = {"accept": "application/json", "linked-api-token": f"linked_{number}"}
        async with session.post(f"{polling.api}/{PATH}", headers=headers) as response:
            BARE.decode(await response.read())
        polling.counted[number] += 1

    polling.keep(poll)


async def exchanges(polling: Polling) -> None:
    """Poll by our HTTP client, and msgspec alone."""
    process.collect_seldom()
    settings = polling.config().linked_api
    http = await polling.stack.enter_async_context(open_http(settings, Proxies({})))
    requests = [
        httpx.Request("POST", f"{polling.api}/{PATH}", headers={"linked-api-token": f"linked_{n}"})
        for n in range(WORKSPACES)
    ]

    async def poll(number: int) -> None:
        _, body = await exchange(http, requests[number])
        BARE.decode(body)
        polling.counted[number] += 1

    polling.keep(poll)


async def clients(polling: Polling) -> None:
    """Poll by the clients of Linked API."""
    process.collect_seldom()
    config = polling.config()
    http = await polling.stack.enter_async_context(open_http(config.linked_api, Proxies({})))
    ours = [source(config, settings, http, lambda *_: None) for settings in config.workspaces]

    async def poll(number: int) -> None:
        assert isinstance(await ours[number].get_all(), Snapshot)
        polling.counted[number] += 1

    polling.keep(poll)


async def pollers(polling: Polling) -> None:
    """Poll by the pollers, which compare what they see with what is recorded."""
    workers, _ = await polling.workers()
    ours = [worker.poller for worker in workers.workspaces.values()]
    await asyncio.gather(*(poller.poll() for poller in ours))  # the first look is recorded
    polling.counted.clear()
    polling.keep(lambda number: ours[number].poll())


async def scheduled(polling: Polling) -> None:
    """Poll by the workers, whom the schedule wakes."""
    _, schedule = await polling.workers()
    schedule.start()
    polling.stack.callback(schedule.stop)


Side = tuple[Callable[[Polling], Awaitable[None]], int]
"""What begins to poll, and how many polls at once."""

ALONE: Final[Side] = (bare, 1)
TOGETHER: Final[Side] = (bare, A_SECOND)
SCHEDULED: Final[Side] = (scheduled, 0)
PARTS: Final[dict[str, Side]] = {
    "our HTTP client in the place of aiohttp's": (exchanges, 1),
    "the client of Linked API: budget, time limit, careful decoding": (clients, 1),
    "the poller: what was seen compared, metrics": (pollers, 1),
}


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it, in turns."""
    sides = (ALONE, TOGETHER, SCHEDULED, *PARTS.values())
    times: dict[Side, list[float]] = {side: [] for side in sides}
    with answering() as api:
        for _ in range(1 if quick else 3):
            for side in sides:
                times[side].append(run_in_fresh_process(measure, *side, api))

    def row(what: str, side: Side, beside: Side, text: str, limit: float | None = None) -> Row:
        ratio = median_ratio(times[side], times[beside])
        text = f"{text} {format_seconds(times[beside])}"
        return Row(what, format_seconds(times[side]), ratio, limit, text)

    even, whole = "a bare loop, each poll by itself", "a quiet poll, all of a second together"
    return [
        row(f"{whole}: schedule, worker and all", SCHEDULED, ALONE, even, LIMIT),
        row("the same", SCHEDULED, TOGETHER, "a bare loop, all of a second together, too"),
        *(row(f"each poll by itself: {what}", side, ALONE, even) for what, side in PARTS.items()),
    ]


def measure(begin: Callable[[Polling], Awaitable[None]], at_once: int, api: str) -> float:
    """Return the processor time of a poll, once everything was polled."""
    log.configure(level="error", format="json", secrets=[], stream=sys.stderr)
    return run(_measure(begin, at_once, api))


async def _measure(begin: Callable[[Polling], Awaitable[None]], at_once: int, api: str) -> float:
    async with AsyncExitStack() as stack:
        polling = Polling(api, at_once, stack, Counter())
        await begin(polling)
        while len(polling.counted) < WORKSPACES:
            await asyncio.sleep(0.5)
        await asyncio.sleep(1)
        before, started = polling.counted.total(), time.process_time()
        await asyncio.sleep(EVERY)
        return (time.process_time() - started) / (polling.counted.total() - before)


@contextmanager
def answering() -> Iterator[str]:
    """Run a Linked API that always answers the same; give its address."""
    with subprocess.Popen(  # noqa: S603 - our own program
        (sys.executable, "-m", "bench.answering", str(ACCOUNTS)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as api:
        assert api.stdin
        assert api.stdout
        yield api.stdout.readline().strip()
        api.stdin.close()
