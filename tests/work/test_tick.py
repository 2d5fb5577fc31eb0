"""What time alone brings."""

import pytest
from harness.core import HOUR, MINUTE, REJECTED, listed_account, signed_out
from harness.faults import failing_writes
from harness.store import StoreHarness
from sqlalchemy import text

from monitor import __version__
from monitor.core.draft import Decision
from monitor.core.duration import Duration
from monitor.core.inventory import Inventory
from monitor.core.model import Workspace
from monitor.core.runtime import Runtime
from monitor.metrics import Metrics
from monitor.store import incidents, workspaces
from monitor.store.claims import View
from monitor.store.db import LeaseLostError, StoreError
from monitor.work.record import Recorded, Recorder
from monitor.work.tick import Ticker, TickRules

DAY = Duration.parse("24h")


@pytest.fixture
def ticker(harness):
    return make_ticker(harness)


def make_ticker(harness, *, watched=True):
    metrics = Metrics(version=__version__)
    metrics.declare(workspaces=["acme"], receivers={"slack": "slack"})
    rules = TickRules(
        harness.rules.policy,
        harness.rules.routing,
        View(Inventory({"acme": {}} if watched else {}), lambda _: watched and harness.current),
        Duration.parse("180d"),
    )
    return Ticker(
        rules=rules,
        recorder=Recorder(
            harness.store,
            metrics,
            Runtime(
                now=lambda: harness.now,
                monotonic=lambda: 0.0,
                jitter=lambda: 0.0,
                new_id=harness.new_id,
            ),
        ),
    )


async def test_nothing_is_due_at_first(harness, ticker):
    harness.poll(signed_out())

    assert not await ticker.tick()


async def test_a_reminder_is_told_when_it_is_due_and_only_once(harness, ticker):
    harness.poll(signed_out())
    harness.deliver()
    harness.now += HOUR

    assert await ticker.tick()
    assert not await ticker.tick()

    assert harness.deliver() == [("reminded", "a1")]
    assert harness.deliver() is None


async def test_after_days_asleep_overdue_reminders_are_one(harness, ticker):
    harness.poll(signed_out())
    harness.deliver()
    harness.now += Duration.parse("9d")

    while await ticker.tick():
        pass

    assert harness.deliver() == [("reminded", "a1")]
    assert harness.deliver() is None


async def test_an_opening_that_waits_needs_no_reminder_beside_it(harness, ticker):
    harness.poll(signed_out())
    harness.now += HOUR

    await ticker.tick()

    assert harness.deliver() == [("opened", "a1")]
    assert harness.deliver() is None


async def test_a_reminder_due_while_the_workspace_fails_is_held_until_the_next_good_poll(
    harness, ticker
):
    harness.poll(signed_out())
    harness.deliver()
    harness.observe(REJECTED, after=HOUR)

    assert await ticker.tick()
    assert harness.deliver() is None
    harness.poll(signed_out(), after=MINUTE)
    await ticker.tick()

    assert harness.deliver() == [("reminded", "a1")]


async def test_a_recovery_before_the_reminder_leaves_none(harness, ticker):
    harness.poll(signed_out())
    harness.deliver()
    harness.poll(listed_account(), after=HOUR)

    assert not await ticker.tick()
    assert harness.deliver() == [("resolved", "a1")]


async def test_a_blind_workspace_is_reminded_of_too(harness, ticker):
    harness.observe(REJECTED)
    harness.observe(REJECTED)
    harness.deliver()
    harness.now += HOUR

    await ticker.tick()

    assert harness.deliver() == [("reminded", None)]


async def test_an_incident_that_makes_us_fail_lets_the_others_have_their_turn(store):
    harness = StoreHarness(store)
    ticker = make_ticker(harness)
    harness.poll(signed_out("a"), signed_out("b"))
    harness.deliver()
    harness.run(lambda tx: tx.execute(text("UPDATE account SET changes = 'x' WHERE id = 'a'")))
    harness.now += HOUR

    with pytest.raises(ValueError, match="invalid literal"):
        await ticker.tick()
    while await ticker.tick():
        pass

    harness.run(lambda tx: tx.execute(text("UPDATE account SET changes = ''")))
    assert harness.deliver() == [("reminded", "b")]


async def test_the_time_is_noted_and_a_clock_that_went_back_is_followed(harness, ticker, capsys):
    harness.poll(signed_out())
    await ticker.note_time({"acme": harness.now}, {"acme": harness.term})
    assert harness.run(lambda tx: workspaces.load(tx, "acme")).last_good_at == harness.now

    harness.now -= 3 * HOUR
    await ticker.note_time({}, {})

    assert "the clock went back" in capsys.readouterr().out
    (incident,) = harness.run(lambda tx: incidents.load_open(tx, "acme")).values()
    assert incident.next_due_at == harness.now + HOUR


async def test_what_is_kept_long_enough_is_forgotten(harness, ticker):
    harness.poll(signed_out())
    harness.deliver()
    harness.poll(listed_account())
    harness.deliver()
    harness.now += Duration.parse("181d")

    await ticker.prune()

    assert harness.states() == []


async def test_reminders_due_together_are_one_message(store):
    harness = StoreHarness(store)
    ticker = make_ticker(harness)
    accounts = [signed_out(f"a{n}") for n in range(20)]
    harness.poll(*accounts)
    harness.deliver()
    harness.now += HOUR

    while await ticker.tick():
        pass

    assert len(harness.deliver()) == 20
    assert harness.deliver() is None


async def test_after_a_start_reminders_wait_for_a_look_at_the_workspace(harness, ticker):
    harness.poll(signed_out())
    harness.deliver()
    harness.now += HOUR
    harness.current = False

    while await ticker.tick():
        pass

    assert harness.deliver() is None
    harness.current = True
    harness.now += MINUTE
    await ticker.tick()
    assert harness.deliver() == [("reminded", "a1")]


async def test_a_workspace_that_left_the_configuration_is_not_reminded_of(store):
    harness = StoreHarness(store)
    ticker = make_ticker(harness, watched=False)
    harness.poll(signed_out())
    harness.deliver()
    harness.now += HOUR

    while await ticker.tick():
        pass

    assert harness.deliver() is None


def leave(harness):
    harness.run(lambda tx: workspaces.detach(tx, (), harness.now))


async def test_a_workspace_that_comes_back_at_the_last_moment_is_not_ended(store):
    harness = StoreHarness(store)
    ticker = make_ticker(harness, watched=False)
    harness.poll(signed_out())
    leave(harness)
    harness.now += DAY

    name = harness.run(lambda tx: workspaces.long_detached(tx, harness.now))
    harness.run(lambda tx: workspaces.attach(tx, name))
    recorded = harness.run(lambda tx: ticker._end(tx, name, harness.now))

    assert recorded == Recorded(Decision())
    assert len(harness.run(lambda tx: incidents.load_open(tx, "acme"))) == 1


async def test_a_database_that_fails_puts_off_no_reminder(store):
    harness = StoreHarness(store)
    ticker = make_ticker(harness)
    harness.poll(signed_out())
    harness.deliver()
    harness.now += HOUR
    with failing_writes(store, "notification"), pytest.raises(StoreError):
        await ticker.tick()

    assert await ticker.tick()

    assert harness.deliver() == [("reminded", "a1")]


async def test_a_reminder_that_the_database_refuses_does_not_keep_others_from_theirs(store):
    harness = StoreHarness(store)
    ticker = make_ticker(harness)
    harness.poll(signed_out("refused"), signed_out("fine"), listed_account("ok"))
    harness.deliver()
    harness.deliver()
    harness.now += HOUR
    refusing = """
    CREATE TRIGGER refuse BEFORE INSERT ON event
    WHEN NEW.type = 'reminded' AND NEW.account_id = 'refused'
    BEGIN SELECT RAISE(ABORT, 'refused'); END
    """
    store.run_now(lambda tx: tx.exec_driver_sql(refusing))

    with pytest.raises(StoreError, match="refused"):
        await ticker.tick()

    assert harness.deliver() == [("reminded", "fine")]


async def test_a_day_after_a_workspace_left_exactly_who_heard_is_told_once(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True})
    ticker = make_ticker(harness, watched=False)
    harness.poll(listed_account("ok"), signed_out("out"))
    harness.deliver("slack")
    leave(harness)
    harness.inventory = Inventory({})
    harness.now += DAY - 1
    assert not await ticker.unwatch()
    harness.now += 1

    assert await ticker.unwatch()
    assert not await ticker.unwatch()

    assert harness.deliver("slack") == [("resolved", "out")]
    assert harness.deliver("slack") is None
    assert harness.deliver("mail") is None
    assert ("mail", "opened", "cancelled", "unwatched") in harness.states()
    assert harness.run(lambda tx: workspaces.load(tx, "acme")) == Workspace("acme")
    assert harness.run(lambda tx: incidents.load_open(tx, "acme")) == {}


async def test_the_blindness_of_a_workspace_that_left_ends_too(harness):
    ticker = make_ticker(harness, watched=False)
    harness.observe(REJECTED)
    harness.observe(REJECTED)
    harness.deliver()
    leave(harness)
    harness.now += DAY

    assert await ticker.unwatch()

    assert harness.deliver() == [("resolved", None)]


async def test_a_workspace_that_came_back_in_time_is_not_ended(harness, ticker):
    harness.poll(signed_out())
    harness.deliver()
    leave(harness)
    harness.run(lambda tx: workspaces.attach(tx, "acme"))
    harness.now += 3 * DAY

    assert not await ticker.unwatch()
    assert harness.deliver() is None


async def test_a_workspace_that_comes_back_later_is_looked_at_as_for_the_first_time(harness):
    ticker = make_ticker(harness, watched=False)
    harness.poll(listed_account("a"), signed_out("b"))
    harness.deliver()
    leave(harness)
    harness.now += DAY
    await ticker.unwatch()
    harness.deliver()

    harness.workspace, harness.term = harness.run(lambda tx: workspaces.attach(tx, "acme"))
    recorded = harness.poll(listed_account("a"), signed_out("b"))

    assert recorded.decision.baseline
    assert harness.deliver() == [("opened", "b")]


async def test_each_workspace_that_left_ends_on_its_own(harness):
    ticker = make_ticker(harness, watched=False)
    harness.poll(signed_out("old"))
    leave(harness)
    harness.workspace, harness.term = harness.run(lambda tx: workspaces.attach(tx, "beta"))
    harness.poll(signed_out("new"), after=HOUR)
    leave(harness)
    harness.now += DAY - HOUR

    assert await ticker.unwatch()
    assert not await ticker.unwatch()
    harness.now += HOUR
    assert await ticker.unwatch()


async def test_a_workspace_that_cannot_be_ended_does_not_keep_others_from_it(harness):
    ticker = make_ticker(harness, watched=False)
    harness.poll(signed_out("broken"))
    leave(harness)
    harness.workspace, harness.term = harness.run(lambda tx: workspaces.attach(tx, "beta"))
    harness.poll(signed_out("fine"), after=HOUR)
    leave(harness)
    harness.now += DAY
    harness.run(
        lambda tx: tx.exec_driver_sql("UPDATE account SET changes = '?' WHERE id = 'broken'")
    )

    with pytest.raises(ValueError, match="invalid literal"):
        await ticker.unwatch()

    assert await ticker.unwatch()
    assert set(harness.run(lambda tx: incidents.load_open(tx, "acme"))) != set()
    assert harness.run(lambda tx: incidents.load_open(tx, "beta")) == {}
    harness.run(lambda tx: tx.exec_driver_sql("UPDATE account SET changes = ''"))
    harness.now += HOUR
    assert await ticker.unwatch()


async def test_an_end_that_could_not_be_recorded_is_recorded_later(harness):
    ticker = make_ticker(harness, watched=False)
    harness.poll(signed_out())
    harness.deliver()
    leave(harness)
    harness.now += DAY
    with failing_writes(harness.store, "event"), pytest.raises(StoreError):
        await ticker.unwatch()

    assert await ticker.unwatch()
    assert harness.deliver() == [("resolved", "a1")]


async def test_a_detached_workspace_is_not_reminded_of_and_is_again_once_it_is_back(
    harness, ticker
):
    harness.poll(signed_out())
    harness.deliver()
    leave(harness)
    harness.now += 2 * HOUR
    assert not await ticker.tick()

    harness.run(lambda tx: workspaces.attach(tx, "acme"))
    while await ticker.tick():
        pass

    assert harness.deliver() == [("reminded", "a1")]
    assert harness.deliver() is None


async def test_a_monitor_that_was_taken_over_notices_even_if_nothing_happens(harness, ticker):
    harness.run(lambda tx: workspaces.attach(tx, "acme"))

    with pytest.raises(LeaseLostError):
        await ticker.note_time({"acme": harness.now}, {"acme": harness.term})
