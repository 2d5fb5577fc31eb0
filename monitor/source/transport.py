"""HTTP to Linked API: one client for all workspaces, one bounded exchange at a time.

httpx's interface on aiohttp's connection pool: no redirects, no cookies, no HTTP/2, bodies up to a
limit.
"""

import ssl
import urllib.request
import zlib
from contextlib import aclosing
from http.cookiejar import DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from monitor.core.errors import ApiError, MonitorError

from .errors import exchange_error, unreadable
from .settings import LinkedApiSettings

CONNECT_TIMEOUT: Final = 5.0  # seconds
KEEP_ALIVE: Final = 300.0
MAX_CONNECTIONS: Final = 1000
MAX_BODY: Final = 10 * 2**20  # bytes, if nothing else is said
MAX_ERROR_BODY: Final = 64 * 2**10

_ANY_FORMAT: Final = 32 + zlib.MAX_WBITS  # zlib finds out itself whether it is gzip or zlib


def open_http(settings: LinkedApiSettings) -> httpx.AsyncClient:
    """Open the one HTTP client that all workspaces share; the caller closes it."""
    tls_context = _tls_context(settings)
    proxy = _proxy(settings)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE, ssl=tls_context
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), proxy=proxy
        )

    http = httpx.AsyncClient(
        transport=AiohttpTransport(verify=tls_context, client=session),
        timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
        follow_redirects=False,
        trust_env=False,
    )
    http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return http


async def exchange(
    http: httpx.AsyncClient, request: httpx.Request, *, max_body: int = MAX_BODY
) -> tuple[httpx.Response, bytes]:
    """Return the response to *request* and its whole body, decompressed, or raise `ApiError`.

    A body has at most *max_body* bytes.
    """
    failure: ApiError
    responded = False
    try:
        async with aclosing(await http.send(request, stream=True)) as response:
            responded = True
            return response, await _body(response, max_body)
    except ApiError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - whatever goes wrong below, the poll saw nothing
        failure = exchange_error(error, responded=responded)
    raise failure  # out here, so that no exception with the request's headers hangs on it


async def _body(response: httpx.Response, limit: int) -> bytes:
    """Read the body up to its limit: of an error what fits, of an account list all or nothing."""
    if response.is_success:
        body = await _decompressed(response, limit)
        if len(body) > limit:
            raise unreadable(f"with more than {limit // 2**20} MiB")
        return body
    try:
        return (await _decompressed(response, MAX_ERROR_BODY))[:MAX_ERROR_BODY]
    except ApiError:
        return b""


async def _decompressed(response: httpx.Response, limit: int) -> bytes:
    """Read until the end, or until there is more than *limit*; decompress no further either."""
    decompressor = None
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("gzip", "x-gzip", "deflate"):
        decompressor = zlib.decompressobj(_ANY_FORMAT)
    elif encoding not in ("", "identity"):
        raise unreadable("in a compression that was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        try:
            body += decompressor.decompress(chunk, limit - len(body) + 1) if decompressor else chunk
        except zlib.error:
            raise unreadable("with damaged compression") from None
        if len(body) > limit:
            break
    return bytes(body)


def _tls_context(settings: LinkedApiSettings) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(cafile=settings.ca_file)
        except OSError as error:  # ssl.SSLError is one
            reason = error.strerror or "it holds no certificate"
            raise MonitorError(f"ca_file {settings.ca_file} cannot be used: {reason}") from None
    return context


def _proxy(settings: LinkedApiSettings) -> str | None:
    """Return the proxy to use: ours, or what the environment says for this address."""
    if settings.proxy is not None:
        return settings.proxy.reveal()
    parts = urlsplit(settings.base_url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        raise MonitorError("the proxy in the environment is of a kind that is not supported")
    return proxy
