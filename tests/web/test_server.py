import asyncio
import os
import signal
from contextlib import suppress

import pytest

from monitor.core.errors import MonitorError
from monitor.web import app as web
from monitor.web import server
from monitor.web.server import bind, serve
from monitor.web.settings import WebSettings


def listen(where):
    return bind(WebSettings(listen=where))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_binds_where_the_settings_say(host):
    try:
        sock = listen(f"{host}:0")
    except MonitorError:
        assert host == "[::1]"
        pytest.skip("no IPv6 here")
    with sock:
        address, port = sock.getsockname()[:2]

    assert address in ({"127.0.0.1", "::1"} if host == "localhost" else {host.strip("[]")})
    assert port > 0


def test_a_taken_port_is_one_clear_line_and_free_again_after_a_stop():
    with listen("127.0.0.1:0") as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(MonitorError) as raised:
            listen(where)

    assert str(raised.value) == (
        f"cannot listen on {where} (web.listen): "
        "another program listens there; stop it or choose another port"
    )
    listen(where).close()


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("no-such-host.invalid:0", "there is no host"),
        ("a..b:0", "there is no host"),
        ("x" * 80 + ".invalid:0", "there is no host"),
        ("192.0.2.1:0", "this machine has no such address"),
        pytest.param(
            "127.0.0.1:1",
            "privileged",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root"),
        ),
    ],
)
def test_where_it_cannot_listen_is_one_clear_line(where, reason):
    with pytest.raises(MonitorError, match=reason):
        listen(where)


# ── the stop ─────────────────────────────────────────────────────────────────────────────────────


async def stop(endpoint):
    """Stop serving and return how long that took."""
    began = asyncio.get_running_loop().time()
    endpoint.stopping.set()
    await asyncio.wait_for(asyncio.shield(endpoint.serving), 10)
    return asyncio.get_running_loop().time() - began


async def test_ends_soon_with_idle_connections(endpoint):
    async with endpoint.served() as client:
        await client.get("/healthz")
        silent = await endpoint.connect()

        took = await stop(endpoint)

        assert took < 1
        assert await silent.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await endpoint.connect()


@pytest.mark.usefixtures("huge")
async def test_ends_soon_while_a_request_hangs_and_a_reader_stalls(endpoint):
    asked = asyncio.Event()

    async def hang():
        asked.set()
        await asyncio.Event().wait()

    endpoint.ready = hang
    async with endpoint.served():
        await endpoint.connect("GET /readyz HTTP/1.1", "Host: x", "")
        await endpoint.stall()
        await asked.wait()

        assert await stop(endpoint) < 2


async def test_a_response_in_flight_is_finished(endpoint):
    go_on, asked = asyncio.Event(), asyncio.Event()

    async def ready():
        asked.set()
        await go_on.wait()
        return []

    endpoint.ready = ready
    async with endpoint.served() as client:
        answer = asyncio.create_task(client.get("/readyz"))
        await asked.wait()

        endpoint.stopping.set()
        go_on.set()

        assert (await answer).status_code == 200


async def test_ends_when_it_is_cancelled(endpoint):
    sock = listen("127.0.0.1:0")
    where = f"127.0.0.1:{sock.getsockname()[1]}"
    serving = asyncio.create_task(serve(endpoint.app(), sock, stopping=asyncio.Event()))
    await asyncio.sleep(0)

    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    listen(where).close()


async def test_signals_are_left_alone(client):
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [*map(signal.getsignal, signals)]

    await client.get("/healthz")

    assert [*map(signal.getsignal, signals)] == before


# ── promise 9: bounded ───────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (["GET /healthz HTTP/1.1", "X: " + "x" * 100_000], 400),
        (["POST /healthz HTTP/1.1", "Host: x", "Content-Length: 9999999", "", "x" * 100_000], 405),
    ],
    ids=["huge headers", "a body"],
)
async def test_what_is_too_much_is_refused_and_not_waited_for(endpoint, sent, status):
    reader = await endpoint.connect(*sent)

    assert (await reader.readline()).startswith(f"HTTP/1.1 {status}".encode())


@pytest.mark.parametrize(
    "sent",
    [
        [],
        ["GET /healthz HTTP/1.1", "X-Slow: y"],
        ["POST /healthz HTTP/1.1", "Host: x", "Content-Length: 1000000", "", "no more comes"],
        ["GET /healthz HTTP/1.1", "Host: x", ""],
    ],
)
async def test_no_connection_waits_for_ever(endpoint, monkeypatch, sent):
    monkeypatch.setattr(server, "TRANSFER_TIMEOUT", 0.2)
    async with endpoint.served():
        reader = await endpoint.connect(*sent)

        async with asyncio.timeout(10):
            with suppress(ConnectionResetError):
                await reader.read()


@pytest.mark.usefixtures("huge")
async def test_a_stalled_reader_is_cut_off(endpoint, monkeypatch):
    monkeypatch.setattr(server, "TRANSFER_TIMEOUT", 1.0)
    monkeypatch.setattr(web, "MAX_SCRAPES", 1)
    async with endpoint.served() as client:
        await endpoint.stall()
        held = await client.get("/metrics")

        async with asyncio.timeout(10):
            while (await client.head("/metrics")).status_code != 200:
                pass

    assert held.status_code == 503


@pytest.mark.usefixtures("client")
async def test_requests_one_after_the_other_share_a_connection(endpoint):
    ask = ["GET /healthz HTTP/1.1", "Host: x", ""]

    reader = await endpoint.connect(*ask, *ask)

    for _ in range(2):
        assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")


async def test_too_many_connections_are_refused(endpoint, monkeypatch):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)
    async with endpoint.served() as client:
        for _ in range(3):
            await endpoint.connect("GET /he")

        response = await client.get("/healthz")

    assert response.status_code == 503
