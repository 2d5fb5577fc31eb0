"""The outbox of the real program, with two things wrong at once."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing

import pytest
import yaml
from harness.program import answers
from harness.reconcile import reconcile, reconcile_posts, until_quiet
from harness.running_monitor import install, simulated
from sqlalchemy import text

from monitor.store.db import Store

SIGN_OUTS = 5
LOCKED = 12.0
"""Seconds: longer than the program waits for a database that another one has locked."""

OPENED = text("""
SELECT COUNT(*), COUNT(DISTINCT incident_id) FROM notification
WHERE receiver = 'chat' AND event = 'opened' AND state = 'delivered'
""")
STOOD_IN = text("""
SELECT undelivered_to, COUNT(*) FROM notification
WHERE receiver = 'chat' AND undelivered_to IS NOT NULL AND state = 'delivered'
GROUP BY undelivered_to ORDER BY undelivered_to
""")
ATTEMPTS = text("SELECT number, reason FROM attempt")


@pytest.mark.case("receiver to be mended", "database away while a message leaves")
async def test_nothing_is_lost_or_told_twice_with_two_things_wrong_at_once(tmp_path):
    """Each of these mostly waits: they do so together."""
    async with asyncio.TaskGroup() as group:
        for scenario in (
            two_receivers_refuse_what_the_fallback_hears,
            two_receivers_refuse_and_the_fallback_is_routed_as_well_and_away,
            the_database_is_locked_while_receivers_answer,
        ):
            folder = tmp_path / scenario.__name__
            folder.mkdir()
            group.create_task(scenario(folder))


async def two_receivers_refuse_what_the_fallback_hears(folder):
    simulator = simulated(SIGN_OUTS)
    async with install(folder, simulator) as installation:
        let_two_refuse(installation, to=["crm", "erp"])
        async with running(installation) as store:
            simulator.sign_out("acme", "*")
            await until_stood_in(store)
            await until_recovered(store, simulator)
            check_books(store, installation.hook)


async def two_receivers_refuse_and_the_fallback_is_routed_as_well_and_away(folder):
    simulator = simulated(SIGN_OUTS)
    async with install(folder, simulator) as installation:
        let_two_refuse(installation, to=["crm", "erp", "chat"])
        hook = installation.hook
        hook.status = 503
        async with running(installation) as store:
            for account in simulator.customer("acme").accounts:
                simulator.sign_out("acme", account)
                await asyncio.sleep(0.4)
            await hook.wait(lambda: {"/gone", "/moved", "/slack"} <= hook.paths())
            hook.status = 200
            hook.slack.clear()
            await until_stood_in(store)
            await until_recovered(store, simulator)
            check_books(store, hook)


async def the_database_is_locked_while_receivers_answer(folder):
    simulator = simulated(accounts=1)
    async with install(folder, simulator) as installation:
        hook = installation.hook
        hook.delay = 1.0
        async with running(installation) as store:
            simulator.sign_out("acme", "*")
            await hook.wait(lambda: hook.slack and hook.events)
            with closing(sqlite3.connect(folder / "monitor.db", isolation_level=None)) as program:
                program.execute("BEGIN IMMEDIATE")
                hook.delay = 0.0
                await asyncio.sleep(LOCKED)
            await until_recovered(store, simulator)
            assert store.run_now(lambda tx: tx.execute(ATTEMPTS).all()) == [(1, "ok")] * 4
            reconcile(store, hook, at_least=1)
            reconcile_posts(store, hook)
            assert len(hook.slack) == len(hook.events) == 2


def let_two_refuse(installation, *, to):
    """Let two receivers say that they are gone, as Slack does, and all be routed *to* these.

    `chat` is the fallback.
    """
    settings = yaml.safe_load(installation.file.read_text())
    chat, crm = settings["receivers"]
    gone, moved = (crm["url"].replace("/hook", path) for path in ("/gone", "/moved"))
    settings["receivers"] = [
        chat,
        {"name": "crm", "type": "slack", "url": gone},
        {"name": "erp", "type": "slack", "url": moved},
    ]
    routing = {"fallback": "chat", "routes": [{"to": to}]}
    installation.file.write_text(yaml.safe_dump(settings | routing))


@asynccontextmanager
async def running(installation):
    """Run the program, which must end well, and give its database."""
    async with installation.run() as monitor:
        await answers(f"{installation.endpoint}/readyz")
        await monitor.until_logged("first look")
        with closing(Store.open(f"sqlite:///{installation.file.parent}/monitor.db")) as store:
            yield store
        assert await monitor.stop() == 0
    assert "unexpectedly" not in monitor.output()
    assert "Traceback" not in monitor.output()


async def until_stood_in(store):
    """Wait until Slack was told for each of the two what they could not be told."""
    async with asyncio.timeout(60):
        while await store.read(lambda tx: tx.execute(STOOD_IN).all()) != [
            ("crm", SIGN_OUTS),
            ("erp", SIGN_OUTS),
        ]:
            await asyncio.sleep(0.1)


async def until_recovered(store, simulator):
    simulator.recover("acme", "*")
    await until_quiet(store, simulator)


def check_books(store, hook):
    """Check that Slack heard of each incident once, the others of none, and that it is recorded."""
    assert store.run_now(lambda tx: tx.execute(OPENED).one()) == (SIGN_OUTS, SIGN_OUTS)
    reconcile(store, hook, at_least=SIGN_OUTS)
    reconcile_posts(store, hook)
    assert hook.events == []
