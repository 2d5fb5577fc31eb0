"""What every notifier keeps, whatever its type: a new one needs a stage here and nothing else."""

import contextlib
import json
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import structlog
from factories import LINK, NOON
from httpx_aiohttp import AiohttpTransport
from notifiers.items import HOSTILE, account, every_item, item, message
from notifiers.servers import HttpReceiver, MailServer, closed_port
from slack_sdk.models.blocks import Block

from monitor import notifiers
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.model import Cause, EventType, Resolution, Status
from monitor.notifiers import email, log, slack, webhook

MODULES = {"email": email, "log": log, "slack": slack, "webhook": webhook}
TYPES = notifiers.notifier_types()
GROUPS = [kind for kind in TYPES if MODULES[kind].Notifier.groups]
PATIENCE = Duration.parse("1s")
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRETS = ("s3cr3t", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "hunter2hunter2")


@dataclass
class Stage:
    """A notifier in front of a real server, and what arrived there."""

    notifier: Any
    server: Any
    received: Any
    check: Any
    secrets: tuple[str, ...] = SECRETS

    async def tell(self, told):
        await self.notifier.send(told)
        one = self.received()[-1]
        self.check(one)
        return one


def check_slack(request):
    body = json.loads(request.body)
    assert len(body["blocks"]) <= 50
    assert len(body["text"]) <= 3000
    assert "<!" not in body["text"]
    for block in body["blocks"]:
        parsed = Block.parse(block)
        assert parsed is not None
        assert parsed.to_dict()["type"] == block["type"]
    hidden = json.dumps([x for x in walk(body["blocks"]) if x.get("type") == "mrkdwn"])
    assert not any(mark in hidden for mark in ("<!", "<@", "@here", "evil"))


def walk(value):
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from walk(one)


def check_mail(mail):
    allowed = {
        *("from", "to", "subject", "date", "message-id", "in-reply-to", "references"),
        *("auto-submitted", "x-auto-response-suppress", "mime-version", "content-type"),
        *("x-peer", "x-mailfrom", "x-rcptto"),
    }
    assert {name.lower() for name in mail.keys()} <= allowed  # noqa: SIM118 - may repeat
    assert len(mail["subject"]) <= 125
    assert not mail.defects
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "<script" not in html
    assert "<img" not in html
    assert "{{" not in html.replace("{{ 7*7 }}", "")
    assert "\u202e" not in text + html


def check_json(request):
    body = json.loads(request.body)
    assert set(body) == {"type", "timestamp", "data"}
    request.body.decode()


@contextlib.asynccontextmanager
async def http_client():
    transport = AiohttpTransport(verify=False)  # no certificates to load, there is no TLS
    async with httpx.AsyncClient(transport=transport, timeout=None) as http:
        yield http


@contextlib.asynccontextmanager
async def staged_http(kind, check, **settings):
    async with HttpReceiver().running() as server, http_client() as http:
        module = MODULES[kind]
        made = module.Settings(name="ops", type=kind, url=server.url, **settings)
        notifier = module.Notifier(made, http=http, timezone="UTC", timeout=PATIENCE)
        yield Stage(notifier, server, lambda: server.requests, check)


def staged_slack():
    return staged_http("slack", check_slack)


def staged_webhook():
    return staged_http("webhook", check_json, secret=KEY)


@contextlib.asynccontextmanager
async def staged_email():
    with MailServer() as server:
        settings = email.Settings.model_validate(
            {
                "name": "ops",
                "type": "email",
                "host": "127.0.0.1",
                "port": server.port,
                "tls": "none",
                "from": "monitor@example.com",
                "to": ["ops@example.com"],
            }
        )
        async with http_client() as http:
            notifier = notifiers.build(settings, http=http, timezone="UTC")
            yield Stage(notifier, server, lambda: server.inbox.mails, check_mail)


@contextlib.asynccontextmanager
async def staged_log():
    settings = log.Settings(name="ops", type="log")
    async with http_client() as http:
        notifier = notifiers.build(settings, http=http, timezone="UTC")
        with structlog.testing.capture_logs() as lines:
            yield Stage(notifier, None, lambda: lines, lambda line: json.dumps(line).encode())


STAGES = {
    "slack": staged_slack,
    "webhook": staged_webhook,
    "email": staged_email,
    "log": staged_log,
}
HTTP = ("slack", "webhook")


def shown(one):
    """Everything a receiver got, decoded, as one text."""
    if hasattr(one, "get_body"):
        parts = [one.get_body((kind,)).get_content() for kind in ("plain", "html")]
        return "\n".join([*(f"{key}: {value}" for key, value in one.items()), *parts])
    if hasattr(one, "body"):
        return json.dumps(json.loads(one.body), ensure_ascii=False)
    return json.dumps(one, ensure_ascii=False)


@pytest.fixture(params=TYPES)
async def stage(request):
    async with STAGES[request.param]() as staged:
        staged.kind = request.param
        yield staged


@pytest.fixture(params=GROUPS)
async def group_stage(request):
    async with STAGES[request.param]() as staged:
        yield staged


@pytest.fixture(params=HTTP)
async def http_stage(request):
    async with STAGES[request.param]() as staged:
        yield staged


def test_every_type_has_a_stage():
    assert set(TYPES) == set(STAGES)


async def test_an_opening_arrives_with_name_and_link(stage):
    one = shown(await stage.tell(message()))

    assert "Jane Doe" in one
    assert (LINK in one) is (stage.kind != "log")


async def test_a_resolution_arrives_with_its_duration(stage):
    one = shown(await stage.tell(message(item(EventType.RESOLVED))))

    duration = {"webhook": '"duration_seconds": 7500'}
    assert duration.get(stage.kind, "2 h 5 min") in one
    assert LINK not in one


async def test_everything_that_can_happen_arrives(stage):
    for told in every_item():
        one = shown(await stage.tell(message(told)))

        assert (LINK in one) is (told.link is not None and stage.kind != "log")
        assert "None" not in one
        assert not any(secret in one for secret in stage.secrets)


@pytest.mark.row(12)
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("event", [EventType.OPENED, EventType.RESOLVED])
async def test_a_hostile_name_is_harmless(stage, name, event):
    person = account(name, raw_status=name, url=name)
    told = item(event, one=person, labels={"owner": name}, undelivered_to=name)

    one = await stage.tell(message(told))

    if hasattr(one, "get_body"):
        assert not {"bcc", "reply-to"} & {header.lower() for header in one}
        assert one["subject"].endswith("(acme)")
        assert one.get_body(("html",)) is not None
    if stage.kind != "webhook":
        assert not set(shown(one)) & set("\x00\x1b\u202e\u200b\u2067")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_name_in_a_group_is_harmless(group_stage, name):
    people = [account(name, id_=str(index)) for index in range(3)]

    await group_stage.tell(message(*(item(one=person) for person in people)))


@pytest.mark.row(19)
async def test_a_group_of_a_thousand_is_bounded(group_stage):
    frozen = [
        item(
            cause=Cause.FROZEN,
            one=account("N" * 80, id_=f"{index}-{'i' * 80}", status=Status.FROZEN),
        )
        for index in range(997)
    ]

    one = shown(await group_stage.tell(message(*[item() for _ in range(3)], *frozen)))

    assert len(one) < 30_000
    assert "subscription" in one
    assert "and 980 more" in one


async def test_a_group_of_every_kind_at_once_keeps_its_limits(group_stage):

    await group_stage.tell(message(*every_item()))


async def test_a_repeat_carries_the_same_id(stage):
    first = await stage.tell(message())
    again = await stage.tell(message(now=NOON + 60_000_000))

    if hasattr(first, "get_body"):
        assert first["message-id"] == again["message-id"]
    if stage.kind == "webhook":
        assert first.headers["webhook-id"] == again.headers["webhook-id"] == message().id


# ── what the answers of HTTP servers mean ────────────────────────────────────────────────────────


def expected(status):
    if status < 300:
        return None
    if status == 429:
        return (AttemptReason.RATE_LIMITED, False)
    if status in (408, 425) or status >= 500:
        return (AttemptReason.SERVER, False)
    return (AttemptReason.AUTH if status in (401, 403) else AttemptReason.CLIENT, True)


async def attempt(staged):
    """Return how an attempt failed (None: it didn't), sure that nothing secret is in it."""
    try:
        await staged.notifier.send(message())
    except DeliveryError as caught:
        error = caught
    else:
        return None
    told = repr((error, error.__cause__, error.__context__, vars(error)))
    assert not any(secret in told for secret in (*staged.secrets, "127.0.0.1", LINK, "Jane"))
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


async def test_every_status_means_what_it_should(http_stage):
    for status in range(200, 600):
        http_stage.server.status(status, headers=("Location: /elsewhere", "Retry-After: 7"))

        error = await attempt(http_stage)

        assert (error and (error.reason, error.permanent)) == expected(status), status
        assert not (error and error.ambiguous)
        waits = error is not None and not error.permanent
        assert (error.retry_after if error else None) == (7_000_000 if waits else None)
    assert {request.path for request in http_stage.server.requests} == {"/hooks/T00/B00/s3cr3t"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        ("soon", None),
        ("999999", 3600),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90),
    ],
)
async def test_what_asks_for_patience_gets_it_within_reason(http_stage, value, seconds):
    http_stage.server.status(429, headers=(f"Retry-After: {value}",))

    error = await attempt(http_stage)

    assert error.retry_after == (seconds * 1_000_000 if seconds else None)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("hang", AttemptReason.TIMEOUT),
        ("reset", AttemptReason.NETWORK),
        ("close", AttemptReason.NETWORK),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", AttemptReason.NETWORK),
    ],
)
async def test_no_answer_to_a_request_that_left_is_ambiguous(http_stage, answer, reason):
    http_stage.server.answer = answer

    error = await attempt(http_stage)

    assert (error.reason, error.ambiguous, error.permanent) == (reason, True, False)


async def test_a_huge_answer_is_not_read_whole(http_stage):
    http_stage.server.status(400, body=b"x" * 50_000_000)

    error = await attempt(http_stage)

    assert str(error) == "HTTP 400"


@pytest.mark.parametrize("kind", HTTP)
async def test_a_dead_http_server_is_no_ambiguity(kind):
    url = f"http://127.0.0.1:{closed_port()}/s3cr3t"
    extra = {"secret": KEY} if kind == "webhook" else {}
    settings = notifiers.settings_type(kind)(name="ops", type=kind, url=url, **extra)
    async with http_client() as http:
        staged = Stage(notifiers.build(settings, http=http, timezone="UTC"), None, list, id)

        error = await attempt(staged)

    assert (error.reason, error.ambiguous) == (AttemptReason.NETWORK, False)
    assert not any(secret in repr(settings) for secret in SECRETS)


async def test_resolutions_of_all_kinds_say_how_it_ended(stage):
    told = [
        shown(await stage.tell(message(item(EventType.RESOLVED, resolution=one))))
        for one in Resolution
    ]

    assert len(set(told)) == len(Resolution)


async def test_the_fallback_learns_who_could_not_be_told(stage):
    one = shown(await stage.tell(message(replace(item(), undelivered_to="ops-slack"))))

    assert ("ops-slack" in one) is (stage.kind != "webhook")  # no place in its contract
