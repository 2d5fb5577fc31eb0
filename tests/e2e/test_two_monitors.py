"""Two real monitors on one database: one works, the other waits until that one ends."""

import asyncio
import signal
import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import httpx
import pytest
from harness import postgresql
from harness.line import line
from harness.program import Program, answers, free_port
from harness.reconcile import reconcile
from harness.running_monitor import install, simulated
from sqlalchemy.engine import make_url

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

    async def requests(self):
        """How often it has asked for the list of accounts."""
        return await self.metric(
            'linkedapi_api_requests_total{method="accounts.getAll",outcome="ok"}'
        )

    async def holds(self):
        """How many workspaces it works on."""
        return await self.metric("linkedapi_workspaces_held")


@asynccontextmanager
async def monitor(installation, name, **changes):
    """Run a monitor of the installation with an endpoint of its own, until it is ready.

    Its configuration has *changes*: what stands for which text.
    """
    port, endpoint = free_port(), installation.endpoint
    text = installation.file.read_text().replace(endpoint.rpartition(":")[2], str(port))
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
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
    await check_books(database_url, hook)


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


async def test_on_postgresql_who_falls_silent_is_replaced_and_does_nothing_more(tmp_path, postgres):
    silent = (
        the_second_takes_over_within_45_s_of_a_kill,
        a_holder_that_was_frozen_ends_its_send_and_does_nothing_more,
        a_holder_that_is_cut_off_from_the_database_stops_before_the_other_begins,
    )
    with ExitStack() as stack:
        async with asyncio.TaskGroup() as at_once:  # they do little but wait for leases to lapse
            for number, scenario in enumerate(silent):
                folder = tmp_path / str(number)
                folder.mkdir()
                url = stack.enter_context(postgresql.schema(*postgres))
                at_once.create_task(scenario(folder, url), name=scenario.__name__)


async def the_second_takes_over_within_45_s_of_a_kill(tmp_path, postgres_url):
    simulator = simulated()
    async with (
        install(tmp_path, simulator, storage=postgres_url) as installation,
        monitor(installation, "first") as first,
        monitor(installation, "second") as second,
    ):
        hook = installation.hook
        simulator.sign_out("acme", "*")
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 2)

        await first.program.kill()
        simulator.recover("acme", "*")

        await second.program.until_logged("lease taken", within=45)
        await hook.wait(lambda: len(hook.events) == 4)
        assert await second.program.stop() == 0
        async with monitor(installation, "third") as third:
            assert WAITING not in third.program.output(), "the second has given the lease back"

    await check_books(postgres_url, hook)


async def a_holder_that_was_frozen_ends_its_send_and_does_nothing_more(tmp_path, postgres_url):
    simulator = simulated(accounts=1)
    simulator.sign_out("acme", "*")
    async with install(tmp_path, simulator, storage=postgres_url) as installation:
        hook = installation.hook
        hook.delay = 5.0
        async with monitor(installation, "first", **{"every: 1s": "every: 60s"}) as first:
            await hook.wait(lambda: hook.events and hook.slack)
            first.program.process.send_signal(signal.SIGSTOP)
            frozen_at = time.monotonic()
            hook.delay = 0.0
            async with monitor(installation, "second") as second:
                await second.program.until_logged("lease taken", within=45)
                await hook.wait(lambda: len(hook.events) == len(hook.slack) == 2)
                await asyncio.sleep(frozen_at + 62 - time.monotonic())
                first.program.process.send_signal(signal.SIGCONT)  # a poll is due, too
                await first.program.until_logged("lease lost")
                await asyncio.sleep(8)

                assert await first.requests() == 1
                assert (await first.holds(), await second.holds()) == (0, 1)
                simulator.recover("acme", "*")
                await hook.wait(lambda: len(hook.events) == len(hook.slack) == 3)
                for each in (first, second):
                    assert await each.program.stop() == 0

    opened, again, resolved = hook.ids
    assert opened == again, "what was being sent is sent again under its key"
    assert resolved[1] == "incident.resolved"
    assert "Traceback" not in first.program.output() + second.program.output()
    await check_books(postgres_url, hook)


async def a_holder_that_is_cut_off_from_the_database_stops_before_the_other_begins(
    tmp_path, postgres_url
):
    simulator = simulated()
    port = make_url(postgres_url).port
    async with (
        line(port) as to_database,
        install(tmp_path, simulator, storage=postgres_url) as installation,
        monitor(installation, "first", **{f":{port}/": f":{to_database.port}/"}) as first,
        monitor(installation, "second") as second,
    ):
        hook = installation.hook
        simulator.sign_out("acme", "*")
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 2)

        to_database.cut()
        await first.program.until_logged("lease lost", within=27)
        stopped_at = await first.requests()
        assert "lease taken" not in second.program.output()
        await second.program.until_logged("lease taken", within=20)
        simulator.recover("acme", "*")
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 4)
        await asyncio.sleep(20)
        to_database.mend()
        await answers(f"{first.endpoint}/readyz")
        simulator.sign_out("acme", "*")
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 6)

        assert await first.requests() == stopped_at
        assert (await first.holds(), await second.holds()) == (0, 1)
        simulator.recover("acme", "*")
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 8)
        for each in (first, second):
            assert await each.program.stop() == 0

    assert "failed unexpectedly" not in first.program.output() + second.program.output()
    await check_books(postgres_url, hook)


async def check_books(url, hook):
    """Compare what the receiver was told with the database."""
    store = await asyncio.to_thread(Store.open, url)
    reconcile(store, hook, at_least=1)
    store.close()
