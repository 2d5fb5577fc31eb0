import pytest

from monitor.simulator import Simulator
from monitor.simulator.actions import ACTIONS


@pytest.fixture
def act(http):
    """Carry out an action over HTTP and return its result."""

    async def post(action, **parameters):
        response = await http.post(f"/control/{action}", json=parameters)
        assert response.status_code == 200, response.text
        return response.json()["result"]

    return post


async def test_a_world_can_be_built_over_http(act, http):
    await act("add_customer", name="beta", token="linked_beta", seats=3)
    jane = await act("add_account", customer="beta", name="Jane Doe", country="DE")
    await act("add-accounts", customer="beta", count=2, status="frozen")
    await act("sign-out", customer="beta", account=jane["id"])

    response = await http.post(
        "/admin/accounts.getAll", headers={"linked-api-token": "linked_beta"}
    )

    accounts = response.json()["result"]["accounts"]
    assert [each["status"] for each in accounts] == ["reconnection_required", "frozen", "frozen"]
    assert accounts[0]["countryCode"] == "DE"


async def test_the_state_tells_all_but_tokens(act, http, sim):
    jane = sim.add_account("acme", name="Jane", status="reconnection_required")
    await act("rotate_link", customer="acme", account="Jane")
    await act("patch", customer="acme", account="Jane", fields={"odd": 1}, without=["name"])
    await act("add_fault", kind="hang", customer="acme", times=3, headers={"a": "b"}, body="x")

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


async def test_every_change_has_an_action(act, sim):
    sim.add_account("acme", name="Jane", status="reconnection_required")

    session = await act("set_session", customer="acme", account="Jane", status="serving")
    await act("set_session_status", session=session["id"], status="streaming")
    await act("set_proxy_change", session=session["id"], applying=True)
    await act("expire_session", customer="acme", account="Jane")
    await act("recover", customer="acme", account="*")
    await act("freeze", customer="acme", account="Jane")
    await act("rename", customer="acme", account="Jane", name="Joan")
    await act("hide", customer="acme", account="Joan")
    await act("set_reconnectable", customer="acme", account="Joan", possible=False)
    await act("override", customer="acme", result=None)
    await act("clear_override", customer="acme")
    await act("clear_patch", customer="acme", account="Joan")
    await act("remove", customer="acme", account="Joan")
    await act("set_seats", customer="acme", quantity=7, seat_type="plus", billing_period="year")
    paid = await act("set_subscription", customer="acme", status=None, eligible_for_trial=True)
    await act("set_token", customer="acme", token="linked_next")
    knobs = await act("tune", rate_limit=5, pending_ttl=60)
    await act("advance", seconds=1.5)
    await act("add_fault", status=500)
    lifted = await act("clear_faults")
    await act("remove_customer", customer="acme")

    assert paid == {
        "status": None,
        "eligible_for_trial": True,
        "cancel_at_period_end": False,
        "seats": {"core month": 1000, "plus year": 7},
    }
    assert knobs["rate_limit"] == 5
    assert lifted == 1
    assert sim.offset == 1_500_000
    assert sim.customers == {}


def test_every_action_is_a_method_of_the_simulator():
    assert all(callable(getattr(Simulator, action)) for action in ACTIONS)


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("explode", {}),
        ("perform", {"action": "advance", "parameters": {}}),
        ("sign_out", {"customer": "nobody", "account": "x"}),
        ("sign_out", {"customer": "acme", "account": "nobody"}),
        ("set_session_status", {"session": "x", "status": "success"}),
        ("add_fault", {"customer": "nobody"}),
    ],
)
async def test_what_does_not_exist_is_not_found(http, action, parameters):
    response = await http.post(f"/control/{action}", json=parameters)

    assert response.status_code == 404
    assert "there is no" in response.json()["error"] or "0 accounts" in response.json()["error"]


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("sign_out", {"customer": "acme"}),
        ("sign_out", {"customer": "acme", "account": 7}),
        ("sign_out", {"customer": "acme", "account": "x", "more": 1}),
        ("add_customer", {"name": "acme", "token": "linked_x"}),
        ("add_customer", {"name": "x", "token": "linked_acme"}),
        ("add_customer", {"name": "x", "token": " "}),
        ("add_customer", {"name": "x", "token": "y", "seats": True}),
        ("add_customer", {"name": "x", "token": "y", "seats": -1}),
        ("set_seats", {"customer": "acme", "quantity": -1}),
        ("set_seats", {"customer": "acme", "quantity": 1, "seat_type": "sofa"}),
        ("set_subscription", {"customer": "acme", "status": "paid"}),
        ("add_account", {"customer": "acme", "status": "suspended"}),
        ("add_account", {"customer": "acme", "id": "taken"}),
        ("rename", {"customer": "acme", "account": "*", "name": "x"}),
        ("rotate_link", {"customer": "acme", "account": "taken"}),
        ("set_session", {"customer": "acme", "account": "taken", "status": "asleep"}),
        ("patch", {"customer": "acme", "account": "*", "without": [1]}),
        ("patch", {"customer": "acme", "account": "*", "fields": []}),
        ("tune", {"nonsense": 1}),
        ("tune", {"rate_limit": -1}),
        ("tune", {"rate_limit": "many"}),
        ("tune", {"rate_counting": "wild"}),
        ("tune", {"retry_after": 1}),
        ("advance", {"seconds": "soon"}),
        ("advance", {"seconds": 1e300}),
        ("add_fault", {"kind": "surprise"}),
        ("add_fault", {"status": 1}),
        ("add_fault", {"body": 7}),
        ("add_fault", {"headers": {"x-a": 1}}),
    ],
)
async def test_what_does_not_fit_is_refused_and_changes_nothing(sim, http, action, parameters):
    sim.add_account("acme", id="taken")
    sim.add_account("acme")
    before = (await http.get("/control/state")).json()

    response = await http.post(f"/control/{action}", json=parameters)

    assert response.status_code == 400
    assert response.json()["error"]
    assert (await http.get("/control/state")).json() == before


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(http, body):
    response = await http.post("/control/advance", content=body)

    assert response.status_code == 400


async def test_a_name_that_two_accounts_have_is_not_enough(sim, http):
    sim.add_account("acme", name="Jane")
    sim.add_account("acme", name="Jane")

    response = await http.post("/control/freeze", json={"customer": "acme", "account": "Jane"})

    assert response.status_code == 404
    assert response.json()["error"].startswith("2 accounts")


async def test_the_journal_can_be_read_from_a_number_and_cleared(call, http):
    for _ in range(3):
        await call("accounts.getAll", client="tests")

    later = (await http.get("/control/requests?since=2")).json()["result"]
    wrong = await http.get("/control/requests?since=x")
    cleared = (await http.delete("/control/requests")).json()["result"]

    assert later["counts"] == {"accounts.getAll": 3}
    assert [entry["n"] for entry in later["requests"]] == [3]
    assert later["requests"][0]["at"] == "2026-11-23T08:00:00.000Z"
    assert later["requests"][0]["client"] == "tests"
    assert wrong.status_code == 400
    assert cleared == {"requests": [], "counts": {}}


async def test_odd_numbers_can_be_patched_in_and_read_back(http, sim):
    sim.add_account("acme", name="Jane")

    body = '{"customer":"acme","account":"Jane","fields":{"n":NaN}}'
    response = await http.post("/control/patch", content=body)

    assert response.status_code == 200
    assert '"n":NaN' in (await http.get("/control/state")).text


@pytest.mark.parametrize("path", ["/control/a/b", "/control/requests/x"])
async def test_there_is_nothing_else(http, path):
    response = await http.post(path)

    assert response.status_code == 404
    assert "there is nothing" in response.json()["error"]
