import asyncio
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from monitor.simulator import Simulator, serve


async def test_the_server_takes_a_free_port_of_the_loopback_and_gives_it_back(simulator):
    async with serve(simulator) as url:
        address = urlsplit(url)

    with socket.create_server((address.hostname, address.port)):
        assert address.hostname == "127.0.0.1"


async def test_a_taken_port_is_an_error(simulator):
    async with serve(simulator) as url:
        with pytest.raises(OSError, match="in use"):
            async with serve(Simulator(), port=urlsplit(url).port):
                pass


async def test_an_address_of_version_6_is_written_in_brackets(simulator):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with serve(simulator, host="::1") as url, httpx.AsyncClient() as client:
        response = await client.post(f"{url}/admin/accounts.getAll")

    assert url.startswith("http://[::1]:")
    assert response.status_code == 401


async def test_leaving_ends_requests_that_hang():
    arrived = asyncio.Event()

    def clock():
        arrived.set()
        return 0

    simulator = Simulator(clock=clock)
    simulator.add_fault("hang")
    async with httpx.AsyncClient() as client:
        async with serve(simulator) as url:
            request = asyncio.ensure_future(client.post(f"{url}/admin/accounts.getAll"))
            await arrived.wait()
            started = time.monotonic()

        elapsed = time.monotonic() - started
        with pytest.raises(httpx.TransportError):
            await request

    assert elapsed < 1


async def test_a_simulator_can_be_served_again_with_its_state(simulator, caplog):
    simulator.add_account("acme")
    counts = []
    for _ in range(2):
        async with serve(simulator) as url, httpx.AsyncClient() as client:
            headers = {"linked-api-token": "linked_acme"}
            response = await client.post(f"{url}/admin/accounts.getAll", headers=headers)
            counts.append(len(response.json()["result"]["accounts"]))

    assert counts == [1, 1]
    assert caplog.records == []


async def test_a_request_that_is_cut_off_is_not_logged(simulator, http):
    address = urlsplit(str(http.base_url))
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"POST /admin/accounts.getAll HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab")
    await writer.drain()

    writer.close()
    await writer.wait_closed()

    assert (await http.post("/admin/accounts.getAll")).status_code == 401
    assert len(simulator.requests) == 1
