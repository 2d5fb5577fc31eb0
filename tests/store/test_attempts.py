"""How receivers that fail are left alone, and what becomes of what waits for them."""

from dataclasses import replace

import pytest
from harness.core import (
    HOUR,
    MINUTE,
    frozen,
    listed_account,
    make_routing,
    signed_out,
)
from harness.leases import REPLICA
from harness.store import DAY, GONE, LEASE, REFUSED, TIMEOUT, WRONG, StoreHarness
from sqlalchemy import text

from monitor.core.backoff import FIRST_BACKOFF, UNANSWERED_WAIT
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.notification import Undelivered
from monitor.core.route import Match, Route, Routing
from monitor.store import attempts, undelivered
from monitor.store.undelivered import GROUP_WAIT


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
            REPLICA,
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


# ── refusals that may be of a moment ─────────────────────────────────────────────────────────────

CONFLICT = DeliveryError("HTTP 409", reason=AttemptReason.CLIENT, remedy=Remedy.DROP, doubtful=True)
NOWHERE = replace(GONE, doubtful=True)


STATES = "SELECT state FROM notification ORDER BY position"


def fail(harness, *errors, after=2 * MINUTE):
    """Let the next attempts fail with *errors*; return how the first message fares after each."""
    states = []
    for error in errors:
        assert harness.deliver(error=error, after=after)
        states.append(harness.column(STATES)[0])
    return states


def test_a_message_that_is_said_to_be_wrong_for_a_moment_is_not_dead(harness):
    harness.poll(signed_out("a"))

    assert fail(harness, CONFLICT, CONFLICT) == ["pending"] * 2
    harness.deliver(after=HOUR)

    assert harness.column(STATES) == ["delivered"]


def test_a_message_that_is_said_to_be_wrong_for_minutes_is_dead(harness):
    harness.poll(signed_out("a"))

    assert fail(harness, CONFLICT, CONFLICT, CONFLICT) == ["pending", "pending", "dead"]


def test_another_answer_between_begins_the_minutes_anew(harness):
    harness.poll(signed_out("a"))

    errors = [CONFLICT, REFUSED, CONFLICT, CONFLICT]

    assert fail(harness, *errors, after=HOUR) == ["pending", "pending", "pending", "dead"]


@pytest.mark.case("receiver to be mended")
def test_a_receiver_that_seems_to_be_gone_for_a_moment_need_not_be_mended(store):
    harness = StoreHarness(store, receivers={"hook": False, "mail": True}, fallback="mail")
    harness.poll(*(frozen(f"a{number}") for number in range(4)))

    def fail(error=NOWHERE, *, after):
        """Fail with one message; return it, and whether the receiver has to be mended."""
        ((_, account),) = harness.deliver("hook", error=error, after=after)
        return account, harness.column("SELECT refuses FROM receiver WHERE name = 'hook'")[0]

    assert fail(after=MINUTE) == ("a0", 0)
    assert fail(after=1) == ("a1", 0)
    assert fail(after=2 * MINUTE) == ("a0", 0)
    assert fail(after=5 * MINUTE)[1] == 1  # nothing else for three minutes, of any message
    assert fail(replace(NOWHERE, message="HTTP 410"), after=10 * MINUTE)[1] == 1

    harness.deliver("hook", after=10 * MINUTE)

    assert fail(after=10 * MINUTE)[1] == 0


def test_another_failure_between_puts_off_what_has_to_be_mended(harness):
    harness.poll(signed_out("a"))

    fail(harness, NOWHERE, REFUSED, NOWHERE, after=HOUR)

    assert harness.column("SELECT refuses FROM receiver") == [0]


def lose(harness):
    """Let the next message be claimed, and another process take the send for lost."""
    claimed = harness.claim()
    harness.process += "'s next"
    assert harness.claim(after=LEASE).message is None
    assert harness.heard() == [["slack"]]
    return claimed


@pytest.mark.case("crash between send and settle")
def test_what_was_taken_for_lost_and_is_refused_after_all_was_not_heard(harness):
    harness.poll(signed_out("a"))

    harness.settle(lose(harness), REFUSED)

    assert harness.heard() == [[]]
    harness.poll(listed_account("a"))
    assert harness.deliver_all() == []
    assert harness.column("SELECT unanswered FROM message") == [0]


def test_a_receiver_that_refuses_for_good_what_was_taken_for_lost_hears_of_no_end(store):
    harness = StoreHarness(store, fallback="mail")
    harness.poll(signed_out("a"))
    harness.settle(lose(harness), WRONG)

    harness.poll(listed_account("a"))

    assert harness.deliver_all() == []


@pytest.mark.case("attempt without an answer")
def test_who_may_have_taken_an_earlier_attempt_has_heard_though_the_next_one_is_refused(harness):
    harness.poll(signed_out("a"))
    harness.deliver(error=TIMEOUT)
    harness.now += MINUTE

    harness.settle(lose(harness), REFUSED)

    assert harness.heard() == [["slack"]]
    assert harness.column("SELECT unanswered FROM message") == [1]
    harness.poll(listed_account("a"))
    assert harness.deliver(after=HOUR) == [("resolved", "a")]


@pytest.mark.parametrize(("error", "unanswered"), [(TIMEOUT, 2), (REFUSED, 1)])
def test_the_end_of_a_send_that_is_committed_twice_counts_once(harness, error, unanswered):
    harness.poll(signed_out("a"))
    harness.deliver(error=TIMEOUT)
    claimed = harness.claim(after=MINUTE)
    harness.settle(claimed, error)

    harness.settle(claimed, error)  # the answer to the first commit was lost

    assert harness.column("SELECT unanswered FROM message") == [unanswered]
    assert harness.heard() == [["slack"]]
    harness.poll(listed_account("a"))
    assert harness.deliver(after=HOUR) == [("resolved", "a")]


def test_who_heard_by_an_earlier_message_has_heard_though_a_later_one_is_refused(harness):
    harness.poll(signed_out("a"))
    harness.deliver()
    harness.poll(frozen("a"))

    harness.settle(lose(harness), REFUSED)

    assert harness.heard() == [["slack"]]


def test_who_was_told_meanwhile_of_a_part_of_what_was_taken_for_lost_hears_its_end(store):
    harness = StoreHarness(store, receivers={"chat": True, "slack": True}, group_over=1)
    receivers = harness.rules.routing.receivers
    cold = Route(match=Match(causes=("frozen",)), to=("slack",))
    routing = Routing(receivers, (cold, Route(to=("chat",))))
    harness.rules = replace(harness.rules, routing=routing)
    harness.poll(signed_out("a"), signed_out("b"))
    harness.deliver("chat")
    harness.poll(frozen("a"), frozen("b"))
    claimed = harness.claim()
    harness.process = "the next"
    harness.claim(after=LEASE)
    harness.poll(signed_out("a"), frozen("b"), after=1)
    assert harness.deliver() == [("changed", "a")]

    harness.settle(claimed, REFUSED)

    harness.poll(listed_account("a"), frozen("b"))
    assert ("resolved", "a") in [told for message in harness.deliver_all() for told in message]


SOON = Duration.parse("40s")


def test_what_may_have_arrived_a_moment_ago_is_not_repeated_as_soon_as_a_receiver_is_back(harness):
    harness.poll(signed_out("a"))
    harness.deliver(error=REFUSED)
    assert harness.deliver(error=TIMEOUT, after=SOON) == [("opened", "a")]
    harness.poll(signed_out("a"), signed_out("b"), after=0)

    assert harness.deliver(after=SOON) == [("opened", "b")]

    assert harness.deliver() is None
    assert harness.deliver(after=UNANSWERED_WAIT - SOON) == [("opened", "a")]


def test_a_group_goes_on_collecting_when_its_receiver_is_back(store):
    harness = StoreHarness(store, receivers={"hook": True, "mail": True}, fallback="mail")
    harness.poll(signed_out("a"))
    harness.deliver("mail", error=REFUSED)
    harness.deliver("hook", error=WRONG, after=HOUR)

    assert harness.deliver("mail") == [("opened", "a")]

    assert harness.deliver("mail") is None
    assert harness.deliver("mail", after=GROUP_WAIT) == [("notice", "a")]


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


def test_the_fallback_hears_of_what_died_behind_a_failing_receiver(store):
    harness = StoreHarness(store, receivers={"hook": False, "mail": True}, fallback="mail")
    routing = Routing(harness.rules.routing.receivers, (Route(to=("hook",)),))
    harness.rules = replace(harness.rules, routing=routing)
    harness.poll(frozen("a0"), frozen("a1"))
    failed_at = harness.now
    harness.deliver("hook", error=REFUSED)
    harness.deliver("hook", error=REFUSED, after=DAY + MINUTE)

    assert len(expire(harness)) == 1

    copies = harness.claim("mail", after=GROUP_WAIT).message.notifications
    assert {copy.account.id for copy in copies} == {"a0", "a1"}
    assert {copy.undelivered for copy in copies} == {Undelivered("hook", "HTTP 500", failed_at)}


def test_what_is_being_sent_does_not_die_with_what_waits(failing):
    sending = failing.claim("hook", after=FIRST_BACKOFF)
    failing.deliver("hook", error=REFUSED, after=DAY + MINUTE)

    assert len(expire(failing)) == 2
    (settled,) = failing.settle(sending)
    assert settled.outcome == "delivered"


def test_what_has_waited_longest_dies_first(failing, monkeypatch):
    monkeypatch.setattr(undelivered, "MAX_PORTION", 1)
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


def test_no_address_of_a_receiver_leaves_with_what_the_fallback_is_told(store):
    harness = StoreHarness(store, receivers={"hook": False, "mail": True}, fallback="mail")
    harness.poll(signed_out())
    harness.deliver("mail")
    text_of_another = "POST https://hooks.example/T0/s3cret failed\nfor good"

    harness.deliver("hook", error=replace(WRONG, message=text_of_another))

    (notification,) = harness.claim("mail", after=GROUP_WAIT).message.notifications
    assert notification.undelivered.why == "POST [hidden] failed for good"
    assert harness.column("SELECT answer FROM attempt WHERE answer IS NOT NULL") == [
        "POST [hidden] failed for good"
    ]


@pytest.mark.case("receiver to be mended")
def test_what_a_former_fallback_refuses_is_told_at_once_to_the_one_in_its_place(store):
    harness = StoreHarness(store)
    names = dict.fromkeys(("slack", "mail", "post"), True)
    routing = make_routing(names, Route(to=("slack",)))
    harness.rules, harness.fallback = replace(harness.rules, routing=routing), "mail"
    harness.poll(signed_out())
    harness.deliver("slack", error=WRONG)
    harness.deliver("mail", error=GONE, after=GROUP_WAIT)
    values = {"after": attempts.BEGINNING, "now": harness.now, "new_id": harness.new_id}

    harness.run(lambda tx: attempts.divert(tx, REPLICA, "mail", harness.receiver("post"), **values))

    (copy,) = harness.claim("post", after=GROUP_WAIT).message.notifications
    assert (copy.event, copy.undelivered[:2]) == ("opened", ("slack", "HTTP 400"))
