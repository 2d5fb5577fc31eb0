"""Notifiers in front of real servers on the loopback, and what arrived there."""

import asyncio
import contextlib
import importlib
import json
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from functools import partial
from typing import Any

import structlog
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from slack_sdk.models.blocks import Block
from standardwebhooks import Webhook

from harness.program import free_port
from harness.raw_server import RawServer, http, tls_context
from monitor import notifiers
from monitor.core.duration import Duration
from monitor.core.render import Style
from monitor.net.proxy import Proxies
from monitor.notifiers import email
from monitor.notifiers._http import HttpSettings

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SECRETS = ("s3cr3t", KEY.removeprefix("whsec_"))
"""What stands in the settings of the receivers here and nowhere else."""

BILLING = "https://app.linkedapi.io"
PATH = "/hooks/T00/B00/s3cr3t"
TIMEOUT = Duration.parse("2s")


def mail_settings(**values):
    """The settings of a receiver that is told by mail, by a server on the loopback."""
    address = {"from": "Monitor <monitor@example.com>", "to": ["ops@example.com"]}
    server = {"host": "127.0.0.1", "tls": "none"}
    return email.Settings.model_validate(
        {"name": "mail", "type": "email", **server, **address, **values}
    )


class Inbox:
    """What a mail server does with what comes: keeps it, or answers as told."""

    def __init__(self):
        self.mails = []
        self.recipients = []
        self.logins = []
        self.replies = {}
        self.hellos = []
        self.answer_ehlo = lambda _name, lines: lines
        self.break_off = False
        self.hang = False

    async def handle_EHLO(self, _server, session, _envelope, name, responses):  # noqa: N802
        self.hellos.append(name)
        session.host_name = name
        return self.answer_ehlo(name, responses)

    async def handle_HELO(self, _server, session, _envelope, name):  # noqa: N802
        self.hellos.append(name)
        session.host_name = name
        return self.replies.get("helo", "250 mail.example.com")

    async def handle_MAIL(self, _server, _session, envelope, address, _options):  # noqa: N802
        if "mail" in self.replies:
            return self.replies["mail"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, _session, envelope, address, _options):  # noqa: N802
        reply = self.replies.get(address) or self.replies.get("rcpt") or "250 OK"
        if reply == "abort":
            server.transport.abort()
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server, _session, envelope):  # noqa: N802
        if self.break_off:
            server.transport.abort()
            return "250 too late"
        if self.hang:
            await asyncio.sleep(3600)
        if "data" in self.replies:
            return self.replies["data"]
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 taken"

    async def handle_QUIT(self, _server, _session, _envelope):  # noqa: N802
        if self.replies.get("quit") == "hang":
            await asyncio.sleep(3600)
        return self.replies.get("quit", "221 Bye")


class MailServer:
    """A real SMTP server; *tls* is none, starttls or tls, *password* what `ops` logs in with.

    *options* are those of aiosmtpd.
    """

    def __init__(
        self, *, tls="none", password=None, auth_reply=None, certificate="localhost.pem", **options
    ):
        self.inbox = Inbox()
        context = None if tls == "none" else tls_context(certificate)

        def authenticate(_server, _session, _envelope, _mechanism, data):
            if auth_reply:
                return AuthResult(success=False, handled=False, message=auth_reply)
            self.inbox.logins.append(data.login.decode())
            is_valid = data.login == b"ops" and data.password == password.encode()
            return AuthResult(success=is_valid, handled=False)

        self.port = free_port()
        self._controller = Controller(
            self.inbox,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=context if tls == "tls" else None,
            server_hostname="127.0.0.1",
            tls_context=context if tls == "starttls" else None,
            require_starttls=tls == "starttls",
            authenticator=authenticate if password else None,
            auth_require_tls=password is None,  # and without TLS no login is offered
            enable_SMTPUTF8=False,
            **options,
        )

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *exc):
        self._controller.stop()


@contextlib.contextmanager
def dead_address(address, port):
    """Let a port of an *address* of ours give connections no answer: its backlog is full."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(family))
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket(family))
            client.settimeout(0)
            client.connect_ex((address, port))
        yield


# ── a receiver of each type ──────────────────────────────────────────────────────────────────────


@dataclass
class ReceiverHarness:
    """A notifier of the type *kind* in front of a real server (`log` has none)."""

    kind: str
    settings: Any
    notifier: Any
    server: Any
    received: list

    async def send(self, message):
        """Send *message*; return what arrived, which its vendor would take."""
        await self.notifier.send(message)
        delivery = self.received[-1]
        CHECKS[self.kind](delivery)
        return delivery


@contextlib.asynccontextmanager
async def receiver(kind, **changes):
    """Run a server for the type *kind* and a notifier that sends to it; *changes* are settings."""
    assert {kind} <= SERVERS.keys() & CHECKS.keys(), f"give {kind} a server and a check here"
    module = importlib.import_module(f"monitor.notifiers.{kind}")
    client = notifiers.open_http(Proxies({}))
    async with client, SERVERS[kind]() as (server, values, received):
        settings = module.Settings.model_validate(
            {"name": "ops", "type": kind, "timeout": TIMEOUT, **values, **changes}
        )
        style = Style(timezone=settings.timezone or "UTC", billing_url=BILLING)
        notifier = module.Notifier(settings, http=client, style=style)
        yield ReceiverHarness(kind, settings, notifier, server, received)


@contextlib.asynccontextmanager
async def _http_server(**settings):
    async with RawServer(http(200, b"ok")) as server:
        yield server, {"url": f"{server.url}{PATH}", **settings}, server.requests


@contextlib.asynccontextmanager
async def _mail_server():
    with MailServer() as server:
        addresses = {"from": "monitor@example.com", "to": ["ops@example.com"]}
        settings = {"host": "127.0.0.1", "port": server.port, "tls": "none", **addresses}
        yield server, settings, server.inbox.mails


@contextlib.asynccontextmanager
async def _own_log():
    with structlog.testing.capture_logs() as lines:
        yield None, {}, lines


SERVERS = {
    "email": _mail_server,
    "log": _own_log,
    "slack": _http_server,
    "webhook": partial(_http_server, secret=KEY),
}
HTTP = tuple(
    kind
    for kind in notifiers.notifier_types()
    if issubclass(notifiers.settings_type(kind), HttpSettings)
)


def as_text(delivery):
    """Everything that a receiver got, decoded."""
    if hasattr(delivery, "get_body"):
        parts = [delivery.get_body((kind,)).get_content() for kind in ("plain", "html")]
        return "\n".join([*(f"{name}: {value}" for name, value in delivery.items()), *parts])
    if hasattr(delivery, "body"):
        return json.dumps(json.loads(delivery.body), ensure_ascii=False)
    return json.dumps(delivery, ensure_ascii=False)


# ── what its vendor would take ───────────────────────────────────────────────────────────────────


def check_slack(request):
    body = json.loads(request.body)
    assert len(body["blocks"]) <= 50
    assert len(body["text"]) <= 3000
    assert "<!" not in body["text"]
    for block in body["blocks"]:
        parsed = Block.parse(block)
        assert parsed is not None
        assert parsed.to_dict()["type"] == block["type"]
    for part in _parts(body["blocks"]):
        if part.get("type") == "mrkdwn":
            assert re.fullmatch(r"<@[UW][A-Z0-9]+>( <@[UW][A-Z0-9]+>)*", part["text"])


def _parts(value):
    """Every object within *value*."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _parts(item)


def check_mail(mail):
    allowed = {
        *("from", "to", "subject", "date", "message-id", "in-reply-to", "references"),
        *("thread-index", "auto-submitted", "x-auto-response-suppress"),
        *("mime-version", "content-type"),
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


def check_webhook(request):
    assert set(json.loads(request.body)) == {"type", "timestamp", "data"}
    headers = request.headers
    sent_at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    signature = Webhook(KEY).sign(headers["webhook-id"], sent_at, request.body.decode())
    assert headers["webhook-signature"] == signature


CHECKS = {"email": check_mail, "log": json.dumps, "slack": check_slack, "webhook": check_webhook}
