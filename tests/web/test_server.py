import asyncio
import errno
import os
import signal
import socket

import pytest

from monitor.core.errors import MonitorError
from monitor.web.server import bind, serve, url
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


@pytest.mark.parametrize("where", ["[::]:0", "[0:0::0]:0"])
def test_all_addresses_are_those_of_both_families(where):
    with listen(where) as sock:
        port = sock.getsockname()[1]
        if sock.family is not socket.AF_INET6:
            pytest.skip("no IPv6 here")

        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), timeout=5).close()
        with pytest.raises(MonitorError, match="another program"):
            listen(f"0.0.0.0:{port}")


@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
def test_where_the_kernel_has_no_ipv6_all_addresses_are_those_of_ipv4(monkeypatch, code):
    class OnlyIPv4(socket.socket):
        def bind(self, address):
            if self.family is socket.AF_INET6:
                raise OSError(code, "no IPv6")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", OnlyIPv4)

    with listen("[::]:0") as sock:
        assert url(sock) == f"http://0.0.0.0:{sock.getsockname()[1]}"
    with pytest.raises(MonitorError, match=r"\[::1\]:0 \(web.listen\)"):
        listen("[::1]:0")


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

    endpoint.answer = hang
    async with endpoint.served():
        await endpoint.connect("GET /slow HTTP/1.1", "Host: localhost", "")
        await endpoint.stall()
        await asked.wait()

        assert await stop(endpoint) < 2


async def test_a_response_in_flight_is_finished(endpoint):
    go_on, asked = asyncio.Event(), asyncio.Event()

    async def answer():
        asked.set()
        await go_on.wait()

    endpoint.answer = answer
    async with endpoint.served() as client:
        answered = asyncio.create_task(client.get("/slow"))
        await asked.wait()

        endpoint.stopping.set()
        go_on.set()

        assert (await answered).status_code == 200


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
