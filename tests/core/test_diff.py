"""What a list says that the recorded state does not."""

import pytest
from harness.core import CoreHarness, listed_account, signed_out
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.diff import Changes, diff
from monitor.core.model import Cause, Failure, Snapshot, Status


def test_a_list_that_says_nothing_new_is_empty_and_false():
    harness = CoreHarness()
    harness.poll(listed_account("a"), signed_out("b"))
    quiet = {"a": listed_account("a"), "b": signed_out("b")}

    changes = diff(harness.workspace, Snapshot((listed_account("a"), signed_out("b"))), quiet)

    assert changes == Changes()
    assert not changes


def test_only_what_differs_is_looked_at():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"), listed_account("c"))
    quiet = {id_: listed_account(id_) for id_ in "abc"}

    changes = diff(
        harness.workspace,
        Snapshot((listed_account("a"), signed_out("b"), listed_account("d"))),
        quiet,
    )

    assert [one.id for one in changes.listed] == ["b", "d"]
    assert [one.id for one in changes.missing] == ["c"]
    assert changes


@pytest.mark.case("another workspace's token pasted")
def test_a_list_of_strangers_is_a_failure_that_says_what_to_do():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"))

    failure = diff(harness.workspace, Snapshot((listed_account("x"),)), {})

    assert isinstance(failure, Failure)
    assert failure.cause is Cause.BAD_RESPONSE
    assert "none of the 2 accounts" in failure.detail


def ignoring(*ids):
    return lambda one: one.id in ids


def ids(accounts):
    return [one.id for one in accounts]


def test_an_ignored_account_is_as_good_as_not_listed():
    harness = CoreHarness()
    harness.poll(listed_account("a"))
    snapshot = Snapshot((listed_account("a"), signed_out("test")))

    changes = diff(harness.workspace, snapshot, {}, ignoring("test"))
    again = diff(harness.workspace, snapshot, {"a": listed_account("a")}, ignoring("test"))

    assert (ids(changes.listed), changes.missing, changes.unwatched) == (["a"], (), ())
    assert again == Changes()


def test_a_known_account_that_becomes_ignored_is_watched_no_more_listed_or_not():
    harness = CoreHarness()
    harness.poll(
        listed_account("a"), listed_account("b"), signed_out("listed"), listed_account("absent")
    )
    snapshot = Snapshot((listed_account("a"), signed_out("listed")))

    changes = diff(
        harness.workspace,
        snapshot,
        {"a": listed_account("a")},
        ignoring("listed", "absent", "stranger"),
    )

    assert changes.listed == ()
    assert ids(changes.missing) == ["b"]
    assert ids(changes.unwatched) == ["listed", "absent"]
    assert changes


def test_a_new_name_alone_can_end_the_watch():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"))
    quiet = {id_: listed_account(id_) for id_ in "ab"}
    snapshot = Snapshot((listed_account("a"), listed_account("b", name="Test b")))

    changes = diff(harness.workspace, snapshot, quiet, lambda one: one.name.startswith("Test"))

    assert changes == Changes(unwatched=(harness.workspace.accounts["b"],))


def test_as_many_ignored_as_missing_accounts_hide_nothing():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"))

    changes = diff(
        harness.workspace,
        Snapshot((listed_account("a"), listed_account("x"))),
        {"a": listed_account("a")},
        ignoring("x"),
    )

    assert ids(changes.missing) == ["b"]


@pytest.mark.parametrize(
    "listed", [[], [listed_account("x")], [listed_account("x"), listed_account("ignored")]]
)
def test_a_list_of_strangers_is_a_failure_whatever_is_ignored(listed):
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"), listed_account("lately"))
    rules = ignoring("x", "ignored", "lately")

    assert isinstance(diff(harness.workspace, Snapshot(tuple(listed)), {}, rules), Failure)


def test_strangers_beside_an_account_that_is_known_are_none():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("lately"))

    changes = diff(
        harness.workspace,
        Snapshot((listed_account("x"), listed_account("lately"))),
        {},
        ignoring("lately"),
    )

    assert (ids(changes.listed), ids(changes.missing)) == (["x"], ["a"])


@pytest.mark.parametrize(
    "listed", [[], [listed_account("a"), listed_account("b")], [listed_account("x")]]
)
def test_if_all_known_accounts_are_ignored_there_is_no_failure(listed):
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"))

    changes = diff(harness.workspace, Snapshot(tuple(listed)), {}, ignoring("a", "b"))

    assert sorted(ids(changes.unwatched)) == ["a", "b"]
    assert changes.missing == ()


KNOWN = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(list(Status)), max_size=4)


@given(before=KNOWN, listed=KNOWN, ignored=st.sets(st.sampled_from("abcd")), data=st.data())
def test_every_account_is_settled_looked_at_missing_or_unwatched(before, listed, ignored, data):
    harness = CoreHarness()
    harness.poll(*(listed_account(id_, status) for id_, status in before.items()))
    same = [id_ for id_ in before if listed.get(id_) is before[id_] and id_ not in ignored]
    quiet = data.draw(st.sets(st.sampled_from(same))) if same else set()
    snapshot = Snapshot(tuple(listed_account(id_, status) for id_, status in listed.items()))

    changes = diff(
        harness.workspace, snapshot, {id_: listed_account(id_, before[id_]) for id_ in quiet},
        ignoring(*ignored),
    )  # fmt: skip

    wanted = before.keys() - ignored
    if wanted and not before.keys() & listed.keys():
        assert isinstance(changes, Failure)
        return
    assert set(ids(changes.listed)) == listed.keys() - ignored - quiet
    assert set(ids(changes.missing)) == wanted - listed.keys()
    assert set(ids(changes.unwatched)) == before.keys() & ignored
