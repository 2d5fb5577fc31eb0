"""A Linked API in a process of its own that always answers the same, after LATENCY, for little.

python -m bench.answering ACCOUNTS

It prints its address, and ends with its standard input. Its own processor time matters: it shares
the machine with what is measured.
"""

import asyncio
import sys
from collections.abc import Mapping
from typing import Final, cast

from monitor.simulator import Simulator

from .decode import TOKEN, ask

METHODS: Final = ("accounts.getAll", "subscription.getStatus", "subscription.getSeats")

LATENCY: Final = 0.2
"""Seconds until an answer comes."""


class Answering(asyncio.Protocol):
    """Answers each request, which has a head and no body, with the reply to its method."""

    def __init__(self, replies: Mapping[bytes, bytes]) -> None:
        self._replies = replies
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (the interface of asyncio)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer in a while what has come whole (the interface of asyncio)."""
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            method = request[: request.find(b" HTTP/")].rpartition(b"/")[2]
            write, reply = self._transport.write, self._replies[method]
            asyncio.get_running_loop().call_later(LATENCY, write, reply)


def _reply(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


async def main() -> None:
    """Serve."""
    simulator = Simulator()
    simulator.add_customer("c", TOKEN)
    simulator.add_accounts("c", int(sys.argv[1]))
    replies = {method.encode(): _reply(ask(simulator, method)) for method in METHODS}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(replies), "127.0.0.1", 0, backlog=1000)
    host, port = server.sockets[0].getsockname()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
