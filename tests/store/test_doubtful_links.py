"""Links that may have expired when a message that waited for long is about to tell them."""

from dataclasses import replace

import pytest
from harness.core import LINK, frozen, signed_out
from harness.store import REFUSED, StoreHarness

from monitor.core.decide.sessions import LINK_TRUST, LINK_WAIT, conclude
from monitor.core.duration import Duration
from monitor.core.model import IntentOutcome
from monitor.core.policy import COOLDOWNS
from monitor.core.secret import Secret
from monitor.store import accounts, incidents, session_intents, sessions
from monitor.work.record import record

SECOND = Duration.parse("1s")

INTENTS = "SELECT account_id FROM session_intent ORDER BY account_id"


@pytest.fixture
def harness(store):
    """Three are to hear of an account whose link the list does not show any more."""
    harness = StoreHarness(store, receivers={"slack": True, "hook": False, "mail": True})
    harness.poll(signed_out("a"))
    harness.poll(signed_out("a", link=""))
    return harness


def answer(harness, outcome, *, is_good=False):
    """Let the next question about a session end so, as whoever asks records it."""

    def finish(tx):
        intent = session_intents.claim(tx, "acme")
        session = sessions.load(tx, "acme", intent.account_id)
        session_intents.finish(tx, intent, outcome)
        decision = conclude(
            incidents.load(tx, intent.incident_id),
            accounts.load(tx, "acme", intent.account_id),
            session if is_good else None,
            before=session,
            is_over=False,
            now=harness.now,
            new_id=harness.new_id,
        )
        rules = {"policy": harness.rules.policy, "routing": harness.rules.routing}
        rules["term"] = harness.term
        record(tx, harness.workspace, decision, now=harness.now, new_id=harness.new_id, **rules)

    harness.run(finish)


def test_a_link_is_asked_about_before_it_is_told_and_waited_for_only_so_long(harness):
    asking = harness.claim(after=LINK_TRUST)
    assert (asking.message, asking.asking) == (None, {"acme"})
    assert asking.next_at == harness.now + LINK_WAIT
    assert harness.claim(after=LINK_WAIT - 1).message is None

    claimed = harness.claim(after=1)

    assert claimed.message.notifications[0].link == Secret(LINK)
    assert claimed.asking == {"acme"}, "else whoever was not woken then never asks"
    assert harness.column(INTENTS) == ["a"]


def test_a_link_that_was_known_to_be_good_a_while_ago_is_told_without_a_question(harness):
    claimed = harness.claim(after=LINK_TRUST - 1)

    assert claimed.message.notifications[0].link == Secret(LINK)
    assert claimed.asking == set()
    assert harness.column(INTENTS) == []


def test_a_link_that_proved_to_be_good_is_not_asked_about_again_at_once(harness):
    harness.deliver("mail")
    harness.claim(after=LINK_TRUST)
    answer(harness, IntentOutcome.NEEDLESS, is_good=True)

    assert harness.deliver() == [("opened", "a")]
    assert harness.deliver("hook", after=LINK_TRUST - 1) == [("opened", "a")]
    assert harness.column(INTENTS) == ["a"]
    assert harness.deliver("mail") is None, "it is no new link"


def test_all_receivers_wait_for_the_same_answer(harness):
    harness.claim(after=LINK_TRUST)

    assert harness.claim("hook", after=SECOND).next_at == harness.now + LINK_WAIT - SECOND

    assert harness.column(INTENTS) == ["a"]


@pytest.mark.parametrize("outcome", [IntentOutcome.LATER, IntentOutcome.REFUSED])
def test_a_link_of_which_nobody_can_say_whether_it_is_good_is_told(harness, outcome):
    harness.claim(after=LINK_TRUST)
    answer(harness, outcome)

    assert harness.deliver() == [("opened", "a")]
    wait = COOLDOWNS.get(outcome, LINK_TRUST)
    assert harness.deliver("hook", after=wait - 1) == [("opened", "a")]
    assert harness.column(INTENTS) == ["a"]
    assert harness.claim("mail", after=1).asking == {"acme"}
    assert harness.column(INTENTS) == ["a", "a"]


def test_what_was_sent_before_waits_for_the_answer_too(harness):
    harness.deliver(error=REFUSED)

    asking = harness.claim(after=LINK_TRUST)
    answer(harness, IntentOutcome.NEEDLESS, is_good=True)

    assert (asking.message, asking.asking) == (None, {"acme"})
    assert harness.deliver(after=LINK_WAIT) == [("opened", "a")]


def test_all_doubtful_links_of_a_message_are_asked_about_at_once(store):
    harness = StoreHarness(store, receivers={"slack": True, "hook": False}, group_over=1)
    harness.poll(signed_out("a"), signed_out("b"), frozen("c"), signed_out("d"))
    harness.poll(signed_out("a", link=""), signed_out("b", link=""), frozen("c"), signed_out("d"))

    assert harness.claim(after=LINK_TRUST).message is None
    assert harness.column(INTENTS) == ["a", "b"]
    answer(harness, IntentOutcome.NEEDLESS, is_good=True)
    assert harness.claim().message is None, "one of two answers is there"
    answer(harness, IntentOutcome.NEEDLESS, is_good=True)

    assert sorted(harness.deliver()) == [("opened", id_) for id_ in "abcd"]


def test_other_messages_do_not_wait_for_the_answer(harness):
    harness.poll(signed_out("a", link=""), frozen("b"), after=LINK_TRUST)

    assert harness.deliver() == [("opened", "b")]

    assert harness.column(INTENTS) == ["a"]


def test_nothing_is_asked_for_a_receiver_that_may_have_no_link(harness):
    receivers = harness.rules.routing.receivers
    receivers["slack"] = replace(receivers["slack"], may_have_link=False)

    assert harness.deliver(after=LINK_TRUST) == [("opened", "a")]

    assert harness.column(INTENTS) == []
