"""A Linked API in a process of its own that always answers the same, after LATENCY, for little.

python -m bench.answering ACCOUNTS

It prints its address, and ends with its standard input. Its own processor time matters: it shares
the machine with what is measured.
"""

import asyncio
import sys
from typing import Final, cast

from monitor.simulator import Simulator

from .decode import TOKEN, list_accounts

LATENCY: Final = 0.2
"""Seconds until an answer comes."""


class Answering(asyncio.Protocol):
    """Answers each request, which has a head and no body, with *reply*."""

    def __init__(self, reply: bytes) -> None:
        self._reply = reply
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (the interface of asyncio)."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer in a while what has come whole (the interface of asyncio)."""
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for _ in requests:
            asyncio.get_running_loop().call_later(LATENCY, self._transport.write, self._reply)


async def main() -> None:
    """Serve."""
    simulator = Simulator()
    simulator.add_customer("c", TOKEN)
    simulator.add_accounts("c", int(sys.argv[1]))
    body = list_accounts(simulator)
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    reply = f"{head}\r\n\r\n".encode() + body
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answering(reply), "127.0.0.1", 0, backlog=1000)
    host, port = server.sockets[0].getsockname()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
