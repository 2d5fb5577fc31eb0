"""A line to a server on this machine that can be cut: what is sent waits until it is whole."""

import asyncio
from contextlib import asynccontextmanager, suppress


class Line:
    """Forwards connections; *port* is its own."""

    def __init__(self, to):
        self._to = to
        self._is_whole = asyncio.Event()
        self._is_whole.set()

    def cut(self):
        """Let nothing through any more, and tell nobody, as a network does that swallows all."""
        self._is_whole.clear()

    def mend(self):
        self._is_whole.set()

    async def _connect(self, reader, writer):
        await self._is_whole.wait()
        there, to_there = await asyncio.open_connection("127.0.0.1", self._to)
        await asyncio.gather(self._forward(reader, to_there), self._forward(there, writer))

    async def _forward(self, reader, writer):
        with suppress(ConnectionError):
            while sent := await reader.read(65536):
                await self._is_whole.wait()
                writer.write(sent)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def line(to):
    """Forward a port of its own to the port *to*."""
    made = Line(to)
    server = await asyncio.start_server(made._connect, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.mend()
        server.close()
