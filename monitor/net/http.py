"""Clients of HTTP: httpx's interface on aiohttp's connections.

No cookies, no redirects, no HTTP/2, and nothing that the environment says but the proxies given.
Each address of a server gets its chance: the next one is tried after a quarter of a second.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

import aiohttp
import httpx
import yarl
from aiohttp.client_proto import ResponseHandler

from monitor.core.secret import Secret

from .head import MAX_HEAD, OddAnswerError, find_end, read_head
from .proxy import Proxies

CONNECT_TIMEOUT: Final = 10.0
"""Seconds for a connection to be made, TLS included, once the name was looked up."""

CHUNK: Final = 16 * 1024
"""Bytes of a body that are passed on at once."""

MAX_WAYS: Final = 1000
"""For how many addresses a client remembers how they are reached."""

_LIMITS: Final[Any] = {
    "max_line_size": MAX_HEAD,
    "max_field_size": MAX_HEAD,
    "max_headers": 1024,
}
"""Of what follows the last chunk of a body; heads are bounded in `_Protocol`."""


def open_http(
    *,
    proxies: Proxies,
    tls_context: ssl.SSLContext,
    max_connections: int = 0,
    keep_alive: float = 0,
) -> "Client":
    """Open a client, which the caller closes: *max_connections* at once (0: any number).

    Connections that are not in use are kept for *keep_alive* seconds. A request has no time limit
    but for connecting.
    """
    reuse: Any = {"keepalive_timeout": keep_alive} if keep_alive else {"force_close": True}

    def open_session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=max_connections,
            ssl=tls_context,
            resolver=aiohttp.ThreadedResolver(),  # that of the loop, whatever is installed
            **reuse,
        )
        make: Any = partial(_Protocol, loop=asyncio.get_running_loop())
        connector._factory = make  # noqa: SLF001 - see there
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT),
            auto_decompress=False,
            **_LIMITS,
        )

    return Client(_Transport(proxies, open_session))


class Client(httpx.AsyncClient):
    """httpx's client; its *transport* sends a request that needs nothing of it, for less."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(
            transport=transport,
            timeout=None,
            follow_redirects=False,
            trust_env=False,
        )
        self.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.transport = transport


class _Protocol(ResponseHandler):
    """aiohttp's protocol, whose parser sees heads as `read_head` writes them.

    aiohttp has no setting for that; a test notices if it is passed by.
    """

    _received: bytearray | None = None
    """What there is of a head; None outside of one."""

    _interim = 0
    """How many bytes the interim responses before it had."""

    _left: int | None = None
    """How many bytes of the body are to come, None if nobody knows."""

    def set_response_params(self, **params: Any) -> None:
        """Expect a response (the interface of aiohttp)."""
        self._received, self._interim, self._left = bytearray(), 0, None
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Read a part of a response (the interface of asyncio)."""
        if self._received is not None and data:
            try:
                data = self._read(data)
            except OddAnswerError as error:
                self._received = None
                self.set_exception(error)
                if self.transport is not None:
                    self.transport.close()
                return
            if not data:
                return
        elif self._left is not None:
            data = self._within(data)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End (the interface of asyncio): within a head, it is a part of an answer that came."""
        if self._received or (self._received is not None and self._interim):
            self.set_exception(aiohttp.ClientPayloadError("the head is not whole"))
        super().connection_lost(exc)

    def _read(self, data: bytes) -> bytes:
        """Return a head with what follows it of its body; nothing if it is not whole yet."""
        received = self._received
        assert received is not None
        looked_at = len(received)
        received += data
        while (end := find_end(received, looked_at)) is not None:
            head = read_head(bytes(received[:end]))
            body = bytes(received[end:])
            if head.status == 101:
                raise OddAnswerError("in a protocol that was not asked for")
            if head.status >= 200:
                self._received = None
                self._left = 0 if head.status in (204, 304) else head.length
                return head.content + self._within(body)
            self._interim += end
            del received[:end]
            looked_at = 0
            if not received:
                break
        if self._interim + len(received) > MAX_HEAD:
            raise OddAnswerError(f"with a head of more than {MAX_HEAD // 1024} KiB")
        return b""

    def _within(self, data: bytes) -> bytes:
        """Return what of *data* belongs to the body; what comes after is nobody's answer."""
        if self._left is None:
            return data
        if len(data) > self._left:
            data = data[: self._left]
            if self.transport is not None:
                self.transport.close()
        self._left -= len(data)
        return data


class _Transport(httpx.AsyncBaseTransport):
    """Sends each request through the proxy that leads to its address, if there is one."""

    def __init__(self, proxies: Proxies, open_session: Callable[[], aiohttp.ClientSession]) -> None:
        self._proxies = proxies
        self._open_session = open_session
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._way = lru_cache(MAX_WAYS)(self._find_way)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send *request* (the interface of httpx)."""
        url, proxy = self._way(str(request.url))
        if self._session is None:
            if self._is_closed:
                raise RuntimeError("the client is closed")
            self._session = self._open_session()
        with _errors_of_httpx(is_proxied=proxy is not None):
            response = await self._session.request(
                request.method,
                url,
                headers=request.headers.multi_items(),
                data=_content(request),
                allow_redirects=False,
                proxy=proxy,
            )
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response))

    def _find_way(self, url: str) -> tuple[yarl.URL, str | None]:
        """Return *url* as aiohttp takes it, and the address of the proxy that leads to it."""
        return yarl.URL(url, encoded=True), _address(self._proxies.find(url))

    async def aclose(self) -> None:
        """Close all connections (the interface of httpx)."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()


@contextmanager
def _errors_of_httpx(*, is_proxied: bool = False) -> Iterator[None]:
    """Raise what transports of httpx do; the texts of aiohttp's errors hold addresses."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise (httpx.ProxyError if is_proxied else httpx.ConnectTimeout)("no connection") from error
    except aiohttp.ClientSSLError as error:
        raise httpx.ConnectError("no TLS connection") from error
    except aiohttp.ClientConnectorError as error:
        raise (httpx.ProxyError if is_proxied else httpx.ConnectError)("no connection") from error
    except aiohttp.ClientHttpProxyError as error:
        raise httpx.ProxyError("the proxy refused") from error
    except (aiohttp.ClientError, OSError) as error:
        raise httpx.NetworkError("no answer, or a part of one") from error


def _content(request: httpx.Request) -> Any:
    """Return the body of *request*: whole, or as it comes."""
    try:
        return request.content or None
    except httpx.RequestNotRead:
        return request.stream


class _Body(httpx.AsyncByteStream):
    """The body of a response as it comes."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of_httpx():
            async for chunk in self._response.content.iter_chunked(CHUNK):
                yield chunk

    async def aclose(self) -> None:
        await self._response.__aexit__(None, None, None)


def _address(proxy: Secret | None) -> str | None:
    """Write the address of *proxy* so that its login is sent as UTF-8: aiohttp takes Latin-1."""
    if proxy is None:
        return None
    parts = urlsplit(proxy.reveal())
    login, _, host = parts.netloc.rpartition("@")
    words = (unquote_to_bytes(word).decode("latin-1") for word in login.split(":", 1))
    netloc = f"{':'.join(quote(word, safe='') for word in words)}@{host}" if login else host
    return f"{parts.scheme}://{netloc}"
