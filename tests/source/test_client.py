"""What each of the three calls sends, and makes of a good answer or a refusal."""

import json
import re
from pathlib import Path

import pytest
from linkedapi.admin import LinkedApiAdmin
from linkedapi.types.admin import AdminConfig
from source.conftest import TOKEN
from source.payloads import LINK, account, body
from source.raw import error, http, silence

import monitor
from monitor.core.duration import Duration
from monitor.core.errors import ApiError
from monitor.core.model import Cause, Session, Skipped, Snapshot
from monitor.core.secret import Secret
from monitor.source.client import Method
from monitor.source.token import Token

REFUSED = error("invalidLinkedApiToken", status=401)


async def test_a_poll_is_one_post_without_a_body(speak):
    async with speak(http(200, body(account(0)))) as it:
        snapshot = await it.api.get_all()

        (request,) = it.server.requests
    assert [found.name for found in snapshot.accounts] == ["Person Number 0"]
    assert request.line == "POST /admin/accounts.getAll HTTP/1.1"
    assert request.body == b""
    assert request.headers["content-length"] == "0"
    assert request.headers["linked-api-token"] == TOKEN
    assert request.headers["content-type"] == "application/json"
    assert request.headers["client"] == "linkedapi-monitor"
    assert request.headers["user-agent"] == "linkedapi-monitor/1.2.3"
    assert "cookie" not in request.headers
    assert it.observed == [("accounts.getAll", "ok", True)]


async def test_polls_share_a_connection_and_keep_no_cookies(speak):
    reply = http(200, body(account(0)), {"set-cookie": "session=1; Path=/"})
    async with speak(reply) as it:
        first = await it.api.get_all()
        second = await it.api.get_all()

        assert it.server.connections == 1
        assert "cookie" not in it.server.requests[1].headers
    assert first is second


async def test_creating_a_session_returns_its_id_and_link(speak):
    result = {"reconnectionSessionId": "s1", "reconnectionLink": f"{LINK}s1"}
    async with speak(http(200, {"success": True, "result": result})) as it:
        session = await it.api.create_reconnection_session("a1")

        (request,) = it.server.requests
    assert session == Session("s1", Secret(f"{LINK}s1"))
    assert request.line == "POST /admin/accounts.createReconnectionSession HTTP/1.1"
    assert json.loads(request.body) == {"accountId": "a1"}
    assert it.observed == [("accounts.createReconnectionSession", "ok", True)]


async def test_a_created_link_that_is_not_safe_is_left_out(speak):
    result = {"reconnectionSessionId": "s1", "reconnectionLink": "https://evil.example/s1"}
    async with speak(http(200, {"success": True, "result": result})) as it:
        assert await it.api.create_reconnection_session("a1") == Session("s1", None)


@pytest.mark.parametrize("answer", [{"success": True}, {"success": True, "result": {}}])
async def test_a_creation_that_tells_nothing_may_have_happened(speak, answer):
    async with speak(http(200, answer)) as it:
        with pytest.raises(ApiError, match="has no session") as caught:
            await it.api.create_reconnection_session("a1")

    assert caught.value.ambiguous
    assert caught.value.cause is Cause.BAD_RESPONSE
    assert it.outcomes == ["http_error"]


@pytest.mark.parametrize("status", ["pending", "streaming", "success", "neverHeardOf"])
async def test_the_status_of_a_session_is_its_word(speak, status):
    session = {"sessionId": "s1", "status": status, "type": "initial"}
    async with speak(http(200, {"success": True, "result": {"session": session}})) as it:
        assert await it.api.get_connection_session("s1") == status

        (request,) = it.server.requests
    assert request.line == "POST /admin/accounts.getConnectionSession HTTP/1.1"
    assert json.loads(request.body) == {"sessionId": "s1"}


@pytest.mark.parametrize("session", [None, [], {}, {"status": None}, {"status": 5}, {"status": ""}])
async def test_a_session_without_a_status_is_a_bad_response(speak, session):
    async with speak(http(200, {"success": True, "result": {"session": session}})) as it:
        with pytest.raises(ApiError, match="no session status") as caught:
            await it.api.get_connection_session("s1")

    assert caught.value.cause is Cause.BAD_RESPONSE


REFUSALS = [
    ("linkedApiTokenRequired", 401, Cause.TOKEN_REJECTED),
    ("invalidLinkedApiToken", 401, Cause.TOKEN_REJECTED),
    ("accountIdRequired", 401, Cause.BAD_RESPONSE),
    ("accountNotFound", 401, Cause.BAD_RESPONSE),
    ("sessionNotFound", 404, Cause.BAD_RESPONSE),
    ("tooManyRequests", 429, Cause.RATE_LIMITED),
    ("tooManyRequests", 400, Cause.RATE_LIMITED),
    ("invalidRequestPayload", 400, Cause.BAD_RESPONSE),
    ("dailyConnectionAttemptsExceeded", 429, Cause.BAD_RESPONSE),
    ("neverHeardOf", 429, Cause.RATE_LIMITED),
    ("neverHeardOf", 500, Cause.BAD_RESPONSE),
]


@pytest.mark.row(30)
@pytest.mark.parametrize(("kind", "status", "cause"), REFUSALS)
async def test_the_type_of_an_error_decides_before_the_http_status(speak, kind, status, cause):
    async with speak(error(kind, status=status)) as it:
        failure = await it.api.get_all()
        with pytest.raises(ApiError) as caught:
            await it.api.create_reconnection_session("a1")

    assert failure.cause is caught.value.cause is cause
    assert failure.detail == f"Linked API refused the request: {kind} (It does not matter.)"
    assert caught.value.type == kind
    assert not caught.value.ambiguous
    assert it.outcomes == ["api_error", "api_error"]


@pytest.mark.row(27)
@pytest.mark.parametrize("status", [200, 401, 500])
async def test_a_refusal_shows_neither_tokens_nor_links(speak, status):
    message = f"Bad {TOKEN}!\r\n\x1b[31m id_abcdefgh1234 see {LINK}hidden <b> " + "x" * 1000
    async with speak(error("someType", message, status=status)) as it:
        failure = await it.api.get_all()

    assert TOKEN not in failure.detail
    assert "hidden]! [31m [hidden] see [hidden] <b> xxx" in failure.detail
    assert "id_abc" not in failure.detail
    assert LINK not in failure.detail
    assert failure.detail.isprintable()
    assert len(failure.detail) < 260


async def test_a_token_as_error_type_is_not_shown(speak):
    async with speak(error(TOKEN, status=401)) as it:
        with pytest.raises(ApiError) as caught:
            await it.api.get_connection_session("s1")

    assert caught.value.type is None
    assert TOKEN not in str(caught.value)


async def test_an_exhausted_budget_sends_nothing_and_is_no_observation(speak):
    async with speak(http(200, body()), requests_per_minute=2) as it:
        assert isinstance(await it.api.get_all(), Snapshot)
        it.now += 20
        assert isinstance(await it.api.get_all(), Snapshot)

        skipped = await it.api.get_all()
        with pytest.raises(ApiError) as caught:
            await it.api.create_reconnection_session("a1")

        assert len(it.server.requests) == 2
        it.now += 41
        assert isinstance(await it.api.get_all(), Snapshot)
    assert skipped == Skipped()
    assert caught.value.retry_after == Duration.parse("40s")
    assert not caught.value.ambiguous
    assert len(it.observed) == 3


@pytest.mark.row(33)
async def test_a_rotated_token_is_read_again_after_a_refusal(speak, tmp_path):
    file = tmp_path / "token"
    file.write_text("old\n")

    async def rotating(_, writer):
        file.write_text("new\n")
        writer.write(REFUSED)

    async with speak(rotating, http(200, body()), token=Token(file)) as it:
        assert isinstance(await it.api.get_all(), Snapshot)

        sent = [request.headers["linked-api-token"] for request in it.server.requests]
    assert sent == ["old", "new"]
    assert it.outcomes == ["api_error", "ok"]


async def test_a_refused_token_that_is_still_in_its_file_is_not_tried_again(speak, tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    async with speak(REFUSED, token=Token(file)) as it:
        failure = await it.api.get_all()

        assert len(it.server.requests) == 1
    assert failure.cause is Cause.TOKEN_REJECTED


async def test_a_rotated_token_is_tried_only_once(speak, tmp_path):
    file = tmp_path / "token"
    file.write_text("0")

    async def rotating(_, writer):
        file.write_text(file.read_text() + "0")
        writer.write(REFUSED)

    async with speak(rotating, token=Token(file)) as it:
        failure = await it.api.get_all()

        assert len(it.server.requests) == 2
    assert failure.cause is Cause.TOKEN_REJECTED


async def test_creating_a_session_is_never_repeated_even_with_a_new_token(speak, tmp_path):
    file = tmp_path / "token"
    file.write_text("old")

    async def rotating(_, writer):
        file.write_text("new")
        writer.write(REFUSED)

    async with speak(rotating, token=Token(file)) as it:
        with pytest.raises(ApiError):
            await it.api.create_reconnection_session("a1")

        assert len(it.server.requests) == 1


@pytest.mark.row(33)
@pytest.mark.parametrize("content", ["", "two words", "naïve"])
async def test_an_unusable_token_is_a_failed_poll_without_a_request(speak, tmp_path, content):
    file = tmp_path / "token"
    file.write_text(content)
    async with speak(silence, token=Token(file)) as it:
        failure = await it.api.get_all()

        assert it.server.connections == 0
    assert failure.cause is Cause.TOKEN_REJECTED
    assert str(file) in failure.detail
    assert not content or content not in failure.detail


async def test_a_missing_token_file_is_a_failed_poll(speak, tmp_path):
    async with speak(silence, token=Token(tmp_path / "none")) as it:
        failure = await it.api.get_all()

    assert failure.detail.endswith("cannot be read: No such file or directory")


def test_only_three_methods_can_be_called():
    assert {method.value for method in Method} == {
        "accounts.getAll",
        "accounts.getConnectionSession",
        "accounts.createReconnectionSession",
    }


def wire_names(group):
    """Name the calls of one part of the official SDK as they stand in their paths."""
    for name in vars(type(getattr(LinkedApiAdmin(AdminConfig(linked_api_token="x")), group))):
        if not name.startswith("_"):
            yield re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


GROUPS = ("accounts", "subscription", "limits", "webhooks")
PRODUCT = {
    file: file.read_text()
    for file in Path(monitor.__file__).parent.rglob("*.py")
    if "simulator" not in file.parts
}


@pytest.mark.parametrize("group", GROUPS)
def test_no_code_path_names_any_other_call_that_there_is(group):
    called = {method.value for method in Method}
    for name in wire_names(group):
        path = f"{group.replace('webhooks', 'webhook')}.{name}"
        if path not in called:
            # A plain word may be anything; `disconnect` and words of this API's own kind may not.
            telling = name == "disconnect" or name != name.lower()
            word = rf"|[\"'/.]{name}[\"']" if telling else ""
            naming = re.compile(rf"\b{re.escape(path)}\b{word}")
            assert [str(file) for file, text in PRODUCT.items() if naming.search(text)] == [], path


@pytest.mark.parametrize("mark", ["/admin", "linked-api-token"])
def test_only_the_client_knows_how_to_speak_to_the_api(mark):
    assert [file.name for file, text in PRODUCT.items() if mark in text] == ["client.py"]
