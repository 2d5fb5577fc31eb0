"""From one configuration to another: what is planned, recorded, undone and logged."""

import asyncio
from contextlib import nullcontext

import pytest
from harness.answers import html_page
from harness.core import NOON
from harness.faults import failing_reads
from harness.program import until
from harness.running_app import select

from monitor.app.reconfigure import Change, plan_change
from monitor.config.settings import WorkspaceSettings
from monitor.core.duration import Duration
from monitor.core.model import ALL_WORKSPACES, API, Cause, Incident
from monitor.core.secret import Secret
from monitor.store import incidents, leases
from monitor.store.db import Store, StoreError

# ── what is planned ──────────────────────────────────────────────────────────────────────────────


def workspace(name, **settings):
    return WorkspaceSettings(name=name, token=Secret("linked_x"), **settings)


A, B, C = map(workspace, "abc")
SLOW = workspace("b", poll={"every": "1h"})
D = workspace("d", renamed_from="a")


@pytest.mark.parametrize(
    ("present", "wanted", "change"),
    [
        pytest.param([], [A, B], Change([], [], {}, {}), id="start"),
        pytest.param([A, B], [A, B], Change([], [A, B], {}, {}), id="nothing new"),
        pytest.param([A, B], [], Change(["a", "b"], [], {}, {}), id="all left"),
        pytest.param([A, B], [C, B], Change(["a"], [B], {}, {}), id="replaced"),
        pytest.param([A, B], [A, SLOW], Change([], [A, SLOW], {"b": 1}, {}), id="rescheduled"),
        pytest.param([A, SLOW], [B], Change(["a"], [B], {"b": 0}, {}), id="moved up"),
        pytest.param([A, B], [D, B], Change(["a"], [B], {}, {"a": "d"}), id="renamed"),
        pytest.param([D], [D], Change([], [D], {}, {"a": "d"}), id="renamed before"),
    ],
)
def test_a_change_is_planned(present, wanted, change):
    assert plan_change({settings.name: settings for settings in present}, wanted) == change


# ── how it is applied ────────────────────────────────────────────────────────────────────────────


async def test_the_first_configuration_puts_everybody_to_work(harness):
    await harness.apply("acme", "beta", more=f"receivers: [{harness.crm()}]")

    await until(lambda: harness.working() == {"acme", "beta", "crm"})
    assert harness.scheduled().keys() == {"acme", "beta"}
    assert await harness.row("acme") == await harness.row("beta") == (1, None)
    assert await harness.poll("acme") == []
    assert 'linkedapi_workspace_up{workspace="acme"} 1' in harness.metric
    assert 'linkedapi_workspace_up{workspace="beta"} 0' in harness.metric


OPEN = "web: {listen: '[::]:9464'}"
TOKEN = "web: {listen: '[::]:9464', metrics_token: abcdefghijklmnop}"


@pytest.mark.parametrize(
    ("at_start", "later", "shows_names"),
    [
        ("", "", True),
        (OPEN, OPEN, False),
        (TOKEN, OPEN, True),
        (OPEN, TOKEN, False),  # the token needs a restart
        (OPEN, f"{OPEN}\nmetrics: {{account_names: true}}", True),
        (TOKEN, f"{TOKEN}\nmetrics: {{account_names: false}}", False),
    ],
)
async def test_names_are_shown_to_everybody_only_if_somebody_says_so(
    harness, at_start, later, shows_names
):
    await harness.apply("acme", more=at_start)
    await harness.apply("acme", more=later)
    harness.simulator.add_account("acme", name="Jane Doe")
    await harness.poll("acme")

    assert ("Jane Doe" in harness.metric) == shows_names


async def test_those_who_stay_work_on_and_those_who_left_stop(harness):
    log, new = "{name: log, type: log}", "{name: new, type: log}"
    await harness.apply("acme", "beta", more=f"receivers: [{harness.crm()}, {log}]")
    acme, crm = harness.workers.workspaces["acme"], harness.workers.receivers["crm"]

    await harness.apply("acme", "gamma", more=f"receivers: [{harness.crm()}, {new}]")

    await until(lambda: harness.working() == {"acme", "gamma", "crm", "new"})
    assert harness.workers.workspaces.keys() == harness.scheduled().keys() == {"acme", "gamma"}
    assert harness.workers.workspaces["acme"] is acme
    assert harness.workers.receivers["crm"] is crm
    assert harness.workers.receivers.keys() == {"crm", "new"}
    assert await harness.row("acme") == (1, None)
    assert await harness.row("beta") == (1, NOON)
    assert 'workspace="beta"' not in harness.metric
    assert 'linkedapi_notifications_pending{receiver="log"}' not in harness.metric


async def test_what_a_workspace_knows_outlives_a_reload(harness):
    await harness.apply("acme")
    await harness.sign_out("acme")

    await harness.apply("acme", more="incidents: {resolve_after: 3}")

    assert await harness.poll("acme") == []
    harness.simulator.recover("acme", "*")
    assert [await harness.poll("acme") for _ in range(3)][:2] == [[], []]
    assert not await harness.store.run(lambda tx: incidents.load_open(tx, "acme"))


async def test_an_outage_from_before_the_start_is_shown(harness):
    about = {"scope": API[0], "subject": API[1], "cause": Cause.UNREACHABLE, "opened_at": NOON}
    outage = Incident("1", ALL_WORKSPACES, **about, cause_since=NOON)
    await harness.store.run(lambda tx: incidents.write(tx, [outage]))

    await harness.apply("acme")

    assert 'incidents_open{workspace="*",cause="unreachable"} 1' in harness.metric


async def test_a_workspace_that_comes_back_goes_on_where_it_was(harness):
    await harness.apply("acme", "beta")
    await harness.sign_out("beta")
    await harness.apply("acme")
    harness.now += Duration.parse("23h")
    harness.simulator.faults.add(html_page(status=502))

    await harness.apply("acme", "beta")

    assert await harness.row("beta") == (2, None)
    assert 'cause="reconnection_required"} 2' in harness.metric
    assert 'last_successful_poll_timestamp_seconds{workspace="beta"} 1795435320' in harness.metric
    assert not await harness.is_fresh("beta")
    harness.simulator.clear_faults()
    assert await harness.poll("beta") == []
    assert await harness.is_fresh("beta")
    harness.simulator.recover("beta", "*")
    assert [kind for kind, _ in await harness.poll("beta")] == ["resolved", "resolved"]


@pytest.mark.case("workspace renamed")
async def test_a_renamed_workspace_goes_on_under_its_new_name(harness, logs):
    await harness.apply("acme")
    await harness.sign_out("acme")

    await harness.apply(better={"token": "linked_acme", "renamed_from": "acme"})

    assert ("workspace renamed", "acme") in [(entry["event"], entry.get("old")) for entry in logs]
    assert await harness.row("acme") is None
    assert await harness.row("better") == (3, None)
    assert await harness.poll("better") == []
    harness.simulator.recover("acme", "*")
    assert [kind for kind, _ in await harness.poll("better")] == ["resolved", "resolved"]
    assert 'workspace="acme"' not in harness.metric


async def test_if_both_names_have_a_past_it_is_said_and_the_old_one_is_detached(harness, logs):
    await harness.apply("acme", "beta")
    await harness.apply("acme")
    logs.clear()

    await harness.apply(beta={"renamed_from": "acme"})

    assert await harness.row("acme") == (1, NOON)
    assert await harness.row("beta") == (2, None)
    warned = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [(entry["event"], entry.get("workspace")) for entry in warned[-2:]] == [
        ("renamed_from ignored: the new name is recorded already", "beta"),
        ("workspace removed; its open incidents end in 24 h", "acme"),
    ]


# ── what fails meanwhile ─────────────────────────────────────────────────────────────────────────

MANY = [f"w{number:063}" for number in range(60)]  # need a page of the database
LOCKED = "database is locked"


REFUSE_GAMMA = (
    "CREATE TEMP TRIGGER refuse BEFORE UPDATE ON workspace WHEN new.name = 'gamma'"
    " BEGIN SELECT RAISE(ABORT, 'no gamma'); END"
)


@pytest.mark.parametrize(
    ("breaking", "mending", "error"),
    [
        pytest.param(
            "PRAGMA max_page_count = 1",  # what it has is not taken away
            "PRAGMA max_page_count = 1073741823",
            "database or disk is full",
            id="full disk",
        ),
        pytest.param(  # after acme and beta have been detached or attached
            REFUSE_GAMMA,
            "DROP TRIGGER refuse",
            "no gamma",
            id="refused row",
        ),
        pytest.param(  # for longer than the store waits, so that nothing can be undone
            "PRAGMA busy_timeout = 1", "PRAGMA busy_timeout = 10000", LOCKED, id="lock"
        ),
    ],
)
async def test_a_configuration_that_cannot_be_applied_changes_nothing(
    harness, breaking, mending, error
):
    await harness.apply("gamma")
    await harness.poll("gamma")
    await harness.apply("acme", "beta", more=f"receivers: [{harness.crm()}]")
    await harness.poll("beta")
    before = [await harness.row(name) for name in ("acme", "beta", "gamma")]
    acme, receivers = harness.workers.workspaces["acme"], dict(harness.workers.receivers)

    await harness.execute(breaking)
    with (
        harness.locked() if error is LOCKED else nullcontext(),
        pytest.raises(StoreError, match=error),
    ):
        await harness.apply("acme", "gamma", *MANY, more="receivers: [{name: x, type: log}]")
    await harness.execute(mending)
    await harness.resume()

    term, detached_at = before[1]
    before[1] = (term + 1, detached_at)  # it was stopped, and taken again
    assert [await harness.row(name) for name in ("acme", "beta", "gamma")] == before
    assert harness.workers.workspaces.keys() == {"acme", "beta"}
    assert harness.workers.workspaces["acme"] is acme
    assert harness.workers.receivers == receivers
    assert harness.scheduled().keys() == {"acme", "beta"}
    await until(lambda: harness.working() == {"acme", "beta", "crm"})
    assert 'linkedapi_workspace_up{workspace="beta"} 1' in harness.metric
    assert 'workspace="gamma"' not in harness.metric
    await harness.sign_out("beta")
    await harness.apply("acme", "gamma")
    assert harness.workers.workspaces.keys() == {"acme", "gamma"}


async def test_what_the_first_portions_did_is_undone_when_a_later_one_fails(harness, monkeypatch):
    monkeypatch.setattr(leases, "MAX_PORTION", 1)
    await harness.apply("beta", "gamma")
    await harness.poll("gamma")
    await harness.apply("acme")
    await harness.execute(REFUSE_GAMMA)

    with pytest.raises(StoreError, match="no gamma"):
        await harness.apply("acme", "beta", "gamma")

    for name in ("beta", "gamma"):
        assert (await harness.row(name))[1] is not None, "detached"
    assert harness.workers.workspaces.keys() == {"acme"}
    await harness.execute("DROP TRIGGER refuse")
    await harness.apply("beta", "gamma")
    assert harness.workers.workspaces.keys() == {"beta", "gamma"}
    assert (await harness.row("acme"))[1] is not None


async def test_what_is_told_of_who_came_back_for_a_moment_does_not_wait_for_a_look(
    harness, monkeypatch
):
    monkeypatch.setattr(leases, "MAX_PORTION", 1)
    away = "receivers: [{name: away, type: slack, url: 'http://127.0.0.1:1/nobody'}]"
    await harness.apply("acme", "beta", "gamma", more=away)
    await harness.poll("gamma")
    await harness.sign_out("beta")
    await harness.apply("acme", more=away)
    await harness.execute(REFUSE_GAMMA)
    await harness.execute("UPDATE message SET waits = NULL, next_attempt_at = 0")

    with pytest.raises(StoreError, match="no gamma"):
        await harness.apply("acme", "beta", "gamma", more=away)

    waits = "SELECT DISTINCT waits FROM message WHERE workspace = 'beta'"
    held = await harness.store.run(lambda tx: tx.exec_driver_sql(waits).scalars().all())
    assert held == [None]


async def test_what_was_let_go_before_a_reload_failed_leaves_all_the_same(harness):
    more = f"receivers: [{harness.crm()}]"
    await harness.execute(
        "INSERT INTO receiver (name, not_before, refuses) VALUES ('crm', 9e18, 0)"
    )
    await harness.apply("acme", "beta", more=more)
    await harness.sign_out("beta")
    worker = harness.workers.receivers["crm"]
    await until(lambda: worker._next_at)
    await harness.execute("UPDATE message SET waits = 'look'")  # as after a start
    await harness.execute("DELETE FROM receiver")
    worker.wake()
    await until(lambda: worker._next_at is None)

    with failing_reads(harness.store), pytest.raises(StoreError):
        await harness.apply("acme", more=more)
    await harness.resume()
    await harness.poll("beta")

    await harness.hook.wait(lambda: len(harness.hook.events) == 2, within=10)


class LossyStore(Store):
    """A database that does not answer those of its *commits* whose numbers are *lost*."""

    commits, lost = 0, ()

    async def run(self, work, **how):
        def write(tx):
            changes = tx.connection.dbapi_connection
            before = changes.total_changes
            return work(tx), changes.total_changes > before

        result, has_written = await super().run(write, **how)
        if has_written:
            self.commits += 1
            if self.commits in self.lost:
                raise StoreError("the answer was lost")
        return result


@pytest.mark.parametrize("harness", [LossyStore], indirect=True, ids=["lossy"])
@pytest.mark.parametrize("lost", [(1,), (2,), (2, 3)])
@pytest.mark.parametrize("change", ["renamed", "removed"])
async def test_what_a_commit_without_an_answer_did_is_undone(harness, lost, change):
    await harness.apply("acme", "beta")
    await harness.poll("acme")
    harness.store.commits, harness.store.lost = 0, lost
    wanted = {"growth": {"renamed_from": "acme"}} if change == "renamed" else {}

    with pytest.raises(StoreError):
        await harness.apply("beta", **wanted)
    harness.store.lost = ()
    await harness.resume()

    assert harness.workers.workspaces.keys() == {"acme", "beta"}
    assert harness.scheduled().keys() == {"acme", "beta"}
    assert (await harness.row("acme"))[1] is None
    await harness.sign_out("acme")
    await harness.apply("beta", **wanted)
    assert harness.workers.workspaces.keys() == {"beta", *wanted}


async def test_nobody_is_resumed_while_another_configuration_is_being_applied(harness):
    await harness.apply("acme", "beta")
    with harness.locked():
        applying = asyncio.create_task(harness.apply("beta"))
        await until(lambda: "acme" not in harness.workers.workspaces)

        await asyncio.wait_for(harness.reconfigurer.resume(), 5)

        assert "acme" not in harness.workers.workspaces
    await applying
    assert harness.workers.workspaces.keys() == {"beta"}


async def test_a_workspace_that_this_version_cannot_read_holds_up_no_other(harness, logs):
    await harness.apply("acme", "beta")
    await harness.poll("acme")
    await harness.apply("beta")
    await harness.execute("UPDATE account SET changes = 'of tomorrow' WHERE workspace = 'acme'")

    await harness.apply("acme", "beta")

    assert harness.workers.workspaces.keys() == {"beta"}
    assert sum("is not watched" in entry["event"] for entry in logs) == 1
    await harness.holdings.balance()
    assert sum("is not watched" in entry["event"] for entry in logs) == 1
    await harness.holdings.balance()
    assert await harness.row("acme") == (2, None)
    holder = select("SELECT holder FROM workspace WHERE name = 'acme'")
    assert await harness.store.run(holder) == [None], "another version may be able to read it"
    await harness.execute("UPDATE account SET changes = '' WHERE workspace = 'acme'")
    await harness.apply("acme", "beta")
    assert await harness.poll("acme") == []


async def test_what_is_new_is_held_by_this_monitor(harness):
    await harness.apply("acme")
    await harness.apply("acme", "beta")

    holders = await harness.store.run(select("SELECT DISTINCT holder FROM workspace"))
    assert holders == [harness.lease.replica]
