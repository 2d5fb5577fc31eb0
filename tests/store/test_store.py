"""The database itself: opening, migrating, claims, the clock, retention, listings."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.core import HOUR, LINK, NOON, REJECTED, UNREACHABLE, frozen, listed_account, signed_out
from harness.store import StoreHarness
from sqlalchemy import text

from monitor.core.duration import Duration
from monitor.core.model import IntentOutcome, Workspace
from monitor.store import (
    accounts,
    clock,
    incidents,
    listings,
    retention,
    session_intents,
    workspaces,
)
from monitor.store.db import LeaseLostError, Store, StoreError
from monitor.store.session_intents import SessionIntent

DAY = Duration.parse("24h")


def test_what_was_recorded_is_loaded_again(harness):
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"))
    harness.observe(UNREACHABLE)

    loaded = harness.run(lambda tx: workspaces.load(tx, "acme"))

    assert loaded == harness.workspace


def test_removed_accounts_are_not_loaded_but_known(harness):
    harness.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        harness.poll(listed_account("a"))

    assert set(harness.run(lambda tx: workspaces.load(tx, "acme")).accounts) == {"a"}
    assert harness.run(lambda tx: accounts.load(tx, "acme", "b")).removed_at == harness.now


def test_an_unknown_workspace_is_empty(store):
    assert store.run_now(lambda tx: workspaces.load(tx, "nobody")) == Workspace("nobody")


def test_a_newer_claim_keeps_an_older_one_from_recording(harness):
    harness.poll(listed_account())
    harness.run(lambda tx: workspaces.attach(tx, "acme"))

    with pytest.raises(LeaseLostError, match="one monitor a database"):
        harness.poll(signed_out())

    assert harness.run(lambda tx: incidents.load_open(tx, "acme")) == {}
    assert harness.deliver() is None


def test_a_poll_that_changed_nothing_writes_no_account_rows(harness):
    harness.poll(listed_account("a"), signed_out("b"))

    recorded = harness.poll(listed_account("a"), signed_out("b"))

    assert recorded.decision.accounts == ()


def test_a_failed_transaction_leaves_nothing(harness):
    def fail(tx):
        tx.execute(text("INSERT INTO workspace (name, term) VALUES ('half', 1)"))
        tx.execute(text("INSERT INTO workspace (name, term) VALUES ('half', 1)"))

    with pytest.raises(StoreError, match="failed"):
        harness.run(fail)

    assert harness.run(lambda tx: workspaces.load(tx, "half")) == Workspace("half")
    names = harness.run(lambda tx: tx.execute(text("SELECT name FROM workspace")).scalars().all())
    assert names == ["acme"]


async def test_work_runs_off_the_event_loop(store):
    here = threading.get_ident()

    assert await store.run(lambda _: threading.get_ident()) != here


async def test_work_is_finished_though_nobody_waits_for_it_any_more(harness):
    begun, go_on = threading.Event(), threading.Event()

    def slow(tx):
        begun.set()
        assert go_on.wait(20)
        workspaces.attach(tx, "begun")

    waiting = [
        asyncio.create_task(harness.store.run(slow)),
        asyncio.create_task(harness.store.run(lambda tx: workspaces.attach(tx, "queued"))),
    ]
    assert await asyncio.to_thread(begun.wait, 20)
    for task in waiting:
        task.cancel()
    go_on.set()
    await asyncio.wait(waiting)

    assert all(task.cancelled() for task in waiting)
    attached = await harness.store.run(workspaces.load_attached)
    assert set(attached) == {"acme", "begun", "queued"}


def test_what_was_read_holds_until_the_commit(database_url):
    """Without a lock for all of a transaction, one of two that read the same would be lost."""
    stores = [Store.open(database_url) for _ in range(3)]
    stores[0].run_now(lambda tx: clock.set_clock(tx, 0))

    def add(tx):
        latest = tx.execute(clock.LATEST).scalar_one()
        tx.execute(clock.ADVANCE, {"now": latest + 1})

    def add_often(store):
        for _ in range(20):
            store.run_now(add)

    with ThreadPoolExecutor() as threads:
        list(threads.map(add_often, stores))

    assert stores[0].run_now(lambda tx: tx.execute(clock.LATEST).scalar_one()) == 60
    for store in stores:
        store.close()


def test_what_people_and_apis_write_is_kept_as_it_is(harness):
    odd = 'O\'Brien "%s" %(x)s :name \\ 日本 🙂 \u202e \x7f\ufffd'

    harness.poll(listed_account(odd, name=odd))

    assert harness.run(lambda tx: accounts.load(tx, "acme", odd)).name == odd


@pytest.mark.row(25)
def test_a_clock_that_went_back_brings_along_what_is_due(harness):
    harness.poll(signed_out())
    harness.run(lambda tx: clock.set_clock(tx, harness.now))
    (incident,) = harness.run(lambda tx: incidents.load_open(tx, "acme")).values()

    step = harness.run(lambda tx: clock.set_clock(tx, harness.now - 5 * HOUR))

    assert step == 5 * HOUR
    moved = harness.run(lambda tx: incidents.load(tx, incident.id))
    assert moved.next_due_at == incident.next_due_at - 5 * HOUR
    harness.now -= 5 * HOUR
    assert harness.deliver() == [("opened", "a1")]


def test_a_clock_that_goes_on_moves_nothing(store):
    assert store.run_now(lambda tx: clock.set_clock(tx, NOON)) == 0
    assert store.run_now(lambda tx: clock.set_clock(tx, NOON + HOUR)) == 0


def test_what_ended_long_ago_is_forgotten_and_the_rest_is_kept(harness):
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"), listed_account("d"))
    harness.deliver()
    for _ in range(3):
        harness.poll(listed_account("a"), frozen("b"), listed_account("c"))
    while harness.deliver():
        pass
    harness.poll(listed_account("a"), frozen("b"), listed_account("c"), after=DAY)

    harness.run(lambda tx: retention.prune(tx, harness.now - HOUR))

    incidents = harness.run(lambda tx: listings.incidents(tx, ended=True, limit=9))
    assert [one["account_id"] for one in incidents] == ["b"]
    assert harness.run(lambda tx: accounts.load(tx, "acme", "d")) is None
    assert harness.states() == []
    harness.poll(listed_account("a"), listed_account("b"), listed_account("c"))
    assert harness.deliver() == [("resolved", "b")]


def test_what_is_still_queued_is_never_forgotten(harness):
    harness.poll(signed_out())

    harness.run(lambda tx: retention.prune(tx, harness.now + DAY))

    assert harness.deliver() == [("opened", "a1")]


def test_an_incident_that_makes_us_fail_is_moved_out_of_the_way(harness):
    harness.poll(signed_out())
    harness.now += HOUR
    (due,) = harness.run(lambda tx: incidents.due(tx, harness.now, limit=9))

    harness.run(lambda tx: incidents.postpone(tx, due, now=harness.now, until=harness.now + HOUR))

    assert harness.run(lambda tx: incidents.due(tx, harness.now, limit=9)) == []


def test_accounts_are_listed_with_the_bad_ones_first(harness):
    harness.poll(listed_account("a"), signed_out("b"))

    rows = harness.run(listings.accounts)

    assert [(one["id"], one["status"]) for one in rows] == [
        ("b", "reconnection_required"),
        ("a", "active"),
    ]
    assert rows[0]["link"] == LINK


def test_open_incidents_are_counted_by_cause(harness):
    harness.poll(signed_out("a"), frozen("b"), frozen("c"))

    counted = harness.run(lambda tx: incidents.open_by_cause(tx, "acme"))

    assert counted == {"reconnection_required": 1, "frozen": 2}


def test_deliveries_are_listed_newest_first(harness):
    harness.poll(signed_out())
    harness.deliver()
    harness.poll(listed_account())

    rows = harness.run(lambda tx: listings.deliveries(tx, limit=9))

    assert [(one["event"], one["state"]) for one in rows] == [
        ("resolved", "pending"),
        ("opened", "delivered"),
    ]


def want(store, *, now, id_="c1", account="a1"):
    intent = SessionIntent(id_, "acme", account, "i1")
    return store.run_now(lambda tx: session_intents.add(tx, [intent], cooldown=HOUR, now=now))


def test_a_session_is_asked_for_once_per_account_and_cooldown(store):
    assert want(store, now=NOON)
    assert not want(store, now=NOON + DAY, id_="c2")  # still wanted
    intent = store.run_now(lambda tx: session_intents.claim(tx, "acme"))
    assert not want(store, now=NOON + DAY, id_="c3")  # being called
    store.run_now(lambda tx: session_intents.finish(tx, intent, IntentOutcome.CREATED))

    assert not want(store, now=NOON + HOUR - 1, id_="c4")
    assert want(store, now=NOON + HOUR, id_="c5")
    assert want(store, now=NOON, id_="c6", account="a2")


def test_after_too_many_nothing_is_asked_for_hours(store):
    want(store, now=NOON)
    intent = store.run_now(lambda tx: session_intents.claim(tx, "acme"))
    store.run_now(lambda tx: session_intents.finish(tx, intent, IntentOutcome.LIMITED))

    assert not want(store, now=NOON + 5 * HOUR, id_="c2")
    assert want(store, now=NOON + 6 * HOUR, id_="c3")


def test_a_call_that_a_stopped_process_left_behind_is_unknown_and_not_repeated(store):
    want(store, now=NOON)
    store.run_now(lambda tx: session_intents.claim(tx, "acme"))

    store.run_now(lambda tx: session_intents.mark_unknown(tx, "acme"))

    assert store.run_now(lambda tx: session_intents.claim(tx, "acme")) is None
    assert not want(store, now=NOON + HOUR - 1, id_="c2")


def test_a_workspaces_incident_is_listed_too(store):
    harness = StoreHarness(store)
    harness.observe(REJECTED)
    harness.observe(REJECTED)

    (row,) = harness.run(lambda tx: listings.incidents(tx, ended=False, limit=9))

    assert (row["scope"], row["cause"], row["account_id"]) == ("workspace", "token_rejected", None)
