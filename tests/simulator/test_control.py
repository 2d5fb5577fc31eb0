import pytest


@pytest.fixture
def control(http):
    """Carry out an action over HTTP and return its result."""

    async def post(action, **parameters):
        response = await http.post(f"/control/{action}", json=parameters)
        assert response.status_code == 200, response.text
        return response.json()["result"]

    return post


async def test_the_state_has_all_but_tokens(control, http, simulator):
    jane = simulator.add_account("acme", name="Jane", status="reconnection_required")
    await control("rotate_link", customer="acme", account="Jane")
    await control("patch", customer="acme", account="Jane", fields={"odd": 1}, without=["name"])
    await control("add_fault", kind="hang", customer="acme", times=3, headers={"a": "b"}, body="x")

    response = await http.get("/control/state")

    state = response.json()["result"]
    (customer,) = state["customers"]
    (account,) = customer["accounts"]
    assert state["now"] == "2026-11-23T08:00:00.000Z"
    assert state["knobs"]["rate_limit"] == 100
    assert account["patch"] == {"odd": 1}
    assert customer["sessions"][0]["id"] == account["session_id"]
    assert state["faults"][0]["headers"] == {"a": "b"}
    assert "linked_acme" not in response.text
    assert jane.identification_token not in response.text


async def test_actions_take_values_of_every_kind_and_describe_what_they_changed(control, simulator):
    simulator.add_account("acme", name="Jane", status="reconnection_required")

    session = await control("set_session", customer="acme", account="Jane", status="serving")
    await control("set_session_status", session=session["id"], status="streaming")
    await control("set-proxy-change", session=session["id"], applying=True)
    await control("hide", customer="acme", account="Jane", polls=2)
    await control("set_reconnectable", customer="acme", account="*", possible=False)
    await control("override", customer="acme", result=None)
    await control("set_seats", customer="acme", quantity=7, seat_type="plus", billing_period="year")
    subscription = await control(
        "set_subscription", customer="acme", status=None, eligible_for_trial=True
    )
    assumptions = await control("tune", rate_limit=5, pending_ttl=60)
    await control("advance", seconds=1.5)
    await control("add_fault", status=500)
    lifted = await control("clear_faults")
    await control("remove_customer", customer="acme")

    assert subscription == {
        "status": None,
        "eligible_for_trial": True,
        "cancel_at_period_end": False,
        "seats": {"core month": 1000, "plus year": 7},
    }
    assert assumptions["rate_limit"] == 5
    assert lifted == 1
    assert simulator.offset == 1_500_000
    assert simulator.customers == {}


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(http, body):
    response = await http.post("/control/advance", content=body)

    assert response.status_code == 400


async def test_odd_numbers_can_be_patched_in_and_read_back(http, simulator):
    simulator.add_account("acme", name="Jane")

    body = '{"customer":"acme","account":"Jane","fields":{"n":NaN}}'
    response = await http.post("/control/patch", content=body)

    assert response.status_code == 200
    assert '"n":NaN' in (await http.get("/control/state")).text


@pytest.mark.parametrize("path", ["/control/a/b", "/control/requests/x"])
async def test_there_is_nothing_else(http, path):
    response = await http.post(path)

    assert response.status_code == 404
    assert "there is nothing" in response.json()["error"]
