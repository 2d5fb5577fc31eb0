"""Connections, bodies and time: whatever happens to them ends as a bounded, clean failure."""

import asyncio
import gzip
import zlib

import pytest
from harness.client import client_harness, poll_once
from harness.payloads import account, body
from harness.raw_server import TLS, RawServer, close, drip, flood, http, silence, then

from monitor.core.errors import ApiError, MonitorError
from monitor.core.model import Cause, Snapshot
from monitor.core.secret import Secret
from monitor.net.proxy import Proxies, from_environment
from monitor.source.settings import LinkedApiSettings
from monitor.source.transport import open_http

BODY = body(account(0))
GOOD = http(200, BODY)
HALF = then(http(200, BODY, length=9999), silence)
GZIP = {"content-encoding": "gzip"}
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.odd_input("odd body")
@pytest.mark.parametrize(
    "reply",
    [
        http(200, b"\xef\xbb\xbf" + BODY),
        http(200, BODY, {"content-type": "text/html; charset=utf-8"}),
        http(201, BODY, {"content-type": "application/json; charset=utf-16"}),
        http(200, BODY, {"content-encoding": "identity"}),
        http(200, gzip.compress(BODY), GZIP),
        http(200, zlib.compress(BODY), {"content-encoding": "deflate"}),
        http(200, gzip.compress(BODY[:99]) + gzip.compress(BODY[99:]), GZIP),
        http(200, gzip.compress(zlib.compress(BODY)), {"content-encoding": "Deflate, gzip"}),
        CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n",
        CHUNKED + b"%X;a=b\r\n%b\r\n0\r\nx: %b\r\n\r\n" % (len(BODY), BODY, b"y" * 9000),
        http(200, BODY, {"x": "y" * 60_000}),
        http(200, BODY, {f"x-{number}": "y" for number in range(2000)}),
        http(200, BODY, {"content-Length": len(BODY)}),
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + GOOD,
        b"HTTP/1.1 200 Tr\xe8s bien\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY,
        then(b"HTTP/1.0 200 OK\r\n\r\n" + BODY, close),
        GOOD + b"HTTP/1.1 408 Request Timeout\r\n\r\n",
    ],
)
async def test_an_oddly_wrapped_response_is_read_all_the_same(reply):
    snapshot, _ = await poll_once(reply)

    assert [account.name for account in snapshot.accounts] == ["Person Number 0"]


async def test_a_body_may_be_as_long_as_the_limit_allows():
    snapshot, _ = await poll_once(http(200, BODY + b" " * (10 * 2**20 - len(BODY))))

    assert isinstance(snapshot, Snapshot)


@pytest.mark.odd_input("odd body")
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (http(200, BODY, {"x": "y" * 70_000}), "with a head of more than 64 KiB"),
        (http(200, BODY, {"Content-length": "7"}), "with two lengths"),
        (http(200, BODY, length="+7"), "with a length that is no number"),
        (http(200, BODY, {"x": "\0"}), "with NUL bytes in its head"),
        (http(2000, BODY), "with a status that is none"),
        (b"HTTP/1.1 200 OK\r\nfatal error\r\n\r\n", "with a line in its head that is no header"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "in a protocol that was not asked for"),
        (b"ICY 200 OK\r\n\r\n", "with something that is not HTTP"),
        (b"\x15\x03\x01\0\x02\x02\x50", "with TLS; its address has to begin with https://"),
        (http(200, BODY, {"content-encoding": "br"}), "that was not asked for (br)"),
        (http(200, gzip.compress(BODY)), "with something compressed that is not said to be"),
        (CHUNKED + b"junk\r\n", "with chunks that are damaged"),
    ],
)
async def test_what_is_odd_about_any_other_response_is_said(reply, words):
    failure, _ = await poll_once(reply)

    assert failure.cause is Cause.BAD_RESPONSE
    assert words in failure.detail


@pytest.mark.parametrize(
    "reply",
    [
        http(200, b" " * (10 * 2**20 + 1)),
        http(200, gzip.compress(b" " * 60_000_000), GZIP),
        then(b"HTTP/1.1 200 OK\r\n\r\n", flood),
    ],
)
async def test_a_body_beyond_the_limit_is_not_read_to_its_end(reply):
    failure, _ = await poll_once(reply, timeout="60s")

    assert failure.cause is Cause.BAD_RESPONSE
    assert failure.detail == "Linked API answered with more than 10 MiB"


@pytest.mark.odd_input("redirect")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["/elsewhere", "{server}/admin", ""])
async def test_a_redirect_is_not_followed_and_the_token_goes_nowhere(status, target):
    async with RawServer(GOOD) as elsewhere:
        location = target.format(server=elsewhere.url)
        failure, harness = await poll_once(http(status, b"", {"location": location}))

    assert len(harness.server.requests) == 1
    assert elsewhere.connections == 0
    assert failure.cause is Cause.BAD_RESPONSE
    assert failure.detail == (
        f"Linked API answered HTTP {status}, a redirect; redirects are not followed"
    )


# ── time ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.odd_input("no connection, bad certificate or no answer")
@pytest.mark.parametrize(
    "reply",
    [
        silence,
        then(b"HTTP/1.1 200 OK\r\n", silence),
        HALF,
        then(b"HTTP/1.1 200 OK\r\n\r\n", drip(b" ")),
        then(b"HTTP/1.1 200 OK\r\n", drip(b"x: y\r\n")),
    ],
)
async def test_silence_and_slow_drips_end_with_the_timeout(reply):
    async with client_harness(reply, timeout="200ms") as harness, asyncio.timeout(5):
        failure = await harness.api.get_all()
        with pytest.raises(ApiError) as caught:
            await harness.api.create_reconnection_session("a1")

    assert failure.cause is Cause.UNREACHABLE
    assert failure.detail == "Linked API did not answer within 200ms"
    assert harness.outcomes == ["timeout", "timeout"]
    assert caught.value.ambiguous


@pytest.mark.parametrize("replies", [(HALF, GOOD), (GOOD, silence, GOOD)])
async def test_a_poll_after_a_timeout_uses_a_fresh_connection(replies):
    async with client_harness(*replies, timeout="1s") as harness, asyncio.timeout(5):
        observations = [await harness.api.get_all() for _ in replies]

    assert harness.server.connections == 2
    assert isinstance(observations[-1], Snapshot)
    assert observations[-2].cause is Cause.UNREACHABLE


async def test_one_that_hangs_does_not_delay_another_on_the_same_client():
    async with client_harness(silence, GOOD) as harness:
        hanging = asyncio.create_task(harness.api.get_all())
        await harness.server.requested.wait()

        assert isinstance(await harness.api.get_all(), Snapshot)

        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging


@pytest.mark.parametrize("reply", [silence, HALF])
async def test_cancellation_is_prompt_and_passes_through(reply):
    async with client_harness(reply) as harness:
        poll = asyncio.create_task(harness.api.get_all())
        await harness.server.requested.wait()

        poll.cancel()
        async with asyncio.timeout(2):
            with pytest.raises(asyncio.CancelledError):
                await poll
    assert harness.observed == []


# ── connections ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.odd_input("no connection, bad certificate or no answer")
async def test_a_refused_connection_is_unreachable_and_nothing_was_sent():
    async with client_harness(silence) as harness:
        harness.server._server.close()
        failure = await harness.api.get_all()
        with pytest.raises(ApiError) as caught:
            await harness.api.create_reconnection_session("a1")

    assert failure.cause is Cause.UNREACHABLE
    assert failure.detail == (
        "Linked API could not be reached: "
        "the connection was refused; nothing may listen on this port"
    )
    assert harness.outcomes == ["network", "network"]
    assert not caught.value.ambiguous


async def test_a_closed_client_is_a_failure_too():
    async with client_harness(GOOD) as harness:
        await harness.http.aclose()
        failure = await harness.api.get_all()

    assert failure.detail == "Linked API could not be reached: RuntimeError"


@pytest.mark.odd_input("no connection, bad certificate or no answer")
@pytest.mark.parametrize(
    ("certificate", "ca_file", "words"),
    [
        ("localhost.pem", None, "its certificate is signed by an authority that is unknown here"),
        ("expired.pem", TLS / "expired.pem", "its certificate has expired"),
        ("elsewhere.pem", TLS / "elsewhere.pem", "its certificate is for another name"),
    ],
)
async def test_a_certificate_that_is_not_right_is_not_accepted(certificate, ca_file, words):
    failure, harness = await poll_once(GOOD, certificate=certificate, ca_file=ca_file)

    assert harness.server.requests == []
    assert failure.cause is Cause.UNREACHABLE
    assert words in failure.detail


async def test_a_private_authority_can_be_trusted():
    ca_file = TLS / "localhost.pem"
    snapshot, _ = await poll_once(GOOD, certificate="localhost.pem", ca_file=ca_file)

    assert isinstance(snapshot, Snapshot)


async def test_tls_to_a_port_that_speaks_none_is_unreachable():
    async def greet(_, writer):
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, client_harness(silence, base_url=url) as harness:
        with pytest.raises(ApiError, match="this port does not begin with TLS") as caught:
            await harness.api.create_reconnection_session("a1")

    assert not caught.value.ambiguous


@pytest.mark.parametrize("content", [None, "", "nonsense"])
def test_an_authority_file_that_cannot_be_used_is_named_at_once(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)

    with pytest.raises(MonitorError, match=r"ca\.pem cannot be used: "):
        open_http(LinkedApiSettings(ca_file=file), Proxies({}))


# ── proxies ──────────────────────────────────────────────────────────────────────────────────────

PASSWORD = "pass-word"  # of the proxy


def proxy_url(proxy):
    return f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("by", ["setting", "environment", "environment without scheme"])
async def test_a_proxy_is_used_and_given_its_credentials(monkeypatch, by):
    async with RawServer(GOOD) as proxy:
        url = proxy_url(proxy)
        settings = {"proxy": Secret(url)} if by == "setting" else {}
        if not settings:
            monkeypatch.setenv("http_proxy", url[len("http://") :] if "without" in by else url)
        snapshot, harness = await poll_once(silence, **settings)

    assert isinstance(snapshot, Snapshot)
    assert harness.server.connections == 0
    (request,) = proxy.requests
    assert request.line == f"POST {harness.server.url}/admin/accounts.getAll HTTP/1.1"
    assert request.headers["proxy-authorization"].startswith("Basic ")


async def test_no_proxy_is_honoured(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    snapshot, _ = await poll_once(GOOD)

    assert isinstance(snapshot, Snapshot)


def test_a_proxy_of_an_unsupported_kind_is_refused_without_its_address(monkeypatch):
    monkeypatch.setenv("all_proxy", f"socks5://user:{PASSWORD}@127.0.0.1:9")

    with pytest.raises(MonitorError, match="not supported") as caught:
        open_http(LinkedApiSettings(), from_environment())

    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("reply", [http(407, b""), close, then(http(200), close)])
async def test_a_proxy_that_refuses_the_tunnel_is_unreachable(reply):
    async with RawServer(reply, close) as proxy:
        failure, _ = await poll_once(
            silence, certificate="localhost.pem", proxy=Secret(proxy_url(proxy))
        )

    assert proxy.requests[0].line.startswith("CONNECT ")
    assert all("linked-api-token" not in request.headers for request in proxy.requests)
    assert failure.cause is Cause.UNREACHABLE
    assert PASSWORD not in failure.detail


async def test_a_proxy_that_is_not_there_is_named_but_not_shown():
    async with RawServer(silence) as proxy:
        pass
    failure, _ = await poll_once(GOOD, proxy=Secret(proxy_url(proxy)))

    assert failure.detail.startswith(
        "Linked API could not be reached: the proxy could not be reached: the connection was"
    )


async def test_a_proxy_that_wants_a_login_is_not_the_api():
    async with RawServer(http(407, b"<html>", {"content-type": "text/html"})) as proxy:
        failure, harness = await poll_once(silence, proxy=Secret(proxy_url(proxy)))

    assert failure.cause is Cause.UNREACHABLE
    assert "the proxy answered HTTP 407; it wants a login" in failure.detail
    assert harness.outcomes == ["network"]
