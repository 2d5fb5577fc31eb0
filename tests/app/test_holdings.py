"""What replicas hold, as others come, go and fall silent: workers start and stop by it."""

import asyncio
from contextlib import AsyncExitStack, closing

import pytest
from harness.faults import failing_writes
from harness.program import hooks
from harness.store import open_store
from harness.workers import WorkersHarness
from sqlalchemy import text

from monitor.core.model import ALL_WORKSPACES
from monitor.simulator import Simulator, serve
from monitor.store import leases
from monitor.store.db import StoreError

NAMES = [f"w{number}" for number in range(6)]
HOLDERS = text("SELECT name, holder FROM workspace")
STEP = 5


@pytest.fixture
async def replicas(tmp_path):
    """Start replicas on one database that has no lock: each with clocks and workers of its own."""
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(serve(Simulator()))
        receiver = await stack.enter_async_context(hooks())
        clients = await stack.enter_async_context(AsyncExitStack())
        group = await stack.enter_async_context(asyncio.TaskGroup())

        async def start(name, *names, **settings):
            store = stack.enter_context(closing(open_store(f"sqlite:///{tmp_path}/monitor.db")))
            store._lock = None  # as with PostgreSQL
            world = {"simulator": None, "api": api, "hooks": receiver, "name": name}
            harness = WorkersHarness(tmp_path, store, clients, group, **world)
            clients.push_async_callback(harness.resources.http.aclose)
            harness.schedule.start()
            stack.callback(harness.schedule.stop)
            harness.schedule._scheduler.pause()
            stack.push_async_callback(harness.workers.stop)
            await harness.apply(*(names or NAMES), **settings)
            return harness

        yield start


async def passes(seconds, *replicas):
    """Let time pass for these *replicas*, which do what they do every few seconds."""
    for _ in range(0, seconds, STEP):
        for replica in replicas:
            replica.seconds += STEP
            replica.now += STEP * 1_000_000
            await replica.lease.keep()
            await replica.holdings.balance()


def held(replica):
    """The workspaces that it works on, which are those it shows."""
    names = set(replica.workers.workspaces)
    assert replica.metric.count("linkedapi_workspace_up{") == len(names)
    assert f"linkedapi_workspaces_held {len(names)}\n" in replica.metric
    return names


def shows_all(replica):
    """Whether it shows the incidents of all workspaces together."""
    return f'linkedapi_incidents_open{{workspace="{ALL_WORKSPACES}"' in replica.metric


async def give_back_all(replica):
    """Let it do what a replica does that ends."""
    await replica.workers.stop_polls()
    await replica.holdings.give_back_all()


async def recorded(replica):
    """The workspaces by who holds them, as they are recorded."""
    rows = await replica.store.read(lambda tx: tx.execute(HOLDERS).all())
    holders = {}
    for name, holder in rows:
        holders.setdefault(holder, set()).add(name)
    return holders


async def test_who_is_alone_holds_all(replicas):
    first = await replicas("a")

    assert held(first) == set(NAMES)
    assert first.holdings.holds_all
    assert shows_all(first)
    assert await recorded(first) == {first.lease.replica: {*NAMES, ALL_WORKSPACES}}


async def test_who_has_more_than_its_share_gives_back(replicas):
    first = await replicas("a")
    second = await replicas("b")
    assert held(second) == set(), "nobody takes from the living"

    await passes(20, first, second)

    assert (len(held(first)), len(held(second))) == (3, 3)
    assert held(first) | held(second) == set(NAMES)
    assert shows_all(first)
    assert not shows_all(second)


async def test_not_all_changes_hands_at_a_time(replicas):
    names = [f"w{number}" for number in range(80)]
    first = await replicas("a", *names)
    second = await replicas("b", *names)

    first.seconds += 60
    await first.holdings.balance()
    await first.holdings.balance()
    assert len(held(first)) == 55

    first.seconds += 10
    await first.holdings.balance()
    assert len(held(first)) == 40
    await second.holdings.balance()
    assert len(held(second)) == 40


async def test_what_something_is_under_way_of_stays(replicas):
    first = await replicas("a")
    await replicas("b")
    workers = first.workers.workspaces
    for name in NAMES[:2]:
        workers[name].is_idle = False
    first.workers.receivers["log"].deliverer._sending["message"] = NAMES[2]

    first.seconds += 60
    await first.holdings.balance()

    assert held(first) == set(NAMES[:3])


async def test_what_was_not_idle_is_given_back_as_soon_as_it_is(replicas):
    first = await replicas("a")
    await replicas("b")
    workers = first.workers.workspaces
    for name in NAMES[1:]:
        workers[name].is_idle = False
    first.seconds += 60
    await first.holdings.balance()
    assert held(first) == set(NAMES[1:])

    for name in NAMES[3:]:
        workers[name].is_idle = True
    first.seconds += 1
    await first.holdings.balance()

    assert len(held(first)) == 3


async def test_what_is_being_sent_by_all_that_is_recorded_stays_and_is_polled_on(replicas):
    first = await replicas("a")
    await replicas("b")
    await first.execute(f"""
        INSERT INTO message (id, workspace, holder, receiver, address, state, position, part,
            attempts, unanswered, next_attempt_at, created_at)
        VALUES ('m', 'w5', '{first.lease.replica}', 'log', '', 'sending', 1, 0, 1, 0, 0, 0)
    """)
    for name in NAMES:
        first.workers.workspaces[name].polled_at = float(name == "w5")  # it would be the first

    first.seconds += 60
    await first.holdings.balance()

    assert len(held(first)) == 4
    assert "w5" in held(first)
    await asyncio.sleep(0)
    assert set(NAMES) & first.working() == held(first)


async def test_what_a_replica_held_that_fell_silent_is_taken_when_its_lease_has_lapsed(replicas):
    first = await replicas("a")
    second = await replicas("b")
    await passes(20, first, second)

    await passes(25, second)
    assert len(held(second)) == 3
    await passes(10, second)

    assert held(second) == set(NAMES)
    assert second.holdings.holds_all
    assert set(await second.store.read(leases.replicas)) == {second.lease.replica}


async def test_one_that_another_replica_has_taken_is_let_go_alone(replicas):
    first = await replicas("a")
    second = await replicas("b")
    taken = f"UPDATE workspace SET holder = '{second.lease.replica}', term = 9 WHERE name = 'w3'"
    await first.execute(taken)

    await first.holdings.balance()
    await second.holdings.balance()

    assert "w3" not in held(first)
    assert "w3" in held(second)
    assert second.workers.term_of("w3") == 10


async def test_what_is_held_without_a_worker_is_taken_again(replicas):
    first = await replicas("a")
    await first.execute("UPDATE workspace SET term = 7 WHERE name = 'w3'")  # its answer was lost

    await first.holdings.balance()

    assert held(first) == set(NAMES)
    assert first.workers.term_of("w3") == 8


async def test_who_ends_leaves_when_it_was_last_polled_and_how_often(replicas):
    first = await replicas("a", "w0")
    second = await replicas("b", "w0")
    worker = first.workers.workspaces["w0"]
    for _ in range(12):
        worker.budget.take(first.seconds)

    await give_back_all(first)
    assert first.workers.workspaces == {}
    await second.holdings.balance()

    assert held(second) == {"w0"}
    assert second.workers.workspaces["w0"].budget.spent(second.seconds) == 12


async def test_what_is_overdue_is_polled_within_a_quarter_of_an_interval(replicas):
    first = await replicas("a")
    second = await replicas("b")
    late = first.now - 61_000_000
    await first.execute(f"UPDATE workspace SET last_good_at = {late} WHERE name <> 'w5'")
    soon = first.now - 50_000_000
    await first.execute(f"UPDATE workspace SET last_good_at = {soon} WHERE name = 'w5'")

    await give_back_all(first)
    await first.lease.give_back()
    await second.holdings.balance()

    due_in = {name: it.offset for name, it in second.schedule._intervals._entries.items()}
    assert due_in.pop("w5") == 10_000_000
    assert 0 < max(due_in.values()) < 15_000_000


async def test_what_a_configuration_lacks_is_neither_taken_nor_kept(replicas):
    first = await replicas("a")
    await replicas("b", *NAMES, "other")

    holders = f"UPDATE workspace SET holder = '{first.lease.replica}' WHERE name = 'other'"
    await first.execute(holders)
    await first.holdings.balance()

    assert held(first) == set(NAMES)
    assert (await recorded(first))[None] == {"other", ALL_WORKSPACES}


async def test_who_has_an_older_configuration_takes_and_detaches_nothing(replicas):
    first = await replicas("a")
    await replicas("b", *NAMES, "new")
    await first.execute("UPDATE workspace SET holder = NULL WHERE name = 'w1'")

    await passes(5, first)
    await first.apply(*NAMES)

    assert not first.holdings.is_newest
    assert held(first) == set(NAMES) - {"w1"}
    _, detached_at = await first.row("new")
    assert detached_at is None

    await first.apply(*NAMES[:5])  # which nobody had before

    assert first.holdings.is_newest
    assert held(first) == set(NAMES[:5])
    _, detached_at = await first.row("new")
    assert detached_at is not None


async def test_a_configuration_that_was_older_counts_once_nobody_has_a_newer_one(replicas):
    first = await replicas("a")
    second = await replicas("b", *NAMES, "new")
    await passes(5, first, second)
    assert not first.holdings.is_newest

    await second.lease.give_back()
    await first.holdings.balance()

    assert first.holdings.is_newest
    assert held(first) == set(NAMES)


async def test_what_is_of_all_is_taken_though_nothing_else_is_free(replicas):
    first = await replicas("a")
    second = await replicas("b")
    await passes(20, first, second)

    await first.execute(f"UPDATE workspace SET holder = NULL WHERE name = '{ALL_WORKSPACES}'")
    await second.holdings.balance()
    await first.holdings.balance()

    assert (second.holdings.holds_all, first.holdings.holds_all) == (True, False)
    assert (shows_all(second), shows_all(first)) == (True, False)


async def test_a_database_that_fails_while_taking_leaves_nothing_without_a_worker(replicas):
    first = await replicas("a")
    second = await replicas("b")
    await give_back_all(first)
    await first.lease.give_back()

    with failing_writes(second.store, "message"), pytest.raises(StoreError):
        await second.holdings.balance()
    await second.holdings.balance()

    assert held(second) == set(NAMES)


async def test_a_database_that_fails_while_giving_back_leaves_all_as_it_was(replicas):
    first = await replicas("a")
    await replicas("b")
    first.seconds += 60

    with failing_writes(first.store), pytest.raises(StoreError):
        await first.holdings.balance()

    assert held(first) == set(NAMES)
    await asyncio.sleep(0)
    assert set(NAMES) <= first.working()
