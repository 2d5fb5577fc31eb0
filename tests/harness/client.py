"""The real client of Linked API before a raw server, and what it observed."""

import time
from contextlib import asynccontextmanager

from harness.payloads import ORIGINS
from harness.raw_server import RawServer
from monitor.core.secret import Secret
from monitor.net.proxy import from_environment
from monitor.source.client import LinkedApi
from monitor.source.settings import LinkedApiSettings
from monitor.source.token import Token
from monitor.source.transport import open_http

TOKEN = "linked_0123456789-very-secret"


class ClientHarness:
    """A client, the server that it calls, and the outcome of each request."""

    def __init__(self, server, http, settings, token):
        self.server = server
        self.http = http
        self.observed = []
        self.now = float(int(time.monotonic()))  # so that sums of seconds are exact
        self.api = LinkedApi(
            http=http,
            token=token,
            settings=settings,
            link_origins=ORIGINS,
            observe=lambda method, outcome, seconds: self.observed.append(
                (method, outcome, seconds >= 0)
            ),
            monotonic=lambda: self.now,
        )

    @property
    def outcomes(self):
        return [outcome for _, outcome, _ in self.observed]


@asynccontextmanager
async def client_harness(*replies, token=None, certificate=None, **settings):
    """Open a client of a server with the given replies."""
    async with RawServer(*replies, certificate=certificate) as server:
        settings = LinkedApiSettings.model_validate(
            {"base_url": server.url, "timeout": "10s"} | settings
        )
        async with open_http(settings, from_environment()) as http:
            yield ClientHarness(server, http, settings, token or Token(Secret(TOKEN)))


async def poll_once(*replies, **options):
    """Poll a server with the given replies; return the observation and the harness."""
    async with client_harness(*replies, **options) as harness:
        return await harness.api.get_all(), harness
