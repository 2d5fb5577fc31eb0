"""HTTP to Linked API: one client for all workspaces, one bounded exchange at a time."""

from contextlib import aclosing
from typing import Final

import httpx

from monitor.core.errors import ApiError
from monitor.net import http as net
from monitor.net.body import read_body
from monitor.net.head import OddAnswerError
from monitor.net.proxy import Proxies, always
from monitor.net.tls import tls_context

from .errors import exchange_error, unreadable
from .settings import LinkedApiSettings

KEEP_ALIVE: Final = 300.0  # seconds
MAX_CONNECTIONS: Final = 1000
MAX_BODY: Final = 10 * 2**20  # bytes, if nothing else is said
MAX_ERROR_BODY: Final = 64 * 2**10


def open_http(settings: LinkedApiSettings, proxies: Proxies) -> net.Client:
    """Open the one HTTP client that all workspaces share; the caller closes it.

    *proxies* count if *settings* name none. Raise SetupError if it can't work as configured.
    """
    if settings.proxy is not None:
        proxies = always("linked_api.proxy", settings.proxy)
    proxies.find(settings.base_url)
    return net.open_http(
        proxies=proxies,
        tls_context=tls_context(settings.ca_file, where="linked_api"),
        max_connections=MAX_CONNECTIONS,
        keep_alive=KEEP_ALIVE,
    )


async def exchange(
    http: net.Client, request: httpx.Request, *, max_body: int = MAX_BODY
) -> tuple[httpx.Response, bytes]:
    """Return the response to *request* and its whole body, decompressed, or raise `ApiError`.

    A body has at most *max_body* bytes. The request goes to the transport as it is: what the client
    does before that (cookies, redirects, logins) is of no use here and takes a third of the time.
    """
    failure: ApiError
    responded = False
    try:
        async with aclosing(await http.transport.handle_async_request(request)) as response:
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
        body = await _read(response, limit)
        if len(body) > limit:
            raise unreadable(f"with more than {limit // 2**20} MiB")
        return body
    try:
        return (await _read(response, MAX_ERROR_BODY))[:MAX_ERROR_BODY]
    except OddAnswerError:
        return b""


async def _read(response: httpx.Response, limit: int) -> bytes:
    encoding = response.headers.get("content-encoding", "")
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return await read_body(response.stream, encoding, limit=limit)
