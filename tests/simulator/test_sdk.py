"""The official SDK as the referee: the simulator answers all that it calls as the service would."""

import asyncio
import re
import threading

import pytest
import requests
from linkedapi.admin import AdminHttpClient, LinkedApiAdmin
from linkedapi.errors import LINKED_API_ERROR_TYPES, LinkedApiError
from linkedapi.types.admin import (
    AdminConfig,
    CancelConnectionSessionParams,
    CreateReconnectionSessionParams,
    DisconnectParams,
    GetConnectionSessionParams,
    RegenerateTokenParams,
    ReparseAccountInfoParams,
    SetSeatsParams,
    SubscriptionStatus,
)

from monitor.core.errors import ApiError
from monitor.core.model import Cause
from monitor.core.secret import Secret
from monitor.simulator import Assumptions, api_error
from monitor.simulator.endpoints import ENDPOINTS
from monitor.source.client import LinkedApi
from monitor.source.settings import LinkedApiSettings
from monitor.source.token import Token
from monitor.source.transport import open_http

PATIENCE = 10
GROUPS = {"accounts", "subscription"}


class Sdk:
    """The SDK as one customer. It knows no timeout, so each call has a thread to hang in."""

    def __init__(self, address, token="linked_acme"):
        session = requests.Session()
        session.trust_env = False
        config = AdminConfig(linked_api_token=token)
        self.admin = LinkedApiAdmin(AdminHttpClient(config, base_url=address, session=session))

    async def __call__(self, method, params=None):
        """Call `accounts.get_all` and the like."""
        group, name = method.split(".")
        call = getattr(getattr(self.admin, group), name)
        loop = asyncio.get_running_loop()
        outcome = loop.create_future()

        def work():
            try:
                result, error = call(*([] if params is None else [params])), None
            except Exception as failure:  # noqa: BLE001 - raised again where it is awaited
                result, error = None, failure
            loop.call_soon_threadsafe(tell, result, error)

        def tell(result, error):
            if not outcome.done():
                outcome.set_exception(error) if error else outcome.set_result(result)

        threading.Thread(target=work, daemon=True).start()
        async with asyncio.timeout(PATIENCE):
            return await outcome


@pytest.fixture
def address(http):
    return str(http.base_url)


@pytest.fixture
def sdk(address):
    return Sdk(address)


@pytest.fixture
async def ours(address):
    """Our own client of the same customer."""
    settings = LinkedApiSettings(base_url=address)
    async with open_http(settings) as client:
        yield LinkedApi(
            http=client,
            token=Token(Secret("linked_acme")),
            settings=settings,
            link_origins=("https://app.linkedapi.io",),
            observe=lambda *_: None,
            monotonic=lambda: 0.0,
            version="0",
        )


def wire_name(group, name):
    head, *rest = name.split("_")
    return f"{group}.{head}{''.join(word.capitalize() for word in rest)}"


def test_every_call_that_the_sdk_knows_is_answered():
    admin = LinkedApiAdmin(AdminConfig(linked_api_token="x"))

    known = {
        wire_name(group, name)
        for group in GROUPS
        for name in dir(getattr(admin, group))
        if re.fullmatch(r"[a-z][a-z_]+", name) and name != "http_client"
    }

    assert known == {name for name in ENDPOINTS if name.split(".")[0] in GROUPS}


async def test_the_sdk_follows_an_account_from_its_first_login_to_its_end(sim, sdk):
    opened = await sdk("accounts.create_connection_session")
    asked = GetConnectionSessionParams(session_id=opened.session_id)
    waiting = (await sdk("accounts.get_connection_session", asked)).session
    pending = (await sdk("accounts.get_all")).pending_connection_sessions
    sim.set_session_status(opened.session_id, "success")
    (new,) = (await sdk("accounts.get_all")).accounts
    parsing = await sdk(
        "accounts.reparse_account_info", ReparseAccountInfoParams(account_id=new.id)
    )
    fresh = await sdk(
        "accounts.regenerate_identification_token", RegenerateTokenParams(account_id=new.id)
    )
    sim.sign_out("acme", new.id)
    (out,) = (await sdk("accounts.get_all")).accounts
    again = await sdk(
        "accounts.create_reconnection_session", CreateReconnectionSessionParams(account_id=new.id)
    )
    cancelled = await sdk(
        "accounts.cancel_connection_session",
        CancelConnectionSessionParams(session_id=again.reconnection_session_id),
    )
    gone = await sdk("accounts.disconnect", DisconnectParams(account_id=new.id))

    assert opened.connection_link.endswith(opened.session_id)
    assert (waiting.session_id, waiting.status, waiting.type) == (
        opened.session_id,
        "pending",
        "initial",
    )
    assert [(one.session_id, one.status) for one in pending] == [(opened.session_id, "pending")]
    assert (new.status, new.headline, new.reconnection_link) == ("active", None, None)
    assert parsing.workflow_id.startswith("reparseAccountInfoWorkflow-")
    assert fresh.token.startswith("id_")
    assert (out.status, out.identification_token) == ("reconnection_required", fresh.token)
    assert out.headline
    assert again.reconnection_session_id != out.reconnection_session_id
    assert out.reconnection_link != again.reconnection_link
    assert cancelled is gone is None
    assert (await sdk("accounts.get_all")).accounts == []


async def test_the_sdk_reads_a_subscription_and_buys_seats(sim, sdk):
    seats = SetSeatsParams(quantity=7, seat_type="plus", billing_period="year")

    paid = await sdk("subscription.get_status")
    bought = await sdk("subscription.set_seats", seats)
    listed = (await sdk("subscription.get_seats")).seats
    sim.set_subscription("acme", None, eligible_for_trial=True)
    unpaid = await sdk("subscription.get_status")
    checkout = await sdk("subscription.set_seats", seats)

    assert paid == SubscriptionStatus(
        status="active", eligible_for_trial=False, cancel_at_period_end=False
    )
    assert (bought.status, bought.payment_link) == ("complete", None)
    assert [(one.seat_type, one.quantity, one.billing_period) for one in listed] == [
        ("core", 1000, "month"),
        ("plus", 7, "year"),
    ]
    assert (unpaid.status, unpaid.eligible_for_trial) == (None, True)
    assert checkout.status == "processing"
    assert checkout.payment_link.startswith("https://")


@pytest.mark.parametrize("void", [True, False])
@pytest.mark.parametrize("null", [True, False])
async def test_the_sdk_accepts_the_answer_whatever_the_knobs_say(sim, sdk, void, null):
    sim.tune(void_result=void, status_null=null)
    sim.set_subscription("acme", None)
    jane = sim.add_account("acme")

    assert (await sdk("subscription.get_status")).status is None
    assert await sdk("accounts.disconnect", DisconnectParams(account_id=jane.id)) is None


NOBODY = "00000000-0000-4000-8000-000000000000"


def wrong_token(sim):
    sim.set_token("acme", "linked_other")
    return "accounts.get_all", None


def no_seats(sim):
    sim.set_seats("acme", 0)
    return "accounts.create_connection_session", None


def no_attempts(sim):
    sim.tune(daily_attempts=0)
    return "accounts.create_connection_session", None


def no_requests(sim):
    sim.tune(rate_limit=0)
    return "accounts.get_all", None


def no_subscription(sim):
    sim.tune(get_all_needs_subscription=True)
    sim.set_subscription("acme", None)
    return "accounts.get_all", None


def no_id(_):
    return "accounts.disconnect", DisconnectParams(account_id="")


def healthy(sim):
    account = CreateReconnectionSessionParams(account_id=sim.add_account("acme").id)
    return "accounts.create_reconnection_session", account


REFUSALS = {
    # error.type: what it means to us, how the simulator comes to say it
    "linkedApiTokenRequired": (Cause.TOKEN_REJECTED, lambda _: ("accounts.get_all", None)),
    "invalidLinkedApiToken": (Cause.TOKEN_REJECTED, wrong_token),
    "accountIdRequired": (Cause.BAD_RESPONSE, no_id),
    "accountNotFound": (
        Cause.BAD_RESPONSE,
        lambda _: ("accounts.disconnect", DisconnectParams(account_id=NOBODY)),
    ),
    "sessionNotFound": (
        Cause.BAD_RESPONSE,
        lambda _: (
            "accounts.get_connection_session",
            GetConnectionSessionParams(session_id=NOBODY),
        ),
    ),
    "tooManyRequests": (Cause.RATE_LIMITED, no_requests),
    "invalidRequestPayload": (Cause.BAD_RESPONSE, healthy),
    "noAvailableSeats": (Cause.BAD_RESPONSE, no_seats),
    "dailyConnectionAttemptsExceeded": (Cause.BAD_RESPONSE, no_attempts),
    "subscriptionRequired": (Cause.BAD_RESPONSE, no_subscription),
    # of workflows: nothing but a fault makes the simulator say these
    "identificationTokenRequired": (Cause.BAD_RESPONSE, None),
    "invalidIdentificationToken": (Cause.BAD_RESPONSE, None),
    "trialLimitReached": (Cause.BAD_RESPONSE, None),
    "invalidWorkflow": (Cause.BAD_RESPONSE, None),
    "plusPlanRequired": (Cause.BAD_RESPONSE, None),
    "linkedinAccountSignedOut": (Cause.BAD_RESPONSE, None),
    "languageNotSupported": (Cause.BAD_RESPONSE, None),
    "workflowTimeout": (Cause.BAD_RESPONSE, None),
    "outsideWorkingHours": (Cause.BAD_RESPONSE, None),
    "workingHoursWaitExpired": (Cause.BAD_RESPONSE, None),
}


def test_the_table_has_every_error_that_the_sdk_and_the_simulator_know():
    known = set(LINKED_API_ERROR_TYPES) - {"httpError"}  # the SDK's own word, for no answer

    assert set(REFUSALS) == known


@pytest.mark.row(30)
@pytest.mark.parametrize("kind", REFUSALS)
async def test_both_clients_see_an_error_as_what_it_is(sim, sdk, ours, address, kind):
    cause, bring_about = REFUSALS[kind]
    if bring_about:
        client = Sdk(address, "") if kind == "linkedApiTokenRequired" else sdk
        with pytest.raises(LinkedApiError) as true:
            await client(*bring_about(sim))
        assert true.value.type == kind
    sim.set_token("acme", "linked_acme")
    sim.tune(**{name: getattr(Assumptions(), name) for name in ("rate_limit", "daily_attempts")})
    for status in (200, 400, 401, 403, 404):
        sim.faults.add(api_error(kind, status=status, times=2))

        with pytest.raises(LinkedApiError) as theirs:
            await sdk("accounts.get_all")
        with pytest.raises(ApiError) as caught:
            await ours.get_connection_session("any")

        assert theirs.value.type == caught.value.type == kind
        assert caught.value.cause is cause


async def test_an_answer_of_another_kind_is_an_error_to_both(sim, sdk, ours):
    sim.add_fault(status=502, body="<html>", times=2)

    with pytest.raises(LinkedApiError) as theirs:
        await sdk("accounts.get_all")
    failure = await ours.get_all()

    assert theirs.value.type == "httpError"
    assert failure.cause is Cause.UNREACHABLE
