"""What time alone brings."""

from dataclasses import replace

import pytest
from harness.core import HOUR, MINUTE, REJECTED, listed_account, make_recorder, signed_out
from harness.faults import failing_writes, locked
from harness.leases import REPLICA, hold, live
from harness.store import DAY, StoreHarness
from sqlalchemy import text

from monitor.core.draft import Decision
from monitor.core.duration import Duration
from monitor.core.inventory import Inventory
from monitor.core.model import Workspace
from monitor.store import incidents, leases, workspaces
from monitor.store.db import LeaseLostError, StoreError
from monitor.work import tick
from monitor.work.record import Recorded
from monitor.work.tick import Ticker, TickRules


@pytest.fixture
def harness(store):
    return StoreHarness(store, receivers={"slack": True, "mail": True})


@pytest.fixture
def ticker(harness):
    rules = TickRules(
        harness.rules.policy,
        harness.rules.routing,
        keep=Duration.parse("180d"),
    )
    recorder = make_recorder(harness, {"slack": "slack"})
    return Ticker(rules, recorder, term_of=lambda _: harness.term)


def sign_out(harness, *ids):
    """Sign accounts out; people are told of it, and an hour later reminders are due."""
    harness.poll(*map(signed_out, ids or ["a1"]))
    harness.deliver_all()
    harness.now += HOUR


async def tick_all(ticker):
    while await ticker.tick():
        pass


def open_incidents(harness, workspace="acme"):
    return harness.run(lambda tx: incidents.load_open(tx, workspace))


async def test_nothing_is_due_at_first(harness, ticker):
    harness.poll(signed_out())
    await tick_all(ticker)
    assert harness.deliver_all() == [[("opened", "a1")]]

    assert not await ticker.tick()


async def test_while_nothing_is_due_nothing_waits_for_who_writes(harness, ticker):
    await tick_all(ticker)
    with locked(harness.store):
        assert not await ticker.tick()
        assert not await ticker.unwatch()


@pytest.mark.parametrize(("remind_max", "events"), [(20, ["reminded"]), (0, [])])
async def test_reminders_begin_once_the_configuration_has_steps(
    harness, ticker, monkeypatch, remind_max, events
):
    monkeypatch.setattr(tick, "MAX_DUE", 1)
    policy = harness.rules.policy
    harness.rules = replace(harness.rules, policy=replace(policy, remind=()))
    ticker.rules = replace(ticker.rules, policy=harness.rules.policy)
    sign_out(harness, "a1", "a2")
    await tick_all(ticker)

    ticker.rules = replace(ticker.rules, policy=replace(policy, remind_max=remind_max))
    await tick_all(ticker)
    assert harness.deliver_all() == []
    harness.now += HOUR
    await tick_all(ticker)

    assert [event for message in harness.deliver_all() for event, _ in message] == events * 2


async def test_reminders_that_ended_go_on_where_they_were_if_more_are_configured(harness, ticker):
    policy = replace(harness.rules.policy, remind=(MINUTE, HOUR), remind_max=1)
    harness.rules = replace(harness.rules, policy=policy)
    ticker.rules = replace(ticker.rules, policy=policy)
    sign_out(harness)
    await tick_all(ticker)

    ticker.rules = replace(ticker.rules, policy=replace(policy, remind_max=9))
    await tick_all(ticker)

    (incident,) = open_incidents(harness).values()
    assert (incident.reminders, incident.next_due_at) == (1, harness.now + HOUR)


async def test_who_is_acknowledged_or_at_the_end_of_the_reminders_stays_so(harness, ticker):
    sign_out(harness, "a1")
    harness.run(lambda tx: tx.execute(text("UPDATE incident SET next_due_at = NULL")))
    harness.run(lambda tx: tx.execute(text("UPDATE incident SET acknowledged_at = 1")))

    await tick_all(ticker)

    (incident,) = open_incidents(harness).values()
    assert incident.next_due_at is None


@pytest.mark.parametrize(
    "late", [0, pytest.param(9 * DAY, marks=pytest.mark.case("host asleep for days"))]
)
@pytest.mark.pain("reminders out of their rhythm")
async def test_a_reminder_is_told_once_however_long_it_has_been_due(harness, ticker, late):
    sign_out(harness)
    harness.poll(signed_out(), after=late)

    assert await ticker.tick()
    assert not await ticker.tick()

    assert harness.deliver_all() == [[("reminded", "a1")]]


@pytest.mark.case("reminders due together")
async def test_reminders_due_together_are_one_message(harness, ticker):
    sign_out(harness, *(f"a{number}" for number in range(20)))

    await tick_all(ticker)

    assert [len(message) for message in harness.deliver_all()] == [20]


@pytest.mark.odd_input("session expires before a reminder")
async def test_a_reminder_carries_the_link_of_its_moment(harness, ticker):
    sign_out(harness)
    link = "https://app.linkedapi.io/connection/fresh"
    harness.poll(signed_out(link=link))

    assert await ticker.tick()

    (notification,) = harness.claim().message.notifications
    assert notification.event == "reminded"
    assert notification.link.reveal() == link


async def test_an_opening_that_waits_needs_no_reminder_beside_it(harness, ticker):
    harness.poll(signed_out())
    harness.now += HOUR

    await ticker.tick()

    assert harness.deliver_all() == [[("opened", "a1")]]


@pytest.mark.case("reminder due while the workspace is blind")
async def test_a_reminder_due_while_the_workspace_fails_is_held_until_the_next_good_poll(
    harness, ticker
):
    sign_out(harness)
    harness.observe(REJECTED)

    await tick_all(ticker)
    assert harness.deliver() is None
    harness.poll(signed_out())
    await ticker.tick()

    assert harness.deliver() == [("reminded", "a1")]


@pytest.mark.case("start, or the host slept")
async def test_after_a_start_reminders_wait_for_a_look_at_the_workspace(harness, ticker):
    sign_out(harness)
    harness.attach()

    await tick_all(ticker)

    assert harness.deliver() is None
    harness.poll(signed_out())
    await ticker.tick()
    assert harness.deliver() == [("reminded", "a1")]


async def test_a_recovery_before_the_reminder_leaves_none(harness, ticker):
    sign_out(harness)
    harness.poll(listed_account())

    assert not await ticker.tick()
    assert harness.deliver() == [("resolved", "a1")]


async def test_a_blind_workspace_is_reminded_of_too(harness, ticker):
    harness.observe(REJECTED)
    harness.observe(REJECTED)
    harness.deliver()
    harness.now += HOUR

    await ticker.tick()

    assert harness.deliver() == [("reminded", None)]


# ── what fails ───────────────────────────────────────────────────────────────────────────────────


async def test_an_incident_that_makes_us_fail_lets_the_others_have_their_turn(harness, ticker):
    sign_out(harness, "a", "b")
    harness.run(lambda tx: tx.execute(text("UPDATE account SET changes = 'x' WHERE id = 'a'")))

    with pytest.raises(ValueError, match="invalid literal"):
        await ticker.tick()
    await tick_all(ticker)

    harness.run(lambda tx: tx.execute(text("UPDATE account SET changes = ''")))
    assert harness.deliver() == [("reminded", "b")]


async def test_a_database_that_fails_puts_off_no_reminder(harness, ticker):
    sign_out(harness)
    with failing_writes(harness.store, "notification"), pytest.raises(StoreError):
        await ticker.tick()

    assert await ticker.tick()

    assert harness.deliver() == [("reminded", "a1")]


async def test_a_reminder_that_the_database_refuses_does_not_keep_others_from_theirs(
    harness, ticker
):
    sign_out(harness, "refused", "fine")
    refusing = """
    CREATE TRIGGER refuse BEFORE INSERT ON event
    WHEN NEW.type = 'reminded' AND NEW.account_id = 'refused'
    BEGIN SELECT RAISE(ABORT, 'refused'); END
    """
    harness.run(lambda tx: tx.exec_driver_sql(refusing))

    with pytest.raises(StoreError, match="refused"):
        await ticker.tick()

    assert harness.deliver() == [("reminded", "fine")]


async def test_a_monitor_that_was_taken_over_notices_even_if_nothing_happens(harness, ticker):
    harness.run(lambda tx: leases.leave(tx, REPLICA))

    with pytest.raises(LeaseLostError):
        await ticker.note_time()


async def test_a_monitor_that_was_taken_over_reminds_nobody(harness, ticker):
    sign_out(harness)
    ticker.term_of = lambda _: harness.term - 1

    with pytest.raises(LeaseLostError):
        await ticker.tick()

    assert harness.deliver() is None
    ticker.term_of = lambda _: harness.term
    assert await ticker.tick(), "nor is the reminder put off"
    assert harness.deliver() == [("reminded", "a1")]


async def test_what_is_due_in_a_workspace_that_is_not_ours_is_left_alone(harness, ticker):
    sign_out(harness)
    ticker.term_of = lambda _: None

    assert not await ticker.tick()

    assert harness.deliver() is None


async def test_a_workspace_that_is_not_ours_does_not_hold_up_what_is_due_elsewhere(harness, ticker):
    sign_out(harness, "theirs")
    terms = {"acme": harness.term}
    harness.run(lambda tx: leases.release(tx, REPLICA, terms, {}, harness.now))
    harness.run(lambda tx: live(tx, "other"))
    harness.run(lambda tx: hold(tx, "acme", replica="other", now=harness.now))
    harness.attach("beta")
    sign_out(harness, "ours")

    assert await ticker.tick()
    assert not await ticker.tick()

    assert harness.deliver() == [("reminded", "ours")]


@pytest.mark.parametrize("why", ["failing", "not looked at"])
async def test_what_is_held_is_not_touched_until_a_poll_lets_it_go(harness, ticker, why):
    assert not await ticker.tick()  # it plans, once
    sign_out(harness)
    if why == "failing":
        harness.observe(REJECTED)
    else:
        harness.attach()
    with failing_writes(harness.store):
        assert not await ticker.tick()

    harness.poll(signed_out())

    assert await ticker.tick()
    assert harness.deliver() == [("reminded", "a1")]


async def test_a_workspace_is_reminded_of_its_blindness_while_it_lasts(harness, ticker):
    harness.observe(REJECTED)
    harness.observe(REJECTED)
    harness.deliver_all()
    harness.now += HOUR

    assert await ticker.tick()

    assert harness.deliver() == [("reminded", None)]


# ── the clock, and what is kept ──────────────────────────────────────────────────────────────────


async def test_the_time_is_noted_and_a_clock_that_went_back_is_followed(harness, ticker, capsys):
    harness.poll(signed_out())
    await ticker.note_time()

    harness.now -= 3 * HOUR
    assert await ticker.note_time() == 3 * HOUR

    assert "the clock went back" in capsys.readouterr().out
    (incident,) = open_incidents(harness).values()
    assert incident.next_due_at == harness.now + HOUR


async def test_what_is_kept_long_enough_is_deleted(harness, ticker):
    sign_out(harness)
    harness.poll(listed_account())
    harness.deliver_all()
    harness.deliver_all("mail")
    harness.now += 181 * DAY

    await ticker.prune()

    assert harness.states() == []


# ── workspaces that left the configuration ───────────────────────────────────────────────────────


@pytest.mark.case("workspace removed")
async def test_a_day_after_a_workspace_left_exactly_who_heard_is_told_once(harness, ticker):
    harness.poll(listed_account("ok"), signed_out("out"))
    harness.deliver("slack")
    harness.detach()
    harness.inventory = Inventory({})
    harness.now += DAY - 1
    assert not await ticker.unwatch()
    harness.now += 1

    woken = []
    ticker.recorder = make_recorder(harness, {"slack": "slack"}, wake=woken.extend)

    assert await ticker.unwatch()
    assert not await ticker.unwatch()

    assert "slack" in woken
    assert harness.deliver_all("slack") == [[("resolved", "out")]]
    assert harness.deliver("mail") is None
    assert ("mail", "opened", "cancelled", "unwatched") in harness.states()
    ended = harness.run(lambda tx: workspaces.load(tx, "acme"))
    assert replace(ended, removed={}) == Workspace("acme")
    assert open_incidents(harness) == {}


async def test_a_workspace_that_comes_back_at_the_last_moment_is_not_ended(harness, ticker):
    harness.poll(signed_out())
    harness.detach()
    harness.now += DAY

    name = harness.run(lambda tx: workspaces.long_detached(tx, harness.now))
    harness.attach(name)
    recorded = harness.run(lambda tx: ticker._end(tx, name, harness.now))

    assert recorded == Recorded(Decision())
    assert len(open_incidents(harness)) == 1


async def test_a_workspace_that_cannot_be_ended_does_not_keep_others_from_it(harness, ticker):
    harness.poll(signed_out("a"))
    harness.detach()
    harness.attach("beta")
    harness.poll(signed_out("b"), after=HOUR)
    harness.detach()
    harness.now += DAY
    harness.run(lambda tx: tx.execute(text("UPDATE account SET changes = '?' WHERE id = 'a'")))

    with pytest.raises(ValueError, match="invalid literal"):
        await ticker.unwatch()

    assert await ticker.unwatch()
    assert open_incidents(harness) != {}
    assert open_incidents(harness, "beta") == {}
    harness.run(lambda tx: tx.execute(text("UPDATE account SET changes = ''")))
    harness.now += HOUR
    assert await ticker.unwatch()


async def test_an_end_that_could_not_be_recorded_is_recorded_later(harness, ticker):
    sign_out(harness)
    harness.detach()
    harness.inventory = Inventory({})
    harness.now += DAY
    with failing_writes(harness.store, "event"), pytest.raises(StoreError):
        await ticker.unwatch()

    assert await ticker.unwatch()
    assert harness.deliver() == [("resolved", "a1")]
