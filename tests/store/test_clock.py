"""A clock that goes back brings along what is due, and loses nothing."""

import pytest
from harness.core import HOUR, MINUTE, NOON, frozen, signed_out
from harness.leases import REPLICA, live
from harness.store import DAY, LEASE, REFUSED
from sqlalchemy import text

from monitor.core.backoff import UNANSWERED_WAIT
from monitor.store import clock, incidents, workspaces
from monitor.store.clock import MIN_STEP


def set_clock(harness):
    return harness.run(lambda tx: clock.set_clock(tx, REPLICA, harness.now))


@pytest.mark.case("clock back")
@pytest.mark.odd_input("clock jumps")
def test_a_clock_that_went_back_brings_along_what_is_due(harness):
    harness.poll(signed_out())
    set_clock(harness)
    (incident,) = harness.run(lambda tx: incidents.load_open(tx, "acme")).values()

    step = harness.run(lambda tx: clock.set_clock(tx, REPLICA, harness.now - 5 * HOUR))

    assert step == 5 * HOUR
    moved = harness.run(lambda tx: incidents.load(tx, incident.id))
    assert moved.next_due_at == incident.next_due_at - 5 * HOUR
    harness.now -= 5 * HOUR
    assert harness.deliver() == [("opened", "a1")]


def test_a_clock_that_goes_on_moves_nothing(store):
    store.run_now(live)
    assert store.run_now(lambda tx: clock.set_clock(tx, REPLICA, NOON)) == 0
    assert store.run_now(lambda tx: clock.set_clock(tx, REPLICA, NOON + HOUR)) == 0


def test_a_clock_that_went_back_a_little_moves_nothing(harness):
    harness.poll(signed_out())
    harness.deliver(error=REFUSED)
    set_clock(harness)
    due = "SELECT next_attempt_at FROM message"
    before = harness.column(due)

    harness.now -= MIN_STEP - 1

    assert set_clock(harness) == 0
    assert harness.column(due) == before


def test_a_clock_that_went_back_goes_on_from_there(harness):
    harness.now += MINUTE
    set_clock(harness)
    harness.now -= HOUR

    assert set_clock(harness) == HOUR
    assert set_clock(harness) == 0


def test_a_receiver_is_left_alone_no_longer_for_a_clock_that_went_back(harness):
    harness.poll(signed_out("a1"), frozen("a2"))
    for _ in range(2):
        harness.deliver(error=REFUSED, after=HOUR)
    set_clock(harness)
    left_alone = harness.claim().next_at - harness.now

    harness.now -= HOUR
    set_clock(harness)

    assert harness.claim().next_at - harness.now == left_alone > 0


def test_a_clock_that_went_back_brings_along_since_when_a_workspace_has_left(harness):
    harness.poll(signed_out())
    set_clock(harness)
    harness.detach()

    harness.now -= 30 * DAY
    set_clock(harness)
    harness.now += DAY

    assert harness.run(lambda tx: workspaces.long_detached(tx, harness.now - DAY)) == "acme"


@pytest.mark.parametrize("is_being_sent", [True, False])
def test_a_change_is_told_although_the_clock_went_back_since_the_opening(harness, is_being_sent):
    harness.poll(signed_out())
    set_clock(harness)
    claimed = harness.claim()
    if not is_being_sent:
        harness.settle(claimed)
    harness.now -= HOUR
    set_clock(harness)
    if is_being_sent:
        harness.settle(claimed)

    harness.poll(frozen())

    assert harness.deliver() == [("changed", "a1")]


def test_a_change_that_waits_when_the_clock_goes_back_is_told(harness):
    harness.poll(signed_out())
    set_clock(harness)
    harness.deliver()
    harness.poll(frozen())
    harness.deliver(error=REFUSED)
    harness.now -= HOUR
    set_clock(harness)

    assert harness.deliver(after=HOUR) == [("changed", "a1")]


def test_what_was_being_sent_when_the_clock_went_back_is_sent_again_once_its_claim_lapses(harness):
    harness.poll(signed_out())
    set_clock(harness)
    harness.claim()
    harness.process = "the next"
    harness.now -= HOUR
    set_clock(harness)

    assert harness.claim().next_at == harness.now + LEASE
    assert harness.deliver(after=LEASE) is None
    assert harness.deliver(after=UNANSWERED_WAIT) == [("opened", "a1")]


@pytest.mark.parametrize("age", [0, 2 * HOUR])
def test_the_deadline_of_what_waits_when_the_clock_goes_back_is_neither_put_off_nor_earlier(
    harness, age
):
    harness.poll(signed_out())
    created_at = harness.now
    harness.now += age
    set_clock(harness)
    harness.now -= HOUR
    set_clock(harness)

    deadline = min(created_at, harness.now) + DAY
    harness.deliver(error=REFUSED, after=deadline - 1 - harness.now)
    assert harness.column("SELECT state FROM message") == ["pending"]
    harness.deliver(error=REFUSED, after=HOUR)
    assert harness.column("SELECT state FROM message") == ["dead"]


def test_a_clock_that_went_back_brings_along_how_long_a_look_is_a_recent_one(harness):
    harness.poll(signed_out())
    set_clock(harness)
    harness.now -= 30 * DAY

    set_clock(harness)

    good_at = "SELECT last_good_at FROM workspace WHERE name = 'acme'"
    assert harness.column(good_at) == [harness.now]
    for later, is_fresh in ((DAY, True), (3 * DAY, False)):
        at = harness.now + later
        assert harness.run(lambda tx, at=at: workspaces.is_fresh(tx, "acme", at)) is is_fresh


def test_no_cause_of_what_is_open_has_begun_in_the_future(harness):
    harness.poll(signed_out())
    harness.poll(frozen(), after=HOUR)
    set_clock(harness)

    harness.now -= DAY
    set_clock(harness)

    begun = harness.column("SELECT cause_since FROM incident")
    assert begun == harness.column("SELECT opened_at FROM incident") == [harness.now]


@pytest.mark.case("Linked API itself is away")
def test_an_outage_that_is_over_holds_nothing_back_though_the_clock_went_back_since(harness):
    outage = """INSERT INTO incident (id, workspace, scope, subject, cause, earlier, detail,
        opened_at, cause_since, resolved_at, reminders) VALUES ('o', '*', 'workspace', 'api',
        'unreachable', '', '', :opened_at, :opened_at, :now, 0)"""
    harness.now += HOUR
    values = {"opened_at": harness.now - HOUR, "now": harness.now}
    harness.run(lambda tx: tx.execute(text(outage), values))
    set_clock(harness)

    harness.now -= DAY
    set_clock(harness)

    others = harness.run(lambda tx: workspaces.load_others(tx, "acme"))
    assert others.outage_ended_at == harness.now
    assert harness.column("SELECT resolved_at - opened_at FROM incident") == [HOUR]
