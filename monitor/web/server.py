"""Serving the endpoint: uvicorn on a socket of our own, without its signals, logs and polling."""

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from monitor.core.errors import MonitorError

from .connection import LOGGER, MAX_CONNECTIONS, TRANSFER_TIMEOUT, Connection
from .hosts import is_loopback
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


def bind(settings: WebSettings) -> socket.socket:
    """Return a socket that listens where *settings* say; raise MonitorError if it can't."""
    try:
        addresses = socket.getaddrinfo(
            settings.host,
            settings.port,
            type=socket.SOCK_STREAM,
            proto=socket.IPPROTO_TCP,  # asyncio turns Nagle's delay off for sockets that name it
            flags=socket.AI_PASSIVE,
        )
    except (OSError, UnicodeError):
        raise _problem(settings, f"there is no host {settings.host!r}") from None
    family, kind, protocol, _, address = addresses[0]
    try:
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _problem(settings, os.strerror(error.errno or 0)) from None
    try:
        if os.name == "posix":  # elsewhere it would let two programs have the port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # its connections' too
        sock.bind(address)
        sock.listen(MAX_CONNECTIONS)  # until then another program might still take the port
    except OSError as error:
        sock.close()
        code = error.errno or 0
        raise _problem(settings, _REASONS.get(code, os.strerror(code))) from None
    sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
    return sock


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
