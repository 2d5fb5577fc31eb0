"""A notifier by HTTP: one request a message, and what its end means.

Rules:
1. One attempt: the outbox repeats, nobody else.
2. 2xx is accepted. 408, 425, 429 and 5xx may pass. 400, 409, 413 and 422 are said of the message,
   everything else of the receiver, unless the text of the refusal says more.
3. A request of which anything left and that got no status is ambiguous: it may have arrived.
4. No error holds an address, a header or a body, nor hangs on an exception that does.
"""

import asyncio
import contextlib
import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Generic, TypeVar

import httpx
from pydantic import field_validator

from monitor import __version__
from monitor.core.backoff import retry_after
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.model import Message, Micros
from monitor.core.receipt import Receipt
from monitor.core.secret import Secret
from monitor.core.url import split_web_url
from monitor.net.failure import connect_failure

from . import Notifier, ReceiverSettings, unanswered

MAX_ERROR_BODY: Final = 64 * 1024
"""How many bytes of a refusal are read."""

MAX_RETRY_AFTER: Final = Duration.parse("1h")

_RETRYABLE: Final = frozenset({408, 425, 429})
_OF_THE_MESSAGE: Final = frozenset({400, 409, 413, 422})


class HttpSettings(ReceiverSettings):
    """What every receiver has that is told by HTTP: an address, which is a secret."""

    url: Secret

    @property
    def urls(self) -> tuple[Secret, ...]:
        """The one address."""
        return (self.url,)

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: Secret) -> Secret:
        with contextlib.suppress(httpx.InvalidURL):
            httpx.URL(value.reveal())
            if split_web_url(value.reveal()) is not None:
                return value
        raise ValueError("must be an address that starts with https:// (or http://)")


@dataclass(frozen=True, slots=True)
class Request:
    """What to post: JSON to *url*, with *headers* besides those that every request has."""

    url: Secret
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def to_json(value: Any) -> bytes:
    """Write *value* as the body of a request."""
    return json.dumps(value, separators=(",", ":")).encode()


S = TypeVar("S", bound=ReceiverSettings)


class HttpNotifier(Notifier, Generic[S]):
    """Posts what a type of receiver makes of a message: all that a type adds is `request`.

    *advice* says what the texts mean that its vendor answers refusals with, and what to do.
    """

    settings: S
    advice: ClassVar[Mapping[str, tuple[Remedy, str]]] = {}

    @abstractmethod
    def request(self, message: Message) -> Request:
        """Write *message* as its receiver wants it, from the settings and the time zone alone."""

    async def send(self, message: Message) -> Receipt:
        """Post *message*, once; raise DeliveryError if it was not accepted."""
        request = self.request(message)
        body = _TrackedBody(request.body)
        error: DeliveryError | None
        try:
            async with asyncio.timeout(self.timeout.seconds):
                error = await self._exchange(request, body, now=message.now)
        except Exception as failure:  # noqa: BLE001 - transports let exceptions of their own through
            late = isinstance(failure, TimeoutError)
            why = connect_failure(failure) or ""
            error = unanswered("no answer", sent=body.sent, late=late, why=why)
        if error is not None:
            raise error  # out here, so that no exception with the address hangs on it
        return Receipt()

    async def _exchange(
        self, request: Request, body: "_TrackedBody", *, now: Micros
    ) -> DeliveryError | None:
        headers = {
            "user-agent": f"linkedapi-monitor/{__version__}",
            **request.headers,
            "content-type": "application/json",
            "content-length": str(len(body.content)),
            "accept-encoding": "identity",
        }
        address = request.url.reveal()
        outgoing = self.http.build_request("POST", address, content=body, headers=headers)
        response = await self.http.send(outgoing, stream=True, follow_redirects=False)
        try:
            if response.is_success:
                return None
            text = await _read_error(response) if self.advice else ""
            return _refused(response, now=now, advice=self.advice.get(text))
        finally:
            with contextlib.suppress(Exception):  # the status counts, not how the connection ended
                await response.aclose()


class _TrackedBody:
    """A body that remembers whether it was asked for: from then on the request may arrive.

    That is all a transport has to tell us; their exceptions do not (that of aiohttp calls a
    connection that broke off a `ConnectTimeout`).
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.sent = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.sent = True
        yield self.content


async def _read_error(response: httpx.Response) -> str:
    """Return the beginning of a refusal; its status is known, so this can't fail."""
    body = b""
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > MAX_ERROR_BODY:
                break
    except Exception:  # noqa: BLE001 - half a text gives no advice
        return ""
    return body[:MAX_ERROR_BODY].decode("utf-8", "replace").strip()


def _refused(
    response: httpx.Response, *, now: Micros, advice: tuple[Remedy, str] | None
) -> DeliveryError:
    status = response.status_code
    by_status = Remedy.DROP if status in _OF_THE_MESSAGE else Remedy.MEND
    remedy, what_to_do = advice or (by_status, "")
    text = f"HTTP {status}" + (f": {what_to_do}" if what_to_do else "")
    if status in _RETRYABLE or status >= 500:
        wait = response.headers.get("retry-after", "")
        return DeliveryError(
            text,
            reason=AttemptReason.RATE_LIMITED if status == 429 else AttemptReason.SERVER,
            retry_after=retry_after(wait, now=now, limit=MAX_RETRY_AFTER),
        )
    reason = AttemptReason.AUTH if status in (401, 403) else AttemptReason.CLIENT
    return DeliveryError(text, reason=reason, remedy=remedy)
