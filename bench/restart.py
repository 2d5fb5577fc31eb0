"""A kill with a long queue: how soon the next monitor works, and what the receiver got in the end.

Beside a database of its own it is done with the empty one that BENCH_DATABASE_URL names, if it is
set.
"""

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import TextClause, text
from sqlalchemy.engine import make_url

from monitor.app import process
from monitor.core.secret import Secret
from monitor.simulator import Simulator
from monitor.store.db import Store

from .fill import Customer, account, queue_in_bulk
from .latency import webhook
from .program import TIMEOUT, monitor, simulated
from .table import Row

ACCOUNTS: Final = 10
"""How many accounts a workspace has."""

BEFORE: Final = 100
"""How many messages have arrived when the monitor is killed."""

SETTLE: Final = 1.0
"""Seconds after which what the killed monitor sent has arrived, too."""

MAX_FIRST: Final = 5.0
MAX_LOOKED_AT: Final = 20.0
"""Seconds after a start until the first delivery, and until all with a queue are looked at."""

MAX_LEASE: Final = 45.0
"""Seconds that it may take longer where nothing but its silence shows that the former is dead."""

MAX_DRAIN: Final = 1200.0
"""Seconds until all is delivered."""

NOT_LOOKED_AT: Final = text("""
SELECT COUNT(*) FROM workspace
WHERE name <> '*' AND (last_good_at IS NULL OR last_good_at < :since)
""")
QUEUED: Final = text("SELECT COUNT(*) FROM message WHERE settled_at IS NULL")
MESSAGES: Final = text("SELECT id, state, unanswered FROM message")


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    count = 400 if quick else 2_000
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        urls = [f"sqlite:///{folder}/monitor.db", os.environ.get("BENCH_DATABASE_URL")]
        measured = [asyncio.run(_restart(count, Path(folder), url)) for url in urls if url]
    return [row for rows in measured for row in rows]


async def _restart(count: int, folder: Path, url: str) -> Sequence[Row]:
    with closing(Store.open(url)) as store:
        queue_in_bulk(store, _simulated_customers(count), "crm", at=process.now(), held=False)
        if not url.startswith("sqlite"):  # as such a database does by itself, sooner or later
            store.run_now(lambda tx: tx.exec_driver_sql("ANALYZE"))
        async with webhook() as (arrivals, hook), simulated(count, ACCOUNTS, frozen=True) as api:
            start = partial(
                monitor, folder, api=api, workspaces=count, hook=hook, every="60s", storage=url
            )
            async with start() as killed:
                arrived = [await asyncio.wait_for(arrivals.get(), TIMEOUT) for _ in range(BEFORE)]
                killed.process.kill()
                await killed.process.wait()
            await asyncio.sleep(SETTLE)
            arrived += [arrivals.get_nowait() for _ in range(arrivals.qsize())]

            started, since = time.perf_counter(), process.now()
            async with start() as running:
                ready_cpu = running.cpu()
                first = await asyncio.wait_for(arrivals.get(), TIMEOUT)
                await _until_none(store, NOT_LOOKED_AT, TIMEOUT, since=since)
                looked_at = time.perf_counter() - started
                delivered, cpu = 1 + arrivals.qsize(), running.cpu()
                await _until_none(store, QUEUED, MAX_DRAIN)
                drained = time.perf_counter() - started
            arrived += [first, *(arrivals.get_nowait() for _ in range(arrivals.qsize()))]
        messages = store.read_now(lambda tx: [(*row,) for row in tx.execute(MESSAGES)])
        books = compare(messages, Counter(arrival.id for arrival in arrived))
    first_after = first.at - started
    is_sqlite = make_url(url).drivername == "sqlite"
    more = 0.0 if is_sqlite else MAX_LEASE
    what = (
        f"restart on {'SQLite' if is_sqlite else 'PostgreSQL'}, {count:,} workspaces,"
        f" {count * ACCOUNTS:,} queued"
    )
    return [
        Row(
            f"{what}: first delivery",
            f"{first_after:.1f} s; ready after {running.ready_after:.1f} s, CPU {ready_cpu:.1f} s",
            first_after / (MAX_FIRST + more),
            1.0,
            f"{MAX_FIRST + more:.0f} s allowed",
        ),
        Row(
            f"{what}: all looked at",
            f"{looked_at:.1f} s, CPU {cpu:.1f} s; {delivered:,} delivered by then",
            looked_at / (MAX_LOOKED_AT + more),
            1.0,
            f"{MAX_LOOKED_AT + more:.0f} s allowed",
        ),
        Row(f"{what}: all delivered", f"{drained:.0f} s; {books}"),
    ]


def _simulated_customers(count: int) -> Iterator[Customer]:
    """Give the customers of `bench.simulated`, which are the same each time."""
    simulator = Simulator()
    for number in range(count):
        name, token = f"c{number}", f"linked_{number}"
        simulator.add_customer(name, token)
        listed = (
            replace(account(one.id), name=one.name, url=one.url, country=one.country)
            for one in simulator.add_accounts(name, ACCOUNTS)
        )
        yield Customer(name, Secret(token), tuple(listed))


async def _until_none(store: Store, query: TextClause, within: float, **values: int) -> None:
    """Wait until *query* counts nothing any more."""
    async with asyncio.timeout(within):
        while await store.read(lambda tx: tx.execute(query, values).scalar_one()):
            await asyncio.sleep(0.1)


def compare(messages: Iterable[tuple[str, str, int]], received: Counter[str]) -> str:
    """Compare what was *received* (how often which message) with what is recorded; say it.

    Raise RuntimeError if a message was lost, or came twice but for those in flight at the kill.
    *messages* are the id of each, its state, and how many attempts may have arrived.
    """
    recorded = list(messages)
    delivered = {id_ for id_, state, _ in recorded if state == "delivered"}
    in_flight = {id_ for id_, _, unanswered in recorded if unanswered}
    twice = {id_ for id_, times in received.items() if times > 1}
    wrong = {
        "not delivered": len(recorded) - len(delivered),
        "lost": len(delivered - received.keys()),
        "not recorded": len(received.keys() - delivered),
        "told twice": len(twice - in_flight),
    }
    if any(wrong.values()):
        raise RuntimeError(", ".join(f"{count} {what}" for what, count in wrong.items() if count))
    return (
        f"{len(delivered):,} messages, none lost; {len(in_flight)} were in flight at the kill, of"
        f" which {len(twice)} came twice"
    )
