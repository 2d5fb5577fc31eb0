"""What is asked about a subscription, and what its answers mean."""

from typing import get_args

import pytest
from harness.client import client_harness, poll_once
from harness.raw_server import close, error, http
from linkedapi.types.admin import SubscriptionStatusValue

from monitor.core.errors import ApiError
from monitor.core.model import Cause
from monitor.core.subscription import Subscription, SubscriptionStatus
from monitor.source.client import BudgetExhaustedError


def result(**fields):
    return http(200, {"success": True, "result": fields})


def status(word="active", *, ending=False):
    fields = {} if word is None else {"status": word}
    return result(**fields, eligibleForTrial=False, cancelAtPeriodEnd=ending)


def seats(*numbers):
    groups = [{"seatType": "core", "quantity": n, "billingPeriod": "month"} for n in numbers]
    return result(seats=groups)


async def ask(*replies, **settings):
    async with client_harness(*replies, **settings) as harness:
        return await harness.api.get_subscription(), harness


async def test_it_is_two_calls_without_a_body():
    subscription, harness = await ask(status(ending=True), seats(10, 2))

    assert subscription == Subscription(SubscriptionStatus.ACTIVE, is_ending=True, seats=12)
    assert [request.line for request in harness.server.requests] == [
        "POST /admin/subscription.getStatus HTTP/1.1",
        "POST /admin/subscription.getSeats HTTP/1.1",
    ]
    assert {request.body for request in harness.server.requests} == {b""}
    assert harness.outcomes == ["ok", "ok"]


@pytest.mark.parametrize("word", SubscriptionStatus)
async def test_every_status_is_known(word):
    subscription, _ = await ask(status(word), seats(1))

    assert subscription.status is word


@pytest.mark.parametrize(
    "reply",
    [
        status("canceled"),
        status(None),
        result(status=None, cancelAtPeriodEnd=False),
        result(eligibleForTrial=True),
        error("subscriptionRequired", status=403),
    ],
)
@pytest.mark.case("subscription")
async def test_of_one_that_is_over_no_seats_are_asked_for(reply):
    subscription, harness = await ask(reply)

    assert subscription.has_ended
    assert len(harness.server.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        result(),
        result(status="active"),
        result(status="unpaid", cancelAtPeriodEnd=False),
        result(status=["active"], cancelAtPeriodEnd=False),
        result(status=None, cancelAtPeriodEnd="no"),
        http(200, {"success": True, "result": []}),
        http(404, b""),
        error("invalidLinkedApiToken", status=401),
        error("accessDenied", status=403),
        http(503, b""),
        close,
    ],
)
async def test_what_is_odd_or_refused_says_nothing(reply):
    with pytest.raises(ApiError):
        await ask(reply)


@pytest.mark.parametrize(
    "reply",
    [
        result(),
        result(seats={}),
        result(seats=[5]),
        result(seats=[{"quantity": None}]),
        result(seats=[{"quantity": True}]),
        result(seats=[{"quantity": -1}]),
        result(seats=[{"quantity": 10**30}]),
        http(503, b""),
        error("accessDenied", status=403),
    ],
)
async def test_seats_that_are_odd_or_refused_are_not_known(reply):
    subscription, _ = await ask(status(), reply)

    assert subscription == Subscription(SubscriptionStatus.ACTIVE, seats=None)


async def test_no_seats_at_all_are_none():
    subscription, _ = await ask(status(), seats())

    assert subscription.seats == 0


@pytest.mark.case("subscription")
async def test_a_list_that_is_refused_for_want_of_one_says_so():
    failure, _ = await poll_once(error("subscriptionRequired", status=403))

    assert failure.cause is Cause.SUBSCRIPTION


async def test_it_comes_last_in_the_budget():
    async with client_harness(status(), seats(1), requests_per_minute=20) as harness:
        for _ in range(14):
            assert harness.api._budget.take(harness.now) == 0

        subscription = await harness.api.get_subscription()  # the last of a quarter is left
        assert subscription.seats is None
        with pytest.raises(BudgetExhaustedError):
            await harness.api.get_subscription()

        assert len(harness.server.requests) == 1
        assert harness.api._budget.spent(harness.now) == 15


def test_the_official_client_knows_no_other_status():
    assert {str(word) for word in SubscriptionStatus} == set(get_args(SubscriptionStatusValue))
