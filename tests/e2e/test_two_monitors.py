"""Two real monitors on one database: one works, the other waits until that one ends."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
import pytest
from harness.program import Program, answers, free_port
from harness.reconcile import reconcile
from harness.running_monitor import install, simulated

from monitor.store.db import Store

WAITING = "another monitor works on this database"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/monitor.db"


@dataclass
class Monitor:
    """One of the two, and the address of its endpoint."""

    program: Program
    endpoint: str

    async def metric(self, series):
        """The value of a series, as a whole number."""
        async with httpx.AsyncClient() as client:
            page = (await client.get(f"{self.endpoint}/metrics")).text
        (line,) = (line for line in page.splitlines() if line.startswith(f"{series} "))
        return round(float(line.rpartition(" ")[2]))

    async def holds(self):
        """How many workspaces it works on."""
        return await self.metric("linkedapi_workspaces_held")


@asynccontextmanager
async def monitor(installation, name):
    """Run a monitor of the installation with an endpoint of its own, until it is ready."""
    port, endpoint = free_port(), installation.endpoint
    text = installation.file.read_text().replace(endpoint.rpartition(":")[2], str(port))
    file = installation.file.with_name(f"{name}.yaml")
    file.write_text(text)
    async with replace(installation, file=file).run(log=f"{name}.log") as program:
        started = Monitor(program, f"http://127.0.0.1:{port}")
        await answers(f"{started.endpoint}/readyz")
        yield started


async def test_the_second_waits_and_takes_over_at_once_when_the_first_ends(tmp_path, database_url):
    simulator = simulated()
    async with (
        install(tmp_path, simulator, storage=database_url) as installation,
        monitor(installation, "first") as first,
    ):
        hook = installation.hook
        await first.program.until_logged("first look")
        async with monitor(installation, "second") as second:
            assert second.program.output().count(WAITING) == 1
            assert (await first.holds(), await second.holds()) == (1, 0)
            simulator.sign_out("acme", "*")
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 2)
            assert "incident opened" not in second.program.output()

            assert await first.program.stop() == 0
            await second.program.until_logged("lease taken", within=3)

            simulator.recover("acme", "*")
            await hook.wait(lambda: len(hook.events) == 4)
            assert await second.holds() == 1
            assert await second.program.stop() == 0

    assert second.program.output().count(WAITING) == 1
    assert "Traceback" not in first.program.output() + second.program.output()
    store = Store.open(database_url)
    reconcile(store, hook, at_least=2)
    store.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_on_sqlite_a_kill_proves_that_the_first_is_dead(tmp_path, database_url):
    async with install(tmp_path, simulated(), storage=database_url) as installation:
        async with (
            monitor(installation, "first") as first,
            monitor(installation, "second") as second,
        ):
            await first.program.kill()

            await second.program.until_logged("lease taken", within=5)
            await second.program.kill()
        async with monitor(installation, "third") as third:
            assert WAITING not in third.program.output()
