"""Claiming what is due, looking at it again, sending it, settling it."""

from dataclasses import replace

import pytest
from harness.core import HOUR, LINK, MINUTE, acceptance, frozen, listed_account, signed_out
from harness.store import DAY, LEASE, REFUSED, TIMEOUT, StoreHarness

from monitor.core.backoff import FIRST_BACKOFF, UNANSWERED_WAIT
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.inventory import AccountMatch, AccountRule, Inventory
from monitor.core.route import Match, Receiver, Route, Routing
from monitor.store import workspaces
from monitor.store.claims import MOMENT


def test_an_opening_is_queued_claimed_sent_and_settled(harness):
    harness.poll(listed_account())
    harness.poll(signed_out())

    claimed = harness.claim()
    (settled,) = harness.settle(claimed)

    (notification,) = claimed.message.notifications
    assert (notification.event, notification.account.name) == ("opened", "Person a1")
    assert notification.link.reveal() == LINK
    assert (settled.receiver, settled.outcome) == ("slack", "delivered")
    assert harness.claim().message is None
    assert harness.heard() == [["slack"]]


def test_a_refused_attempt_does_not_count_as_heard(harness):
    harness.poll(signed_out())
    harness.deliver(error=REFUSED)

    harness.poll(listed_account())

    assert harness.deliver(after=HOUR) is None
    assert harness.heard() == [[]]


@pytest.mark.case("attempt without an answer")
def test_an_unanswered_attempt_counts_as_heard_and_is_repeated_under_its_key(harness):
    harness.poll(signed_out())
    first = harness.claim()
    harness.settle(first, TIMEOUT)
    assert harness.claim().message is None

    again = harness.claim(after=MINUTE)

    assert again.message.id == first.message.id
    assert again.attempts == 2
    assert harness.heard() == [["slack"]]
    harness.settle(again)


@pytest.mark.case("attempt without an answer")
def test_a_change_that_is_the_first_to_be_told_is_repeated_as_the_opening_that_it_was(store):
    harness = StoreHarness(store, receivers={"chat": True, "pager": True})
    receivers = harness.rules.routing.receivers
    cold = Route(match=Match(causes=("frozen",)), to=("pager",))
    routing = Routing(receivers, (cold, Route(to=("chat",))))
    harness.rules = replace(harness.rules, routing=routing)
    harness.poll(signed_out("a"))
    harness.poll(frozen("a"))
    harness.deliver("chat")

    assert harness.deliver("pager", error=TIMEOUT) == [("opened", "a")]

    assert harness.deliver("pager", after=MINUTE) == [("opened", "a")]


@pytest.mark.case("crash between send and settle")
def test_a_lapsed_claim_counts_as_heard_and_is_sent_again(harness):
    harness.poll(signed_out())
    lost = harness.claim()
    harness.process = "the next"
    assert harness.claim(after=LEASE - 1).message is None
    assert harness.heard() == [[]]
    assert harness.claim(after=1).message is None
    assert harness.heard() == [["slack"]]

    again = harness.claim(after=UNANSWERED_WAIT - LEASE)

    assert again.message.id == lost.message.id
    assert harness.settle(lost) is None  # it has been sent again since
    assert harness.settle(again)


def test_a_claim_that_has_not_lapsed_is_left_alone_when_something_else_is_due(harness):
    harness.poll(signed_out("a"), listed_account("b"))
    harness.claim()
    harness.poll(signed_out("a"), frozen("b"), after=1)
    harness.deliver(error=REFUSED)
    harness.process = "the next"

    assert harness.deliver(after=FIRST_BACKOFF) == [("opened", "b")]

    assert harness.column("SELECT state FROM message ORDER BY position") == ["sending", "delivered"]


def test_the_end_of_a_send_counts_though_another_process_has_taken_it_back(harness):
    harness.poll(signed_out())
    sending = harness.claim()
    harness.process = "the next"
    assert harness.claim(after=LEASE).message is None

    (settled,) = harness.settle(sending)

    assert settled.outcome == "delivered"
    assert harness.claim(after=MINUTE).message is None


@pytest.mark.case("crash between send and settle")
def test_a_lapsed_opening_that_recovered_is_not_repeated_but_resolved(harness):
    harness.poll(signed_out())
    harness.claim()
    harness.process = "the next"
    harness.poll(listed_account(), after=1)

    assert harness.deliver(after=LEASE) is None
    assert harness.deliver(after=MINUTE) == [("resolved", "a1")]
    assert ("slack", "opened", "cancelled", "recovered") in harness.states()


@pytest.mark.parametrize(
    ("first", "then", "event"),
    [
        (signed_out(), listed_account(), "resolved"),
        (signed_out(), frozen(), "changed"),
        (signed_out(link=""), signed_out(), "refreshed"),
    ],
)
def test_what_happens_while_an_opening_is_being_sent_is_told_if_it_arrived(
    harness, first, then, event
):
    harness.poll(first)
    claimed = harness.claim()

    harness.poll(then, after=1)
    assert harness.claim().message is None  # in order: the opening is still being sent
    harness.settle(claimed)

    assert harness.deliver() == [(event, "a1")]


@pytest.mark.parametrize("ignored", [(), ("a1",)], ids=["recovered", "unwatched"])
def test_an_end_while_an_opening_is_being_sent_is_not_told_if_it_was_refused(harness, ignored):
    harness.poll(signed_out())
    claimed = harness.claim()

    harness.poll(listed_account(), ignored=ignored, after=1)
    harness.settle(claimed, REFUSED)

    assert harness.deliver(after=HOUR) is None
    reason = "unwatched" if ignored else "recovered"
    assert harness.states() == [
        ("slack", "opened", "cancelled", reason),
        ("slack", "resolved", "cancelled", "recovered"),
    ]


def test_a_change_while_an_opening_is_being_sent_is_part_of_it_if_it_was_refused(harness):
    harness.poll(signed_out())
    claimed = harness.claim()

    harness.poll(frozen(), after=1)
    harness.settle(claimed, REFUSED)

    assert harness.deliver(after=HOUR) == [("opened", "a1")]
    assert harness.deliver() is None


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


def test_what_is_over_drops_out_of_a_group_and_what_seems_over_waits_apart(store):
    harness = StoreHarness(store, resolve_after=2)
    harness.poll(signed_out("a"), frozen("b"), signed_out("c"))
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    harness.poll(listed_account("a"), frozen("b"), listed_account("c"))

    assert harness.deliver() == [("opened", "b")]
    assert ("slack", "opened", "cancelled", "recovered") in harness.states()
    assert harness.deliver() is None
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    assert harness.deliver() == [("opened", "a")]


@pytest.mark.case("host asleep for days")
def test_a_message_dies_after_an_attempt_that_began_past_its_deadline(harness):
    harness.poll(signed_out())
    claimed = harness.claim()
    harness.now += 2 * DAY
    assert harness.settle(claimed, REFUSED) == []
    assert harness.states() == [("slack", "opened", "pending", None)]

    (settled,) = harness.settle(harness.claim(after=MINUTE), REFUSED)

    assert (settled.outcome, settled.reason) == ("dead", "deadline")
    assert harness.states() == [("slack", "opened", "dead", "deadline")]


def test_an_error_that_no_database_stores_does_not_keep_a_message_from_settling(harness):
    harness.poll(signed_out())
    odd = DeliveryError("a\0b\udc80" + "x" * 5000, reason=AttemptReason.SERVER)

    harness.settle(harness.claim(), odd)

    assert harness.column("SELECT answer FROM attempt") == ["a b " + "x" * 295 + "…"]


def test_a_removed_accounts_notice_still_knows_its_name(harness):
    harness.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        harness.poll(listed_account("a"))

    (notification,) = harness.claim().message.notifications

    assert (notification.event, notification.account.name) == ("notice", "Person b")


def test_the_next_wake_is_the_earliest_retry_or_lapse(harness):
    nothing = harness.claim()
    assert (nothing.next_at, nothing.more) == (None, False)
    harness.poll(signed_out())
    claimed = harness.claim()
    assert harness.claim().next_at is None  # the end of our own send wakes us
    process, harness.process = harness.process, "the next"
    assert harness.claim().next_at == harness.now + LEASE
    harness.process = process
    harness.settle(claimed, REFUSED)
    assert harness.claim().next_at == harness.now + Duration.parse("5s")


@pytest.mark.case("start, or the host slept")
def test_after_a_start_an_opening_waits_for_a_look_at_the_workspace(harness):
    harness.poll(signed_out())
    harness.forget_look()

    assert harness.deliver() is None
    harness.poll(signed_out())
    assert harness.deliver() == [("opened", "a1")]


def test_a_send_of_our_own_does_not_lapse_when_the_clock_jumps(harness):
    harness.poll(signed_out())
    claimed = harness.claim()

    assert harness.claim(after=HOUR).message is None
    assert harness.settle(claimed)


def test_a_group_for_a_receiver_that_takes_none_any_more_is_told_one_by_one(harness):
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    harness.rules.routing.receivers["slack"] = Receiver("slack", groups=False)

    assert harness.deliver() == [("opened", "a")]
    assert harness.deliver() == [("opened", "b")]
    assert harness.deliver() is None


def test_nothing_of_a_workspace_that_left_the_configuration_waits_for_ever(harness):
    harness.poll(signed_out("a"), listed_account("b"))
    harness.deliver(error=REFUSED)
    harness.poll(listed_account("b"))
    assert harness.deliver(after=HOUR) is None  # missing: wait and see
    harness.inventory = Inventory({})

    harness.detach()

    assert harness.deliver(after=HOUR) == [("opened", "a")]


def test_what_leaves_while_its_workspace_is_being_removed_waits_for_no_look(harness):
    harness.poll(signed_out())
    harness.forget_look()
    harness.detach()  # but the configuration in force still has it

    assert harness.claim().next_at == harness.now + MOMENT
    harness.inventory = Inventory({})
    assert harness.deliver(after=MOMENT) == [("opened", "a1")]


def watch(harness, inventory):
    """Watch what is in *inventory*, and tell `mail` at the address in the label `owner`."""
    harness.inventory = inventory
    routing = Routing({"mail": Receiver("mail", address_label="owner")}, inventory=inventory)
    harness.rules = replace(harness.rules, routing=routing)


def owned(harness, **owners):
    """Say who owns which account."""
    rules = [
        AccountRule(AccountMatch(ids=(id_,)), {"owner": owner}) for id_, owner in owners.items()
    ]
    watch(harness, Inventory({"acme": {}}, rules))


@pytest.mark.case("new name matches other rules")
def test_a_new_name_gives_no_link_to_whom_it_would_belong_and_its_owner_hears_of_it(harness):
    names = {"Dana *": "dana", "*": "ops"}
    rules = [AccountRule(AccountMatch(names=(glob,)), {"owner": names[glob]}) for glob in names]
    watch(harness, Inventory({"acme": {}}, rules))
    harness.poll(signed_out("a"))
    harness.deliver("mail")
    harness.poll(frozen("a", name="Dana Fox"))

    told = []
    while (claimed := harness.claim("mail")).message is not None:
        (told_now,) = claimed.message.notifications
        told.append((told_now.event, told_now.detail, claimed.message.address))
        harness.settle(claimed)

    assert told == [("changed", "", "ops"), ("notice", "rules_changed", "ops")]


@pytest.mark.case("new name matches other rules")
def test_what_was_accepted_meanwhile_is_not_told(harness):
    rules = [AccountRule(AccountMatch(names=("Dana *",)), {"owner": "dana"})]
    watch(harness, Inventory({"acme": {"owner": "ops"}}, rules))
    harness.poll(listed_account("a"))
    harness.poll(listed_account("a", name="Dana Fox"))

    harness.run(lambda tx: workspaces.accept_account(tx, acceptance("a")))

    assert harness.deliver("mail") is None
    assert harness.states() == [("mail", "notice", "cancelled", "superseded")]


@pytest.mark.case("owner of an account changes while open")
def test_who_owned_an_account_hears_the_end_and_who_owns_it_now_an_opening(harness):
    owned(harness, a="jane")
    harness.poll(signed_out("a"), listed_account("b"))
    harness.deliver("mail")
    owned(harness, a="joe")
    harness.poll(frozen("a"), listed_account("b"))

    claimed = harness.claim("mail")
    harness.settle(claimed)

    assert (claimed.message.address, claimed.message.notifications[0].event) == ("joe", "opened")
    harness.poll(listed_account("a"), listed_account("b"))
    ends = [harness.claim("mail").message for _ in range(2)]
    assert sorted(end.address for end in ends) == ["jane", "joe"]
    assert {end.notifications[0].event for end in ends} == {"resolved"}


def test_what_has_been_told_to_one_owner_lets_nothing_go_that_waits_for_another(harness):
    owned(harness, a="jane")
    harness.poll(signed_out("a"), listed_account("b"))
    harness.claim("mail")
    owned(harness, a="joe")
    harness.poll(frozen("a"), listed_account("b"), after=1)
    to_joe = harness.claim("mail")
    harness.poll(listed_account("a"), listed_account("b"), after=1)
    assert harness.claim("mail").message is None  # both ends wait for their openings

    harness.settle(to_joe)

    assert to_joe.message.address == "joe"
    assert harness.column("SELECT address FROM message WHERE waits = 'turn'") == ["jane"]


def test_what_waits_for_a_workspace_under_a_name_that_is_not_known_yet_waits_on(harness):
    owned(harness, a="jane@example.com")
    harness.poll(signed_out("a"))
    harness.run(lambda tx: workspaces.rename(tx, "acme", "growth"))

    assert harness.claim("mail").message is None
    harness.inventory = Inventory({"growth": {"owner": "jane@example.com"}})
    harness.now += HOUR

    (opening,) = harness.claim("mail").message.notifications
    assert (opening.workspace, opening.labels["owner"]) == ("growth", "jane@example.com")


def test_the_end_of_a_workspace_reaches_who_heard_though_its_labels_left_with_it(harness):
    watch(harness, Inventory({"acme": {"owner": "jane@example.com"}}))
    harness.poll(signed_out("a"))
    harness.settle(harness.claim("mail"))
    harness.poll(listed_account("a"))
    harness.inventory = Inventory({})
    harness.detach()

    message = harness.claim("mail").message

    assert message.address == "jane@example.com"
    assert message.notifications[0].event == "resolved"
