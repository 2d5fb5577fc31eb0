"""Accounts keep the name and url by which the rules matched them, until somebody accepts others."""

from dataclasses import replace

import pytest
from harness.core import CoreHarness, listed_account, signed_out, told

from monitor.core.inventory import AccountMatch, AccountRule, Inventory, matched_anew

TOLD = "notice rules_changed: renamed"

RULES = [
    AccountRule(AccountMatch(names=("Test *",)), ignore=True),
    AccountRule(AccountMatch(names=("Dana *",)), {"owner": "dana"}),
    AccountRule(AccountMatch(urls=("linkedin.com/in/joe",)), {"owner": "joe"}),
    AccountRule(AccountMatch(names=("*",)), {"owner": "ops"}),
]

pytestmark = pytest.mark.case("new name matches other rules")


def polled(*accounts, rules=RULES):
    harness = CoreHarness()
    harness.inventory = Inventory({"acme": {}}, rules)
    harness.poll(*accounts)
    return harness


def owner(harness, id_="a1"):
    return harness.inventory.labels("acme", harness.workspace.accounts[id_])["owner"]


def accept(harness, id_="a1"):
    """What a person does by command."""
    rows = {**harness.workspace.accounts, **harness.workspace.removed}
    row = {id_: matched_anew(rows[id_])}
    where = "removed" if rows[id_].removed_at is not None else "accounts"
    group = {**getattr(harness.workspace, where), **row}
    harness.workspace = replace(harness.workspace, **{where: group})


@pytest.mark.parametrize(
    "renamed", [signed_out(name="Dana Fox"), signed_out(url="https://linkedin.com/in/joe/")]
)
def test_another_name_or_url_changes_no_owner_and_is_told_once(renamed):
    harness = polled(signed_out())

    assert told(harness.poll(renamed)) == [TOLD]
    assert owner(harness) == "ops"
    assert harness.workspace.accounts["a1"].name == renamed.name
    for again in (signed_out(), renamed, signed_out(name="Dana Doe")):
        assert told(harness.poll(again)) == []
    assert owner(harness) == "ops"


def test_a_name_that_the_same_rules_match_is_no_news():
    harness = polled(listed_account())

    assert told(harness.poll(listed_account(name="Jane Roe"))) == []


def test_a_watched_account_that_takes_the_name_of_ignored_ones_stays_watched():
    harness = polled(signed_out())

    assert told(harness.poll(signed_out(name="Test Fox"))) == [TOLD]
    assert told(harness.poll(signed_out(name="Test Fox"))) == []

    assert len(harness.open) == 1
    assert set(harness.workspace.accounts) == {"a1"}


def test_an_ignored_account_stays_ignored_under_another_name_and_that_is_told_once():
    harness = polled(signed_out(name="Test Fox"), listed_account("b"))

    assert told(harness.poll(signed_out(name="Test Joe"), listed_account("b"))) == []
    assert told(harness.poll(signed_out(name="Dana Fox"), listed_account("b"))) == [TOLD]
    assert told(harness.poll(signed_out(name="Dana Doe"), listed_account("b"))) == []

    assert set(harness.workspace.accounts) == {"b"}
    assert harness.open == []
    assert "owner" not in harness.inventory.labels("acme", harness.workspace.removed["a1"])


def test_what_is_told_of_an_ignored_account_does_not_change_since_when_it_is_ignored():
    harness = polled(listed_account(name="Test a"), rules=RULES[1:])
    harness.inventory = Inventory({"acme": {}}, RULES)
    harness.poll(listed_account(name="Test a"))
    removed_at = harness.workspace.removed["a1"].removed_at

    assert told(harness.poll(listed_account(name="Dana Fox"))) == [TOLD]

    assert harness.workspace.removed["a1"].removed_at == removed_at


def test_an_accepted_name_counts_and_the_next_one_is_told_again():
    harness = polled(listed_account())
    harness.poll(listed_account(name="Dana Fox"))

    accept(harness)

    assert told(harness.poll(listed_account(name="Dana Fox"))) == []
    assert owner(harness) == "dana"
    assert told(harness.poll(listed_account(name="Person a1"))) == [TOLD]


def test_an_accepted_name_of_ignored_accounts_ends_the_incident():
    harness = polled(signed_out())
    harness.poll(signed_out(name="Test Fox"))

    accept(harness)

    ended = "resolved reconnection_required: ignored"
    assert told(harness.poll(signed_out(name="Test Fox"))) == [ended]
    assert told(harness.poll(signed_out(name="Test Fox"))) == []
    assert told(harness.poll(signed_out(name="Dana Fox"))) == [TOLD]
    assert harness.workspace.accounts == {}


def test_an_ignored_account_is_watched_once_its_name_is_accepted():
    harness = polled(listed_account(name="Test Fox"), listed_account("b"))
    harness.poll(listed_account(name="Dana Fox"), listed_account("b"))

    accept(harness)
    harness.poll(listed_account(name="Dana Fox"), listed_account("b"))
    harness.poll(listed_account(name="Test Fox"), listed_account("b"))

    assert set(harness.workspace.accounts) == {"a1", "b"}
    assert owner(harness) == "dana"


def test_other_rules_match_all_accounts_as_they_are_called_by_then():
    accounts = signed_out("a"), listed_account("b", name="Test b"), listed_account("c")
    harness = polled(*accounts)
    renamed = signed_out("a", name="Dana a"), listed_account("b", name="Dana b")
    harness.poll(*renamed, listed_account("c", name="Dana c"))

    harness.inventory = Inventory({"acme": {}}, [*RULES, AccountRule(labels={"team": "growth"})])
    changed = harness.poll(*renamed)  # c is missing

    assert told(changed) == []
    assert {id_: owner(harness, id_) for id_ in "abc"} == dict.fromkeys("abc", "dana")
    assert told(harness.poll(*renamed, listed_account("c", name="Test c"))) == [TOLD]
    assert set(harness.workspace.accounts) == {"a", "b", "c"}


def change_rules(harness):
    harness.inventory = Inventory({"acme": {}}, [*RULES, AccountRule(labels={"team": "growth"})])


def test_a_name_that_comes_with_other_rules_counts_without_a_word():
    harness = polled(listed_account("a"), listed_account("b"))

    change_rules(harness)
    listed = listed_account("a", name="Dana a"), listed_account("b", name="Test b")

    assert told(harness.poll(*listed), harness.poll(*listed)) == []
    assert (set(harness.workspace.accounts), owner(harness, "a")) == ({"a"}, "dana")


def test_other_rules_count_for_the_latest_name_of_an_account_that_was_removed():
    harness = polled(listed_account("a"), listed_account("b"), listed_account("c"))
    harness.poll(listed_account("a", name="Dana a"), listed_account("b"), listed_account("c"))
    for _ in range(3):
        harness.poll(listed_account("b"), listed_account("c"))

    change_rules(harness)
    assert len(harness.poll(listed_account("b"), listed_account("c")).accounts) == 1
    returned = listed_account("a", name="Dana Doe"), listed_account("b"), listed_account("c")

    assert told(harness.poll(*returned)) == []
    assert owner(harness, "a") == "dana"


def test_other_rules_write_no_account_that_is_called_as_before():
    harness = polled(listed_account("a"), listed_account("b"), listed_account("c"))
    for _ in range(3):
        harness.poll(listed_account("b"), listed_account("c"))

    change_rules(harness)

    assert harness.poll(listed_account("b"), listed_account("c")).accounts == ()


def test_other_rules_ignore_a_missing_account_by_its_latest_name():
    harness = polled(listed_account("a"), listed_account("b"))
    harness.poll(listed_account("a", name="Test a"), listed_account("b"))

    change_rules(harness)
    harness.poll(listed_account("b"))

    assert set(harness.workspace.accounts) == {"b"}


def test_rules_that_come_while_an_account_is_missing_count_for_it_too():
    harness = polled(listed_account("a"), listed_account("b"))
    harness.poll(listed_account("b"))

    harness.inventory = Inventory(rules=[AccountRule(AccountMatch(ids=("a",)), ignore=True)])
    harness.poll(listed_account("b"))

    assert set(harness.workspace.accounts) == {"b"}


@pytest.mark.parametrize("name", ["Dana Fox", "Test Fox"])
def test_an_account_that_returns_is_matched_as_before(name):
    harness = polled(listed_account(), listed_account("b"), listed_account("c"))
    for _ in range(3):
        harness.poll(listed_account("b"), listed_account("c"))
    assert set(harness.workspace.removed) == {"a1"}

    returned = harness.poll(listed_account(name=name), listed_account("b"), listed_account("c"))

    assert told(returned) == [TOLD]
    assert (owner(harness), set(harness.workspace.removed)) == ("ops", set())


def test_the_same_again_writes_no_account():
    harness = polled(listed_account(name="Test Fox"), listed_account("b"))
    listed = listed_account(name="Dana Fox"), listed_account("b", name="Dana b")
    assert len(harness.poll(*listed).accounts) == 2

    assert harness.poll(*listed).accounts == ()
