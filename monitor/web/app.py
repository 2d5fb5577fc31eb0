"""What the endpoint answers: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever asks.

A page of metrics is written in a thread, and sent piece by piece: neither a big page
nor a slow reader holds up the event loop.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import structlog
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.core.secret import Secret
from monitor.metrics import Metrics

CHECK_SECONDS: Final = 5.0
"""How long the checks of `/readyz` may take."""

MOST_PAGES: Final = 8
"""How many scrapes are answered at the same time: each holds a whole page in memory."""

_PIECE: Final = 256 * 1024
_NO_STORE: Final = {"Cache-Control": "no-store"}

log = structlog.get_logger("web")


def build(
    *,
    metrics: Metrics,
    alive: Callable[[], list[str]],
    ready: Callable[[], Awaitable[list[str]]],
    metrics_token: Secret | None,
) -> ASGIApp:
    """Return the application; *alive* and *ready* tell what is wrong, a sentence each."""
    pages = _Pages(metrics, metrics_token)

    async def healthz(_request: Request) -> Response:
        return _health(alive())

    async def readyz(_request: Request) -> Response:
        return _health(await _ask(ready))

    app = Starlette(
        routes=[
            Route("/metrics", pages.answer),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        exception_handlers={HTTPException: _refuse, Exception: _fail},
    )
    app.router.redirect_slashes = False
    return app


class _Pages:
    """Answers scrapes."""

    def __init__(self, metrics: Metrics, token: Secret | None) -> None:
        self._metrics = metrics
        self._expected = f"Bearer {token.reveal()}".encode() if token else None
        self._writing = asyncio.Lock()
        self._slots = asyncio.Semaphore(MOST_PAGES)

    async def answer(self, request: Request) -> Response:
        if not self._may(request):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        if self._slots.locked():
            raise HTTPException(503, "too many scrapes at once", headers={"Retry-After": "5"})
        return _Page(self._write, self._slots, compressed=_accepts_gzip(request))

    async def _write(self, *, compressed: bool) -> bytes:
        async with self._writing:  # one thread is enough, and leaves the others to others
            return await asyncio.to_thread(self._metrics.render, compressed=compressed)

    def _may(self, request: Request) -> bool:
        if self._expected is None:
            return True
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = f"{scheme.capitalize()} {token.strip()}".encode("latin-1", "replace")
        return hmac.compare_digest(given, self._expected)


class _Page(Response):
    """A page of metrics, written when it is this page's turn and sent piece by piece."""

    def __init__(
        self,
        write: Callable[..., Awaitable[bytes]],
        slots: asyncio.Semaphore,
        *,
        compressed: bool,
    ) -> None:
        super().__init__(
            headers={**_NO_STORE, "Vary": "Accept-Encoding"}, media_type=CONTENT_TYPE_PLAIN_0_0_4
        )
        self._write = write
        self._slots = slots
        self._compressed = compressed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        async with self._slots:
            page = await self._write(compressed=self._compressed)
            self.headers["Content-Length"] = str(len(page))
            if self._compressed:
                self.headers["Content-Encoding"] = "gzip"
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            for at in range(0, len(page), _PIECE):
                piece = page[at : at + _PIECE]
                more = at + _PIECE < len(page)
                await send({"type": "http.response.body", "body": piece, "more_body": more})
                await asyncio.sleep(0)  # a fast reader must not keep the loop to itself


async def _ask(ready: Callable[[], Awaitable[list[str]]]) -> list[str]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await ready()
    except TimeoutError:
        return [f"the checks took longer than {CHECK_SECONDS:.0f} s"]
    except Exception:
        log.exception("the checks failed")
        return ["the checks failed; the log says why"]


def _health(problems: list[str]) -> Response:
    if problems:
        answer = {"status": "failing", "problems": problems}
        return JSONResponse(answer, status_code=503, headers=_NO_STORE)
    return JSONResponse({"status": "ok"}, headers=_NO_STORE)


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = {**_NO_STORE, **(error.headers or {})}
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=headers)


async def _fail(_request: Request, _error: Exception) -> Response:
    said = HTTPStatus.INTERNAL_SERVER_ERROR.phrase
    return JSONResponse({"error": said}, status_code=500, headers=_NO_STORE)


def _accepts_gzip(request: Request) -> bool:
    for one in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, weight = one.replace(" ", "").partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" or not weight
    return False
