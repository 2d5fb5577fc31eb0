"""Who owns which account, and which are not watched."""

import time
from dataclasses import replace

import pytest
from harness.core import CoreHarness, listed_account

from monitor.core.inventory import AccountMatch, AccountRow, AccountRule, Inventory

ALL = AccountMatch(ids=("*",))
OTHER = AccountMatch(ids=("other",))
OF_ACME = AccountMatch(workspaces=("acme",))


def test_what_is_said_of_an_account_goes_before_what_is_said_of_its_workspace():
    rules = [AccountRule(labels={"owner": "jane"})]
    inventory = Inventory({"acme": {"owner": "ops", "team": "growth"}}, rules)

    assert inventory.labels("acme", listed_account()) == {"owner": "jane", "team": "growth"}
    assert inventory.labels("acme") == {"owner": "ops", "team": "growth"}
    assert inventory.labels("gone", listed_account()) == {"owner": "jane"}


def test_the_first_rule_that_says_something_of_a_key_decides_it():
    rules = [
        AccountRule(OTHER, labels={"owner": "nobody"}),
        AccountRule(labels={"owner": "first"}),
        AccountRule(labels={"owner": "second", "team": "growth"}),
        AccountRule(labels={"team": "last", "tier": "gold"}),
    ]

    labels = Inventory(rules=rules).labels("acme", listed_account())

    assert labels == {"owner": "first", "team": "growth", "tier": "gold"}


@pytest.mark.parametrize(
    ("rules", "ignored"),
    [
        ([], False),
        ([AccountRule(labels={"a": "b"})], False),
        ([AccountRule(ALL, ignore=True)], True),
        ([AccountRule(ignore=False), AccountRule(ALL, ignore=True)], False),
        ([AccountRule(ALL, ignore=True), AccountRule(ignore=False)], True),
        ([AccountRule(labels={"a": "b"}), AccountRule(ALL, ignore=True)], True),
        ([AccountRule(OTHER, ignore=False), AccountRule(ALL, ignore=True)], True),
    ],
)
def test_the_first_rule_that_says_whether_an_account_is_watched_decides_it(rules, ignored):
    assert Inventory({"acme": {}}, rules).ignores("acme", listed_account()) is ignored


def matches(account=None, **parts):
    """Whether a rule with these *parts* says something of *account*."""
    inventory = Inventory(rules=[AccountRule(AccountMatch(**parts), {"x": "y"})])
    return inventory.labels("acme", account or listed_account()) == {"x": "y"}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, True),
        ({"workspaces": ["ac*"]}, True),
        ({"workspaces": ["beta"]}, False),
        ({"workspaces": ["beta", "acme"]}, True),
        ({"ids": ["a?"]}, True),
        ({"ids": ["A1"]}, False),
        ({"names": ["Person *"]}, True),
        ({"names": ["Person"]}, False),
        ({"names": ["Person [a-c]1"]}, True),
        ({"names": ["Nobody", "*a1"]}, True),
        ({"workspaces": ["acme"], "ids": ["a1"], "names": ["Nobody"]}, False),
        ({"workspaces": ["beta"], "names": ["Person *"]}, False),
    ],
)
def test_a_rule_matches_where_all_its_parts_do(parts, expected):
    assert matches(**parts) is expected


def test_a_rule_says_something_and_does_not_ignore_every_account():
    with pytest.raises(ValueError, match="needs labels"):
        AccountRule(ALL)
    with pytest.raises(ValueError, match="would ignore every account"):
        AccountRule(ignore=True)


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
    assert matches(listed_account(url="https://www.linkedin.com/in/Jane-Doe/"), urls=[glob])
    assert not matches(urls=[glob])


@pytest.mark.parametrize("glob", ["linkedin.com/in/jürgen", "linkedin.com/in/j%C3%BCrgen/"])
@pytest.mark.parametrize("url", ["linkedin.com/in/J%C3%BCrgen/", "linkedin.com/in/jürgen?x=y"])
def test_umlauts_in_addresses_may_be_encoded(glob, url):
    assert matches(listed_account(url=f"https://www.{url}"), urls=[glob])


@pytest.mark.parametrize("url", ["", "not an address", "http://[", "javascript:alert(1)"])
def test_an_account_without_a_proper_address_is_matched_by_no_address(url):
    assert not matches(listed_account(url=url), urls=["linkedin.com/*"])
    assert matches(listed_account(url=url), urls=["*"])


@pytest.mark.parametrize("name", ["*", "?", "[a-z]*", "[!x]", "[", "Person *", "\n", "*" * 5000])
def test_what_looks_like_a_glob_in_a_name_is_a_name(name):
    stranger = listed_account(id_="x1", name=name, url="")

    assert not matches(stranger, names=["Jane *"])
    assert not matches(stranger, ids=["a1"], names=["Person a1"])


def test_a_workspace_is_watched_while_it_is_in_the_configuration():
    inventory = Inventory({"acme": {}})

    assert inventory.watches("acme")
    assert not inventory.watches("beta")
    assert not Inventory().watches("acme")


NAMED = AccountRule(AccountMatch(names=("Jane *",)), {"owner": "jane"})


@pytest.mark.parametrize(
    ("rules", "is_same"),
    [
        ([NAMED], True),
        ([], False),
        ([NAMED, NAMED], False),
        ([replace(NAMED, ignore=False)], False),
        ([replace(NAMED, labels={"owner": "joe"})], False),
        ([replace(NAMED, match=AccountMatch(workspaces=("a*",), names=("Jane *",)))], False),
    ],
)
def test_the_key_of_rules_is_another_if_they_are(rules, is_same):
    key = Inventory({"acme": {}}, [NAMED]).key("acme")

    assert (Inventory({"acme": {"team": "growth"}}, rules).key("acme") == key) is is_same


def test_the_key_of_rules_is_another_for_a_new_name_of_the_workspace_if_other_rules_are_about_it():
    of_all, of_acme = Inventory(rules=[NAMED]), Inventory(rules=[AccountRule(OF_ACME, {"a": "b"})])

    assert of_all.key("acme") == of_all.key("beta")
    assert of_acme.key("acme") != of_acme.key("beta")


def test_what_routes_choose_by_name_is_matched_otherwise_under_another_name():
    harness = CoreHarness()
    harness.polls(listed_account(), listed_account(name="Dana Fox"))
    account = harness.workspace.accounts["a1"]

    assert Inventory(routed=["Dana *"]).rematches(account)
    assert not Inventory(routed=["a1", "*"]).rematches(account)


# ── the rows of a table ──────────────────────────────────────────────────────────────────────────

ROWS = [
    AccountRow("name", "Person a1", {"owner": "by name", "team": "by name", "tier": "by name"}),
    AccountRow("url", "linkedin.com/in/a1", {"owner": "by url", "team": "by url"}),
    AccountRow("id", "a1", {"owner": "by id"}),
    AccountRow("id", "Person a1", {"owner": "another"}),
    AccountRow("id", "a*", {"owner": "no glob"}),
]


@pytest.mark.parametrize("rows", [ROWS, ROWS[::-1]])
def test_a_row_by_id_goes_before_others_and_all_rows_after_the_rules(rows):
    account = listed_account(url="https://www.LinkedIn.com/in/A1/?x")
    rules = [AccountRule(labels={"tier": "by rule"})]
    inventory = Inventory({"acme": {"tier": "of all", "place": "of all"}}, rules, rows=rows)

    assert inventory.labels("acme", account) == {
        "owner": "by id",
        "team": "by url",
        "tier": "by rule",
        "place": "of all",
    }
    assert Inventory(rows=rows).labels("acme", listed_account("b1")) == {}


@pytest.mark.parametrize(
    ("rules", "ignored"),
    [([], True), ([AccountRule(ignore=False)], False), ([AccountRule(OTHER, ignore=False)], True)],
)
def test_a_row_says_whether_an_account_is_watched_unless_a_rule_does(rules, ignored):
    rows = [AccountRow("name", "Person a1", ignore=False), AccountRow("id", "a1", ignore=True)]

    assert Inventory(rules=rules, rows=rows).ignores("acme", listed_account()) is ignored


@pytest.mark.case("new name matches other rules")
def test_an_account_that_is_called_otherwise_keeps_its_rows_until_somebody_accepts():
    harness = CoreHarness()
    harness.polls(listed_account())
    account = harness.workspace.accounts["a1"]
    renamed = replace(account, name="Boss", url="https://www.linkedin.com/in/boss")
    rows = [
        AccountRow("name", "Boss", {"owner": "boss"}),
        AccountRow("url", "linkedin.com/in/boss", ignore=True),
        AccountRow("name", account.name, {"owner": "jane"}),
    ]
    inventory = Inventory(rows=rows)

    assert inventory.labels("acme", renamed) == {"owner": "jane"}
    assert not inventory.ignores("acme", renamed)
    assert inventory.rematches(renamed)
    assert not Inventory(rows=rows[2:]).rematches(account)


def test_other_rows_are_other_rules_in_whatever_order():
    key = Inventory({"acme": {}}, [NAMED], rows=ROWS).key("acme")

    assert Inventory({"acme": {}}, [NAMED], rows=ROWS[::-1]).key("acme") == key
    assert Inventory({"acme": {}}, [NAMED], rows=ROWS[1:]).key("acme") != key
    other = AccountRow("id", "a*", {"owner": "somebody"})
    assert Inventory({"acme": {}}, [NAMED], rows=[*ROWS[:-1], other]).key("acme") != key
    assert (
        Inventory({"acme": {}}, [NAMED], rows=()).key("acme") == "bfa7de002ffb29694a99482c40095b7d"
    )


def test_a_row_is_the_same_in_every_version_whatever_the_order_of_its_columns():
    for labels in ({"b": "1", "a": "2"}, {"a": "2", "b": "1"}):
        inventory = Inventory({"acme": {}}, rows=[AccountRow("id", "é", labels, ignore=True)])
        assert inventory.key("acme") == "7e704cc16fc73d400227d83df18842d0"


@pytest.mark.slow
def test_what_stands_for_many_rows_holds_nobody_up_for_long():
    rows = [AccountRow("id", f"a{number}", {"owner": str(number)}) for number in range(100_000)]
    inventory = Inventory({"acme": {}}, rows=rows)
    began = time.process_time()

    inventory.key("acme")

    assert time.process_time() - began < 1


@pytest.mark.slow
def test_ten_thousand_accounts_find_their_rows_among_as_many_at_once():
    """One by one they would be compared a hundred million times: for minutes."""
    rows = [AccountRow("id", f"a{number}", {"owner": str(number)}) for number in range(10_000)]
    inventory = Inventory({str(number): {} for number in range(10_000)}, rows=rows)
    accounts = [listed_account(f"a{number}") for number in range(10_000)]
    began = time.process_time()

    owners = [inventory.labels("acme", account)["owner"] for account in accounts]
    watched = [inventory.ignores("acme", account) for account in accounts]
    keys = {inventory.key(str(number)) for number in range(10_000)}

    assert owners == [str(number) for number in range(10_000)]
    assert not any(watched)
    assert len(keys) == 1
    assert time.process_time() - began < 5
