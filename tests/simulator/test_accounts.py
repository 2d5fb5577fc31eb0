import re

import pytest

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


async def test_an_active_account_has_the_documented_fields_and_no_link(simulator, listed):
    simulator.add_account("acme", name="Jane Doe", country="DE")

    (account,) = await listed()

    assert list(account) == [
        *("id", "name", "url", "avatarUrl", "headline", "countryCode"),
        *("identificationToken", "status", "connectedAt"),
    ]
    assert UUID.fullmatch(account["id"])
    assert account["name"] == "Jane Doe"
    assert account["url"].startswith("https://www.linkedin.com/in/jane-doe-")
    assert account["countryCode"] == "DE"
    assert account["identificationToken"].startswith("id_")
    assert account["status"] == "active"
    assert account["connectedAt"] == "2026-11-23T08:00:00.000Z"


@pytest.mark.usefixtures("signed_out")
@pytest.mark.parametrize("is_assumed", [True, False])
async def test_no_session_is_opened_where_none_can_be_or_so_is_assumed(
    simulator, listed, is_assumed
):
    simulator.tune(get_all_creates_sessions=not is_assumed)
    simulator.set_reconnectable("acme", "*", possible=is_assumed)

    (account,) = await listed()

    assert account["status"] == "reconnection_required"
    assert "reconnectionSessionId" not in account
    assert "reconnectionLink" not in account


async def test_a_signed_out_account_has_one_link_and_a_frozen_one_has_none(
    simulator, signed_out, listed
):
    (first,) = await listed()
    (second,) = await listed()
    simulator.freeze("acme", signed_out.id)
    (frozen,) = await listed()

    assert first["reconnectionSessionId"] == signed_out.session_id
    assert first["reconnectionLink"].startswith("https://app.linkedapi.io/connection/")
    assert first["reconnectionLink"].endswith(signed_out.session_id)
    assert second == first
    assert frozen["status"] == "frozen"
    assert "reconnectionLink" not in frozen


async def test_sessions_opened_for_links_may_count_as_attempts(simulator, listed):
    simulator.tune(auto_sessions_count=True, daily_attempts=1)
    simulator.add_accounts("acme", 2, "reconnection_required")

    accounts = await listed()

    assert ["reconnectionLink" in account for account in accounts] == [True, False]


async def test_reconnection_sessions_may_be_listed_as_pending(simulator, signed_out, result):
    hidden = (await result())["pendingConnectionSessions"]

    simulator.tune(reconnections_listed=True)

    pending = (await result())["pendingConnectionSessions"]
    assert hidden == []
    assert pending == [{"sessionId": signed_out.session_id, "status": "pending"}]


async def test_a_login_shows_after_as_many_polls_as_assumed(simulator, signed_out, listed):
    simulator.tune(lag_polls=2)
    simulator.set_session("acme", signed_out.id, "success")

    polls = [(await listed())[0] for _ in range(3)]

    assert [account["status"] for account in polls] == [*2 * ["reconnection_required"], "active"]
    assert polls[0]["reconnectionSessionId"] == polls[1]["reconnectionSessionId"]


async def test_during_the_lag_the_finished_session_may_stay(simulator, signed_out, listed):
    simulator.tune(lag_polls=1, lag_opens_session=False)

    session = simulator.set_session("acme", signed_out.id, "success")

    assert (await listed())[0]["reconnectionSessionId"] == session.id


async def test_a_reconnection_may_move_the_time_of_connection(simulator, signed_out, listed):
    simulator.tune(reconnection_moves_connected_at=True)
    simulator.advance(60)

    simulator.set_session("acme", signed_out.id, "success")

    assert (await listed())[0]["connectedAt"] == "2026-11-23T08:01:00.000Z"


async def test_a_hidden_account_is_missing_for_that_many_polls(simulator, signed_out, listed):
    simulator.hide("acme", signed_out.id, polls=2)

    assert [len(await listed()) for _ in range(3)] == [0, 0, 1]


@pytest.mark.parametrize("is_removed", [True, False])
async def test_an_account_may_return_under_a_new_id(simulator, listed, is_removed):
    old = simulator.add_account("acme", name="Jane Doe")
    if is_removed:
        simulator.remove("acme", old.id)
        assert await listed() == []

    new = simulator.return_as_new("acme", old.id if is_removed else "Jane Doe")

    (account,) = await listed()
    assert account["id"] == new.id != old.id
    assert account["url"] == old.url


async def test_the_fields_of_one_account_can_be_changed(simulator, listed):
    odd = 'Zoë 🦊 \u202eabc\u202c <b>*x*</b> \\ " \n'
    jane = simulator.add_account("acme")
    simulator.add_account("acme", name="John Doe")
    simulator.rename("acme", "John Doe", odd)

    simulator.patch("acme", jane.id, {"status": 7, "extra": [None]}, without=["name"])

    patched, untouched = await listed()
    assert patched["status"] == 7
    assert patched["extra"] == [None]
    assert "name" not in patched
    assert untouched["name"] == odd
    simulator.clear_patch("acme", jane.id)
    assert (await listed())[0]["status"] == "active"


async def test_the_whole_result_can_be_anything(simulator, result):
    for odd in (None, [], {}, {"accounts": None}, "x", {"accounts": [{"id": float("inf")}]}):
        simulator.override("acme", odd)
        assert await result() == odd

    simulator.clear_override("acme")

    assert await result() == {"accounts": [], "pendingConnectionSessions": []}


@pytest.mark.parametrize(
    "method",
    [
        "createReconnectionSession",
        "reparseAccountInfo",
        "regenerateIdentificationToken",
        "disconnect",
    ],
)
async def test_a_call_about_an_account_has_to_name_one_of_ones_own(simulator, error, method):
    simulator.add_customer("other", "linked_other")
    foreign = simulator.add_account("other", status="reconnection_required")

    for body in ({}, {"accountId": 7}, {"accountId": ""}, {"accountId": None}):
        assert await error(f"accounts.{method}", body) == (401, "accountIdRequired")
    unknown = await error(f"accounts.{method}", {"accountId": foreign.id})

    assert unknown == (401, "accountNotFound")


async def test_details_of_an_account_are_not_read_while_it_is_signed_out(simulator, result, listed):
    new = simulator.customer("acme").connect(status="reconnection_required")
    new.headline = None

    await result("accounts.reparseAccountInfo", {"accountId": new.id})

    assert (await listed())[0]["headline"] is None
