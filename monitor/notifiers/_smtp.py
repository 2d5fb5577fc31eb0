"""One attempt to send a mail through an SMTP server, and what its end means.

Rules:
1. One attempt: the outbox repeats, nobody else.
2. A reply of 4xx may pass, one of 5xx is for good.
3. What happens after the content began to leave is ambiguous, unless the server says what it did.
4. No error holds a word of the server's, which may name addresses, nor hangs on one that does.
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import aiosmtplib
import structlog

from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.secret import Secret

_AUTH_CODES = frozenset({530, 534, 535, 538})

log = structlog.get_logger("notifiers.smtp")


class _Step(IntEnum):
    CONNECT = 1
    LOGIN = 2
    ADDRESSES = 3
    CONTENT = 4
    ACCEPTED = 5


_REFUSALS = {
    _Step.CONNECT: "the server takes no mail",
    _Step.LOGIN: "the login was refused",
    _Step.ADDRESSES: "the sender was refused",
    _Step.CONTENT: "the mail was refused",
}


class _Progress:
    """How far an attempt came."""

    step = _Step.CONNECT


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """A server that takes mail, and how to log in to it; *receiver* names it in the log."""

    host: str
    port: int
    implicit_tls: bool
    starttls: bool
    tls_context: ssl.SSLContext
    username: str | None
    password: Secret | None
    timeout: Duration
    receiver: str

    async def send(self, mail: bytes, *, sender: str, recipients: Sequence[str]) -> None:
        """Send *mail*, once; raise DeliveryError unless it was accepted for somebody."""
        progress = _Progress()
        error: DeliveryError | None = None
        try:
            async with asyncio.timeout(self.timeout.seconds):
                await self._exchange(mail, sender, recipients, progress)
        except DeliveryError as refusal:
            error = refusal
        except Exception as failure:  # noqa: BLE001 - its text may name addresses
            error = _to_error(failure, progress.step)
        if error is not None and progress.step is not _Step.ACCEPTED:
            raise error  # out here, so that no exception with an address hangs on it

    async def _exchange(
        self, mail: bytes, sender: str, recipients: Sequence[str], progress: _Progress
    ) -> None:
        smtp = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            use_tls=self.implicit_tls,
            start_tls=self.starttls,
            tls_context=self.tls_context,
            timeout=self.timeout.seconds,
        )
        try:
            await smtp.connect()
            if self.username and self.password:
                progress.step = _Step.LOGIN
                await smtp.login(self.username, self.password.reveal())
            progress.step = _Step.ADDRESSES
            await smtp.mail(sender)
            await self._add_recipients(smtp, recipients)
            progress.step = _Step.CONTENT
            await smtp.data(mail)
            progress.step = _Step.ACCEPTED
            await smtp.quit()
        finally:
            smtp.close()

    async def _add_recipients(self, smtp: aiosmtplib.SMTP, recipients: Sequence[str]) -> None:
        """Name the recipients; raise DeliveryError only if the server takes none of them."""
        codes = []
        for recipient in recipients:
            try:
                await smtp.rcpt(recipient)
            except aiosmtplib.SMTPResponseException as refusal:
                codes.append(refusal.code)
        if len(codes) == len(recipients):
            raise _refusal("no recipient was accepted", min(codes))
        if codes:
            log.warning("some recipients were refused", receiver=self.receiver, codes=sorted(codes))


def _to_error(failure: Exception, step: _Step) -> DeliveryError:
    if isinstance(failure, aiosmtplib.SMTPResponseException):
        return _refusal(_REFUSALS.get(step, "refused"), failure.code, login=step is _Step.LOGIN)
    late = isinstance(failure, TimeoutError)
    if step is _Step.CONTENT:
        text = "no answer in time" if late else "the connection broke off"
        reason = AttemptReason.TIMEOUT if late else AttemptReason.NETWORK
        return DeliveryError(f"{text}; it may have arrived", reason=reason, ambiguous=True)
    if isinstance(failure, OSError):  # TimeoutError is one
        text = "could not be reached" + (" in time" if late else "")
        if _is_untrusted(failure):
            text = "the certificate of the server is not trusted"
        return DeliveryError(text, reason=AttemptReason.NETWORK)
    return _unsupported(failure, step)


def _unsupported(failure: Exception, step: _Step) -> DeliveryError:
    """Say what the server cannot do, or what failed here."""
    text, reason = f"the mail could not be sent: {type(failure).__name__}", AttemptReason.CLIENT
    if isinstance(failure, aiosmtplib.SMTPException) and step is _Step.LOGIN:
        text = "the server offers no login over this connection"
        reason = AttemptReason.AUTH
    elif isinstance(failure, aiosmtplib.SMTPException) and step is _Step.CONNECT:
        text = "the server offers no STARTTLS"
    return DeliveryError(text, reason=reason, permanent=True)


def _refusal(text: str, code: int, *, login: bool = False) -> DeliveryError:
    permanent = code >= 500
    reason = AttemptReason.CLIENT if permanent else AttemptReason.SERVER
    if login or code in _AUTH_CODES:
        reason = AttemptReason.AUTH
    return DeliveryError(f"{text} (SMTP {code})", reason=reason, permanent=permanent)


def _is_untrusted(failure: BaseException | None) -> bool:
    while failure is not None:
        if isinstance(failure, ssl.SSLCertVerificationError):
            return True
        failure = failure.__cause__ or failure.__context__
    return False
