"""Serving the endpoint: uvicorn on a socket of our own, without its signals, logs and polling."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from monitor.core.errors import MonitorError
from monitor.core.url import is_loopback

from .connection import LOGGER, MAX_CONNECTIONS, TRANSFER_TIMEOUT, Connection
from .settings import WebSettings

SEND_BUFFER: Final = 128 * 1024
"""Bytes that the system may hold of an answer: a slow reader is noticed once they are full."""

SHUTDOWN_GRACE: Final = 1
"""Seconds that responses in flight may take after the stop."""

_REASONS: Final = {
    errno.EADDRINUSE: "another program listens there; stop it or choose another port",
    errno.EACCES: "not permitted; ports below 1024 are for privileged programs",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}
_ABSENT: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
"""Errors of an address that this machine, or its kernel, does not have."""

_ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - asked for by whoever configures it


def bind(settings: WebSettings) -> socket.socket:
    """Return a socket that listens where *settings* say; raise MonitorError if it can't.

    `[::]` is all addresses of both families, and 0.0.0.0 where the kernel has no IPv6. Of a name
    the first address counts that this machine has.
    """
    hosts = [settings.host, _ANY_IPV4] if settings.is_any_ipv6 else [settings.host]
    try:
        addresses = [
            info
            for host in hosts
            for info in socket.getaddrinfo(
                host,
                settings.port,
                type=socket.SOCK_STREAM,
                proto=socket.IPPROTO_TCP,  # asyncio turns Nagle's delay off for those that name it
                flags=socket.AI_PASSIVE,
            )
        ]
    except (OSError, UnicodeError):
        raise _problem(settings, f"there is no host {settings.host!r}") from None
    code = 0
    for family, _, _, _, address in addresses:
        try:
            return _listen(socket.AddressFamily(family), address)
        except OSError as error:
            code = code or error.errno or 0
            if error.errno not in _ABSENT:
                break
    raise _problem(settings, _REASONS.get(code, os.strerror(code)))


def _listen(family: socket.AddressFamily, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two programs have the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:  # whatever the system's default is
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # its connections' too
        sock.bind(address)
        sock.listen(MAX_CONNECTIONS)  # until then another program might still take the port
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
    return sock


def url(sock: socket.socket) -> str:
    """Return the address at which *sock* listens, as one writes it."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _problem(settings: WebSettings, reason: str) -> MonitorError:
    return MonitorError(f"cannot listen on {settings.listen} (web.listen): {reason}")


def is_local(sock: socket.socket) -> bool:
    """Return whether only this machine reaches *sock*."""
    return is_loopback(sock.getsockname()[0])


async def serve(app: ASGIApp, sock: socket.socket, *, stopping: asyncio.Event) -> None:
    """Serve *app* on *sock* until *stopping* is set, then finish what is in flight and close it."""
    logging.getLogger(LOGGER).setLevel(logging.ERROR)  # strangers don't write our log
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=MAX_CONNECTIONS,
        timeout_keep_alive=int(TRANSFER_TIMEOUT),
        timeout_graceful_shutdown=SHUTDOWN_GRACE,
    )
    server = Server(config, stopping)
    try:
        await server.serve(sockets=[sock])
    finally:
        server.close()
        sock.close()


class Server(uvicorn.Server):
    """uvicorn's server, told to stop by an event instead of signals."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the monitor."""
        yield

    async def main_loop(self) -> None:
        """Wait for the stop."""
        await self._stopping.wait()

    def close(self) -> None:
        """Cut the connections that are left, and listen no more."""
        for server in getattr(self, "servers", ()):
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
