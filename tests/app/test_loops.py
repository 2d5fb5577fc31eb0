"""The monitor as one task group, in this process: real store, clients and receiver."""

import asyncio
import os
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pytest
import structlog
from harness.answers import html_page
from harness.faults import failing_writes, locked, lost_answers
from harness.metrics import page_of
from harness.program import answers, free_port, until
from harness.running_app import HERE, running, select
from sqlalchemy import text

from monitor.app import loops, operations, workers
from monitor.app.loops import App
from monitor.app.process import REAL
from monitor.app.queues import Queues
from monitor.core import backoff
from monitor.core.duration import Duration
from monitor.core.errors import MonitorError
from monitor.store import incidents
from monitor.web.server import bind
from monitor.work.tick import Ticker

pytestmark = pytest.mark.usefixtures("quick_loops")


@pytest.mark.case("start, or the host slept")
async def test_after_the_host_was_suspended_everything_is_polled_at_once(harness):
    suspended = 0
    config = harness.load("acme", more=f"{HERE}\npoll: {{every: 6h}}\nreceivers: [{harness.crm()}]")
    async with running(config, replace(REAL, now=lambda: REAL.now() + suspended)):
        await until(lambda: harness.simulator.requests)
        harness.simulator.sign_out("acme", "*")
        assert len(harness.simulator.requests) == 1

        suspended = Duration.parse("8h")

        await harness.hook.wait(lambda: harness.hook.events, within=10)


@pytest.mark.case("start, or the host slept")
async def test_after_the_host_was_suspended_who_has_a_queue_is_polled_first(harness, monkeypatch):
    suspended = 0
    more = f"{HERE}\npoll: {{every: 6h}}\nreceivers: [{harness.crm('gone')}]"
    config = harness.load("acme", "beta", more=more)
    harness.simulator.sign_out("beta", "*")
    monkeypatch.setattr(workers, "MAX_SPREAD", Duration.parse("1s"))
    async with running(config, replace(REAL, now=lambda: REAL.now() + suspended)):
        await until(lambda: len(harness.simulator.requests) == 2)
        await until(lambda: harness.hook.requests)
        monkeypatch.setattr(workers, "MAX_LOOKS", 1)

        suspended = Duration.parse("8h")

        await until(lambda: len(harness.simulator.requests) == 4)
    requests = harness.simulator.requests
    assert [request.customer for request in requests] == ["acme", "beta", "beta", "acme"]


async def test_a_clock_that_goes_back_is_followed_at_once(harness):
    step = 0
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    with structlog.testing.capture_logs() as logs:
        async with running(config, replace(REAL, now=lambda: REAL.now() + step)):
            await until(lambda: harness.simulator.requests)

            step = -Duration.parse("1h")

            followed = "the clock went back; what is due was moved back with it"
            await until(lambda: followed in [entry["event"] for entry in logs], within=10)


async def test_what_was_due_before_the_clock_went_back_does_not_wait_for_it_to_come_there(
    harness, monkeypatch
):
    monkeypatch.setattr(backoff, "FIRST_BACKOFF", Duration.parse("1s"))
    step = 0
    harness.hook.status = 500
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    harness.simulator.sign_out("acme", "*")
    async with running(config, replace(REAL, now=lambda: REAL.now() + step)) as monitor:
        await until(lambda: harness.hook.events)
        worker = monitor._workers.receivers["crm"]
        await until(lambda: worker._next_at and not worker._in_flight)
        harness.hook.status = 200
        step = -Duration.parse("1h")
        worker.wake()  # before the clock is followed

        delivered = 'linkedapi_notifications_total{receiver="crm",type="webhook",event="opened"'
        delivered += ',outcome="delivered"} 2\n'
        metrics = monitor._metrics
        await until(lambda: delivered in page_of(metrics), within=10)


async def test_a_look_after_the_host_was_suspended_is_no_scheduled_poll(harness):
    suspended = 0
    config = harness.load("acme", more=f"{HERE}\npoll: {{every: 6h}}\nincidents: {{open_after: 2}}")
    harness.simulator.sign_out("acme", "*")
    async with running(config, replace(REAL, now=lambda: REAL.now() + suspended)) as monitor:
        await until(lambda: len(harness.simulator.requests) == 1)

        suspended = Duration.parse("8h")

        polls = 'linkedapi_polls_total{workspace="acme",outcome="ok"} 2\n'
        await until(lambda: polls in page_of(monitor._resources.metrics))
        assert not await harness.store.run(lambda tx: incidents.load_open(tx, "acme"))


async def test_what_a_commit_without_an_answer_queued_leaves_once_the_database_answers(harness):
    config = harness.load("acme", more=f"{HERE}\npoll: {{every: 6h}}\nreceivers: [{harness.crm()}]")
    async with running(config) as monitor:
        polled = 'linkedapi_polls_total{workspace="acme",outcome="ok"} 1\n'
        await until(lambda: polled in page_of(monitor._metrics))
        harness.simulator.sign_out("acme", "*")
        with lost_answers(monitor._store):
            monitor._workers.workspaces["acme"].wake()
            await until(lambda: monitor._loop_health.is_failing("poll acme"))

        await harness.hook.wait(lambda: len(harness.hook.events) == 2, within=10)


@pytest.mark.case("poll failed, repeated soon")
async def test_a_failed_poll_is_repeated_before_the_next_one_is_due(harness, monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_BACKOFF", Duration.parse("50ms"))
    settings = f"{HERE}\npoll: {{cron: '0 8 * * *'}}\nincidents: {{blind_after: 1s}}"
    config = harness.load("acme", more=f"{settings}\nreceivers: [{harness.crm()}]")
    harness.simulator.faults.add(html_page(status=502))
    async with running(config):
        await harness.hook.wait(lambda: harness.hook.events)
        assert harness.hook.events[0]["data"]["incident"]["cause"] == "unreachable"
        assert len(harness.simulator.requests) < 10

        harness.simulator.clear_faults()

        await harness.hook.wait(lambda: len(harness.hook.events) == 2)
        calls = len(harness.simulator.requests)
        await asyncio.sleep(1)
        assert len(harness.simulator.requests) == calls


@pytest.mark.case("poll failed, repeated soon")
@pytest.mark.parametrize(("away", "is_told"), [("4m", True), ("6m", False)])
async def test_how_long_a_workspace_fails_outlives_a_short_restart(harness, away, is_told):
    passed = 0
    runtime = replace(REAL, now=lambda: REAL.now() + passed)
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    harness.simulator.faults.add(html_page(status=502))
    for _ in range(3):
        async with running(config, runtime) as monitor:
            await until(partial(_has_polled, monitor))
        passed += Duration.parse(away)

    assert len(harness.simulator.requests) == 3
    assert bool(await harness.store.run(lambda tx: incidents.load_open(tx, "acme"))) is is_told


def _has_polled(monitor):
    polls = 'linkedapi_polls_total{workspace="acme",outcome="unreachable"} 1\n'
    return polls in page_of(monitor._resources.metrics)


@pytest.mark.case("receiver removed with notifications pending")
async def test_what_was_queued_for_a_receiver_that_left_is_told_to_the_fallback(harness):
    away = '{name: away, type: slack, url: "http://127.0.0.1:1/nobody"}'
    settings = f"{HERE}\nfallback: crm\nreceivers: [{harness.crm()}"
    before = harness.load("acme", more=f"{settings}, {away}]\nroutes: [{{to: away}}]")
    after = harness.load("acme", more=f"{settings}]")
    harness.simulator.sign_out("acme", "*")
    pending = 'linkedapi_notifications_pending{receiver="away"}'
    async with running(before, load=lambda: after) as monitor:
        metrics = monitor._resources.metrics
        await until(lambda: f"{pending} 2\n" in page_of(metrics))

        with structlog.testing.capture_logs() as logs:
            monitor.reload()
            await harness.hook.wait(lambda: len(harness.hook.events) == 2, within=10)

        assert pending not in page_of(metrics)
    assert {"opened", "notice"} >= {
        event["type"].partition(".")[2] for event in harness.hook.events
    }
    assert "receiver removed; its queue is cancelled" in [entry["event"] for entry in logs]


async def test_nothing_is_cancelled_of_a_receiver_that_has_come_back_meanwhile(harness):
    away = '{name: away, type: slack, url: "http://127.0.0.1:1/nobody"}'
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{away}]")
    harness.simulator.sign_out("acme", "*")
    pending = 'linkedapi_notifications_pending{receiver="away"} 2\n'
    async with running(config) as monitor:
        await until(lambda: pending in page_of(monitor._metrics))

        await monitor._queues._cancel_removed("away")

        states = await monitor._store.read(select("SELECT DISTINCT state FROM notification"))
        assert "cancelled" not in states


async def test_retention_that_failed_is_retried_before_its_hour_is_over(harness):
    passed = 0.0
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    runtime = replace(REAL, monotonic=lambda: REAL.monotonic() + passed)
    async with running(config, runtime) as monitor:
        await until(lambda: "tick" in monitor._loop_health._due)
        with failing_writes(monitor._store, "transition"):
            passed += 3601
            await until(lambda: monitor._loop_health.is_failing("retention"))

        passed += 5

        await until(lambda: not monitor._loop_health.is_failing("retention"))


async def test_retention_that_went_well_rests_for_an_hour(harness, monkeypatch):
    passed, pruned = 0.0, []
    prune = Ticker.prune

    async def counted(ticker):
        pruned.append(passed)
        return await prune(ticker)

    monkeypatch.setattr(Ticker, "prune", counted)
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    runtime = replace(REAL, monotonic=lambda: REAL.monotonic() + passed)
    async with running(config, runtime) as monitor:
        await until(lambda: "tick" in monitor._loop_health._due)
        passed += 3601
        await until(lambda: pruned)
        await asyncio.sleep(0.3)
        passed += 3000
        await asyncio.sleep(0.5)

    assert pruned == [3601]


async def test_a_receiver_for_which_nothing_is_queued_has_an_empty_queue(harness):
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    async with running(config) as monitor:
        await until(lambda: harness.simulator.requests)

        await monitor._queues.look()

        pending = 'linkedapi_notifications_pending{receiver="crm"} 0\n'
        assert pending in page_of(monitor._resources.metrics)


async def test_what_has_not_changed_is_not_looked_at_every_second(harness, monkeypatch):
    passed, looks = 0.0, []

    def counted(name, look):
        async def counting(looker):
            looks.append(name)
            return await look(looker)

        return counting

    for looker, name in ((App, "_note_time"), (Queues, "look")):
        monkeypatch.setattr(looker, name, counted(name, getattr(looker, name)))
    settings = f"{HERE}\npoll: {{every: 6h}}\nreceivers: [{harness.crm()}]"
    runtime = replace(REAL, monotonic=lambda: REAL.monotonic() + passed)
    async with running(harness.load("acme", more=settings), runtime):
        await until(lambda: harness.simulator.requests)
        for _ in range(2):
            passed += 2
            await asyncio.sleep(0.3)
        looks.clear()

        passed += 5
        await asyncio.sleep(0.5)

        assert looks == []


IPV6 = pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")


ODD = "127.1"  # of this machine alone, as names in /etc/hosts are, and not spelled as usual


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("[::1]", marks=IPV6), ODD])
async def test_the_endpoint_answers_where_the_log_says_and_by_the_name_it_has(harness, host):
    config = harness.load("acme", more=f"web: {{listen: '{host}:0'}}\nreceivers: [{harness.crm()}]")
    with structlog.testing.capture_logs() as logs:
        async with running(config):
            await until(lambda: harness.simulator.requests)
            (endpoint,) = [entry["endpoint"] for entry in logs if entry["event"] == "started"]
            port = endpoint.rpartition(":")[2]

            for address in {endpoint, f"http://{host}:{port}"}:
                await answers(f"{address}/healthz", within=20)


def received(manager):
    """What a service manager was told that has not been asked for yet."""
    told = []
    with suppress(BlockingIOError):
        while True:
            told.append(manager.recv(100).decode())
    return told


@pytest.mark.parametrize("hangs", [False, True])
async def test_the_service_manager_is_told_of_start_reload_and_stop(harness, tmp_path, hangs):
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        structlog.testing.capture_logs() as logs,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(0)
        async with running(config, notify_socket=str(tmp_path / "notify")) as monitor:
            if hangs:
                monitor._loop_health.beat("a loop", within=-1)
            await until(lambda: harness.simulator.requests)
            monitor.reload()
            await until(lambda: "configuration reloaded" in [entry["event"] for entry in logs])
        told = received(manager)

    watched = "READY=1\nSTATUS=workspaces watched: 1"
    assert ("WATCHDOG=1" in told) is not hangs
    assert [lines for lines in told if lines != "WATCHDOG=1"] == [
        *(watched, "RELOADING=1", watched, "STOPPING=1"),
    ]


async def test_a_monitor_that_has_stopped_has_nothing_on_its_schedule(harness):
    async with running(harness.load("acme", more=HERE)) as monitor:
        await until(lambda: harness.simulator.requests)

    assert not monitor._schedule._scheduler.running


async def test_a_monitor_that_cannot_start_leaves_its_port_free(harness):
    here = f"web: {{listen: '127.0.0.1:{free_port()}'}}"
    config = harness.load("acme", more=f"{here}\nreceivers: [{harness.crm()}]")
    async with operations.opened(config) as monitor:
        with locked(monitor._store), pytest.raises(MonitorError) as caught:
            await monitor.run()

        bind(config.web).close()
    assert "locked" in str(caught.value)


async def test_each_configuration_is_announced_and_signals_reload_and_stop(harness):
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    announced = []
    task = asyncio.create_task(operations.run(lambda: config, lambda *what: announced.append(what)))
    await until(lambda: harness.simulator.requests)

    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: len(announced) == 2)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, 20)

    assert announced == [(config, set(config.secrets()))] * 2


async def test_what_retention_has_left_over_is_deleted_by_the_next_ticks(harness):
    passed = 0.0
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    runtime = replace(REAL, monotonic=lambda: REAL.monotonic() + passed)
    old = text("INSERT INTO transition (workspace, account_id, at) VALUES ('acme', 'a1', :at)")
    left = text("SELECT COUNT(*) FROM transition WHERE at < 2000")
    async with running(config, runtime) as monitor:
        await until(lambda: harness.simulator.requests)
        rows = [{"at": at} for at in range(1200)]
        await monitor._store.run(lambda tx: tx.execute(old, rows))

        passed += 3601

        async with asyncio.timeout(20):
            while await monitor._store.run(lambda tx: tx.execute(left).scalar_one()):
                await asyncio.sleep(0.1)


async def test_reminders_that_come_due_faster_than_they_are_told_hold_up_nothing_else(
    harness, monkeypatch
):
    async def tick(_):
        await asyncio.sleep(0.01)
        return True

    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    async with running(config) as monitor:
        await until(lambda: harness.simulator.requests)
        monkeypatch.setattr(Ticker, "tick", tick)

        await asyncio.wait_for(monitor._repeat(monitor._ticker.tick), 10)


async def test_what_a_turn_of_the_ticker_has_left_over_does_not_wait_for_the_next_second(
    harness, monkeypatch
):
    passed, ticks = 0.0, []

    async def tick(_):
        nonlocal passed
        passed += loops.TICK_EVERY.seconds
        ticks.append(passed)
        await asyncio.sleep(0)
        return len(ticks) < 5

    monkeypatch.setattr(loops, "TICK_EVERY", Duration.parse("25s"))
    monkeypatch.setattr(Ticker, "tick", tick)
    runtime = replace(REAL, monotonic=lambda: REAL.monotonic() + passed)
    async with running(harness.load("acme", more=HERE), runtime):
        await until(lambda: len(ticks) == 5)


async def test_a_lease_is_renewed_no_more_often_than_it_has_to_be(harness, monkeypatch):
    monkeypatch.setattr(loops, "RENEW_EVERY", Duration.parse("1m"))
    renewed = select("SELECT seen_at FROM replica")
    async with running(harness.load("acme", more=HERE)) as monitor:
        monitor._store._lock = None  # as with PostgreSQL
        await until(lambda: harness.simulator.requests)
        first = await monitor._store.run(renewed)

        await asyncio.sleep(0.3)

        assert await monitor._store.run(renewed) == first


@pytest.mark.parametrize("repeated", [0, 1])
async def test_ticks_that_hang_are_noticed_after_a_minute(harness, monkeypatch, repeated):
    passed, ticks, hanging = 0.0, iter(range(repeated)), asyncio.Event()

    async def tick(_):
        if next(ticks, None) is None:
            hanging.set()
            await asyncio.Event().wait()
        return True

    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    runtime = replace(REAL, monotonic=lambda: REAL.monotonic() + passed)
    async with running(config, runtime) as monitor:
        await until(lambda: harness.simulator.requests and not monitor._ticker.has_to_plan)
        monkeypatch.setattr(Ticker, "tick", tick)
        monitor._ticker.plan_anew()  # there is something to do
        await asyncio.wait_for(hanging.wait(), 10)

        passed += 50
        assert "the loop tick" not in str(monitor._loop_health.overdue())
        passed += 11
        assert "the loop tick" in str(monitor._loop_health.overdue())


async def test_a_database_that_does_not_answer_is_known_to_readiness_without_a_question(harness):
    passed, answer = 0.0, threading.Event()
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    runtime = replace(REAL, monotonic=lambda: REAL.monotonic() + passed)
    async with running(config, runtime) as monitor:
        await until(lambda: harness.simulator.requests)
        assert monitor._problems() == []
        reads = [asyncio.create_task(monitor._store.read(lambda _: answer.wait())) for _ in "ab"]
        await until(lambda: monitor._asked_at is not None)

        passed += 60
        silent = monitor._problems()
        answer.set()
        await asyncio.gather(*reads)
        await until(lambda: monitor._problems() == [])

    assert len(silent) == 1
    assert silent[0].startswith("the database has not answered for 6")


async def test_loops_that_hang_are_an_error_in_the_log_once(harness, tmp_path):
    def hanging():
        return [entry["problems"] for entry in logs if entry["event"] == "loops hang"]

    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    address = str(tmp_path / "notify")
    with (
        structlog.testing.capture_logs() as logs,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(address)
        manager.settimeout(0)
        async with running(config, notify_socket=address) as monitor:
            for hangs in (1, 2):
                await until(lambda: "WATCHDOG=1" in received(manager))  # all was well
                monitor._loop_health.beat("a loop", -1)
                await until(lambda hangs=hangs: len(hanging()) == hangs)
                await asyncio.sleep(3 * loops.TICK_EVERY.seconds)
                received(manager)
                monitor._loop_health.beat("a loop", 60)

    assert len(hanging()) == 2
    assert ["the loop a loop is 1 s overdue"] in hanging()


@pytest.mark.usefixtures("quick_loops")
async def test_of_what_was_taken_over_all_that_is_open_is_gone_through(harness):
    taken = text("UPDATE workspace SET holder = NULL, term = term + 1 WHERE name = 'acme'")
    config = harness.load("acme", more=f"{HERE}\npoll: {{every: 6h}}")
    async with running(config) as monitor:
        await until(lambda: harness.simulator.requests and not monitor._ticker.has_to_plan)
        before = monitor._ticker.planned_for

        harness.store.run_now(lambda tx: tx.execute(taken))

        await until(lambda: monitor._ticker.planned_for is not before, within=10)
