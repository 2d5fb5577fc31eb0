"""Taking incidents over, and giving them back, at a terminal."""

import pytest
from harness.core import frozen, listed_account, signed_out

from monitor.app import process


@pytest.fixture
def act(run, configured, recorded, monkeypatch):
    monkeypatch.setattr(process, "now", lambda: recorded.now)
    file = configured()
    return lambda command, *arguments: run(command, "-c", file, *arguments)


@pytest.mark.parametrize("word", ["out", "ou", "Person out", "INCIDENT"])
def test_an_incident_is_taken_over_by_its_id_or_its_account(act, recorded, word):
    (id_,) = recorded.column("SELECT id FROM incident WHERE subject = 'out'")
    word = word.replace("INCIDENT", id_)

    (row,) = act("ack", word, "--for", "4h", "--by", "Ann", "--reason", "on the phone").data

    assert (row["id"], row["account_name"], row["acknowledged_by"]) == (id_, "Person out", "Ann")
    assert row["acknowledged_until"].endswith("Z")
    (shown,) = [it for it in act("incidents").data if it["id"] == id_]
    assert shown["acknowledged_by"] == "Ann"
    (row,) = act("unack", word).data
    assert row["acknowledged_by"] is None
    actors = recorded.column("SELECT act || ' ' || actor || ' ' || login FROM act ORDER BY act")
    login = f"{process.user()}@{process.host()}"
    assert actors == [f"ack Ann {login}", f"unack {process.user()} {login}"]


def test_all_of_a_cause_are_one_command(act):
    rows = act("ack", "--workspace", "acme", "--cause", "frozen").data

    assert [row["account_id"] for row in rows] == ["cold"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody"], "no incident has the id 'nobody'"),
        (["ok"], "no incident has the id 'ok'"),
        (["--workspace", "acme", "--cause", "unknown"], "open there: 1 frozen, 1 reconnection"),
        (["--workspace", "beta", "--cause", "frozen"], "nothing is open there"),
    ],
)
def test_what_cannot_be_acted_on_is_said_with_what_could_be(act, arguments, says):
    refused = act("ack", *arguments)

    assert refused.code == 5
    assert says in refused.err


def test_what_has_ended_is_not_taken_over(act, recorded):
    recorded.poll(*map(listed_account, ("ok", "cold", "out")))

    refused = act("ack", "out")

    assert refused.code == 5
    assert "ended at 2026-" in refused.err


def test_a_name_that_several_have_is_unclear(act, recorded):
    recorded.poll(
        listed_account("ok"), frozen("cold"), signed_out("out"), signed_out("b", name="Person out")
    )

    refused = act("ack", "Person out")

    assert refused.code == 5
    assert "can be several incidents" in refused.err


def test_what_nobody_has_is_not_given_back(act):
    refused = act("unack", "out")

    assert (refused.code, "nobody has taken it over" in refused.err) == (5, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["ack", "\udcff"],
        ["ack", "--workspace", "\udcff", "--cause", "frozen"],
        ["mute", "add", "--account", "\udcff", "--for", "1h"],
    ],
)
def test_what_is_no_text_is_a_mistake_of_usage(run, configured, recorded, arguments):
    refused = run(*arguments, "-c", configured())

    assert refused.code == 2
    assert "the arguments must be text in UTF-8" in refused.err
    assert recorded.column("SELECT id FROM act") == []
