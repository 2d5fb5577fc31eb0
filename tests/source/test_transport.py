"""Faults of the network and of whatever stands between: each ends as a bounded, clean failure."""

import asyncio
import gzip
import logging
import socket
import zlib

import aiohttp
import pytest
from source.conftest import TOKEN
from source.payloads import account, body
from source.raw import TLS, RawServer, close, drip, error, flood, http, reset, silence, then

from monitor.core.duration import Duration
from monitor.core.errors import ApiError, MonitorError
from monitor.core.model import Cause, Snapshot
from monitor.core.secret import Secret
from monitor.source.errors import ExchangeError, exchange_error
from monitor.source.settings import LinkedApiSettings
from monitor.source.transport import exchange, open_http

GOOD = body(account(0))
HTML = b"<!doctype html><html><body>Sorry</body></html>"
PAGE = {"content-type": "text/html; charset=utf-8"}
GZIP = {"content-encoding": "gzip"}

ANSWERS = [
    (http(200, HTML, PAGE), "bad_response", "http_error", "an HTML page"),
    (http(200, HTML), "bad_response", "http_error", "an HTML page"),
    (http(200, b""), "bad_response", "http_error", "an empty body"),
    (http(204, b""), "bad_response", "http_error", "an empty body"),
    (http(200, GOOD[:50]), "bad_response", "http_error", "not complete JSON"),
    (http(200, b"\xff\xfe" + GOOD), "bad_response", "http_error", "not complete JSON"),
    (http(200, GOOD.decode().encode("utf-16")), "bad_response", "http_error", "not complete JSON"),
    (http(200, {"ok": True}), "bad_response", "http_error", "JSON of another shape"),
    (http(502, HTML, PAGE), "unreachable", "http_error", "HTTP 502 with an HTML page"),
    (http(503, HTML, PAGE), "unreachable", "http_error", "HTTP 503 with an HTML page"),
    (http(504, b""), "unreachable", "http_error", "HTTP 504 with an empty body"),
    (http(520, HTML, PAGE), "unreachable", "http_error", "HTTP 520"),
    (http(521, HTML, PAGE), "unreachable", "http_error", "HTTP 521"),
    (http(522, HTML, PAGE), "unreachable", "http_error", "HTTP 522"),
    (http(523, HTML, PAGE), "unreachable", "http_error", "HTTP 523"),
    (http(524, HTML, PAGE), "unreachable", "http_error", "HTTP 524"),
    (http(502, {"message": "Bad"}), "unreachable", "http_error", "HTTP 502 with JSON of another"),
    (http(500, {"success": False, "error": "x"}), "unreachable", "http_error", "HTTP 500"),
    (http(500, {"success": True, "result": {}}), "unreachable", "http_error", "HTTP 500"),
    (http(500, b"<" * 100_000, PAGE), "unreachable", "http_error", "HTTP 500 with an HTML page"),
    (http(502, b"junk", GZIP), "unreachable", "http_error", "HTTP 502 with an empty body"),
    (http(401, HTML, PAGE), "bad_response", "http_error", "HTTP 401 with an HTML page"),
    (http(403, HTML, PAGE), "bad_response", "http_error", "HTTP 403 with an HTML page"),
    (http(404, {"error": "Not Found"}), "bad_response", "http_error", "HTTP 404 with JSON"),
    (http(405, b""), "bad_response", "http_error", "HTTP 405"),
    (http(413, b""), "bad_response", "http_error", "HTTP 413"),
    (http(429, HTML, PAGE), "rate_limited", "http_error", "HTTP 429"),
    (http(200, b"junk", GZIP), "bad_response", "http_error", "damaged compression"),
    (http(200, GOOD, {"content-encoding": "br"}), "bad_response", "http_error", "not asked for"),
    (http(200, gzip.compress(GOOD)[:-30], GZIP), "bad_response", "http_error", "not complete JSON"),
    (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "bad_response", "http_error", "not HTTP"),
    (then(http(200, GOOD, length=9999), close), "unreachable", "network", "in the middle"),
    (then(http(200, GOOD, length=9999), reset), "unreachable", "network", "closed|middle"),
    (then(b"HTTP/1.1 200 OK\r\nConte", close), "unreachable", "network", "closed"),
]


@pytest.mark.row(27, 28, 30)
@pytest.mark.parametrize(("reply", "cause", "outcome", "words"), ANSWERS)
async def test_an_answer_that_is_none_is_a_failure_in_plain_words(
    speak, reply, cause, outcome, words
):
    async with speak(reply) as it:
        failure = await it.api.get_all()

        assert len(it.server.requests) == 1
    assert failure.cause == cause
    assert it.outcomes == [outcome]
    assert any(word in failure.detail for word in words.split("|"))
    assert failure.detail.startswith("Linked API ")
    assert failure.detail.isprintable()
    assert len(failure.detail) < 200


@pytest.mark.row(28)
@pytest.mark.parametrize(
    "reply",
    [
        http(200, b"\xef\xbb\xbf" + GOOD),
        http(200, GOOD, PAGE),
        http(201, GOOD, {"content-type": "application/json; charset=utf-16"}),
        http(200, GOOD, {"content-encoding": "identity"}),
        http(200, gzip.compress(GOOD), GZIP),
        http(200, zlib.compress(GOOD), {"content-encoding": "deflate"}),
    ],
)
async def test_an_oddly_wrapped_answer_is_read_all_the_same(speak, reply):
    async with speak(reply) as it:
        snapshot = await it.api.get_all()

    assert [found.name for found in snapshot.accounts] == ["Person Number 0"]


async def test_a_chunked_answer_is_read(speak):
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD) + b"0\r\n\r\n"
    async with speak(head + chunks) as it:
        assert isinstance(await it.api.get_all(), Snapshot)


async def test_a_thousand_accounts_are_read(speak):
    async with speak(http(200, body(*map(account, range(1000))))) as it:
        assert len((await it.api.get_all()).accounts) == 1000


@pytest.mark.parametrize(
    "reply",
    [
        http(200, b" " * (10 * 2**20 + 1)),
        http(200, gzip.compress(b" " * 60_000_000), GZIP),
        then(b"HTTP/1.1 200 OK\r\n\r\n", flood),
    ],
)
async def test_a_body_beyond_the_limit_is_not_read_to_its_end(speak, reply):
    async with speak(reply, patience="60s") as it:
        failure = await it.api.get_all()

    assert failure.cause is Cause.BAD_RESPONSE
    assert failure.detail == "Linked API answered with more than 10 MiB"


@pytest.mark.row(31)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["same", "other", "none"])
async def test_a_redirect_is_not_followed_and_the_token_goes_nowhere(speak, status, where):
    async with RawServer(http(200, GOOD)) as other:
        target = {"same": "/elsewhere", "other": f"{other.url}/admin", "none": ""}[where]
        async with speak(http(status, b"", {"location": target})) as it:
            failure = await it.api.get_all()

            assert len(it.server.requests) == 1
        assert other.connections == 0
    assert failure.cause is Cause.BAD_RESPONSE
    assert failure.detail == (
        f"Linked API answered HTTP {status}, a redirect; redirects are not followed"
    )


RETRY_AFTER = [
    ({}, None),
    ({"retry-after": "7"}, "7s"),
    ({"retry-after": "86400"}, "15m"),
    ({"retry-after": "soon"}, None),
    ({"retry-after": "٣"}, None),
    (
        {
            "retry-after": "Mon, 23 Nov 2026 08:00:30 GMT",
            "date": "Mon, 23 Nov 2026 08:00:00 GMT",
        },
        "30s",
    ),
    ({"retry-after": "Mon, 23 Nov 2026 08:00:30 GMT"}, None),
]


@pytest.mark.row(29)
@pytest.mark.parametrize(("headers", "expected"), RETRY_AFTER)
@pytest.mark.parametrize("shape", ["json", "html"])
async def test_retry_after_is_honoured_within_reason(speak, headers, expected, shape):
    headers = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    replies = {
        "json": error("tooManyRequests", status=429, headers=headers),
        "html": http(429, HTML, PAGE | headers),
    }
    async with speak(replies[shape].decode("latin-1").encode("latin-1")) as it:
        failure = await it.api.get_all()

    assert failure.cause is Cause.RATE_LIMITED
    assert failure.retry_after == (None if expected is None else Duration.parse(expected))


@pytest.mark.parametrize("end", [close, reset])
async def test_a_connection_that_went_stale_is_opened_anew_once(speak, end):
    async with speak(http(200, GOOD), end, http(200, GOOD)) as it:
        assert isinstance(await it.api.get_all(), Snapshot)
        assert isinstance(await it.api.get_all(), Snapshot)

        assert it.server.connections == 2
    assert it.outcomes == ["ok", "network", "ok"]


@pytest.mark.parametrize("end", [close, reset])
async def test_a_poll_is_repeated_no_more_than_once(speak, end):
    async with speak(end) as it:
        failure = await it.api.get_all()

        assert len(it.server.requests) == 2
    assert failure.cause is Cause.UNREACHABLE
    assert failure.detail == "Linked API closed the connection instead of answering"


async def test_a_repetition_needs_its_share_of_the_budget(speak):
    async with speak(close, requests_per_minute=1) as it:
        failure = await it.api.get_all()

        assert len(it.server.requests) == 1
    assert failure.cause is Cause.UNREACHABLE


@pytest.mark.parametrize(
    ("reply", "ambiguous"),
    [
        (close, True),
        (reset, True),
        (then(http(200, GOOD, length=9999), close), True),
        (http(200, HTML, PAGE), True),
        (http(504, HTML, PAGE), True),
        (http(403, HTML, PAGE), False),
        (http(302, b""), False),
        (http(429, HTML, PAGE), False),
        (error("invalidRequestPayload"), False),
    ],
)
async def test_creating_a_session_is_never_repeated_and_says_whether_it_may_have_happened(
    speak, reply, ambiguous
):
    async with speak(reply) as it:
        with pytest.raises(ApiError) as caught:
            await it.api.create_reconnection_session("a1")

        assert len(it.server.requests) == 1
    assert caught.value.ambiguous is ambiguous


@pytest.mark.row(32)
@pytest.mark.parametrize(
    "reply",
    [
        silence,
        then(b"HTTP/1.1 200 OK\r\n", silence),
        then(http(200, GOOD, length=9999), silence),
        then(b"HTTP/1.1 200 OK\r\n\r\n", drip(b" ")),
        then(b"HTTP/1.1 200 OK\r\n", drip(b"x: y\r\n")),
    ],
)
async def test_silence_and_slow_drips_end_with_the_timeout(speak, reply):
    async with speak(reply, patience="200ms") as it:
        async with asyncio.timeout(5):
            failure = await it.api.get_all()
            with pytest.raises(ApiError) as caught:
                await it.api.create_reconnection_session("a1")

    assert failure.cause is Cause.UNREACHABLE
    assert failure.detail == "Linked API did not answer within 200ms"
    assert it.outcomes == ["timeout", "timeout"]
    assert caught.value.ambiguous


async def test_a_poll_after_a_timeout_uses_a_fresh_connection(speak):
    replies = (then(http(200, GOOD, length=9999), silence), http(200, GOOD))
    async with speak(*replies, patience="1s") as it:
        first = await it.api.get_all()
        second = await it.api.get_all()

        assert it.server.connections == 2
    assert (first.cause, type(second)) == (Cause.UNREACHABLE, Snapshot)


async def test_a_pooled_connection_that_fell_silent_does_not_hang(speak):
    async with speak(http(200, GOOD), silence, http(200, GOOD), patience="1s") as it:
        await it.api.get_all()
        async with asyncio.timeout(5):
            failure = await it.api.get_all()

        assert failure.cause is Cause.UNREACHABLE
        assert isinstance(await it.api.get_all(), Snapshot)


async def test_one_that_hangs_does_not_delay_another_on_the_same_client(speak):
    async with speak(silence, http(200, GOOD)) as it:
        hanging = asyncio.create_task(it.api.get_all())
        await it.server.asked.wait()

        assert isinstance(await it.api.get_all(), Snapshot)

        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging


@pytest.mark.parametrize("reply", [silence, then(http(200, GOOD, length=9999), silence)])
async def test_cancellation_is_prompt_and_passes_through(speak, reply):
    async with speak(reply) as it:
        task = asyncio.create_task(it.api.get_all())
        await it.server.asked.wait()

        task.cancel()
        async with asyncio.timeout(2):
            with pytest.raises(asyncio.CancelledError):
                await task
    assert it.observed == []


@pytest.mark.row(32)
async def test_a_refused_connection_is_unreachable_and_nothing_left(speak):
    async with speak(silence) as it:
        it.server._server.close()
        failure = await it.api.get_all()
        with pytest.raises(ApiError) as caught:
            await it.api.create_reconnection_session("a1")

    assert failure.cause is Cause.UNREACHABLE
    assert failure.detail == "Linked API could not be reached: Connection refused"
    assert it.outcomes == ["network", "network"]
    assert not caught.value.ambiguous


@pytest.mark.row(32)
@pytest.mark.parametrize(
    ("certificate", "trusted", "words"),
    [
        ("localhost.pem", None, "bad certificate: self"),
        ("expired.pem", "expired.pem", "bad certificate: certificate has expired"),
        ("elsewhere.pem", "elsewhere.pem", "bad certificate: IP address mismatch"),
    ],
)
async def test_a_certificate_that_is_not_right_is_not_accepted(speak, certificate, trusted, words):
    ca_file = trusted and TLS / trusted
    async with speak(http(200, GOOD), certificate=certificate, ca_file=ca_file) as it:
        failure = await it.api.get_all()

        assert it.server.requests == []
    assert failure.cause is Cause.UNREACHABLE
    assert words in failure.detail


async def test_a_private_authority_can_be_trusted(speak):
    ca_file = TLS / "localhost.pem"
    async with speak(http(200, GOOD), certificate="localhost.pem", ca_file=ca_file) as it:
        assert isinstance(await it.api.get_all(), Snapshot)


async def test_tls_to_a_port_that_speaks_none_is_unreachable():
    async def greet(_, writer):
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = LinkedApiSettings(base_url=f"https://127.0.0.1:{port}")
    async with server, open_http(settings) as client:
        request = client.build_request("POST", settings.base_url)
        with pytest.raises(ExchangeError, match="no TLS connection could be made") as caught:
            await exchange(client, request)

    assert not caught.value.ambiguous


@pytest.mark.parametrize("content", [None, "", "nonsense"])
def test_an_authority_file_that_cannot_be_used_is_said_at_once(tmp_path, content):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)

    with pytest.raises(MonitorError, match=r"ca\.pem cannot be used: "):
        open_http(LinkedApiSettings(ca_file=file))


async def test_a_closed_client_is_a_failure_too(speak):
    async with speak(http(200, GOOD)) as it:
        await it.http.aclose()
        failure = await it.api.get_all()

    assert failure.detail == "Linked API could not be reached: RuntimeError"


@pytest.mark.row(32)
async def test_a_name_that_does_not_resolve_is_unreachable():
    key = aiohttp.client_reqrep.ConnectionKey("x.invalid", 443, *[None] * 5)
    found = exchange_error(
        aiohttp.ClientConnectorDNSError(key, socket.gaierror(-2, "Name or service not known")),
        responded=False,
    )

    assert str(found) == "Linked API could not be reached: its name could not be resolved"
    assert (found.cause, found.ambiguous, found.stale) == (Cause.UNREACHABLE, False, False)


async def test_a_connection_that_takes_too_long_is_a_timeout():
    found = exchange_error(aiohttp.ConnectionTimeoutError("http://secret"), responded=False)

    assert (found.outcome, found.ambiguous) == ("timeout", False)
    assert "secret" not in str(found)


PASSWORD = "pass-word"  # of the proxy


@pytest.mark.parametrize("by", ["setting", "environment", "environment without scheme"])
async def test_a_proxy_is_used_and_is_told_its_credentials(speak, monkeypatch, by):
    async with RawServer(http(200, GOOD)) as proxy:
        address = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
        if by == "setting":
            changes = {"proxy": Secret(address)}
        else:
            changes = {}
            monkeypatch.setenv(
                "http_proxy", address if by == "environment" else address.removeprefix("http://")
            )
        async with speak(silence, **changes) as it:
            assert isinstance(await it.api.get_all(), Snapshot)

            assert it.server.connections == 0
            (request,) = proxy.requests
            assert request.line == f"POST {it.server.url}/admin/accounts.getAll HTTP/1.1"
            assert request.headers["proxy-authorization"].startswith("Basic ")


async def test_no_proxy_is_honoured(speak, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with speak(http(200, GOOD)) as it:
        assert isinstance(await it.api.get_all(), Snapshot)


def test_a_proxy_of_a_kind_we_do_not_speak_is_said_without_its_address(monkeypatch):
    monkeypatch.setenv("all_proxy", f"socks5://user:{PASSWORD}@127.0.0.1:9")

    with pytest.raises(MonitorError, match="not supported") as caught:
        open_http(LinkedApiSettings())

    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("reply", [http(407, b""), close, then(http(200), close)])
async def test_a_proxy_that_refuses_the_tunnel_is_unreachable(speak, reply):
    async with RawServer(reply, close) as proxy:
        address = Secret(f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}")
        async with speak(silence, certificate="localhost.pem", proxy=address) as it:
            failure = await it.api.get_all()

        assert proxy.requests[0].line.startswith("CONNECT ")
        assert all("linked-api-token" not in request.headers for request in proxy.requests)
    assert failure.cause is Cause.UNREACHABLE
    assert PASSWORD not in failure.detail


async def test_a_proxy_that_is_not_there_is_named_but_not_shown(speak):
    async with RawServer(silence) as gone:
        port = gone.port
    address = Secret(f"http://user:{PASSWORD}@127.0.0.1:{port}")
    async with speak(http(200, GOOD), proxy=address) as it:
        failure = await it.api.get_all()

    assert (
        failure.detail == "Linked API could not be reached: the proxy does not accept connections"
    )


SECRETIVE = [
    http(502, TOKEN.encode(), PAGE),
    http(302, b"", {"location": f"https://evil.example/{TOKEN}"}),
    http(200, f'{{"success": "{TOKEN}"}}'.encode()),
    http(200, body(account(0, status=TOKEN), account(1, id=TOKEN, status="odd"))),
    b"HTTP/1.1 200 " + TOKEN.encode() + b"\r\n" + TOKEN.encode() + b"\r\n\r\n",
    error("invalidLinkedApiToken", f"The token {TOKEN} is bad", status=401),
    then(http(200, TOKEN.encode(), length=9999), close),
    close,
]


@pytest.mark.parametrize("reply", SECRETIVE)
async def test_the_token_is_in_no_failure_error_warning_or_log(speak, reply, caplog):
    caplog.set_level(logging.DEBUG)
    async with speak(reply) as it:
        observed = await it.api.get_all()
        with pytest.raises(ApiError) as caught:
            await it.api.get_connection_session("s1")

    shown = getattr(observed, "detail", None) or repr(observed.warnings)
    assert TOKEN not in shown
    assert TOKEN not in str(caught.value)
    assert TOKEN not in caplog.text
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
