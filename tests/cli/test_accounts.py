from dataclasses import replace

import pytest
from harness.core import listed_account
from harness.store import StoreHarness

from monitor.app import process
from monitor.core.inventory import AccountMatch, AccountRule, Inventory
from monitor.store import accounts

pytestmark = pytest.mark.case("new name matches other rules")

RULES = 'accounts: [{match: {name: "Dana *"}, labels: {owner: dana@example.com}}]'


@pytest.fixture
def renamed(harness: StoreHarness):
    """A database with two accounts that took the name of somebody with an owner."""
    rules = [AccountRule(AccountMatch(names=("Dana *",)), {"owner": "dana@example.com"})]
    routing = replace(harness.rules.routing, inventory=Inventory({"acme": {}}, rules))
    harness.rules = replace(harness.rules, routing=routing)
    harness.poll(listed_account("a1"), listed_account("a22"), listed_account("a222"))
    dana = [listed_account(id_, name="Dana Fox") for id_ in ("a22", "a222")]
    harness.poll(listed_account("a1"), *dana)
    return harness


def owners(run, config):
    return {row["id"]: row["labels"] for row in run("accounts", "-c", config).data}


@pytest.mark.usefixtures("renamed")
def test_accounts_are_listed_with_the_labels_by_which_they_are_matched(run, configured):
    rows = run("accounts", "-c", configured(more=RULES)).data

    assert [row["labels"] for row in rows] == [{}, {}, {}]
    assert {(row["name"], row["matched_name"]) for row in rows} == {
        ("Person a1", "Person a1"),
        ("Dana Fox", "Person a22"),
        ("Dana Fox", "Person a222"),
    }
    assert [row["rules_told_at"] is None for row in rows].count(True) == 1


@pytest.mark.parametrize("id_", ["a22", "a222"])
def test_a_new_name_is_accepted_and_what_it_means_is_shown(run, configured, renamed, id_):
    config = configured(more=RULES)

    (row,) = run("accounts", "accept", id_, "--by", "ops", "-c", config).data

    assert (row["id"], row["name"], row["ignored"], row["accepted_by"]) == (
        id_, "Dana Fox", False, "ops",
    )  # fmt: skip
    assert row["labels"] == owners(run, config)[id_] == {"owner": "dana@example.com"}
    assert renamed.run(lambda tx: accounts.load(tx, "acme", id_)).rules_told_at is None
    told = "SELECT detail FROM event WHERE reason = 'accepted'"
    assert renamed.column(told) == ["its new name was accepted by ops (cli)"]
    acts = "SELECT act.act || ' ' || actor || ' ' || subject FROM act JOIN event ON act_id = act.id"
    assert renamed.column(acts) == [f"accept ops {id_}"]


@pytest.mark.usefixtures("renamed")
def test_a_unique_start_of_an_id_is_enough_and_who_accepts_is_the_user_of_the_system(
    run, configured
):
    config = configured(more=RULES)
    run("accounts", "accept", "a222", "-c", config)

    (row,) = run("accounts", "accept", "a2", "-c", config).data

    assert (row["id"], row["accepted_by"]) == ("a22", process.user())


@pytest.mark.usefixtures("renamed")
@pytest.mark.parametrize("id_", ["", "\N{WORD JOINER}"])
def test_the_start_of_every_id_names_none(run, configured, id_):
    config = configured(more=RULES)
    run("accounts", "accept", "a222", "-c", config)

    assert run("accounts", "accept", id_, "-c", config).code == 5
    assert owners(run, config)["a22"] == {}


@pytest.mark.usefixtures("renamed")
def test_an_id_is_taken_as_a_message_shows_it(run, configured):
    assert run("accounts", "accept", "a2\N{WORD JOINER}2", "-c", configured(more=RULES)).code == 0


@pytest.mark.usefixtures("renamed")
@pytest.mark.parametrize("id_", ["a1", "a2", "Dana Fox", ""])
def test_what_is_not_one_renamed_account_cannot_be_accepted(run, configured, id_):
    ran = run("accounts", "accept", id_, "-c", configured(more=RULES))

    assert ran.code == 5
    assert f"not exactly one account with a new name begins with '{id_}'; see the ids" in ran.err
    assert list(owners(run, configured(more=RULES)).values()) == [{}, {}, {}]


@pytest.mark.usefixtures("renamed")
def test_options_count_on_either_side_of_the_command(run, configured, monkeypatch, tmp_path):
    config = configured(more=RULES)
    monkeypatch.setenv("LINKEDAPI_MONITOR_CONFIG", f"{tmp_path}/another.yaml")

    assert run("accounts", "-c", config, "accept", "a22").data[0]["id"] == "a22"
    assert run("workspaces", "-c", config, "accept", "acme").code == 5
    assert run("accounts", "-c", "none.yaml", "accept", "a222", "-c", config).code == 0
