"""What a list says that the recorded state does not."""

import pytest
from harness.core import CoreHarness, listed_account, signed_out
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.diff import Changes, Quiet, diff
from monitor.core.model import Snapshot, Status


def compare(before, listed, *, quiet=(), others=(), ignored=()):
    """Return what *listed* says that *before* did not; ids stand for active accounts.

    A poll has seen *quiet* and *others* last, and has to look at the others again.
    """
    harness = CoreHarness()
    harness.poll(*map(_listed, before))
    last = Snapshot(tuple(map(_listed, (*quiet, *others))))
    snapshot = Snapshot(tuple(map(_listed, listed)))
    return diff(
        harness.workspace,
        last if snapshot == last else snapshot,  # an unchanged list is the same snapshot
        Quiet(last, frozenset(account.id for account in map(_listed, others))),
        lambda account: account.id in ignored or account.name in ignored,
    )


def _listed(account):
    return listed_account(account) if isinstance(account, str) else account


def ids(changes):
    """Who is listed, missing and unwatched."""
    groups = (changes.listed, changes.missing, changes.unwatched)
    return tuple("".join(account.id for account in group) for group in groups)


def test_a_list_that_says_nothing_new_is_empty_and_false():
    accounts = ["a", signed_out("b")]

    changes = compare(accounts, accounts, quiet=accounts)

    assert changes == Changes()
    assert not changes


def test_what_is_not_quiet_is_looked_at_though_it_is_the_same():
    assert ids(compare("abc", "abc", quiet="ab", others="c")) == ("c", "", "")
    assert ids(compare("abc", "abcd", quiet="ab", others="c")) == ("cd", "", "")


def test_only_what_differs_is_looked_at():
    changes = compare("abc", ["a", signed_out("b"), "d"], quiet="abc")

    assert ids(changes) == ("bd", "c", "")
    assert changes


@pytest.mark.case("another workspace's token pasted")
def test_a_list_of_strangers_is_strange_and_says_what_it_would_mean():
    changes = compare("ab", "xy")

    assert changes.strange == compare("ab", "yx").strange
    assert changes.strange != compare("ab", "x").strange
    assert ids(changes) == ("xy", "ab", "")
    assert compare("ab", "bx").strange == ""


@pytest.mark.parametrize(
    ("before", "listed", "quiet", "ignored", "changes"),
    [
        pytest.param("a", "at", "", "t", ("a", "", ""), id="as good as not listed"),
        pytest.param("a", "at", "a", "t", ("", "", ""), id="as good as not listed, quiet"),
        pytest.param("ablx", "al", "a", "lxs", ("", "b", "lx"), id="known, listed or not"),
        pytest.param("ab", "ax", "a", "x", ("", "b", ""), id="as many as are missing"),
        pytest.param("al", "xl", "", "l", ("x", "a", "l"), id="beside a stranger"),
        pytest.param("ab", "", "", "ab", ("", "", "ab"), id="all known, none listed"),
        pytest.param("ab", "ab", "", "ab", ("", "", "ab"), id="all known, all listed"),
        pytest.param("ab", "x", "", "ab", ("x", "", "ab"), id="all known, a stranger listed"),
    ],
)
def test_an_ignored_account_is_not_listed_and_if_it_was_known_unwatched(
    before, listed, quiet, ignored, changes
):
    assert ids(compare(before, listed, quiet=quiet, ignored=ignored)) == changes


@pytest.mark.parametrize("listed", ["", "x", "xi"])
def test_a_list_of_strangers_is_strange_whatever_is_ignored(listed):
    assert compare("abl", listed, ignored="xil").strange


KNOWN = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(list(Status)), max_size=4)


@given(before=KNOWN, listed=KNOWN, ignored=st.sets(st.sampled_from("abcd")), data=st.data())
def test_every_account_is_quiet_looked_at_missing_or_unwatched(before, listed, ignored, data):
    same = [id_ for id_ in before if listed.get(id_) is before[id_] and id_ not in ignored]
    quiet = data.draw(st.sets(st.sampled_from(same))) if same else set()
    recorded = {id_: listed_account(id_, status) for id_, status in before.items()}

    changes = compare(
        recorded.values(),
        [listed_account(id_, status) for id_, status in listed.items()],
        quiet=[recorded[id_] for id_ in quiet],
        ignored=ignored,
    )

    wanted = before.keys() - ignored
    assert bool(changes.strange) == bool(wanted and not before.keys() & listed.keys())
    assert tuple(map(set, ids(changes))) == (
        listed.keys() - ignored - quiet,
        wanted - listed.keys(),
        before.keys() & ignored,
    )


def test_nobody_is_ignored_unless_rules_say_so():
    harness = CoreHarness()

    changes = diff(harness.workspace, Snapshot((listed_account("a"),)))

    assert ids(changes) == ("a", "", "")
