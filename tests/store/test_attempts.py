"""How receivers that fail are left alone, and what becomes of what waits for them."""

import pytest
from harness.core import (
    HOUR,
    MINUTE,
    frozen,
    signed_out,
)
from harness.store import DAY, REFUSED, TIMEOUT, StoreHarness
from sqlalchemy import text

from monitor.core.backoff import FIRST_BACKOFF, UNANSWERED_WAIT
from monitor.core.duration import Duration
from monitor.store import attempts, outbox


@pytest.fixture
def failing(store):
    """A receiver that has failed twice in a row; four messages wait for it."""
    harness = StoreHarness(store, receivers={"hook": False, "mail": True}, fallback="mail")
    harness.poll(*(frozen(f"a{number}") for number in range(4)))
    harness.deliver("mail")
    assert harness.deliver("hook", error=REFUSED) == [("opened", "a0")]
    assert harness.deliver("hook", error=REFUSED) == [("opened", "a1")]  # it may be the message
    return harness


def expire(harness):
    """Give up what has waited too long behind the receiver."""
    return harness.run(
        lambda tx: attempts.expire(
            tx,
            "hook",
            now=harness.now,
            deadline=DAY,
            fallback=harness.receiver("mail"),
            new_id=harness.new_id,
        )
    )


def test_a_receiver_that_keeps_failing_is_tried_with_one_message_a_pause(failing):
    assert failing.claim("hook").next_at == failing.now + FIRST_BACKOFF
    probe = failing.claim("hook", after=FIRST_BACKOFF)
    assert probe.message.notifications[0].account.id == "a0"
    assert failing.claim("hook").message is None  # while one is on its way
    failing.settle(probe, REFUSED)
    assert failing.claim("hook").next_at == failing.now + FIRST_BACKOFF
    failing.now += MINUTE
    failing.settle(failing.claim("hook"), REFUSED)
    assert failing.claim("hook").next_at == failing.now + MINUTE + FIRST_BACKOFF

    failing.settle(failing.claim("hook", after=2 * MINUTE))  # it is back

    assert len(failing.deliver_all("hook")) == 3
    assert failing.column("SELECT not_before FROM receiver WHERE name = 'hook'") == [None]


SOON = Duration.parse("40s")


def test_what_may_have_arrived_a_moment_ago_is_not_repeated_as_soon_as_a_receiver_is_back(harness):
    harness.poll(signed_out("a"))
    harness.deliver(error=REFUSED)
    assert harness.deliver(error=TIMEOUT, after=SOON) == [("opened", "a")]
    harness.poll(signed_out("a"), signed_out("b"), after=0)

    assert harness.deliver(after=SOON) == [("opened", "b")]

    assert harness.deliver() is None
    assert harness.deliver(after=UNANSWERED_WAIT - SOON) == [("opened", "a")]


def test_a_message_that_a_receiver_fails_on_does_not_hold_up_the_others(failing):
    told = []
    for _ in range(5):
        failing.now += FIRST_BACKOFF
        claimed = failing.claim("hook")
        (notification,) = claimed.message.notifications
        is_poison = notification.account.id == "a0"
        failing.settle(claimed, REFUSED if is_poison else None)
        told += [] if is_poison else [notification.account.id]

    assert told == ["a1", "a2", "a3"]


@pytest.mark.case("host asleep for days")
@pytest.mark.parametrize(("asleep", "dead"), [(0, 3), (2 * DAY, 0)])
def test_what_waits_behind_a_receiver_that_fails_past_its_deadline_dies_with_the_attempts(
    failing, asleep, dead
):
    harness = failing
    if asleep:  # what it failed at before says nothing of today
        harness.settle(harness.claim("hook", after=MINUTE))
        harness.now += asleep
        harness.deliver("hook", error=REFUSED)
    else:
        harness.deliver("hook", error=REFUSED, after=DAY + MINUTE)

    assert [sent.reason for sent in expire(harness)] == ["deadline"] * dead


def test_what_is_being_sent_does_not_die_with_what_waits(failing):
    sending = failing.claim("hook", after=FIRST_BACKOFF)
    failing.deliver("hook", error=REFUSED, after=DAY + MINUTE)

    assert len(expire(failing)) == 2
    (settled,) = failing.settle(sending)
    assert settled.outcome == "delivered"


def test_what_has_waited_longest_dies_first(failing, monkeypatch):
    monkeypatch.setattr(outbox, "MAX_PORTION", 1)
    failing.poll(*(frozen(id_) for id_ in ("a0", "a1", "a2", "a3", "late")), after=HOUR)
    failing.deliver("hook", error=REFUSED, after=2 * DAY)

    assert [len(expire(failing)) for _ in range(3)] == [1, 1, 1]

    waiting = "SELECT subject FROM notification WHERE receiver = 'hook' AND state = 'pending'"
    assert failing.column(waiting) == ["late"]


def test_each_attempt_is_kept_with_its_message(failing):
    failing.deliver("hook", after=MINUTE)

    attempts = failing.run(
        lambda tx: tx.execute(
            text("SELECT number, reason, answer, title FROM attempt ORDER BY at, number")
        ).all()
    )

    assert [tuple(row) for row in attempts if row.title][1:] == [
        (1, "server", "HTTP 500", "title"),
        (1, "server", "HTTP 500", "title"),
        (2, "ok", None, "title"),
    ]
