"""One workspace of very many accounts: what a poll of it costs, and who has to wait meanwhile."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import structlog

from monitor.app.process import REAL, collect_seldom
from monitor.core.model import Snapshot
from monitor.core.secret import Secret
from monitor.metrics import Metrics
from monitor.simulator import Simulator
from monitor.source.client import LinkedApi
from monitor.source.decode import Decoder
from monitor.store.db import Store
from monitor.threads import Threads
from monitor.work.poll import Poller
from monitor.work.record import Recorder

from .commit import RULES
from .decode import ORIGINS, TOKEN, list_accounts
from .fill import held_by_bench
from .metrics import TIMER_STEP
from .table import Row

SIZES: Final = (10_000, 30_000, 100_000)
FROZEN: Final = 1000


@dataclass(frozen=True, slots=True)
class Cost:
    """What a poll took: processor seconds of all threads, and of the event loop in one go at most.

    For the longest *stall* it stood still, also because another thread or program was at work.
    """

    cpu: float
    at_once: float
    stall: float

    def text(self) -> str:
        """Return it as text."""
        seconds = self.cpu, self.at_once, self.stall
        cpu, at_once, stall = (f"{each * 1000:,.0f} ms" for each in seconds)
        return f"CPU {cpu}, of the event loop in one go {at_once}, longest stall {stall}"


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    collect_seldom()  # as the program does
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    smallest, results = dict[str, Cost](), list[Row]()
    for accounts in SIZES[:1] if quick else SIZES:
        for what, cost in asyncio.run(_costs(accounts)).items():
            least = smallest.setdefault(what, cost)
            times = accounts / SIZES[0]
            results.append(
                Row(
                    f"one workspace of {accounts:,} accounts, {what}",
                    cost.text(),
                    cost.cpu / least.cpu / times if times > 1 else None,
                    beside=f"{times:.0f} × that of {SIZES[0]:,}" if times > 1 else "",
                )
            )
    return results


async def _costs(accounts: int) -> dict[str, Cost]:
    simulator = Simulator()
    simulator.add_customer("large", TOKEN)
    ids = [account.id for account in simulator.add_accounts("large", accounts)]
    source = _Source(accounts)
    with (
        tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder,
        closing(Store.open(f"sqlite:///{Path(folder)}/monitor.db")) as store,
    ):
        metrics = Metrics(version="bench")
        metrics.declare(workspaces=["large"], receivers={"chat": "slack", "crm": "webhook"})
        workspace, term = store.run_now(lambda tx: held_by_bench(tx, "large", REAL.now()))
        poller = Poller(
            workspace,
            term,
            rules=RULES,
            source=cast("LinkedApi", source),
            recorder=Recorder("bench", store, metrics, REAL),
        )
        source.body = list_accounts(simulator)
        costs = {"the first look": await _cost(poller.poll)}
        unchanged = [await _cost(poller.poll) for _ in range(5)]
        costs["nothing changed"] = sorted(unchanged, key=lambda cost: cost.cpu)[2]
        for id_ in ids[:: accounts // FROZEN]:
            simulator.freeze("large", id_)
        source.body = list_accounts(simulator)
        costs[f"{FROZEN:,} freeze, told to two receivers"] = await _cost(poller.poll)
    return costs


class _Source:
    """The accounts as they are listed, without HTTP; a list is read as the client does it."""

    def __init__(self, accounts: int) -> None:
        self.body = b""
        self.token = self
        self._decoder = Decoder(ORIGINS, max_accounts=accounts)
        self._parsing = Threads(1, "parse")

    def last(self) -> Secret:
        return Secret(TOKEN)

    async def get_all(self) -> Snapshot:
        return await self._parsing.run(lambda: self._decoder.decode(self.body))


async def _cost(poll: Callable[[], Awaitable[object]]) -> Cost:
    """Poll; meanwhile a task is due every millisecond."""
    loop, cpu = asyncio.get_running_loop(), time.process_time()
    task = asyncio.ensure_future(poll())
    stall = at_once = 0.0
    while not task.done():
        before, cpu_before = loop.time(), time.thread_time()
        await asyncio.sleep(TIMER_STEP)
        stall = max(stall, loop.time() - before - TIMER_STEP)
        at_once = max(at_once, time.thread_time() - cpu_before)
    await task
    return Cost(time.process_time() - cpu, at_once, stall)
