"""The simulator, called over real HTTP as the customer acme."""

import httpx
import pytest

from monitor.simulator import Simulator, serve

MORNING = 1_795_420_800_000_000  # 2026-11-23T08:00:00Z


@pytest.fixture
def simulator():
    """A simulator whose clock stands still unless it is advanced."""
    simulator = Simulator(clock=lambda: MORNING, seed=7)
    simulator.add_customer("acme", "linked_acme")
    return simulator


@pytest.fixture
def signed_out(simulator):
    """An account that needs a login."""
    return simulator.add_account("acme", status="reconnection_required")


@pytest.fixture
async def http(simulator):
    """An HTTP client of the simulator."""
    settings = {"verify": False, "timeout": 5}  # no certificates to load, there is no TLS
    async with serve(simulator) as url, httpx.AsyncClient(base_url=url, **settings) as client:
        yield client


@pytest.fixture
def call(http):
    """Call a method and return the response."""

    async def post(method, body=None, **headers):
        headers = {"linked-api-token": "linked_acme", "content-type": "application/json"} | headers
        content = {} if body is None else {"json": body}
        return await http.post(f"/admin/{method}", headers=headers, **content)

    return post


@pytest.fixture
def result(call):
    """Call a method and return its result."""

    async def result_of(method="accounts.getAll", body=None):
        response = await call(method, body)
        assert response.status_code == 200, response.text
        return response.json()["result"]

    return result_of


@pytest.fixture
def error(call):
    """Call a method and return the status and the type of its error."""

    async def error_of(method, body=None, **headers):
        response = await call(method, body, **headers)
        assert response.json()["success"] is False
        return response.status_code, response.json()["error"]["type"]

    return error_of


@pytest.fixture
def listed(result):
    """Return the accounts as `accounts.getAll` lists them."""

    async def accounts():
        return (await result())["accounts"]

    return accounts
