"""What a commit queues, cancels and releases, and what a fallback is told."""

from dataclasses import replace
from functools import partial

import pytest
from harness.core import LINK, MINUTE, frozen, listed_account, make_routing, signed_out
from harness.leases import REPLICA
from harness.store import DAY, REFUSED, TIMEOUT, WRONG, StoreHarness

from monitor.core.decide.sessions import LINK_WAIT
from monitor.core.inventory import Inventory
from monitor.core.notification import Undelivered
from monitor.core.route import Match, Route
from monitor.core.secret import Secret
from monitor.store import outbox, undelivered
from monitor.store.undelivered import GROUP_WAIT


@pytest.mark.parametrize("ignored", [(), ("a1",)], ids=["recovered", "unwatched"])
def test_a_resolution_goes_to_who_heard(harness, ignored):
    harness.poll(signed_out())
    harness.deliver()

    harness.poll(listed_account(), ignored=ignored)

    assert harness.deliver() == [("resolved", "a1")]
    assert harness.deliver() is None


@pytest.mark.parametrize("ignored", [(), ("a1",)], ids=["recovered", "unwatched"])
@pytest.mark.pain("end of what nobody heard of")
def test_an_opening_that_was_never_sent_cancels_its_resolution(harness, ignored):
    harness.poll(signed_out())

    recorded = harness.poll(listed_account(), ignored=ignored)

    reason = "unwatched" if ignored else "recovered"
    assert [notification.reason for notification in recorded.cancelled] == [reason]
    assert harness.deliver() is None
    assert harness.states() == [("slack", "opened", "cancelled", reason)]


def test_a_change_before_the_opening_was_sent_is_told_as_one_opening(harness):
    harness.poll(signed_out())

    harness.poll(frozen())

    claimed = harness.claim()
    (notification,) = claimed.message.notifications
    assert (notification.event, notification.incident.cause) == ("opened", "frozen")
    harness.settle(claimed)
    assert harness.deliver() is None


@pytest.mark.case("opening dead, fallback told")
def test_a_dead_opening_is_an_opening_for_the_fallback_which_then_hears_the_end(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback="mail")
    harness.poll(listed_account())
    harness.poll(signed_out())
    harness.deliver("mail", error=WRONG)

    refused_at = harness.now
    harness.deliver("slack", error=WRONG)
    claimed = harness.claim("mail", after=GROUP_WAIT)

    (notification,) = claimed.message.notifications
    assert notification.event == "opened"
    assert notification.undelivered == Undelivered("slack", "HTTP 400", refused_at)
    harness.settle(claimed)
    harness.poll(listed_account())
    assert harness.deliver("mail") == [("resolved", "a1")]
    assert harness.deliver("slack") is None


def test_a_dead_resolution_is_a_notice_for_the_fallback(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback="mail")
    harness.poll(signed_out())
    harness.deliver("slack")
    harness.deliver("mail")
    harness.poll(listed_account())
    harness.deliver("mail")

    harness.deliver("slack", error=WRONG)

    assert harness.deliver("mail", after=GROUP_WAIT) == [("notice", "a1")]


def test_a_dead_notice_about_another_receiver_is_not_passed_on_again(store):
    harness = StoreHarness(store, receivers={"slack": True, "hook": False}, fallback="hook")
    harness.poll(listed_account())
    harness.poll(signed_out())
    harness.deliver("hook")
    harness.deliver("slack", error=WRONG)
    harness.deliver("hook", error=WRONG)

    assert harness.deliver("hook", after=DAY) is None


def test_what_a_machine_refuses_one_by_one_is_one_message_for_the_fallback(store):
    harness = StoreHarness(store, receivers={"mail": True, "hook": False}, fallback="mail")
    harness.poll(frozen("a"), frozen("b"), frozen("c"), listed_account("d"))
    assert len(harness.deliver("mail")) == 3
    harness.deliver("hook", error=WRONG)
    harness.deliver("hook", error=WRONG)
    assert harness.deliver("mail") is None

    harness.deliver("hook", error=WRONG, after=GROUP_WAIT - 1)

    assert harness.deliver("mail", after=1) == [("notice", "a"), ("notice", "b"), ("notice", "c")]
    assert harness.deliver("mail", after=GROUP_WAIT) is None


def test_all_parts_of_a_copy_say_why_it_comes(store):
    harness = StoreHarness(store, receivers={"mail": True, "hook": False}, fallback="mail")
    harness.poll(frozen("a"), frozen("b"))
    harness.deliver("mail")
    harness.deliver("hook", error=WRONG)
    harness.deliver("hook", error=WRONG)
    harness.deliver("mail", error=REFUSED, after=GROUP_WAIT)  # both in one
    routing = make_routing({"mail": False, "hook": False}, fallback="mail")
    harness.rules = replace(harness.rules, routing=routing)

    copies = []
    for after in (MINUTE, 0):
        claimed = harness.claim("mail", after=after)
        copies += claimed.message.notifications
        harness.settle(claimed)

    assert [copy.account.id for copy in copies] == ["a", "b"]
    assert {copy.undelivered[:2] for copy in copies} == {("hook", "HTTP 400")}


def test_what_two_receivers_could_not_be_told_is_a_message_each(store):
    harness = StoreHarness(
        store, receivers={"mail": True, "hook": False, "crm": False}, fallback="mail"
    )
    harness.poll(frozen("a"), listed_account("d"))
    harness.deliver("mail")
    harness.deliver("hook", error=WRONG)
    harness.deliver("crm", error=WRONG)

    assert harness.deliver("mail", after=GROUP_WAIT) == [("notice", "a")]
    assert harness.deliver("mail") == [("notice", "a")]


def test_what_could_not_be_told_of_two_workspaces_is_a_message_each(store):
    harness = StoreHarness(store, receivers={"mail": True, "hook": False}, fallback="mail")
    for workspace, id_ in (("acme", "a"), ("beta", "b")):
        harness.attach(workspace)
        harness.poll(frozen(id_), after=1)
        harness.deliver("mail")
        harness.deliver("hook", error=WRONG)
    harness.inventory = Inventory({"acme": {}, "beta": {}})

    assert harness.deliver("mail", after=GROUP_WAIT) == [("notice", "a")]
    assert harness.deliver("mail") == [("notice", "b")]


def test_what_the_fallback_could_not_be_told_at_first_is_not_added_to(store):
    harness = StoreHarness(store, receivers={"mail": True, "hook": False}, fallback="mail")
    harness.poll(frozen("a"), frozen("b"), listed_account("d"))
    harness.deliver("mail")
    harness.deliver("hook", error=WRONG)
    claimed = harness.claim("mail", after=GROUP_WAIT)
    harness.settle(claimed, TIMEOUT)
    harness.deliver("hook", error=WRONG)

    again = harness.claim("mail", after=MINUTE)

    assert again.message.id == claimed.message.id
    assert len(again.message.notifications) == 1


def test_a_machine_fallback_gets_one_message_each(store):
    harness = StoreHarness(store, receivers={"slack": True, "hook": False}, fallback="hook")
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    harness.deliver("hook")
    harness.deliver("hook")

    harness.deliver("slack", error=WRONG)

    assert len(harness.column("SELECT id FROM message WHERE state = 'pending'")) == 2
    assert len(harness.deliver("hook")) == 1
    assert len(harness.deliver("hook")) == 1
    assert harness.deliver("hook") is None


def cancel_removed(harness, receiver, fallback=None):
    return harness.run(
        lambda tx: undelivered.cancel_removed(
            tx,
            REPLICA,
            receiver,
            fallback and harness.receiver(fallback),
            now=harness.now,
            new_id=harness.new_id,
        )
    )


@pytest.mark.case("receiver removed with notifications pending")
@pytest.mark.parametrize(("fallback", "copy"), [("mail", [("notice", "a1")]), (None, None)])
def test_what_is_queued_for_a_removed_receiver_is_cancelled_and_told_to_the_fallback(
    store, fallback, copy
):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback=fallback)
    harness.poll(signed_out())
    harness.deliver("mail")

    (settled,) = cancel_removed(harness, "slack", fallback)

    assert (settled.receiver, settled.reason) == ("slack", "receiver_removed")
    assert ("slack", "opened", "cancelled", "receiver_removed") in harness.states()
    assert harness.deliver("mail", after=GROUP_WAIT) == copy


def test_a_receiver_that_left_while_its_message_was_being_sent_counts_as_having_heard(harness):
    harness.poll(signed_out())
    sending = harness.claim()

    cancel_removed(harness, "slack")
    assert harness.settle(sending) is None

    assert harness.heard() == [["slack"]]
    harness.poll(listed_account())
    assert harness.deliver() == [("resolved", "a1")]  # it is back, and may have heard


@pytest.mark.case("signed out and no link yet")
@pytest.mark.parametrize("arrives", [True, False])
def test_an_opening_waits_for_the_link_that_is_asked_for_until_it_arrives(store, arrives):
    harness = StoreHarness(store, create=True)
    harness.poll(signed_out(link=""))
    assert harness.deliver() is None

    if arrives:
        harness.poll(signed_out(), after=1)
    claimed = harness.claim(after=0 if arrives else LINK_WAIT)

    (notification,) = claimed.message.notifications
    assert notification.event == "opened"
    assert notification.link == (Secret(LINK) if arrives else None)
    harness.settle(claimed)
    assert harness.deliver() is None


def test_an_opening_that_was_refused_waits_for_its_time_though_the_link_arrives(store):
    harness = StoreHarness(store, create=True)
    harness.poll(signed_out(link=""))
    harness.deliver(error=REFUSED, after=LINK_WAIT)

    harness.poll(signed_out(), after=1)

    assert harness.deliver() is None
    assert harness.deliver(after=MINUTE) == [("opened", "a1")]


@pytest.mark.case("first link of an incident that had none")
def test_a_link_that_comes_after_the_opening_is_told_once(harness):
    harness.poll(signed_out(link=""))
    harness.deliver()

    harness.poll(signed_out())
    harness.poll(signed_out(link="https://app.linkedapi.io/connection/rotated"))

    assert harness.deliver() == [("refreshed", "a1")]
    assert harness.deliver() is None


def test_the_backlog_counts_notifications_and_knows_the_oldest(harness):
    harness.poll(listed_account("a"), *map(listed_account, "bcdefgh"))
    harness.poll(signed_out("a"), *map(listed_account, "bcdefgh"))
    oldest = harness.now
    harness.poll(signed_out("a"), *map(frozen, "bcdefgh"))

    assert harness.run(partial(outbox.backlog, replica=REPLICA)) == {"slack": (8, oldest)}


@pytest.mark.case("many changes at once")
@pytest.mark.parametrize("count", [6, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.pain("storm of alerts")
def test_many_at_once_become_one_message(harness, count):
    ids = [f"a{number}" for number in range(count)]
    harness.poll(*map(listed_account, ids))
    harness.poll(*map(frozen, ids))

    assert len(harness.deliver()) == count
    assert harness.deliver() is None


def test_a_change_that_was_not_told_yet_gives_way_to_the_next(harness):
    harness.poll(signed_out())
    harness.deliver()
    harness.poll(frozen())
    harness.deliver()
    harness.poll(signed_out())

    harness.poll(frozen())

    assert harness.states() == [
        ("slack", "opened", "delivered", None),
        ("slack", "changed", "delivered", None),
        ("slack", "changed", "cancelled", "superseded"),
        ("slack", "changed", "pending", None),
    ]


def test_a_change_that_leads_elsewhere_cancels_what_was_not_sent_yet(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True})
    to = {"slack": "reconnection_required", "mail": "frozen"}
    routes = tuple(Route(match=Match(causes=(cause,)), to=(name,)) for name, cause in to.items())
    harness.rules = replace(harness.rules, routing=make_routing(dict.fromkeys(to, True), *routes))
    harness.poll(signed_out())

    harness.poll(frozen())

    assert harness.deliver("slack") is None
    assert harness.deliver("mail") == [("opened", "a1")]
    ended = harness.column("SELECT state FROM message WHERE settled_at > 0 ORDER BY position")
    assert ended == ["cancelled", "delivered"]


def test_a_fallback_is_not_told_of_a_problem_that_is_over(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback="mail")
    harness.poll(signed_out())
    harness.deliver("slack")
    harness.deliver("mail")
    harness.poll(frozen())
    harness.deliver("mail")
    harness.deliver("slack", error=WRONG)
    harness.poll(listed_account())

    assert harness.deliver("mail") == [("resolved", "a1")]
    assert harness.deliver("mail") is None


def test_a_fallback_hears_once_of_each_receiver_that_cannot_be_told(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback="mail")
    harness.poll(signed_out())
    harness.deliver("mail")
    harness.deliver("slack", error=WRONG)
    assert harness.deliver("mail", after=GROUP_WAIT) == [("notice", "a1")]

    harness.poll(frozen())
    assert harness.deliver("mail") == [("changed", "a1")]
    harness.deliver("slack", error=WRONG)

    assert harness.deliver("mail", after=GROUP_WAIT) is None


def test_what_a_fallback_held_is_told_to_the_one_that_takes_its_place(store):
    harness = StoreHarness(store)
    routing = make_routing(dict.fromkeys(("slack", "mail"), True), Route(to=("slack",)))
    harness.rules, harness.fallback = replace(harness.rules, routing=routing), "mail"
    harness.poll(signed_out("a"))
    harness.deliver("slack", error=WRONG)

    cancel_removed(harness, "mail", fallback="post")

    (opening,) = harness.claim("post", after=GROUP_WAIT).message.notifications
    assert (opening.event, opening.undelivered[:2]) == ("opened", ("slack", "HTTP 400"))


def test_an_account_that_is_connected_is_told_and_not_if_it_is_gone_by_then(store):
    harness = StoreHarness(store, notice_new=True, missing_after=1, missing_many_after=1)
    harness.poll(listed_account("a"))
    harness.poll(listed_account("a"), listed_account("b"))
    harness.poll(listed_account("a"), listed_account("b"), listed_account("c"))

    harness.poll(listed_account("a"), listed_account("b"))

    assert harness.deliver_all() == [[("notice", "b")], [("notice", "c")]]
    assert harness.states() == [
        ("slack", "notice", "delivered", None),
        ("slack", "notice", "cancelled", "superseded"),
        ("slack", "notice", "delivered", None),
    ]
