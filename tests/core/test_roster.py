"""Who owns which account, and which are not watched."""

import pytest
from factories import seen

from monitor.core.roster import Roster, Rule


def labels(*rules, workspace="acme", of=None, common=None):
    return Roster({"acme": common or {}}, rules).labels(workspace, of or seen())


def test_an_account_has_the_labels_of_its_workspace():
    roster = Roster({"acme": {"team": "growth"}, "beta": {"team": "sales"}})

    assert roster.labels("acme", seen()) == {"team": "growth"}
    assert roster.labels("beta") == {"team": "sales"}
    assert roster.labels("gone", seen()) == {}


def test_what_is_said_of_an_account_goes_before_what_is_said_of_its_workspace():
    rules = [Rule(labels={"owner": "jane"})]

    assert labels(*rules, common={"owner": "ops", "team": "growth"}) == {
        "owner": "jane",
        "team": "growth",
    }
    assert Roster({"acme": {"owner": "ops"}}, rules).labels("acme") == {"owner": "ops"}


def test_the_first_rule_that_says_something_of_a_key_decides_it():
    found = labels(
        Rule(ids=("other",), labels={"owner": "nobody"}),
        Rule(labels={"owner": "first"}),
        Rule(labels={"owner": "second", "team": "growth"}),
        Rule(labels={"team": "last", "tier": "gold"}),
    )

    assert found == {"owner": "first", "team": "growth", "tier": "gold"}


@pytest.mark.parametrize(
    ("rules", "ignored"),
    [
        ([], False),
        ([Rule(labels={"a": "b"})], False),
        ([Rule(ignore=True)], True),
        ([Rule(ignore=False), Rule(ignore=True)], False),
        ([Rule(ignore=True), Rule(ignore=False)], True),
        ([Rule(labels={"a": "b"}), Rule(ignore=True)], True),
        ([Rule(ids=("other",), ignore=False), Rule(ignore=True)], True),
    ],
)
def test_the_first_rule_that_says_whether_an_account_is_watched_decides_it(rules, ignored):
    assert Roster({"acme": {}}, rules).ignores("acme", seen()) is ignored


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (Rule(), True),
        (Rule(workspaces=("ac*",)), True),
        (Rule(workspaces=("beta",)), False),
        (Rule(workspaces=("beta", "acme")), True),
        (Rule(ids=("a?",)), True),
        (Rule(ids=("A1",)), False),
        (Rule(names=("Person *",)), True),
        (Rule(names=("Person",)), False),
        (Rule(names=("Person [a-c]1",)), True),
        (Rule(names=("Nobody", "*a1")), True),
        (Rule(workspaces=("acme",), ids=("a1",), names=("Nobody",)), False),
        (Rule(workspaces=("beta",), names=("Person *",)), False),
    ],
)
def test_a_rule_matches_where_all_its_parts_do(rule, matches):
    roster = Roster({"acme": {}}, [Rule(rule.workspaces, rule.ids, rule.names, ignore=True)])

    assert roster.ignores("acme", seen()) is matches


@pytest.mark.parametrize(
    "glob",
    [
        "https://www.linkedin.com/in/Jane-Doe/",
        "https://www.linkedin.com/in/Jane-Doe",
        "https://linkedin.com/in/Jane-Doe",
        "http://linkedin.com/in/jane-doe/",
        "www.linkedin.com/in/jane-doe",
        "linkedin.com/in/jane-doe",
        "linkedin.com/in/Jane-*",
        "https://www.linkedin.com/in/jane-*",
        "linkedin.com/in/jane?doe",
        "linkedin.com/in/[a-k]ane-doe/",
        "*/in/jane-doe",
        "*jane*",
    ],
)
def test_the_address_of_a_profile_may_be_written_in_many_ways(glob):
    jane = seen(url="https://www.linkedin.com/in/Jane-Doe/")

    assert labels(Rule(urls=(glob,), labels={"x": "y"}), of=jane) == {"x": "y"}
    assert labels(Rule(urls=(glob,), labels={"x": "y"}), of=seen()) == {}


@pytest.mark.parametrize("glob", ["linkedin.com/in/jürgen", "linkedin.com/in/j%C3%BCrgen/"])
@pytest.mark.parametrize("url", ["linkedin.com/in/J%C3%BCrgen/", "linkedin.com/in/jürgen?x=y"])
def test_umlauts_in_addresses_may_be_encoded(glob, url):
    person = seen(url=f"https://www.{url}")

    assert labels(Rule(urls=(glob,), labels={"x": "y"}), of=person) == {"x": "y"}


@pytest.mark.parametrize("url", ["", "not an address", "http://[", "javascript:alert(1)"])
def test_an_account_without_a_proper_address_is_matched_by_no_address(url):
    rule = Rule(urls=("linkedin.com/*",), labels={"x": "y"})

    assert labels(rule, of=seen(url=url)) == {}
    assert labels(Rule(urls=("*",), labels={"x": "y"}), of=seen(url=url)) == {"x": "y"}


@pytest.mark.parametrize("name", ["*", "?", "[a-z]*", "[!x]", "[", "Person *", "\n", "*" * 5000])
def test_what_looks_like_a_glob_in_a_name_is_a_name(name):
    stranger = seen(id_="x1", name=name, url="")

    assert labels(Rule(names=("Jane *",), labels={"x": "y"}), of=stranger) == {}
    assert labels(Rule(ids=("a1",), names=("Person a1",), labels={"x": "y"}), of=stranger) == {}


def test_a_workspace_is_watched_while_it_is_in_the_configuration():
    roster = Roster({"acme": {}})

    assert roster.watches("acme")
    assert not roster.watches("beta")
    assert not Roster().watches("acme")
