"""The real program on a real PostgreSQL server, which is stopped and killed under it."""

import asyncio
import json
import random
import signal
from collections import defaultdict
from uuid import uuid4

import postgres
import pytest
from program import answers, configure, hooks, program
from sqlalchemy import text
from sqlalchemy.engine import make_url

from monitor.simulator import Simulator, serve
from monitor.store.db import Store

ROUNDS = 6
NO_FLAPPING = "incidents: {flapping: {changes: 1000}}"
LIVE = text("SELECT COUNT(*) FROM notification WHERE state IN ('pending', 'sending')")


@pytest.fixture(scope="module")
def server():
    with postgres.server() as started:
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
            await until(lambda: "first look" in monitor.said())
            assert await monitor.stop() == 0

    assert [event["type"] for event in hook.events] == ["incident.opened", "incident.resolved"]
    assert [(one["account_id"], one["resolution"]) for one in json.loads(listed)["data"]] == [
        (account, "recovered")
    ]
    assert "cycle failed" not in monitor.said()
    assert postgres.PASSWORD not in monitor.said()


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
            assert await ended(monitor) == 1

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

    incidents, notifications = store.run_now(read)
    store.close()
    assert len(incidents) >= ROUNDS // 2, "the rounds opened too little to prove anything"
    assert {one.cause for one in incidents} == {"reconnection_required"}
    assert steady not in {one.account_id for one in incidents}
    assert all(one.resolution == "recovered" for one in incidents)
    assert {(one.state, one.reason) for one in notifications} <= {
        ("delivered", None),
        ("cancelled", "recovered"),
    }
    check_what_the_crm_was_told(hook, incidents, notifications)
    said = monitor.said()
    assert "is the server running" in said
    assert "failed unexpectedly" not in said
    assert postgres.PASSWORD not in said


def check_what_the_crm_was_told(hook, incidents, notifications):
    told = defaultdict(list)
    for (message_id, _), event in zip(hook.ids, hook.events, strict=True):
        told[event["data"]["incident"]["id"]].append((event["type"], message_id))
    for incident in incidents:
        mine = [one for one in notifications if one.incident_id == incident.id]
        kinds = [kind for kind, _ in dict.fromkeys(told[incident.id])]
        if any(one.event == "opened" and one.state == "cancelled" and one.attempts for one in mine):
            # It was claimed, and the server died before it was known whether it arrived.
            assert kinds in ([], ["incident.opened"], *BOTH, ["incident.resolved"])
        else:
            assert kinds in ([], *BOTH), kinds
        if any(one.state == "delivered" for one in mine):
            assert kinds, f"{incident.id} was settled as delivered but never came"


BOTH = (["incident.opened", "incident.resolved"],)


def turn(simulator, moments, accounts, out):
    """Let some account sign out, or recover if it is *out*."""
    account = moments.choice(accounts)
    (simulator.recover if account in out else simulator.sign_out)("acme", account)
    out ^= {account}


def read(tx):
    return (
        tx.execute(text("SELECT * FROM incident")).all(),
        tx.execute(
            text("""
            SELECT notification.*, message.attempts FROM notification
            JOIN message ON message.id = notification.message_id
            WHERE notification.receiver = 'crm'
            """)
        ).all(),
    )


async def until_quiet(store, simulator):
    """Wait until the recovery has been polled and nothing is queued any more."""
    polls = len(simulator.requests)
    async with asyncio.timeout(60):
        while len(simulator.requests) < polls + 2 or await store.run(
            lambda tx: tx.execute(LIVE).scalar_one()
        ):
            await asyncio.sleep(0.1)


async def ended(monitor):
    async with asyncio.timeout(60):
        return await monitor.process.wait()


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.05)


async def said_by(*arguments, folder):
    """Run a command to its end; return what it printed."""
    async with program(*map(str, arguments), log=folder / "command.log") as command:
        assert await ended(command) == 0, command.said()
        return command.said()
