import asyncio

import pytest


async def test_the_token_has_to_be_there(http):
    response = await http.post("/admin/accounts.getAll")

    assert response.status_code == 401
    assert response.json()["success"] is False
    assert response.json()["error"]["type"] == "linkedApiTokenRequired"


async def test_the_token_has_to_be_right(http):
    wrong = {"linked-api-token": "linked_wrong"}

    response = await http.post("/admin/accounts.getAll", headers=wrong)

    assert response.status_code == 401
    assert response.json()["error"]["type"] == "invalidLinkedApiToken"


async def test_the_token_is_checked_before_the_body(http):
    response = await http.post("/admin/accounts.getAll", content=b"{")

    assert response.json()["error"]["type"] == "linkedApiTokenRequired"


async def test_a_rotated_token_is_wrong_from_then_on(sim, call):
    sim.set_token("acme", "linked_new")

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
    response = await http.request(verb, path, headers={"linked-api-token": "linked_acme"})

    assert response.status_code == 404
    assert response.json()["statusCode"] == 404
    assert "success" not in response.json()


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b' {"x":1} '])
async def test_a_call_without_parameters_may_carry_an_empty_body(http, body):
    own = {"linked-api-token": "linked_acme"}

    response = await http.post("/admin/accounts.getAll", headers=own, content=body)

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("knob", "body"),
    [
        ("accept_null_body", b"null"),
        ("accept_object_body", b"{}"),
    ],
)
async def test_each_empty_body_may_be_refused(sim, http, knob, body):
    sim.tune(**{knob: False})
    own = {"linked-api-token": "linked_acme"}

    response = await http.post("/admin/accounts.getAll", headers=own, content=body)

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalidRequestPayload"


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("method", ["getAll", "getConnectionSession"])
async def test_a_body_that_is_no_object_is_refused(http, method, body):
    own = {"linked-api-token": "linked_acme"}

    response = await http.post(f"/admin/accounts.{method}", headers=own, content=body)

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalidRequestPayload"


async def test_the_content_type_may_be_insisted_on(sim, call):
    sim.tune(require_content_type=True)

    right = await call("accounts.getAll")
    wrong = await call("accounts.getAll", **{"content-type": "text/plain"})

    assert (right.status_code, wrong.status_code) == (200, 400)


async def test_the_hundred_and_first_call_of_a_minute_is_refused(call):
    for _ in range(100):
        assert (await call("accounts.getAll")).status_code == 200

    response = await call("accounts.getAll")

    assert response.status_code == 429
    assert response.json()["error"]["type"] == "tooManyRequests"
    assert "retry-after" not in response.headers


async def test_the_window_slides(sim, call):
    sim.tune(rate_limit=2)
    await call("accounts.getAll")
    sim.advance(40)
    await call("accounts.getAll")
    sim.advance(20)

    third = await call("accounts.getAll")
    fourth = await call("accounts.getAll")

    assert (third.status_code, fourth.status_code) == (200, 429)


async def test_a_fixed_window_starts_anew(sim, call):
    sim.tune(rate_limit=2, rate_counting="fixed", retry_after=True)
    sim.advance(50)
    statuses = [(await call("accounts.getAll")).status_code for _ in range(2)]

    refused = await call("accounts.getAll")
    sim.advance(10)
    statuses += [(await call("accounts.getAll")).status_code for _ in range(2)]

    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "10"
    assert statuses == [200, 200, 200, 200]


async def test_a_refusal_may_say_how_long_to_wait(sim, call):
    sim.tune(rate_limit=1, retry_after=True)
    await call("accounts.getAll")
    sim.advance(15)

    response = await call("accounts.getAll")

    assert response.headers["retry-after"] == "45"


async def test_refused_calls_may_count(sim, call):
    sim.tune(rate_limit=1, rate_counts_rejected=True, retry_after=True)
    await call("accounts.getAll")
    sim.advance(40)
    await call("accounts.getAll")
    sim.advance(40)

    response = await call("accounts.getAll")

    assert response.status_code == 429
    assert response.headers["retry-after"] == "60"


async def test_a_limit_of_none_refuses_everything(sim, call):
    sim.tune(rate_limit=0, retry_after=True)

    response = await call("accounts.getAll")

    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1


async def test_the_limit_is_each_tokens_own_unless_shared(sim, call):
    sim.tune(rate_limit=1)
    sim.add_customer("other", "linked_other")
    other = {"linked-api-token": "linked_other"}
    await call("accounts.getAll")

    alone = await call("accounts.getAll", **other)
    sim.tune(rate_scope="all", rate_limit=1)
    sim.advance(60)
    await call("accounts.getAll")
    shared = await call("accounts.getAll", **other)

    assert (alone.status_code, shared.status_code) == (200, 429)


async def test_the_journal_tells_who_called_what_without_the_token(sim, call, http):
    await call("accounts.getConnectionSession", {"sessionId": "secret", "b": 1}, client="tests")
    await http.post("/elsewhere")

    first, second = sim.requests

    assert (first.n, first.verb, first.method) == (1, "POST", "accounts.getConnectionSession")
    assert (first.customer, first.client, first.status) == ("acme", "tests", 404)
    assert first.body_keys == ("b", "sessionId")
    assert (second.method, second.customer, second.token_sent) == ("/elsewhere", None, False)
    assert "linked_acme" not in repr(sim.requests)
    assert "secret" not in repr(sim.requests)


async def test_calls_at_the_same_time_are_all_answered(call):
    responses = await asyncio.gather(*(call("accounts.getAll") for _ in range(50)))

    assert {response.status_code for response in responses} == {200}
