"""The monitor as one task group, in this process: real store, clients and receiver."""

import asyncio
import os
import signal
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
import structlog
from harness.faults import failing_writes, locked
from harness.program import answers, free_port, until

from monitor import app
from monitor.app.loops import _first
from monitor.app.process import REAL
from monitor.core.duration import Duration
from monitor.core.errors import MonitorError
from monitor.store import workspaces
from monitor.store.db import LeaseLostError
from monitor.web.server import bind

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


async def test_a_clock_that_goes_back_is_followed_at_once(harness):
    step = 0
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    with structlog.testing.capture_logs() as logs:
        async with running(config, replace(REAL, now=lambda: REAL.now() + step)):
            await until(lambda: harness.simulator.requests)

            step = -Duration.parse("1h")

            followed = "the clock went back; what is due was moved back with it"
            await until(lambda: followed in [entry["event"] for entry in logs], within=10)


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
            await harness.hook.wait(lambda: len(harness.hook.events) == 2, within=10)

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


IPV6 = pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("[::1]", marks=IPV6)])
async def test_the_endpoint_answers_where_the_log_says(harness, host):
    config = harness.load("acme", more=f"web: {{listen: '{host}:0'}}\nreceivers: [{harness.crm()}]")
    with structlog.testing.capture_logs() as logs:
        async with running(config):
            await until(lambda: harness.simulator.requests)
            (endpoint,) = [entry["endpoint"] for entry in logs if entry["event"] == "started"]

            await answers(f"{endpoint}/healthz", within=10)


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
        told = []
        with suppress(BlockingIOError):
            while True:
                told.append(manager.recv(100).decode())

    watched = "READY=1\nSTATUS=workspaces watched: 1"
    assert ("WATCHDOG=1" in told) is not hangs
    assert [lines for lines in told if lines != "WATCHDOG=1"] == [
        *(watched, "RELOADING=1", watched, "STOPPING=1"),
    ]


async def test_a_monitor_that_cannot_start_leaves_its_port_free(harness):
    here = f"web: {{listen: '127.0.0.1:{free_port()}'}}"
    config = harness.load("acme", more=f"{here}\nreceivers: [{harness.crm()}]")
    async with app.opened(config) as monitor:
        with locked(monitor._store), pytest.raises(MonitorError) as caught:
            await monitor.run()

        bind(config.web).close()
    assert "locked" in str(caught.value)


def test_of_all_that_went_wrong_at_once_what_has_a_known_reason_is_told():
    bug, reason = ValueError("a bug"), MonitorError("known")

    assert _first(ExceptionGroup("", [bug, ExceptionGroup("", [reason])])) is reason
    assert _first(ExceptionGroup("", [bug])) is bug


async def test_a_monitor_that_another_one_replaced_ends_and_says_so(harness):
    more = f"{HERE}\npoll: {{every: 1s, jitter: 0s}}\nreceivers: [{harness.crm()}]"
    async with app.opened(harness.load("acme", more=more)) as monitor:
        task = asyncio.create_task(monitor.run())
        await until(lambda: harness.simulator.requests)
        await harness.store.run(lambda tx: workspaces.attach(tx, "acme"))

        harness.simulator.sign_out("acme", "*")

        with pytest.raises(LeaseLostError, match="one monitor a database"):
            await asyncio.wait_for(task, 10)


async def test_each_configuration_is_announced_and_signals_reload_and_stop(harness):
    config = harness.load("acme", more=f"{HERE}\nreceivers: [{harness.crm()}]")
    announced = []
    task = asyncio.create_task(app.run(lambda: config, lambda *what: announced.append(what)))
    await until(lambda: harness.simulator.requests)

    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: len(announced) == 2)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(task, 20)

    assert announced == [(config, set(config.secrets()))] * 2
