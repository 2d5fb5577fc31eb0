"""Which host a request may name: where only this machine is to ask, one that stands for it.

A web page can let its own name lead to 127.0.0.1 (DNS rebinding); the browser of somebody here then
lets it read what we answer. But it also says by which name it asks.
"""

import re
from collections.abc import Collection
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from monitor.core.url import is_loopback

_HOST: Final = re.compile(
    rb"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<name>[0-9a-zA-Z_.-]+))(?::\d*)?",
)

_MISDIRECTED: Final = JSONResponse(
    {"error": "unknown host; web.hosts names those that are known besides localhost"},
    421,
    {"Cache-Control": "no-store"},
)


class OwnHosts:
    """Refuses requests to *app* that name another host than one of this machine or of *hosts*."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(map(_plain, hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        named = next((value for name, value in scope["headers"] if name == b"host"), None)
        # A browser always names one; who speaks HTTP/1.0, like some health checks, need not.
        is_own = named is None or self._is_own(named)
        app = self._app if is_own else _MISDIRECTED
        await app(scope, receive, send)

    def _is_own(self, named: bytes) -> bool:
        match = _HOST.fullmatch(named)
        if match is None:
            return False
        host = _plain((match["v6"] or match["name"]).decode())
        return is_loopback(host) or host in self._hosts


def _plain(host: str) -> str:
    return host.lower().rstrip(".")
