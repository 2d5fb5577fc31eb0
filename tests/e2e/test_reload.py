"""SIGHUP on the real program: another configuration is taken up, and nothing is forgotten."""

import asyncio
import os
import signal
import socket
import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import yaml
from harness.program import WEBHOOK_SECRET, Hooks, Program, answers, free_port, hooks, program

from monitor.simulator import Simulator, serve

SECRET_TOKEN = "linked_second_token_that_nobody_sees"


@dataclass
class RunningMonitor:
    """A running monitor, and the file that it goes by."""

    file: Path
    endpoint: str
    monitor: Program
    simulator: Simulator
    hook: Hooks
    settings: dict = field(default_factory=dict)

    def write(self, **changes):
        """Change sections of the file (None: leave it out)."""
        self.settings = {k: v for k, v in {**self.settings, **changes}.items() if v is not None}
        self.file.write_text(yaml.safe_dump(self.settings))

    async def reload(self, *, says="configuration reloaded", **changes):
        """Change the file, hang up, and wait for what the log says of it."""
        before = self.monitor.said().count(says)
        self.write(**changes)
        self.monitor.hang_up()
        await self.monitor.until_said(says, times=before + 1)

    async def metrics(self):
        async with httpx.AsyncClient() as client:
            return (await client.get(f"{self.endpoint}/metrics")).text

    async def until_metric(self, line):
        async with asyncio.timeout(20):
            while line not in await self.metrics():
                await asyncio.sleep(0.05)

    def told(self):
        """What the webhook was told: (workspace, account, event, resolution)."""
        return [
            (
                one["data"]["workspace"],
                one["data"]["account"] and one["data"]["account"]["name"],
                one["type"].removeprefix("incident."),
                one["data"]["incident"] and one["data"]["incident"]["resolution"],
            )
            for one in self.hook.events
        ]


def receiver(hook_url, name="crm", **more):
    return {"name": name, "type": "webhook", "url": hook_url, "secret": WEBHOOK_SECRET, **more}


@pytest.fixture
async def site(tmp_path):
    async with opened(tmp_path) as found:
        yield found


@asynccontextmanager
async def opened(folder, *, env=None):
    simulator = Simulator(seed=5)
    for name, token in (("acme", "linked_test_token"), ("beta", SECRET_TOKEN)):
        simulator.add_customer(name, token)
        simulator.add_account(name, f"Jane of {name}")
        simulator.add_account(name, f"John of {name}")
    async with serve(simulator) as api, hooks() as (hook, hook_url):
        port = free_port()
        settings = {
            "workspaces": [{"name": "acme", "token": "linked_test_token"}],
            "linked_api": {"base_url": api},
            "poll": {"every": "1s", "jitter": "0s"},
            "receivers": [receiver(f"{hook_url}/hook")],
            "storage": {"url": f"sqlite:///{folder}/monitor.db"},
            "web": {"listen": f"127.0.0.1:{port}"},
        }
        file = folder / "config.yaml"
        file.write_text(yaml.safe_dump(settings))
        async with program("run", "-c", str(file), log=folder / "run.log", env=env) as monitor:
            made = RunningMonitor(
                file, f"http://127.0.0.1:{port}", monitor, simulator, hook, settings
            )
            await answers(f"{made.endpoint}/readyz")
            await monitor.until_said("first look")
            yield made
            code = await monitor.stop()
            assert code == 0
            assert "unexpectedly" not in monitor.said()
            assert "Traceback" not in monitor.said()


def workspace(name, token="linked_test_token", **more):
    return {"name": name, "token": token, **more}


async def test_a_new_workspace_and_a_new_receiver_join_and_nothing_is_told_again(site):
    site.simulator.sign_out("acme", "Jane of acme")
    await site.hook.wait(lambda: len(site.hook.events) == 1)
    polls = 'linkedapi_polls_total{workspace="acme",outcome="ok"} '
    before = int((await site.metrics()).partition(polls)[2].partition("\n")[0])

    crm = site.settings["receivers"][0]
    slack = {"name": "chat", "type": "slack", "url": crm["url"].replace("/hook", "/slack")}
    both = [workspace("acme"), workspace("beta", SECRET_TOKEN)]
    await site.reload(workspaces=both, receivers=[crm, slack])
    site.simulator.sign_out("beta", "John of beta")
    await site.hook.wait(lambda: len(site.hook.events) == 2 and site.hook.slack)
    after = int((await site.metrics()).partition(polls)[2].partition("\n")[0])
    site.simulator.recover("acme", "*")
    await site.hook.wait(lambda: len(site.hook.events) == 3)

    assert site.told() == [
        ("acme", "Jane of acme", "opened", None),
        ("beta", "John of beta", "opened", None),
        ("acme", "Jane of acme", "resolved", "recovered"),
    ]
    assert "John of beta" in str(site.hook.slack)
    assert "Jane of acme" not in str(site.hook.slack)  # chat has not heard of her incident
    assert after >= before  # counters go on
    assert SECRET_TOKEN not in site.monitor.said()


async def test_a_wrong_file_changes_nothing_and_is_loudly_refused(site):
    await site.reload(
        says="the old configuration stays in force",
        workspaces=[workspace("acme", SECRET_TOKEN, lables={"a": "b"})],
        routes=[{"to": ["nobody"]}],
    )
    await site.until_metric("linkedapi_monitor_config_last_reload_successful 0.0")
    site.simulator.sign_out("acme", "Jane of acme")
    await site.hook.wait(lambda: len(site.hook.events) == 1)
    problems = [one["problem"] for one in site.monitor.lines() if "problem" in one]

    await site.reload(workspaces=[workspace("acme")], routes=None)
    await site.until_metric("linkedapi_monitor_config_last_reload_successful 1.0")

    assert site.told() == [("acme", "Jane of acme", "opened", None)]
    assert any("lables: unknown key; did you mean labels?" in one for one in problems)
    assert any("no receiver is called 'nobody'" in one for one in problems)
    assert SECRET_TOKEN not in site.monitor.said()


async def test_a_certificate_that_cannot_be_read_keeps_the_old_configuration(site, tmp_path):
    linked_api = {**site.settings["linked_api"], "ca_file": str(tmp_path / "missing.pem")}
    await site.reload(says="the old configuration stays in force", linked_api=linked_api)

    site.simulator.sign_out("acme", "Jane of acme")
    await site.hook.wait(lambda: len(site.hook.events) == 1)


async def test_a_renamed_workspace_keeps_its_open_incident(site):
    site.simulator.sign_out("acme", "Jane of acme")
    await site.hook.wait(lambda: len(site.hook.events) == 1)

    await site.reload(workspaces=[workspace("growth", renamed_from="acme")])
    await site.until_metric('linkedapi_accounts{workspace="growth",status="active"} 1')
    site.simulator.recover("acme", "*")
    await site.hook.wait(lambda: len(site.hook.events) == 2)

    assert site.told() == [
        ("acme", "Jane of acme", "opened", None),
        ("growth", "Jane of acme", "resolved", "recovered"),
    ]
    opened, resolved = (one["data"]["incident"]["id"] for one in site.hook.events)
    assert opened == resolved
    assert 'workspace="acme"' not in await site.metrics()


async def test_a_workspace_that_left_is_asked_and_shown_no_more_until_it_is_back(site):
    both = [workspace("acme"), workspace("beta", SECRET_TOKEN)]
    await site.reload(workspaces=both)
    await site.until_metric('linkedapi_workspace_up{workspace="beta"} 1')
    site.simulator.sign_out("beta", "John of beta")
    await site.hook.wait(lambda: len(site.hook.events) == 1)

    await site.reload(workspaces=[workspace("acme")])
    asked = [one.customer for one in site.simulator.requests].count("beta")
    polls = len(site.simulator.requests)
    async with asyncio.timeout(20):
        while len(site.simulator.requests) < polls + 3:
            await asyncio.sleep(0.05)
    shown = await site.metrics()
    asked_later = [one.customer for one in site.simulator.requests].count("beta")
    await site.reload(workspaces=both)
    site.simulator.recover("beta", "*")
    await site.hook.wait(lambda: len(site.hook.events) == 2)

    assert asked_later == asked
    assert 'workspace="beta"' not in shown
    assert site.told() == [
        ("beta", "John of beta", "opened", None),
        ("beta", "John of beta", "resolved", "recovered"),
    ]


async def test_an_account_that_is_ignored_from_now_on_is_told_to_be_unwatched(site):
    site.simulator.sign_out("acme", "*")
    await site.hook.wait(lambda: len(site.hook.events) == 2)

    await site.reload(accounts=[{"match": {"name": "John *"}, "ignore": True}])
    await site.hook.wait(lambda: len(site.hook.events) == 3)
    await site.until_metric('linkedapi_accounts{workspace="acme",status="reconnection_required"} 1')

    assert site.told()[2] == ("acme", "John of acme", "resolved", "unwatched")


async def test_what_was_queued_for_a_receiver_that_left_is_cancelled_and_told_to_the_fallback(site):
    crm = site.settings["receivers"][0]
    url = crm["url"]
    away = receiver(f"http://127.0.0.1:{free_port()}/gone", "away")
    await site.reload(receivers=[crm, away], routes=[{"to": ["away"]}], fallback="crm")
    site.simulator.sign_out("acme", "Jane of acme")
    await site.until_metric('linkedapi_notifications_pending{receiver="away"} 1\n')

    await site.reload(receivers=[receiver(url)], routes=None)
    await site.hook.wait(lambda: len(site.hook.events) == 1)

    assert site.told() == [("acme", "Jane of acme", "opened", None)]
    assert "receiver removed" in site.monitor.said()
    assert 'linkedapi_notifications_pending{receiver="away"}' not in await site.metrics()


async def test_what_needs_a_restart_says_so(site):
    await site.reload(web={"listen": "127.0.0.1:1"}, storage={"url": "sqlite:////nowhere/x.db"})

    await site.monitor.until_said("needs a restart", times=2)
    await answers(f"{site.endpoint}/readyz")


async def test_a_hang_up_during_the_start_does_no_harm(tmp_path):
    """The database is locked, so the start takes as long as we like."""
    async with opened(tmp_path) as site:
        pass
    with sqlite3.connect(tmp_path / "monitor.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        log = tmp_path / "again.log"
        async with program("run", "-c", str(site.file), log=log) as monitor:
            await until_it_ignores_hang_ups(monitor)
            monitor.hang_up()
            other.execute("ROLLBACK")
            await answers(f"{site.endpoint}/healthz")
            assert await monitor.stop() == 0
    other.close()


async def until_it_ignores_hang_ups(monitor):
    async with asyncio.timeout(20):
        while not ignores_hang_ups(monitor.process.pid):
            await asyncio.sleep(0.05)


def ignores_hang_ups(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (ignored,) = (int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))
    return bool(ignored >> (signal.SIGHUP - 1) & 1)


async def test_a_supervisor_hears_of_start_life_reload_and_stop(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        supervisor.setblocking(False)  # noqa: FBT003 - the socket's own interface
        heard = []

        async def until_heard(word):
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(20):
                while not heard or word not in heard[-1]:
                    heard.append((await loop.sock_recv(supervisor, 4096)).decode())

        async with opened(tmp_path, env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as site:
            await until_heard("WATCHDOG=1")
            await site.reload(poll={"every": "2s"})
            await until_heard("RELOADING=1")
            await until_heard("READY=1")
        await until_heard("STOPPING=1")

    assert heard[0] == "READY=1\nSTATUS=workspaces watched: 1"
    assert os.environ.get("NOTIFY_SOCKET") is None
