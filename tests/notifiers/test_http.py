"""What leaves by HTTP, and what the two transports make of it."""

import base64
import hashlib
import hmac

import httpx
import pytest
from harness.notifications import message, notification
from harness.receivers import HttpReceiver, closed_port
from httpx_aiohttp import AiohttpTransport

from monitor.core.duration import Duration
from monitor.core.errors import DeliveryError
from monitor.core.model import EventType
from monitor.notifiers import slack, webhook

RAW_KEY = b"0123456789abcdef0123456789abcdef"
KEY = "whsec_" + base64.b64encode(RAW_KEY).decode()


@pytest.fixture(params=["aiohttp", "httpcore"])
async def http(request):
    transport = AiohttpTransport() if request.param == "aiohttp" else None
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        yield client


@pytest.fixture
async def server():
    async with HttpReceiver().running() as running:
        yield running


def build(kind, http, url, **values):
    settings = kind.Settings(name="ops", type=kind.__name__.rpartition(".")[2], url=url, **values)
    return kind.Notifier(settings, http=http, timezone="UTC", timeout=Duration.parse("500ms"))


@pytest.mark.parametrize("answer", ["hang", "reset", "close", b"nonsense\r\n\r\n"])
async def test_what_left_without_an_answer_is_ambiguous(http, server, answer):
    server.answer = answer

    with pytest.raises(DeliveryError) as caught:
        await build(slack, http, server.url).send(message())

    assert caught.value.ambiguous


async def test_what_never_left_is_not_ambiguous(http):
    url = f"http://127.0.0.1:{closed_port()}/"

    with pytest.raises(DeliveryError, match=r"^could not be reached$") as caught:
        await build(slack, http, url).send(message())

    assert not caught.value.ambiguous


async def test_a_webhook_is_signed_and_has_the_headers_of_its_settings(http, server):
    headers = {"Authorization": "Bearer abc", "User-Agent": "mine"}
    await build(webhook, http, server.url, secret=KEY, headers=headers).send(message())

    (request,) = server.requests
    sent = request.headers
    signed = b".".join((message().id.encode(), b"1795435200", request.body))
    digest = base64.b64encode(hmac.digest(RAW_KEY, signed, hashlib.sha256)).decode()
    assert sent["webhook-id"] == message().id
    assert sent["webhook-timestamp"] == "1795435200"
    assert sent["webhook-signature"] == f"v1,{digest}"
    assert sent["content-type"] == "application/json"
    assert sent["authorization"] == "Bearer abc"
    assert sent["user-agent"] == "mine"
    assert "cookie" not in sent


async def test_slack_leaves_out_a_link_that_it_would_refuse(http, server):
    long = f"https://app.linkedapi.io/{'x' * 3000}"
    await build(slack, http, server.url).send(message(notification(link=long)))

    assert long not in server.requests[0].body.decode()


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (404, b"no_service", "HTTP 404: the webhook was removed or disabled; create a new one"),
        (410, b"channel_is_archived", "HTTP 410: the channel of this webhook is archived"),
        (403, b"who knows", "HTTP 403"),
    ],
)
async def test_slack_says_why_it_refuses(http, server, status, body, text):
    server.status(status, body=body)

    with pytest.raises(DeliveryError) as caught:
        await build(slack, http, server.url).send(message())

    assert str(caught.value) == text
    assert caught.value.permanent


async def test_redirects_are_not_followed(http, server):
    server.status(307, headers=(f"Location: {server.url}",))

    with pytest.raises(DeliveryError, match="HTTP 307"):
        await build(slack, http, server.url).send(message(notification(EventType.RESOLVED)))

    assert len(server.requests) == 1
