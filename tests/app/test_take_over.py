"""Two monitors on one database, as task groups in this process: one works, the other waits."""

import asyncio
import socket
from dataclasses import replace
from functools import partial

import pytest
import structlog
from harness.faults import failing_writes
from harness.leases import live
from harness.metrics import page_of
from harness.program import until
from harness.running_app import HERE, events, running, select

from monitor.app import workers
from monitor.app.process import REAL
from monitor.core.duration import Duration
from monitor.store import leases
from monitor.work import deliver

pytestmark = pytest.mark.usefixtures("quick_loops")


async def test_a_second_monitor_waits_and_takes_over_when_the_first_ends(harness):
    config = harness.load("acme", more=f"{HERE}\npoll: {{every: 6h}}\nreceivers: [{harness.crm()}]")
    soon = f"{HERE}\npoll: {{every: 1s}}\nreceivers: [{harness.crm()}]"
    more = harness.load("acme", "beta", more=soon)
    held = "linkedapi_workspaces_held {}\n".format
    configured = "linkedapi_workspaces_configured {}\n".format
    async with running(config) as first:
        await until(lambda: harness.simulator.requests)
        with structlog.testing.capture_logs() as logs:
            async with running(config, load=lambda: more) as second:
                await until(lambda: "started" in events(logs))
                metrics = second._resources.metrics
                assert held(1) in page_of(first._resources.metrics)
                assert held(0) in page_of(metrics)
                assert configured(0) in page_of(metrics), "it has no part in the work"
                assert 'workspace="acme"' not in page_of(metrics)
                assert second._problems() == []
                second.reload()
                await until(lambda: "configuration reloaded" in events(logs))
                await asyncio.sleep(1.5)
                assert len(harness.simulator.requests) == 1
                assert "lease taken; this monitor works now" not in events(logs)

                first.stop()
                await until(lambda: held(2) in page_of(metrics), within=5)
                assert configured(2) in page_of(metrics)
                await until(lambda: len(harness.simulator.requests) >= 3)
    waiting = "another monitor works on this database; waiting until it ends"
    assert events(logs).count(waiting) == 1


async def test_a_monitor_that_waits_commits_nothing_though_its_clock_is_behind(harness):
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    behind = replace(REAL, now=lambda: REAL.now() - Duration.parse("1h"))
    noted = select("SELECT seen_at FROM replica")
    async with running(config) as first:
        await until(lambda: first._is_at_work)
        (before,) = await first._store.read(noted)
        async with running(config, behind):
            await asyncio.sleep(0.5)

        (after,) = await first._store.read(noted)
        assert after >= before


async def test_a_take_over_that_fails_is_tried_again(harness):
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    async with running(config) as first, running(config) as second:
        await until(lambda: first._is_at_work or second._is_at_work)
        former, other = (first, second) if first._is_at_work else (second, first)
        with failing_writes(other._store, "generation"):
            former.stop()
            await until(lambda: other._loop_health.is_failing("begin"))
            assert other._problems() != []
            assert not other._is_at_work

        await until(lambda: other._is_at_work)
        await until(lambda: harness.simulator.requests)


async def test_the_service_manager_of_a_monitor_that_waits_sees_it_ready_and_alive(
    harness, tmp_path
):
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.setblocking(False)  # noqa: FBT003 - the socket's own interface
        receive = partial(asyncio.get_running_loop().sock_recv, manager, 4096)
        async with running(config) as first:
            await until(lambda: first._is_at_work)
            async with running(config, notify_socket=address), asyncio.timeout(20):
                sent = [(await receive()).decode() for _ in range(3)]

    ready, *alive = sorted(sent)
    assert ready == "READY=1\nSTATUS=waiting for another monitor to end"
    assert alive == ["WATCHDOG=1"] * 2


async def test_a_monitor_that_was_replaced_finishes_its_send_and_does_nothing_more(harness):
    harness.hook.delay = 1.0
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]\npoll: {{every: 1s}}")
    harness.simulator.sign_out("acme", "*")
    async with running(config) as monitor:
        await harness.hook.wait(lambda: len(harness.hook.events) == 2)
        monitor._store._lock = None  # as with PostgreSQL; else it takes all back at once
        await monitor._store.run(replace_by_another)
        await until(lambda: not monitor._is_at_work)
        polled = len(harness.simulator.requests)
        await asyncio.sleep(2)

        states = select("SELECT DISTINCT state FROM notification")
        assert await monitor._store.read(states) == ["delivered"]
        assert len(harness.simulator.requests) == polled
        assert "linkedapi_workspaces_held 0" in page_of(monitor._resources.metrics)


async def test_a_monitor_that_lost_its_lease_works_on_when_it_has_it_again(harness):
    passed = 0.0
    runtime = replace(REAL, monotonic=lambda: REAL.monotonic() + passed)
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]\npoll: {{every: 1s}}")
    told, waiting = [], ("READY=1", "STATUS=waiting for another monitor to end")
    async with running(config, runtime) as monitor:
        monitor._sd_notify = lambda *lines: told.append(lines)
        await until(lambda: harness.simulator.requests)
        terms = select("SELECT term FROM workspace WHERE name = 'acme'")
        (term,) = await monitor._store.read(terms)
        await monitor._store.run(replace_by_another)
        passed += 15  # the time is to be noted
        await until(lambda: waiting in told)

        await until(lambda: monitor._is_at_work)
        harness.simulator.sign_out("acme", "*")
        await harness.hook.wait(lambda: len(harness.hook.events) == 2)

        assert await monitor._store.read(terms) > [term]


@pytest.mark.case("database away while a message leaves")
async def test_how_a_send_ended_is_known_still_when_a_lost_lease_is_held_again(
    harness, monkeypatch
):
    monkeypatch.setattr(deliver, "SETTLE_RETRY", Duration.parse("1500ms"))
    monkeypatch.setattr(workers, "SHUTDOWN_GRACE", Duration.parse("2s"))
    passed = Duration(0)
    runtime = replace(REAL, now=lambda: REAL.now() + passed)
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    harness.hook.delay = 0.5
    harness.simulator.sign_out("acme", "*")
    async with running(config, runtime) as monitor:
        await harness.hook.wait(lambda: len(harness.hook.events) == 2)
        with failing_writes(monitor._store), structlog.testing.capture_logs() as logs:
            unknown = "the end of a send can't be recorded yet"
            await until(lambda: events(logs).count(unknown) == 2)
            monitor._lease.lose("as if")
            await until(lambda: not monitor._is_at_work)
            passed = Duration.parse("2m")  # what was claimed has lapsed by now
        await until(lambda: monitor._is_at_work)
        polls = len(harness.simulator.requests)
        monitor._workers.workspaces["acme"].wake()
        await until(lambda: len(harness.simulator.requests) > polls)

        states = select("SELECT DISTINCT state FROM message")
        await until(lambda: monitor._store.read_now(states) == ["delivered"], within=5)
        assert len(harness.hook.events) == 2


@pytest.mark.case("mute ends while still bad")
async def test_all_that_is_open_is_gone_through_when_a_lost_lease_is_held_again(harness):
    config = harness.load("acme", more=f"{HERE}\npoll: {{every: 6h}}")
    async with running(config) as monitor:
        await until(lambda: harness.simulator.requests and not monitor._ticker.has_to_plan)
        before = monitor._ticker.planned_for

        monitor._lease.lose("as if")

        await until(lambda: monitor._ticker.planned_for is not before, within=10)


def replace_by_another(tx):
    """What a monitor does that takes over."""
    silent = leases.seen(leases.replicas(tx))
    live(tx, "another", now=1)
    leases.take(tx, "another", ["acme", "*"], silent=silent, now=1)
