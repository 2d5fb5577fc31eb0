import json

import pytest
from harness.core import NOON

from monitor.app import process

ROUTED = """
accounts:
  - {match: {name: "Person o*"}, labels: {owner: jane@example.com}}
receivers:
  - {name: ops-slack, type: slack, url: "http://127.0.0.1:9/slack"}
  - {name: mail, type: email, host: 127.0.0.1, port: 9, tls: none, from: a@example.com,
     to: {label: owner}}
routes:
  - {match: {cause: frozen, account: "Person c*"}, to: [ops-slack, mail],
     escalate: [{after: 2h, to: [ops-slack]}]}
  - {match: {labels: {owner: jane@example.com}}, to: [mail]}
fallback: ops-slack
"""


@pytest.fixture
def tried(run, configured):
    """Try the routes of ROUTED."""
    file = configured(more=ROUTED)
    return lambda *arguments: run("routes", "test", "-c", file, *arguments)


def hears(ran):
    return {
        row["account_id"]: [(it["receiver"], it["address"]) for it in row["hears"]]
        for row in ran.data
    }


@pytest.mark.usefixtures("recorded")
def test_each_account_that_was_seen_is_tried_and_why_is_said(tried):
    ran = tried("--cause", "frozen")

    owner = ("mail", "jane@example.com")
    assert hears(ran) == {"cold": [("ops-slack", None)], "ok": [owner], "out": [owner]}
    cold, ok, _ = ran.data
    assert cold["routes"] == [
        {"number": 0, "to": ["ops-slack", "mail"], "matches": True, "why_not": None}
    ]
    assert (cold["without_address"], cold["fallback"]) == (["mail"], False)
    slack = {"receiver": "ops-slack", "address": None}
    assert cold["escalates"] == [{"after": "2h", "hears": [slack]}]
    assert [it["why_not"] for it in ok["routes"]] == ["account Person c*", None]


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("glob", "ids"), [("Person o*", ["ok", "out"]), ("cold", ["cold"]), ("col", ["cold"])]
)
def test_accounts_are_chosen_by_name_or_id_or_the_start_of_it(tried, glob, ids):
    ran = tried("--cause", "flapping", "--account", glob)

    assert (list(hears(ran)), ran.err) == (ids, "")


@pytest.mark.usefixtures("recorded")
def test_a_glob_that_matches_no_account_is_warned_of_and_tried_as_a_new_one(tried):
    ran = tried("--cause", "frozen", "--account", "Nobody *")

    assert ran.err == "warning: no account is called 'Nobody *': taken as a new one\n"
    assert hears(ran) == {"Nobody *": [("ops-slack", None)]}
    assert ran.data[0]["fallback"] is True


QUIET_NIGHTS = """
timezone: Europe/Berlin
mutes: [{match: {scope: account}, to: [ops-slack], cron: "0 22 * * *", for: 8h}]
"""


@pytest.mark.parametrize(
    ("at", "held"),
    [
        (["--at", "03:00"], "2026-11-24T05:00:00.000Z"),
        (["--at", "2026-12-24T23:30"], "2026-12-25T05:00:00.000Z"),
        (["--at", "13:30"], None),
        ([], None),
    ],
)
def test_what_a_mute_would_hold_is_said_for_any_time(run, configured, monkeypatch, at, held):
    monkeypatch.setattr(process, "now", lambda: NOON)
    file = configured(more=ROUTED + QUIET_NIGHTS)
    arguments = ("routes", "test", "-c", file, "--cause", "frozen", "--account", "Nobody", *at)

    (row,) = run(*arguments).data

    assert [it["until"] for it in row["held"]] == ([] if held is None else [held])
    assert bool(row["hears"]) is (held is None)
    table = run(*arguments, "--table").out
    assert (f"ops-slack is muted until {held}" in table) is (held is not None)
    assert "there is no fallback" not in table


def test_what_is_muted_by_command_counts_too(tried, run, configured, recorded, monkeypatch):
    monkeypatch.setattr(process, "now", lambda: recorded.now)
    mute = ("mute", "add", "--cause", "frozen", "--to", "ops-slack", "--for", "2h")
    assert run(*mute, "-c", configured(more=ROUTED)).code == 0

    (row,) = tried("--cause", "frozen", "--account", "cold").data

    assert [it["receiver"] for it in row["held"]] == ["ops-slack"]
    assert tried("--cause", "flapping", "--account", "cold").data[0]["held"] == []


@pytest.mark.usefixtures("recorded")
def test_a_table_says_who_is_told_later(tried):
    why = tried("--cause", "frozen", "--account", "cold", "--table").out.splitlines()[-1]

    assert "no label has an address for mail; after 2h without `ack` ops-slack" in why


def test_without_a_database_the_account_is_the_one_that_is_written(tried):
    ran = tried("--cause", "frozen", "--account", "Person one")

    assert (hears(ran), ran.err) == ({"Person one": [("mail", "jane@example.com")]}, "")
    assert list(hears(tried("--cause", "frozen"))) == ["somebody"]


def test_labels_that_are_given_count_before_all_others(tried):
    frozen = ("--cause", "frozen", "--account", "Person one")

    ran = tried(*frozen, "--labels", "owner=joe@example.com", "--labels", "team=a=b")

    assert ran.data[0]["labels"] == {"owner": "joe@example.com", "team": "a=b"}
    assert hears(ran) == {"Person one": [("ops-slack", None)]}
    by_workspace = tried("--cause", "unreachable", "--labels", "owner=jane@example.com")
    assert hears(by_workspace) == {None: [("mail", "jane@example.com")]}


def test_what_is_of_a_workspace_is_tried_for_the_workspace(tried):
    (row,) = tried("--cause", "token_rejected").data

    assert (row["workspace"], row["account_id"], row["fallback"]) == ("acme", None, True)


@pytest.mark.usefixtures("recorded")
def test_more_accounts_than_are_asked_for_are_warned_of(tried):
    ran = tried("--cause", "frozen", "--limit", "2")

    assert len(ran.data) == 2
    assert ran.err == "warning: there are more than 2; the first are shown\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cause", "frozen", "--workspace", "x"], "no workspace is called 'x'; configured: acme"),
        (["--cause", "unreachable", "--account", "x"], "leave out --account"),
        (["--cause", "frozen", "--at", "3 am"], "--at must be a time such as 2026-12-24T18:00"),
    ],
)
def test_what_can_not_be_tried_is_one_line_and_exit_5(tried, arguments, words):
    ran = tried(*arguments)

    assert (ran.code, ran.out) == (5, "")
    assert words in json.loads(ran.err)["message"]


def test_on_a_terminal_each_row_says_why(run, configured):
    ignoring = 'accounts: [{match: {name: "Person one"}, ignore: true}]'
    file = configured(more=ignoring)

    ran = run("routes", "test", "-c", file, "--table", "--cause", "frozen", "--account", "P*")

    assert ran.out.splitlines()[1:] == [
        "acme       P*       frozen  log  ",
        "  there are no routes: every receiver hears everything",
    ]
    ignored = ("--cause", "frozen", "--account", "Person one")
    ran = run("routes", "test", "-c", file, "--table", *ignored)
    assert ran.out.splitlines()[1:] == [
        "acme       Person one  frozen  nobody",
        "  this account is not watched (ignore: true)",
    ]
