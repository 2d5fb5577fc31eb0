"""From the commit of a poll to the settlement of what it queued."""

import re
from dataclasses import replace

import pytest
from desk import GONE, LEASE, REFUSED, TIMEOUT, Desk
from factories import HOUR, LINK, MINUTE, REJECTED, frozen, listed_account, signed_out
from sqlalchemy import text

from monitor.core.diff import diff
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.inventory import AccountRule, Inventory
from monitor.core.model import Snapshot
from monitor.core.route import Match, Route, Routing
from monitor.store import attachment, claims, outbox, upkeep
from monitor.store.claims import View
from monitor.store.outbox import Receiver

DAY = Duration.parse("24h")


def test_an_opening_is_queued_claimed_sent_and_settled(desk):
    desk.poll(listed_account())
    desk.poll(signed_out())

    claimed = desk.claim()
    settled = desk.settle(claimed)

    notification = claimed.message.notifications[0]
    assert (notification.event, notification.account.name, notification.link.reveal()) == (
        "opened",
        "Person a1",
        LINK,
    )
    assert [(one.receiver, one.outcome) for one in settled] == [("slack", "delivered")]
    assert desk.claim().message is None
    assert list(desk.heard().values()) == [["slack"]]


def test_a_resolution_goes_to_who_heard(desk):
    desk.poll(signed_out())
    desk.deliver()

    desk.poll(listed_account())

    assert desk.deliver() == [("resolved", "a1")]
    assert desk.deliver() is None


def test_an_opening_that_never_left_takes_its_resolution_with_it(desk):
    desk.poll(signed_out())

    recorded = desk.poll(listed_account())

    assert [one.reason for one in recorded.enqueued.cancelled] == ["recovered"]
    assert desk.deliver() is None
    assert desk.states() == [("slack", "opened", "cancelled", "recovered")]


def test_a_refused_attempt_is_no_hearing(desk):
    desk.poll(signed_out())
    desk.deliver(error=REFUSED)

    desk.poll(listed_account())

    assert desk.deliver(after=HOUR) is None
    assert list(desk.heard().values()) == [[]]


def test_recovery_while_an_opening_is_leaving_is_told_if_it_arrived(desk):
    desk.poll(signed_out())
    claimed = desk.claim()

    desk.poll(listed_account(), after=1)
    assert desk.claim().message is None  # in order: the opening is still leaving
    desk.settle(claimed)

    assert desk.deliver() == [("resolved", "a1")]


def test_recovery_while_an_opening_is_leaving_is_not_told_if_it_was_refused(desk):
    desk.poll(signed_out())
    claimed = desk.claim()

    desk.poll(listed_account(), after=1)
    desk.settle(claimed, REFUSED)

    assert desk.deliver(after=HOUR) is None
    assert [state for _, _, state, _ in desk.states()] == ["cancelled", "cancelled"]


def test_an_unanswered_attempt_counts_as_heard_and_is_repeated_under_its_key(desk):
    desk.poll(signed_out())
    first = desk.claim()
    desk.settle(first, TIMEOUT)
    assert desk.claim().message is None

    again = desk.claim(after=MINUTE)

    assert again.message.id == first.message.id
    assert again.attempts == 2
    assert list(desk.heard().values()) == [["slack"]]
    desk.settle(again)


def test_a_lapsed_claim_counts_as_heard_and_is_taken_up_again(desk):
    desk.poll(signed_out())
    lost = desk.claim()
    assert desk.claim(after=LEASE - 1).message is None

    again = desk.claim(after=1)

    assert again.message.id == lost.message.id
    assert list(desk.heard().values()) == [["slack"]]
    assert desk.settle(lost) is None  # the claim lapsed: it can't settle any more
    assert desk.settle(again)


def test_a_lapsed_opening_that_recovered_is_not_repeated_but_resolved(desk):
    desk.poll(signed_out())
    desk.claim()
    desk.poll(listed_account(), after=1)

    assert desk.deliver(after=LEASE) == [("resolved", "a1")]
    assert ("slack", "opened", "cancelled", "recovered") in desk.states()


def test_two_workers_never_hold_the_same_message(desk):
    desk.poll(signed_out("a"), frozen("b"), listed_account("c"))

    assert desk.claim().message is not None
    assert desk.claim().message is None


def test_order_holds_per_receiver_and_account_only(desk):
    desk.poll(listed_account("a"), listed_account("b"))
    desk.poll(signed_out("a"), listed_account("b"))
    claimed = desk.claim()
    desk.poll(frozen("a"), frozen("b"), after=1)

    assert desk.deliver() == [("opened", "b")]
    assert desk.deliver() is None
    desk.settle(claimed)
    assert desk.deliver() == [("changed", "a")]


def test_a_retry_waits_its_turn_and_holds_up_only_its_account(desk):
    desk.poll(listed_account("a"), listed_account("b"))
    desk.poll(signed_out("a"), listed_account("b"))
    desk.deliver(error=REFUSED)
    desk.poll(signed_out("a"), frozen("b"), after=1)

    assert desk.deliver() == [("opened", "b")]
    assert desk.deliver() is None
    assert desk.deliver(after=MINUTE) == [("opened", "a")]


def test_a_change_before_the_opening_left_is_told_as_one_opening(desk):
    desk.poll(signed_out())

    desk.poll(frozen())

    claimed = desk.claim()
    assert claimed.message.notifications[0].event == "opened"
    assert claimed.message.notifications[0].incident.cause == "frozen"
    desk.settle(claimed)
    assert desk.deliver() is None


def test_the_baseline_is_grouped(desk):
    desk.poll(signed_out("a"), frozen("b"), listed_account("c"))

    assert desk.deliver() == [("opened", "a"), ("opened", "b")]


def test_what_recovered_drops_out_of_a_group(desk):
    desk.poll(signed_out("a"), frozen("b"), listed_account("c"))
    desk.poll(listed_account("a"), frozen("b"), listed_account("c"))

    assert desk.deliver() == [("opened", "b")]
    assert desk.deliver() is None


def test_what_seems_over_in_a_group_waits_apart(store):
    desk = Desk(store, resolve_after=2)
    desk.poll(signed_out("a"), frozen("b"), listed_account("c"))
    desk.poll(listed_account("a"), frozen("b"), listed_account("c"))

    assert desk.deliver() == [("opened", "b")]
    assert desk.deliver() is None
    desk.poll(signed_out("a"), frozen("b"), listed_account("c"))
    assert desk.deliver(after=MINUTE) == [("opened", "a")]


def test_what_seems_over_waits_whole(store):
    desk = Desk(store, resolve_after=2)
    desk.poll(signed_out())
    desk.poll(listed_account())

    assert desk.deliver() is None
    desk.poll(listed_account())
    assert desk.deliver(after=HOUR) is None


def test_a_message_dies_after_an_attempt_past_its_deadline_and_never_before_one(desk):
    desk.poll(signed_out())

    claimed = desk.claim(after=2 * DAY)
    settled = desk.settle(claimed, REFUSED)

    assert [(one.outcome, one.reason) for one in settled] == [("dead", "deadline")]
    assert desk.states() == [("slack", "opened", "dead", "deadline")]


def test_an_attempt_that_began_before_the_deadline_is_not_the_last(desk):
    desk.poll(signed_out())
    claimed = desk.claim()

    desk.now += 2 * DAY
    desk.settle(claimed, REFUSED)

    assert desk.states() == [("slack", "opened", "pending", None)]


def test_a_dead_opening_is_an_opening_for_the_fallback_which_then_hears_the_end(store):
    desk = Desk(store, receivers={"slack": True, "mail": True}, fallback="mail")
    desk.poll(listed_account())
    desk.poll(signed_out())
    desk.deliver("mail", error=GONE)

    desk.deliver("slack", error=GONE)
    claimed = desk.claim("mail", after=outbox.GROUP_WAIT)

    assert claimed.message.notifications[0].event == "opened"
    assert claimed.message.notifications[0].undelivered_to == "slack"
    desk.settle(claimed)
    desk.poll(listed_account())
    assert desk.deliver("mail") == [("resolved", "a1")]
    assert desk.deliver("slack") is None


def test_a_fallback_that_heard_gets_a_notice(store):
    desk = Desk(store, receivers={"slack": True, "mail": True}, fallback="mail")
    desk.poll(listed_account())
    desk.poll(signed_out())
    desk.deliver("mail")

    desk.deliver("slack", error=GONE)

    assert desk.deliver("mail", after=outbox.GROUP_WAIT) == [("notice", "a1")]


def test_a_dead_resolution_is_a_notice_for_the_fallback(store):
    desk = Desk(store, receivers={"slack": True, "mail": True}, fallback="mail")
    desk.poll(signed_out())
    desk.deliver("slack")
    desk.deliver("mail")
    desk.poll(listed_account())
    desk.deliver("mail")

    desk.deliver("slack", error=GONE)

    assert desk.deliver("mail", after=outbox.GROUP_WAIT) == [("notice", "a1")]


def test_a_dead_notice_about_another_receiver_is_not_passed_on_again(store):
    desk = Desk(store, receivers={"slack": True, "hook": False}, fallback="hook")
    desk.poll(listed_account())
    desk.poll(signed_out())
    desk.deliver("hook")
    desk.deliver("slack", error=GONE)
    desk.deliver("hook", error=GONE)

    assert desk.deliver("hook", after=DAY) is None


def test_what_a_machine_refuses_one_by_one_is_one_message_for_the_fallback(store):
    desk = Desk(store, receivers={"mail": True, "hook": False}, fallback="mail")
    desk.poll(frozen("a"), frozen("b"), frozen("c"), listed_account("d"))
    assert len(desk.deliver("mail")) == 3
    desk.deliver("hook", error=GONE)
    desk.deliver("hook", error=GONE)
    assert desk.deliver("mail") is None

    desk.deliver("hook", error=GONE, after=outbox.GROUP_WAIT - 1)

    assert desk.deliver("mail", after=1) == [("notice", "a"), ("notice", "b"), ("notice", "c")]
    assert desk.deliver("mail", after=outbox.GROUP_WAIT) is None


def test_what_two_receivers_could_not_be_told_is_a_message_each(store):
    desk = Desk(store, receivers={"mail": True, "hook": False, "crm": False}, fallback="mail")
    desk.poll(frozen("a"), listed_account("d"))
    desk.deliver("mail")
    desk.deliver("hook", error=GONE)
    desk.deliver("crm", error=GONE)

    assert desk.deliver("mail", after=outbox.GROUP_WAIT) == [("notice", "a")]
    assert desk.deliver("mail") == [("notice", "a")]


def test_what_the_fallback_could_not_be_told_at_first_is_not_added_to(store):
    desk = Desk(store, receivers={"mail": True, "hook": False}, fallback="mail")
    desk.poll(frozen("a"), frozen("b"), listed_account("d"))
    desk.deliver("mail")
    desk.deliver("hook", error=GONE)
    claimed = desk.claim("mail", after=outbox.GROUP_WAIT)
    desk.settle(claimed, TIMEOUT)
    desk.deliver("hook", error=GONE)

    again = desk.claim("mail", after=MINUTE)

    assert again.message.id == claimed.message.id
    assert len(again.message.notifications) == 1


def test_a_machine_fallback_gets_one_message_each(store):
    desk = Desk(store, receivers={"slack": True}, fallback="hook")
    desk.receivers["hook"] = False
    desk.poll(signed_out("a"), frozen("b"), listed_account("c"))
    desk.deliver("hook")
    desk.deliver("hook")

    desk.deliver("slack", error=GONE)

    assert len(desk.deliver("hook")) == 1
    assert len(desk.deliver("hook")) == 1
    assert desk.deliver("hook") is None


def test_what_is_queued_for_a_removed_receiver_is_cancelled_and_told_to_the_fallback(store):
    desk = Desk(store, receivers={"slack": True, "mail": True}, fallback="mail")
    desk.poll(listed_account())
    desk.poll(signed_out())
    desk.deliver("mail")

    ended = desk.run(
        lambda tx: outbox.cancel_removed(
            tx, ["mail"], desk.receiver("mail"), now=desk.now, new_id=desk.new_id
        )
    )

    assert [(one.receiver, one.reason) for one in ended] == [("slack", "receiver_removed")]
    assert ("slack", "opened", "cancelled", "receiver_removed") in desk.states()
    assert desk.deliver("mail", after=outbox.GROUP_WAIT) == [("notice", "a1")]


def test_a_removed_receiver_without_fallback_is_only_cancelled(desk):
    desk.poll(signed_out())

    desk.run(lambda tx: outbox.cancel_removed(tx, [], None, now=desk.now, new_id=desk.new_id))

    assert desk.states() == [("slack", "opened", "cancelled", "receiver_removed")]


def test_a_receiver_that_left_while_its_message_was_leaving_counts_as_having_heard(desk):
    desk.poll(signed_out())
    sending = desk.claim()

    desk.run(lambda tx: outbox.cancel_removed(tx, [], None, now=desk.now, new_id=desk.new_id))
    assert desk.settle(sending) is None

    assert list(desk.heard().values()) == [["slack"]]
    desk.poll(listed_account())
    assert desk.deliver() == [("resolved", "a1")]  # it is back, and may have heard


def test_an_error_that_no_database_stores_does_not_keep_a_message_from_settling(desk):
    desk.poll(signed_out())
    odd = DeliveryError("a\0b\udc80" + "x" * 5000, reason=AttemptReason.SERVER)

    desk.settle(desk.claim(), odd)

    (kept,) = desk.run(
        lambda tx: tx.execute(text("SELECT last_error FROM message")).scalars().all()
    )
    assert kept == "a\ufffdb?" + "x" * 996


def test_a_workspaces_incident_is_told_and_resolved(desk):
    desk.poll(listed_account())
    desk.observe(REJECTED)
    desk.observe(REJECTED)

    assert desk.deliver() == [("opened", None)]
    desk.poll(listed_account())
    assert desk.deliver() == [("resolved", None)]


def test_a_removed_accounts_notice_still_knows_its_name(desk):
    desk.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        desk.poll(listed_account("a"))

    claimed = desk.claim()

    assert claimed.message.notifications[0].event == "notice"
    assert claimed.message.notifications[0].account.name == "Person b"


def test_an_opening_waits_for_the_link_that_is_asked_for(store):
    desk = Desk(store, create=True)
    desk.poll(signed_out(link=""))

    assert desk.deliver() is None
    assert desk.deliver(after=Duration.parse("10s")) == [("opened", "a1")]


def test_a_link_that_arrives_lets_the_opening_go(store):
    desk = Desk(store, create=True)
    desk.poll(signed_out(link=""))

    desk.poll(signed_out(), after=1)
    claimed = desk.claim()

    assert claimed.message.notifications[0].link.reveal() == LINK
    desk.settle(claimed)
    assert desk.deliver() is None


def test_a_link_that_comes_after_the_opening_is_told_once(desk):
    desk.poll(signed_out(link=""))
    desk.deliver()

    desk.poll(signed_out())
    desk.poll(signed_out(link="https://app.linkedapi.io/connection/rotated"))

    assert desk.deliver() == [("refreshed", "a1")]
    assert desk.deliver() is None


def test_the_next_wake_is_the_earliest_retry_or_lapse(desk):
    def next_at():
        return desk.run(lambda tx: claims.next_at(tx, "slack", desk.now))

    assert next_at() is None
    desk.poll(signed_out())
    claimed = desk.claim()
    assert next_at() == desk.now + LEASE
    desk.settle(claimed, REFUSED)
    assert next_at() == desk.now + Duration.parse("5s")


def test_the_backlog_counts_notifications_and_knows_the_oldest(desk):
    others = [listed_account(f"c{number}") for number in range(7)]
    desk.poll(listed_account("a"), *others)
    desk.poll(signed_out("a"), *others)
    oldest = desk.now
    desk.poll(signed_out("a"), *(frozen(one.id) for one in others))

    assert desk.run(outbox.backlog) == {"slack": (8, oldest)}


@pytest.mark.parametrize("count", [6, 1000])
def test_many_at_once_become_one_message(desk, count):
    desk.poll(*(listed_account(f"a{n}") for n in range(count)))

    desk.poll(*(frozen(f"a{n}") for n in range(count)))

    assert len(desk.deliver()) == count
    assert desk.deliver() is None


def test_a_change_while_the_opening_is_leaving_reaches_who_is_hearing_it(desk):
    desk.poll(signed_out())
    claimed = desk.claim()

    desk.poll(frozen(), after=1)
    desk.settle(claimed)

    assert desk.deliver() == [("changed", "a1")]


def test_a_link_that_comes_while_the_opening_is_leaving_is_told(desk):
    desk.poll(signed_out(link=""))
    claimed = desk.claim()

    desk.poll(signed_out(), after=1)
    desk.settle(claimed)

    assert desk.deliver() == [("refreshed", "a1")]


def test_a_change_before_a_refused_opening_is_repeated_is_said_once(desk):
    desk.poll(signed_out())
    claimed = desk.claim()
    desk.poll(frozen(), after=1)
    desk.settle(claimed, REFUSED)

    assert desk.deliver(after=HOUR) == [("opened", "a1")]
    assert desk.deliver() is None


def test_a_change_that_leads_elsewhere_takes_along_what_had_not_left(store):
    desk = Desk(store, receivers={"slack": True, "mail": True})
    to = {"slack": "reconnection_required", "mail": "frozen"}
    routes = tuple(Route(Match(causes=(cause,)), (name,)) for name, cause in to.items())
    desk.rules = replace(desk.rules, routing=Routing(desk.receivers, routes))
    desk.poll(signed_out())

    desk.poll(frozen())

    assert desk.deliver("slack") is None
    assert desk.deliver("mail") == [("opened", "a1")]


def test_after_a_start_an_opening_waits_for_a_look_at_the_workspace(desk):
    desk.poll(signed_out())
    desk.current = False

    assert desk.deliver() is None
    desk.current = True
    assert desk.deliver(after=MINUTE) == [("opened", "a1")]


def test_a_removal_is_not_told_once_the_account_is_back(desk):
    desk.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        desk.poll(listed_account("a"))
    desk.poll(listed_account("a"), listed_account("b"))

    assert desk.deliver() is None


def test_a_fallback_is_not_told_of_a_problem_that_is_over(store):
    desk = Desk(store, receivers={"slack": True, "mail": True}, fallback="mail")
    desk.poll(signed_out())
    desk.deliver("slack")
    desk.deliver("mail")
    desk.poll(frozen())
    desk.deliver("mail")
    desk.deliver("slack", error=GONE)
    desk.poll(listed_account())

    assert desk.deliver("mail") == [("resolved", "a1")]
    assert desk.deliver("mail") is None


def test_a_send_of_our_own_does_not_lapse_when_the_clock_jumps(desk):
    desk.poll(signed_out())
    claimed = desk.claim()
    desk.sending = {claimed.message.id}

    assert desk.claim(after=HOUR).message is None
    assert desk.settle(claimed)


def test_a_group_for_a_receiver_that_takes_none_any_more_is_told_one_by_one(desk):
    desk.poll(signed_out("a"), frozen("b"), listed_account("c"))
    desk.receivers["slack"] = False

    assert desk.deliver() == [("opened", "a")]
    assert desk.deliver() == [("opened", "b")]
    assert desk.deliver() is None


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
    desk = Desk(store, receivers={"slack": True, "mail": True}, fallback="mail")
    desk.poll(signed_out())
    desk.deliver("mail")
    desk.deliver("slack", error=GONE)
    assert desk.deliver("mail", after=outbox.GROUP_WAIT) == [("notice", "a1")]

    desk.poll(frozen())
    assert desk.deliver("mail") == [("changed", "a1")]
    desk.deliver("slack", error=GONE)

    assert desk.deliver("mail", after=outbox.GROUP_WAIT) is None


@pytest.mark.parametrize("is_leaving", [True, False])
def test_a_change_is_told_although_the_clock_went_back_since_the_opening(desk, is_leaving):
    desk.poll(signed_out())
    desk.run(lambda tx: upkeep.set_clock(tx, desk.now))
    claimed = desk.claim()
    if not is_leaving:
        desk.settle(claimed)
    desk.now -= HOUR
    desk.run(lambda tx: upkeep.set_clock(tx, desk.now))
    if is_leaving:
        desk.settle(claimed)

    desk.poll(frozen())

    assert desk.deliver() == [("changed", "a1")]


def test_a_change_that_waits_when_the_clock_goes_back_is_told(desk):
    desk.poll(signed_out())
    desk.run(lambda tx: upkeep.set_clock(tx, desk.now))
    desk.deliver()
    desk.poll(frozen())
    desk.deliver(error=REFUSED)
    desk.now -= HOUR
    desk.run(lambda tx: upkeep.set_clock(tx, desk.now))

    assert desk.deliver(after=HOUR) == [("changed", "a1")]


def test_nothing_of_a_workspace_that_left_the_configuration_waits_for_ever(desk):
    desk.poll(signed_out("a"), listed_account("b"))
    desk.deliver(error=REFUSED)
    desk.poll(listed_account("b"))
    assert desk.deliver(after=HOUR) is None  # missing: wait and see
    desk.watched = desk.current = False
    assert desk.deliver(after=HOUR) is None  # a configuration is being taken up

    desk.run(lambda tx: attachment.detach(tx, (), desk.now))

    assert desk.deliver(after=HOUR) == [("opened", "a")]


def test_what_waits_for_a_workspace_under_a_name_that_is_not_known_yet_waits_on(store):
    desk = Desk(store, receivers={"mail": True})
    owned(desk, a="jane@example.com")
    desk.poll(signed_out("a"))
    desk.run(lambda tx: attachment.rename(tx, "acme", "growth"))

    assert claim_mail(desk).message is None
    desk.inventory = Inventory({"growth": {"owner": "jane@example.com"}})
    desk.now += HOUR

    (told,) = claim_mail(desk).message.notifications
    assert (told.workspace, told.labels["owner"]) == ("growth", "jane@example.com")


def test_the_end_of_a_workspace_is_cancelled_where_its_label_left_with_it(store):
    desk = Desk(store, receivers={"mail": True})
    desk.inventory = Inventory({"acme": {"owner": "jane@example.com"}})
    routing = Routing({"mail": True}, inventory=desk.inventory, address_labels={"mail": "owner"})
    desk.rules = replace(desk.rules, routing=routing)
    desk.poll(signed_out("a"))
    desk.settle(claim_mail(desk))
    desk.poll(listed_account("a"))
    desk.inventory = Inventory({})
    desk.run(lambda tx: attachment.detach(tx, (), desk.now))

    claimed = claim_mail(desk)

    assert claimed.message is None
    assert [(one.outcome, one.reason) for one in claimed.ended] == [("cancelled", "unwatched")]


def test_what_waits_for_an_owner_who_changed_stays_together(store):
    desk = Desk(store, receivers={"mail": True})
    people = [f"p{number}" for number in range(8)]
    owned(desk, **dict.fromkeys(people, "jane@example.com"))
    desk.poll(*map(frozen, people), listed_account("b"))
    owned(
        desk,
        **dict.fromkeys(people[:3], "jane@example.com"),
        **dict.fromkeys(people[3:], "joe@example.com"),
    )

    first, second = claim_mail(desk), claim_mail(desk)

    assert [len(one.message.notifications) for one in (first, second)] == [3, 5]
    assert claim_mail(desk).message is None


def test_what_a_fallback_held_is_told_to_the_one_that_takes_its_place(store):
    desk = Desk(store, receivers={"slack": True, "mail": True, "post": True}, fallback="mail")
    desk.rules = replace(
        desk.rules, routing=replace(desk.rules.routing, routes=(Route(Match(), ("slack",)),))
    )
    desk.poll(signed_out("a"))
    desk.deliver("slack", error=GONE)

    desk.run(
        lambda tx: outbox.cancel_removed(
            tx, ["slack", "post"], desk.receiver("post"), now=desk.now, new_id=desk.new_id
        )
    )

    claimed = desk.claim("post", after=outbox.GROUP_WAIT)
    assert [(one.event, one.undelivered_to) for one in claimed.message.notifications] == [
        ("opened", "slack")
    ]


# ── who is addressed by a label, and what left the configuration ─────────────────────────────────


def owned(desk, **owners):
    """Say who owns which account: `mail` writes to the address in the label `owner`."""
    rules = [AccountRule(ids=(id_,), labels={"owner": owner}) for id_, owner in owners.items()]
    desk.inventory = Inventory({"acme": {}}, rules)
    routing = Routing({"mail": True}, inventory=desk.inventory, address_labels={"mail": "owner"})
    desk.rules = replace(desk.rules, routing=routing)


def claim_mail(desk):
    receiver = Receiver("mail", groups=True, may_have_link=True, address_label="owner")
    return desk.run(
        lambda tx: claims.claim(
            tx,
            receiver,
            view=View(desk.inventory, lambda _: True),
            sending=(),
            now=desk.now,
            lease=LEASE,
            new_id=desk.new_id,
        )
    )


def mails(desk):
    """Deliver all mails; return for each the accounts and their owners."""
    sent = []
    while (claimed := claim_mail(desk)).message is not None:
        sent.append(
            [(one.account.id, one.labels.get("owner")) for one in claimed.message.notifications]
        )
        desk.settle(claimed)
    return sent


def test_those_who_own_several_accounts_get_one_message_about_them(store):
    desk = Desk(store, receivers={"mail": True})
    owned(desk, a="jane", b="joe", c="jane")

    desk.poll(*(signed_out(id_) for id_ in "abc"))

    assert sorted(mails(desk)) == [[("a", "jane"), ("c", "jane")], [("b", "joe")]]


def test_a_group_whose_owners_have_changed_before_it_left_is_split(store):
    desk = Desk(store, receivers={"mail": True})
    owned(desk, a="jane", b="jane", c="jane", d="jane")
    desk.poll(*(signed_out(id_) for id_ in "abcd"))

    owned(desk, a="jane", b="joe", c="jane")

    assert sorted(mails(desk), key=str) == [
        *([("a", "jane"), ("c", "jane")], [("b", "joe")], [("d", None)]),
    ]
    assert list(desk.heard().values()) == [["mail"]] * 4


def test_what_waited_for_an_account_that_is_ignored_now_says_so(desk):
    desk.poll(listed_account("a"), signed_out("b"))

    ignored = diff(desk.workspace, Snapshot((listed_account("a"), signed_out("b"))), {}, is_b)
    recorded = desk.observe(ignored)

    assert [one.reason for one in recorded.enqueued.cancelled] == ["unwatched"]
    assert desk.states() == [("slack", "opened", "cancelled", "unwatched")]
    assert desk.deliver() is None


def is_b(one):
    return one.id == "b"


def test_who_heard_of_an_account_that_is_ignored_now_hears_the_end(desk):
    desk.poll(listed_account("a"), signed_out("b"))
    desk.deliver()

    desk.observe(diff(desk.workspace, Snapshot((listed_account("a"), signed_out("b"))), {}, is_b))

    assert desk.deliver() == [("resolved", "b")]
    assert desk.deliver() is None


def test_an_opening_that_was_refused_while_its_account_left_says_so(desk):
    desk.poll(listed_account("a"), signed_out("b"))
    claimed = desk.claim()
    desk.observe(
        diff(desk.workspace, Snapshot((listed_account("a"), signed_out("b"))), {}, is_b), after=1
    )
    desk.settle(claimed, REFUSED)

    assert desk.deliver(after=HOUR) is None
    assert ("slack", "opened", "cancelled", "unwatched") in desk.states()
