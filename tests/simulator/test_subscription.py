import pytest


@pytest.fixture
def statuses(listed):
    """Return the statuses of the accounts."""

    async def of_accounts():
        return [account["status"] for account in await listed()]

    return of_accounts


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "canceled", None])
@pytest.mark.parametrize("ends", [True, False])
async def test_every_status_can_be_read(simulator, result, status, ends, null):
    """Without a subscription it is missing, or null."""
    simulator.tune(status_null=null)
    simulator.set_subscription(
        "acme", status, cancel_at_period_end=ends, eligible_for_trial=not ends
    )

    subscription = await result("subscription.getStatus")

    expected = {"status": status} if status or null else {}
    assert subscription == expected | {"cancelAtPeriodEnd": ends, "eligibleForTrial": not ends}


async def test_seats_can_be_bought_and_given_back(simulator, result, statuses):
    simulator.set_seats("acme", 2)
    simulator.add_accounts("acme", 2)
    body = {"quantity": 1, "seatType": "core", "billingPeriod": "month"}

    fewer = await result("subscription.setSeats", body)
    between = await statuses()
    more = await result("subscription.setSeats", body | {"seatType": "plus"})

    assert fewer == more == {"status": "complete"}
    assert between == ["active", "frozen"]
    assert await statuses() == ["active", "active"]
    assert len((await result("subscription.getSeats"))["seats"]) == 2


@pytest.mark.parametrize(
    "changes",
    [
        *({"quantity": quantity} for quantity in (0, 1001, True, "5")),
        *({"seatType": kind} for kind in ("sofa", None)),
        {"billingPeriod": ["month"]},
    ],
    ids=str,
)
async def test_seats_that_do_not_exist_are_refused(error, changes):
    body = {"quantity": 5, "seatType": "core", "billingPeriod": "year"} | changes

    assert await error("subscription.setSeats", body) == (400, "invalidRequestPayload")


@pytest.mark.parametrize(
    ("picks", "expected"),
    [("newest", ["active", "frozen", "frozen"]), ("oldest", ["frozen", "frozen", "active"])],
)
async def test_the_newest_or_the_oldest_accounts_freeze(simulator, statuses, picks, expected):
    simulator.tune(freeze_picks=picks)
    simulator.add_accounts("acme", 3)

    simulator.set_seats("acme", 1)

    assert await statuses() == expected


async def test_freezing_may_be_delayed(simulator, statuses):
    simulator.tune(freeze_delay=3600)
    simulator.add_account("acme")
    simulator.set_subscription("acme", "canceled")
    before = await statuses()

    simulator.advance(3600)

    assert before == ["active"]
    assert await statuses() == ["frozen"]


@pytest.mark.parametrize(
    ("status", "assumptions", "expected"),
    [
        ("trialing", {}, "active"),
        ("past_due", {}, "active"),
        ("past_due", {"past_due_freezes": True}, "frozen"),
        ("canceled", {}, "frozen"),
        ("canceled", {"ended_freezes": False}, "active"),
        (None, {}, "frozen"),
    ],
)
async def test_what_is_not_paid_for_freezes(simulator, statuses, status, assumptions, expected):
    simulator.tune(**assumptions)
    simulator.add_account("acme")

    simulator.set_subscription("acme", status)

    assert await statuses() == [expected]


@pytest.mark.usefixtures("signed_out")
@pytest.mark.parametrize(
    ("thaws", "expected"), [(True, "reconnection_required"), (False, "frozen")]
)
async def test_an_account_thaws_to_what_it_was_or_stays_frozen(
    simulator, statuses, thaws, expected
):
    simulator.tune(thaws=thaws)
    simulator.set_subscription("acme", None)
    frozen = await statuses()

    simulator.set_subscription("acme", "active")

    assert frozen == ["frozen"]
    assert await statuses() == [expected]


async def test_an_account_frozen_by_hand_stays_so_while_no_seats_change(simulator, statuses):
    account = simulator.add_account("acme")

    simulator.freeze("acme", account.id)

    assert await statuses() == await statuses() == ["frozen"]


async def test_the_list_may_need_a_subscription(simulator, listed, error):
    simulator.set_subscription("acme", None)
    assert await listed() == []

    simulator.tune(get_all_needs_subscription=True, no_subscription_status=402)

    assert await error("accounts.getAll") == (402, "subscriptionRequired")


@pytest.mark.parametrize(("every", "status"), [(False, 200), (True, 400)])
async def test_accounts_that_do_not_work_may_take_seats_too(simulator, call, every, status):
    simulator.tune(every_account_takes_seat=every)
    simulator.set_seats("acme", 1)
    simulator.add_account("acme", status="reconnection_required")

    assert (await call("accounts.createConnectionSession")).status_code == status


@pytest.mark.parametrize(("action", "value"), [("set_subscription", None), ("set_seats", 0)])
async def test_there_are_no_seats_without_paying_for_some(simulator, error, action, value):
    getattr(simulator, action)("acme", value)

    assert await error("accounts.createConnectionSession") == (400, "noAvailableSeats")
