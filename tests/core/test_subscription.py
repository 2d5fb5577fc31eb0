"""What is wrong with a subscription, and how that is written down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.subscription import (
    REFUSED,
    Condition,
    Conditions,
    Subscription,
    SubscriptionStatus,
    find_conditions,
    parse_conditions,
)

ACTIVE, TRIALING, PAST_DUE, CANCELED = SubscriptionStatus
NOTHING = Conditions()
FEW = Conditions(frozenset({Condition.SEATS}), 10, 12)


@pytest.mark.parametrize(
    ("subscription", "detail"),
    [
        (Subscription(ACTIVE, seats=12), ""),
        (Subscription(TRIALING, seats=12), ""),
        (Subscription(ACTIVE, seats=None), ""),
        (Subscription(ACTIVE, seats=11), "seats:11:12"),
        (Subscription(ACTIVE, is_ending=True, seats=12), "ending"),
        (Subscription(PAST_DUE, is_ending=True, seats=0), "past_due seats:0:12 ending"),
        (Subscription(CANCELED, is_ending=True, seats=0), "canceled"),
        (Subscription(None), "canceled"),
    ],
)
def test_what_is_wrong_with_a_subscription_for_twelve_accounts(subscription, detail):
    assert str(find_conditions(subscription, 12, NOTHING)) == detail


def test_too_few_seats_stay_so_while_nobody_knows_how_many_there_are():
    unknown = Subscription(ACTIVE, seats=None)

    assert find_conditions(unknown, 13, FEW) == FEW
    assert find_conditions(Subscription(ACTIVE, seats=13), 13, FEW) == NOTHING


@pytest.mark.parametrize(
    ("detail", "explains"),
    [("past_due", True), ("canceled", True), ("seats:1:2", True), ("ending", False), ("", False)],
)
def test_accounts_freeze_for_all_but_an_end_to_come(detail, explains):
    assert parse_conditions(detail).explains is explains


@given(
    st.frozensets(st.sampled_from(Condition)),
    st.integers(min_value=0, max_value=999_999_999),
    st.integers(min_value=0, max_value=999_999_999),
)
def test_what_is_written_is_read_again(names, seats, accounts):
    numbers = (seats, accounts) if Condition.SEATS in names else ()

    assert parse_conditions(str(Conditions(names, *numbers))) == Conditions(names, *numbers)


@pytest.mark.parametrize(
    "detail", ["", "frozen", "reconnection_required", "no answer in 30 s", "seats:", "seats:x:y"]
)
def test_another_text_has_no_conditions(detail):
    assert not parse_conditions(detail)


def test_what_is_refused_is_over():
    assert str(REFUSED) == "canceled"
