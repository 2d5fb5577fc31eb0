"""Claiming what is due, looking at it again, sending it, settling it."""

from dataclasses import replace

import pytest
from harness.core import HOUR, LINK, MINUTE, frozen, listed_account, signed_out
from harness.store import DAY, LEASE, REFUSED, TIMEOUT, StoreHarness
from sqlalchemy import text

from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.inventory import AccountMatch, AccountRule, Inventory
from monitor.core.route import Receiver, Routing
from monitor.store import claims, workspaces
from monitor.store.claims import View

MAIL = Receiver("mail", address_label="owner")


def test_an_opening_is_queued_claimed_sent_and_settled(harness):
    harness.poll(listed_account())
    harness.poll(signed_out())

    claimed = harness.claim()
    (settled,) = harness.settle(claimed)

    notification = claimed.message.notifications[0]
    assert (notification.event, notification.account.name, notification.link.reveal()) == (
        "opened",
        "Person a1",
        LINK,
    )
    assert (settled.receiver, settled.outcome) == ("slack", "delivered")
    assert harness.claim().message is None
    assert list(harness.heard().values()) == [["slack"]]


def test_a_refused_attempt_does_not_count_as_heard(harness):
    harness.poll(signed_out())
    harness.deliver(error=REFUSED)

    harness.poll(listed_account())

    assert harness.deliver(after=HOUR) is None
    assert list(harness.heard().values()) == [[]]


@pytest.mark.case("attempt without an answer")
def test_an_unanswered_attempt_counts_as_heard_and_is_repeated_under_its_key(harness):
    harness.poll(signed_out())
    first = harness.claim()
    harness.settle(first, TIMEOUT)
    assert harness.claim().message is None

    again = harness.claim(after=MINUTE)

    assert again.message.id == first.message.id
    assert again.attempts == 2
    assert list(harness.heard().values()) == [["slack"]]
    harness.settle(again)


@pytest.mark.case("crash between send and settle")
def test_a_lapsed_claim_counts_as_heard_and_is_sent_again(harness):
    harness.poll(signed_out())
    lost = harness.claim()
    assert harness.claim(after=LEASE - 1).message is None

    again = harness.claim(after=1)

    assert again.message.id == lost.message.id
    assert list(harness.heard().values()) == [["slack"]]
    assert harness.settle(lost) is None  # the claim lapsed: it can't settle any more
    assert harness.settle(again)


@pytest.mark.case("crash between send and settle")
def test_a_lapsed_opening_that_recovered_is_not_repeated_but_resolved(harness):
    harness.poll(signed_out())
    harness.claim()
    harness.poll(listed_account(), after=1)

    assert harness.deliver(after=LEASE) == [("resolved", "a1")]
    assert ("slack", "opened", "cancelled", "recovered") in harness.states()


def test_two_workers_never_hold_the_same_message(harness):
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))

    assert harness.claim().message is not None
    assert harness.claim().message is None


def test_recovery_while_an_opening_is_being_sent_is_told_if_it_arrived(harness):
    harness.poll(signed_out())
    claimed = harness.claim()

    harness.poll(listed_account(), after=1)
    assert harness.claim().message is None  # in order: the opening is still being sent
    harness.settle(claimed)

    assert harness.deliver() == [("resolved", "a1")]


def test_recovery_while_an_opening_is_being_sent_is_not_told_if_it_was_refused(harness):
    harness.poll(signed_out())
    claimed = harness.claim()

    harness.poll(listed_account(), after=1)
    harness.settle(claimed, REFUSED)

    assert harness.deliver(after=HOUR) is None
    assert [state for _, _, state, _ in harness.states()] == ["cancelled", "cancelled"]


def test_order_holds_per_receiver_and_account_only(harness):
    harness.poll(listed_account("a"), listed_account("b"))
    harness.poll(signed_out("a"), listed_account("b"))
    claimed = harness.claim()
    harness.poll(frozen("a"), frozen("b"), after=1)

    assert harness.deliver() == [("opened", "b")]
    assert harness.deliver() is None
    harness.settle(claimed)
    assert harness.deliver() == [("changed", "a")]


def test_a_retry_waits_its_turn_and_holds_up_only_its_account(harness):
    harness.poll(listed_account("a"), listed_account("b"))
    harness.poll(signed_out("a"), listed_account("b"))
    harness.deliver(error=REFUSED)
    harness.poll(signed_out("a"), frozen("b"), after=1)

    assert harness.deliver() == [("opened", "b")]
    assert harness.deliver() is None
    assert harness.deliver(after=MINUTE) == [("opened", "a")]


def test_what_recovered_drops_out_of_a_group(harness):
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    harness.poll(listed_account("a"), frozen("b"), listed_account("c"))

    assert harness.deliver() == [("opened", "b")]
    assert harness.deliver() is None


def test_what_seems_over_in_a_group_waits_apart(store):
    harness = StoreHarness(store, resolve_after=2)
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    harness.poll(listed_account("a"), frozen("b"), listed_account("c"))

    assert harness.deliver() == [("opened", "b")]
    assert harness.deliver() is None
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    assert harness.deliver(after=MINUTE) == [("opened", "a")]


def test_what_seems_over_waits_whole(store):
    harness = StoreHarness(store, resolve_after=2)
    harness.poll(signed_out())
    harness.poll(listed_account())

    assert harness.deliver() is None
    harness.poll(listed_account())
    assert harness.deliver(after=HOUR) is None


@pytest.mark.case("host asleep for days")
def test_a_message_dies_after_an_attempt_past_its_deadline_and_never_before_one(harness):
    harness.poll(signed_out())

    claimed = harness.claim(after=2 * DAY)
    (settled,) = harness.settle(claimed, REFUSED)

    assert (settled.outcome, settled.reason) == ("dead", "deadline")
    assert harness.states() == [("slack", "opened", "dead", "deadline")]


def test_an_attempt_that_began_before_the_deadline_is_not_the_last(harness):
    harness.poll(signed_out())
    claimed = harness.claim()

    harness.now += 2 * DAY
    harness.settle(claimed, REFUSED)

    assert harness.states() == [("slack", "opened", "pending", None)]


def test_an_error_that_no_database_stores_does_not_keep_a_message_from_settling(harness):
    harness.poll(signed_out())
    odd = DeliveryError("a\0b\udc80" + "x" * 5000, reason=AttemptReason.SERVER)

    harness.settle(harness.claim(), odd)

    (kept,) = harness.run(
        lambda tx: tx.execute(text("SELECT last_error FROM message")).scalars().all()
    )
    assert kept == "a\ufffdb?" + "x" * 996


def test_a_removed_accounts_notice_still_knows_its_name(harness):
    harness.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        harness.poll(listed_account("a"))

    claimed = harness.claim()

    assert claimed.message.notifications[0].event == "notice"
    assert claimed.message.notifications[0].account.name == "Person b"


def test_the_next_wake_is_the_earliest_retry_or_lapse(harness):
    def next_at():
        return harness.run(lambda tx: claims.next_at(tx, "slack", harness.now))

    assert next_at() is None
    harness.poll(signed_out())
    claimed = harness.claim()
    assert next_at() == harness.now + LEASE
    harness.settle(claimed, REFUSED)
    assert next_at() == harness.now + Duration.parse("5s")


@pytest.mark.case("start, or the host slept")
def test_after_a_start_an_opening_waits_for_a_look_at_the_workspace(harness):
    harness.poll(signed_out())
    harness.current = False

    assert harness.deliver() is None
    harness.current = True
    assert harness.deliver(after=MINUTE) == [("opened", "a1")]


def test_a_removal_is_not_told_once_the_account_is_back(harness):
    harness.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        harness.poll(listed_account("a"))
    harness.poll(listed_account("a"), listed_account("b"))

    assert harness.deliver() is None


def test_a_send_of_our_own_does_not_lapse_when_the_clock_jumps(harness):
    harness.poll(signed_out())
    claimed = harness.claim()
    harness.sending = {claimed.message.id}

    assert harness.claim(after=HOUR).message is None
    assert harness.settle(claimed)


def test_a_group_for_a_receiver_that_takes_none_any_more_is_told_one_by_one(harness):
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    harness.receivers["slack"] = False

    assert harness.deliver() == [("opened", "a")]
    assert harness.deliver() == [("opened", "b")]
    assert harness.deliver() is None


def test_nothing_of_a_workspace_that_left_the_configuration_waits_for_ever(harness):
    harness.poll(signed_out("a"), listed_account("b"))
    harness.deliver(error=REFUSED)
    harness.poll(listed_account("b"))
    assert harness.deliver(after=HOUR) is None  # missing: wait and see
    harness.watched = harness.current = False
    assert harness.deliver(after=HOUR) is None  # a configuration is being taken up

    harness.detach()

    assert harness.deliver(after=HOUR) == [("opened", "a")]


def test_an_opening_that_was_refused_while_its_account_left_says_so(harness):
    harness.poll(listed_account("a"), signed_out("b"))
    claimed = harness.claim()
    harness.poll(listed_account("a"), signed_out("b"), ignored="b", after=1)
    harness.settle(claimed, REFUSED)

    assert harness.deliver(after=HOUR) is None
    assert ("slack", "opened", "cancelled", "unwatched") in harness.states()


def owned(harness, **owners):
    """Say who owns which account: `mail` writes to the address in the label `owner`."""
    rules = [
        AccountRule(AccountMatch(ids=(id_,)), {"owner": owner}) for id_, owner in owners.items()
    ]
    harness.inventory = Inventory({"acme": {}}, rules)
    routing = Routing({"mail": MAIL}, inventory=harness.inventory)
    harness.rules = replace(harness.rules, routing=routing)


def claim_mail(harness):
    return harness.run(
        lambda tx: claims.claim(
            tx,
            MAIL,
            view=View(harness.inventory, lambda _: True),
            sending=(),
            now=harness.now,
            lease=LEASE,
            new_id=harness.new_id,
        )
    )


def owner_of(notification):
    return notification.account.id, notification.labels.get("owner")


def mails(harness):
    """Deliver all mails; return for each the accounts and their owners."""
    sent = []
    while (claimed := claim_mail(harness)).message is not None:
        sent.append([owner_of(notification) for notification in claimed.message.notifications])
        harness.settle(claimed)
    return sent


def test_those_who_own_several_accounts_get_one_message_about_them(harness):
    owned(harness, a="jane", b="joe", c="jane")

    harness.poll(*(signed_out(id_) for id_ in "abc"))

    assert sorted(mails(harness)) == [[("a", "jane"), ("c", "jane")], [("b", "joe")]]


def test_a_group_whose_owners_have_changed_before_it_was_sent_is_split(harness):
    owned(harness, a="jane", b="jane", c="jane", d="jane")
    harness.poll(*(signed_out(id_) for id_ in "abcd"))

    owned(harness, a="jane", b="joe", c="jane")

    assert sorted(mails(harness), key=str) == [
        *([("a", "jane"), ("c", "jane")], [("b", "joe")], [("d", None)]),
    ]
    assert list(harness.heard().values()) == [["mail"]] * 4


def test_what_waits_for_an_owner_who_changed_stays_together(harness):
    people = [f"p{number}" for number in range(8)]
    owned(harness, **dict.fromkeys(people, "jane@example.com"))
    harness.poll(*map(frozen, people), listed_account("b"))
    owned(
        harness,
        **dict.fromkeys(people[:3], "jane@example.com"),
        **dict.fromkeys(people[3:], "joe@example.com"),
    )

    first, second = claim_mail(harness), claim_mail(harness)

    assert [len(claimed.message.notifications) for claimed in (first, second)] == [3, 5]
    assert claim_mail(harness).message is None


def test_what_waits_for_a_workspace_under_a_name_that_is_not_known_yet_waits_on(harness):
    owned(harness, a="jane@example.com")
    harness.poll(signed_out("a"))
    harness.run(lambda tx: workspaces.rename(tx, "acme", "growth"))

    assert claim_mail(harness).message is None
    harness.inventory = Inventory({"growth": {"owner": "jane@example.com"}})
    harness.now += HOUR

    (opening,) = claim_mail(harness).message.notifications
    assert (opening.workspace, opening.labels["owner"]) == ("growth", "jane@example.com")


def test_the_end_of_a_workspace_is_cancelled_where_its_label_left_with_it(harness):
    harness.inventory = Inventory({"acme": {"owner": "jane@example.com"}})
    routing = Routing({"mail": MAIL}, inventory=harness.inventory)
    harness.rules = replace(harness.rules, routing=routing)
    harness.poll(signed_out("a"))
    harness.settle(claim_mail(harness))
    harness.poll(listed_account("a"))
    harness.inventory = Inventory({})
    harness.detach()

    claimed = claim_mail(harness)

    assert claimed.message is None
    (settled,) = claimed.ended
    assert (settled.outcome, settled.reason) == ("cancelled", "unwatched")
