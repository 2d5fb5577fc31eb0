"""What is posted, and what becomes of answers and of none."""

import sys

import pytest
from harness.notifications import message
from harness.program import free_port
from harness.raw_server import RawServer, close, reset, silence, then
from harness.raw_server import http as http_reply
from harness.receivers import TIMEOUT
from pydantic import ValidationError

from monitor import __version__, notifiers
from monitor.core.errors import DeliveryError, Remedy
from monitor.core.render import Style
from monitor.core.secret import Secret
from monitor.net.proxy import Proxies
from monitor.notifiers._http import HttpNotifier, HttpSettings, Request

ADVICE = {
    "no_room": (Remedy.MEND, "create the room"),
    "too_loud": (Remedy.DROP, "say it softly"),
}
HEADERS = {"authorization": "Bearer abc", "user-agent": "mine", "content-type": "text/html"}


BROKEN_OFF = then(b"HTTP/1.1 200 O", reset)


class Chat(HttpNotifier[HttpSettings]):
    advice = ADVICE

    def request(self, message):
        return Request(self.settings.url, message.id.encode())


class ChatWithHeaders(Chat):
    def request(self, message):
        return Request(self.settings.url, message.id.encode(), HEADERS)


@pytest.fixture
async def http():
    async with notifiers.open_http(Proxies({})) as client:
        yield client


@pytest.fixture
async def server():
    async with RawServer(http_reply(200)) as running:
        yield running


async def send(http, url, notifier=Chat):
    settings = HttpSettings(name="ops", type="chat", url=url, timeout=TIMEOUT)
    await notifier(settings, http=http, style=Style()).send(message())


@pytest.mark.parametrize(
    "reply", [pytest.param(silence, marks=pytest.mark.slow), BROKEN_OFF, close, b"nonsense\r\n\r\n"]
)
async def test_what_left_without_an_answer_is_ambiguous(http, server, reply):
    server.replies = [reply]

    with pytest.raises(DeliveryError) as caught:
        await send(http, server.url)

    assert caught.value.ambiguous


async def test_a_program_that_is_replaced_while_it_runs_still_tells(http, server, monkeypatch):
    settings = HttpSettings(name="ops", type="chat", url=server.url, timeout=TIMEOUT)
    notifier = Chat(settings, http=http, style=Style())
    monkeypatch.setitem(sys.modules, "monitor.notifiers._post", None)  # it can't be loaded now

    assert await notifier.send(message())


async def test_what_never_left_is_not_ambiguous(http):
    with pytest.raises(DeliveryError, match=r"^could not be reached: the con") as caught:
        await send(http, f"http://127.0.0.1:{free_port()}/")

    assert not caught.value.ambiguous


async def test_a_request_is_json_from_the_monitor(http, server):
    await send(http, server.url)

    (request,) = server.requests
    assert request.body.decode() == message().id
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"] == f"linkedapi-monitor/{__version__}"
    assert "cookie" not in request.headers


async def test_a_type_adds_headers_but_does_not_change_what_the_body_is(http, server):
    await send(http, server.url, ChatWithHeaders)

    (request,) = server.requests
    assert request.headers["authorization"] == "Bearer abc"
    assert request.headers["user-agent"] == "mine"
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("reply", "text", "remedy"),
    [
        (http_reply(400, b"no_room\n"), "answered 400 Bad Request: create the room", Remedy.MEND),
        (http_reply(403, b"too_loud"), "answered 403 Forbidden: say it softly", Remedy.DROP),
        (
            http_reply(500, b"no_room"),
            "answered 500 Internal Server Error: create the room",
            Remedy.RETRY,
        ),
        (
            http_reply(404, {"error": "no_room"}),
            "answered 404 Not Found: create the room",
            Remedy.MEND,
        ),
        (http_reply(403, b"who knows"), "answered 403 Forbidden: access was refused", Remedy.MEND),
        (
            http_reply(302, b""),
            "answered 302 Found: a redirect; redirects are not followed",
            Remedy.MEND,
        ),
        (
            http_reply(407, b""),
            "answered 407 Proxy Authentication Required: the proxy wants",
            Remedy.MEND,
        ),
    ],
)
async def test_a_refusal_that_is_known_says_more_than_its_status(http, server, reply, text, remedy):
    server.replies = [reply]

    with pytest.raises(DeliveryError) as caught:
        await send(http, server.url)

    assert str(caught.value).startswith(text)
    assert caught.value.remedy is remedy


@pytest.mark.parametrize(
    ("body", "after", "text"),
    [
        pytest.param(b"no_room", close, "answered 404 Not Found: nothing is", id="breaks off"),
        pytest.param(
            b"no_room".ljust(70_000),
            silence,
            "answered 404 Not Found: create the room",
            id="has no end",
        ),
    ],
)
async def test_a_refusal_that_is_not_whole_is_a_refusal(http, server, body, after, text):
    server.replies = [then(http_reply(404, body, length=1_000_000), after)]

    with pytest.raises(DeliveryError, match=f"^{text}") as caught:
        await send(http, server.url)

    assert caught.value.remedy is Remedy.MEND


def test_a_request_shows_neither_its_address_nor_its_headers_nor_its_body():
    request = Request(Secret("https://s3cr3t"), b"s3cr3t", {"authorization": "s3cr3t"})

    assert "s3cr3t" not in repr(request)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"url": " "},
        {"url": "https://"},
        {"url": "ftp://s3cr3t"},
        {"url": "https://s3cr3t:99999999/"},
        {"url": "https://s3cr3t\x7f/"},
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(values):
    with pytest.raises(ValidationError, match="url") as caught:
        HttpSettings(name="ops", type="chat", **values)

    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://chat.example.com/x", "HTTP://10.1.2.3/", "http://[fd00::1]/"]
)
def test_an_address_that_others_can_read_on_the_way_has_to_be_asked_for(url):
    values = {"name": "ops", "type": "chat", "url": url}

    with pytest.raises(ValidationError, match="insecure: true allows that") as caught:
        HttpSettings(**values)

    assert "chat.example" not in str(caught.value)
    assert HttpSettings(**values, insecure=True).insecure


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "hook.localhost", "127.8.8.8"])
def test_this_machine_is_no_way_to_read_on(host):
    assert HttpSettings(name="ops", type="chat", url=f"http://{host}:8080/x").urls


@pytest.mark.parametrize("timeout", ["1s", "13s", "60s"])
def test_an_attempt_may_take_as_long_as_its_receiver_needs(timeout):
    assert str(settings(timeout).timeout) in (timeout, "1m")


@pytest.mark.parametrize("timeout", ["0s", "999ms", "61s", "1d"])
def test_but_within_bounds(timeout):
    with pytest.raises(ValidationError, match="must be from 1s to 1m"):
        settings(timeout)


def settings(timeout):
    return HttpSettings(name="ops", type="chat", url="https://x", timeout=timeout)
