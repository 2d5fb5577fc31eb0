"""SIGHUP on the real program: another configuration is applied, and nothing is forgotten."""

import asyncio
import re
import signal
import socket
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from harness.program import answers, until
from harness.running_monitor import install, running_monitor

from monitor.simulator import Simulator
from monitor.store.db import Store

SECRET_TOKEN = "linked_second_token_that_nobody_sees"


def two_workspaces():
    simulator = Simulator(seed=5)
    for name, token in (("acme", "linked_test_token"), ("beta", SECRET_TOKEN)):
        simulator.add_customer(name, token)
        simulator.add_account(name, f"Jane of {name}")
        simulator.add_account(name, f"John of {name}")
    return simulator


@pytest.fixture
async def monitor(tmp_path):
    async with running_monitor(tmp_path, two_workspaces()) as started:
        yield started


ACME = {"name": "acme", "token": "linked_test_token"}
BETA = {"name": "beta", "token": SECRET_TOKEN}


async def test_a_new_workspace_and_a_new_receiver_join_and_nothing_is_told_again(monitor):
    chat, crm = monitor.settings["receivers"]
    await monitor.reload(receivers=[crm])
    monitor.simulator.sign_out("acme", "Jane of acme")
    await monitor.until_told(1)

    await monitor.reload(workspaces=[ACME, BETA], receivers=[crm, chat])
    monitor.simulator.sign_out("beta", "John of beta")
    await monitor.hook.wait(lambda: len(monitor.hook.events) == 2 and monitor.hook.slack)
    monitor.simulator.recover("acme", "*")
    await monitor.until_told(3)

    assert monitor.told() == [
        ("acme", "Jane of acme", "opened", None),
        ("beta", "John of beta", "opened", None),
        ("acme", "Jane of acme", "resolved", "recovered"),
    ]
    assert "John of beta" in str(monitor.hook.slack)
    assert "Jane of acme" not in str(monitor.hook.slack)  # chat has not heard of her incident
    assert SECRET_TOKEN not in monitor.program.output()


async def test_a_wrong_file_changes_nothing_and_is_loudly_refused(monitor):
    await monitor.reload(
        logs="the old configuration stays in force",
        workspaces=[{**ACME, "token": SECRET_TOKEN, "lables": {"a": "b"}}],
        routes=[{"to": ["nobody"]}],
    )
    await monitor.until_metric("linkedapi_monitor_config_last_reload_successful 0.0")
    monitor.simulator.sign_out("acme", "Jane of acme")
    await monitor.until_told(1)
    problems = [line["problem"] for line in monitor.program.lines() if "problem" in line]

    await monitor.reload(workspaces=[ACME], routes=None)
    await monitor.until_metric("linkedapi_monitor_config_last_reload_successful 1.0")
    await monitor.until_metric("linkedapi_monitor_config_last_reload_success_timestamp_seconds 1")

    assert monitor.told() == [("acme", "Jane of acme", "opened", None)]
    assert any("lables: unknown key; did you mean labels?" in problem for problem in problems)
    assert any("no receiver is called 'nobody'" in problem for problem in problems)
    assert SECRET_TOKEN not in monitor.program.output()


async def test_a_hang_up_during_the_start_does_no_harm(tmp_path):
    """The database is locked, so the start takes as long as we like."""
    async with install(tmp_path, two_workspaces()) as installation:
        Store.open(f"sqlite:///{tmp_path}/monitor.db").close()
        with closing(sqlite3.connect(tmp_path / "monitor.db", isolation_level=None)) as program:
            program.execute("BEGIN IMMEDIATE")
            async with installation.run() as process:
                await until(partial(ignores_hang_ups, process))
                process.hang_up()
                program.execute("ROLLBACK")
                await answers(f"{installation.endpoint}/healthz")
                assert await process.stop() == 0


def ignores_hang_ups(program):
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    return bool(int(re.search(r"SigIgn:\s+(\w+)", status)[1], 16) >> (signal.SIGHUP - 1) & 1)


async def test_a_service_manager_is_notified_of_start_life_reload_and_stop(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)  # noqa: FBT003 - the socket's own interface
        messages = []

        async def until_notified(word):
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(20):
                while not messages or word not in messages[-1]:
                    messages.append((await loop.sock_recv(manager, 4096)).decode())

        env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        async with running_monitor(tmp_path, two_workspaces(), env=env) as monitor:
            await until_notified("WATCHDOG=1")
            await monitor.reload(poll={"every": "2s"})
            await until_notified("RELOADING=1")
            await until_notified("READY=1")
        await until_notified("STOPPING=1")

    assert messages[0] == "READY=1\nSTATUS=workspaces watched: 1"


async def test_a_login_link_that_rotated_is_told_after_a_while_and_the_same_one_never_again(
    monitor,
):
    await monitor.reload(reconnection={"refresh_after": "1s"})
    monitor.simulator.sign_out("acme", "Jane of acme")
    await monitor.until_told(1)

    session = monitor.simulator.rotate_link("acme", "Jane of acme")
    await monitor.until_told(2)
    await monitor.hook.wait(lambda: len(monitor.hook.slack) == 2)
    monitor.simulator.recover("acme", "*")
    await monitor.until_told(3)

    assert [event for _, _, event, _ in monitor.told()] == ["opened", "refreshed", "resolved"]
    links = [event["data"]["link"] for event in monitor.hook.events]
    assert links[0] != links[1]
    assert links[1].endswith(session.id)
    assert links[1] in monitor.hook.slack[1]["text"]
    assert "has a new login link" in monitor.hook.slack[1]["text"]
