import asyncio
from contextlib import asynccontextmanager

import httpx
import pytest
from harness.metrics import MetricsHarness
from starlette.responses import Response

from monitor.metrics import Metrics
from monitor.metrics.exposition import Page, chunk
from monitor.web.app import build
from monitor.web.server import bind, serve
from monitor.web.settings import WebSettings


class HugeMetrics(Metrics):
    """More than fits into the buffers between two programs."""

    def render(self, *, compressed=False):
        return Page([chunk("# one of many lines\n" * 1_000)] * 1_500, compressed=compressed)


class Endpoint:
    """The endpoint of a monitor whose health a test decides; served for real."""

    def __init__(self):
        self.metrics = MetricsHarness()
        self.hanging = []
        self.missing = []
        self.answer = None  # to /slow, in place of the application
        self.stopping = asyncio.Event()
        self.address = None
        self.serving = None
        self._writers = []

    def app(self, *, token=None, is_local=True, hosts=()):
        app = build(
            metrics=self.metrics,
            alive=lambda: self.hanging,
            ready=lambda: self.missing,
            metrics_token=token,
            is_local=is_local,
            hosts=hosts,
        )

        async def with_a_slow_page(scope, receive, send):
            if scope["path"] == "/slow":
                await self.answer()
                await Response()(scope, receive, send)
            else:
                await app(scope, receive, send)

        return with_a_slow_page

    @asynccontextmanager
    async def served(self, **options):
        sock = bind(WebSettings(listen="127.0.0.1:0"))
        self.address = sock.getsockname()
        serving = serve(self.app(**options), sock, stopping=self.stopping)
        self.serving = asyncio.create_task(serving)
        url = f"http://127.0.0.1:{self.address[1]}"
        try:
            async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
                yield client
        finally:
            for writer in self._writers:
                writer.transport.abort()
            self.stopping.set()
            await asyncio.wait_for(self.serving, 10)

    async def connect(self, *lines, peer="127.0.0.1"):
        """Open a plain connection from the address *peer* and send *lines*."""
        return await self.send(b"".join(line.encode() + b"\r\n" for line in lines), peer=peer)

    async def send(self, sent, *, peer="127.0.0.1"):
        """Open a plain connection from the address *peer* and send the bytes *sent*."""
        reader, writer = await asyncio.open_connection(*self.address, local_addr=(peer, 0))
        self._writers.append(writer)
        writer.write(sent)
        await writer.drain()
        return reader

    async def ask(self, path, *, peer="127.0.0.1"):
        """Return the head of the answer to the address *peer*, in lower case."""
        reader = await self.connect(f"GET {path} HTTP/1.1", "Host: localhost", "", peer=peer)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        return head.decode().lower()

    async def stall(self, *, peer="127.0.0.1"):
        """Ask for the metrics and read no more than the first line of the response."""
        reader = await self.connect("GET /metrics HTTP/1.1", "Host: localhost", "", peer=peer)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        return reader


@pytest.fixture
async def endpoint():
    return Endpoint()


@pytest.fixture
def huge(endpoint):
    endpoint.metrics = HugeMetrics(version="1.2.3")


@pytest.fixture
async def client(endpoint):
    async with endpoint.served() as client:
        yield client
