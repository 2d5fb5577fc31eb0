"""Real servers on the loopback that notifiers talk to in tests."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpReceiver:
    """Takes POST requests; *answer* says what comes back: bytes, or one of the ways to break."""

    answer: bytes | str = b""
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hooks/T00/B00/s3cr3t"

    def status(self, code, *, body=b"", headers=()):
        common = (f"Content-Length: {len(body)}", "Connection: close")
        lines = [f"HTTP/1.1 {code} Whatever", *common, *headers, "", ""]
        self.answer = "\r\n".join(lines).encode() + body

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            headers = {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append(Request(first.split()[1], headers, body))
            if self.answer == "hang":
                await reader.read()
            elif self.answer == "reset":
                writer.write(b"HTTP/1.1 200 O")
                await writer.drain()
                linger = b"\1\0\0\0\0\0\0\0"
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            elif self.answer != "close":
                writer.write(self.answer)
                await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def running(self):
        if not self.answer:
            self.status(200, body=b"ok")
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


class Inbox:
    """What a mail server does with what comes: keeps it, or answers as told."""

    def __init__(self):
        self.mails = []
        self.recipients = []
        self.logins = []
        self.replies = {}
        self.break_off = False
        self.hang = False

    async def handle_MAIL(self, _server, _session, envelope, address, _options):  # noqa: N802
        if "mail" in self.replies:
            return self.replies["mail"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802
        reply = self.replies.get(address) or self.replies.get("rcpt") or "250 OK"
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


class MailServer:
    """A real SMTP server; *tls* is none, starttls or tls, *password* what `ops` logs in with."""

    def __init__(self, *, tls="none", certificate=None, password=None, auth_reply=None):
        self.inbox = Inbox()
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.cert, certificate.key)

        def authenticate(_server, _session, _envelope, _mechanism, data):
            if auth_reply:
                return AuthResult(success=False, handled=False, message=auth_reply)
            self.inbox.logins.append(data.login.decode())
            good = data.login == b"ops" and data.password == password.encode()
            return AuthResult(success=good, handled=False)

        options = {
            "tls_context": context if tls == "starttls" else None,
            "require_starttls": tls == "starttls",
            "authenticator": authenticate if password else None,
            "auth_require_tls": False,
            "hostname": "127.0.0.1",
        }

        class Local(Controller):
            def factory(self):
                return SMTP(self.handler, **options)

        sock = socket.create_server(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        sock.close()
        self._controller = Local(
            self.inbox,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=context if tls == "tls" else None,
        )

    def __enter__(self):
        self._controller.start()
        return self

    def __exit__(self, *exc):
        self._controller.stop()


@dataclass
class Certificate:
    cert: str
    key: str


def make_certificate(folder):
    """Make a certificate for 127.0.0.1 that is its own authority."""
    made = Certificate(str(folder / "cert.pem"), str(folder / "key.pem"))
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", made.key, "-out", made.cert),
        ],
        check=True,
        capture_output=True,
    )
    return made


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]
