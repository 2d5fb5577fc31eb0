import asyncio
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from monitor.simulator import Simulator, api_error, html_page, redirect, serve
from monitor.simulator.asgi import application


async def test_an_answer_of_ones_own_replaces_the_true_one(sim, call):
    sim.add_fault(status=503, body="<h1>no</h1>", headers={"Content-Type": "text/html"}, times=1)

    faulty = await call("accounts.getAll")
    sound = await call("accounts.getAll")

    assert (faulty.status_code, faulty.text) == (503, "<h1>no</h1>")
    assert faulty.headers["content-type"] == "text/html"
    assert sound.status_code == 200
    assert [entry.fault for entry in sim.requests] == ["respond", None]


async def test_any_bytes_can_be_the_body(sim, call):
    sim.add_fault(body=b"\xef\xbb\xbf{\xff")

    response = await call("accounts.getAll")

    assert response.status_code == 200
    assert response.content == b"\xef\xbb\xbf{\xff"
    assert response.headers["content-type"].startswith("application/json")


async def test_an_answer_without_a_body_is_empty(sim, call):
    sim.add_fault(status=204)

    response = await call("accounts.getAll")

    assert (response.status_code, response.content) == (204, b"")


async def test_a_fault_can_wait_for_its_request_and_end_by_itself(sim, call):
    sim.add_fault(status=500, skip=1, times=2)

    statuses = [(await call("accounts.getAll")).status_code for _ in range(5)]

    assert statuses == [200, 500, 500, 200, 200]


async def test_a_fault_can_be_for_one_method_and_one_customer(sim, call):
    sim.add_customer("other", "linked_other")
    sim.add_fault(status=500, customer="other", method="accounts.getAll")
    other = {"linked-api-token": "linked_other"}

    spared = await call("accounts.getAll")
    also_spared = await call("accounts.createConnectionSession", **other)
    met = await call("accounts.getAll", **other)

    assert (spared.status_code, also_spared.status_code, met.status_code) == (200, 200, 500)


async def test_faults_are_lifted_by_method_or_all(sim, call):
    sim.add_fault(status=500, method="accounts.getAll")
    sim.add_fault(status=502)
    first = await call("accounts.getAll")

    lifted = sim.clear_faults(method="accounts.getAll")
    second = await call("accounts.getAll")
    sim.clear_faults()
    third = await call("accounts.getAll")

    assert lifted == 1
    assert [each.status_code for each in (first, second, third)] == [500, 502, 200]


async def test_a_page_for_people_can_be_answered(sim, call):
    sim.faults.add(html_page(times=1))

    response = await call("accounts.getAll")

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "We will be back soon" in response.text


async def test_an_error_of_the_api_can_be_answered(sim, call):
    sim.faults.add(api_error("trialLimitReached", status=403))

    response = await call("accounts.getAll")

    assert response.status_code == 403
    assert response.json()["error"]["type"] == "trialLimitReached"


async def test_a_caller_can_be_sent_elsewhere_and_a_leaked_token_shows(sim, call):
    other = Simulator()
    async with serve(other) as elsewhere:
        sim.faults.add(redirect(f"{elsewhere}/trap", status=307))

        response = await call("accounts.getAll")
        async with httpx.AsyncClient(follow_redirects=True) as careless:
            await careless.post(response.request.url, headers={"linked-api-token": "linked_acme"})

    assert response.status_code == 307
    assert response.headers["location"] == f"{elsewhere}/trap"
    assert [(entry.method, entry.token_sent) for entry in other.requests] == [("/trap", True)]


async def test_a_reset_is_a_tcp_reset(sim, http):
    sim.add_account("acme")
    sim.add_fault("reset")
    address = urlsplit(str(http.base_url))
    request = b"POST /admin/accounts.getAll HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"

    def ask() -> None:
        with socket.create_connection((address.hostname, address.port), timeout=5) as caller:
            caller.sendall(request)
            while caller.recv(4096):
                pass

    with pytest.raises(ConnectionResetError):
        await asyncio.to_thread(ask)


async def test_a_client_sees_a_reset_as_a_read_error(sim, call):
    sim.add_fault("reset", times=1)

    with pytest.raises(httpx.ReadError):
        await call("accounts.getAll")

    assert (await call("accounts.getAll")).status_code == 200


async def test_a_truncated_answer_announces_more_than_it_brings(sim, call):
    sim.add_account("acme")
    sim.add_fault("truncate")

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        await call("accounts.getAll")

    assert sim.requests[0].status is None


async def test_a_broken_answer_does_not_undo_the_call(sim, call):
    jane = sim.add_account("acme", status="reconnection_required")
    sim.add_fault("truncate")

    with pytest.raises(httpx.RemoteProtocolError):
        await call("accounts.createReconnectionSession", {"accountId": jane.id})

    assert jane.session_id is not None


async def test_silence_may_hide_that_the_call_took_effect(sim, http, call):
    jane = sim.add_account("acme", status="reconnection_required")
    sim.add_fault("hang", execute=True)
    http.timeout = httpx.Timeout(5, read=0.05)

    with pytest.raises(httpx.ReadTimeout):
        await call("accounts.createReconnectionSession", {"accountId": jane.id})

    assert jane.session_id is not None
    assert sim.requests[0].fault == "hang"


async def test_a_slow_answer_comes_in_pieces(sim, call):
    sim.add_fault("drip", body="0123456789", piece=4, interval=0.03)

    started = time.monotonic()
    response = await call("accounts.getAll")
    passed = time.monotonic() - started

    assert response.text == "0123456789"
    assert passed > 0.05  # two pauses between three pieces
    assert sim.requests[0].status == 200


async def test_a_slow_answer_ends_when_the_caller_gives_up(sim, http):
    sim.add_fault("drip", body="0123456789", piece=1, interval=60)

    async with http.stream("POST", "/admin/accounts.getAll") as response:
        piece = await anext(response.aiter_raw())

    assert piece == b"0"
    assert sim.requests[0].status is None


async def test_a_late_answer_is_true(sim, http, call):
    sim.add_fault("delay", delay=0.05, times=1)
    sim.add_fault("delay", delay=60)
    late = await call("accounts.getAll")
    http.timeout = httpx.Timeout(5, read=0.05)

    with pytest.raises(httpx.ReadTimeout):
        await call("accounts.getAll")

    assert late.json()["success"] is True


@pytest.mark.parametrize(
    "numbers",
    [{"times": 0}, {"piece": 0}, {"skip": -1}, {"delay": -1}, {"interval": -1}, {"status": 99}],
)
def test_a_fault_that_makes_no_sense_is_refused(numbers):
    with pytest.raises(ValueError, match=next(iter(numbers))):
        Simulator().add_fault(**numbers)


async def test_breaking_a_connection_needs_a_real_one(sim):
    sim.add_fault("reset")
    transport = httpx.ASGITransport(application(sim))

    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
        with pytest.raises(ConnectionResetError, match="serve"):
            await client.post("/admin/accounts.getAll")
