"""Sessions that end in every way but the expected one, and what the monitor makes of them."""

import json

import pytest
from harness.core import HOUR, signed_out
from harness.poll import poll_harness
from harness.store import StoreHarness
from work.test_tick import make_ticker

from monitor.core.errors import ApiError
from monitor.core.model import Cause
from monitor.simulator import Assumptions, api_error
from monitor.store import accounts

NO_LINK = ("reconnectionLink", "reconnectionSessionId")
OPENED = ("opened", "reconnection_required")
RESOLVED = ("resolved", "reconnection_required")


def only(harness):
    """Return the id of the only account."""
    (found,) = harness.simulator.customer("acme").accounts
    return found


def recorded(harness):
    """Return the session that is recorded for the only account."""
    return harness.store.run_now(lambda tx: accounts.load(tx, "acme", only(harness))).session


async def signed_out_poll(harness):
    await harness.poll()
    harness.simulator.sign_out("acme", "*")
    assert await harness.poll() == [OPENED]


async def signed_out_without_link(harness, shown=None):
    """Sign the account out; of its session the list shows only the id *shown*, if anything."""
    await harness.poll()
    harness.simulator.sign_out("acme", "*")
    fields = {"reconnectionSessionId": shown} if shown else {}
    without = ("reconnectionLink",) if shown else NO_LINK
    harness.simulator.patch("acme", only(harness), fields, without=without)
    assert await harness.poll() == [OPENED]


@pytest.mark.odd_input("list lags behind a login")
@pytest.mark.parametrize("lag", [0, 1, 3])
@pytest.mark.parametrize("opens", [True, False])
async def test_a_login_that_the_list_shows_only_later_is_one_incident(tmp_path, lag, opens):
    assumptions = Assumptions(lag_polls=lag, lag_opens_session=opens)
    async with poll_harness(tmp_path, accounts=1, create=True, assumptions=assumptions) as harness:
        await signed_out_poll(harness)
        told = []
        for status in ("preparing", "serving", "streaming", "success"):
            harness.simulator.set_session("acme", only(harness), status)
            told.append(await harness.poll())
        told += [await harness.poll() for _ in range(lag)]

        assert told == [[]] * (3 + lag) + [[RESOLVED]]
        assert harness.calls("accounts.createReconnectionSession") == 0


@pytest.mark.odd_input("session expires before a reminder")
async def test_a_reminder_carries_the_link_of_its_moment(store):
    harness = StoreHarness(store)
    harness.poll(signed_out(link="https://app.linkedapi.io/connection/expired"))
    harness.deliver()
    harness.now += HOUR
    harness.poll(signed_out(link="https://app.linkedapi.io/connection/fresh"))

    assert await make_ticker(harness).tick()

    (item,) = harness.claim().message.notifications
    assert item.event == "reminded"
    assert item.link.reveal() == "https://app.linkedapi.io/connection/fresh"


@pytest.mark.odd_input("session expires before a reminder")
async def test_a_session_that_expires_is_replaced_by_the_next_poll(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await signed_out_poll(harness)
        before = recorded(harness)
        harness.simulator.expire_session("acme", "*")

        assert await harness.poll() == []
        assert recorded(harness).link not in {None, before.link}


@pytest.mark.odd_input("session fails or is cancelled")
@pytest.mark.parametrize("end", ["error", "cancelled"])
async def test_a_login_that_failed_or_was_given_up_leaves_the_incident_with_a_new_link(
    tmp_path, end
):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await signed_out_poll(harness)
        before = recorded(harness)
        for status in ("serving", end):
            harness.simulator.set_session("acme", only(harness), status)

        assert await harness.poll(3) == []
        assert recorded(harness).link not in {None, before.link}


@pytest.mark.odd_input("session fails or is cancelled")
@pytest.mark.parametrize("end", ["error", "cancelled", "expired", "success"])
async def test_where_the_list_opens_no_session_one_that_ended_is_replaced_once(tmp_path, end):
    assumptions = Assumptions(get_all_creates_sessions=False)
    async with poll_harness(tmp_path, accounts=1, create=True, assumptions=assumptions) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "*")
        session = harness.simulator.rotate_link("acme", only(harness))
        harness.simulator.patch(
            "acme",
            only(harness),
            {"reconnectionSessionId": session.id},
            without=("reconnectionLink",),
        )
        harness.simulator.set_session_status(session.id, end)
        harness.simulator.sign_out("acme", "*")
        assert await harness.poll() == [OPENED]

        assert await harness.reconnector.reconnect() == "created"
        assert await harness.reconnector.reconnect() is None
        assert recorded(harness).link is not None


@pytest.mark.odd_input("session replaced by somebody else")
async def test_a_link_replaced_by_somebody_else_is_taken_over_without_a_word(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_poll(harness)
        other = harness.simulator.rotate_link("acme", only(harness))

        assert await harness.poll() == []
        assert recorded(harness).id == other.id
        assert harness.calls("accounts.createReconnectionSession") == 0


@pytest.mark.odd_input("session is forgotten")
async def test_a_session_that_is_forgotten_is_not_found(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await signed_out_poll(harness)
        session = recorded(harness).id
        harness.simulator.recover("acme", "*")
        harness.simulator.advance(harness.simulator.assumptions.session_retention + 1)

        with pytest.raises(ApiError) as caught:
            await harness.source.get_connection_session(session)

        assert (caught.value.type, caught.value.cause) == ("sessionNotFound", Cause.BAD_RESPONSE)


@pytest.mark.odd_input("session of unknown status")
@pytest.mark.parametrize("word", ["paused", "STREAMING", "a new word"])
async def test_a_session_of_unknown_status_may_be_in_use_and_is_left_alone(tmp_path, word):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness, shown="d90ac1f6")
        session = {"sessionId": "d90ac1f6", "status": word, "type": ["of", "any", "kind"]}
        harness.simulator.add_fault(
            body=f'{{"success":true,"result":{{"session":{json.dumps(session)}}}}}',
            method="accounts.getConnectionSession",
        )

        assert await harness.reconnector.reconnect() == "kept"
        assert harness.calls("accounts.createReconnectionSession") == 0


@pytest.mark.odd_input("session goes backwards")
async def test_a_session_that_goes_backwards_changes_nothing(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await signed_out_poll(harness)
        told = []
        for status in ("streaming", "pending", "serving", "preparing", "pending", "success"):
            harness.simulator.set_session("acme", only(harness), status)
            told += await harness.poll()

        assert told == [RESOLVED]


@pytest.mark.odd_input("create returns the running session")
async def test_a_session_that_applies_a_proxy_change_comes_back_as_it_was(tmp_path):
    assumptions = Assumptions(get_all_creates_sessions=False)
    async with poll_harness(tmp_path, accounts=1, create=True, assumptions=assumptions) as harness:
        await signed_out_without_link(harness)
        running = harness.simulator.set_session("acme", only(harness), "serving")
        harness.simulator.set_proxy_change(running.id, applying=True)

        assert await harness.reconnector.reconnect() == "created"
        assert recorded(harness).id == running.id
        assert running.status == "serving"


@pytest.mark.odd_input("create without an answer")
async def test_a_session_made_without_an_answer_is_found_in_the_next_list(tmp_path):
    assumptions = Assumptions(get_all_creates_sessions=False)
    async with poll_harness(tmp_path, accounts=1, create=True, assumptions=assumptions) as harness:
        await signed_out_without_link(harness)
        harness.simulator.add_fault("truncate", method="accounts.createReconnectionSession")

        assert await harness.reconnector.reconnect() == "unknown"
        harness.simulator.clear_patch("acme", only(harness))
        await harness.poll()

        assert recorded(harness).link is not None
        assert await harness.reconnector.reconnect() is None
        assert harness.calls("accounts.createReconnectionSession") == 1


@pytest.mark.odd_input("account recovers before create")
async def test_an_account_that_recovered_just_now_is_resolved_by_the_next_poll(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)
        harness.simulator.recover("acme", "*")

        assert await harness.reconnector.reconnect() == "refused"
        assert await harness.poll() == [RESOLVED]


@pytest.mark.odd_input("login under way")
async def test_a_login_under_way_is_never_replaced_however_long_it_takes(tmp_path):
    async with poll_harness(
        tmp_path, accounts=1, create=True, assumptions=Assumptions(progress_ttl=1e6)
    ) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "*")
        session = harness.simulator.set_session("acme", only(harness), "streaming")
        harness.simulator.patch("acme", only(harness), {}, without=("reconnectionLink",))
        for _ in range(200):
            await harness.poll()
            assert await harness.reconnector.reconnect() in {None, "kept"}

        assert session.status == "streaming"
        assert harness.calls("accounts.createReconnectionSession") == 0


@pytest.mark.odd_input("too many connection attempts")
@pytest.mark.parametrize("status", [400, 403, 429])
async def test_too_many_attempts_end_asking_for_hours_and_polling_goes_on(tmp_path, status):
    assumptions = Assumptions(
        get_all_creates_sessions=False,
        reconnections_count=True,
        daily_attempts=0,
        attempts_status=status,
    )
    async with poll_harness(tmp_path, accounts=1, create=True, assumptions=assumptions) as harness:
        await signed_out_without_link(harness)
        assert await harness.reconnector.reconnect() == "limited"
        for _ in range(90):
            await harness.poll()
            assert await harness.reconnector.reconnect() is None

        assert 'linkedapi_workspace_up{workspace="acme"} 1' in harness.metric
        assert harness.calls("accounts.createReconnectionSession") == 1


@pytest.mark.odd_input("too many requests at create")
async def test_too_many_requests_when_asking_are_asked_again_later(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)
        harness.simulator.faults.add(
            api_error(
                "tooManyRequests",
                status=429,
                method="accounts.createReconnectionSession",
                times=1,
            )
        )

        assert await harness.reconnector.reconnect() == "later"
        await harness.poll(2)
        assert await harness.reconnector.reconnect() == "created"
