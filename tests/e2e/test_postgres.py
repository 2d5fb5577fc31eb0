"""The real program on a real PostgreSQL server, which is stopped and killed under it."""

import asyncio
import json
import random
import signal
from uuid import uuid4

import pytest
from e2e.ledger import NO_FLAPPING, check_what_the_crm_was_told, until_quiet
from harness import postgresql
from harness.program import answers, configure, hooks, program
from sqlalchemy.engine import make_url

from monitor.simulator import Simulator, serve
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


def simulated(accounts):
    simulator = Simulator(seed=7)
    simulator.add_customer("acme", "linked_test_token")
    return simulator, [one.id for one in simulator.add_accounts("acme", accounts)]


async def test_the_monitor_runs_on_postgresql(tmp_path, database_url):
    simulator, (account, _) = simulated(2)
    async with serve(simulator) as api, hooks() as (hook, hook_url):
        file, endpoint = configure(tmp_path, api=api, hooks=hook_url, storage=database_url)
        async with program("run", "-c", str(file), log=tmp_path / "run.log") as monitor:
            await answers(f"{endpoint}/readyz")
            simulator.sign_out("acme", account)
            await hook.wait(lambda: hook.slack and hook.events)
            simulator.recover("acme", account)
            await hook.wait(lambda: len(hook.slack) == len(hook.events) == 2)
            listed = await said_by("incidents", "--all", "--json", "-c", file, folder=tmp_path)
            assert await monitor.stop() == 0
        async with program("run", "-c", str(file), log=tmp_path / "run.log") as monitor:
            await answers(f"{endpoint}/readyz")
            await monitor.until_said("first look")
            assert await monitor.stop() == 0

    assert [event["type"] for event in hook.events] == ["incident.opened", "incident.resolved"]
    assert [(one["account_id"], one["resolution"]) for one in json.loads(listed)["data"]] == [
        (account, "recovered")
    ]
    assert "cycle failed" not in monitor.said()
    assert postgresql.PASSWORD not in monitor.said()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"password": "wr0ng"}, "check the user and the password in storage.url"),
        ({"database": "nowhere"}, "create the database and its user, or check storage.url"),
        ({"port": 1}, "is the server running, and does it listen there?"),
    ],
)
async def test_a_server_that_cannot_be_used_ends_the_start_with_one_clear_line(
    tmp_path, database_url, change, said
):
    url = make_url(database_url).set(**change).render_as_string(hide_password=False)
    simulator, _ = simulated(1)
    simulator.sign_out("acme", "*")
    async with serve(simulator) as api, hooks() as (hook, hook_url):
        file, _ = configure(tmp_path, api=api, hooks=hook_url, storage=url)
        async with program("run", "-c", str(file), log=tmp_path / "run.log") as monitor:
            assert await monitor.ended() == 1

    (line,) = monitor.said().splitlines()
    assert said in line
    assert hook.events == hook.slack == simulator.requests == []
    assert make_url(url).password not in line


async def test_a_server_that_dies_at_any_moment_loses_nothing_and_tells_nothing_false(
    tmp_path, server, database_url
):
    moments = random.Random(7)
    simulator, (steady, *accounts) = simulated(7)
    out = set()
    async with serve(simulator) as api, hooks() as (hook, hook_url):
        hook.delay = 0.1
        file, endpoint = configure(
            tmp_path, api=api, hooks=hook_url, storage=database_url, more=NO_FLAPPING
        )
        async with program("run", "-c", str(file), log=tmp_path / "run.log") as monitor:
            await answers(f"{endpoint}/readyz")
            for round_ in range(ROUNDS):
                turn(simulator, moments, accounts, out)
                await asyncio.sleep(moments.uniform(0.0, 1.2))
                server.stop(signal.SIGQUIT if round_ % 2 else signal.SIGINT)
                turn(simulator, moments, accounts, out)
                await answers(f"{endpoint}/readyz", status=503)
                await answers(f"{endpoint}/healthz")  # a restart would not help
                await asyncio.sleep(moments.uniform(0.0, 1.0))
                await asyncio.to_thread(server.start)
                await answers(f"{endpoint}/readyz", patience=60)
            hook.delay = 0.0
            simulator.recover("acme", "*")
            store = Store.open(database_url)
            await until_quiet(store, simulator)
            assert await monitor.stop() == 0

    check_what_the_crm_was_told(store, hook, at_least=ROUNDS // 2)
    store.close()
    assert steady not in {one["data"]["account"]["id"] for one in hook.events}
    said = monitor.said()
    assert "is the server running" in said
    assert "failed unexpectedly" not in said
    assert postgresql.PASSWORD not in said


def turn(simulator, moments, accounts, out):
    """Let some account sign out, or recover if it is *out*."""
    account = moments.choice(accounts)
    (simulator.recover if account in out else simulator.sign_out)("acme", account)
    out ^= {account}


async def said_by(*arguments, folder):
    """Run a command to its end; return what it printed."""
    async with program(*map(str, arguments), log=folder / "command.log") as command:
        assert await command.ended() == 0, command.said()
        return command.said()
