"""Transactions: all or nothing, one at a time, off the event loop."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from harness.leases import hold
from sqlalchemy import text

from monitor.core.duration import Duration
from monitor.store import access, listings, workspaces
from monitor.store.db import LeaseLostError, Store, StoreError


def test_a_failed_transaction_leaves_nothing(harness):
    def fail(tx):
        tx.execute(text("INSERT INTO outside (id, changes) VALUES (1, 1)"))
        tx.execute(text("INSERT INTO outside (id, changes) VALUES (1, 1)"))

    with pytest.raises(StoreError, match="failed"):
        harness.run(fail)

    assert harness.column("SELECT changes FROM outside") == []


async def test_work_runs_off_the_event_loop(store):
    here = threading.get_ident()

    assert await store.run(lambda _: threading.get_ident()) != here


async def test_work_is_finished_though_nobody_waits_for_it_any_more(harness):
    begun, go_on = threading.Event(), threading.Event()

    def slow(tx):
        begun.set()
        assert go_on.wait(20)
        hold(tx, "begun")

    waiting = [
        asyncio.create_task(harness.store.run(slow)),
        asyncio.create_task(harness.store.run(lambda tx: hold(tx, "queued"))),
    ]
    assert await asyncio.to_thread(begun.wait, 20)
    for task in waiting:
        task.cancel()
    go_on.set()
    await asyncio.wait(waiting)

    assert all(task.cancelled() for task in waiting)
    attached = await harness.store.run(workspaces.load_attached)
    assert set(attached) == {"acme", "begun", "queued"}


async def test_how_work_fails_that_nobody_waits_for_any_more_is_no_complaint(harness):
    begun, go_on, complaints = threading.Event(), threading.Event(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    def fail(_):
        begun.set()
        assert go_on.wait(20)
        raise LeaseLostError("another monitor has taken over this database")

    task = asyncio.create_task(harness.store.run(fail))
    assert await asyncio.to_thread(begun.wait, 20)
    task.cancel()
    await asyncio.wait([task])
    go_on.set()
    await harness.store.run(lambda _: None)  # after it, on the same thread

    assert complaints == []


async def test_closing_waits_for_what_was_begun(database_url):
    store = Store.open(database_url)
    begun, go_on, done = threading.Event(), threading.Event(), []

    def slow(_):
        begun.set()
        assert go_on.wait(20)
        done.append(True)

    running = asyncio.create_task(store.run(slow))
    assert await asyncio.to_thread(begun.wait, 20)
    closing = asyncio.create_task(asyncio.to_thread(store.close))
    await asyncio.wait([closing], timeout=0.1)
    assert not closing.done()

    go_on.set()
    await closing
    await running

    assert done


def test_what_was_read_holds_until_the_commit(database_url):
    """Without a lock for all of a transaction, one of two that read the same would be lost."""
    stores = [Store.open(database_url) for _ in range(3)]
    stores[0].run_now(lambda tx: tx.execute(text("INSERT INTO outside VALUES (1, 0)")))

    def add(tx):
        changes = tx.execute(text("SELECT changes FROM outside")).scalar_one()
        tx.execute(text("UPDATE outside SET changes = :changes"), {"changes": changes + 1})

    def add_often(store):
        for _ in range(20):
            store.run_now(add)

    with ThreadPoolExecutor() as threads:
        list(threads.map(add_often, stores))

    changes = text("SELECT changes FROM outside")
    assert stores[0].run_now(lambda tx: tx.execute(changes).scalar_one()) == 60
    for store in stores:
        store.close()


@contextmanager
def writing(store):
    """Let a transaction of the store write, and not commit before the context is left."""
    begun, go_on = threading.Event(), threading.Event()

    def write(tx):
        hold(tx, "half")
        begun.set()
        assert go_on.wait(20)

    with ThreadPoolExecutor(1) as thread:
        written = thread.submit(store.run_now, write)
        assert begun.wait(20)
        try:
            yield
        finally:
            go_on.set()
            written.result(20)


def test_who_reads_waits_for_no_writer_and_sees_what_was_committed(harness):
    read = partial(harness.store.read_now, workspaces.load_attached)

    with writing(harness.store):
        assert read() == ["acme"]

    assert set(read()) == {"acme", "half"}


async def test_a_slow_read_holds_up_no_other(store):
    begun, go_on = threading.Event(), threading.Event()

    def slow(_):
        begun.set()
        assert go_on.wait(20)

    reading = asyncio.create_task(store.read(slow))
    assert await asyncio.to_thread(begun.wait, 20)

    assert await store.read(workspaces.load_attached) == []

    go_on.set()
    await reading


def test_all_that_is_read_at_once_is_of_one_moment(harness):
    def read(tx):
        before = workspaces.load_attached(tx)
        harness.run(lambda tx: hold(tx, "beta"))
        return before, workspaces.load_attached(tx)

    assert harness.store.read_now(read) == (["acme"], ["acme"])


def test_who_reads_cannot_write(store):
    with pytest.raises(StoreError, match=r"read-?only"):
        store.read_now(lambda tx: hold(tx, "acme"))


async def test_it_is_seen_how_long_work_waited_for_its_turn(store):
    seen = []
    store.observe(lambda *transaction: seen.append(transaction))

    with writing(store):
        waiting = asyncio.create_task(store.run(workspaces.load_attached))
        await store.read(lambda _: time.sleep(0.1))
        await asyncio.sleep(0.1)
    await waiting

    kinds, waited, took = zip(*seen, strict=True)
    assert kinds == ("read", "write", "write")
    assert took[0] >= 0.1
    assert took[1] >= 0.1
    assert waited[2] >= 0.1


async def test_what_was_refused_is_let_in_at_once_when_the_database_works_again(store, monkeypatch):
    monkeypatch.setattr(access, "SLOW_FAILURE", Duration.parse("100ms"))

    def fail_slowly(tx):
        time.sleep(1)
        tx.execute(text("SELECT nothing FROM nowhere"))

    with pytest.raises(StoreError):
        await store.run(fail_slowly)
    await store.run(listings.accounts, urgent=True)

    await store.run(listings.accounts)


def test_opening_to_read_waits_for_no_writer(database_url, store):
    with writing(store):
        reader = Store.open(database_url, create=False)

        assert reader.read_now(listings.accounts) == []

    reader.close()


async def test_what_is_urgent_is_written_before_all_that_waits(harness):
    begun, order = threading.Event(), []
    works = [asyncio.create_task(harness.store.run(lambda _: begun.wait(20)))]
    await asyncio.sleep(0)
    for name, urgent in (("first", False), ("second", False), ("renewal", True)):
        work = harness.store.run(lambda _, name=name: order.append(name), urgent=urgent)
        works.append(asyncio.create_task(work))
    await asyncio.sleep(0)

    begun.set()
    await asyncio.gather(*works)

    assert order == ["renewal", "first", "second"]
