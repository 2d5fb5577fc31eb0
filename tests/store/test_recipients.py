"""Messages that only some of their addresses took: the others are tried again, alone."""

from functools import partial

import pytest
from harness.core import HOUR, MINUTE, frozen, listed_account, signed_out
from harness.leases import REPLICA
from harness.store import DAY, GONE, LATER, LEASE, PARTLY, REFUSED, WRONG, StoreHarness

from monitor.core.backoff import FIRST_BACKOFF
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.receipt import Receipt
from monitor.store import attempts, receivers, undelivered

NEVER = DeliveryError("refused: 1 for good", reason=AttemptReason.CLIENT, remedy=Remedy.DROP)
NOBODY = Receipt(failure=LATER)


@pytest.fixture
def mail(store):
    """A receiver of several addresses whose first message, an opening, only `ops` took."""
    harness = StoreHarness(store, receivers={"slack": True}, fallback="chat")
    harness.poll(signed_out("a"), listed_account("b"))
    assert harness.deliver(error=PARTLY) == [("opened", "a")]
    return harness


def test_those_who_have_not_got_a_message_are_tried_again_alone(mail):
    assert mail.claim().next_at == mail.now + FIRST_BACKOFF
    rest = mail.claim(after=MINUTE)
    assert rest.message.done == ("ops",)
    mail.settle(rest, Receipt(accepted=("boss",), refused=("gone",), failure=LATER))

    last = mail.claim(after=MINUTE)
    assert last.message.done == ("ops", "boss", "gone")
    assert len({message.message.id for message in (rest, last)}) == 1
    (settled,) = mail.settle(last)

    assert settled.outcome == "delivered"
    assert mail.column("SELECT reason FROM attempt ORDER BY number") == ["server", "server", "ok"]
    assert mail.heard() == [["slack"]]


def test_a_process_that_dies_forgets_nobody_who_has_got_it(mail):
    mail.claim(after=MINUTE)
    mail.process = "the next"
    assert mail.claim(after=LEASE).message is None

    assert mail.claim(after=MINUTE).message.done == ("ops",)


def test_who_is_refused_for_now_holds_up_nothing(mail):
    """Neither what is told to the same receiver next, of the same account, nor other accounts."""
    mail.poll(frozen("a"), frozen("b"), after=1)

    assert sorted(map(str, mail.deliver_all())) == ["[('changed', 'a')]", "[('opened', 'b')]"]


def test_what_waited_behind_a_message_goes_once_some_have_it(store):
    harness = StoreHarness(store)
    harness.poll(signed_out("a"))
    harness.deliver()
    harness.poll(frozen("a"))
    claimed = harness.claim()
    harness.poll(signed_out("a"), after=1)
    assert harness.claim().message is None

    harness.settle(claimed, PARTLY)

    assert harness.deliver() == [("changed", "a")]


def test_what_all_are_told_next_of_an_incident_takes_the_place_of_what_some_have_not_got(mail):
    mail.poll(frozen("a"), after=1)
    (told, superseded) = mail.settle(mail.claim())

    assert (told.event, told.outcome) == ("changed", "delivered")
    assert (superseded.event, superseded.reason) == ("opened", "superseded")
    assert mail.claim(after=DAY).message is None


@pytest.mark.parametrize("error", [PARTLY, REFUSED])
def test_what_some_have_not_got_is_kept_until_all_are_told(mail, error):
    mail.poll(frozen("a"), after=1)
    mail.deliver(error=error)

    mail.now += MINUTE
    assert sorted(map(str, mail.deliver_all())) == ["[('changed', 'a')]", "[('opened', 'a')]"]


def test_what_some_were_told_late_takes_the_place_of_what_they_had_not_got_before(mail):
    mail.poll(frozen("a"), after=1)
    mail.deliver(error=PARTLY)
    mail.now += MINUTE
    opening, change = mail.claim(), mail.claim()
    mail.settle(opening, NOBODY)
    mail.settle(change)

    assert mail.claim(after=DAY).message is None


def test_nobody_hears_that_a_problem_is_over_who_has_heard_that_it_is_back(store):
    harness = StoreHarness(store)
    harness.poll(signed_out("a"))
    harness.deliver()
    harness.poll(listed_account("a"), after=1)
    assert harness.deliver(error=PARTLY) == [("resolved", "a")]
    harness.poll(signed_out("a"), after=1)
    assert harness.deliver() == [("opened", "a")]

    assert harness.claim(after=MINUTE).message is None


def test_nobody_is_told_who_has_not_got_the_opening_of_what_is_over(mail):
    mail.poll(listed_account("a"))

    assert mail.deliver_all() == [[("resolved", "a")]]


def test_an_address_that_stays_refused_leaves_the_receiver_as_it_is(mail):
    for _ in range(3):
        mail.deliver(error=NOBODY, after=HOUR)

    state = mail.run(lambda tx: receivers.load(tx, "slack"))
    assert (state.failing_since, state.not_before) == (None, None)


@pytest.mark.parametrize(
    ("end", "reason"),
    [(NOBODY, "deadline"), (REFUSED, "deadline"), (GONE, "deadline"), (WRONG, "permanent")],
)
def test_the_fallback_hears_nothing_of_what_some_have_got(mail, end, reason):
    (settled,) = mail.settle(mail.claim(after=DAY), end)

    assert (settled.outcome, settled.reason) == ("dead", reason)
    assert mail.claim("chat", after=MINUTE).message is None
    assert mail.heard() == [["slack"]]
    mail.poll(listed_account("a"), after=HOUR)
    assert mail.deliver() == [("resolved", "a")]


@pytest.mark.parametrize(("end", "reason"), [(NOBODY, "deadline"), (NEVER, "permanent")])
def test_the_fallback_hears_of_what_nobody_took(store, end, reason):
    harness = StoreHarness(store, fallback="chat")
    harness.poll(signed_out("a"))
    error = Receipt(failure=end) if end is NEVER else end
    harness.deliver(error=NOBODY)
    assert harness.heard() == [[]]

    (settled,) = harness.settle(harness.claim(after=DAY), error)

    assert (settled.outcome, settled.reason) == ("dead", reason)
    assert harness.heard() == [[]]
    assert harness.deliver("chat", after=MINUTE) == [("opened", "a")]


@pytest.mark.parametrize("failure", [LATER, NEVER])
def test_a_message_that_some_took_at_last_is_delivered(store, failure):
    harness = StoreHarness(store, fallback="chat")
    harness.poll(signed_out("a"))
    after = 0 if failure is NEVER else 2 * DAY

    receipt = Receipt(accepted=("ops",), refused=("gone",), failure=failure)
    (settled,) = harness.settle(harness.claim(after=after), receipt)

    assert settled.outcome == "delivered"
    assert harness.claim("chat", after=MINUTE).message is None


def test_what_waits_behind_a_receiver_that_fails_or_has_to_be_mended_was_told_to_some(mail):
    mail.poll(signed_out("a"), frozen("b"), after=1)
    mail.deliver(error=PARTLY)
    mail.poll(signed_out("a"), frozen("b"), frozen("c"), after=1)
    mail.deliver(error=GONE)
    beginning = attempts.BEGINNING
    chat = mail.receiver("chat")
    divert = partial(
        attempts.divert, replica=REPLICA, receiver="slack", fallback=chat, after=beginning
    )
    assert mail.run(lambda tx: divert(tx, now=mail.now, new_id=mail.new_id)) is not None
    mail.deliver(error=GONE, after=2 * DAY)

    expired = mail.run(
        lambda tx: attempts.expire(
            tx, REPLICA, "slack", now=mail.now, deadline=DAY, fallback=chat, new_id=mail.new_id
        )
    )

    assert [str(sent.reason) for sent in expired] == ["deadline"] * 2
    assert mail.deliver_all("chat") == [[("opened", "c")]]


def test_the_fallback_hears_nothing_of_what_some_of_a_removed_receiver_have_got(mail):
    ended = mail.run(
        lambda tx: undelivered.cancel_removed(
            tx, REPLICA, "slack", mail.receiver("chat"), now=mail.now, new_id=mail.new_id
        )
    )

    assert [str(sent.reason) for sent in ended] == ["receiver_removed"]
    assert mail.claim("chat", after=MINUTE).message is None


def test_a_group_that_some_have_got_stays_together(store):
    harness = StoreHarness(store, group_over=1, resolve_after=2)
    harness.poll(signed_out("a"), frozen("b"))
    harness.deliver(error=PARTLY)
    harness.poll(listed_account("a"), frozen("b"), after=1)

    assert harness.claim(after=HOUR).message is None

    harness.poll(signed_out("a"), frozen("b"), after=1)
    assert harness.deliver() == [("opened", "a"), ("opened", "b")]


@pytest.fixture
def fallback(store):
    """A fallback that is about to be told of a change, and of one that another can't be told."""
    harness = StoreHarness(store, receivers={"chat": True, "slack": True}, fallback="chat")
    harness.poll(signed_out("a"))
    harness.deliver("chat")
    harness.deliver("slack")
    harness.poll(frozen("a"))
    harness.deliver("slack", error=WRONG)
    harness.now += MINUTE
    return harness


def test_a_notice_takes_the_place_of_nothing(fallback):
    assert fallback.deliver("chat", error=PARTLY) == [("changed", "a")]
    assert fallback.deliver("chat") == [("notice", "a")]

    fallback.now += MINUTE
    assert fallback.deliver_all("chat") == [[("changed", "a")]]


def test_nothing_takes_the_place_of_a_notice(fallback):
    assert fallback.deliver("chat") == [("changed", "a")]
    assert fallback.deliver("chat", error=PARTLY) == [("notice", "a")]
    fallback.poll(signed_out("a"), after=1)
    assert fallback.deliver("chat") == [("changed", "a")]

    fallback.now += MINUTE
    assert fallback.deliver_all("chat") == [[("notice", "a")]]
