"""A client against a raw server."""

import time
from contextlib import asynccontextmanager

import pytest
from source.payloads import ORIGINS
from source.raw import RawServer

from monitor.core.duration import Duration
from monitor.core.secret import Secret
from monitor.source.client import LinkedApi
from monitor.source.settings import LinkedApiSettings
from monitor.source.token import Token
from monitor.source.transport import open_http

TOKEN = "linked_0123456789-very-secret"


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class ClientHarness:
    """A client, the server it speaks to, and what was observed."""

    def __init__(self, server, http, settings, token):
        self.server = server
        self.http = http
        self.observed = []
        self.now = time.monotonic()
        self.api = LinkedApi(
            http=http,
            token=token,
            settings=settings,
            link_origins=ORIGINS,
            observe=lambda method, outcome, seconds: self.observed.append(
                (method, outcome, seconds >= 0)
            ),
            monotonic=lambda: self.now,
            version="1.2.3",
        )

    @property
    def outcomes(self):
        return [outcome for _, outcome, _ in self.observed]


@pytest.fixture
def speak():
    """Open a client that speaks to a server with the given replies."""

    @asynccontextmanager
    async def opened(*replies, token=None, certificate=None, patience="10s", **changes):
        async with RawServer(*replies, certificate=certificate) as server:
            settings = LinkedApiSettings.model_validate(
                {"base_url": server.url, "timeout": Duration.parse(patience)} | changes
            )
            async with open_http(settings) as http:
                yield ClientHarness(server, http, settings, token or Token(Secret(TOKEN)))

    return opened
