"""What long queues cost: a delivery beside them, and one alert among many receivers."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import httpx
from sqlalchemy import text

from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.inventory import Inventory
from monitor.core.model import Status
from monitor.core.receipt import Receipt
from monitor.core.route import Receiver
from monitor.store import attempts, claims, outbox
from monitor.store.attempts import Attempt
from monitor.store.claims import Sender
from monitor.store.db import Store

from .fill import NOON, REPLICA, Polled, customers, new_id, poll_rules, queue_in_bulk
from .latency import webhook
from .measure import format_seconds, median_ratio, wall_seconds
from .program import TIMEOUT, monitor, simulated
from .table import Row

DEADLINE: Final = Duration.parse("30d")
REFUSED: Final = DeliveryError("HTTP 500", reason=AttemptReason.SERVER)

LIMIT: Final = 1.5
ACCOUNTS: Final = 10
"""How many accounts a workspace has."""

PROBES: Final = 20
PAUSE: Final = Duration.parse("10m")
"""Longer than a receiver that fails is left alone."""

STAY_FRESH: Final = text(f"""
UPDATE workspace SET fresh_until = {NOON + DEADLINE} WHERE fresh_until IS NOT NULL
""")  # noqa: S608 - a number of our own

WORKSPACES: Final = 20
SETTLE: Final = 1.0
"""Seconds after which a delivery has been recorded, too."""

OK_POLLS: Final = 'outcome="ok"'
MAX_QUIET_WRITES: Final = 0.05

FEW: Final = 20
RECEIVERS: Final = 300
MAX_WRITES: Final = 6
"""How many transactions one alert may take: of the poll, and to claim and settle its message."""


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    return [
        *_waiting((1_000, 20_000) if quick else (1_000, 20_000, 100_000), 60 if quick else 200),
        *_behind_a_dead_receiver((10_000,) if quick else (10_000, 100_000), 60 if quick else 200),
        *asyncio.run(_alerts(5 if quick else 12, window=15.0 if quick else 45.0)),
    ]


# ── a delivery beside a queue ────────────────────────────────────────────────────────────────────


class Outbox(Polled):
    """A database whose workspace *name* is told to `hook`, beside what is queued of others."""

    def __init__(self, store: Store, name: str = "busy") -> None:
        self._watched = [name]
        super().__init__(store, name, ACCOUNTS, poll_rules("hook"))

    def fill(self, count: int, receiver: str, *, held: bool) -> None:
        """Let *count* messages be queued to *receiver*, all in all."""
        new = list(customers(count // ACCOUNTS - len(self._watched) + 1, ACCOUNTS))
        queue_in_bulk(self.store, new, receiver, at=self.now, held=held)
        self.store.run_now(lambda tx: tx.execute(STAY_FRESH))
        self._watched += [customer.name for customer in new]

    def _inventory(self) -> Inventory:
        return Inventory({name: {} for name in self._watched})

    def deliveries(self) -> Iterator[float]:
        """Freeze all accounts, then let them recover; give how long each delivery of it takes."""
        for status in (Status.FROZEN, Status.ACTIVE):
            self.poll(status)
            inventory = self._inventory()
            for _ in self.ids:
                yield wall_seconds(partial(self._deliver, "hook", inventory))

    def endless(self) -> Iterator[float]:
        """Give how long a delivery takes, again and again."""
        while True:
            yield from self.deliveries()

    def probe(self) -> float:
        """Try the receiver `dead` once more, in vain; return how long that takes."""
        inventory = self._inventory()
        self.now += PAUSE
        return wall_seconds(partial(self._deliver, "dead", inventory, REFUSED))

    def _deliver(
        self, receiver: str, inventory: Inventory, error: DeliveryError | None = None
    ) -> None:
        """Do in the database what a delivery does, whose attempt ends at once."""
        claim = partial(
            claims.claim,
            receiver=Receiver(receiver, groups=False),
            sender=Sender(REPLICA, "worker"),
            inventory=inventory,
            now=self.now,
            lease=Duration.parse("30s"),
            new_id=new_id,
        )
        claimed = self.store.run_now(claim, of=())
        assert claimed.message is not None
        settle = partial(
            attempts.settle,
            replica=REPLICA,
            claimed=claimed,
            attempt=Attempt(error or Receipt(), Duration(0), "title"),
            now=self.now,
            deadline=DEADLINE,
            jitter=1.0,
            fallback=None,
            new_id=new_id,
        )
        self.store.run_now(settle, of=(self.name,))
        if error is not None:
            expire = partial(
                attempts.expire,
                replica=REPLICA,
                receiver=receiver,
                now=self.now,
                deadline=DEADLINE,
                fallback=None,
                new_id=new_id,
            )
            self.store.run_now(expire, of=())

    def count_queued(self) -> None:
        """Ask what the metrics show of the queues, every two seconds while they change."""
        self.store.read_now(partial(outbox.backlog, replica=REPLICA))


@contextmanager
def _outboxes() -> Iterator[tuple[Outbox, Outbox]]:
    """Give two databases; one is to have a queue."""
    with (
        tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder,
        ExitStack() as stack,
    ):
        empty, full = (
            Outbox(stack.enter_context(closing(Store.open(f"sqlite:///{folder}/{name}.db"))))
            for name in ("empty", "full")
        )
        yield empty, full


def _in_turn(empty: Outbox, full: Outbox, runs: int) -> tuple[list[float], list[float]]:
    """Return how long deliveries take beside the queues of both."""
    pairs: list[tuple[float, float]] = []
    while len(pairs) < runs:
        pairs += zip(empty.deliveries(), full.deliveries(), strict=True)
    ours, theirs = zip(*pairs, strict=True)
    return list(ours), list(theirs)


def _waiting(sizes: Sequence[int], runs: int) -> Iterator[Row]:
    with _outboxes() as (empty, full):
        for size in sizes:
            full.fill(size, "hook", held=True)
            beside, times = _in_turn(empty, full, runs)
            yield Row(
                f"claim + settle while {size:,} messages wait for a look",
                format_seconds(times),
                median_ratio(times, beside),
                LIMIT,
                f"while none do {format_seconds(beside)}",
            )


def _behind_a_dead_receiver(sizes: Sequence[int], runs: int) -> Iterator[Row]:
    with _outboxes() as (empty, full):
        empty.fill(FEW, "dead", held=False)
        for size in sizes:
            full.fill(size, "dead", held=False)
            probes = [(empty.probe(), full.probe()) for _ in range(PROBES)]
            beside, times = _in_turn(empty, full, runs)
            yield Row(
                f"claim + settle while {size:,} are queued for a dead receiver",
                format_seconds(times),
                median_ratio(times, beside),
                LIMIT,
                f"while {FEW} are {format_seconds(beside)}",
            )
            beside, times = map(list, zip(*probes, strict=True))
            yield Row(
                f"an attempt in vain for a dead receiver, with {size:,} queued",
                format_seconds(times),
                median_ratio(times, beside),
                beside=f"with {FEW} queued {format_seconds(beside)}",
            )
            counts = [wall_seconds(full.count_queued) for _ in range(PROBES)]
            yield Row(f"counting what is queued, a read, with {size:,}", format_seconds(counts))


# ── a running program ────────────────────────────────────────────────────────────────────────────


async def _alerts(alerts: int, window: float) -> Sequence[Row]:
    idle = "".join(f"  - {{name: log-{n}, type: log}}\n" for n in range(1, RECEIVERS))
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        async with (
            webhook() as (arrivals, hook),
            simulated(WORKSPACES, ACCOUNTS) as api,
            monitor(
                Path(folder),
                api=api,
                workspaces=WORKSPACES,
                hook=hook,
                every="1s",
                jitter="0s",
                more=f"{idle}routes: [{{to: [crm]}}]\n",
            ) as running,
            httpx.AsyncClient(
                base_url=f"{api.address}/control/", trust_env=False, timeout=60
            ) as control,
        ):
            await asyncio.sleep(2 * SETTLE)
            before, cpu = await running.scrape(), running.cpu()
            await asyncio.sleep(window)
            cpu, after = running.cpu() - cpu, await running.scrape()
            quiet = _writes(after) - _writes(before)
            polls = sum(after[name] - before[name] for name in after if OK_POLLS in name)
            state = (await control.get("state")).json()["result"]
            ids = [listed["id"] for listed in state["customers"][0]["accounts"]]
            writes = []
            for id_ in ids[:alerts]:
                before = await running.scrape()
                await control.post("freeze", json={"customer": "c0", "account": id_})
                await asyncio.wait_for(arrivals.get(), TIMEOUT)
                await asyncio.sleep(SETTLE)
                writes.append(_writes(await running.scrape()) - _writes(before))
    return [
        Row(
            f"transactions for one alert, {RECEIVERS} receivers of which one hears",
            f"median {median(writes):.0f}, min {min(writes):.0f}, max {max(writes):.0f}",
            median(writes) / MAX_WRITES,
            1.0,
            f"{MAX_WRITES} allowed; {len(writes)} alerts",
        ),
        Row(
            f"transactions for a quiet poll, {WORKSPACES} workspaces of {ACCOUNTS} accounts at 1 s",
            f"{quiet:.0f} in {window:.0f} s; CPU {cpu / polls * 1000:.2f} ms a poll",
            quiet / polls,
            MAX_QUIET_WRITES,
            f"{polls:.0f} polls; liveness and the clock are written every 15 s",
        ),
    ]


def _writes(series: Mapping[str, float]) -> float:
    return series['linkedapi_store_transaction_duration_seconds_count{kind="write"}']
