"""Mutes at a terminal."""

import pytest
from harness.core import HOUR
from sqlalchemy import text

from monitor.app import process
from monitor.core.text import iso_time

FILE = """\
timezone: UTC
receivers: [{name: slack, type: slack, url: 'http://127.0.0.1:9/x'}]
mutes: [{match: {scope: account}, to: [slack], cron: '0 22 * * *', for: 8h, reason: the night}]
"""


@pytest.fixture
def mute(run, configured, recorded, monkeypatch):
    monkeypatch.setattr(process, "now", lambda: recorded.now)
    file = configured(more=FILE)
    return lambda command, *arguments: run("mute", command, "-c", file, *arguments)


def test_what_is_muted_is_listed_until_when_and_by_whom(mute, recorded):
    now = recorded.now
    (added,) = mute("add", "--cause", "frozen", "--for", "1h", "--by", "Ann").data

    night, mine = mute("list").data

    assert mine == added
    assert (mine["what"], mine["to"], mine["by"]) == ("cause frozen", "everybody", "Ann")
    assert (mine["active"], mine["until"]) == (True, iso_time(now + HOUR))
    assert (night["id"], night["by"], night["active"]) == (None, "the configuration", False)
    assert (night["what"], night["to"], night["reason"]) == ("scope account", "slack", "the night")
    recorded.now += HOUR
    assert len(mute("list").data) == 1, "it is over"


def test_a_mute_that_cannot_be_read_is_listed_as_such_and_can_be_ended(mute, recorded):
    (added,) = mute("add", "--cause", "frozen", "--for", "1h", "--by", "Ann").data
    query = text("UPDATE mute SET rule = REPLACE(rule, 'frozen', 'of tomorrow')")
    recorded.run(lambda tx: tx.execute(query))

    _, listed = mute("list").data

    assert (listed["id"], listed["by"], listed["active"]) == (added["id"], "Ann", False)
    assert listed["what"].startswith("nothing: another version")
    assert [row["id"] for row in mute("end", added["id"]).data] == [added["id"]]


def test_accounts_are_marked_while_they_are_muted(run, mute, configured, recorded):
    mute("add", "--cause", "frozen", "--for", "1h")
    mute("add", "--forever", "--to", "slack")

    rows = run("accounts", "-c", configured(more=FILE)).data

    until = iso_time(recorded.now + HOUR)
    assert {row["id"]: row["muted_until"] for row in rows} == {
        "cold": until,
        "ok": None,
        "out": None,
    }


def test_a_mute_is_ended_by_the_start_of_its_id(mute, recorded):
    (added,) = mute("add", "--account", "cold", "--forever", "--reason", "known").data
    assert added["until"] is None

    (ended,) = mute("end", added["id"][:6]).data

    assert (ended["id"], ended["active"]) == (added["id"], False)
    assert len(mute("list").data) == 1
    assert recorded.column("SELECT act || ' ' || reason FROM act ORDER BY act") == [
        "end_mute ",
        "mute known",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "say how long: one of --until, --for and --forever"),
        (["--for", "1h", "--forever"], "say how long"),
        (["--until", "2020-01-01"], "until must be later than from"),
        (["--from", "2020-01-01", "--until", "2020-01-02"], "is over already"),
        (["--until", "2099-01-01"], "must not be longer than 30d"),
        (["--until", "soon"], "must be a time such as"),
        (["--from", "soon", "--for", "1h"], "must be a time such as"),
        (["--cron", "0 22 * *", "--for", "8h"], "must be five fields"),
        (["--cron", "0 22 * * *", "--until", "2099-01-01"], "needs cron and for together"),
        (["--cron", "0 22 * * *", "--for", "31d"], "has a `for` that must be from 1m to 30d"),
        (["--forever", "--to", "ops"], "no receiver is called 'ops'; there are slack"),
        (["--forever", "--timezone", "Mars"], "must be a time zone such as"),
        (
            ["--for", "1h", "--from", "2026-12-24T12:00", "--timezone", "Mars"],
            "must be a time zone such as",
        ),
    ],
)
def test_a_mute_that_cannot_be_is_refused(mute, recorded, arguments, says):
    refused = mute("add", *arguments)

    assert refused.code == 5
    assert says in refused.err
    assert recorded.column("SELECT id FROM act") == []


def test_a_glob_that_matches_nothing_is_warned_of(mute):
    added = mute(
        "add", "--workspace", "beta", "--account", "Nobody*", "--account", "co*", "--forever"
    )

    assert added.code == 0
    assert "no workspace is called 'beta'" in added.err
    assert "no account is called 'Nobody*'" in added.err
    assert "co*" not in added.err


@pytest.mark.parametrize(
    "until", [["--until", "9999-12-31T23:59:59-12:00"], ["--from", "9998-01-01", "--for", "3650d"]]
)
def test_a_mute_until_the_end_of_time_is_listed_as_one_without_end(mute, until):
    assert mute("add", "--account", "co*", *until).code == 0

    assert mute("list").data[-1]["until"] is None


def test_a_mute_again_and_again_is_listed_with_its_next_time(mute):
    arguments = ["--cron", "0 22 * * *", "--for", "8h", "--timezone", "Europe/Berlin"]

    (row,) = mute("add", *arguments).data

    assert (row["starts"], row["until"]) == ("2026-11-23T21:00:00.000Z", "2026-11-24T05:00:00.000Z")
    assert row["active"] is False


def test_what_is_no_mute_is_not_ended(mute):
    refused = mute("end", "nothing")

    assert (refused.code, "there is none" in refused.err) == (5, True)


@pytest.mark.parametrize(
    ("option", "what"), [("--recurring", "recurring true"), ("--not-recurring", "recurring false")]
)
def test_what_recurs_can_be_muted_and_all_else_too(mute, option, what):
    mute("add", option, "--for", "1h")

    assert [row["what"] for row in mute("list").data] == ["scope account", what]
