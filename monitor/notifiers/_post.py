"""One request by HTTP, and how it ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import httpx

from monitor import __version__
from monitor.core.duration import Duration
from monitor.core.errors import DeliveryError
from monitor.net.body import read_body
from monitor.net.failure import connect_failure

from ._http import Answer, Request
from ._unanswered import unanswered

MAX_BODY: Final = 64 * 1024
"""How many bytes of an answer are read."""

BODY_TIMEOUT: Final = Duration.parse("3s")
"""How long is waited for them: the status has come, and says most of it."""


async def post(
    http: httpx.AsyncClient, request: Request, *, limit: Duration
) -> Answer | DeliveryError:
    """Post *request* by *http*, once; return the answer, or what it means that none began in time.

    No exception of a client, which has the address, hangs on what is returned.
    """
    body = _TrackedBody(request.body)
    try:
        async with asyncio.timeout(limit.seconds):
            response = await http.send(_build(http, request, body), stream=True)
    except Exception as failure:  # noqa: BLE001 - transports let exceptions of their own through
        late = isinstance(failure, TimeoutError)
        why = connect_failure(failure) or ""
        return unanswered("gave no answer", sent=body.sent, late=late, why=why)
    return await _read(response)


def _build(http: httpx.AsyncClient, request: Request, body: "_TrackedBody") -> httpx.Request:
    headers = {
        "user-agent": f"linkedapi-monitor/{__version__}",
        **request.headers,
        "content-type": "application/json",
        "content-length": str(len(body.content)),
        "accept-encoding": "identity",
    }
    return http.build_request("POST", request.url.reveal(), content=body, headers=headers)


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


async def _read(response: httpx.Response) -> Answer:
    """Return what came back, of the body what there is of it in time: this can't fail."""
    encoding = response.headers.get("content-encoding", "")
    try:
        async with asyncio.timeout(BODY_TIMEOUT.seconds):
            body = await read_body(response.aiter_raw(), encoding, limit=MAX_BODY)
    except Exception:  # noqa: BLE001 - the status counts, not how the connection ended
        body = b""
    finally:
        with contextlib.suppress(Exception):  # likewise
            await response.aclose()
    return Answer(
        response.status_code,
        body[:MAX_BODY].decode("utf-8", "replace").strip(),
        response.headers.get("retry-after", ""),
    )
