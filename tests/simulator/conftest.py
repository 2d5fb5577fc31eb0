from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from monitor.simulator import Simulator, serve

MORNING = 1_795_420_800_000_000  # 2026-11-23T08:00:00Z


class Clock:
    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> Simulator:
    simulator = Simulator(clock=clock, seed=7)
    simulator.add_customer("acme", "linked_acme")
    return simulator


@pytest.fixture
async def http(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    plain = {"verify": False, "timeout": 5}  # no certificates to load, there is no TLS
    async with serve(sim) as url, httpx.AsyncClient(base_url=url, **plain) as client:
        yield client


@pytest.fixture
def call(http: httpx.AsyncClient) -> Callable[..., Awaitable[httpx.Response]]:
    """Call a method of the API as the customer acme."""

    async def post(method: str, body: Any = None, **headers: str) -> httpx.Response:
        own = {"linked-api-token": "linked_acme", "content-type": "application/json"} | headers
        if body is None:
            return await http.post(f"/admin/{method}", headers=own)
        return await http.post(f"/admin/{method}", headers=own, json=body)

    return post


@pytest.fixture
def get_all(call) -> Callable[[], Awaitable[dict[str, Any]]]:
    """Call getAll and return its result."""

    async def result() -> dict[str, Any]:
        response = await call("accounts.getAll")
        assert response.status_code == 200, response.text
        return response.json()["result"]

    return result
