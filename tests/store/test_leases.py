"""Leases in the database: who works, who may commit, and what a take-over leaves to the former."""

from functools import partial

import pytest

from monitor.store import leases, workspaces
from monitor.store.db import LeaseLostError

EARLIER, NOW = 1_000, 2_000


def replace(harness, replica, now=NOW, **silent):
    return harness.run(lambda tx: leases.replace(tx, replica, silent=silent, now=now))


def take(harness, replica):
    return harness.run(lambda tx: leases.take(tx, replica))


def test_a_start_with_nobody_else_waits_for_nothing(harness):
    assert replace(harness, "one")
    assert harness.run(leases.replicas) == {"one": NOW}


@pytest.mark.parametrize("silent", [{}, {"one": EARLIER - 1}, {"other": EARLIER}])
def test_nothing_is_taken_from_who_has_written_since(harness, silent):
    replace(harness, "one", EARLIER)

    assert not replace(harness, "two", **silent)
    assert harness.run(leases.replicas) == {"one": EARLIER}


def test_who_has_fallen_silent_is_replaced_and_notices_it(harness):
    replace(harness, "one", EARLIER)

    assert replace(harness, "two", one=EARLIER)

    assert harness.run(leases.replicas) == {"two": NOW}
    for lost in (leases.check, partial(leases.renew, now=NOW)):
        with pytest.raises(LeaseLostError):
            harness.run(partial(lost, replica="one"))
        harness.run(partial(lost, replica="two"))


@pytest.mark.parametrize("now", [NOW, NOW + 1, NOW - 60_000_000])
def test_a_renewal_is_seen_whatever_the_clock_does(harness, now):
    replace(harness, "one")

    harness.run(lambda tx: leases.renew(tx, "one", now))

    assert harness.run(leases.replicas)["one"] > NOW


def test_who_has_given_back_is_followed_at_once(harness):
    replace(harness, "one")
    harness.run(lambda tx: leases.give_back(tx, "one"))

    assert replace(harness, "two")


def test_what_is_taken_has_another_term_and_in_portions(harness, monkeypatch):
    monkeypatch.setattr(leases, "PORTION", 2)
    for name in ("beta", "gamma"):
        harness.run(partial(workspaces.attach, name=name))
    harness.run(lambda tx: leases.hold(tx, "two"))
    before = harness.run(workspaces.load_terms)

    assert [take(harness, "one") for _ in range(3)] == [2, 1, 0]

    assert harness.run(workspaces.load_terms) == {name: term + 1 for name, term in before.items()}
    assert set(harness.column("SELECT holder FROM workspace")) == {"one"}


async def test_the_fence_keeps_all_but_urgent_work_from_being_committed(harness):
    store = harness.store
    replace(harness, "one", EARLIER)
    store.fence(partial(leases.check, replica="one"))
    await store.run(partial(workspaces.attach, name="mine"))
    replace(harness, "two", one=EARLIER)

    with pytest.raises(LeaseLostError):
        await store.run(partial(workspaces.attach, name="late"))
    await store.run(partial(workspaces.attach, name="sent"), urgent=True)

    assert set(harness.run(workspaces.load_attached)) == {"acme", "mine", "sent"}
