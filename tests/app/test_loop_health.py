"""Which loops hang, why cycles fail, and what the log says of it."""

import asyncio

import pytest
import structlog

from monitor.app.loop_health import LoopHealth
from monitor.core.errors import MonitorError
from monitor.store.db import LeaseLostError


class Health(LoopHealth):
    """The health of loops whose cycles work, or fail for a given reason."""

    def __init__(self):
        self.seconds = 0.0
        super().__init__(lambda: self.seconds)

    async def cycle(self, loop, error=None):
        async def cycle():
            if error is not None:
                raise error

        with structlog.testing.capture_logs() as logs:
            await self.guard(loop, cycle())
        return [entry["event"] for entry in logs]


NO_DATABASE = MonitorError("no database")


@pytest.fixture
def health():
    return Health()


def test_a_loop_that_does_not_cycle_in_time_is_overdue_until_it_does_or_is_over(health):
    health.beat("tick", 60)
    health.beat("poll acme", 100)
    health.seconds = 60
    assert health.overdue() == []
    health.seconds = 90

    assert health.overdue() == ["the loop tick is 30 s overdue"]

    health.beat("tick", 60)
    assert health.overdue() == []
    health.seconds = 900
    health.end("tick")
    health.end("poll nobody")
    assert health.overdue() == ["the loop poll acme is 800 s overdue"]


async def test_a_reason_is_logged_once_however_many_loops_fail_for_it(health):
    assert await health.cycle("tick", NO_DATABASE) == ["cycle failed"]
    assert await health.cycle("tick", NO_DATABASE) == []
    assert await health.cycle("poll acme", NO_DATABASE) == []
    assert await health.cycle("poll beta", ValueError("a bug")) == ["cycle failed unexpectedly"]
    assert health.problems(["tick", "poll acme", "poll beta"]) == [
        "no database (2 of the loops)",
        "ValueError in poll beta (1 of the loops)",
    ]


async def test_a_loop_of_one_workspace_is_no_problem_of_the_others(health):
    await health.cycle("poll acme", ValueError("a bug"))

    assert health.problems(["tick", "clock"]) == []


async def test_a_reason_is_over_when_the_last_loop_works(health):
    await health.cycle("tick", NO_DATABASE)
    await health.cycle("poll acme", NO_DATABASE)

    assert await health.cycle("tick") == []
    assert health.is_failing("poll acme")
    assert await health.cycle("poll acme") == ["cycles work again"]
    assert await health.cycle("poll acme") == []
    assert health.problems(["tick", "poll acme"]) == []


async def test_the_failure_of_a_loop_that_is_over_is_forgotten(health):
    await health.cycle("poll acme", NO_DATABASE)

    health.end("poll acme")

    assert not health.is_failing("poll acme")


class Lease:
    """A lease that is held, and may be doubted."""

    def __init__(self):
        self.held = asyncio.Event()
        self.held.set()
        self.is_doubted = False

    def doubt(self):
        self.is_doubted = True


async def test_a_cycle_that_finds_a_workspace_taken_over_makes_the_lease_doubted(health):
    health._lease = lease = Lease()

    assert await health.cycle("poll acme", LeaseLostError("another has taken over")) == []

    assert lease.is_doubted
    assert not health.is_failing("poll acme")


async def test_nothing_cycles_that_needs_a_lease_which_is_lost(health):
    health._lease = lease = Lease()
    lease.held.clear()
    cycled = asyncio.Event()

    async def cycle():
        cycled.set()

    await health.guard("poll acme", cycle())
    assert not cycled.is_set()
    await health.guard("lease", cycle(), needs_lease=False)
    assert cycled.is_set()


class HeldLease:
    """A lease that is held, and renewed as long as it is *sure*."""

    def __init__(self):
        self.held = asyncio.Event()
        self.held.set()
        self.sure = True

    def is_sure(self):
        return self.sure


def test_a_loop_that_may_wait_for_a_database_that_says_nothing_does_not_hang(health):
    health._lease = lease = HeldLease()
    health.beat("tick", 60)
    health.seconds = 90
    lease.sure = False
    assert health.overdue() == []

    lease.sure = True
    assert health.overdue() == ["the loop tick is 30 s overdue"]
