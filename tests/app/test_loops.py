"""The monitor as one task group, in this process: real store, clients and receiver."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import pytest
import structlog
from harness.faults import failing_writes
from harness.program import until
from sqlalchemy import text

from monitor import app
from monitor.app.process import REAL
from monitor.core import backoff
from monitor.core.duration import Duration
from monitor.simulator import html_page
from monitor.store import incidents
from monitor.work.tick import Ticker

HERE = "web: {listen: '127.0.0.1:0'}"


@asynccontextmanager
async def running(config, runtime=REAL, **options):
    """Run a monitor for as long as the context is open."""
    async with app.opened(config, runtime, **options) as monitor:
        task = asyncio.create_task(monitor.run())
        try:
            yield monitor
        finally:
            monitor.stop()
            await asyncio.wait_for(task, 20)


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


async def test_a_look_after_the_host_was_suspended_is_no_scheduled_poll(harness):
    suspended = 0
    config = harness.load("acme", more=f"{HERE}\npoll: {{every: 6h}}\nincidents: {{open_after: 2}}")
    harness.simulator.sign_out("acme", "*")
    async with running(config, replace(REAL, now=lambda: REAL.now() + suspended)) as monitor:
        await until(lambda: len(harness.simulator.requests) == 1)

        suspended = Duration.parse("8h")

        polls = 'linkedapi_polls_total{workspace="acme",outcome="ok"} 2\n'
        await until(lambda: polls in monitor._resources.metrics.render().decode())
        assert not await harness.store.run(lambda tx: incidents.load_open(tx, "acme"))


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
    return polls in monitor._resources.metrics.render().decode()


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
        await until(lambda: f"{pending} 2\n" in metrics.render().decode())

        with structlog.testing.capture_logs() as logs:
            monitor.reload()
            await harness.hook.wait(lambda: len(harness.hook.events) == 2)

        assert pending not in metrics.render().decode()
    assert {"opened", "notice"} >= {
        event["type"].partition(".")[2] for event in harness.hook.events
    }
    assert "receiver removed; its queue is cancelled" in [entry["event"] for entry in logs]


async def test_retention_that_failed_is_retried_before_its_hour_is_over(harness):
    passed = 0.0
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    runtime = replace(REAL, monotonic=lambda: REAL.monotonic() + passed)
    async with running(config, runtime) as monitor:
        await until(lambda: harness.simulator.requests)
        with failing_writes(monitor._store, "transition"):
            passed += 3601
            await until(lambda: monitor._loop_health.is_failing("retention"))

        passed += 5

        await until(lambda: not monitor._loop_health.is_failing("retention"))


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

        await asyncio.wait_for(monitor._tick_all(), 10)
