"""The lease: who may hold workspaces, who has fallen silent, and who has lost all."""

from dataclasses import replace

import pytest
import structlog
from harness.faults import locked
from sqlalchemy import text

from monitor.app.lease import Lease
from monitor.app.process import REAL
from monitor.store import leases
from monitor.store.db import Store, StoreError
from monitor.store.exclusive import hold

SECOND = 1_000_000


class Replica(Lease):
    """The lease of one monitor, with a store, a clock and a monotonic clock of its own."""

    def __init__(self, url, *, has_lock):
        self.store = Store.open(url)
        if not has_lock:
            self.store._lock = None  # as with PostgreSQL
        self.now, self.seconds = 1_000 * SECOND, 100.0
        self.runtime = replace(REAL, now=lambda: self.now, monotonic=lambda: self.seconds)
        super().__init__(self.store, self.runtime, "host")

    async def works(self, after=0.0):
        """Let time pass and the lease be kept; return whether this monitor works then."""
        self.seconds += after
        self.now += round(after * SECOND)
        await self.keep()
        return self.held.is_set()

    async def silent(self, after=0.0):
        """Let time pass and the others be watched; return who has lapsed."""
        self.seconds += after
        return set(self.watch(await self.store.read(leases.replicas)))

    async def take_all_of(self, other):
        """Do what a replica does that takes over all that the *other* one held."""
        silent = leases.seen({other: (await self.store.read(leases.replicas))[other]})
        take = {"replica": self.replica, "names": [], "silent": silent, "now": self.now}
        await self.store.run(lambda tx: leases.take(tx, **take))


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


# ── with a lock ──────────────────────────────────────────────────────────────────────────────────


async def test_with_a_lock_a_second_monitor_waits_and_says_so_once(replica):
    first, second = replica(has_lock=True), replica(has_lock=True)
    assert await first.works()
    assert first.is_alone

    with structlog.testing.capture_logs() as logs:
        for _ in range(9):
            assert await first.works(after=10)
            assert not await second.works(after=10)
        assert not second.is_alone
        await first.give_back()
        assert await second.works(after=1)
    assert [entry["event"] for entry in logs] == [
        "another monitor works on this database; waiting until it ends",
        "lease taken; this monitor works now",
    ]


async def test_a_lock_proves_that_the_former_is_dead(replica):
    first, second = replica(has_lock=True), replica(has_lock=True)
    assert await first.works()
    assert not await second.works()
    first.store._lock.release()  # as the system does for who was killed

    assert await second.works(after=1)
    assert await second.silent() == {first.replica}


async def test_a_lock_that_is_held_needs_no_renewal(replica):
    first = replica(has_lock=True)
    assert await first.works()

    with locked(first.store):
        assert await first.works(after=3600)
    assert first.is_sure()


async def test_whose_lock_was_deleted_works_no_more_once_another_has_the_new_one(replica):
    first, second = replica(has_lock=True), replica(has_lock=True)
    assert await first.works()
    first.store._lock._path.unlink()
    assert await first.works(after=10), "nobody else has come"
    first.store._lock._path.unlink()
    assert await second.works()

    assert not await first.works(after=10)
    assert first.lost.is_set()
    assert not first.is_sure()


# ── without one ──────────────────────────────────────────────────────────────────────────────────


async def test_without_a_lock_two_work_beside_each_other(replica):
    first, second = replica(), replica()

    assert await first.works()
    assert await second.works()

    present = await first.store.read(leases.replicas)
    assert {id_: it.name for id_, it in present.items()} == {
        first.replica: "host",
        second.replica: "host",
    }
    assert not first.is_alone
    await second.give_back()
    assert set(await first.store.read(leases.replicas)) == {first.replica}


async def test_who_has_not_renewed_for_30_seconds_has_lapsed(replica):
    first, second = replica(), replica()
    assert await first.works()
    assert await second.works()

    assert await second.silent() == set()
    assert [await second.silent(after=9.9) for _ in range(3)] == [set()] * 3
    assert await first.works(after=20)
    assert await second.silent(after=0.3) == set(), "it was renewed meanwhile"
    assert [await second.silent(after=9.9) for _ in range(3)] == [set()] * 3
    assert await second.silent(after=0.3) == {first.replica}


async def test_who_could_not_look_for_long_observes_the_others_anew(replica):
    first, second = replica(), replica()
    assert await first.works()
    assert await second.silent() == set()

    assert await second.silent(after=60) == set(), "the database was away: nobody could renew"

    assert [await second.silent(after=10) for _ in range(3)][-1] == {first.replica}


async def test_while_nobody_can_write_nobody_falls_silent(replica):
    first, second = replica(), replica()
    assert await first.works()
    assert await second.works()
    assert await first.silent() == set()

    with locked(first.store):
        for _ in range(5):
            with pytest.raises(StoreError):
                await first.works(after=9)
            assert await first.silent() == set(), "one may be able to write before the others are"

    assert await first.works()
    assert [await first.silent(after=9.9) for _ in range(3)] == [set()] * 3
    assert await first.silent(after=0.3) == {second.replica}


@pytest.mark.parametrize("ahead", [60 * SECOND, -60 * SECOND])
async def test_clocks_of_two_hosts_are_not_compared(replica, ahead):
    first, second = replica(), replica()
    second.now += ahead
    assert await first.works()
    for _ in range(5):
        assert await first.works(after=10)
        assert await second.silent(after=10) == set()
    first.now -= 3600 * SECOND
    for _ in range(5):
        assert await first.works(after=10)
        assert await second.silent(after=10) == set(), "a clock that went back renews as well"


async def test_a_lease_that_can_not_be_renewed_stays_but_is_not_sure(replica):
    first = replica()
    assert await first.works()
    assert first.is_sure()

    with locked(first.store):
        for _ in range(9):
            with pytest.raises(StoreError):
                await first.works(after=10)
            assert first.held.is_set()
    assert not first.is_sure()

    assert await first.works(after=10)
    assert first.is_sure()
    first.seconds += 24.9
    assert first.is_sure()
    first.seconds += 0.1
    assert not first.is_sure()


async def test_who_was_silent_until_others_had_taken_all_finds_the_lease_lost_and_enters_anew(
    replica,
):
    first, second = replica(), replica()
    assert await first.works()
    assert await second.works()
    await second.take_all_of(first.replica)

    with structlog.testing.capture_logs() as logs:
        assert not await first.works(after=60)
        assert first.lost.is_set()
        assert not first.is_sure()
        assert await first.works(after=1)
        assert not first.lost.is_set()
    assert [entry["event"] for entry in logs] == [
        "lease lost; waiting for it",
        "lease taken; this monitor works now",
    ]
    assert set(await second.store.read(leases.replicas)) == {first.replica, second.replica}


async def test_a_doubt_is_no_loss(replica):
    first = replica()
    assert await first.works()

    first.doubt()

    assert first.doubted.is_set()
    assert await first.works()


# ── a database for oneself ───────────────────────────────────────────────────────────────────────


async def test_nobody_works_while_the_database_is_copied_or_brought_up_to_date(replica):
    first, other = replica(), replica()
    with (
        structlog.testing.capture_logs() as logs,
        hold(other.store, other.runtime, say=print, sleep=print),
    ):
        for _ in range(3):
            assert not await first.works(after=1)
    assert [entry["event"] for entry in logs] == [
        "the database is being copied or brought up to date; waiting for its end"
    ]

    assert await first.works(after=1)


async def test_who_died_alone_keeps_nobody_away_for_longer_than_a_lease(replica):
    first = replica()
    alone = leases.Replica("copier", "", first.now, alone=1)
    assert await first.store.run(lambda tx: leases.register(tx, alone, silent={}))

    assert [await first.works(after=10) for _ in range(4)] == [False, False, False, True]
    assert set(await first.store.read(leases.replicas)) == {first.replica}


@pytest.mark.parametrize("has_lock", [True, False])
async def test_a_monitor_that_waited_does_not_work_on_tables_of_a_newer_version(replica, has_lock):
    second, other = replica(has_lock=has_lock), replica(has_lock=True)
    newer = text("INSERT INTO migration (version, fingerprint) VALUES (99, 'x')")
    second.store.run_now(lambda tx: tx.execute(newer))

    for _ in range(2):
        with pytest.raises(StoreError, match="made by a newer version"):
            await second.works(after=40)

    assert second.store.read_now(leases.replicas) == {}
    assert other.store.lock_now() is True, "the lock is free for a newer one"
