"""Which transactions that write may be under way beside each other, with PostgreSQL."""

import threading
from contextlib import closing

import pytest
from harness import postgresql
from harness.core import signed_out
from harness.store import StoreHarness

from monitor.store import locks, workspaces
from monitor.store.db import Store


@pytest.fixture
def database_url(postgres_tables_url):
    return postgres_tables_url


@pytest.fixture
def another(database_url):
    """The store of another replica."""
    with closing(Store.open(database_url)) as store:
        yield store


@pytest.mark.parametrize(
    ("mine", "theirs", "is_beside"),
    [
        (["a"], ["b"], True),
        ([], ["b"], True),
        (["a", "b"], ["c", "d"], True),
        (["a"], ["a"], False),
        (["a", "b"], ["b", "c"], False),
        (["a", "+b"], ["b"], False),
        (["+*"], ["*"], False),
        (None, ["a"], False),
        (["a"], None, False),
        (None, None, False),
    ],
)
def test_who_concerns_other_workspaces_waits_for_nobody(store, another, mine, theirs, is_beside):
    """*mine* is what a transaction concerns; a + is before what it locks later."""
    other = threading.Thread(target=another.run_now, args=[lambda _: None], kwargs={"of": theirs})
    of = mine and [name for name in mine if not name.startswith("+")]

    def work(tx):
        for name in mine or ():
            if name.startswith("+"):
                locks.lock(tx, name.removeprefix("+"))
        other.start()
        while other.is_alive():
            if postgresql.waiting(tx):
                return False
        return True

    assert store.run_now(work, of=of) is is_beside
    other.join()


def test_a_claim_waits_for_who_records_something_of_the_same_workspace(store, another):
    harness = StoreHarness(another)
    harness.poll(signed_out())
    harness.run = lambda work: another.run_now(work, of=())
    claims = []
    claiming = threading.Thread(target=lambda: claims.append(harness.claim()))

    def work(tx):
        claiming.start()
        while claiming.is_alive() and not postgresql.waiting(tx):
            pass
        return postgresql.waiting(tx)

    assert store.run_now(work, of=["acme"]) == ["advisory"]
    claiming.join()
    assert claims[0].message


def test_all_locks_end_with_their_transaction(store, another):
    store.run_now(lambda tx: locks.lock(tx, "b"), of=["a"])

    assert another.run_now(lambda _: True, of=["a", "b"])
    assert another.run_now(lambda _: True)


def test_the_end_of_a_send_locks_the_workspace_that_was_renamed_meanwhile(store, another):
    harness = StoreHarness(store)
    harness.poll(signed_out())
    claimed = harness.claim()
    harness.run(lambda tx: workspaces.rename(tx, "acme", "better"))
    work = {"work": lambda _: None, "of": ["better"]}
    other, waiting = threading.Thread(target=another.run_now, kwargs=work), []

    def run(settle):
        def work(tx):
            settled = settle(tx)
            other.start()
            while other.is_alive() and not waiting:
                waiting.extend(postgresql.waiting(tx))
            return settled

        return store.run_now(work, of=["acme"])

    harness.run = run
    assert harness.settle(claimed)
    other.join()
    assert waiting
