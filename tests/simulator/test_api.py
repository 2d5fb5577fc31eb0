import pytest

OWN_TOKEN = {"linked-api-token": "linked_acme"}


async def test_the_token_has_to_be_there_and_right_before_anything_else_is_read(http):
    missing = await http.post("/admin/accounts.getAll", content=b"{")
    wrong = await http.post("/admin/accounts.getAll", headers={"linked-api-token": "linked_wrong"})

    assert (missing.status_code, wrong.status_code) == (401, 401)
    assert missing.json()["success"] is False
    assert missing.json()["error"]["type"] == "linkedApiTokenRequired"
    assert wrong.json()["error"]["type"] == "invalidLinkedApiToken"


async def test_a_rotated_token_is_wrong_from_then_on(simulator, call):
    simulator.set_token("acme", "linked_new")

    old = await call("accounts.getAll")
    new = await call("accounts.getAll", **{"linked-api-token": "linked_new"})

    assert (old.status_code, new.status_code) == (401, 200)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/admin/accounts.getAll"),
        ("POST", "/admin/accounts/getAll"),
        ("POST", "/admin/limits.set"),
        ("POST", "/admin/subscription.cancel"),
        ("POST", "/accounts.getAll"),
        ("POST", "/"),
    ],
)
async def test_an_unknown_path_is_answered_in_another_shape(http, verb, path):
    response = await http.request(verb, path, headers=OWN_TOKEN)

    assert response.status_code == 404
    assert response.json()["statusCode"] == 404
    assert "success" not in response.json()


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b' {"x":1} '])
async def test_a_call_without_parameters_may_carry_an_empty_body(http, body):
    response = await http.post("/admin/accounts.getAll", headers=OWN_TOKEN, content=body)

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("assumption", "body"), [("accept_null_body", b"null"), ("accept_object_body", b"{}")]
)
async def test_each_empty_body_may_be_refused(simulator, http, assumption, body):
    simulator.tune(**{assumption: False})

    response = await http.post("/admin/accounts.getAll", headers=OWN_TOKEN, content=body)

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalidRequestPayload"


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("method", ["getAll", "getConnectionSession"])
async def test_a_body_that_is_no_object_is_refused(http, method, body):
    response = await http.post(f"/admin/accounts.{method}", headers=OWN_TOKEN, content=body)

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalidRequestPayload"


async def test_the_content_type_may_be_insisted_on(simulator, call):
    simulator.tune(require_content_type=True)

    right = await call("accounts.getAll")
    wrong = await call("accounts.getAll", **{"content-type": "text/plain"})

    assert (right.status_code, wrong.status_code) == (200, 400)


async def test_an_empty_result_may_be_missing(simulator, signed_out, call):
    simulator.tune(void_result=False)
    session = simulator.set_session("acme", signed_out.id, "pending")

    response = await call("accounts.cancelConnectionSession", {"sessionId": session.id})

    assert response.json() == {"success": True}


async def test_customers_do_not_see_each_other(simulator, listed):
    simulator.add_customer("other", "linked_other")
    simulator.add_account("other")

    assert await listed() == []
