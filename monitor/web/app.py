"""What the endpoint answers: `/metrics` for Prometheus, health for whoever asks, `/` what there is.

The metrics are written in a thread and sent in pieces: neither a big response nor a slow reader
blocks the event loop. Health is what is known already: to ask costs nothing and waits for nothing.
"""

import hmac
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.core.secret import Secret
from monitor.metrics import Metrics
from monitor.threads import Threads

from .hosts import OwnHosts
from .peer import peer_of

MAX_SCRAPES: Final = 8
"""How many scrapes are answered at the same time: each keeps what it shows in memory."""

MAX_PEER_SCRAPES: Final = 4
"""How many of them may be one peer's: slow readers elsewhere keep Prometheus from nothing."""

_NO_STORE: Final = {"Cache-Control": "no-store"}

_INDEX: Final = """\
/healthz  200 while every loop cycles, else 503
/readyz   200 while the database works and no loop fails, else 503
/metrics  for Prometheus{token}
"""

Problems = Callable[[], list[str]]
"""Says what is wrong at the moment, a sentence each."""


def build(
    *,
    metrics: Metrics,
    alive: Problems,
    ready: Problems,
    metrics_token: Secret | None,
    is_local: bool,
    hosts: Collection[str] = (),
) -> ASGIApp:
    """Return the application.

    *is_local* says that only this machine can ask. Then requests have to name it, or one of
    *hosts*; and nobody needs a token, if there is none, to be told why health fails.
    """
    access = _Access(metrics_token)

    async def healthz(request: Request) -> Response:
        return _health(alive(), in_words=access.granted(request, without_token=is_local))

    async def readyz(request: Request) -> Response:
        return _health(ready(), in_words=access.granted(request, without_token=is_local))

    async def index(_request: Request) -> Response:
        return PlainTextResponse(paths, headers=_NO_STORE)

    paths = _INDEX.format(token=" (with web.metrics_token)" if metrics_token else "")
    app = Starlette(
        routes=[
            Route("/", index),
            Route("/metrics", _Scrapes(metrics, access), methods=["GET"]),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ],
        exception_handlers={HTTPException: _refuse, Exception: _refuse},
    )
    app.router.redirect_slashes = False
    return OwnHosts(app, hosts) if is_local else app


class _Access:
    """Who has the token, if there is one."""

    def __init__(self, token: Secret | None) -> None:
        self._expected = f"Bearer {token.reveal()}".encode() if token else None

    def granted(self, request: Request, *, without_token: bool = True) -> bool:
        """Return whether *request* has the token; what it may *without_token* if there is none."""
        if self._expected is None:
            return without_token
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        credentials = f"{scheme.capitalize()} {token.strip()}".encode("latin-1", "replace")
        return hmac.compare_digest(credentials, self._expected)


class _Scrapes:
    """Answers scrapes: the metrics are rendered one scrape at a time and sent in pieces."""

    def __init__(self, metrics: Metrics, access: _Access) -> None:
        self._metrics = metrics
        self._access = access
        self._rendering = Threads(1, "metrics")
        self._peers: list[str] = []

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        request = Request(scope)
        if not self._access.granted(request):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        peer = peer_of(scope["client"])
        if len(self._peers) >= MAX_SCRAPES or self._peers.count(peer) >= MAX_PEER_SCRAPES:
            raise HTTPException(503, "too many scrapes at once", headers={"Retry-After": "5"})
        self._peers.append(peer)
        try:
            await self._respond(send, compressed=_accepts_gzip(request))
        finally:
            self._peers.remove(peer)

    async def _respond(self, send: Send, *, compressed: bool) -> None:
        page = await self._rendering.run(partial(self._metrics.render, compressed=compressed))
        headers = {**_NO_STORE, "Vary": "Accept-Encoding", "Content-Length": str(page.size)}
        if compressed:
            headers["Content-Encoding"] = "gzip"
        start = Response(headers=headers, media_type=CONTENT_TYPE_PLAIN_0_0_4).raw_headers
        await send({"type": "http.response.start", "status": 200, "headers": start})
        pieces, left = iter(page), page.size
        while left:
            piece = await self._rendering.run(partial(next, pieces))
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})


def _health(problems: list[str], *, in_words: bool) -> Response:
    if not problems:
        return JSONResponse({"status": "ok"}, headers=_NO_STORE)
    content: dict[str, object] = {"status": "failing"}
    if in_words:
        content["problems"] = problems
    return JSONResponse(content, 503, _NO_STORE)


async def _refuse(_request: Request, error: Exception) -> Response:
    refusal = error if isinstance(error, HTTPException) else HTTPException(500)
    headers = {**_NO_STORE, **(refusal.headers or {})}
    return JSONResponse({"error": refusal.detail}, refusal.status_code, headers)


def _accepts_gzip(request: Request) -> bool:
    for encoding in request.headers.get("Accept-Encoding", "").lower().split(","):
        name, _, weight = encoding.replace(" ", "").partition(";q=")
        if name == "gzip":
            return weight.strip("0.") != "" or not weight
    return False
