"""The official SDK as the referee: the simulator answers all that it calls as the service would."""

import asyncio
import re
from typing import get_type_hints

import pytest
import requests
from harness.answers import api_error
from harness.client import client_harness
from linkedapi.admin import AdminHttpClient, LinkedApiAdmin
from linkedapi.errors import LINKED_API_ERROR_TYPES, LinkedApiError
from linkedapi.types.admin import AdminConfig, SubscriptionStatus

from monitor.core.errors import ApiError
from monitor.core.model import Cause
from monitor.core.secret import Secret
from monitor.simulator.endpoints import ENDPOINTS
from monitor.source.token import Token

TIMEOUT = 10
GROUPS = {"accounts", "subscription"}


class Sdk:
    """The SDK as one customer."""

    def __init__(self, address):
        session = requests.Session()
        session.trust_env = False
        config = AdminConfig(linked_api_token="linked_acme")
        self.admin = LinkedApiAdmin(AdminHttpClient(config, base_url=address, session=session))

    async def __call__(self, method, **values):
        """Call `accounts.get_all` and the like; *values* are those of its parameters."""
        group, name = method.split(".")
        call = getattr(getattr(self.admin, group), name)
        kind = get_type_hints(call).get("params")
        params = [] if kind is None else [kind(**values)]
        async with asyncio.timeout(TIMEOUT):  # then the server goes away, which ends the call
            return await asyncio.to_thread(call, *params)


@pytest.fixture
def address(http):
    return str(http.base_url)


@pytest.fixture
def sdk(address):
    return Sdk(address)


@pytest.fixture
async def client(address):
    """The monitor's client of the same customer."""
    async with client_harness(token=Token(Secret("linked_acme")), base_url=address) as harness:
        yield harness.api


def method_of(group, name):
    head, *rest = name.split("_")
    return f"{group}.{head}{''.join(word.capitalize() for word in rest)}"


def test_every_method_of_the_sdk_is_an_endpoint():
    admin = LinkedApiAdmin(AdminConfig(linked_api_token="x"))

    methods = {
        method_of(group, name)
        for group in GROUPS
        for name in dir(getattr(admin, group))
        if re.fullmatch(r"[a-z][a-z_]+", name) and name != "http_client"
    }

    assert methods == set(ENDPOINTS)


async def test_the_sdk_follows_an_account_from_its_first_login_to_its_end(simulator, sdk):
    opened = await sdk("accounts.create_connection_session")
    asked = await sdk("accounts.get_connection_session", session_id=opened.session_id)
    waiting = asked.session
    pending = (await sdk("accounts.get_all")).pending_connection_sessions
    for _ in range(2):
        simulator.set_session_status(opened.session_id, "success")
    (new,) = (await sdk("accounts.get_all")).accounts
    parsing = await sdk("accounts.reparse_account_info", account_id=new.id)
    fresh = await sdk("accounts.regenerate_identification_token", account_id=new.id)
    simulator.sign_out("acme", new.id)
    (out,) = (await sdk("accounts.get_all")).accounts
    again = await sdk("accounts.create_reconnection_session", account_id=new.id)
    cancelled = await sdk(
        "accounts.cancel_connection_session", session_id=again.reconnection_session_id
    )
    gone = await sdk("accounts.disconnect", account_id=new.id)

    assert opened.connection_link.endswith(opened.session_id)
    assert waiting.session_id == opened.session_id
    assert (waiting.status, waiting.type) == ("pending", "initial")
    (session,) = pending
    assert (session.session_id, session.status) == (opened.session_id, "pending")
    assert (new.status, new.headline, new.reconnection_link) == ("active", None, None)
    assert parsing.workflow_id.startswith("reparseAccountInfoWorkflow-")
    assert fresh.token.startswith("id_")
    assert fresh.token != new.identification_token
    assert (out.status, out.identification_token) == ("reconnection_required", fresh.token)
    assert out.headline
    assert again.reconnection_session_id != out.reconnection_session_id
    assert out.reconnection_link != again.reconnection_link
    assert cancelled is gone is None
    assert (await sdk("accounts.get_all")).accounts == []


async def test_the_sdk_reads_a_subscription_and_buys_seats(simulator, sdk):
    seats = {"quantity": 7, "seat_type": "plus", "billing_period": "year"}

    paid = await sdk("subscription.get_status")
    bought = await sdk("subscription.set_seats", **seats)
    groups = (await sdk("subscription.get_seats")).seats
    checkouts = []
    for status in ("canceled", None):
        simulator.set_subscription("acme", status, eligible_for_trial=True)
        checkouts.append(await sdk("subscription.set_seats", **seats | {"quantity": 8}))
    unpaid = await sdk("subscription.get_status")

    assert paid == SubscriptionStatus(
        status="active", eligible_for_trial=False, cancel_at_period_end=False
    )
    assert (bought.status, bought.payment_link) == ("complete", None)
    assert [(group.seat_type, group.quantity, group.billing_period) for group in groups] == [
        ("core", 1000, "month"),
        ("plus", 7, "year"),
    ]
    assert (unpaid.status, unpaid.eligible_for_trial) == (None, True)
    assert [checkout.status for checkout in checkouts] == ["processing"] * 2
    assert all(checkout.payment_link.startswith("https://") for checkout in checkouts)
    assert (await sdk("subscription.get_seats")).seats == groups


@pytest.mark.parametrize("void", [True, False])
@pytest.mark.parametrize("null", [True, False])
async def test_the_sdk_accepts_the_answer_under_every_assumption(simulator, sdk, void, null):
    simulator.tune(void_result=void, status_null=null)
    simulator.set_subscription("acme", None)
    account = simulator.add_account("acme")

    assert (await sdk("subscription.get_status")).status is None
    assert await sdk("accounts.disconnect", account_id=account.id) is None


CAUSES = {
    # error type: what it means to the monitor
    "linkedApiTokenRequired": Cause.TOKEN_REJECTED,
    "invalidLinkedApiToken": Cause.TOKEN_REJECTED,
    "tooManyRequests": Cause.RATE_LIMITED,
    "subscriptionRequired": Cause.SUBSCRIPTION,
    **dict.fromkeys(
        [
            *("accountIdRequired", "accountNotFound", "sessionNotFound", "invalidRequestPayload"),
            *("noAvailableSeats", "dailyConnectionAttemptsExceeded"),
            # of workflows: only a fault makes the simulator answer these
            *("identificationTokenRequired", "invalidIdentificationToken", "trialLimitReached"),
            *("invalidWorkflow", "plusPlanRequired", "linkedinAccountSignedOut"),
            *("languageNotSupported", "workflowTimeout"),
            *("outsideWorkingHours", "workingHoursWaitExpired"),
        ],
        Cause.BAD_RESPONSE,
    ),
}


def test_every_error_type_of_the_sdk_has_a_cause():
    types = set(LINKED_API_ERROR_TYPES) - {"httpError"}  # the SDK's own word, for no answer

    assert set(CAUSES) == types


@pytest.mark.odd_input("refusal of every type")
@pytest.mark.parametrize("error_type", CAUSES)
async def test_both_clients_read_an_error_by_its_type(simulator, sdk, client, error_type):
    for status in (200, 400, 401, 403, 404):
        simulator.faults.add(api_error(error_type, status=status, times=2))

        with pytest.raises(LinkedApiError) as of_sdk:
            await sdk("accounts.get_all")
        with pytest.raises(ApiError) as of_client:
            await client.get_connection_session("any")

        assert of_sdk.value.type == of_client.value.type == error_type
        assert of_client.value.cause is CAUSES[error_type]


async def test_an_answer_of_another_kind_is_an_error_to_both(simulator, sdk, client):
    simulator.add_fault(status=502, body="<html>", times=2)

    with pytest.raises(LinkedApiError) as of_sdk:
        await sdk("accounts.get_all")
    failure = await client.get_all()

    assert of_sdk.value.type == "httpError"
    assert failure.cause is Cause.UNREACHABLE
