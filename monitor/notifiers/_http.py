"""One attempt to hand something over by HTTP, and what its end means.

Rules:
1. One attempt: the outbox repeats, nobody else.
2. 2xx is accepted. 408, 425, 429 and 5xx may pass; everything else is for good.
3. A request of which anything left and that got no status is ambiguous: it may have arrived.
4. No error holds an address, a header or a body, nor hangs on an exception that does.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx
from pydantic import field_validator

from monitor import __version__
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.model import Micros
from monitor.core.retry_after import retry_after
from monitor.core.secret import Secret

from . import ReceiverSettings

LONGEST_BODY: Final = 64 * 1024
LONGEST_WAIT: Final = Duration.parse("1h")
LONGEST_ATTEMPT: Final = Duration.parse("10s")

_TRY_AGAIN: Final = frozenset({408, 425, 429})


class HttpSettings(ReceiverSettings):
    """What every receiver has that is told by HTTP: an address, which is a secret."""

    url: Secret

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: Secret) -> Secret:
        try:
            httpx.URL(value.reveal())
            parts = urlsplit(value.reveal())
            usable = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
        except (ValueError, httpx.InvalidURL):
            usable = False
        if not usable:
            raise ValueError("must be an address that starts with https:// (or http://)")
        return value


class _Outgoing:
    """A body that remembers whether it was asked for: from then on the request may arrive.

    That is all a transport has to tell us; their exceptions do not (that of aiohttp calls a
    connection that broke off a `ConnectTimeout`).
    """

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.left = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.left = True
        yield self.body


async def post(
    http: httpx.AsyncClient,
    url: Secret,
    body: bytes,
    *,
    headers: Mapping[str, str],
    now: Micros,
    timeout: Duration,  # noqa: ASYNC109 - it ends as our own error
    hints: Mapping[str, str] | None = None,
) -> None:
    """Post *body* as JSON to *url*; raise DeliveryError if it was not accepted.

    *hints* say what to do about words that this kind of receiver answers with.
    """
    outgoing = _Outgoing(body)
    error: DeliveryError | None
    try:
        async with asyncio.timeout(timeout.seconds):
            error = await _exchange(http, url, outgoing, headers, now=now, hints=hints or {})
    except TimeoutError:
        error = _unanswered("no answer in time", left=outgoing.left, late=True)
    except Exception as failure:  # noqa: BLE001 - transports let exceptions of their own through
        connecting = isinstance(failure, httpx.ConnectTimeout)  # of aiohttp, any broken connection
        late = isinstance(failure, httpx.TimeoutException) and not connecting
        error = _unanswered("no answer", left=outgoing.left, late=late)
    if error is not None:
        raise error  # out here, so that no exception with the address hangs on it


async def _exchange(
    http: httpx.AsyncClient,
    url: Secret,
    outgoing: _Outgoing,
    headers: Mapping[str, str],
    *,
    now: Micros,
    hints: Mapping[str, str],
) -> DeliveryError | None:
    request = http.build_request(
        "POST",
        url.reveal(),
        content=outgoing,
        headers={
            "user-agent": f"linkedapi-monitor/{__version__}",
            **headers,
            "content-type": "application/json",
            "content-length": str(len(outgoing.body)),
            "accept-encoding": "identity",
            # Messages are rare, and a connection that was kept may be dead without anybody knowing.
            "connection": "close",
        },
    )
    response = await http.send(request, stream=True, follow_redirects=False)
    try:
        if response.is_success:
            return None
        said = await _words(response) if hints else ""
        return _refused(response, now=now, hint=hints.get(said))
    finally:
        await _close(response)


async def _words(response: httpx.Response) -> str:
    """Return the beginning of an answer; the status has been said, so this can't fail."""
    body = b""
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > LONGEST_BODY:
                break
    except Exception:  # noqa: BLE001 - as much as came
        return ""
    return body[:LONGEST_BODY].decode("utf-8", "replace").strip()


async def _close(response: httpx.Response) -> None:
    with contextlib.suppress(Exception):  # what was said counts, not how the line went dead
        await response.aclose()


def _refused(response: httpx.Response, *, now: Micros, hint: str | None) -> DeliveryError:
    status = response.status_code
    text = f"HTTP {status}" + (f": {hint}" if hint else "")
    if status in _TRY_AGAIN or status >= 500:
        return DeliveryError(
            text,
            reason=AttemptReason.RATE_LIMITED if status == 429 else AttemptReason.SERVER,
            retry_after=retry_after(
                response.headers.get("retry-after", ""), now=now, longest=LONGEST_WAIT
            ),
        )
    reason = AttemptReason.AUTH if status in (401, 403) else AttemptReason.CLIENT
    return DeliveryError(text, reason=reason, permanent=True)


def _unanswered(text: str, *, left: bool, late: bool) -> DeliveryError:
    if not left:
        text = "could not be reached" + (" in time" if late else "")
        return DeliveryError(text, reason=AttemptReason.NETWORK)
    reason = AttemptReason.TIMEOUT if late else AttemptReason.NETWORK
    return DeliveryError(f"{text}; it may have arrived", reason=reason, ambiguous=True)
