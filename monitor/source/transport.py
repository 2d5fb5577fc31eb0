"""HTTP as Linked API is spoken to: one client for all workspaces, one bounded exchange at a time.

httpx's interface on aiohttp's connection pool: no redirects, no cookies, no HTTP/2, bodies up to a
limit.
"""

import ssl
import urllib.request
import zlib
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from monitor.core.errors import ApiError, MonitorError

from .fault import explain, unreadable
from .settings import LinkedApiSettings

CONNECT_TIMEOUT: Final = 5.0
KEEP_ALIVE: Final = 300.0
CONNECTIONS: Final = 1000
LONGEST_BODY: Final = 10 * 1024 * 1024
LONGEST_ERROR_BODY: Final = 64 * 1024

_ANY_FORMAT: Final = 32 + zlib.MAX_WBITS  # zlib finds out itself whether it is gzip or zlib


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, its body decompressed."""

    status: int
    headers: httpx.Headers
    body: bytes


def open_http(settings: LinkedApiSettings) -> httpx.AsyncClient:
    """Open the one HTTP client that all workspaces share; the caller closes it."""
    trusted = _ssl_context(settings)
    proxy = _proxy(settings)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE, ssl=trusted
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), proxy=proxy
        )

    http = httpx.AsyncClient(
        transport=AiohttpTransport(verify=trusted, client=session),
        timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT),
        follow_redirects=False,
        trust_env=False,
    )
    http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return http


async def exchange(http: httpx.AsyncClient, request: httpx.Request) -> Answer:
    """Send *request* and read the whole answer; raise `ExchangeError` if there is none to read."""
    broken: ApiError
    try:
        response = await http.send(request, stream=True)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong below, the poll saw nothing
        broken = explain(error, answered=False)
    else:
        try:
            try:
                return Answer(response.status_code, response.headers, await _body(response))
            finally:
                await response.aclose()
        except ApiError as error:
            broken = error
        except Exception as error:  # noqa: BLE001 - as above
            broken = explain(error, answered=True)
    raise broken  # out here, so that no exception with the request's headers hangs on it


async def _body(response: httpx.Response) -> bytes:
    """Read the body up to its limit: of an error what fits, of an account list all or nothing."""
    if response.is_success:
        body = await _inflated(response, LONGEST_BODY)
        if len(body) > LONGEST_BODY:
            raise unreadable(f"with more than {LONGEST_BODY // 2**20} MiB")
        return body
    try:
        return (await _inflated(response, LONGEST_ERROR_BODY))[:LONGEST_ERROR_BODY]
    except ApiError:
        return b""


async def _inflated(response: httpx.Response, limit: int) -> bytes:
    """Read until the end, or until there is more than *limit*; decompress no further either."""
    inflate = None
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("gzip", "x-gzip", "deflate"):
        inflate = zlib.decompressobj(_ANY_FORMAT)
    elif encoding not in ("", "identity"):
        raise unreadable("in a compression that was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        try:
            body += inflate.decompress(chunk, limit - len(body) + 1) if inflate else chunk
        except zlib.error:
            raise unreadable("with damaged compression") from None
        if len(body) > limit:
            break
    return bytes(body)


def _ssl_context(settings: LinkedApiSettings) -> ssl.SSLContext:
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
    known = urllib.request.getproxies()
    proxy = known.get(parts.scheme) or known.get("all")
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        raise MonitorError("the proxy in the environment is of a kind that is not supported")
    return proxy
