"""What a list says that the recorded state does not."""

import pytest
from factories import World, seen, signed_out
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.diff import Changes, diff
from monitor.core.model import Cause, Failure, Snapshot, Status


def test_a_list_that_says_nothing_new_is_empty_and_false():
    world = World()
    world.poll(seen("a"), signed_out("b"))
    settled = {"a": seen("a"), "b": signed_out("b")}

    changes = diff(world.workspace, Snapshot((seen("a"), signed_out("b"))), settled)

    assert changes == Changes()
    assert not changes


def test_only_what_differs_is_looked_at():
    world = World()
    world.poll(seen("a"), seen("b"), seen("c"))
    settled = {id_: seen(id_) for id_ in "abc"}

    changes = diff(world.workspace, Snapshot((seen("a"), signed_out("b"), seen("d"))), settled)

    assert [one.id for one in changes.seen] == ["b", "d"]
    assert [one.id for one in changes.missing] == ["c"]
    assert changes


def test_a_list_of_strangers_is_a_failure_that_says_what_to_do():
    world = World()
    world.poll(seen("a"), seen("b"))

    failure = diff(world.workspace, Snapshot((seen("x"),)), {})

    assert isinstance(failure, Failure)
    assert failure.cause is Cause.BAD_RESPONSE
    assert "none of the 2 accounts" in failure.detail


def ignoring(*ids):
    return lambda one: one.id in ids


def ids(accounts):
    return [one.id for one in accounts]


def test_an_ignored_account_is_as_good_as_not_listed():
    world = World()
    world.poll(seen("a"))
    snapshot = Snapshot((seen("a"), signed_out("test")))

    changes = diff(world.workspace, snapshot, {}, ignoring("test"))
    again = diff(world.workspace, snapshot, {"a": seen("a")}, ignoring("test"))

    assert (ids(changes.seen), changes.missing, changes.unwatched) == (["a"], (), ())
    assert again == Changes()


def test_a_known_account_that_becomes_ignored_is_watched_no_more_listed_or_not():
    world = World()
    world.poll(seen("a"), seen("b"), signed_out("listed"), seen("absent"))
    snapshot = Snapshot((seen("a"), signed_out("listed")))

    changes = diff(
        world.workspace, snapshot, {"a": seen("a")}, ignoring("listed", "absent", "stranger")
    )

    assert changes.seen == ()
    assert ids(changes.missing) == ["b"]
    assert ids(changes.unwatched) == ["listed", "absent"]
    assert changes


def test_a_new_name_alone_can_end_the_watch():
    world = World()
    world.poll(seen("a"), seen("b"))
    settled = {id_: seen(id_) for id_ in "ab"}
    snapshot = Snapshot((seen("a"), seen("b", name="Test b")))

    changes = diff(world.workspace, snapshot, settled, lambda one: one.name.startswith("Test"))

    assert changes == Changes(unwatched=(world.workspace.accounts["b"],))


def test_as_many_ignored_as_missing_accounts_hide_nothing():
    world = World()
    world.poll(seen("a"), seen("b"))

    changes = diff(
        world.workspace, Snapshot((seen("a"), seen("x"))), {"a": seen("a")}, ignoring("x")
    )

    assert ids(changes.missing) == ["b"]


@pytest.mark.parametrize("listed", [[], [seen("x")], [seen("x"), seen("ignored")]])
def test_a_list_of_strangers_is_a_failure_whatever_is_ignored(listed):
    world = World()
    world.poll(seen("a"), seen("b"), seen("lately"))
    rules = ignoring("x", "ignored", "lately")

    assert isinstance(diff(world.workspace, Snapshot(tuple(listed)), {}, rules), Failure)


def test_strangers_beside_an_account_that_is_known_are_none():
    world = World()
    world.poll(seen("a"), seen("lately"))

    changes = diff(world.workspace, Snapshot((seen("x"), seen("lately"))), {}, ignoring("lately"))

    assert (ids(changes.seen), ids(changes.missing)) == (["x"], ["a"])


@pytest.mark.parametrize("listed", [[], [seen("a"), seen("b")], [seen("x")]])
def test_if_all_known_accounts_are_ignored_there_is_no_failure(listed):
    world = World()
    world.poll(seen("a"), seen("b"))

    changes = diff(world.workspace, Snapshot(tuple(listed)), {}, ignoring("a", "b"))

    assert sorted(ids(changes.unwatched)) == ["a", "b"]
    assert changes.missing == ()


KNOWN = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(list(Status)), max_size=4)


@given(before=KNOWN, listed=KNOWN, ignored=st.sets(st.sampled_from("abcd")), data=st.data())
def test_every_account_is_settled_looked_at_missing_or_unwatched(before, listed, ignored, data):
    world = World()
    world.poll(*(seen(id_, status) for id_, status in before.items()))
    same = [id_ for id_ in before if listed.get(id_) is before[id_] and id_ not in ignored]
    settled = data.draw(st.sets(st.sampled_from(same))) if same else set()
    snapshot = Snapshot(tuple(seen(id_, status) for id_, status in listed.items()))

    changes = diff(
        world.workspace, snapshot, {id_: seen(id_, before[id_]) for id_ in settled},
        ignoring(*ignored),
    )  # fmt: skip

    wanted = before.keys() - ignored
    if wanted and not before.keys() & listed.keys():
        assert isinstance(changes, Failure)
        return
    assert set(ids(changes.seen)) == listed.keys() - ignored - settled
    assert set(ids(changes.missing)) == wanted - listed.keys()
    assert set(ids(changes.unwatched)) == before.keys() & ignored
