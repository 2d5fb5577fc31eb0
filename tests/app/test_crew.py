"""How another configuration is taken up: real store, real clients, a simulated API."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import structlog
from factories import NOON
from program import hooks, until
from sqlalchemy import text

from monitor import config
from monitor.app import loops
from monitor.app.crew import Crew
from monitor.app.loops import App
from monitor.app.parts import Ground, Parts
from monitor.core.duration import Duration
from monitor.core.surroundings import Surroundings
from monitor.schedule import Schedule
from monitor.simulator import Knobs, Simulator, serve
from monitor.store import attachment, outbox, state
from monitor.store.db import Store, StoreError

CHAT = '{name: chat, type: slack, url: "https://hooks.slack.com/services/T0/B0/x"}'


class Stage:
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
        around = Surroundings(
            now=lambda: self.now,
            monotonic=lambda: self.seconds,
            jitter=lambda: 0.0,
            new_id=lambda: f"{next(numbers):05d}",
        )
        self.ground = Ground(store, httpx.AsyncClient(verify=False), around, self.closing)
        self.schedule = Schedule(jitter=around.jitter)
        self.begun, self.ended = [], []
        self.crew = Crew(
            self.ground, self.schedule, begin_polls=self._polls, begin_sends=self._sends
        )

    def _polls(self, watch):
        self.begun.append(watch.settings.name)
        return [asyncio.create_task(self._wait(watch.settings.name))]

    def _sends(self, outlet):
        self.begun.append(outlet.deliverer.receiver.name)
        return [asyncio.create_task(self._wait(outlet.deliverer.receiver.name))]

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
        parts = Parts(
            loaded, self.ground, await self.ground.api(loaded.linked_api), self.crew.is_current
        )
        await self.crew.adopt(parts)
        await asyncio.sleep(0)  # the new loops begin
        return parts

    async def poll(self, name):
        self.now += Duration.parse("1m")
        self.seconds += 60
        decision = await self.crew.watches[name].poller.poll()
        return [(str(one.type), str(one.cause)) for one in decision.events] if decision else []

    def scheduled(self):
        return {job.id for job in self.schedule._scheduler.get_jobs()}

    def row(self, name):
        query = text("SELECT term, detached_at FROM workspace WHERE name = :name")
        row = self.store.run_now(lambda tx: tx.execute(query, {"name": name}).one_or_none())
        return tuple(row) if row else None

    @property
    def metric(self):
        return self.ground.metrics.render().decode()

    async def close(self):
        tasks = [
            task
            for one in (*self.crew.watches.values(), *self.crew.outlets.values())
            for task in one.tasks
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.schedule.stop()
        await self.ground.http.aclose()
        await self.closing.aclose()
        self.store.close()


@asynccontextmanager
async def staged(folder):
    simulator = Simulator(Knobs(), seed=1)
    for name in ("acme", "beta", "gamma"):
        simulator.add_customer(name, f"linked_{name}")
        simulator.add_accounts(name, 2)
    async with serve(simulator) as api:
        stage = Stage(folder, api, Store.open(f"sqlite:///{folder}/monitor.db"), simulator)
        stage.schedule.start()
        try:
            yield stage
        finally:
            await stage.close()


@pytest.fixture
async def stage(tmp_path):
    async with staged(tmp_path) as made:
        yield made


async def test_the_first_configuration_puts_everybody_to_work(stage):
    await stage.adopt("acme", "beta", more=f"receivers: [{CHAT}]")

    assert stage.begun == ["acme", "beta", "chat"]
    assert stage.scheduled() == {"acme", "beta"}
    assert stage.row("acme") == stage.row("beta") == (1, None)
    assert await stage.poll("acme") == []
    assert 'linkedapi_workspace_up{workspace="acme"} 1' in stage.metric
    assert 'linkedapi_workspace_up{workspace="beta"} 0' in stage.metric


async def test_those_who_stay_work_on_and_those_who_left_stop(stage):
    log = "{name: log, type: log}"
    await stage.adopt("acme", "beta", more=f"receivers: [{CHAT}, {log}]")
    acme, chat = stage.crew.watches["acme"], stage.crew.outlets["chat"]
    gone = stage.crew.outlets["log"]
    other = "{name: other, type: log}"
    stage.begun.clear()

    await stage.adopt("acme", "gamma", more=f"receivers: [{CHAT}, {other}]")

    assert stage.begun == ["gamma", "other"]
    assert stage.ended == ["beta"]
    assert stage.crew.watches.keys() == stage.scheduled() == {"acme", "gamma"}
    assert stage.crew.watches["acme"] is acme
    assert stage.crew.outlets["chat"] is chat
    assert stage.crew.outlets.keys() == {"chat", "other"}
    assert (gone.over, gone.wake.is_set(), chat.over) == (True, True, False)
    assert stage.row("acme") == (1, None)
    assert stage.row("beta") == (1, NOON)
    assert 'workspace="beta"' not in stage.metric
    assert 'linkedapi_notifications_pending{receiver="log"}' not in stage.metric


async def test_what_a_workspace_knows_outlives_a_reload(stage):
    await stage.adopt("acme")
    await stage.poll("acme")
    stage.simulator.sign_out("acme", "*")
    assert len(await stage.poll("acme")) == 2

    await stage.adopt("acme", more="incidents: {resolve_after: 3}")

    assert await stage.poll("acme") == []
    stage.simulator.recover("acme", "*")
    assert [await stage.poll("acme") for _ in range(3)][:2] == [[], []]
    assert not stage.store.run_now(lambda tx: state.open_incidents(tx, "acme"))


async def test_a_workspace_that_comes_back_goes_on_where_it_was(stage):
    await stage.adopt("acme", "beta")
    await stage.poll("beta")
    stage.simulator.sign_out("beta", "*")
    await stage.poll("beta")
    await stage.adopt("acme")
    stage.now += Duration.parse("23h")

    await stage.adopt("acme", "beta")

    assert stage.row("beta") == (2, None)
    assert 'cause="reconnection_required"} 2' in stage.metric
    assert not stage.crew.is_current("beta")
    assert await stage.poll("beta") == []
    assert stage.crew.is_current("beta")


async def test_a_renamed_workspace_goes_on_under_its_new_name(stage):
    await stage.adopt("acme")
    await stage.poll("acme")
    stage.simulator.sign_out("acme", "*")
    await stage.poll("acme")

    with structlog.testing.capture_logs() as logs:
        await stage.adopt(better={"token": "acme", "renamed_from": "acme"})

    assert "workspace is renamed; what was recorded is its own now" in [
        one["event"] for one in logs
    ]
    assert stage.row("acme") is None
    assert stage.row("better") == (2, None)
    assert await stage.poll("better") == []
    stage.simulator.recover("acme", "*")
    assert [kind for kind, _ in await stage.poll("better")] == ["resolved", "resolved"]
    assert 'workspace="acme"' not in stage.metric


async def test_if_both_names_have_a_past_it_is_said_and_the_old_one_is_detached(stage):
    await stage.adopt("acme", "beta")
    await stage.adopt("acme")
    with structlog.testing.capture_logs() as logs:
        await stage.adopt(beta={"renamed_from": "acme"})

    assert stage.row("acme") == (1, NOON)
    assert stage.row("beta") == (2, None)
    said = {one["event"]: one.get("workspace") for one in logs}
    assert said["renamed_from is ignored: the new name has a past of its own"] == "beta"
    assert said["workspace left the configuration; what is open ends in 24 h"] == "acme"


@pytest.mark.parametrize(
    ("breaking", "mending"),
    [
        ("ALTER TABLE creation RENAME TO broken", "ALTER TABLE broken RENAME TO creation"),
        (
            "UPDATE account SET changes = 'x' WHERE workspace = 'gamma'",
            "UPDATE account SET changes = '' WHERE workspace = 'gamma'",
        ),
    ],
    ids=["a broken table", "a broken row"],
)
async def test_a_configuration_that_cannot_be_taken_up_changes_nothing(stage, breaking, mending):
    await stage.adopt("gamma")
    await stage.poll("gamma")
    await stage.adopt("acme", "beta", more=f"receivers: [{CHAT}]")
    await stage.poll("beta")
    before = [stage.row(name) for name in ("acme", "beta", "gamma")]
    watches, outlets = dict(stage.crew.watches), dict(stage.crew.outlets)
    stage.store.run_now(lambda tx: tx.exec_driver_sql(breaking))

    with pytest.raises((StoreError, ValueError)):
        await stage.adopt("acme", "gamma", more="receivers: [{name: other, type: log}]")

    assert [stage.row(name) for name in ("acme", "beta", "gamma")] == before
    assert stage.crew.watches == watches
    assert stage.crew.outlets == outlets
    assert stage.scheduled() == {"acme", "beta"}
    assert not any(task.done() for one in watches.values() for task in one.tasks)
    assert 'linkedapi_workspace_up{workspace="beta"} 1' in stage.metric
    assert 'workspace="gamma"' not in stage.metric
    stage.simulator.sign_out("beta", "*")
    stage.store.run_now(lambda tx: tx.exec_driver_sql(mending))
    assert len(await stage.poll("beta")) == 2
    await stage.adopt("acme", "gamma")
    assert stage.crew.watches.keys() == {"acme", "gamma"}


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
async def test_what_a_commit_without_an_answer_did_is_undone(stage, tmp_path, lost, change):
    stage.ground.store = Unheard.open(f"sqlite:///{tmp_path}/unheard.db")
    stage.store.close()
    stage.store = stage.ground.store
    await stage.adopt("acme", "beta")
    await stage.poll("acme")
    stage.store.lost = lost
    taken = {"growth": {"renamed_from": "acme"}} if change == "renamed" else {}

    with pytest.raises(StoreError):
        await stage.adopt("beta", **taken)
    assert ("acme" in stage.crew.watches) is (lost == 1)
    await stage.crew.resume()

    assert stage.crew.watches.keys() == {"acme", "beta"}
    assert stage.scheduled() == {"acme", "beta"}
    assert stage.row("acme")[1] is None
    stage.simulator.sign_out("acme", "*")
    assert len(await stage.poll("acme")) == 2
    await stage.adopt("beta", **taken)
    assert stage.crew.watches.keys() == {"beta", *taken}


async def test_everybody_is_looked_at_when_other_accounts_are_ignored(stage):
    stage.schedule._scheduler.pause()
    await stage.adopt("acme", "beta")
    await stage.adopt("acme", "beta", more="incidents: {open_after: 2}")
    assert not any(one.wake.is_set() for one in stage.crew.watches.values())

    await stage.adopt("acme", "beta", more="accounts: [{match: {name: Test}, ignore: true}]")

    assert all(one.wake.is_set() for one in stage.crew.watches.values())


class Held(Store):
    """A database that takes its time."""

    async def run(self, work):
        await self.answering.wait()
        return await super().run(work)


async def test_nobody_goes_on_while_another_configuration_is_being_taken_up(stage, tmp_path):
    stage.ground.store = Held.open(f"sqlite:///{tmp_path}/held.db")
    stage.store.close()
    stage.store = stage.ground.store
    stage.store.answering = asyncio.Event()
    stage.store.answering.set()
    await stage.adopt("acme", "beta")
    stage.store.answering.clear()
    adopting = asyncio.create_task(stage.adopt("beta"))
    await until(lambda: "acme" not in stage.crew.watches)

    await asyncio.wait_for(stage.crew.resume(), 5)
    assert "acme" not in stage.crew.watches
    stage.store.answering.set()
    await adopting

    assert stage.crew.watches.keys() == {"beta"}
    assert stage.begun.count("acme") == 1


async def test_a_pause_that_a_receiver_asked_for_ends_with_its_address(stage):
    await stage.adopt("acme", more=f"receivers: [{CHAT}]")
    deliverer = stage.crew.outlets["chat"].deliverer
    deliverer._paused_until = 3600.0

    await stage.adopt("acme", more=f"receivers: [{CHAT}]")
    assert await deliverer.due_in(Duration.parse("1h")) == 3600.0
    await stage.adopt("acme", more=f"receivers: [{CHAT.replace('/x', '/y')}]")

    assert stage.crew.outlets["chat"].deliverer is deliverer
    assert deliverer._paused_until == 0.0


async def test_a_new_rhythm_counts_at_once_and_the_same_one_is_left_alone(stage):
    await stage.adopt("acme", "beta")
    jobs = stage.schedule._scheduler.get_job
    acme, beta = jobs("acme").trigger, jobs("beta").trigger

    await stage.adopt("acme", beta={"poll": '{cron: "0 8 * * *"}'})

    assert jobs("acme").trigger is acme
    assert jobs("beta").trigger is not beta
    assert stage.crew.watches["beta"].poller.rules.next_due(NOON) == NOON + Duration.parse("20h")


async def test_a_new_crontab_is_followed_by_a_first_look_within_a_minute(stage):
    await stage.adopt("acme", beta={"poll": '{cron: "0 8 * * *"}'})

    offsets = [stage.schedule._scheduler.get_job(name).trigger._offset for name in ("acme", "beta")]

    assert offsets == [0, 30]


async def test_a_new_token_counts_at_once_and_the_same_one_keeps_its_pause(stage):
    await stage.adopt("acme", "beta")
    await stage.poll("acme")
    await stage.poll("beta")
    for name in ("acme", "beta"):
        stage.simulator.set_token(name, f"linked_{name}2")
        for _ in range(5):
            await stage.poll(name)
    calls = len(stage.simulator.requests)

    await stage.adopt("beta", acme={"token": "acme2"})

    assert await stage.poll("acme") == [("resolved", "token_rejected")]
    assert await stage.poll("beta") == []
    assert len(stage.simulator.requests) == calls + 1


async def test_the_share_of_the_rate_limit_that_is_used_up_outlives_a_reload(stage):
    await stage.adopt("acme")
    budget = stage.crew.watches["acme"].budget
    await stage.poll("acme")

    await stage.adopt("acme", more="incidents: {open_after: 2}")

    assert stage.crew.watches["acme"].poller._source._budget is budget
    assert len(budget._taken) == 1


# ── the loops around it ──────────────────────────────────────────────────────────────────────────


async def test_the_loops_of_who_left_leave_no_pulse_and_no_failure(stage):
    loaded = [
        stage.load(
            {"acme": {}, "beta": {}}, f"web: {{listen: '127.0.0.1:0'}}\nreceivers: [{CHAT}]"
        ),
        stage.load({"acme": {}}, "web: {listen: '127.0.0.1:0'}"),
    ]
    app = App(loaded[0], stage.ground, reread=lambda: loaded[1])
    running = asyncio.create_task(app.run())
    try:
        await until(lambda: "poll beta" in app._pulse._due and "send chat 0" in app._pulse._due)
        for loop in ("poll beta", "send chat 0"):
            app._pulse.failed(loop, "it fails")

        app.reload()

        await until(lambda: "send log 0" in app._pulse._due)
        await until(lambda: not any("chat" in one or "beta" in one for one in app._pulse._due))
        assert app._pulse.problems() == []
        assert "poll acme" in app._pulse._due
    finally:
        app.stop()
        await asyncio.wait_for(running, 20)
    assert stage.store.run_now(outbox.backlog) == {}
    assert stage.store.run_now(lambda tx: attachment.is_recorded(tx, "beta"))


async def test_what_a_receiver_that_left_is_still_being_sent_does_not_hold_up_the_end(
    stage, monkeypatch
):
    monkeypatch.setattr(loops, "LAST_SENDS", Duration.parse("200ms"))
    web = "web: {listen: '127.0.0.1:0'}"
    async with hooks() as (_, url):
        slow = f'receivers: [{{name: slow, type: slack, url: "{url}/never"}}]'
        loaded = [stage.load({"acme": {}}, f"{web}\n{slow}"), stage.load({"acme": {}}, web)]
        stage.simulator.sign_out("acme", "*")
        app = App(loaded[0], stage.ground, reread=lambda: loaded[1])
        running = asyncio.create_task(app.run())
        await until(lambda: app._crew.outlets and app._crew.outlets["slow"].deliverer._leaving)
        app.reload()
        await until(lambda: "slow" not in app._crew.outlets)

        app.stop()

        await asyncio.wait_for(running, 4)  # a send may take 10 s
