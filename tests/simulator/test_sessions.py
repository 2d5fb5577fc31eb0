import pytest


async def test_a_reconnection_session_replaces_the_one_before(sim, call):
    jane = sim.add_account("acme", status="reconnection_required")

    first = (await call("accounts.createReconnectionSession", {"accountId": jane.id})).json()
    second = (await call("accounts.createReconnectionSession", {"accountId": jane.id})).json()

    old, new = first["result"], second["result"]
    assert new["reconnectionSessionId"] != old["reconnectionSessionId"]
    assert new["reconnectionLink"].endswith("/connection/" + new["reconnectionSessionId"])
    assert sim.session(old["reconnectionSessionId"])[1].status == "cancelled"


async def test_a_session_that_applies_a_proxy_change_is_not_replaced(sim, call):
    jane = sim.add_account("acme", status="reconnection_required")
    session = sim.set_session("acme", jane.id, "serving")
    sim.set_proxy_change(session.id, applying=True)

    response = await call("accounts.createReconnectionSession", {"accountId": jane.id})

    assert response.json()["result"]["reconnectionSessionId"] == session.id


@pytest.mark.parametrize("status", ["active", "frozen"])
async def test_an_account_that_needs_no_login_is_refused(sim, call, status):
    jane = sim.add_account("acme", status=status)

    response = await call("accounts.createReconnectionSession", {"accountId": jane.id})

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalidRequestPayload"


@pytest.mark.parametrize("body", [{}, {"accountId": 7}, {"accountId": ""}, {"accountId": None}])
async def test_an_account_id_has_to_be_given(call, body):
    response = await call("accounts.createReconnectionSession", body)

    assert response.status_code == 401
    assert response.json()["error"]["type"] == "accountIdRequired"


async def test_the_account_of_somebody_else_is_not_found(sim, call):
    sim.add_customer("other", "linked_other")
    foreign = sim.add_account("other", status="reconnection_required")

    response = await call("accounts.createReconnectionSession", {"accountId": foreign.id})

    assert response.status_code == 401
    assert response.json()["error"]["type"] == "accountNotFound"


async def test_reconnections_may_be_limited_per_day(sim, call):
    sim.tune(reconnections_count=True, daily_attempts=1)
    jane = sim.add_account("acme", status="reconnection_required")
    await call("accounts.createReconnectionSession", {"accountId": jane.id})

    refused = await call("accounts.createReconnectionSession", {"accountId": jane.id})
    sim.advance(24 * 3600)
    allowed = await call("accounts.createReconnectionSession", {"accountId": jane.id})

    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "dailyConnectionAttemptsExceeded"
    assert allowed.status_code == 200


async def test_a_login_can_be_followed_to_its_success(sim, call, get_all):
    jane = sim.add_account("acme", status="reconnection_required")
    session = (await get_all())["accounts"][0]["reconnectionSessionId"]

    seen = []
    for status in ("preparing", "serving", "streaming", "success"):
        sim.set_session("acme", jane.id, status)
        answer = await call("accounts.getConnectionSession", {"sessionId": session})
        seen.append(answer.json()["result"]["session"])

    assert [found["status"] for found in seen] == ["preparing", "serving", "streaming", "success"]
    assert seen[0] == {"sessionId": session, "status": "preparing", "type": "reconnection"}
    assert (await get_all())["accounts"][0]["status"] == "active"


@pytest.mark.parametrize("method", ["getConnectionSession", "cancelConnectionSession"])
async def test_a_session_has_to_be_known(call, method):
    unknown = await call(f"accounts.{method}", {"sessionId": "990eef7a"})
    missing = await call(f"accounts.{method}", {})

    assert unknown.status_code == 404
    assert unknown.json()["error"]["type"] == "sessionNotFound"
    assert missing.json()["error"]["type"] == "invalidRequestPayload"


async def test_a_session_long_over_is_forgotten(sim, call):
    jane = sim.add_account("acme", status="reconnection_required")
    session = sim.set_session("acme", jane.id, "error")

    sim.advance(sim.assumptions.session_retention + 1)

    response = await call("accounts.getConnectionSession", {"sessionId": session.id})
    assert response.status_code == 404


async def test_cancelling_ends_a_session(sim, call):
    jane = sim.add_account("acme", status="reconnection_required")
    session = sim.set_session("acme", jane.id, "pending")

    first = await call("accounts.cancelConnectionSession", {"sessionId": session.id})
    again = await call("accounts.cancelConnectionSession", {"sessionId": session.id})

    assert first.json() == again.json() == {"success": True, "result": {}}
    assert session.status == "cancelled"


async def test_cancelling_twice_may_be_refused(sim, call):
    sim.tune(second_cancel_fails=True)
    jane = sim.add_account("acme", status="reconnection_required")
    session = sim.set_session("acme", jane.id, "cancelled")

    response = await call("accounts.cancelConnectionSession", {"sessionId": session.id})

    assert response.json()["error"]["type"] == "invalidRequestPayload"


async def test_where_there_is_nothing_to_tell_the_result_may_be_missing(sim, call):
    sim.tune(void_result=False)
    jane = sim.add_account("acme", status="reconnection_required")
    session = sim.set_session("acme", jane.id, "pending")

    response = await call("accounts.cancelConnectionSession", {"sessionId": session.id})

    assert response.json() == {"success": True}


async def test_a_new_account_is_connected_by_a_session(sim, call, get_all):
    opened = (await call("accounts.createConnectionSession")).json()["result"]
    waiting = await get_all()

    sim.set_session_status(opened["sessionId"], "success")
    sim.set_session_status(opened["sessionId"], "success")

    pending = [{"sessionId": opened["sessionId"], "status": "pending"}]
    assert opened["connectionLink"].endswith(opened["sessionId"])
    assert waiting == {"accounts": [], "pendingConnectionSessions": pending}
    assert len((await get_all())["accounts"]) == 1


async def test_pending_sessions_take_seats(sim, call):
    sim.set_seats("acme", 2)
    sim.add_account("acme")
    await call("accounts.createConnectionSession")

    response = await call("accounts.createConnectionSession")

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "noAvailableSeats"


async def test_connecting_is_limited_per_day(sim, call):
    sim.tune(daily_attempts=1, attempts_status=403)
    await call("accounts.createConnectionSession")

    response = await call("accounts.createConnectionSession")

    assert response.status_code == 403
    assert response.json()["error"]["type"] == "dailyConnectionAttemptsExceeded"


async def test_a_session_may_move_backwards(sim, call):
    jane = sim.add_account("acme", status="reconnection_required")
    session = sim.set_session("acme", jane.id, "streaming")

    sim.set_session("acme", jane.id, "pending")

    response = await call("accounts.getConnectionSession", {"sessionId": session.id})
    assert response.json()["result"]["session"]["status"] == "pending"


async def test_a_late_success_does_not_thaw_a_frozen_account(sim, get_all):
    jane = sim.add_account("acme", status="reconnection_required")
    session = sim.set_session("acme", jane.id, "streaming")
    sim.freeze("acme", jane.id)

    sim.set_session_status(session.id, "success")

    assert (await get_all())["accounts"][0]["status"] == "frozen"


async def test_a_dashboard_user_can_replace_and_time_can_end_a_link(sim, get_all):
    sim.add_account("acme", name="Jane", status="reconnection_required")
    links = [(await get_all())["accounts"][0]["reconnectionLink"]]

    sim.rotate_link("acme", "Jane")
    links.append((await get_all())["accounts"][0]["reconnectionLink"])
    sim.expire_session("acme", "*")
    links.append((await get_all())["accounts"][0]["reconnectionLink"])

    assert len(set(links)) == 3


ACCOUNT_CALLS = [
    "createReconnectionSession",
    "reparseAccountInfo",
    "regenerateIdentificationToken",
    "disconnect",
]


@pytest.mark.parametrize("method", ACCOUNT_CALLS)
async def test_a_call_about_an_account_has_to_name_one_of_ones_own(sim, call, method):
    sim.add_customer("other", "linked_other")
    foreign = sim.add_account("other")

    missing = await call(f"accounts.{method}", {})
    unknown = await call(f"accounts.{method}", {"accountId": foreign.id})

    assert (missing.status_code, unknown.status_code) == (401, 401)
    assert missing.json()["error"]["type"] == "accountIdRequired"
    assert unknown.json()["error"]["type"] == "accountNotFound"


async def test_a_disconnected_account_is_gone_for_good_with_its_session(sim, call, get_all):
    jane = sim.add_account("acme", status="reconnection_required")
    await get_all()

    first = await call("accounts.disconnect", {"accountId": jane.id})
    again = await call("accounts.disconnect", {"accountId": jane.id})

    assert first.json() == {"success": True, "result": {}}
    assert again.json()["error"]["type"] == "accountNotFound"
    assert (await get_all())["accounts"] == []
    assert sim.session(jane.session_id)[1].status == "cancelled"


async def test_an_identification_token_can_be_replaced(sim, call, get_all):
    jane = sim.add_account("acme")
    old = jane.identification_token

    answer = await call("accounts.regenerateIdentificationToken", {"accountId": jane.id})

    token = answer.json()["result"]["token"]
    assert token.startswith("id_")
    assert token != old
    assert (await get_all())["accounts"][0]["identificationToken"] == token


@pytest.mark.parametrize("signed_out", [False, True])
async def test_details_of_a_new_account_are_read_while_it_is_logged_in(
    sim, call, get_all, signed_out
):
    opened = (await call("accounts.createConnectionSession")).json()["result"]
    sim.set_session_status(opened["sessionId"], "success")
    (new,) = (await get_all())["accounts"]
    if signed_out:
        sim.sign_out("acme", new["id"])

    answer = await call("accounts.reparseAccountInfo", {"accountId": new["id"]})

    (parsed,) = (await get_all())["accounts"]
    assert answer.json()["result"]["workflowId"].startswith("reparseAccountInfoWorkflow-")
    assert new["avatarUrl"] is new["headline"] is None
    assert (parsed["headline"] is None, parsed["avatarUrl"] is None) == (signed_out, signed_out)
