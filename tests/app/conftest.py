"""Workers for the tests of the monitor put together."""

import asyncio
from contextlib import AsyncExitStack, closing

import pytest
import structlog
from harness.program import hooks
from harness.store import open_store
from harness.workers import WorkersHarness

from monitor.app import loops
from monitor.core.duration import Duration
from monitor.simulator import Simulator, serve
from monitor.store.db import Store


@pytest.fixture
async def harness(tmp_path, request):
    """Workers whose API has the workspaces acme, beta and gamma, with two accounts each."""
    simulator = Simulator(seed=1)
    for name in ("acme", "beta", "gamma"):
        simulator.add_customer(name, f"linked_{name}")
        simulator.add_accounts(name, 2)
    store_type = getattr(request, "param", Store)
    async with AsyncExitStack() as stack:
        file = f"sqlite:///{tmp_path}/monitor.db"
        store = stack.enter_context(closing(open_store(file, store_type)))
        api = await stack.enter_async_context(serve(simulator))
        receiver = await stack.enter_async_context(hooks())
        clients = await stack.enter_async_context(AsyncExitStack())
        group = await stack.enter_async_context(asyncio.TaskGroup())
        harness = WorkersHarness(
            tmp_path, store, clients, group, simulator=simulator, api=api, hooks=receiver
        )
        clients.push_async_callback(harness.resources.http.aclose)
        harness.schedule.start()
        stack.callback(harness.schedule.stop)
        harness.schedule._scheduler.pause()
        stack.push_async_callback(harness.workers.stop)
        yield harness


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
