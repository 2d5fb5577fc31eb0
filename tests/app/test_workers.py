"""How another configuration is taken up: real store, real clients, a simulated API."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import structlog
from harness.core import NOON
from harness.program import hooks, until
from sqlalchemy import text

from monitor import config
from monitor.app import loops
from monitor.app.components import Components, Resources
from monitor.app.loops import App
from monitor.app.workers import Workers
from monitor.core.duration import Duration
from monitor.core.runtime import Runtime
from monitor.schedule import Schedule
from monitor.simulator import Simulator, serve
from monitor.store import incidents, outbox, workspaces
from monitor.store.db import Store, StoreError

CHAT = '{name: chat, type: slack, url: "https://hooks.slack.com/services/T0/B0/x"}'


class WorkersHarness:
    """A crew whose loops only wait, and the configurations that it takes up one after another."""

    def __init__(self, folder, api, store, simulator):
        self.folder = folder
        self.api = api
        self.store = store
        self.simulator = simulator
        self.closing = AsyncExitStack()
        self.now = NOON
        self.seconds = 0.0
        numbers = iter(range(100_000))
        runtime = Runtime(
            now=lambda: self.now,
            monotonic=lambda: self.seconds,
            jitter=lambda: 0.0,
            new_id=lambda: f"{next(numbers):05d}",
        )
        self.resources = Resources(store, httpx.AsyncClient(), runtime, self.closing)
        self.schedule = Schedule(jitter=runtime.jitter)
        self.begun, self.ended = [], []
        self.workers = Workers(
            self.resources, self.schedule, begin_polls=self._polls, begin_sends=self._sends
        )

    def _polls(self, worker):
        self.begun.append(worker.settings.name)
        return [asyncio.create_task(self._wait(worker.settings.name))]

    def _sends(self, worker):
        self.begun.append(worker.deliverer.receiver.name)
        return [asyncio.create_task(self._wait(worker.deliverer.receiver.name))]

    async def _wait(self, name):
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append(name)

    def load(self, workspaces, more=""):
        """Read a configuration with these *workspaces*: name → what else is said of each."""
        lines = [
            f"  - {{name: {name}, token: linked_{rest.pop('token', name)}"
            + "".join(f", {key}: {value}" for key, value in rest.items())
            + "}"
            for name, rest in ((name, dict(rest)) for name, rest in workspaces.items())
        ]
        file = self.folder / "config.yaml"
        file.write_text(
            "\n".join(["workspaces:", *lines, f"linked_api: {{base_url: {self.api}}}", more])
        )
        return config.load(file, {})

    async def adopt(self, *names, more="", **workspaces):
        loaded = self.load({**{name: {} for name in names}, **workspaces}, more)
        components = Components(
            loaded,
            self.resources,
            await self.resources.api(loaded.linked_api),
            self.workers.is_current,
        )
        await self.workers.adopt(components)
        await asyncio.sleep(0)  # the new loops begin
        return components

    async def poll(self, name):
        self.now += Duration.parse("1m")
        self.seconds += 60
        decision = await self.workers.workspaces[name].poller.poll()
        return [(str(one.type), str(one.cause)) for one in decision.events] if decision else []

    def scheduled(self):
        return {job.id for job in self.schedule._scheduler.get_jobs()}

    def row(self, name):
        query = text("SELECT term, detached_at FROM workspace WHERE name = :name")
        row = self.store.run_now(lambda tx: tx.execute(query, {"name": name}).one_or_none())
        return tuple(row) if row else None

    @property
    def metric(self):
        return self.resources.metrics.render().decode()

    async def close(self):
        tasks = [
            task
            for one in (*self.workers.workspaces.values(), *self.workers.receivers.values())
            for task in one.tasks
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.schedule.stop()
        await self.resources.http.aclose()
        await self.closing.aclose()


@asynccontextmanager
async def staged(folder):
    simulator = Simulator(seed=1)
    for name in ("acme", "beta", "gamma"):
        simulator.add_customer(name, f"linked_{name}")
        simulator.add_accounts(name, 2)
    store = Store.open(f"sqlite:///{folder}/monitor.db")
    try:
        async with serve(simulator) as api:
            harness = WorkersHarness(folder, api, store, simulator)
            harness.schedule.start()
            try:
                yield harness
            finally:
                await harness.close()
    finally:
        store.close()


@pytest.fixture
async def harness(tmp_path):
    async with staged(tmp_path) as made:
        yield made


async def test_the_first_configuration_puts_everybody_to_work(harness):
    await harness.adopt("acme", "beta", more=f"receivers: [{CHAT}]")

    assert harness.begun == ["acme", "beta", "chat"]
    assert harness.scheduled() == {"acme", "beta"}
    assert harness.row("acme") == harness.row("beta") == (1, None)
    assert await harness.poll("acme") == []
    assert 'linkedapi_workspace_up{workspace="acme"} 1' in harness.metric
    assert 'linkedapi_workspace_up{workspace="beta"} 0' in harness.metric


async def test_those_who_stay_work_on_and_those_who_left_stop(harness):
    log = "{name: log, type: log}"
    await harness.adopt("acme", "beta", more=f"receivers: [{CHAT}, {log}]")
    acme, chat = harness.workers.workspaces["acme"], harness.workers.receivers["chat"]
    gone = harness.workers.receivers["log"]
    other = "{name: other, type: log}"
    harness.begun.clear()

    await harness.adopt("acme", "gamma", more=f"receivers: [{CHAT}, {other}]")

    assert harness.begun == ["gamma", "other"]
    assert harness.ended == ["beta"]
    assert harness.workers.workspaces.keys() == harness.scheduled() == {"acme", "gamma"}
    assert harness.workers.workspaces["acme"] is acme
    assert harness.workers.receivers["chat"] is chat
    assert harness.workers.receivers.keys() == {"chat", "other"}
    assert (gone.over, gone.wake.is_set(), chat.over) == (True, True, False)
    assert harness.row("acme") == (1, None)
    assert harness.row("beta") == (1, NOON)
    assert 'workspace="beta"' not in harness.metric
    assert 'linkedapi_notifications_pending{receiver="log"}' not in harness.metric


async def test_what_a_workspace_knows_outlives_a_reload(harness):
    await harness.adopt("acme")
    await harness.poll("acme")
    harness.simulator.sign_out("acme", "*")
    assert len(await harness.poll("acme")) == 2

    await harness.adopt("acme", more="incidents: {resolve_after: 3}")

    assert await harness.poll("acme") == []
    harness.simulator.recover("acme", "*")
    assert [await harness.poll("acme") for _ in range(3)][:2] == [[], []]
    assert not harness.store.run_now(lambda tx: incidents.load_open(tx, "acme"))


async def test_a_workspace_that_comes_back_goes_on_where_it_was(harness):
    await harness.adopt("acme", "beta")
    await harness.poll("beta")
    harness.simulator.sign_out("beta", "*")
    await harness.poll("beta")
    await harness.adopt("acme")
    harness.now += Duration.parse("23h")

    await harness.adopt("acme", "beta")

    assert harness.row("beta") == (2, None)
    assert 'cause="reconnection_required"} 2' in harness.metric
    assert not harness.workers.is_current("beta")
    assert await harness.poll("beta") == []
    assert harness.workers.is_current("beta")


async def test_a_renamed_workspace_goes_on_under_its_new_name(harness):
    await harness.adopt("acme")
    await harness.poll("acme")
    harness.simulator.sign_out("acme", "*")
    await harness.poll("acme")

    with structlog.testing.capture_logs() as logs:
        await harness.adopt(better={"token": "acme", "renamed_from": "acme"})

    assert "workspace is renamed; what was recorded is its own now" in [
        one["event"] for one in logs
    ]
    assert harness.row("acme") is None
    assert harness.row("better") == (2, None)
    assert await harness.poll("better") == []
    harness.simulator.recover("acme", "*")
    assert [kind for kind, _ in await harness.poll("better")] == ["resolved", "resolved"]
    assert 'workspace="acme"' not in harness.metric


async def test_if_both_names_have_a_past_it_is_said_and_the_old_one_is_detached(harness):
    await harness.adopt("acme", "beta")
    await harness.adopt("acme")
    with structlog.testing.capture_logs() as logs:
        await harness.adopt(beta={"renamed_from": "acme"})

    assert harness.row("acme") == (1, NOON)
    assert harness.row("beta") == (2, None)
    said = {one["event"]: one.get("workspace") for one in logs}
    assert said["renamed_from is ignored: the new name has a past of its own"] == "beta"
    assert said["workspace left the configuration; what is open ends in 24 h"] == "acme"


@pytest.mark.parametrize(
    ("breaking", "mending"),
    [
        (
            "ALTER TABLE session_intent RENAME TO broken",
            "ALTER TABLE broken RENAME TO session_intent",
        ),
        (
            "UPDATE account SET changes = 'x' WHERE workspace = 'gamma'",
            "UPDATE account SET changes = '' WHERE workspace = 'gamma'",
        ),
    ],
    ids=["a broken table", "a broken row"],
)
async def test_a_configuration_that_cannot_be_taken_up_changes_nothing(harness, breaking, mending):
    await harness.adopt("gamma")
    await harness.poll("gamma")
    await harness.adopt("acme", "beta", more=f"receivers: [{CHAT}]")
    await harness.poll("beta")
    before = [harness.row(name) for name in ("acme", "beta", "gamma")]
    workspaces, receivers = dict(harness.workers.workspaces), dict(harness.workers.receivers)
    harness.store.run_now(lambda tx: tx.exec_driver_sql(breaking))

    with pytest.raises((StoreError, ValueError)):
        await harness.adopt("acme", "gamma", more="receivers: [{name: other, type: log}]")

    assert [harness.row(name) for name in ("acme", "beta", "gamma")] == before
    assert harness.workers.workspaces == workspaces
    assert harness.workers.receivers == receivers
    assert harness.scheduled() == {"acme", "beta"}
    assert not any(task.done() for one in workspaces.values() for task in one.tasks)
    assert 'linkedapi_workspace_up{workspace="beta"} 1' in harness.metric
    assert 'workspace="gamma"' not in harness.metric
    harness.simulator.sign_out("beta", "*")
    harness.store.run_now(lambda tx: tx.exec_driver_sql(mending))
    assert len(await harness.poll("beta")) == 2
    await harness.adopt("acme", "gamma")
    assert harness.workers.workspaces.keys() == {"acme", "gamma"}


class Unheard(Store):
    """A database whose answer to a commit gets lost."""

    lost = 0

    async def run(self, work):
        done = await super().run(work)
        if self.lost:
            self.lost -= 1
            raise StoreError("the answer was lost")
        return done


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("change", ["renamed", "removed"])
async def test_what_a_commit_without_an_answer_did_is_undone(harness, tmp_path, lost, change):
    harness.resources.store = Unheard.open(f"sqlite:///{tmp_path}/unheard.db")
    harness.store.close()
    harness.store = harness.resources.store
    await harness.adopt("acme", "beta")
    await harness.poll("acme")
    harness.store.lost = lost
    taken = {"growth": {"renamed_from": "acme"}} if change == "renamed" else {}

    with pytest.raises(StoreError):
        await harness.adopt("beta", **taken)
    assert ("acme" in harness.workers.workspaces) is (lost == 1)
    await harness.workers.resume()

    assert harness.workers.workspaces.keys() == {"acme", "beta"}
    assert harness.scheduled() == {"acme", "beta"}
    assert harness.row("acme")[1] is None
    harness.simulator.sign_out("acme", "*")
    assert len(await harness.poll("acme")) == 2
    await harness.adopt("beta", **taken)
    assert harness.workers.workspaces.keys() == {"beta", *taken}


async def test_everybody_is_looked_at_when_other_accounts_are_ignored(harness):
    harness.schedule._scheduler.pause()
    await harness.adopt("acme", "beta")
    await harness.adopt("acme", "beta", more="incidents: {open_after: 2}")
    assert not any(one.wake.is_set() for one in harness.workers.workspaces.values())

    await harness.adopt("acme", "beta", more="accounts: [{match: {name: Test}, ignore: true}]")

    assert all(one.wake.is_set() for one in harness.workers.workspaces.values())


class Held(Store):
    """A database that takes its time."""

    async def run(self, work):
        await self.answering.wait()
        return await super().run(work)


async def test_nobody_goes_on_while_another_configuration_is_being_taken_up(harness, tmp_path):
    harness.resources.store = Held.open(f"sqlite:///{tmp_path}/held.db")
    harness.store.close()
    harness.store = harness.resources.store
    harness.store.answering = asyncio.Event()
    harness.store.answering.set()
    await harness.adopt("acme", "beta")
    harness.store.answering.clear()
    adopting = asyncio.create_task(harness.adopt("beta"))
    await until(lambda: "acme" not in harness.workers.workspaces)

    await asyncio.wait_for(harness.workers.resume(), 5)
    assert "acme" not in harness.workers.workspaces
    harness.store.answering.set()
    await adopting

    assert harness.workers.workspaces.keys() == {"beta"}
    assert harness.begun.count("acme") == 1


async def test_a_pause_that_a_receiver_asked_for_ends_with_its_address(harness):
    await harness.adopt("acme", more=f"receivers: [{CHAT}]")
    deliverer = harness.workers.receivers["chat"].deliverer
    deliverer._paused_until = 3600.0

    await harness.adopt("acme", more=f"receivers: [{CHAT}]")
    assert await deliverer.due_in(Duration.parse("1h")) == 3600.0
    await harness.adopt("acme", more=f"receivers: [{CHAT.replace('/x', '/y')}]")

    assert harness.workers.receivers["chat"].deliverer is deliverer
    assert deliverer._paused_until == 0.0


async def test_a_new_rhythm_counts_at_once_and_the_same_one_is_left_alone(harness):
    await harness.adopt("acme", "beta")
    jobs = harness.schedule._scheduler.get_job
    acme, beta = jobs("acme").trigger, jobs("beta").trigger

    await harness.adopt("acme", beta={"poll": '{cron: "0 8 * * *"}'})

    assert jobs("acme").trigger is acme
    assert jobs("beta").trigger is not beta
    assert harness.workers.workspaces["beta"].poller.rules.next_due(NOON) == NOON + Duration.parse(
        "20h"
    )


async def test_a_new_crontab_is_followed_by_a_first_look_within_a_minute(harness):
    await harness.adopt("acme", beta={"poll": '{cron: "0 8 * * *"}'})

    offsets = [
        harness.schedule._scheduler.get_job(name).trigger._offset for name in ("acme", "beta")
    ]

    assert offsets == [0, 30]


async def test_a_new_token_counts_at_once_and_the_same_one_keeps_its_pause(harness):
    await harness.adopt("acme", "beta")
    await harness.poll("acme")
    await harness.poll("beta")
    for name in ("acme", "beta"):
        harness.simulator.set_token(name, f"linked_{name}2")
        for _ in range(5):
            await harness.poll(name)
    calls = len(harness.simulator.requests)

    await harness.adopt("beta", acme={"token": "acme2"})

    assert await harness.poll("acme") == [("resolved", "token_rejected")]
    assert await harness.poll("beta") == []
    assert len(harness.simulator.requests) == calls + 1


async def test_the_share_of_the_rate_limit_that_is_used_up_outlives_a_reload(harness):
    await harness.adopt("acme")
    budget = harness.workers.workspaces["acme"].budget
    await harness.poll("acme")

    await harness.adopt("acme", more="incidents: {open_after: 2}")

    assert harness.workers.workspaces["acme"].poller._source._budget is budget
    assert len(budget._taken) == 1


# ── the loops around it ──────────────────────────────────────────────────────────────────────────


async def test_the_loops_of_who_left_leave_no_pulse_and_no_failure(harness):
    loaded = [
        harness.load(
            {"acme": {}, "beta": {}}, f"web: {{listen: '127.0.0.1:0'}}\nreceivers: [{CHAT}]"
        ),
        harness.load({"acme": {}}, "web: {listen: '127.0.0.1:0'}"),
    ]
    app = App(loaded[0], harness.resources, load=lambda: loaded[1])
    running = asyncio.create_task(app.run())
    try:
        await until(
            lambda: "poll beta" in app._loop_health._due and "send chat 0" in app._loop_health._due
        )
        for loop in ("poll beta", "send chat 0"):
            app._loop_health.failed(loop, "it fails")

        app.reload()

        await until(lambda: "send log 0" in app._loop_health._due)
        await until(
            lambda: not any("chat" in one or "beta" in one for one in app._loop_health._due)
        )
        assert app._loop_health.problems() == []
        assert "poll acme" in app._loop_health._due
    finally:
        app.stop()
        await asyncio.wait_for(running, 20)
    assert harness.store.run_now(outbox.backlog) == {}
    assert harness.store.run_now(lambda tx: workspaces.is_recorded(tx, "beta"))


async def test_what_a_receiver_that_left_is_still_being_sent_does_not_hold_up_the_end(
    harness, monkeypatch
):
    monkeypatch.setattr(loops, "SHUTDOWN_GRACE", Duration.parse("200ms"))
    web = "web: {listen: '127.0.0.1:0'}"
    async with hooks() as (_, url):
        slow = f'receivers: [{{name: slow, type: slack, url: "{url}/never"}}]'
        loaded = [harness.load({"acme": {}}, f"{web}\n{slow}"), harness.load({"acme": {}}, web)]
        harness.simulator.sign_out("acme", "*")
        app = App(loaded[0], harness.resources, load=lambda: loaded[1])
        running = asyncio.create_task(app.run())
        await until(
            lambda: app._workers.receivers and app._workers.receivers["slow"].deliverer._leaving
        )
        app.reload()
        await until(lambda: "slow" not in app._workers.receivers)

        app.stop()

        await asyncio.wait_for(running, 4)  # a send may take 10 s
