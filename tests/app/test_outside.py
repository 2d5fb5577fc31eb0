"""What others commit is noticed by the monitor that works; else it asks for nothing."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest
from harness.core import acceptance
from harness.metrics import page_of
from harness.program import until
from harness.running_app import HERE, running

from monitor.app import loops, process
from monitor.app.process import REAL
from monitor.app.routing import make_routing
from monitor.core import backoff
from monitor.core.act import Act, ActKind, Way
from monitor.core.duration import Duration
from monitor.core.model import Cause
from monitor.core.mutes import MuteRule
from monitor.store import incidents, outside, session_intents, workspaces
from monitor.work.act import ActRules, Chosen, ack, end_mute, mute, reconnect

pytestmark = pytest.mark.usefixtures("quick_loops")

IDLE = f"{HERE}\npoll: {{every: 6h}}"


@pytest.fixture
async def monitor(harness):
    """A monitor with two receivers that has nothing to do."""
    crm = harness.crm()
    receivers = f"receivers: [{crm}, {crm.replace('crm', 'pager')}]"
    config = harness.load("acme", more=f"{IDLE}\n{receivers}")
    async with running(config) as monitor:
        await until(lambda: harness.simulator.requests)
        await asyncio.sleep(0.5)  # what the start brought
        yield monitor


def transactions(monitor, kind):
    """How many there were so far."""
    series = f'linkedapi_store_transaction_duration_seconds_count{{kind="{kind}"}} '
    page = page_of(monitor._metrics)
    return int(page.partition(series)[2].partition("\n")[0] or 0)


async def test_a_list_that_somebody_accepts_is_believed_at_once(harness, monitor, monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_BACKOFF", Duration.parse("1h"))
    for account in list(harness.simulator.customer("acme").accounts):
        harness.simulator.remove("acme", account)
    harness.simulator.add_accounts("acme", 2)
    monitor._workers.workspaces["acme"].wake()
    accept = partial(workspaces.accept, name="acme", now=process.now(), way="cli", actor="ops")
    await until(lambda: len(harness.simulator.requests) == 2)

    await until(lambda: harness.store.run_now(accept))

    load = partial(workspaces.load, name="acme")
    listed = harness.simulator.customer("acme").accounts.keys()
    await until(lambda: harness.store.read_now(load).accounts.keys() == listed)


@pytest.mark.case("new name matches other rules")
async def test_a_name_that_somebody_accepts_counts_at_once(harness, monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_BACKOFF", Duration.parse("1h"))
    rules = 'accounts: [{match: {name: "Test *"}, ignore: true}]'
    config = harness.load("acme", more=f"{IDLE}\n{rules}\nreceivers: [{harness.crm()}]")
    id_ = next(iter(harness.simulator.customer("acme").accounts))
    load = partial(workspaces.load, name="acme")
    async with running(config) as monitor:
        await until(lambda: id_ in harness.store.read_now(load).accounts)
        harness.simulator.rename("acme", id_, "Test one")
        monitor._workers.workspaces["acme"].wake()
        await until(lambda: harness.hook.events)

        accepted = acceptance(id_, at=process.now())
        harness.store.run_now(lambda tx: workspaces.accept_account(tx, accepted))

        await until(lambda: id_ not in harness.store.read_now(load).accounts, within=5)


async def test_a_link_that_a_person_wants_is_asked_for_at_once(harness):
    harness.simulator.sign_out("acme", "*")
    (id_, *_) = harness.simulator.customer("acme").accounts
    harness.simulator.patch("acme", id_, without=("reconnectionLink", "reconnectionSessionId"))
    config = harness.load("acme", more=f"{IDLE}\nreconnection: {{create: never}}")
    act = Act("act", process.now(), ActKind.RECONNECT, Way.CLI, "ann", workspace="acme")
    chosen = Chosen(cause=Cause.RECONNECTION_REQUIRED)

    def ask(tx):
        return reconnect(tx, act, chosen, process.new_id)

    def outcomes():
        rows = harness.store.read_now(lambda tx: session_intents.outcomes(tx, ids))
        return {row["account_id"]: row["outcome"] for row in rows}

    async with running(config):
        await until(lambda: harness.store.read_now(partial(incidents.load_open, workspace="acme")))

        ids = harness.store.run_now(ask)

        await until(lambda: outcomes().get(id_) == "created", within=5)


async def test_who_takes_an_incident_over_is_noticed_and_counted(harness):
    harness.simulator.sign_out("acme", "*")
    config = harness.load("acme", more=f"{IDLE}\nreceivers: [{harness.crm()}]")
    act = Act("act", process.now(), ActKind.ACK, Way.CLI, "ann", workspace="acme")
    chosen = Chosen(cause=Cause.RECONNECTION_REQUIRED)
    rules = ActRules(config.incidents, make_routing(config), process.new_id)
    async with running(config) as monitor:
        await until(lambda: len(harness.hook.events) == 2)
        await until(lambda: harness.store.read_now(heard) == 2)

        harness.store.run_now(lambda tx: ack(tx, act, chosen, rules), of=("acme",))

        await until(lambda: len(harness.hook.events) == 4, within=5)
        acts = 'linkedapi_acts_total{act="ack",way="cli"} 1\n'
        await until(lambda: acts in page_of(monitor._metrics), within=5)


def heard(tx):
    return tx.exec_driver_sql("SELECT COUNT(*) FROM heard").scalar_one()


async def test_what_a_mute_held_is_told_when_somebody_ends_it(harness):
    harness.simulator.sign_out("acme", "*")
    config = harness.load("acme", more=f"{IDLE}\nreceivers: [{harness.crm()}]")
    made = Act("1", process.now(), ActKind.MUTE, Way.CLI, "ann")
    ended = replace(made, id="2", act=ActKind.END_MUTE)
    harness.store.run_now(lambda tx: mute(tx, made, MuteRule(until="forever"), None, "m"))
    async with running(config) as monitor:
        await until(lambda: harness.store.read_now(partial(incidents.load_open, workspace="acme")))
        await until(lambda: "linkedapi_mutes_active 1\n" in page_of(monitor._metrics))
        assert not harness.hook.events

        harness.store.run_now(lambda tx: end_mute(tx, ended, "m"))

        await until(lambda: len(harness.hook.events) == 2, within=5)
        await until(lambda: "linkedapi_mutes_active 0\n" in page_of(monitor._metrics))


async def test_who_has_nothing_to_do_writes_nothing_and_asks_once_a_tick(monitor):
    before = [transactions(monitor, kind) for kind in ("read", "write")]

    await asyncio.sleep(10 * loops.TICK_EVERY.seconds)

    reads, writes = (
        transactions(monitor, kind) - count
        for kind, count in zip(("read", "write"), before, strict=True)
    )
    assert (5 < reads < 12, writes) == (True, 0)


async def test_what_another_replica_committed_wakes_the_receivers(harness, monitor):
    writes = transactions(monitor, "write")

    await harness.store.run(outside.note)

    woken = len(monitor._workers.receivers)
    await until(lambda: transactions(monitor, "write") == writes + woken, within=5)


async def test_a_resolution_that_became_due_while_the_host_was_suspended_leaves(
    harness, monkeypatch
):
    monkeypatch.setattr(backoff, "FIRST_BACKOFF", Duration.parse("1h"))
    suspended = 0
    harness.simulator.sign_out("acme", "*")
    config = harness.load("acme", more=f"{IDLE}\nreceivers: [{harness.crm()}]")
    async with running(config, replace(REAL, now=lambda: REAL.now() + suspended)) as monitor:
        await until(lambda: len(harness.hook.events) == 2)
        worker = monitor._workers.receivers["crm"]
        harness.hook.status = 500
        harness.simulator.recover("acme", "*")
        monitor._workers.workspaces["acme"].wake()
        await until(lambda: len(harness.hook.events) > 2 and not worker._in_flight)
        await asyncio.sleep(0.2)  # until its worker sleeps
        harness.hook.status, refused = 200, len(harness.hook.events)

        suspended = Duration.parse("8h")

        await until(lambda: len(harness.hook.events) == refused + 2, within=20)
