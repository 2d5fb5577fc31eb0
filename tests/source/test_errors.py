"""What a response that is not the one we asked for means; no text says a secret."""

import gzip
import logging
import socket
from functools import partial

import aiohttp
import pytest
from harness.client import TOKEN, client_harness, poll_once
from harness.payloads import ABSENT, LINK, account, body
from harness.raw_server import close, error, http, reset, then

from monitor.core.duration import Duration
from monitor.core.errors import ApiError
from monitor.core.model import Cause
from monitor.source.errors import exchange_error

GOOD = body(account(0))
HTML = b"<!doctype html><html><body>Sorry</body></html>"
PAGE = {"content-type": "text/html; charset=utf-8"}
GZIP = {"content-encoding": "gzip"}

BAD_RESPONSES = [
    (http(200, HTML, PAGE), "an HTML page"),
    (http(200, HTML), "an HTML page"),
    (http(200, b""), "an empty body"),
    (http(204, b""), "an empty body"),
    (http(200, GOOD[:50]), "not complete JSON"),
    (http(200, b"\xff\xfe" + GOOD), "not complete JSON"),
    (http(200, GOOD.decode().encode("utf-16")), "not complete JSON"),
    (http(200, {"ok": True}), "JSON of another shape"),
    (http(400, HTML, PAGE), "HTTP 400 with an HTML page"),
    (http(401, HTML, PAGE), "HTTP 401 with an HTML page"),
    (http(403, HTML, PAGE), "HTTP 403 with an HTML page"),
    (http(404, {"error": "Not Found"}), "HTTP 404 with JSON"),
    (http(405, b""), "HTTP 405"),
    (
        http(401, {"success": True, "error": {"type": "invalidLinkedApiToken"}}),
        "HTTP 401 with JSON",
    ),
    (http(413, b""), "HTTP 413"),
    (http(200, b"junk", GZIP), "damaged compression"),
    (http(200, GOOD, {"content-encoding": "br"}), "not asked for"),
    (http(200, gzip.compress(GOOD)[:-30], GZIP), "not complete JSON"),
    (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "not HTTP"),
]
UNREACHABLE = [
    *((http(status, HTML, PAGE), f"HTTP {status} with an HTML page") for status in (502, 503)),
    *((http(status, HTML, PAGE), f"HTTP {status}") for status in range(520, 525)),
    (http(504, b""), "HTTP 504 with an empty body"),
    (http(502, {"message": "Bad"}), "HTTP 502 with JSON of another"),
    (http(500, {"success": False, "error": "x"}), "HTTP 500"),
    (http(500, {"success": True, "result": {}}), "HTTP 500"),
    (http(500, b"<" * 100_000, PAGE), "HTTP 500 with an HTML page"),
    (http(502, b"junk", GZIP), "HTTP 502 with an empty body"),
]
BROKEN_OFF = [
    (then(http(200, GOOD, length=9999), close), "in the middle"),
    (then(http(200, GOOD, length=9999), reset), "closed|middle"),
    (then(b"HTTP/1.1 200 OK\r\nConte", close), "middle"),
    (then(b"HTTP/1.1 200 OK\r\nConte", reset), "closed|middle"),
    (then(b"HTTP/1.1 103 Early Hints\r\n\r\n", close), "middle"),
]


@pytest.mark.odd_input("odd error object", "odd body", "refusal of every type")
@pytest.mark.parametrize(
    ("reply", "words", "cause", "outcome"),
    [
        *((*case, Cause.BAD_RESPONSE, "http_error") for case in BAD_RESPONSES),
        *((*case, Cause.UNREACHABLE, "http_error") for case in UNREACHABLE),
        *((*case, Cause.UNREACHABLE, "network") for case in BROKEN_OFF),
        (http(429, HTML, PAGE), "HTTP 429", Cause.RATE_LIMITED, "http_error"),
    ],
)
async def test_a_response_that_is_none_is_a_failure_in_plain_words(reply, words, cause, outcome):
    failure, harness = await poll_once(reply)

    assert len(harness.server.requests) == 1
    assert failure.cause is cause
    assert harness.outcomes == [outcome]
    assert any(word in failure.detail for word in words.split("|"))
    assert failure.detail.startswith("Linked API ")
    assert failure.detail.isprintable()
    assert len(failure.detail) < 200


LATER = {"retry-after": "Mon, 23 Nov 2026 08:00:30 GMT"}
RETRY_AFTER = [
    ({}, None),
    ({"retry-after": "86400"}, "15m"),
    (LATER | {"date": "Mon, 23 Nov 2026 08:00:00 GMT"}, "30s"),
    (LATER, None),
]


@pytest.mark.odd_input("rate limit with any Retry-After")
@pytest.mark.parametrize(("headers", "wait"), RETRY_AFTER)
@pytest.mark.parametrize(
    "reply", [partial(error, "tooManyRequests", status=429), partial(http, 429, HTML)]
)
async def test_retry_after_is_honoured_within_reason(reply, headers, wait):
    failure, _ = await poll_once(reply(headers=headers))

    assert failure.cause is Cause.RATE_LIMITED
    assert failure.retry_after == (wait and Duration.parse(wait))


REFUSALS = [
    ("invalidLinkedApiToken", 401, Cause.TOKEN_REJECTED),
    ("accountNotFound", 401, Cause.BAD_RESPONSE),
    ("tooManyRequests", 429, Cause.RATE_LIMITED),
    ("tooManyRequests", 400, Cause.RATE_LIMITED),
    ("dailyConnectionAttemptsExceeded", 429, Cause.BAD_RESPONSE),
    ("neverHeardOf", 429, Cause.RATE_LIMITED),
    ("neverHeardOf", 500, Cause.BAD_RESPONSE),
]


@pytest.mark.odd_input("refusal of every type")
@pytest.mark.parametrize(("kind", "status", "cause"), REFUSALS)
async def test_the_type_of_an_error_decides_before_the_http_status(kind, status, cause):
    async with client_harness(error(kind, status=status)) as harness:
        failure = await harness.api.get_all()
        with pytest.raises(ApiError) as caught:
            await harness.api.create_reconnection_session("a1")

    assert failure.cause is caught.value.cause is cause
    assert failure.detail == f"Linked API refused the request: {kind} (It does not matter.)"
    assert caught.value.type == kind
    assert not caught.value.ambiguous
    assert harness.outcomes == ["api_error", "api_error"]


@pytest.mark.odd_input("odd success field", "odd error object")
@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"type": "invalidLinkedApiToken", "message": "no"}, Cause.TOKEN_REJECTED),
        ({"type": "linkedApiTokenRequired"}, Cause.TOKEN_REJECTED),
        ({"type": "tooManyRequests", "message": None}, Cause.RATE_LIMITED),
        ({"type": "accountNotFound", "message": 5}, Cause.BAD_RESPONSE),
        ({"type": "neverHeardOf", "message": "x" * 9000}, Cause.BAD_RESPONSE),
        ({"type": 5}, Cause.BAD_RESPONSE),
        ({"type": "two words\n"}, Cause.BAD_RESPONSE),
        ({}, Cause.BAD_RESPONSE),
        ("just text", Cause.BAD_RESPONSE),
        ([], Cause.BAD_RESPONSE),
        (None, Cause.BAD_RESPONSE),
        (ABSENT, Cause.BAD_RESPONSE),
    ],
)
async def test_a_refusal_inside_http_200_is_judged_by_its_type(error, cause):
    failure, _ = await poll_once(http(200, body(account(0), success=False, error=error)))

    assert failure.cause is cause
    assert len(failure.detail) < 400
    assert failure.detail.isprintable()


@pytest.mark.odd_input("odd error object")
@pytest.mark.parametrize("status", [200, 401, 500])
async def test_a_refusal_shows_neither_tokens_nor_links(status):
    message = f"Bad {TOKEN}!\r\n\x1b[31m id_abcdefgh1234 see {LINK}hidden <b> " + "x" * 1000
    failure, _ = await poll_once(error("someType", message, status=status))

    assert "Bad [hidden]! [31m [hidden] see [hidden] <b> xxx" in failure.detail
    assert len(failure.detail) < 260


SECRETIVE = [
    http(502, TOKEN.encode(), PAGE),
    http(302, b"", {"location": f"https://evil.example/{TOKEN}"}),
    http(200, f'{{"success": "{TOKEN}"}}'.encode()),
    http(200, body(account(0, status=TOKEN), account(1, id=TOKEN, status="odd"))),
    b"HTTP/1.1 200 " + TOKEN.encode() + b"\r\n" + TOKEN.encode() + b"\r\n\r\n",
    error(TOKEN, status=401),
    error("invalidLinkedApiToken", f"The token {TOKEN} is bad", status=401),
    then(http(200, TOKEN.encode(), length=9999), close),
    close,
]


@pytest.mark.parametrize("reply", SECRETIVE)
async def test_the_token_is_in_no_failure_error_warning_or_log(reply, caplog):
    caplog.set_level(logging.DEBUG)
    async with client_harness(reply) as harness:
        observation = await harness.api.get_all()
        with pytest.raises(ApiError) as caught:
            await harness.api.get_connection_session("s1")

    shown = getattr(observation, "detail", None) or repr(observation.warnings)
    assert TOKEN not in shown
    assert TOKEN not in f"{caught.value} {vars(caught.value)}"
    assert TOKEN not in caplog.text
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


KEY = aiohttp.client_reqrep.ConnectionKey("x.invalid", 443, *[None] * 5)
NO_NAME = aiohttp.ClientConnectorDNSError(KEY, OSError())
NO_NAME.__cause__ = socket.gaierror(-2, "Name or service not known")


@pytest.mark.odd_input("no connection, bad certificate or no answer")
@pytest.mark.parametrize(
    ("exception", "outcome", "reason"),
    [
        (NO_NAME, "network", "its name could not be resolved"),
        (aiohttp.ConnectionTimeoutError("http://secret"), "timeout", "no connection in time"),
    ],
)
def test_without_a_connection_nothing_was_sent(exception, outcome, reason):
    failure = exchange_error(exception, responded=False)

    assert str(failure).startswith(f"Linked API could not be reached: {reason}")
    assert (failure.cause, failure.outcome) == (Cause.UNREACHABLE, outcome)
    assert not failure.ambiguous
    assert not failure.stale
