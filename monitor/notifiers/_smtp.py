"""One attempt to send a mail through an SMTP server, and what its end means.

Rules:
1. One attempt: the outbox repeats, nobody else.
2. A reply of 4xx may pass. One of 5xx to the content is said of this mail, any other (a login that
   is refused, an unknown sender or recipient) of the receiver.
3. What happens after the content began to leave is ambiguous, unless the server says what it did.
4. No error holds a word of the server's, which may name addresses, nor hangs on one that does.
"""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import closing
from enum import Enum
from pathlib import Path
from typing import Literal, Self

import aiosmtplib
from pydantic import Field, field_validator, model_validator

from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, MonitorError, Remedy
from monitor.core.secret import Secret

from . import ReceiverSettings, unanswered
from ._mail import ascii_domain, parse_ip

_AUTH_CODES = frozenset({530, 534, 535, 538})
_SERVER_CODES = _AUTH_CODES | {421}
"""What is said of the connection, whatever it answers."""


class _Step(Enum):
    """How far an attempt came, and what a refusal at this step means."""

    CONNECT = "the server takes no mail"
    LOGIN = "the login was refused"
    ADDRESSES = "the sender was refused"
    CONTENT = "the mail was refused"
    ACCEPTED = "refused"


class SmtpSettings(ReceiverSettings):
    """What every receiver has that is told by mail: the server that takes it."""

    host: str
    port: int = Field(default=587, ge=1, le=65535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: Path | None = None
    username: str | None = None
    password: Secret | None = None

    @field_validator("host")
    @classmethod
    def _is_host(cls, host: str) -> str:
        return host if parse_ip(host) else ascii_domain(host)

    @model_validator(mode="after")
    def _has_both_or_neither(self) -> Self:
        if self.username is not None and self.password is None:
            raise ValueError("needs password or password_file")
        if self.username is None and self.password is not None:
            raise ValueError("has a password but no username")
        return self


class SmtpServer:
    """A server that takes mail; each attempt is over within *timeout*."""

    def __init__(self, settings: SmtpSettings, *, timeout: Duration) -> None:
        self._settings = settings
        self._tls_context = _tls_context(settings)
        self._timeout = timeout.seconds

    async def send(
        self, mail: bytes, *, sender: str, recipients: Sequence[str]
    ) -> Mapping[str, int]:
        """Send *mail* to those who take it, once; return the codes by which others were refused.

        Raise DeliveryError if something else kept it from being accepted.
        """
        username, password = self._settings.username, self._settings.password
        step = _Step.CONNECT
        refusals: Mapping[str, int] = {}
        error: DeliveryError | None = None
        try:
            async with asyncio.timeout(self._timeout):
                with closing(self._client()) as smtp:
                    await smtp.connect()
                    if username and password:
                        step = _Step.LOGIN
                        await smtp.login(username, password.reveal())
                    step = _Step.ADDRESSES
                    await smtp.mail(sender)
                    refusals = await _add_recipients(smtp, recipients)
                    if len(refusals) < len(recipients):
                        step = _Step.CONTENT
                        await smtp.data(mail)
                    step = _Step.ACCEPTED
                    await smtp.quit()
        except DeliveryError as refused:
            error = refused
        except Exception as failure:  # noqa: BLE001 - its text may name addresses
            error = _to_error(failure, step)
        if error is not None and step is not _Step.ACCEPTED:
            raise error  # out here, so that no exception with an address hangs on it
        return refusals

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._settings.host,
            port=self._settings.port,
            use_tls=self._settings.tls == "tls",
            start_tls=self._settings.tls == "starttls",
            tls_context=self._tls_context,
            timeout=self._timeout,
        )


async def _add_recipients(smtp: aiosmtplib.SMTP, recipients: Sequence[str]) -> Mapping[str, int]:
    """Name the recipients; return the codes by which some were refused."""
    refusals = {}
    for recipient in recipients:
        try:
            await smtp.rcpt(recipient)
        except aiosmtplib.SMTPResponseException as refused:
            if refused.code in _SERVER_CODES:
                raise _refusal(
                    "the server takes no mail", refused.code, step=_Step.ADDRESSES
                ) from None
            refusals[recipient] = refused.code
    return refusals


def _tls_context(settings: SmtpSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except OSError as error:  # ssl.SSLError is one
            reason = error.strerror or "it holds no certificate"
            where = f"receiver {settings.name}: ca_file {settings.ca_file}"
            raise MonitorError(f"{where} cannot be used: {reason}") from None
    return context


def _to_error(failure: Exception, step: _Step) -> DeliveryError:
    if isinstance(failure, aiosmtplib.SMTPResponseException):
        return _refusal(step.value, failure.code, step=step)
    if step is _Step.CONTENT or isinstance(failure, OSError):  # TimeoutError is one
        if step is _Step.CONNECT and _is_untrusted(failure):
            text = "the certificate of the server is not trusted"
            return DeliveryError(text, reason=AttemptReason.NETWORK)
        late = isinstance(failure, TimeoutError)
        return unanswered("the connection broke off", sent=step is _Step.CONTENT, late=late)
    text, reason = f"the mail could not be sent: {type(failure).__name__}", AttemptReason.CLIENT
    if isinstance(failure, aiosmtplib.SMTPException) and step is _Step.LOGIN:
        text = "the server offers no login over this connection"
        reason = AttemptReason.AUTH
    elif isinstance(failure, aiosmtplib.SMTPException) and step is _Step.CONNECT:
        text = "the server offers no STARTTLS"
    # Once it knows us, all that can be wrong is how an address of this mail is written.
    remedy = Remedy.DROP if step is _Step.ADDRESSES else Remedy.MEND
    return DeliveryError(text, reason=reason, remedy=remedy)


def refusal(text: str, code: int) -> DeliveryError:
    """Say what a reply means that refuses us, or all recipients."""
    return _refusal(text, code, step=_Step.ADDRESSES)


def _refusal(text: str, code: int, *, step: _Step) -> DeliveryError:
    reason = AttemptReason.CLIENT if code >= 500 else AttemptReason.SERVER
    if step is _Step.LOGIN or code in _AUTH_CODES:
        reason = AttemptReason.AUTH
    remedy = Remedy.RETRY
    if code >= 500:
        is_content = step is _Step.CONTENT and reason is not AttemptReason.AUTH
        remedy = Remedy.DROP if is_content else Remedy.MEND
    return DeliveryError(f"{text} (SMTP {code})", reason=reason, remedy=remedy)


def _is_untrusted(failure: BaseException | None) -> bool:
    while failure is not None:
        if isinstance(failure, ssl.SSLCertVerificationError):
            return True
        failure = failure.__cause__ or failure.__context__
    return False
