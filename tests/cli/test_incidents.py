import json

import pytest
from harness.core import HOUR, LINK, listed_account, signed_out
from harness.store import REFUSED

from monitor.app import process


@pytest.fixture
def shown(run, configured, recorded, monkeypatch):
    """Show one incident."""
    monkeypatch.setattr(process, "now", lambda: recorded.now)
    file = configured(more="accounts: [{match: {id: out}, labels: {owner: jane@example.com}}]")
    return lambda *arguments: run("incidents", "show", "-c", file, *arguments)


def test_all_of_an_incident_is_shown(shown, recorded):
    recorded.deliver()
    recorded.poll(*map(listed_account, ("ok", "cold", "out")), after=HOUR)
    recorded.deliver()
    recorded.deliver(error=REFUSED)

    data = shown("Person out").data

    assert data["account"]["id"] == data["account_id"] == "out"
    assert (data["labels"], data["resolution"]) == ({"owner": "jane@example.com"}, "recovered")
    assert data["duration_seconds"] == 3600
    assert [event["type"] for event in data["events"]] == ["opened", "resolved"]
    assert [heard["receiver"] for heard in data["heard"]] == ["slack"]
    (told,), (again,) = (event["notifications"] for event in data["events"])
    assert (told["state"], told["tried"][0]["reason"]) == ("delivered", "ok")
    assert (again["state"], again["tried"][0]["answer"]) == ("pending", "HTTP 500")
    assert again["tried"][0]["at"].endswith("Z")


def test_who_did_what_is_shown(shown, run, configured):
    ack = ("ack", "out", "--by", "Ann", "--reason", "on the phone", "-c", configured())
    assert run(*ack).code == 0

    data = shown("out").data

    (act,) = data["acts"]
    assert (act["act"], act["actor"], act["reason"]) == ("ack", "Ann", "on the phone")
    assert [event["act_id"] for event in data["events"]] == [None, act["id"]]
    assert "by Ann (said to be, by" in shown("out", "--table").out


def test_the_link_is_shown_if_it_is_asked_for(shown):
    for form in ("--json", "--table"):
        assert LINK not in shown("out", form).out
        assert LINK in shown("out", form, "--show-links").out


def test_on_a_terminal_it_is_a_page(shown):
    lines = shown("out", "--table").out.splitlines()

    assert lines[0] == "“Person out” is signed out of LinkedIn"
    assert "  Owner        jane@example.com" in lines
    assert lines[-2:] == [
        "  12:02:00  opened: reconnection required (seen bad)",
        "            slack  delivered 12:02:00",
    ]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("nobody", "no incident has the id 'nobody'"),
        ("", "no incident has the id ''"),
        ("00", "can be several incidents, name one by its id: 00"),
    ],
)
def test_a_word_that_is_not_one_incident_is_one_line_and_exit_5(shown, word, words):
    ran = shown(word)

    assert (ran.code, ran.out) == (5, "")
    assert words in json.loads(ran.err)["message"]


def test_of_many_candidates_the_first_are_named(shown, recorded):
    many = [signed_out(f"a{number}", name="Jo Doe") for number in range(9)]
    recorded.poll(*map(listed_account, ("ok", "cold", "out")), *many)

    message = json.loads(shown("Jo Doe").err)["message"]

    assert message.count("(Jo Doe, acme, reconnection_required)") == 6
    assert message.endswith(", …")


def test_no_name_can_move_a_terminal(shown, recorded):
    recorded.poll(signed_out("odd", name="\x1b[2J\u202eDana"), listed_account("ok"))

    ran = shown("odd", "--table")

    assert ran.out.startswith("“")
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
