"""What is paid for, and what it means for the accounts."""

import pytest


@pytest.fixture
def result(call):
    """Call a method and return its result."""

    async def of(method, body=None):
        response = await call(method, body)
        assert response.status_code == 200, response.text
        return response.json()["result"]

    return of


@pytest.fixture
def statuses(get_all):
    async def of():
        return [account["status"] for account in (await get_all())["accounts"]]

    return of


async def test_a_customer_pays_and_has_seats(sim, result):
    sim.set_seats("acme", 3)
    sim.set_seats("acme", 2, "plus", "year")

    status = await result("subscription.getStatus")
    seats = await result("subscription.getSeats")

    assert status == {"status": "active", "eligibleForTrial": False, "cancelAtPeriodEnd": False}
    assert seats == {
        "seats": [
            {"seatType": "core", "quantity": 3, "billingPeriod": "month"},
            {"seatType": "plus", "quantity": 2, "billingPeriod": "year"},
        ]
    }


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "canceled"])
async def test_every_status_can_be_told(sim, result, status):
    sim.set_subscription("acme", status, cancel_at_period_end=True)

    assert await result("subscription.getStatus") == {
        "status": status,
        "eligibleForTrial": False,
        "cancelAtPeriodEnd": True,
    }


@pytest.mark.parametrize("null", [True, False])
async def test_without_a_subscription_the_status_is_missing_or_null(sim, result, null):
    sim.tune(status_null=null)
    sim.set_subscription("acme", None, eligible_for_trial=True)

    told = await result("subscription.getStatus")

    rest = {"status": None} if null else {}
    assert told == {"eligibleForTrial": True, "cancelAtPeriodEnd": False} | rest


async def test_seats_can_be_bought_and_given_back(sim, result, statuses):
    sim.set_seats("acme", 2)
    sim.add_accounts("acme", 2)
    body = {"quantity": 1, "seatType": "core", "billingPeriod": "month"}

    fewer = await result("subscription.setSeats", body)
    cold = await statuses()
    more = await result("subscription.setSeats", body | {"seatType": "plus"})

    assert fewer == more == {"status": "complete"}
    assert cold == ["active", "frozen"]
    assert await statuses() == ["active", "active"]
    assert len((await result("subscription.getSeats"))["seats"]) == 2


@pytest.mark.parametrize("status", [None, "canceled"])
async def test_whoever_has_no_subscription_has_to_pay_first(sim, result, status):
    sim.set_subscription("acme", status)

    answer = await result(
        "subscription.setSeats", {"quantity": 5, "seatType": "core", "billingPeriod": "year"}
    )

    assert answer["status"] == "processing"
    assert answer["paymentLink"].startswith("https://")
    assert len((await result("subscription.getSeats"))["seats"]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": 0},
        {"quantity": 1001},
        {"quantity": True},
        {"quantity": "5"},
        {"seatType": "sofa"},
        {"seatType": None},
        {"billingPeriod": ["month"]},
    ],
)
async def test_seats_that_do_not_exist_are_refused(call, changes):
    body = {"quantity": 5, "seatType": "core", "billingPeriod": "year"} | changes

    response = await call("subscription.setSeats", body)

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalidRequestPayload"


@pytest.mark.parametrize(
    ("picks", "cold"),
    [("newest", ["active", "frozen", "frozen"]), ("oldest", ["frozen", "frozen", "active"])],
)
async def test_the_knob_says_which_accounts_freeze(sim, statuses, picks, cold):
    sim.tune(freeze_picks=picks)
    sim.add_accounts("acme", 3)

    sim.set_seats("acme", 1)

    assert await statuses() == cold


async def test_freezing_may_take_its_time(sim, statuses):
    sim.tune(freeze_delay=3600)
    sim.add_account("acme")
    sim.set_subscription("acme", "canceled")
    before = await statuses()

    sim.advance(3600)

    assert before == ["active"]
    assert await statuses() == ["frozen"]


async def test_frozen_accounts_may_stay_so(sim, statuses):
    sim.tune(thaws=False)
    sim.add_account("acme")
    sim.set_seats("acme", 0)

    sim.set_seats("acme", 5)

    assert await statuses() == ["frozen"]


@pytest.mark.parametrize(
    ("status", "knobs", "cold"),
    [
        ("trialing", {}, False),
        ("past_due", {}, False),
        ("past_due", {"past_due_freezes": True}, True),
        ("canceled", {}, True),
        ("canceled", {"ended_freezes": False}, False),
        (None, {}, True),
    ],
)
async def test_what_is_not_paid_for_freezes(sim, statuses, status, knobs, cold):
    sim.tune(**knobs)
    sim.add_account("acme")

    sim.set_subscription("acme", status)

    assert await statuses() == ["frozen" if cold else "active"]


async def test_an_account_thaws_to_what_it_was(sim, statuses):
    jane = sim.add_account("acme")
    sim.sign_out("acme", jane.id)
    sim.set_subscription("acme", None)
    cold = await statuses()

    sim.set_subscription("acme", "active")

    assert cold == ["frozen"]
    assert await statuses() == ["reconnection_required"]


async def test_an_account_frozen_by_hand_stays_so_while_nothing_is_paid_or_given_back(
    sim, statuses
):
    jane = sim.add_account("acme")

    sim.freeze("acme", jane.id)

    assert await statuses() == ["frozen"]
    assert await statuses() == ["frozen"]


@pytest.mark.parametrize(("knob", "status"), [(False, 200), (True, 402)])
async def test_the_list_may_need_a_subscription(sim, call, knob, status):
    sim.tune(get_all_needs_subscription=knob, no_subscription_status=402)
    sim.set_subscription("acme", None)

    response = await call("accounts.getAll")

    assert response.status_code == status
    if knob:
        assert response.json()["error"]["type"] == "subscriptionRequired"


@pytest.mark.parametrize(("knob", "status"), [(False, 200), (True, 400)])
async def test_accounts_that_do_not_work_may_take_seats_too(sim, call, knob, status):
    sim.tune(every_account_takes_seat=knob)
    sim.set_seats("acme", 1)
    sim.add_account("acme", status="reconnection_required")

    assert (await call("accounts.createConnectionSession")).status_code == status


async def test_there_are_no_seats_without_a_subscription(sim, call):
    sim.set_subscription("acme", None)

    response = await call("accounts.createConnectionSession")

    assert response.json()["error"]["type"] == "noAvailableSeats"
