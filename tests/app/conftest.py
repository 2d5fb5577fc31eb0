"""Workers for the tests of the monitor put together."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, closing

import pytest
import structlog
from harness.program import hooks
from harness.store import open_store
from harness.workers import WorkersHarness

from monitor.app import loops
from monitor.core.duration import Duration
from monitor.simulator import Simulator, serve
from monitor.store.db import Store


@asynccontextmanager
async def linked_api():
    """An API that has the workspaces acme, beta and gamma, with two accounts each; a receiver."""
    simulator = Simulator(seed=1)
    for name in ("acme", "beta", "gamma"):
        simulator.add_customer(name, f"linked_{name}")
        simulator.add_accounts(name, 2)
    async with serve(simulator) as api, hooks() as receiver:
        yield {"simulator": simulator, "api": api, "hooks": receiver}


@asynccontextmanager
async def workers_of(folder, store, surroundings, **options):
    """The workers of one monitor."""
    async with AsyncExitStack() as stack:
        stack.enter_context(closing(store))
        clients = await stack.enter_async_context(AsyncExitStack())
        group = await stack.enter_async_context(asyncio.TaskGroup())
        harness = WorkersHarness(folder, store, clients, group, **surroundings, **options)
        clients.push_async_callback(harness.resources.http.aclose)
        harness.schedule.start()
        stack.callback(harness.schedule.stop)
        harness.schedule._scheduler.pause()
        stack.push_async_callback(harness.workers.stop)
        yield harness


@pytest.fixture
async def harness(tmp_path, request):
    """Workers whose API has the workspaces acme, beta and gamma, with two accounts each."""
    store = open_store(f"sqlite:///{tmp_path}/monitor.db", getattr(request, "param", Store))
    async with linked_api() as surroundings, workers_of(tmp_path, store, surroundings) as workers:
        yield workers


@pytest.fixture
async def replicas(tmp_path, postgres_tables_url):
    """The same of two monitors that share a database."""
    async with AsyncExitStack() as stack:
        surroundings = await stack.enter_async_context(linked_api())
        yield [
            await stack.enter_async_context(
                workers_of(tmp_path, Store.open(postgres_tables_url), surroundings, name=name)
            )
            for name in ("first", "second")
        ]


@pytest.fixture
def logs():
    """What is logged, entry by entry."""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def quick_loops(monkeypatch):
    """Loops of the monitor that look ten times as often for what there is to do."""
    monkeypatch.setattr(loops, "TICK_EVERY", Duration.parse("100ms"))
    monkeypatch.setattr(loops, "RENEW_EVERY", Duration.parse("1s"))
