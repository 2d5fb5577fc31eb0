"""Clients of HTTP: httpx's interface on aiohttp's connections.

No cookies, no redirects, no HTTP/2, and nothing that the environment says but the proxies given.
Each address of a server gets its chance: the next one is tried after a quarter of a second.
"""

import ssl
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from monitor.core.secret import Secret

from .proxy import Proxies

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for a connection to be made, TLS included, once the name was looked up."""


def open_http(
    *,
    proxies: Proxies,
    tls_context: ssl.SSLContext,
    max_connections: int = 0,
    keep_alive: float = 0,
) -> httpx.AsyncClient:
    """Open a client, which the caller closes: *max_connections* at once (0: any number).

    Connections that are not in use are kept for *keep_alive* seconds. A request has no time limit
    but for connecting.
    """
    reuse: Any = {"keepalive_timeout": keep_alive} if keep_alive else {"force_close": True}

    def session(proxy: Secret | None) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=max_connections,
            ssl=tls_context,
            resolver=aiohttp.ThreadedResolver(),  # that of the loop, whatever is installed
            **reuse,
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), proxy=_address(proxy)
        )

    def transport(proxy: Secret | None) -> AiohttpTransport:
        return AiohttpTransport(verify=tls_context, client=lambda: session(proxy))

    http = httpx.AsyncClient(
        transport=_ByProxy(proxies, transport),
        timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
        follow_redirects=False,
        trust_env=False,
    )
    http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return http


class _ByProxy(httpx.AsyncBaseTransport):
    """Sends each request through the proxy that leads to its address, if there is one."""

    def __init__(
        self, proxies: Proxies, make: Callable[[Secret | None], httpx.AsyncBaseTransport]
    ) -> None:
        self._proxies = proxies
        self._make = make
        self._transports: dict[Secret | None, httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* (the interface of httpx)."""
        proxy = self._proxies.find(str(request.url))
        if proxy not in self._transports:
            self._transports[proxy] = self._make(proxy)
        try:
            return await self._transports[proxy].handle_async_request(request)
        except (httpx.ConnectError, httpx.TimeoutException) as error:
            if proxy is None or isinstance(error.__cause__, aiohttp.ClientSSLError):
                raise
            raise httpx.ProxyError(str(error)) from error.__cause__  # so far, only it was called

    async def aclose(self) -> None:
        """Close all connections (the interface of httpx)."""
        for transport in self._transports.values():
            await transport.aclose()


def _address(proxy: Secret | None) -> str | None:
    """Write the address of *proxy* so that its login is sent as UTF-8: aiohttp takes Latin-1."""
    if proxy is None:
        return None
    parts = urlsplit(proxy.reveal())
    login, _, host = parts.netloc.rpartition("@")
    words = (unquote_to_bytes(word).decode("latin-1") for word in login.split(":", 1))
    netloc = f"{':'.join(quote(word, safe='') for word in words)}@{host}" if login else host
    return f"{parts.scheme}://{netloc}"
