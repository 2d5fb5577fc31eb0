"""What time alone brings."""

import pytest
from desk import Desk
from factories import HOUR, MINUTE, REJECTED, listed_account, signed_out
from sqlalchemy import text

from monitor import __version__
from monitor.core.duration import Duration
from monitor.core.inventory import Inventory
from monitor.core.model import Workspace
from monitor.core.runtime import Runtime
from monitor.metrics import Metrics
from monitor.store import attachment, state
from monitor.store.claims import View
from monitor.store.db import LeaseLostError, StoreError
from monitor.store.outbox import Enqueued
from monitor.work.tick import Ticker, TickRules

DAY = Duration.parse("24h")


@pytest.fixture
def ticker(desk):
    return make_ticker(desk)


def make_ticker(desk, *, watched=True):
    metrics = Metrics(version=__version__)
    metrics.declare(workspaces=["acme"], receivers={"slack": "slack"})
    rules = TickRules(
        desk.rules.policy,
        desk.rules.routing,
        View(Inventory({"acme": {}} if watched else {}), lambda _: watched and desk.current),
        Duration.parse("180d"),
    )
    return Ticker(
        rules=rules,
        store=desk.store,
        metrics=metrics,
        runtime=Runtime(
            now=lambda: desk.now,
            monotonic=lambda: 0.0,
            jitter=lambda: 0.0,
            new_id=desk.new_id,
        ),
    )


async def test_nothing_is_due_at_first(desk, ticker):
    desk.poll(signed_out())

    assert not await ticker.tick()


async def test_a_reminder_is_told_when_it_is_due_and_only_once(desk, ticker):
    desk.poll(signed_out())
    desk.deliver()
    desk.now += HOUR

    assert await ticker.tick()
    assert not await ticker.tick()

    assert desk.deliver() == [("reminded", "a1")]
    assert desk.deliver() is None


async def test_after_days_asleep_overdue_reminders_are_one(desk, ticker):
    desk.poll(signed_out())
    desk.deliver()
    desk.now += Duration.parse("9d")

    while await ticker.tick():
        pass

    assert desk.deliver() == [("reminded", "a1")]
    assert desk.deliver() is None


async def test_an_opening_that_waits_needs_no_reminder_beside_it(desk, ticker):
    desk.poll(signed_out())
    desk.now += HOUR

    await ticker.tick()

    assert desk.deliver() == [("opened", "a1")]
    assert desk.deliver() is None


async def test_a_reminder_due_while_the_workspace_fails_is_held_until_the_next_good_poll(
    desk, ticker
):
    desk.poll(signed_out())
    desk.deliver()
    desk.observe(REJECTED, after=HOUR)

    assert await ticker.tick()
    assert desk.deliver() is None
    desk.poll(signed_out(), after=MINUTE)
    await ticker.tick()

    assert desk.deliver() == [("reminded", "a1")]


async def test_a_recovery_before_the_reminder_leaves_none(desk, ticker):
    desk.poll(signed_out())
    desk.deliver()
    desk.poll(listed_account(), after=HOUR)

    assert not await ticker.tick()
    assert desk.deliver() == [("resolved", "a1")]


async def test_a_blind_workspace_is_reminded_of_too(desk, ticker):
    desk.observe(REJECTED)
    desk.observe(REJECTED)
    desk.deliver()
    desk.now += HOUR

    await ticker.tick()

    assert desk.deliver() == [("reminded", None)]


async def test_an_incident_that_makes_us_fail_lets_the_others_have_their_turn(store):
    desk = Desk(store)
    ticker = make_ticker(desk)
    desk.poll(signed_out("a"), signed_out("b"))
    desk.deliver()
    desk.run(lambda tx: tx.execute(text("UPDATE account SET changes = 'x' WHERE id = 'a'")))
    desk.now += HOUR

    with pytest.raises(ValueError, match="invalid literal"):
        await ticker.tick()
    while await ticker.tick():
        pass

    desk.run(lambda tx: tx.execute(text("UPDATE account SET changes = ''")))
    assert desk.deliver() == [("reminded", "b")]


async def test_the_time_is_noted_and_a_clock_that_went_back_is_followed(desk, ticker, capsys):
    desk.poll(signed_out())
    await ticker.note_time({"acme": desk.now}, {"acme": desk.term})
    assert desk.run(lambda tx: state.load(tx, "acme")).last_good_at == desk.now

    desk.now -= 3 * HOUR
    await ticker.note_time({}, {})

    assert "the clock went back" in capsys.readouterr().out
    (incident,) = desk.run(lambda tx: state.open_incidents(tx, "acme")).values()
    assert incident.next_due_at == desk.now + HOUR


async def test_what_is_kept_long_enough_is_forgotten(desk, ticker):
    desk.poll(signed_out())
    desk.deliver()
    desk.poll(listed_account())
    desk.deliver()
    desk.now += Duration.parse("181d")

    await ticker.prune()

    assert desk.states() == []


async def test_reminders_due_together_are_one_message(store):
    desk = Desk(store)
    ticker = make_ticker(desk)
    accounts = [signed_out(f"a{n}") for n in range(20)]
    desk.poll(*accounts)
    desk.deliver()
    desk.now += HOUR

    while await ticker.tick():
        pass

    assert len(desk.deliver()) == 20
    assert desk.deliver() is None


async def test_after_a_start_reminders_wait_for_a_look_at_the_workspace(desk, ticker):
    desk.poll(signed_out())
    desk.deliver()
    desk.now += HOUR
    desk.current = False

    while await ticker.tick():
        pass

    assert desk.deliver() is None
    desk.current = True
    desk.now += MINUTE
    await ticker.tick()
    assert desk.deliver() == [("reminded", "a1")]


async def test_a_workspace_that_left_the_configuration_is_not_reminded_of(store):
    desk = Desk(store)
    ticker = make_ticker(desk, watched=False)
    desk.poll(signed_out())
    desk.deliver()
    desk.now += HOUR

    while await ticker.tick():
        pass

    assert desk.deliver() is None


def leave(desk):
    desk.run(lambda tx: attachment.detach(tx, (), desk.now))


async def test_a_workspace_that_comes_back_at_the_last_moment_is_not_ended(store):
    desk = Desk(store)
    ticker = make_ticker(desk, watched=False)
    desk.poll(signed_out())
    leave(desk)
    desk.now += DAY

    name = desk.run(lambda tx: attachment.long_detached(tx, desk.now))
    desk.run(lambda tx: attachment.attach(tx, name))
    events, told = desk.run(lambda tx: ticker._end(tx, name, desk.now))

    assert (events, told) == ((), Enqueued())
    assert len(desk.run(lambda tx: state.open_incidents(tx, "acme"))) == 1


async def test_a_database_that_fails_puts_off_no_reminder(store):
    desk = Desk(store)
    ticker = make_ticker(desk)
    desk.poll(signed_out())
    desk.deliver()
    desk.now += HOUR
    store.run_now(lambda tx: tx.exec_driver_sql("ALTER TABLE notification RENAME TO broken"))
    with pytest.raises(StoreError):
        await ticker.tick()
    store.run_now(lambda tx: tx.exec_driver_sql("ALTER TABLE broken RENAME TO notification"))

    assert await ticker.tick()

    assert desk.deliver() == [("reminded", "a1")]


async def test_a_reminder_that_the_database_refuses_does_not_keep_others_from_theirs(store):
    desk = Desk(store)
    ticker = make_ticker(desk)
    desk.poll(signed_out("refused"), signed_out("fine"), listed_account("ok"))
    desk.deliver()
    desk.deliver()
    desk.now += HOUR
    refusing = """
    CREATE TRIGGER refuse BEFORE INSERT ON event
    WHEN NEW.type = 'reminded' AND NEW.account_id = 'refused'
    BEGIN SELECT RAISE(ABORT, 'refused'); END
    """
    store.run_now(lambda tx: tx.exec_driver_sql(refusing))

    with pytest.raises(StoreError, match="refused"):
        await ticker.tick()

    assert desk.deliver() == [("reminded", "fine")]


async def test_a_day_after_a_workspace_left_exactly_who_heard_is_told_once(store):
    desk = Desk(store, receivers={"slack": True, "mail": True})
    ticker = make_ticker(desk, watched=False)
    desk.poll(listed_account("ok"), signed_out("out"))
    desk.deliver("slack")
    leave(desk)
    desk.watched = False
    desk.now += DAY - 1
    assert not await ticker.unwatch()
    desk.now += 1

    assert await ticker.unwatch()
    assert not await ticker.unwatch()

    assert desk.deliver("slack") == [("resolved", "out")]
    assert desk.deliver("slack") is None
    assert desk.deliver("mail") is None
    assert ("mail", "opened", "cancelled", "unwatched") in desk.states()
    assert desk.run(lambda tx: state.load(tx, "acme")) == Workspace("acme")
    assert desk.run(lambda tx: state.open_incidents(tx, "acme")) == {}


async def test_the_blindness_of_a_workspace_that_left_ends_too(desk):
    ticker = make_ticker(desk, watched=False)
    desk.observe(REJECTED)
    desk.observe(REJECTED)
    desk.deliver()
    leave(desk)
    desk.now += DAY

    assert await ticker.unwatch()

    assert desk.deliver() == [("resolved", None)]


async def test_a_workspace_that_came_back_in_time_is_not_ended(desk, ticker):
    desk.poll(signed_out())
    desk.deliver()
    leave(desk)
    desk.run(lambda tx: attachment.attach(tx, "acme"))
    desk.now += 3 * DAY

    assert not await ticker.unwatch()
    assert desk.deliver() is None


async def test_a_workspace_that_comes_back_later_is_looked_at_as_for_the_first_time(desk):
    ticker = make_ticker(desk, watched=False)
    desk.poll(listed_account("a"), signed_out("b"))
    desk.deliver()
    leave(desk)
    desk.now += DAY
    await ticker.unwatch()
    desk.deliver()

    desk.workspace, desk.term = desk.run(lambda tx: attachment.attach(tx, "acme"))
    recorded = desk.poll(listed_account("a"), signed_out("b"))

    assert recorded.decision.baseline
    assert desk.deliver() == [("opened", "b")]


async def test_each_workspace_that_left_ends_on_its_own(desk):
    ticker = make_ticker(desk, watched=False)
    desk.poll(signed_out("old"))
    leave(desk)
    desk.workspace, desk.term = desk.run(lambda tx: attachment.attach(tx, "beta"))
    desk.poll(signed_out("new"), after=HOUR)
    leave(desk)
    desk.now += DAY - HOUR

    assert await ticker.unwatch()
    assert not await ticker.unwatch()
    desk.now += HOUR
    assert await ticker.unwatch()


async def test_a_workspace_that_cannot_be_ended_does_not_keep_others_from_it(desk):
    ticker = make_ticker(desk, watched=False)
    desk.poll(signed_out("broken"))
    leave(desk)
    desk.workspace, desk.term = desk.run(lambda tx: attachment.attach(tx, "beta"))
    desk.poll(signed_out("fine"), after=HOUR)
    leave(desk)
    desk.now += DAY
    desk.run(lambda tx: tx.exec_driver_sql("UPDATE account SET changes = '?' WHERE id = 'broken'"))

    with pytest.raises(ValueError, match="invalid literal"):
        await ticker.unwatch()

    assert await ticker.unwatch()
    assert set(desk.run(lambda tx: state.open_incidents(tx, "acme"))) != set()
    assert desk.run(lambda tx: state.open_incidents(tx, "beta")) == {}
    desk.run(lambda tx: tx.exec_driver_sql("UPDATE account SET changes = ''"))
    desk.now += HOUR
    assert await ticker.unwatch()


async def test_an_end_that_could_not_be_recorded_is_recorded_later(desk):
    ticker = make_ticker(desk, watched=False)
    desk.poll(signed_out())
    desk.deliver()
    leave(desk)
    desk.now += DAY
    desk.run(lambda tx: tx.exec_driver_sql("ALTER TABLE event RENAME TO gone"))
    with pytest.raises(StoreError):
        await ticker.unwatch()
    desk.run(lambda tx: tx.exec_driver_sql("ALTER TABLE gone RENAME TO event"))

    assert await ticker.unwatch()
    assert desk.deliver() == [("resolved", "a1")]


async def test_a_detached_workspace_is_not_reminded_of_and_is_again_once_it_is_back(desk, ticker):
    desk.poll(signed_out())
    desk.deliver()
    leave(desk)
    desk.now += 2 * HOUR
    assert not await ticker.tick()

    desk.run(lambda tx: attachment.attach(tx, "acme"))
    while await ticker.tick():
        pass

    assert desk.deliver() == [("reminded", "a1")]
    assert desk.deliver() is None


async def test_a_monitor_that_was_taken_over_notices_even_if_nothing_happens(desk, ticker):
    desk.run(lambda tx: attachment.attach(tx, "acme"))

    with pytest.raises(LeaseLostError):
        await ticker.note_time({"acme": desk.now}, {"acme": desk.term})
