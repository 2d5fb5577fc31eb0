"""The subscription: one incident of all that is wrong with it, and accounts that freeze for it."""

from dataclasses import replace

import pytest
from harness.core import NOON, REJECTED, UNREACHABLE, CoreHarness, frozen, listed_account, told
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.decide.blindness import why_blind
from monitor.core.decide.subscription import check, connected, freezes_or_thaws
from monitor.core.model import SUBSCRIPTION, Cause, EventType, Failure, Resolution, Workspace
from monitor.core.subscription import Subscription, SubscriptionStatus, parse_conditions

GOOD = Subscription(SubscriptionStatus.ACTIVE, seats=2)
UNPAID = Subscription(SubscriptionStatus.PAST_DUE, seats=2)
ENDING = replace(UNPAID, is_ending=True)
NO_SEATS = Subscription(SubscriptionStatus.ACTIVE, seats=0)
REFUSED = Failure(Cause.SUBSCRIPTION, "Linked API refused the request: subscriptionRequired")

OPENED = "opened subscription: new_condition"
CHANGED = "changed subscription: new_condition"
RESOLVED = "resolved subscription: no_condition"
LISTED = (listed_account("a1"), listed_account("a2"))
FROZEN = (frozen("a1"), frozen("a2"))


class PaidWorkspace(CoreHarness):
    """A workspace with two accounts whose subscription is asked for with each poll."""

    def __init__(self, **policy):
        super().__init__(**policy)
        self.poll(*LISTED)

    def pay(self, subscription, *accounts):
        self.subscription = subscription
        return self.poll(*(accounts or LISTED))

    @property
    def detail(self):
        return next(
            (incident.detail for incident in self.open if incident.about == SUBSCRIPTION), None
        )


@pytest.mark.case("subscription")
def test_a_new_condition_is_told_one_that_goes_is_not_and_the_last_ends_it():
    workspace = PaidWorkspace()

    assert told(workspace.pay(GOOD)) == []
    assert told(workspace.pay(UNPAID)) == [OPENED]
    assert told(workspace.pay(UNPAID)) == []
    assert told(workspace.pay(ENDING)) == [CHANGED]
    assert told(workspace.pay(UNPAID)) == []
    assert workspace.detail == "past_due"
    assert told(workspace.pay(ENDING)) == [CHANGED]
    assert told(workspace.pay(GOOD)) == [RESOLVED]


def test_nobody_is_reminded_of_it():
    workspace = PaidWorkspace(remind=("1h",))
    workspace.pay(UNPAID)
    workspace.pay(ENDING)

    assert [incident.next_due_at for incident in workspace.open] == [None]


def test_another_number_of_seats_is_noted_and_not_told():
    workspace = PaidWorkspace()
    workspace.pay(NO_SEATS)

    assert told(workspace.pay(replace(NO_SEATS, seats=1))) == []
    assert workspace.detail == "seats:1:2"


def test_a_new_condition_leaves_an_acknowledgement_as_it_is():
    workspace = PaidWorkspace()
    workspace.pay(UNPAID)
    (incident,) = workspace.open
    workspace.incidents[incident.id] = replace(
        incident, acknowledged_by="jane", acknowledged_at=NOON
    )

    workspace.pay(ENDING)

    assert [incident.acknowledged_by for incident in workspace.open] == ["jane"]


@pytest.mark.case("subscription")
def test_no_answer_says_nothing():
    workspace = PaidWorkspace()

    assert told(workspace.pay(None)) == []
    workspace.pay(UNPAID)
    assert told(workspace.pay(None)) == []
    assert workspace.detail == "past_due"


@pytest.mark.case("subscription")
def test_a_list_that_is_refused_for_want_of_a_subscription_is_no_blindness():
    workspace = PaidWorkspace()

    decisions = [workspace.fail(REFUSED) for _ in range(10)]

    assert told(*decisions) == [OPENED]
    assert workspace.detail == "canceled"
    assert {str(account.status) for account in workspace.workspace.accounts.values()} == {"active"}
    failing = workspace.workspace.failing
    assert why_blind(failing, workspace.policy, workspace.now) is None
    assert told(workspace.pay(GOOD)) == [RESOLVED]


def test_a_list_that_is_refused_ends_the_blindness_before_it_and_counts_for_none_after_it():
    workspace = PaidWorkspace()
    for _ in range(3):
        workspace.fail(REJECTED)

    assert told(workspace.fail(REFUSED)) == [OPENED, "resolved token_rejected: read_again"]
    assert told(*(workspace.fail(REFUSED) for _ in range(5))) == []
    assert told(*(workspace.fail(UNREACHABLE) for _ in range(4))) == []


def test_what_is_listed_again_has_a_subscription_where_nobody_asks():
    workspace = PaidWorkspace()
    workspace.asks_subscription = False
    workspace.fail(REFUSED)

    assert told(workspace.poll(*LISTED)) == ["resolved subscription: read_again"]


def test_what_nobody_asks_about_any_more_is_not_watched():
    workspace = PaidWorkspace()
    workspace.pay(UNPAID)
    workspace.asks_subscription = False

    decision = workspace.pay(None)

    assert told(decision) == ["resolved subscription: ignored"]
    assert decision.incidents[0].resolution is Resolution.UNWATCHED


def test_a_refused_list_that_comes_back_waits_for_the_answer():
    workspace = PaidWorkspace()
    workspace.fail(REFUSED)

    assert told(workspace.pay(None)) == []
    assert workspace.detail == "canceled"


@pytest.mark.case("accounts newly frozen, the subscription asked")
def test_accounts_that_freeze_for_it_say_so():
    workspace = PaidWorkspace()

    decision = workspace.pay(UNPAID, *FROZEN)

    assert [(str(event.cause), event.detail) for event in decision.events] == [
        ("frozen", "past_due"),
        ("frozen", "past_due"),
        ("subscription", "past_due"),
    ]


def test_accounts_that_freeze_say_what_was_known_before_if_there_is_no_answer():
    workspace = PaidWorkspace()
    workspace.pay(UNPAID)

    decision = workspace.pay(None, *FROZEN)

    assert [event.detail for event in decision.events] == ["past_due", "past_due"]


@pytest.mark.parametrize("subscription", [GOOD, replace(GOOD, is_ending=True), None])
def test_accounts_that_freeze_for_no_reason_that_is_known_say_none(subscription):
    workspace = PaidWorkspace()

    decision = workspace.pay(subscription, *FROZEN)

    assert [event.detail for event in decision.events if event.cause is Cause.FROZEN] == ["", ""]


def test_ignored_accounts_take_seats_and_missing_ones_do_not():
    workspace = PaidWorkspace()
    workspace.ignored.add("a2")

    workspace.poll(*LISTED)
    assert connected(workspace.workspace) == 2
    workspace.poll(LISTED[1])
    assert connected(workspace.workspace) == 1
    assert connected(Workspace("acme")) == 0


def test_an_account_freezes_that_was_not_frozen_or_may_not_be_yet_and_thaws_if_it_was():
    workspace = PaidWorkspace(open_after=2)

    def changes(listed):
        return freezes_or_thaws(workspace.workspace, listed)

    assert changes(frozen("a1"))
    assert changes(frozen("a3"))
    assert not changes(listed_account("a1"))
    assert not changes(listed_account("a3"))
    workspace.poll(*FROZEN)
    assert changes(frozen("a1"))
    assert not changes(listed_account("a1"))
    workspace.poll(*FROZEN)
    assert not changes(frozen("a1"))
    assert changes(listed_account("a1"))


def test_an_answer_without_a_poll_is_decided_by_itself():
    workspace, ids = PaidWorkspace().workspace, iter("123")

    opened = check(workspace, UNPAID, None, now=NOON, new_id=ids.__next__)
    (incident,) = opened.incidents
    same = check(workspace, UNPAID, incident, now=NOON, new_id=ids.__next__)

    assert told(opened) == [OPENED]
    assert opened.workspace is None
    assert (same.incidents, same.events) == ((), ())


ANSWERS = st.one_of(
    st.none(),
    st.just(REFUSED),
    st.builds(
        Subscription,
        st.sampled_from((None, *SubscriptionStatus)),
        is_ending=st.booleans(),
        seats=st.sampled_from((None, 0, 1, 2)),
    ),
)


@given(st.lists(ANSWERS, max_size=12))
@settings(deadline=None)
def test_whatever_is_answered_it_is_one_incident_at_a_time_and_each_news_names_a_condition(answers):
    workspace, open_id, before = PaidWorkspace(), None, frozenset()
    for answer in (*answers, GOOD):
        is_refused = answer is REFUSED
        decision = workspace.fail(REFUSED) if is_refused else workspace.pay(answer)
        assert len([it for it in workspace.open if it.about == SUBSCRIPTION]) <= 1
        after = parse_conditions(workspace.detail or "").names
        for event in decision.events:
            match event.type:
                case EventType.OPENED:
                    assert (open_id, before) == (None, frozenset())
                    open_id = event.incident_id
                case EventType.CHANGED:
                    assert after - before
                case _:
                    assert event.type is EventType.RESOLVED
                    open_id = None
            assert open_id in (None, event.incident_id)
        assert bool(after - before) is any(
            event.type is not EventType.RESOLVED for event in decision.events
        )
        before = after
    assert open_id is None
