"""Serving the simulator over real HTTP, on uvicorn's HTTP protocol and a socket of our own."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .actions import Simulator
from .asgi import TRANSPORT, application

KEEP_ALIVE: Final = 75  # seconds, longer than usual polling: idle connections are not the subject
SHUTDOWN_GRACE: Final = 0.5  # seconds that requests get to notice that their connection is gone


class Connection(H11Protocol):
    """uvicorn's connection, whose transport the application may have."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the transport into the scope of each request on this connection."""
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "extensions": {TRANSPORT: transport}}, receive, send)

        self.app = with_transport


@asynccontextmanager
async def serve(simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve *simulator* while the context is open, and give its address (`http://127.0.0.1:…`).

    Port 0 takes any that is free; a port that is taken raises OSError. Leaving the context cuts
    every connection, requests that hang included.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    listener.setblocking(False)  # noqa: FBT003 - the socket's own interface
    # Connections inherit it; without it every answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    settings = uvicorn.Config(
        application(simulator),
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE,
    )
    settings.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(settings, state, {}), sock=listener)
    name = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{name}:{listener.getsockname()[1]}"
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=SHUTDOWN_GRACE)
        await server.wait_closed()
