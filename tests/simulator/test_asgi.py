"""How a broken answer goes out over a real connection."""

import asyncio
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from monitor.simulator.asgi import application


@pytest.fixture
def reconnect(signed_out, call):
    """Ask for a session, and how that takes effect."""

    async def create():
        await call("accounts.createReconnectionSession", {"accountId": signed_out.id})

    return create


async def test_a_reset_is_a_tcp_reset(simulator, http):
    simulator.add_account("acme")
    simulator.add_fault("reset")
    address = urlsplit(str(http.base_url))
    request = b"POST /admin/accounts.getAll HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"

    def exchange():
        with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
            connection.sendall(request)
            while connection.recv(4096):
                pass

    with pytest.raises(ConnectionResetError):
        await asyncio.to_thread(exchange)


async def test_a_truncated_answer_is_shorter_than_announced(simulator, signed_out, reconnect):
    simulator.add_fault("truncate")

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        await reconnect()

    assert simulator.requests[0].status is None
    assert signed_out.session is not None, "the call took effect"


async def test_silence_may_hide_that_the_call_took_effect(simulator, signed_out, http, reconnect):
    simulator.add_fault("hang", execute=True)
    http.timeout = httpx.Timeout(5, read=0.05)

    with pytest.raises(httpx.ReadTimeout):
        await reconnect()

    assert signed_out.session is not None
    assert simulator.requests[0].fault == "hang"


async def test_a_slow_answer_comes_in_pieces(simulator, call):
    simulator.add_fault("drip", body="0123456789", piece=4, interval=0.03)

    started = time.monotonic()
    response = await call("accounts.getAll")
    elapsed = time.monotonic() - started

    assert response.text == "0123456789"
    assert elapsed > 0.05  # two pauses between three pieces
    assert simulator.requests[0].status == 200


async def test_a_slow_answer_ends_when_the_caller_gives_up(simulator, http):
    simulator.add_fault("drip", body="0123456789", piece=1, interval=60)

    async with http.stream("POST", "/admin/accounts.getAll") as response:
        piece = await anext(response.aiter_raw())

    assert piece == b"0"
    assert simulator.requests[0].status is None


async def test_a_late_answer_is_true(simulator, http, call):
    simulator.add_fault("delay", delay=0.05, times=1)
    simulator.add_fault("delay", delay=60)
    late = await call("accounts.getAll")
    http.timeout = httpx.Timeout(5, read=0.05)

    with pytest.raises(httpx.ReadTimeout):
        await call("accounts.getAll")

    assert late.json()["success"] is True


async def test_breaking_a_connection_needs_a_real_one(simulator):
    simulator.add_fault("reset")
    transport = httpx.ASGITransport(application(simulator))

    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
        with pytest.raises(ConnectionResetError, match="serve"):
            await client.post("/admin/accounts.getAll")
