"""What hangs holds up nothing that has nothing to do with it, and never the end."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import structlog
from harness.program import until
from harness.running_app import HERE, events, running

from monitor.app import loops, operations, workers
from monitor.app.loops import App
from monitor.core.duration import Duration
from monitor.core.errors import MonitorError
from monitor.source import client
from monitor.store import access
from monitor.work import deliver

pytestmark = pytest.mark.usefixtures("quick_loops")

AT_ONCE = Duration.parse("100ms")


@pytest.fixture
async def full_pool():
    """The pool of the event loop, full of what hangs, as a silent name server fills it."""
    pool, over = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(pool)
    pool.submit(over.wait)
    yield
    over.set()


@pytest.mark.usefixtures("full_pool")
async def test_nothing_of_ours_needs_the_pool_that_others_may_fill(harness, monkeypatch):
    monkeypatch.setattr(client, "SHORT_BODY", 10)
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(20), running(config) as monitor:
            await until(lambda: harness.simulator.requests)
            (endpoint,) = [entry["endpoint"] for entry in logs if entry["event"] == "started"]
            harness.simulator.sign_out("acme", "*")
            monitor._workers.wake_workspace("acme")
            await harness.hook.wait(lambda: len(harness.hook.events) == 2)
            async with httpx.AsyncClient(trust_env=False) as scraper:
                assert "linkedapi" in (await scraper.get(f"{endpoint}/metrics")).text
            monitor.reload()
            await until(lambda: "configuration reloaded" in events(logs))


@contextmanager
def hanging_writer(monitor):
    """Let the database take no transaction."""
    go_on = threading.Event()
    monitor._store._writing._threads.submit(go_on.wait)
    try:
        yield
    finally:
        go_on.set()


async def test_a_database_that_hangs_holds_up_the_end_for_seconds_only(harness, monkeypatch):
    for module in (loops, deliver):
        monkeypatch.setattr(module, "LAST_WRITE", AT_ONCE)
    monkeypatch.setattr(workers, "SHUTDOWN_GRACE", AT_ONCE)
    monkeypatch.setattr(access, "MAX_CLOSING", AT_ONCE)
    harness.hook.delay = 600
    harness.simulator.sign_out("acme", "*")
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    async with operations.opened(config) as monitor:
        task = asyncio.create_task(monitor.run())
        await until(lambda: harness.hook.requests)
        with hanging_writer(monitor):
            monitor.stop()
            await asyncio.wait_for(task, 10)


async def test_whatever_else_hangs_the_end_comes(harness, monkeypatch):
    async def hang(_):
        await asyncio.Event().wait()

    monkeypatch.setattr(loops, "MAX_STOPPING", AT_ONCE)
    monkeypatch.setattr(App, "_work", hang)
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    async with operations.opened(config) as monitor:
        task = asyncio.create_task(monitor.run())
        await until(lambda: monitor._is_at_work)
        monitor.stop()

        with pytest.raises(MonitorError, match="did not stop within 100ms"):
            await asyncio.wait_for(task, 10)


async def test_a_reload_that_hangs_holds_up_neither_the_rest_nor_the_end(harness):
    go_on, asked = threading.Event(), threading.Event()

    def load():
        asked.set()
        go_on.wait()

    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    async with running(config, load=load) as monitor:
        monitor.reload()
        await until(asked.is_set)
        harness.simulator.sign_out("acme", "*")
        await until(lambda: harness.simulator.requests)
        monitor._workers.wake_workspace("acme")
        await harness.hook.wait(lambda: len(harness.hook.events) == 2)
        monitor.stop()
    go_on.set()
