"""Two real monitors on one database: they share its workspaces; with SQLite the second waits."""

import asyncio
import signal
import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import httpx
import yaml
from harness import postgresql
from harness.line import line
from harness.program import Program, answers, free_port
from harness.reconcile import reconcile
from harness.running_monitor import install, simulated
from sqlalchemy.engine import make_url

from monitor.store.db import Store

WAITING = "another monitor works on this database"


NAMES = ("acme", "beta", "gamma", "delta")


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

    async def until_it_holds(self, count, *, within):
        """Wait until it works on so many workspaces."""
        async with asyncio.timeout(within):
            while await self.holds() != count:
                await asyncio.sleep(0.1)


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


# ── with SQLite ──────────────────────────────────────────────────────────────────────────────────


async def test_on_sqlite_the_second_waits_and_takes_over_at_once_when_the_first_ends(tmp_path):
    simulator = simulated()
    async with (
        install(tmp_path, simulator) as installation,
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
    await check_books(f"sqlite:///{tmp_path}/monitor.db", hook)


async def test_on_sqlite_a_kill_proves_that_the_first_is_dead(tmp_path):
    async with install(tmp_path, simulated()) as installation:
        async with (
            monitor(installation, "first") as first,
            monitor(installation, "second") as second,
        ):
            await first.program.kill()

            await second.program.until_logged("lease taken", within=5)
            await second.program.kill()
        async with monitor(installation, "third") as third:
            assert WAITING not in third.program.output()


# ── with PostgreSQL ──────────────────────────────────────────────────────────────────────────────


async def test_on_postgresql_two_share_and_who_falls_silent_is_replaced(tmp_path, postgres):
    scenarios = (
        two_share_and_one_hands_over_within_3_s_of_its_end,
        the_other_takes_over_within_45_s_of_a_kill,
        a_holder_that_was_frozen_ends_its_send_and_does_nothing_more,
        a_holder_that_is_cut_off_from_the_database_polls_on_and_lets_go_what_others_took,
    )
    with ExitStack() as stack:
        async with asyncio.TaskGroup() as at_once:  # they do little but wait for leases to lapse
            for number, scenario in enumerate(scenarios):
                folder = tmp_path / str(number)
                folder.mkdir()
                url = stack.enter_context(postgresql.schema(*postgres))
                at_once.create_task(scenario(folder, url), name=scenario.__name__)


@asynccontextmanager
async def install_four(folder, url):
    """Install a monitor of four workspaces with one account each."""
    simulator = simulated(accounts=1)
    for name in NAMES[1:]:
        simulator.add_customer(name, f"linked_{name}")
        simulator.add_accounts(name, 1)
    async with install(folder, simulator, storage=url) as installation:
        settings = yaml.safe_load(installation.file.read_text())
        settings["workspaces"] += [{"name": it, "token": f"linked_{it}"} for it in NAMES[1:]]
        installation.file.write_text(yaml.safe_dump(settings))
        yield installation


def sign_out(simulator):
    for name in NAMES:
        simulator.sign_out(name, "*")


def recover(simulator):
    for name in NAMES:
        simulator.recover(name, "*")


@asynccontextmanager
async def sharing(installation, **changes):
    """Run two monitors until each works on two workspaces; the first one's file has *changes*."""
    async with monitor(installation, "first", **changes) as first:
        await first.until_it_holds(4, within=10)
        async with monitor(installation, "second") as second:
            for each in (first, second):
                await each.until_it_holds(2, within=20)
            yield first, second
    assert "failed unexpectedly" not in first.program.output() + second.program.output()


async def two_share_and_one_hands_over_within_3_s_of_its_end(tmp_path, url):
    async with (
        install_four(tmp_path, url) as installation,
        sharing(installation) as (first, second),
    ):
        hook, simulator = installation.hook, installation.simulator
        sign_out(simulator)
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 4)
        for each in (first, second):
            assert each.program.output().count("incident opened") == 2
            assert WAITING not in each.program.output()

        stopped_at = time.monotonic()
        first.program.process.send_signal(signal.SIGTERM)
        await second.until_it_holds(4, within=20)
        assert time.monotonic() - stopped_at < 3
        assert await first.program.ended() == 0

        recover(simulator)
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 8)
        assert await second.program.stop() == 0
    await check_books(url, hook)


async def the_other_takes_over_within_45_s_of_a_kill(tmp_path, url):
    async with (
        install_four(tmp_path, url) as installation,
        sharing(installation) as (first, second),
    ):
        hook, simulator = installation.hook, installation.simulator
        sign_out(simulator)
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 4)

        await first.program.kill()
        recover(simulator)

        await second.until_it_holds(4, within=45)
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 8)
        assert await second.program.stop() == 0
    await check_books(url, hook)


async def a_holder_that_was_frozen_ends_its_send_and_does_nothing_more(tmp_path, url):
    simulator = simulated(accounts=1)
    simulator.sign_out("acme", "*")
    async with install(tmp_path, simulator, storage=url) as installation:
        hook = installation.hook
        hook.delay = 5.0
        async with monitor(installation, "first", **{"every: 1s": "every: 60s"}) as first:
            await hook.wait(lambda: hook.events and hook.slack)
            first.program.process.send_signal(signal.SIGSTOP)
            hook.delay = 0.0
            async with monitor(installation, "second") as second:
                await second.until_it_holds(1, within=45)
                await hook.wait(lambda: len(hook.events) == len(hook.slack) == 2)
                first.program.process.send_signal(signal.SIGCONT)
                await first.program.until_logged("lease lost")
                await first.until_it_holds(0, within=10)
                await asyncio.sleep(8)

                assert await first.requests() <= 2, "the poll of the moment it awoke in"
                assert (await first.holds(), await second.holds()) == (0, 1)
                simulator.recover("acme", "*")
                await hook.wait(lambda: len(hook.events) == len(hook.slack) == 3)
                for each in (first, second):
                    assert await each.program.stop() == 0

    opened, again, resolved = hook.ids
    assert opened == again, "what was being sent is sent again under its key"
    assert resolved[1] == "incident.resolved"
    assert "Traceback" not in first.program.output() + second.program.output()
    await check_books(url, hook)


async def a_holder_that_is_cut_off_from_the_database_polls_on_and_lets_go_what_others_took(
    tmp_path, url
):
    port = make_url(url).port
    async with (
        line(port) as to_database,
        install_four(tmp_path, url) as installation,
        sharing(installation, **{f":{port}/": f":{to_database.port}/"}) as (first, second),
    ):
        hook, simulator = installation.hook, installation.simulator
        sign_out(simulator)
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 4)

        to_database.cut()
        cut_at = await first.requests()
        await second.until_it_holds(4, within=45)
        assert await first.holds() == 2
        assert await first.requests() > cut_at + 20, "it goes on polling"
        recover(simulator)
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 8)
        to_database.mend()
        await first.program.until_logged("lease lost")
        for each in (first, second):
            await each.until_it_holds(2, within=60)
        sign_out(simulator)
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 12)
        recover(simulator)
        await hook.wait(lambda: len(hook.events) == len(hook.slack) == 16)
        for each in (first, second):
            assert await each.program.stop() == 0
    await check_books(url, hook)


async def check_books(url, hook):
    """Compare what the receiver was told with the database."""
    store = await asyncio.to_thread(Store.open, url)
    reconcile(store, hook, at_least=1)
    store.close()
