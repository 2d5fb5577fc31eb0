"""One attempt to send a mail through an SMTP server, and what its end means.

Rules:
1. One attempt: the outbox repeats, nobody else. Each address of the server has its chance in it.
2. A reply of 4xx may pass. One of 5xx to the content is said of this mail, any other (a login that
   is refused, an unknown sender or recipient) of the receiver.
3. What happens after the content began to leave is ambiguous, unless the server says what it did.
4. Over a connection that is not encrypted anybody on the way can answer: a refusal is doubtful.
5. No error holds a word of the server's, which may name addresses, nor hangs on one that does.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address
from typing import Any, Final

import aiosmtplib
from aiohappyeyeballs import start_connection

from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.net.failure import explain
from monitor.net.tls import tls_context

from ._mail import ascii_domain, parse_ip
from ._smtp import SmtpSettings
from ._unanswered import unanswered

NEXT_ADDRESS: Final = 0.25
"""Seconds after which the next address of a server is tried beside the one before (RFC 8305)."""

QUIT_TIMEOUT: Final = 2.0
"""Seconds for a goodbye, which changes nothing any more."""

_AUTH_CODES: Final = frozenset({530, 534, 535, 538})
_SERVER_CODES: Final = _AUTH_CODES | {421}
"""What is said of the connection, whatever it answers."""

_NO_COMMAND: Final = frozenset({500, 502})

_STATUS: Final = re.compile(r"[45]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
"""What a reply may begin with (RFC 3463); its first figure says the same as the code."""

_RELAY: Final = (
    "; it takes OAuth and no password, which is not supported: use a relay that takes one"
)
_ADVICE: Final = {  # of Microsoft 365 and Google
    "5.7.139": _RELAY,
    "5.7.30": _RELAY,
    "5.7.9": "; it takes a password for this application only: make one",
}

_PLAIN: Final = "this port does not begin with TLS; tls: starttls may be what it takes"
_SILENT: Final = "it accepts connections and then says nothing; check the port"
_SILENT_PLAIN: Final = f"{_SILENT}: one that begins with TLS, as 465, needs tls: tls"


class _Step(Enum):
    """How far an attempt came: what a refusal at this step means, and what to do."""

    CONNECT = "", ""
    GREETING = "the server takes no mail", ""
    HELLO = "the server refused the name that it is greeted with", "; set hello to one it takes"
    TLS = "the server refused STARTTLS", ""
    LOGIN = "the login was refused", ""
    ADDRESSES = "the sender was refused", ""
    CONTENT = "the mail was refused", ""
    ACCEPTED = "refused", ""


_CONNECTING: Final = (_Step.CONNECT, _Step.GREETING, _Step.HELLO, _Step.TLS)


@dataclass(slots=True)
class _Progress:
    """How far an attempt came, and whether what is said is said by the server itself."""

    step: _Step = _Step.CONNECT
    is_encrypted: bool = False


class SmtpServer:
    """A server that takes mail; each attempt is over within the time that its settings give it."""

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._tls_context = tls_context(settings.ca_file, where=f"receiver {settings.name}")
        self._timeout = settings.timeout.seconds

    async def send(
        self, mail: bytes, *, sender: str, recipients: Sequence[str]
    ) -> Mapping[str, int]:
        """Send *mail* to those who take it, once; return the codes by which others were refused.

        Raise DeliveryError if something else kept it from being accepted.
        """
        progress = _Progress()
        refusals: Mapping[str, int] = {}
        error: DeliveryError | None = None
        domain = sender.rpartition("@")[2]
        try:
            async with asyncio.timeout(self._timeout), self._open(domain, progress) as smtp:
                await self._log_in(smtp, progress)
                progress.step = _Step.ADDRESSES
                await smtp.mail(sender)
                refusals = await _add_recipients(smtp, recipients)
                if len(refusals) < len(recipients):
                    progress.step = _Step.CONTENT
                    await smtp.data(mail)
                progress.step = _Step.ACCEPTED
                await smtp.quit(timeout=QUIT_TIMEOUT)
        except DeliveryError as refused:
            error = refused
        except Exception as failure:  # noqa: BLE001 - its text may name addresses
            error = _to_error(failure, progress.step, tls=self._settings.tls)
        if error is not None and progress.step is not _Step.ACCEPTED:
            error.doubtful = not progress.is_encrypted
            raise error  # out here, so that no exception with an address hangs on it
        return refusals

    @staticmethod
    def refusal(text: str, code: int) -> DeliveryError:
        """Say what a reply means that refuses us, or all recipients."""
        error = _refusal(_Step.ADDRESSES, code)
        error.message = f"{text} (SMTP {code})"
        return error

    @asynccontextmanager
    async def _open(self, domain: str, progress: _Progress) -> AsyncIterator[aiosmtplib.SMTP]:
        """Connect to the first address of the server that answers as it should."""
        addresses = await _addresses(self._settings.host, self._settings.port)
        smtp = None
        while smtp is None:
            progress.step = _Step.CONNECT
            sock = await start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS)
            peer = sock.getpeername()
            others = [address for address in addresses if address[4] != peer]
            addresses = others if len(others) < len(addresses) else []
            progress.step, progress.is_encrypted = _Step.GREETING, False
            try:
                async with asyncio.timeout(self._timeout / 3 if addresses else None):
                    smtp = await self._greet(sock, domain, progress)
            except (OSError, aiosmtplib.SMTPConnectResponseError):
                if not addresses:
                    raise
        try:
            yield smtp
        finally:
            smtp.close()

    async def _greet(
        self, sock: socket.socket, domain: str, progress: _Progress
    ) -> aiosmtplib.SMTP:
        """Make *sock* a connection that is ready for a login, encrypted as it has to be."""
        names = [self._settings.hello] if self._settings.hello else _own_names(sock, domain)
        smtp = aiosmtplib.SMTP(
            hostname=self._settings.host,
            sock=sock,
            local_hostname=names[0],  # else it would ask DNS
            use_tls=self._settings.tls == "tls",
            start_tls=False,
            tls_context=self._tls_context,
            timeout=self._timeout,
        )
        try:
            await smtp.connect()
            progress.step, progress.is_encrypted = _Step.HELLO, self._settings.tls == "tls"
            await _say_hello(smtp, names)
            if self._settings.tls == "starttls":
                progress.step = _Step.TLS
                await smtp.starttls()
                progress.step, progress.is_encrypted = _Step.HELLO, True
                await _say_hello(smtp, names)
        except BaseException:
            smtp.close()
            raise
        return smtp

    async def _log_in(self, smtp: aiosmtplib.SMTP, progress: _Progress) -> None:
        username, password = self._settings.username, self._settings.password
        if username is None or password is None:
            return
        progress.step = _Step.LOGIN
        if not smtp.supported_auth_methods:
            methods = [
                method.upper()
                for method in smtp.server_auth_methods
                if re.fullmatch("[a-z0-9-]{1,20}", method)
            ]
            text = "the server offers no login over this connection"
            if methods:
                text = (
                    f"the server takes no password, only {', '.join(sorted(methods)[:5])},"
                    " which is not supported; use a relay that takes one"
                )
            raise DeliveryError(text, reason=AttemptReason.AUTH, remedy=Remedy.MEND)
        await smtp.login(username, password.reveal())


async def _addresses(host: str, port: int) -> Sequence[Any]:
    """Look up where a server is; one that is given by address waits for no look-up of others."""
    if parse_ip(host):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    loop = asyncio.get_running_loop()
    return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _own_names(sock: socket.socket, domain: str) -> list[str]:
    """Return by which names this host may greet, the best first, without asking DNS.

    The name of the host if it is one of a domain, else its address; *domain* is the sender's.
    """
    names = []
    host = socket.gethostname()
    if "." in host and not host.startswith("localhost."):
        with suppress(ValueError):
            names.append(ascii_domain(host))
    address = parse_ip(sock.getsockname()[0].partition("%")[0])
    if address is not None:
        names.append(f"[IPv6:{address}]" if isinstance(address, IPv6Address) else f"[{address}]")
    return [*names, domain]


async def _say_hello(smtp: aiosmtplib.SMTP, names: Sequence[str]) -> None:
    """Greet the server by the first of *names* that it takes."""
    *others, last = names
    for name in others:
        with suppress(aiosmtplib.SMTPHeloError):
            await smtp.ehlo(hostname=name)
            return
    try:
        await smtp.ehlo(hostname=last)
    except aiosmtplib.SMTPHeloError as refused:
        if refused.code not in _NO_COMMAND:
            raise
        await smtp.helo(hostname=names[0])


async def _add_recipients(smtp: aiosmtplib.SMTP, recipients: Sequence[str]) -> Mapping[str, int]:
    """Name the recipients; return the codes by which some were refused."""
    refusals = {}
    for recipient in recipients:
        try:
            await smtp.rcpt(recipient)
        except aiosmtplib.SMTPResponseException as refused:
            if refused.code in _SERVER_CODES:
                raise _refusal(_Step.GREETING, refused.code, refused.message) from None
            refusals[recipient] = refused.code
    return refusals


def _to_error(failure: Exception, step: _Step, *, tls: str) -> DeliveryError:
    reply = failure if isinstance(failure, aiosmtplib.SMTPResponseException) else None
    if reply and (step is not _Step.CONTENT or reply.code >= 400):
        return _refusal(step, reply.code, reply.message)
    is_late = isinstance(failure, TimeoutError)
    if step is _Step.CONTENT:
        text = "the server's answer makes no sense" if reply else "the connection broke off"
        return unanswered(text, sent=True, late=is_late)
    if isinstance(failure, OSError) and step in _CONNECTING:  # TimeoutError is one
        why = _why_unreachable(failure, step, tls=tls)
        return unanswered("", sent=False, late=is_late, why=why)
    if isinstance(failure, OSError):
        text = "no answer in time" if is_late else "the connection broke off"
        text = f"{text}, before the mail was sent"
        return DeliveryError(text, reason=AttemptReason.NETWORK)
    if isinstance(failure, aiosmtplib.SMTPException) and step is _Step.TLS:
        text = "the server offers no STARTTLS; another port may (587), or one with tls: tls (465)"
        return DeliveryError(text, reason=AttemptReason.CLIENT, remedy=Remedy.MEND)
    # Once it knows us, all that can be wrong is how an address of this mail is written.
    return DeliveryError(
        f"the mail could not be sent: {type(failure).__name__}",
        reason=AttemptReason.CLIENT,
        remedy=Remedy.DROP if step is _Step.ADDRESSES else Remedy.MEND,
    )


def _why_unreachable(failure: BaseException, step: _Step, *, tls: str) -> str:
    if isinstance(failure, TimeoutError) and step is _Step.GREETING:
        return _SILENT if tls == "tls" else _SILENT_PLAIN
    while isinstance(failure, aiosmtplib.SMTPException) and failure.__cause__ is not None:
        failure = failure.__cause__
    return explain(failure, plain=_PLAIN)


def _refusal(step: _Step, code: int, words: str = "") -> DeliveryError:
    """Say what a reply means; of the server's own *words* the status in them is said."""
    text, advice = step.value
    match = _STATUS.match(words)
    status = match[0] if match else ""
    advice = _ADVICE.get(status, advice)
    reason = AttemptReason.CLIENT if code >= 500 else AttemptReason.SERVER
    if step is _Step.LOGIN or code in _AUTH_CODES or status in _ADVICE:
        reason = AttemptReason.AUTH
    remedy = Remedy.RETRY
    if code >= 500:
        is_content = step is _Step.CONTENT and reason is not AttemptReason.AUTH
        remedy = Remedy.DROP if is_content else Remedy.MEND
    reply = f"SMTP {code} {status}".rstrip() if code >= 200 else "an answer that is not SMTP"
    return DeliveryError(f"{text} ({reply}){advice}", reason=reason, remedy=remedy)
