"""What each of the calls sends, makes of its response, and when it is retried."""

import asyncio
import json
import re
import threading
from pathlib import Path

import pytest
from harness.client import TOKEN, client_harness, poll_once
from harness.payloads import LINK, account, body
from harness.program import until
from harness.raw_server import close, error, http, reset, silence, then
from linkedapi.admin import LinkedApiAdmin
from linkedapi.types.admin import AdminConfig

import monitor
from monitor.core.duration import Duration
from monitor.core.errors import ApiError
from monitor.core.model import Cause, Session, Skipped, Snapshot
from monitor.core.secret import Secret
from monitor.source.client import SHORT_BODY, Method
from monitor.source.token import Token
from monitor.source.transport import MAX_BODY

GOOD = http(200, body(account(0)))
PAGE = b"<!doctype html><html><body>Sorry</body></html>"
REFUSED = error("invalidLinkedApiToken", status=401)
BROKEN_OFF = then(http(200, body(), length=9999), close)


def result(**fields):
    return http(200, {"success": True, "result": fields})


async def test_a_poll_is_one_post_without_a_body():
    snapshot, harness = await poll_once(GOOD)

    (request,) = harness.server.requests
    assert [account.name for account in snapshot.accounts] == ["Person Number 0"]
    assert request.line == "POST /admin/accounts.getAll HTTP/1.1"
    assert request.body == b""
    assert request.headers["content-length"] == "0"
    assert request.headers["linked-api-token"] == TOKEN
    assert request.headers["content-type"] == "application/json"
    assert request.headers["client"] == "linkedapi-monitor"
    assert request.headers["user-agent"] == f"linkedapi-monitor/{monitor.__version__}"
    assert "cookie" not in request.headers
    assert harness.observed == [("accounts.getAll", "ok", True)]


async def test_polls_share_a_connection_and_keep_no_cookies():
    reply = http(200, body(account(0)), {"set-cookie": "session=1; Path=/"})
    async with client_harness(reply) as harness:
        assert await harness.api.get_all() is await harness.api.get_all()

        assert harness.server.connections == 1
        assert "cookie" not in harness.server.requests[1].headers


async def test_each_workspace_sends_its_own_token():
    async with client_harness(GOOD) as first:
        settings = {"base_url": first.server.url, "token": Token(Secret("linked_other"))}
        async with client_harness(GOOD, **settings) as second:
            for harness in (first, second, first):
                await harness.api.get_all()

        tokens = [request.headers["linked-api-token"] for request in first.server.requests]
    assert tokens == [TOKEN, "linked_other", TOKEN]


@pytest.mark.parametrize(
    ("link", "kept"), [(f"{LINK}s1", Secret(f"{LINK}s1")), ("https://evil.example/s1", None)]
)
async def test_creating_a_session_returns_its_id_and_its_link_if_that_is_safe(link, kept):
    reply = result(reconnectionSessionId="s1", reconnectionLink=link)
    async with client_harness(reply) as harness:
        session = await harness.api.create_reconnection_session("a1")

        (request,) = harness.server.requests
    assert session == Session("s1", kept)
    assert request.line == "POST /admin/accounts.createReconnectionSession HTTP/1.1"
    assert json.loads(request.body) == {"accountId": "a1"}
    assert harness.observed == [("accounts.createReconnectionSession", "ok", True)]


@pytest.mark.parametrize(
    ("reply", "ambiguous"),
    [
        (close, True),
        (reset, True),
        (BROKEN_OFF, True),
        (http(200, PAGE), True),
        (http(504, PAGE), True),
        (http(403, PAGE), False),
        (http(302, b""), False),
        (http(429, PAGE), False),
        (error("invalidRequestPayload"), False),
    ],
)
async def test_creating_a_session_is_never_retried_and_says_whether_it_may_have_happened(
    reply, ambiguous
):
    async with client_harness(reply) as harness:
        with pytest.raises(ApiError) as caught:
            await harness.api.create_reconnection_session("a1")

        assert len(harness.server.requests) == 1
    assert caught.value.ambiguous is ambiguous


@pytest.mark.parametrize("reply", [http(200, {"success": True}), result()])
async def test_a_created_session_that_is_not_shown_may_be_there(reply):
    async with client_harness(reply) as harness:
        with pytest.raises(ApiError, match="has no session") as caught:
            await harness.api.create_reconnection_session("a1")

    assert caught.value.ambiguous
    assert caught.value.cause is Cause.BAD_RESPONSE
    assert harness.outcomes == ["http_error"]


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        *((word, word) for word in ("pending", "streaming", "success", "neverHeardOf", "x" * 64)),
        ("x" * 65, "x" * 63 + "…"),
    ],
)
async def test_the_status_of_a_session_is_its_word_and_cut_if_it_is_none(status, shown):
    reply = result(session={"sessionId": "s1", "status": status, "type": "initial"})
    async with client_harness(reply) as harness:
        assert await harness.api.get_connection_session("s1") == shown

        (request,) = harness.server.requests
    assert request.line == "POST /admin/accounts.getConnectionSession HTTP/1.1"
    assert json.loads(request.body) == {"sessionId": "s1"}


@pytest.mark.parametrize("session", [None, [], {}, {"status": None}, {"status": 5}, {"status": ""}])
async def test_a_session_without_a_status_is_a_bad_response(session):
    async with client_harness(result(session=session)) as harness:
        with pytest.raises(ApiError, match="no session status") as caught:
            await harness.api.get_connection_session("s1")

    assert caught.value.cause is Cause.BAD_RESPONSE
    assert harness.outcomes == ["http_error"]


async def test_an_exhausted_budget_sends_nothing_and_observes_nothing():
    async with client_harness(GOOD, requests_per_minute=2) as harness:
        assert isinstance(await harness.api.get_all(), Snapshot)
        harness.now += 20
        assert isinstance(await harness.api.get_all(), Snapshot)

        assert isinstance(skipped := await harness.api.get_all(), Skipped)
        assert 0 < skipped.retry_after <= Duration.parse("1m")
        with pytest.raises(ApiError) as caught:
            await harness.api.create_reconnection_session("a1")

        assert len(harness.server.requests) == 2
        harness.now += 41
        assert isinstance(await harness.api.get_all(), Snapshot)
    assert caught.value.retry_after == Duration.parse("40s")
    assert not caught.value.ambiguous
    assert len(harness.observed) == 3


@pytest.mark.parametrize("end", [close, reset])
async def test_a_stale_connection_is_replaced_at_once(end):
    async with client_harness(GOOD, end, GOOD) as harness:
        assert isinstance(await harness.api.get_all(), Snapshot)
        assert isinstance(await harness.api.get_all(), Snapshot)

        assert harness.server.connections == 2
    assert harness.outcomes == ["ok", "network", "ok"]


@pytest.mark.parametrize("end", [close, reset])
@pytest.mark.parametrize(("share", "requests"), [(1, 1), (60, 2)])
async def test_a_poll_is_retried_once_if_the_budget_allows_it(end, share, requests):
    failure, harness = await poll_once(end, requests_per_minute=share)

    assert len(harness.server.requests) == requests
    assert failure.cause is Cause.UNREACHABLE
    assert failure.detail == "Linked API closed the connection instead of answering"


# ── the token ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def token_file(tmp_path):
    return tmp_path / "token"


@pytest.fixture
def rotate(token_file):
    """Refuse the token after another one was written to its file."""
    token_file.write_text("1")

    async def reply(_, writer):
        token_file.write_text(token_file.read_text() + "1")
        writer.write(REFUSED)

    return reply


@pytest.mark.odd_input("rotated token")
async def test_a_rotated_token_is_read_again_after_a_refusal(rotate, token_file):
    snapshot, harness = await poll_once(rotate, GOOD, token=Token(token_file))

    assert isinstance(snapshot, Snapshot)
    tokens = [request.headers["linked-api-token"] for request in harness.server.requests]
    assert tokens == ["1", "11"]
    assert harness.outcomes == ["api_error", "ok"]


@pytest.mark.parametrize(("rotates", "requests"), [(True, 2), (False, 1)])
async def test_a_refused_token_is_tried_again_only_once_and_only_if_it_is_another(
    rotate, token_file, rotates, requests
):
    reply = rotate if rotates else REFUSED
    failure, harness = await poll_once(reply, token=Token(token_file))

    assert len(harness.server.requests) == requests
    assert failure.cause is Cause.TOKEN_REJECTED


@pytest.mark.odd_input("unusable token")
@pytest.mark.parametrize("content", [None, "", "two words", "naïve"])
async def test_an_unusable_token_is_a_failed_poll_without_a_request(token_file, content):
    if content is not None:
        token_file.write_text(content)
    failure, harness = await poll_once(silence, token=Token(token_file))

    assert harness.server.connections == 0
    assert failure.cause is Cause.TOKEN_REJECTED
    assert str(token_file) in failure.detail
    assert not content or content not in failure.detail


# ── no other call ────────────────────────────────────────────────────────────────────────────────


def test_only_five_methods_can_be_called():
    assert {method.value for method in Method} == {
        "accounts.getAll",
        "accounts.getConnectionSession",
        "accounts.createReconnectionSession",
        "subscription.getStatus",
        "subscription.getSeats",
    }


@pytest.mark.parametrize("method", Method)
def test_each_call_is_named_where_people_look_for_it(method):
    page = Path(__file__).parents[2].joinpath("SECURITY.md").read_text(encoding="utf-8")

    assert f"`{method}`" in page


def wire_names(group):
    """Name the calls of one part of the official SDK as they stand in their paths."""
    for name in vars(type(getattr(LinkedApiAdmin(AdminConfig(linked_api_token="x")), group))):
        if not name.startswith("_"):
            yield re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


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


@pytest.mark.parametrize("mark", ["/admin", '"linked-api-token"'])
def test_only_the_client_knows_how_to_call_the_api(mark):
    assert [file.name for file, text in PRODUCT.items() if mark in text] == ["client.py"]


async def test_a_list_of_more_accounts_than_allowed_is_not_read():
    three, four = (http(200, body(*map(account, range(count)))) for count in (3, 4))
    async with client_harness(three, four, max_accounts=3) as harness:
        assert isinstance(await harness.api.get_all(), Snapshot)

        failure = await harness.api.get_all()

    assert failure.cause is Cause.BAD_RESPONSE
    assert failure.detail.endswith("lists 4 accounts, more than linked_api.max_accounts (3) allows")


async def test_who_has_more_accounts_may_have_a_longer_answer():
    padding = " " * (MAX_BODY + 1)
    long = http(200, body(account(0)) + padding.encode())
    failure, _ = await poll_once(long)
    assert failure.detail.endswith("with more than 10 MiB")

    snapshot, _ = await poll_once(long, max_accounts=20_000)

    assert isinstance(snapshot, Snapshot)


async def test_nobody_waits_while_a_long_answer_is_read(monkeypatch):
    read, goes_on = threading.Event(), threading.Event()

    def decode(*_, **__):
        read.set()
        assert goes_on.wait(10), "the event loop waits for this"
        return Snapshot((), ())

    async with client_harness(http(200, b" " * (SHORT_BODY + 1))) as harness:
        monkeypatch.setattr(harness.api._decoder, "decode", decode)
        poll = asyncio.create_task(harness.api.get_all())
        await until(read.is_set)
        goes_on.set()
        assert await poll == Snapshot((), ())
