"""Leases in the database: who works, who holds what, and what a take-over leaves to the former."""

import pytest
from harness.leases import hold, live
from sqlalchemy import text

from monitor.core.duration import Duration
from monitor.store import leases, workspaces
from monitor.store.db import LeaseLostError
from monitor.store.leases import Held, Replica

NOW = 2_000_000
LATER = NOW + Duration.parse("1m")


@pytest.fixture
def harness(store):
    """A database of two workspaces that nobody holds, and no replica."""
    return Harness(store)


class Harness:
    def __init__(self, store):
        self.store = store
        self.run(lambda tx: workspaces.attach(tx, ["acme", "beta"]))

    def run(self, work):
        return self.store.run_now(work)

    def live(self, *replicas, now=NOW):
        for replica in replicas:
            assert self.run(lambda tx, replica=replica: live(tx, replica, now))

    def take(self, replica, *names, now=LATER, **silent):
        """Take what is free of *names*; the *silent* hold nothing."""
        names = names or ("acme", "beta")
        return self.run(lambda tx: leases.take(tx, replica, names, silent=silent, now=now))

    def release(self, replica, **terms):
        requests = {"acme": 7}
        self.run(lambda tx: leases.release(tx, replica, terms, requests, LATER))

    def replicas(self):
        return self.run(lambda tx: leases.seen(leases.replicas(tx)))

    def held(self, replica):
        return self.run(lambda tx: leases.held(tx, replica))

    def free(self, replica, *silent):
        return self.run(lambda tx: leases.free(tx, replica, silent))

    def column(self, name, of="acme"):
        query = text(f"SELECT {name} FROM workspace WHERE name = :name")
        return self.run(lambda tx: tx.execute(query, {"name": of}).scalar_one())


# ── who works ────────────────────────────────────────────────────────────────────────────────────


def register(harness, replica, *, alone=False, **silent):
    new = Replica(replica, "host", LATER, alone=int(alone))
    return harness.run(lambda tx: leases.register(tx, new, silent=silent))


def test_replicas_work_beside_each_other(harness):
    harness.live("one", "two")

    assert harness.replicas() == {"one": NOW, "two": NOW}


@pytest.mark.parametrize("silent", [{}, {"one": NOW - 1}, {"other": NOW}])
@pytest.mark.parametrize("is_first_alone", [False, True])
def test_nobody_is_alone_beside_who_has_written_since(harness, silent, is_first_alone):
    harness.run(lambda tx: live(tx, "one", NOW, alone=int(is_first_alone)))

    assert not register(harness, "two", alone=not is_first_alone, **silent)
    assert harness.replicas() == {"one": NOW}


@pytest.mark.parametrize("is_first_alone", [False, True])
def test_who_was_alone_and_fell_silent_is_gone_for_good(harness, is_first_alone):
    harness.run(lambda tx: live(tx, "one", NOW, alone=int(is_first_alone)))

    assert register(harness, "two", alone=not is_first_alone, one=NOW)

    assert harness.replicas() == {"two": LATER}
    with pytest.raises(LeaseLostError):
        harness.run(lambda tx: leases.renew(tx, "one", LATER))


def test_who_begins_beside_one_that_is_silent_takes_nothing_from_it_yet(harness):
    harness.live("one")

    assert register(harness, "two", one=NOW)

    assert harness.replicas() == {"one": NOW, "two": LATER}


@pytest.mark.parametrize("now", [NOW, NOW + 1, NOW - 60_000_000])
def test_a_renewal_is_seen_whatever_the_clock_does(harness, now):
    harness.live("one")

    harness.run(lambda tx: leases.renew(tx, "one", now))

    assert harness.replicas()["one"] > NOW


def test_who_has_left_renews_nothing_and_what_it_held_is_free(harness):
    harness.live("one", "two")
    harness.take("one", "acme")
    harness.run(lambda tx: leases.leave(tx, "one"))

    with pytest.raises(LeaseLostError):
        harness.run(lambda tx: leases.renew(tx, "one", LATER))
    assert harness.free("two") == {"acme": False, "beta": False}


@pytest.mark.parametrize("is_removed", [False, True])
def test_whoever_takes_what_one_has_left_knows_its_clock(harness, is_removed):
    harness.live("one")
    harness.take("one", "acme")
    if is_removed:  # who is alone meanwhile, for an upgrade, removes what is silent
        assert register(harness, "alone", alone=True, one=NOW)
        harness.run(lambda tx: leases.leave(tx, "alone"))
    else:
        harness.run(lambda tx: leases.leave(tx, "one"))

    harness.live("two")
    assert harness.take("two") == {"acme": NOW, "beta": None}


def test_a_configuration_that_is_new_has_a_higher_number_and_keeps_it(harness):
    harness.live("one", "two")

    numbers = [
        harness.run(lambda tx, of=of: leases.set_generation(tx, *of))
        for of in (("one", "x"), ("two", "x"), ("two", "y"), ("one", "z"), ("one", "x"))
    ]

    assert numbers == [1, 1, 2, 3, 1]
    present = harness.run(leases.replicas)
    assert {id_: replica.generation for id_, replica in present.items()} == {"one": 1, "two": 2}


# ── who holds what ───────────────────────────────────────────────────────────────────────────────


def test_what_was_never_held_is_taken_under_another_term(harness):
    harness.live("one")

    assert harness.take("one") == {"acme": None, "beta": None}

    assert harness.held("one") == {"acme": 1, "beta": 1}
    assert harness.column("held_since") == LATER


def test_nothing_is_taken_from_the_living(harness):
    harness.live("one", "two")
    harness.take("one", "acme")

    assert harness.free("two") == {"beta": False}
    assert harness.take("two") == {"beta": None}

    assert (harness.held("one"), harness.held("two")) == ({"acme": 1}, {"beta": 1})


def test_what_one_holds_it_may_take_anew(harness):
    harness.live("one")
    harness.take("one", "acme")

    assert harness.free("one") == {"acme": True, "beta": False}
    assert harness.take("one", "acme") == {"acme": NOW}

    assert harness.held("one") == {"acme": 2}


def test_what_was_given_back_is_free_with_what_its_former_holder_knew(harness):
    harness.live("one", "two")
    harness.take("one")

    harness.release("one", acme=1)

    assert harness.held("one") == {"beta": 1}
    assert harness.take("two") == {"acme": LATER}
    assert harness.column("requests") == 7
    assert harness.held("two") == {"acme": 2}


@pytest.mark.parametrize(("replica", "term"), [("two", 1), ("one", 0), ("one", 2)])
def test_nothing_is_given_back_but_by_its_holder_under_its_term(harness, replica, term):
    harness.live("one", "two")
    harness.take("one", "acme")

    harness.release(replica, acme=term)

    assert harness.held("one") == {"acme": 1}


def test_the_silent_hold_nothing_and_who_holds_nothing_is_buried(harness):
    harness.live("one", "two")
    harness.take("one")
    harness.release("one", beta=1)
    harness.take("one", "beta")

    assert harness.free("two", "one") == {"acme": False, "beta": False}
    assert harness.take("two", "acme", one=NOW) == {"acme": NOW}
    assert harness.replicas().keys() == {"one", "two"}, "it holds beta yet"
    assert harness.take("two", "beta", one=NOW) == {"beta": NOW}

    assert harness.replicas().keys() == {"two"}
    assert harness.column("requests", of="beta") is None, "nobody knows what it asked since"
    assert harness.held("two") == {"acme": 2, "beta": 3}


def test_what_has_left_keeps_nobody_from_being_buried(harness):
    harness.live("one", "two")
    harness.run(lambda tx: hold(tx, "acme", replica="one", now=LATER))
    harness.run(lambda tx: workspaces.detach(tx, [], LATER))

    harness.take("two", "*", one=NOW)

    assert harness.replicas().keys() == {"two"}


def test_who_has_written_since_it_was_silent_keeps_what_it_holds(harness):
    harness.live("one", "two")
    harness.take("one", "acme")
    harness.run(lambda tx: leases.renew(tx, "one", LATER))

    assert harness.take("two", "acme", one=NOW) == {}

    assert harness.held("one") == {"acme": 1}
    assert harness.replicas().keys() == {"one", "two"}


def test_what_is_taken_was_not_looked_at(harness):
    harness.live("one")
    harness.run(lambda tx: tx.execute(text("UPDATE workspace SET fresh_until = 9")))

    harness.take("one", "acme")

    assert (harness.column("fresh_until"), harness.column("fresh_until", of="beta")) == (None, 9)


def test_it_is_counted_how_many_each_holds_but_for_what_is_of_all_or_has_left(harness):
    harness.live("one")
    harness.run(lambda tx: hold(tx, "acme", replica="one", now=LATER))
    harness.run(lambda tx: workspaces.attach(tx, ["gamma", "delta"]))
    harness.take("one", "acme", "gamma")
    harness.run(lambda tx: workspaces.detach(tx, ["acme", "beta", "gamma"], LATER))

    assert harness.run(leases.count) == {"one": Held(2, 3), None: Held(1, 0)}


def test_what_has_left_is_free_once_it_comes_back(harness):
    harness.live("one", "two")
    harness.run(lambda tx: hold(tx, "acme", replica="one", now=LATER))
    harness.run(lambda tx: workspaces.detach(tx, ["beta"], LATER))
    assert "acme" not in harness.held("one") | harness.free("two", "one")

    harness.run(lambda tx: workspaces.attach(tx, ["acme"]))

    assert harness.take("two", "acme") == {"acme": LATER}
