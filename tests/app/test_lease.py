"""The lease: who works, who waits for how long, and who stops in time."""

from dataclasses import replace

import pytest
import structlog
from harness.faults import locked
from sqlalchemy import text

from monitor.app.lease import Lease
from monitor.app.process import REAL
from monitor.store import leases
from monitor.store.db import LeaseLostError, Store, StoreError


class Replica(Lease):
    """The lease of one monitor, with a store, a clock and a monotonic clock of its own."""

    def __init__(self, url, *, has_lock):
        self.store = Store.open(url)
        if not has_lock:
            self.store._lock = None  # as with PostgreSQL
        self.now, self.seconds = 1_000_000_000, 100.0
        clocks = {"now": lambda: self.now, "monotonic": lambda: self.seconds}
        super().__init__(self.store, replace(REAL, **clocks))

    async def works(self, after=0.0):
        """Let time pass and the lease be kept; return whether this monitor works then."""
        self.seconds += after
        try:
            await self.keep()
            self.check()
        except LeaseLostError:
            self.lose()
        return self.held.is_set()


@pytest.fixture
def replica(database_url):
    """Make replicas that share a database."""
    made = []

    def make(*, has_lock=False):
        made.append(Replica(database_url, has_lock=has_lock))
        return made[-1]

    yield make
    for each in made:
        each.store.close()


@pytest.mark.parametrize("has_lock", [True, False])
async def test_a_second_monitor_takes_nothing_from_a_living_one_and_says_so_once(replica, has_lock):
    first, second = replica(has_lock=has_lock), replica(has_lock=has_lock)
    assert await first.works()

    with structlog.testing.capture_logs() as logs:
        for _ in range(9):
            assert await first.works(after=10)
            assert not await second.works(after=10)
    assert [entry["event"] for entry in logs] == [
        "another monitor works on this database; waiting until it ends"
    ]


@pytest.mark.parametrize("has_lock", [True, False])
async def test_who_has_given_back_is_followed_at_once(replica, has_lock):
    first, second = replica(has_lock=has_lock), replica(has_lock=has_lock)
    assert await first.works()
    assert not await second.works()

    await first.give_back()

    assert await second.works(after=1)


async def test_a_lock_proves_that_the_former_is_dead(replica):
    first, second = replica(has_lock=True), replica(has_lock=True)
    assert await first.works()
    assert not await second.works()
    first.store._lock.release()  # as the system does for who was killed

    assert await second.works(after=1)


async def test_a_lock_that_is_held_needs_no_renewal(replica):
    first = replica(has_lock=True)
    assert await first.works()

    with locked(first.store):
        assert await first.works(after=3600)


async def test_whose_lock_was_deleted_works_no_more_once_another_has_the_new_one(replica):
    first, second = replica(has_lock=True), replica(has_lock=True)
    assert await first.works()
    first.store._lock._path.unlink()
    assert await first.works(after=10), "nobody else has come"
    first.store._lock._path.unlink()
    assert await second.works()

    assert not await first.works(after=10)


async def test_without_a_lock_a_lease_lapses_when_it_has_not_changed_for_30_seconds(replica):
    first, second = replica(), replica()
    assert await first.works()

    assert not await second.works()
    assert not await second.works(after=29)
    assert await first.works(after=20)
    assert not await second.works(after=2), "it was renewed meanwhile"
    assert not await second.works(after=29)
    assert await second.works(after=1)
    assert not await first.works(after=10)


@pytest.mark.parametrize("ahead", [60_000_000, -60_000_000])
async def test_clocks_of_two_hosts_are_not_compared(replica, ahead):
    first, second = replica(), replica()
    second.now += ahead
    assert await first.works()

    for _ in range(9):
        assert await first.works(after=10)
        assert not await second.works(after=10)
    first.now += ahead
    assert await first.works(after=10)
    assert not await second.works(after=10)


async def test_who_could_not_renew_stops_before_another_may_begin(replica):
    first, second = replica(), replica()
    assert await first.works()
    assert not await second.works()
    with locked(first.store):
        first.seconds += 24.9
        with pytest.raises(StoreError):
            await first.keep()
        first.check()

        first.seconds += 0.1
        with pytest.raises(LeaseLostError):
            first.check()
    assert first.lost.is_set()

    assert not await second.works(after=29)
    assert await first.works(after=1), "nobody has taken it meanwhile"
    assert not await second.works(after=1)


async def test_who_was_stopped_for_long_finds_itself_replaced(replica):
    first, second = replica(), replica()
    assert await first.works()
    assert not await second.works()
    assert await second.works(after=30)

    first.seconds += 60
    with pytest.raises(LeaseLostError):
        await first.store.run(leases.replicas)
    with pytest.raises(LeaseLostError):
        first.check()
    assert not await first.works()
    assert set(await second.store.read(leases.replicas)) == {second.replica}


@pytest.mark.parametrize("has_lock", [True, False])
async def test_a_monitor_that_waited_does_not_work_on_tables_of_a_newer_version(replica, has_lock):
    first, second = replica(has_lock=has_lock), replica(has_lock=has_lock)
    assert await first.works()
    assert not await second.works()
    await first.give_back()
    newer = text("INSERT INTO migration (version, fingerprint) VALUES (99, 'x')")
    first.store.run_now(lambda tx: tx.execute(newer))

    for _ in range(2):
        with pytest.raises(StoreError, match="made by a newer version"):
            await second.works(after=40)

    assert first.store.read_now(leases.replicas) == {}
    assert first.store.lock_now() is not False, "the lock is free for a newer one"
