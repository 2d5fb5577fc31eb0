"""The monitor works whatever the service does where its documentation is silent."""

from dataclasses import fields

import pytest
from harness.answers import api_error
from harness.core import MINUTE
from harness.poll import poll_harness

from monitor.simulator import Assumptions

LOGIN = [
    {},
    {"rate_limit": 1, "retry_after": True},
    {"rate_limit": 1, "rate_counting": "fixed"},
    {"rate_limit": 2, "rate_scope": "all", "rate_window": 55.0, "rate_counts_rejected": True},
    {"pending_ttl": 60.0},
    {"progress_ttl": 1.0},
    {"session_retention": 0.0},
    {"connection_type": "connect", "reconnection_type": "connect"},
    {"get_all_creates_sessions": False},
    {"get_all_creates_sessions": False, "rate_limit": 1},
    {"get_all_creates_sessions": False, "reconnections_count": True, "daily_attempts": 0},
    {"auto_sessions_count": True, "daily_attempts": 0, "attempts_status": 400},
    {"reconnections_listed": True},
    {"second_cancel_fails": True},
    {"opening_starts_session": False},
    {"lag_polls": 3},
    {"lag_polls": 2, "lag_opens_session": False},
    {"lag_polls": 2, "get_all_creates_sessions": False},
    {"reconnection_moves_connected_at": True},
    {"accept_null_body": False, "accept_object_body": False},
    {"require_content_type": True},
    {"void_result": False},
    {"link_base": "https://app.linkedapi.io/elsewhere?session="},
    {"link_base": "http://evil.example/"},
]


@pytest.mark.parametrize("assumed", LOGIN, ids=str)
async def test_a_sign_out_and_a_login_are_told_once(tmp_path, assumed):
    assumptions = Assumptions(**assumed)
    async with poll_harness(tmp_path, accounts=1, create=True, assumptions=assumptions) as harness:
        simulator = harness.simulator
        (account,) = simulator.customer("acme").accounts
        events = await harness.poll(2)
        simulator.sign_out("acme", account)
        for _ in range(3):
            events += await harness.poll()
            await harness.reconnector.reconnect()
        for status in ("preparing", "serving", "streaming", "success"):
            simulator.set_session("acme", account, status)
            events += await harness.poll()
        events += await harness.poll(5)

        assert [event for event, _ in events if event != "refreshed"] == ["opened", "resolved"]
        assert len(events) <= 3  # of a link that comes later people hear once
        assert harness.calls("accounts.createReconnectionSession") <= 3  # one a poll


FROZEN = [("opened", "frozen")] * 2
THAWED = [("resolved", "frozen")] * 2
UNPAID = [("opened", "subscription"), ("resolved", "subscription")]

PAYMENT = [
    ({}, None, FROZEN + THAWED),
    ({"freeze_delay": 180.0}, None, FROZEN + THAWED),
    ({"freeze_picks": "oldest"}, "canceled", FROZEN + THAWED),
    ({"thaws": False}, None, FROZEN),
    ({"ended_freezes": False}, "canceled", []),
    ({"past_due_freezes": True}, "past_due", FROZEN + THAWED),
    ({"every_account_takes_seat": True, "status_null": True}, None, FROZEN + THAWED),
    ({"get_all_needs_subscription": True}, None, UNPAID),
    ({"get_all_needs_subscription": True, "no_subscription_status": 402}, None, UNPAID),
    ({"get_all_needs_subscription": True, "no_subscription_status": 200}, None, UNPAID),
]


@pytest.mark.parametrize(("assumed", "status", "expected"), PAYMENT, ids=str)
async def test_an_end_of_the_subscription_is_told_as_what_shows_of_it(
    tmp_path, assumed, status, expected
):
    async with poll_harness(tmp_path, accounts=2, assumptions=Assumptions(**assumed)) as harness:
        await harness.poll()
        harness.simulator.set_subscription("acme", status)
        events = await harness.poll(10)
        harness.simulator.set_subscription("acme", "active")
        events += await harness.poll(10)

        assert events == expected


@pytest.mark.case("subscription")
@pytest.mark.parametrize(("assumed", "status"), [case[:2] for case in PAYMENT], ids=str)
async def test_an_end_of_the_subscription_is_told_once_where_it_is_asked_about(
    tmp_path, assumed, status
):
    options = {"assumptions": Assumptions(**assumed), "paying": MINUTE}
    async with poll_harness(tmp_path, accounts=2, **options) as harness:
        await harness.poll()
        harness.simulator.set_subscription("acme", status)
        events = await harness.poll(10)
        harness.simulator.set_subscription("acme", "active")
        events += await harness.poll(10)

        assert [event for event in events if event[1] == "subscription"] == UNPAID


STATUSES = (
    ("invalid_payload_status", "invalidRequestPayload", "refused"),
    ("attempts_status", "dailyConnectionAttemptsExceeded", "limited"),
    ("no_seats_status", "noAvailableSeats", "refused"),
)


@pytest.mark.parametrize("status", [200, 400, 403, 409, 422])
@pytest.mark.parametrize(("assumption", "error_type", "outcome"), STATUSES)
async def test_the_status_of_an_undocumented_refusal_does_not_matter(
    tmp_path, assumption, error_type, outcome, status
):
    assumptions = Assumptions(**{assumption: status}, get_all_creates_sessions=False)
    async with poll_harness(tmp_path, accounts=1, create=True, assumptions=assumptions) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "*")
        await harness.poll()
        harness.simulator.faults.add(
            api_error(error_type, status=status, method="accounts.createReconnectionSession")
        )

        assert await harness.reconnector.reconnect() == outcome


def test_every_assumption_is_varied():
    varied = {name for assumed in LOGIN for name in assumed}
    varied |= {name for assumed, _, _ in PAYMENT for name in assumed}
    varied |= {name for name, _, _ in STATUSES}

    assert varied == {field.name for field in fields(Assumptions)}
