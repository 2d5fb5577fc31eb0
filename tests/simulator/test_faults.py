"""Which requests a fault matches, and what is answered instead."""

import httpx
import pytest
from harness.answers import redirect

from monitor.simulator import Simulator, serve


async def test_an_answer_of_ones_own_replaces_the_true_one(simulator, call):
    simulator.add_fault(
        status=503, body="<h1>no</h1>", headers={"Content-Type": "text/html"}, times=1
    )

    faulty = await call("accounts.getAll")
    sound = await call("accounts.getAll")

    assert (faulty.status_code, faulty.text) == (503, "<h1>no</h1>")
    assert faulty.headers["content-type"] == "text/html"
    assert sound.status_code == 200
    assert [request.fault for request in simulator.requests] == ["respond", None]


@pytest.mark.parametrize(
    ("fault", "status", "content"),
    [({"body": b"\xef\xbb\xbf{\xff"}, 200, b"\xef\xbb\xbf{\xff"), ({"status": 204}, 204, b"")],
)
async def test_any_bytes_or_none_can_be_the_body(simulator, call, fault, status, content):
    simulator.add_fault(**fault)

    response = await call("accounts.getAll")

    assert (response.status_code, response.content) == (status, content)
    assert response.headers["content-type"].startswith("application/json")


async def test_a_fault_can_skip_requests_and_end_by_itself(simulator, call):
    simulator.add_fault(status=500, skip=1, times=2)

    statuses = [(await call("accounts.getAll")).status_code for _ in range(5)]

    assert statuses == [200, 500, 500, 200, 200]


async def test_a_fault_can_be_for_one_method_and_one_customer(simulator, call):
    simulator.add_customer("other", "linked_other")
    simulator.add_fault(status=500, customer="other", method="accounts.getAll")
    headers = {"linked-api-token": "linked_other"}

    another_customer = await call("accounts.getAll")
    another_method = await call("accounts.createConnectionSession", **headers)
    matched = await call("accounts.getAll", **headers)

    assert another_customer.status_code == another_method.status_code == 200
    assert matched.status_code == 500


async def test_faults_are_lifted_by_method_or_all(simulator, call):
    simulator.add_fault(status=500, method="accounts.getAll")
    simulator.add_fault(status=502)
    first = await call("accounts.getAll")

    lifted = simulator.clear_faults(method="accounts.getAll")
    second = await call("accounts.getAll")
    simulator.clear_faults()
    third = await call("accounts.getAll")

    assert lifted == 1
    assert [response.status_code for response in (first, second, third)] == [500, 502, 200]


async def test_a_caller_can_be_redirected_and_a_leaked_token_shows(simulator, call):
    leak = Simulator()
    async with serve(leak) as elsewhere:
        simulator.faults.add(redirect(f"{elsewhere}/trap", status=307))

        response = await call("accounts.getAll")
        async with httpx.AsyncClient(follow_redirects=True) as careless:
            await careless.post(response.request.url, headers={"linked-api-token": "linked_acme"})

    assert response.status_code == 307
    assert response.headers["location"] == f"{elsewhere}/trap"
    assert [(request.method, request.token_sent) for request in leak.requests] == [("/trap", True)]


@pytest.mark.parametrize(
    "numbers",
    [{"times": 0}, {"piece": 0}, {"skip": -1}, {"delay": -1}, {"interval": -1}, {"status": 99}],
)
def test_a_fault_that_makes_no_sense_is_refused(numbers):
    with pytest.raises(ValueError, match=next(iter(numbers))):
        Simulator().add_fault(**numbers)
