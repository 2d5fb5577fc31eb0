async def test_it_has_who_called_what_without_the_token(simulator, call, http):
    await call("accounts.getConnectionSession", {"sessionId": "secret", "b": 1}, client="tests")
    await http.post("/elsewhere")

    first, second = simulator.requests

    assert (first.n, first.verb, first.method) == (1, "POST", "accounts.getConnectionSession")
    assert (first.customer, first.client, first.status) == ("acme", "tests", 404)
    assert first.body_keys == ("b", "sessionId")
    assert (second.method, second.customer, second.token_sent) == ("/elsewhere", None, False)
    assert "linked_acme" not in repr(simulator.requests)
    assert "secret" not in repr(simulator.requests)


async def test_it_can_be_read_from_a_number_and_cleared(call, http):
    for _ in range(3):
        await call("accounts.getAll", client="tests")

    later = (await http.get("/control/requests?since=2")).json()["result"]
    wrong = await http.get("/control/requests?since=x")
    cleared = (await http.delete("/control/requests")).json()["result"]
    await call("accounts.getAll")
    (next_request,) = (await http.get("/control/requests")).json()["result"]["requests"]

    assert later["counts"] == {"accounts.getAll": 3}
    assert [request["n"] for request in later["requests"]] == [3]
    assert later["requests"][0]["at"] == "2026-11-23T08:00:00.000Z"
    assert later["requests"][0]["client"] == "tests"
    assert wrong.status_code == 400
    assert cleared == {"requests": [], "counts": {}}
    assert next_request["n"] == 4
