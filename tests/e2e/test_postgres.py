"""The real program on a real PostgreSQL server, which is stopped and killed under it."""

import asyncio
import random
import signal
from uuid import uuid4

import pytest
from harness import postgresql
from harness.program import answers
from harness.reconcile import NO_FLAPPING, reconcile, turn, until_quiet
from harness.running_monitor import install, simulated

from monitor.store.db import Store

ROUNDS = 6


@pytest.fixture(scope="module")
def server():
    with postgresql.server() as started:
        yield started


@pytest.fixture
def database_url(server):
    """A database of its own, as an administrator would make it."""
    name = f"test_{uuid4().hex}"
    server.run(f"CREATE DATABASE {name}")
    return server.url(name)


async def test_the_monitor_runs_on_postgresql(tmp_path, database_url):
    simulator = simulated()
    account, _ = simulator.customer("acme").accounts
    async with install(tmp_path, simulator, storage=database_url) as installation:
        hook, ready = installation.hook, f"{installation.endpoint}/readyz"
        async with installation.run() as monitor:
            await answers(ready)
            simulator.sign_out("acme", account)
            await hook.wait(lambda: hook.slack and hook.events)
            simulator.recover("acme", account)
            await hook.wait(lambda: len(hook.slack) == len(hook.events) == 2)
            assert await monitor.stop() == 0
        async with installation.run() as monitor:
            await answers(ready)
            await monitor.until_logged("first look")
            assert await monitor.stop() == 0

    assert [event["type"] for event in hook.events] == ["incident.opened", "incident.resolved"]
    assert "cycle failed" not in monitor.output()
    assert postgresql.PASSWORD not in monitor.output()


async def test_a_server_that_dies_at_any_moment_loses_nothing_and_tells_nothing_false(
    tmp_path, server, database_url
):
    moments = random.Random(7)
    simulator = simulated(accounts=7)
    steady, *accounts = simulator.customer("acme").accounts
    settings = {"storage": database_url, "more": NO_FLAPPING}
    async with install(tmp_path, simulator, **settings) as installation:
        hook, ready = installation.hook, f"{installation.endpoint}/readyz"
        hook.delay = 0.1
        async with installation.run() as monitor:
            await answers(ready)
            for round_ in range(ROUNDS):
                turn(simulator, moments, accounts)
                await asyncio.sleep(moments.uniform(0.0, 1.2))
                server.stop(signal.SIGQUIT if round_ % 2 else signal.SIGINT)
                turn(simulator, moments, accounts)
                await answers(ready, status=503)
                await answers(f"{installation.endpoint}/healthz")  # a restart would not help
                await asyncio.sleep(moments.uniform(0.0, 1.0))
                await asyncio.to_thread(server.start)
                await answers(ready)
            hook.delay = 0.0
            simulator.recover("acme", "*")
            store = Store.open(database_url)
            await until_quiet(store, simulator)
            assert await monitor.stop() == 0

    reconcile(store, hook, at_least=ROUNDS // 2)
    store.close()
    assert steady not in {event["data"]["account"]["id"] for event in hook.events}
    output = monitor.output()
    assert "is the server running" in output
    assert "failed unexpectedly" not in output
    assert postgresql.PASSWORD not in output
