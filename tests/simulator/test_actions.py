"""Actions by their names, and what is refused."""

import pytest


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("explode", {}),
        ("_give_token", {"customer": "acme", "token": "linked_x"}),
        ("customer", {"name": "acme"}),
        ("now", {}),
        ("sign_out", {"customer": "nobody", "account": "x"}),
        ("sign_out", {"customer": "acme", "account": "nobody"}),
        ("sign_out", {"customer": "acme", "account": "namesake"}),
        ("set_session_status", {"session": "x", "status": "success"}),
        ("add_fault", {"customer": "nobody"}),
    ],
)
async def test_what_does_not_exist_is_not_found(simulator, http, action, parameters):
    simulator.add_account("acme", name="namesake")
    simulator.add_account("acme", name="namesake")

    response = await http.post(f"/control/{action}", json=parameters)

    assert response.status_code == 404
    expected = "2 accounts" if "namesake" in parameters.values() else ("there is no", "0 accounts")
    assert response.json()["error"].startswith(expected)


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
        ("tune", {"self": 1}),
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
async def test_what_does_not_fit_is_refused_and_changes_nothing(
    simulator, http, action, parameters
):
    simulator.add_account("acme", id="taken")
    simulator.add_account("acme")
    before = (await http.get("/control/state")).json()

    response = await http.post(f"/control/{action}", json=parameters)

    assert response.status_code == 400
    assert response.json()["error"]
    assert (await http.get("/control/state")).json() == before
