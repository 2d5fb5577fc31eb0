"""From the commit of a poll to the settlement of what it queued."""

import re
from dataclasses import replace

import pytest
from harness.core import (
    HOUR,
    LINK,
    MINUTE,
    REJECTED,
    frozen,
    listed_account,
    make_routing,
    signed_out,
)
from harness.store import GONE, LEASE, REFUSED, TIMEOUT, StoreHarness
from sqlalchemy import text

from monitor.core.diff import diff
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.inventory import AccountRule, Inventory
from monitor.core.model import Snapshot
from monitor.core.route import Match, Receiver, Route, Routing
from monitor.store import claims, clock, outbox, workspaces
from monitor.store.claims import View

DAY = Duration.parse("24h")

MAIL = Receiver("mail", address_label="owner")


def test_an_opening_is_queued_claimed_sent_and_settled(harness):
    harness.poll(listed_account())
    harness.poll(signed_out())

    claimed = harness.claim()
    settled = harness.settle(claimed)

    notification = claimed.message.notifications[0]
    assert (notification.event, notification.account.name, notification.link.reveal()) == (
        "opened",
        "Person a1",
        LINK,
    )
    assert [(one.receiver, one.outcome) for one in settled] == [("slack", "delivered")]
    assert harness.claim().message is None
    assert list(harness.heard().values()) == [["slack"]]


def test_a_resolution_goes_to_who_heard(harness):
    harness.poll(signed_out())
    harness.deliver()

    harness.poll(listed_account())

    assert harness.deliver() == [("resolved", "a1")]
    assert harness.deliver() is None


def test_an_opening_that_never_left_takes_its_resolution_with_it(harness):
    harness.poll(signed_out())

    recorded = harness.poll(listed_account())

    assert [one.reason for one in recorded.cancelled] == ["recovered"]
    assert harness.deliver() is None
    assert harness.states() == [("slack", "opened", "cancelled", "recovered")]


def test_a_refused_attempt_is_no_hearing(harness):
    harness.poll(signed_out())
    harness.deliver(error=REFUSED)

    harness.poll(listed_account())

    assert harness.deliver(after=HOUR) is None
    assert list(harness.heard().values()) == [[]]


def test_recovery_while_an_opening_is_leaving_is_told_if_it_arrived(harness):
    harness.poll(signed_out())
    claimed = harness.claim()

    harness.poll(listed_account(), after=1)
    assert harness.claim().message is None  # in order: the opening is still leaving
    harness.settle(claimed)

    assert harness.deliver() == [("resolved", "a1")]


def test_recovery_while_an_opening_is_leaving_is_not_told_if_it_was_refused(harness):
    harness.poll(signed_out())
    claimed = harness.claim()

    harness.poll(listed_account(), after=1)
    harness.settle(claimed, REFUSED)

    assert harness.deliver(after=HOUR) is None
    assert [state for _, _, state, _ in harness.states()] == ["cancelled", "cancelled"]


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


def test_a_lapsed_claim_counts_as_heard_and_is_taken_up_again(harness):
    harness.poll(signed_out())
    lost = harness.claim()
    assert harness.claim(after=LEASE - 1).message is None

    again = harness.claim(after=1)

    assert again.message.id == lost.message.id
    assert list(harness.heard().values()) == [["slack"]]
    assert harness.settle(lost) is None  # the claim lapsed: it can't settle any more
    assert harness.settle(again)


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


def test_a_change_before_the_opening_left_is_told_as_one_opening(harness):
    harness.poll(signed_out())

    harness.poll(frozen())

    claimed = harness.claim()
    assert claimed.message.notifications[0].event == "opened"
    assert claimed.message.notifications[0].incident.cause == "frozen"
    harness.settle(claimed)
    assert harness.deliver() is None


def test_the_baseline_is_grouped(harness):
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))

    assert harness.deliver() == [("opened", "a"), ("opened", "b")]


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


def test_a_message_dies_after_an_attempt_past_its_deadline_and_never_before_one(harness):
    harness.poll(signed_out())

    claimed = harness.claim(after=2 * DAY)
    settled = harness.settle(claimed, REFUSED)

    assert [(one.outcome, one.reason) for one in settled] == [("dead", "deadline")]
    assert harness.states() == [("slack", "opened", "dead", "deadline")]


def test_an_attempt_that_began_before_the_deadline_is_not_the_last(harness):
    harness.poll(signed_out())
    claimed = harness.claim()

    harness.now += 2 * DAY
    harness.settle(claimed, REFUSED)

    assert harness.states() == [("slack", "opened", "pending", None)]


def test_a_dead_opening_is_an_opening_for_the_fallback_which_then_hears_the_end(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback="mail")
    harness.poll(listed_account())
    harness.poll(signed_out())
    harness.deliver("mail", error=GONE)

    harness.deliver("slack", error=GONE)
    claimed = harness.claim("mail", after=outbox.GROUP_WAIT)

    assert claimed.message.notifications[0].event == "opened"
    assert claimed.message.notifications[0].undelivered_to == "slack"
    harness.settle(claimed)
    harness.poll(listed_account())
    assert harness.deliver("mail") == [("resolved", "a1")]
    assert harness.deliver("slack") is None


def test_a_fallback_that_heard_gets_a_notice(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback="mail")
    harness.poll(listed_account())
    harness.poll(signed_out())
    harness.deliver("mail")

    harness.deliver("slack", error=GONE)

    assert harness.deliver("mail", after=outbox.GROUP_WAIT) == [("notice", "a1")]


def test_a_dead_resolution_is_a_notice_for_the_fallback(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback="mail")
    harness.poll(signed_out())
    harness.deliver("slack")
    harness.deliver("mail")
    harness.poll(listed_account())
    harness.deliver("mail")

    harness.deliver("slack", error=GONE)

    assert harness.deliver("mail", after=outbox.GROUP_WAIT) == [("notice", "a1")]


def test_a_dead_notice_about_another_receiver_is_not_passed_on_again(store):
    harness = StoreHarness(store, receivers={"slack": True, "hook": False}, fallback="hook")
    harness.poll(listed_account())
    harness.poll(signed_out())
    harness.deliver("hook")
    harness.deliver("slack", error=GONE)
    harness.deliver("hook", error=GONE)

    assert harness.deliver("hook", after=DAY) is None


def test_what_a_machine_refuses_one_by_one_is_one_message_for_the_fallback(store):
    harness = StoreHarness(store, receivers={"mail": True, "hook": False}, fallback="mail")
    harness.poll(frozen("a"), frozen("b"), frozen("c"), listed_account("d"))
    assert len(harness.deliver("mail")) == 3
    harness.deliver("hook", error=GONE)
    harness.deliver("hook", error=GONE)
    assert harness.deliver("mail") is None

    harness.deliver("hook", error=GONE, after=outbox.GROUP_WAIT - 1)

    assert harness.deliver("mail", after=1) == [("notice", "a"), ("notice", "b"), ("notice", "c")]
    assert harness.deliver("mail", after=outbox.GROUP_WAIT) is None


def test_what_two_receivers_could_not_be_told_is_a_message_each(store):
    harness = StoreHarness(
        store, receivers={"mail": True, "hook": False, "crm": False}, fallback="mail"
    )
    harness.poll(frozen("a"), listed_account("d"))
    harness.deliver("mail")
    harness.deliver("hook", error=GONE)
    harness.deliver("crm", error=GONE)

    assert harness.deliver("mail", after=outbox.GROUP_WAIT) == [("notice", "a")]
    assert harness.deliver("mail") == [("notice", "a")]


def test_what_the_fallback_could_not_be_told_at_first_is_not_added_to(store):
    harness = StoreHarness(store, receivers={"mail": True, "hook": False}, fallback="mail")
    harness.poll(frozen("a"), frozen("b"), listed_account("d"))
    harness.deliver("mail")
    harness.deliver("hook", error=GONE)
    claimed = harness.claim("mail", after=outbox.GROUP_WAIT)
    harness.settle(claimed, TIMEOUT)
    harness.deliver("hook", error=GONE)

    again = harness.claim("mail", after=MINUTE)

    assert again.message.id == claimed.message.id
    assert len(again.message.notifications) == 1


def test_a_machine_fallback_gets_one_message_each(store):
    harness = StoreHarness(store, receivers={"slack": True}, fallback="hook")
    harness.receivers["hook"] = False
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    harness.deliver("hook")
    harness.deliver("hook")

    harness.deliver("slack", error=GONE)

    assert len(harness.deliver("hook")) == 1
    assert len(harness.deliver("hook")) == 1
    assert harness.deliver("hook") is None


def test_what_is_queued_for_a_removed_receiver_is_cancelled_and_told_to_the_fallback(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback="mail")
    harness.poll(listed_account())
    harness.poll(signed_out())
    harness.deliver("mail")

    ended = harness.run(
        lambda tx: outbox.cancel_removed(
            tx, ["mail"], harness.receiver("mail"), now=harness.now, new_id=harness.new_id
        )
    )

    assert [(one.receiver, one.reason) for one in ended] == [("slack", "receiver_removed")]
    assert ("slack", "opened", "cancelled", "receiver_removed") in harness.states()
    assert harness.deliver("mail", after=outbox.GROUP_WAIT) == [("notice", "a1")]


def test_a_removed_receiver_without_fallback_is_only_cancelled(harness):
    harness.poll(signed_out())

    harness.run(
        lambda tx: outbox.cancel_removed(tx, [], None, now=harness.now, new_id=harness.new_id)
    )

    assert harness.states() == [("slack", "opened", "cancelled", "receiver_removed")]


def test_a_receiver_that_left_while_its_message_was_leaving_counts_as_having_heard(harness):
    harness.poll(signed_out())
    sending = harness.claim()

    harness.run(
        lambda tx: outbox.cancel_removed(tx, [], None, now=harness.now, new_id=harness.new_id)
    )
    assert harness.settle(sending) is None

    assert list(harness.heard().values()) == [["slack"]]
    harness.poll(listed_account())
    assert harness.deliver() == [("resolved", "a1")]  # it is back, and may have heard


def test_an_error_that_no_database_stores_does_not_keep_a_message_from_settling(harness):
    harness.poll(signed_out())
    odd = DeliveryError("a\0b\udc80" + "x" * 5000, reason=AttemptReason.SERVER)

    harness.settle(harness.claim(), odd)

    (kept,) = harness.run(
        lambda tx: tx.execute(text("SELECT last_error FROM message")).scalars().all()
    )
    assert kept == "a\ufffdb?" + "x" * 996


def test_a_workspaces_incident_is_told_and_resolved(harness):
    harness.poll(listed_account())
    harness.observe(REJECTED)
    harness.observe(REJECTED)

    assert harness.deliver() == [("opened", None)]
    harness.poll(listed_account())
    assert harness.deliver() == [("resolved", None)]


def test_a_removed_accounts_notice_still_knows_its_name(harness):
    harness.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        harness.poll(listed_account("a"))

    claimed = harness.claim()

    assert claimed.message.notifications[0].event == "notice"
    assert claimed.message.notifications[0].account.name == "Person b"


def test_an_opening_waits_for_the_link_that_is_asked_for(store):
    harness = StoreHarness(store, create=True)
    harness.poll(signed_out(link=""))

    assert harness.deliver() is None
    assert harness.deliver(after=Duration.parse("10s")) == [("opened", "a1")]


def test_a_link_that_arrives_lets_the_opening_go(store):
    harness = StoreHarness(store, create=True)
    harness.poll(signed_out(link=""))

    harness.poll(signed_out(), after=1)
    claimed = harness.claim()

    assert claimed.message.notifications[0].link.reveal() == LINK
    harness.settle(claimed)
    assert harness.deliver() is None


def test_a_link_that_comes_after_the_opening_is_told_once(harness):
    harness.poll(signed_out(link=""))
    harness.deliver()

    harness.poll(signed_out())
    harness.poll(signed_out(link="https://app.linkedapi.io/connection/rotated"))

    assert harness.deliver() == [("refreshed", "a1")]
    assert harness.deliver() is None


def test_the_next_wake_is_the_earliest_retry_or_lapse(harness):
    def next_at():
        return harness.run(lambda tx: claims.next_at(tx, "slack", harness.now))

    assert next_at() is None
    harness.poll(signed_out())
    claimed = harness.claim()
    assert next_at() == harness.now + LEASE
    harness.settle(claimed, REFUSED)
    assert next_at() == harness.now + Duration.parse("5s")


def test_the_backlog_counts_notifications_and_knows_the_oldest(harness):
    others = [listed_account(f"c{number}") for number in range(7)]
    harness.poll(listed_account("a"), *others)
    harness.poll(signed_out("a"), *others)
    oldest = harness.now
    harness.poll(signed_out("a"), *(frozen(one.id) for one in others))

    assert harness.run(outbox.backlog) == {"slack": (8, oldest)}


@pytest.mark.parametrize("count", [6, 1000])
def test_many_at_once_become_one_message(harness, count):
    harness.poll(*(listed_account(f"a{n}") for n in range(count)))

    harness.poll(*(frozen(f"a{n}") for n in range(count)))

    assert len(harness.deliver()) == count
    assert harness.deliver() is None


def test_a_change_while_the_opening_is_leaving_reaches_who_is_hearing_it(harness):
    harness.poll(signed_out())
    claimed = harness.claim()

    harness.poll(frozen(), after=1)
    harness.settle(claimed)

    assert harness.deliver() == [("changed", "a1")]


def test_a_link_that_comes_while_the_opening_is_leaving_is_told(harness):
    harness.poll(signed_out(link=""))
    claimed = harness.claim()

    harness.poll(signed_out(), after=1)
    harness.settle(claimed)

    assert harness.deliver() == [("refreshed", "a1")]


def test_a_change_before_a_refused_opening_is_repeated_is_said_once(harness):
    harness.poll(signed_out())
    claimed = harness.claim()
    harness.poll(frozen(), after=1)
    harness.settle(claimed, REFUSED)

    assert harness.deliver(after=HOUR) == [("opened", "a1")]
    assert harness.deliver() is None


def test_a_change_that_leads_elsewhere_takes_along_what_had_not_left(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True})
    to = {"slack": "reconnection_required", "mail": "frozen"}
    routes = tuple(Route(Match(causes=(cause,)), (name,)) for name, cause in to.items())
    harness.rules = replace(harness.rules, routing=make_routing(harness.receivers, *routes))
    harness.poll(signed_out())

    harness.poll(frozen())

    assert harness.deliver("slack") is None
    assert harness.deliver("mail") == [("opened", "a1")]


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


def test_a_fallback_is_not_told_of_a_problem_that_is_over(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback="mail")
    harness.poll(signed_out())
    harness.deliver("slack")
    harness.deliver("mail")
    harness.poll(frozen())
    harness.deliver("mail")
    harness.deliver("slack", error=GONE)
    harness.poll(listed_account())

    assert harness.deliver("mail") == [("resolved", "a1")]
    assert harness.deliver("mail") is None


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


HOT = (claims.LAPSED, claims.NEXT, claims.NEXT_AT, outbox.CANCEL_ENDED, outbox.LIVE,
       outbox.CLOSE_EMPTY, outbox.RELEASE, outbox.POSITION, outbox.BACKLOG)  # fmt: skip


@pytest.mark.parametrize("statement", HOT)
def test_no_statement_of_a_delivery_reads_all_that_was_ever_sent(store, statement):
    names = {"receiver": "", "now": 0, "incident_id": "", "message_id": "", "id": ""}
    values = {name: value for name, value in names.items() if f":{name}" in statement.text}

    plan = store.run_now(lambda tx: planned(tx, statement, values))

    whole = re.compile(r"\b(SCAN|Seq Scan on) (message|notification)$")
    assert plan
    assert not [step for step in plan if whole.search(step.partition("  (cost")[0])]


def planned(tx, statement, values):
    """The steps that the database takes for *statement*."""
    if tx.dialect.name == "sqlite":
        return [row.detail for row in tx.execute(text(f"EXPLAIN QUERY PLAN {statement}"), values)]
    tx.execute(text("SET LOCAL enable_seqscan = off"))  # only where there is no other way
    return tx.execute(text(f"EXPLAIN {statement}"), values).scalars().all()


def test_a_fallback_hears_once_of_each_receiver_that_cannot_be_told(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True}, fallback="mail")
    harness.poll(signed_out())
    harness.deliver("mail")
    harness.deliver("slack", error=GONE)
    assert harness.deliver("mail", after=outbox.GROUP_WAIT) == [("notice", "a1")]

    harness.poll(frozen())
    assert harness.deliver("mail") == [("changed", "a1")]
    harness.deliver("slack", error=GONE)

    assert harness.deliver("mail", after=outbox.GROUP_WAIT) is None


@pytest.mark.parametrize("is_leaving", [True, False])
def test_a_change_is_told_although_the_clock_went_back_since_the_opening(harness, is_leaving):
    harness.poll(signed_out())
    harness.run(lambda tx: clock.set_clock(tx, harness.now))
    claimed = harness.claim()
    if not is_leaving:
        harness.settle(claimed)
    harness.now -= HOUR
    harness.run(lambda tx: clock.set_clock(tx, harness.now))
    if is_leaving:
        harness.settle(claimed)

    harness.poll(frozen())

    assert harness.deliver() == [("changed", "a1")]


def test_a_change_that_waits_when_the_clock_goes_back_is_told(harness):
    harness.poll(signed_out())
    harness.run(lambda tx: clock.set_clock(tx, harness.now))
    harness.deliver()
    harness.poll(frozen())
    harness.deliver(error=REFUSED)
    harness.now -= HOUR
    harness.run(lambda tx: clock.set_clock(tx, harness.now))

    assert harness.deliver(after=HOUR) == [("changed", "a1")]


def test_nothing_of_a_workspace_that_left_the_configuration_waits_for_ever(harness):
    harness.poll(signed_out("a"), listed_account("b"))
    harness.deliver(error=REFUSED)
    harness.poll(listed_account("b"))
    assert harness.deliver(after=HOUR) is None  # missing: wait and see
    harness.watched = harness.current = False
    assert harness.deliver(after=HOUR) is None  # a configuration is being taken up

    harness.run(lambda tx: workspaces.detach(tx, (), harness.now))

    assert harness.deliver(after=HOUR) == [("opened", "a")]


def test_what_waits_for_a_workspace_under_a_name_that_is_not_known_yet_waits_on(store):
    harness = StoreHarness(store, receivers={"mail": True})
    owned(harness, a="jane@example.com")
    harness.poll(signed_out("a"))
    harness.run(lambda tx: workspaces.rename(tx, "acme", "growth"))

    assert claim_mail(harness).message is None
    harness.inventory = Inventory({"growth": {"owner": "jane@example.com"}})
    harness.now += HOUR

    (told,) = claim_mail(harness).message.notifications
    assert (told.workspace, told.labels["owner"]) == ("growth", "jane@example.com")


def test_the_end_of_a_workspace_is_cancelled_where_its_label_left_with_it(store):
    harness = StoreHarness(store, receivers={"mail": True})
    harness.inventory = Inventory({"acme": {"owner": "jane@example.com"}})
    routing = Routing({"mail": MAIL}, inventory=harness.inventory)
    harness.rules = replace(harness.rules, routing=routing)
    harness.poll(signed_out("a"))
    harness.settle(claim_mail(harness))
    harness.poll(listed_account("a"))
    harness.inventory = Inventory({})
    harness.run(lambda tx: workspaces.detach(tx, (), harness.now))

    claimed = claim_mail(harness)

    assert claimed.message is None
    assert [(one.outcome, one.reason) for one in claimed.ended] == [("cancelled", "unwatched")]


def test_what_waits_for_an_owner_who_changed_stays_together(store):
    harness = StoreHarness(store, receivers={"mail": True})
    people = [f"p{number}" for number in range(8)]
    owned(harness, **dict.fromkeys(people, "jane@example.com"))
    harness.poll(*map(frozen, people), listed_account("b"))
    owned(
        harness,
        **dict.fromkeys(people[:3], "jane@example.com"),
        **dict.fromkeys(people[3:], "joe@example.com"),
    )

    first, second = claim_mail(harness), claim_mail(harness)

    assert [len(one.message.notifications) for one in (first, second)] == [3, 5]
    assert claim_mail(harness).message is None


def test_what_a_fallback_held_is_told_to_the_one_that_takes_its_place(store):
    harness = StoreHarness(
        store, receivers={"slack": True, "mail": True, "post": True}, fallback="mail"
    )
    harness.rules = replace(
        harness.rules, routing=replace(harness.rules.routing, routes=(Route(Match(), ("slack",)),))
    )
    harness.poll(signed_out("a"))
    harness.deliver("slack", error=GONE)

    harness.run(
        lambda tx: outbox.cancel_removed(
            tx, ["slack", "post"], harness.receiver("post"), now=harness.now, new_id=harness.new_id
        )
    )

    claimed = harness.claim("post", after=outbox.GROUP_WAIT)
    assert [(one.event, one.undelivered_to) for one in claimed.message.notifications] == [
        ("opened", "slack")
    ]


# ── who is addressed by a label, and what left the configuration ─────────────────────────────────


def owned(harness, **owners):
    """Say who owns which account: `mail` writes to the address in the label `owner`."""
    rules = [AccountRule(ids=(id_,), labels={"owner": owner}) for id_, owner in owners.items()]
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


def mails(harness):
    """Deliver all mails; return for each the accounts and their owners."""
    sent = []
    while (claimed := claim_mail(harness)).message is not None:
        sent.append(
            [(one.account.id, one.labels.get("owner")) for one in claimed.message.notifications]
        )
        harness.settle(claimed)
    return sent


def test_those_who_own_several_accounts_get_one_message_about_them(store):
    harness = StoreHarness(store, receivers={"mail": True})
    owned(harness, a="jane", b="joe", c="jane")

    harness.poll(*(signed_out(id_) for id_ in "abc"))

    assert sorted(mails(harness)) == [[("a", "jane"), ("c", "jane")], [("b", "joe")]]


def test_a_group_whose_owners_have_changed_before_it_left_is_split(store):
    harness = StoreHarness(store, receivers={"mail": True})
    owned(harness, a="jane", b="jane", c="jane", d="jane")
    harness.poll(*(signed_out(id_) for id_ in "abcd"))

    owned(harness, a="jane", b="joe", c="jane")

    assert sorted(mails(harness), key=str) == [
        *([("a", "jane"), ("c", "jane")], [("b", "joe")], [("d", None)]),
    ]
    assert list(harness.heard().values()) == [["mail"]] * 4


def test_what_waited_for_an_account_that_is_ignored_now_says_so(harness):
    harness.poll(listed_account("a"), signed_out("b"))

    ignored = diff(harness.workspace, Snapshot((listed_account("a"), signed_out("b"))), {}, is_b)
    recorded = harness.observe(ignored)

    assert [one.reason for one in recorded.cancelled] == ["unwatched"]
    assert harness.states() == [("slack", "opened", "cancelled", "unwatched")]
    assert harness.deliver() is None


def is_b(one):
    return one.id == "b"


def test_who_heard_of_an_account_that_is_ignored_now_hears_the_end(harness):
    harness.poll(listed_account("a"), signed_out("b"))
    harness.deliver()

    harness.observe(
        diff(harness.workspace, Snapshot((listed_account("a"), signed_out("b"))), {}, is_b)
    )

    assert harness.deliver() == [("resolved", "b")]
    assert harness.deliver() is None


def test_an_opening_that_was_refused_while_its_account_left_says_so(harness):
    harness.poll(listed_account("a"), signed_out("b"))
    claimed = harness.claim()
    harness.observe(
        diff(harness.workspace, Snapshot((listed_account("a"), signed_out("b"))), {}, is_b), after=1
    )
    harness.settle(claimed, REFUSED)

    assert harness.deliver(after=HOUR) is None
    assert ("slack", "opened", "cancelled", "unwatched") in harness.states()
