import pytest


@pytest.fixture
def reconnect(signed_out, result):
    """Ask for a session of the account that needs a login."""

    async def create():
        return await result("accounts.createReconnectionSession", {"accountId": signed_out.id})

    return create


async def test_a_reconnection_session_replaces_the_one_before(simulator, reconnect):
    old = await reconnect()
    new = await reconnect()

    assert new["reconnectionSessionId"] != old["reconnectionSessionId"]
    assert new["reconnectionLink"].endswith("/connection/" + new["reconnectionSessionId"])
    assert simulator.session(old["reconnectionSessionId"])[1].status == "cancelled"


async def test_a_session_that_applies_a_proxy_change_is_not_replaced(
    simulator, signed_out, reconnect
):
    session = simulator.set_session("acme", signed_out.id, "serving")
    simulator.set_proxy_change(session.id, applying=True)

    assert (await reconnect())["reconnectionSessionId"] == session.id


@pytest.mark.parametrize("status", ["active", "frozen"])
async def test_an_account_that_needs_no_login_is_refused(simulator, error, status):
    account = simulator.add_account("acme", status=status)

    refused = await error("accounts.createReconnectionSession", {"accountId": account.id})

    assert refused == (400, "invalidRequestPayload")


async def test_reconnections_may_be_limited_per_day(simulator, signed_out, reconnect, error):
    simulator.tune(reconnections_count=True, daily_attempts=1)
    await reconnect()

    refused = await error("accounts.createReconnectionSession", {"accountId": signed_out.id})
    simulator.advance(24 * 3600)
    allowed = await reconnect()

    assert refused == (429, "dailyConnectionAttemptsExceeded")
    assert allowed["reconnectionSessionId"] == signed_out.session_id


async def test_a_login_can_be_followed_back_and_forth(simulator, signed_out, result, listed):
    session_id = (await listed())[0]["reconnectionSessionId"]

    for status in ("preparing", "serving", "streaming", "pending", "success"):
        simulator.set_session("acme", signed_out.id, status)
        answer = await result("accounts.getConnectionSession", {"sessionId": session_id})
        expected = {"sessionId": session_id, "status": status, "type": "reconnection"}
        assert answer == {"session": expected}

    assert (await listed())[0]["status"] == "active"


@pytest.mark.parametrize("method", ["getConnectionSession", "cancelConnectionSession"])
async def test_a_session_has_to_exist(error, method):
    unknown = await error(f"accounts.{method}", {"sessionId": "990eef7a"})
    missing = await error(f"accounts.{method}", {})

    assert unknown == (404, "sessionNotFound")
    assert missing == (400, "invalidRequestPayload")


async def test_a_session_long_over_is_forgotten(simulator, signed_out, error):
    session = simulator.set_session("acme", signed_out.id, "error")

    simulator.advance(simulator.assumptions.session_retention + 1)

    forgotten = await error("accounts.getConnectionSession", {"sessionId": session.id})
    assert forgotten == (404, "sessionNotFound")


@pytest.mark.parametrize(("status", "ttl"), [("pending", "pending"), ("streaming", "progress")])
async def test_a_session_expires_and_is_replaced(simulator, signed_out, listed, status, ttl):
    session = simulator.set_session("acme", signed_out.id, status)

    simulator.advance(getattr(simulator.assumptions, f"{ttl}_ttl"))

    assert (await listed())[0]["reconnectionSessionId"] != session.id
    assert session.status == "expired"


async def test_a_session_can_be_cancelled_twice_unless_that_is_refused(
    simulator, signed_out, result, error
):
    session = simulator.set_session("acme", signed_out.id, "pending")
    cancel = ("accounts.cancelConnectionSession", {"sessionId": session.id})

    results = [await result(*cancel), await result(*cancel)]
    simulator.tune(second_cancel_fails=True)
    refused = await error(*cancel)

    assert results == [{}, {}]
    assert session.status == "cancelled"
    assert refused == (400, "invalidRequestPayload")


async def test_pending_sessions_take_seats_and_connecting_is_limited_per_day(
    simulator, result, error
):
    simulator.tune(daily_attempts=1, attempts_status=403)
    simulator.set_seats("acme", 2)
    simulator.add_account("acme")
    await result("accounts.createConnectionSession")

    no_seat = await error("accounts.createConnectionSession")
    simulator.set_seats("acme", 3)
    no_attempt = await error("accounts.createConnectionSession")

    assert no_seat == (400, "noAvailableSeats")
    assert no_attempt == (403, "dailyConnectionAttemptsExceeded")


@pytest.mark.parametrize(("action", "statuses"), [("freeze", ["frozen"]), ("remove", [])])
async def test_a_late_success_changes_nothing(simulator, signed_out, listed, action, statuses):
    session = simulator.set_session("acme", signed_out.id, "streaming")
    getattr(simulator, action)("acme", signed_out.id)
    assert session.status == "cancelled"

    simulator.set_session_status(session.id, "success")

    assert [account["status"] for account in await listed()] == statuses


async def test_a_dashboard_user_can_replace_and_time_can_end_a_link(simulator, signed_out, listed):
    links = [(await listed())[0]["reconnectionLink"]]

    simulator.rotate_link("acme", signed_out.id)
    links.append((await listed())[0]["reconnectionLink"])
    simulator.expire_session("acme", "*")
    links.append((await listed())[0]["reconnectionLink"])

    assert len(set(links)) == 3
