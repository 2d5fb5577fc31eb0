import re

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


async def test_an_active_account_has_the_documented_fields_and_no_link(sim, get_all):
    sim.add_account("acme", name="Jane Doe", country="DE")

    (account,) = (await get_all())["accounts"]

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


async def test_a_customer_without_accounts_has_empty_lists(get_all):
    assert await get_all() == {"accounts": [], "pendingConnectionSessions": []}


async def test_asking_for_all_accounts_opens_a_session_where_one_is_needed(sim, get_all):
    jane = sim.add_account("acme", status="reconnection_required")

    first = (await get_all())["accounts"][0]
    second = (await get_all())["accounts"][0]

    assert first["reconnectionSessionId"] == jane.session_id
    assert first["reconnectionLink"] == f"https://app.linkedapi.io/connection/{jane.session_id}"
    assert second == first


async def test_a_frozen_account_has_no_link(sim, get_all):
    jane = sim.add_account("acme")
    sim.sign_out("acme", jane.id)
    await get_all()

    sim.freeze("acme", jane.id)

    account = (await get_all())["accounts"][0]
    assert account["status"] == "frozen"
    assert "reconnectionLink" not in account
    assert sim.customer("acme").sessions[jane.session_id].status == "cancelled"


async def test_an_expired_session_is_replaced(sim, get_all):
    sim.add_account("acme", status="reconnection_required")
    before = (await get_all())["accounts"][0]["reconnectionSessionId"]

    sim.advance(sim.assumptions.pending_ttl)

    after = (await get_all())["accounts"][0]["reconnectionSessionId"]
    assert after != before
    assert sim.session(before)[1].status == "expired"


async def test_a_login_under_way_expires_sooner(sim, get_all):
    jane = sim.add_account("acme", status="reconnection_required")
    session = sim.set_session("acme", jane.id, "streaming")

    sim.advance(sim.assumptions.progress_ttl)

    assert (await get_all())["accounts"][0]["reconnectionSessionId"] != session.id


async def test_no_session_is_opened_if_the_knob_says_so(sim, get_all):
    sim.tune(get_all_creates_sessions=False)
    sim.add_account("acme", status="reconnection_required")

    account = (await get_all())["accounts"][0]

    assert account["status"] == "reconnection_required"
    assert "reconnectionSessionId" not in account


async def test_an_account_that_cannot_be_reconnected_has_no_link(sim, get_all):
    jane = sim.add_account("acme", status="reconnection_required")

    sim.set_reconnectable("acme", jane.id, possible=False)

    assert "reconnectionLink" not in (await get_all())["accounts"][0]


async def test_sessions_opened_for_links_may_count_as_attempts(sim, get_all):
    sim.tune(auto_sessions_count=True, daily_attempts=1)
    sim.add_accounts("acme", 2, "reconnection_required")

    accounts = (await get_all())["accounts"]

    assert ["reconnectionLink" in account for account in accounts] == [True, False]


async def test_reconnection_sessions_are_listed_as_pending_only_if_the_knob_says_so(sim, get_all):
    sim.add_account("acme", status="reconnection_required")
    quiet = (await get_all())["pendingConnectionSessions"]

    sim.tune(reconnections_listed=True)

    result = await get_all()
    session = result["accounts"][0]["reconnectionSessionId"]
    assert quiet == []
    assert result["pendingConnectionSessions"] == [{"sessionId": session, "status": "pending"}]


async def test_a_login_shows_after_as_many_polls_as_the_lag_says(sim, get_all):
    sim.tune(lag_polls=2)
    jane = sim.add_account("acme", status="reconnection_required")
    sim.set_session("acme", jane.id, "success")

    seen = [(await get_all())["accounts"][0] for _ in range(3)]

    assert [account["status"] for account in seen] == [
        *("reconnection_required", "reconnection_required", "active")
    ]
    assert seen[0]["reconnectionSessionId"] == seen[1]["reconnectionSessionId"]


async def test_during_the_lag_the_finished_session_may_stay(sim, get_all):
    sim.tune(lag_polls=1, lag_opens_session=False)
    jane = sim.add_account("acme", status="reconnection_required")

    session = sim.set_session("acme", jane.id, "success")

    assert (await get_all())["accounts"][0]["reconnectionSessionId"] == session.id


async def test_a_reconnection_may_move_the_time_of_connection(sim, get_all):
    sim.tune(reconnection_moves_connected_at=True)
    jane = sim.add_account("acme", status="reconnection_required")
    sim.advance(60)

    sim.set_session("acme", jane.id, "success")

    assert (await get_all())["accounts"][0]["connectedAt"] == "2026-11-23T08:01:00.000Z"


async def test_a_hidden_account_is_missing_for_that_many_polls(sim, get_all):
    jane = sim.add_account("acme")

    sim.hide("acme", jane.id, polls=2)

    assert [len((await get_all())["accounts"]) for _ in range(3)] == [0, 0, 1]


async def test_a_removed_account_may_return_under_a_new_id(sim, get_all):
    jane = sim.add_account("acme")
    sim.remove("acme", jane.id)
    between = (await get_all())["accounts"]

    sim.return_as_new("acme", jane.id)

    (account,) = (await get_all())["accounts"]
    assert between == []
    assert account["id"] != jane.id
    assert account["url"] == jane.url


async def test_a_connected_account_may_be_connected_again_from_scratch(sim, get_all):
    jane = sim.add_account("acme", name="Jane Doe")

    new = sim.return_as_new("acme", "Jane Doe")

    assert [account["id"] for account in (await get_all())["accounts"]] == [new.id]
    assert new.id != jane.id


async def test_the_fields_of_one_account_can_be_bent(sim, get_all):
    jane = sim.add_account("acme")
    sim.add_account("acme", name="John Doe")

    sim.patch("acme", jane.id, {"status": 7, "extra": [None]}, without=["name"])

    bent, straight = (await get_all())["accounts"]
    assert bent["status"] == 7
    assert bent["extra"] == [None]
    assert "name" not in bent
    assert straight["name"] == "John Doe"
    sim.clear_patch("acme", jane.id)
    assert (await get_all())["accounts"][0]["status"] == "active"


async def test_the_whole_result_can_be_anything(sim, get_all):
    for odd in (None, [], {}, {"accounts": None}, "x", {"accounts": [{"id": float("inf")}]}):
        sim.override("acme", odd)
        assert await get_all() == odd

    sim.clear_override("acme")

    assert await get_all() == {"accounts": [], "pendingConnectionSessions": []}


async def test_names_of_every_script_survive(sim, get_all):
    odd = 'Zoë 🦊 \u202eabc\u202c <b>*x*</b> \\ " \n\ud83d'
    sim.add_account("acme", name="x")
    sim.rename("acme", "x", odd.rstrip("\ud83d"))

    assert (await get_all())["accounts"][0]["name"] == odd.rstrip("\ud83d")


async def test_a_thousand_accounts_come_in_one_answer(sim, get_all):
    sim.add_accounts("acme", 1000)

    accounts = (await get_all())["accounts"]

    assert len({account["id"] for account in accounts}) == 1000
    assert len({account["url"] for account in accounts}) == 1000


async def test_customers_do_not_see_each_other(sim, get_all):
    sim.add_customer("other", "linked_other")
    sim.add_account("other")

    assert (await get_all())["accounts"] == []
