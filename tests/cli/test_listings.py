import re

import pytest
from harness.core import LINK, listed_account
from harness.faults import locked
from harness.store import TIMEOUT

from monitor.app import process
from monitor.store import workspaces


@pytest.mark.parametrize("command", ["accounts", "incidents", "deliveries"])
def test_a_database_that_is_not_there_is_said_and_not_made(run, configured, tmp_path, command):
    ran = run(command, "-c", configured())

    assert ran.code == 1
    assert "there is no database" in ran.err
    assert not (tmp_path / "monitor.db").exists()


@pytest.mark.usefixtures("recorded")
def test_accounts_are_listed_without_links_unless_asked(run, configured):
    ran = run("accounts", "-c", configured())

    assert [row["id"] for row in ran.data] == ["cold", "out", "ok"]
    assert ran.data[0]["since"].endswith("Z")
    assert LINK not in ran.out
    assert LINK in run("accounts", "-c", configured(), "--show-links").out


def test_accounts_are_listed_with_labels_and_without_workspaces_that_left(
    run, configured, recorded
):
    labels = "accounts: [{match: {id: out}, labels: {owner: jane@x.de}}]"
    ran = run("accounts", "-c", configured(more=labels))
    assert [row["labels"] for row in ran.data] == [{}, {"owner": "jane@x.de"}, {}]

    recorded.store.run_now(lambda tx: workspaces.detach(tx, (), recorded.now))
    assert run("accounts", "-c", configured()).data == []


@pytest.mark.usefixtures("recorded")
def test_bad_accounts_alone_are_listed_if_asked_for(run, configured, recorded):
    assert [row["id"] for row in run("accounts", "--bad", "-c", configured()).data] == [
        "cold",
        "out",
    ]
    recorded.poll(*map(listed_account, ("ok", "cold", "out")))

    assert run("accounts", "--bad", "-c", configured()).data == []
    table = run("accounts", "--bad", "--table", "-c", configured())
    assert table.out == "every account is active\n"


@pytest.mark.usefixtures("recorded")
def test_on_a_terminal_a_link_stands_whole_on_a_line_of_its_own(on_a_terminal, configured):
    arguments = ("accounts", "--bad", "--show-links", "-c", configured())

    _, accounts = on_a_terminal(*arguments, columns=40)

    assert f"  {LINK}" in accounts.splitlines()
    assert LINK.count("/") > 2


@pytest.mark.usefixtures("recorded")
def test_incidents_are_listed_with_their_duration(run, configured):
    ran = run("incidents", "-c", configured())

    assert {row["cause"] for row in ran.data} == {"frozen", "reconnection_required"}
    assert set(ran.data[0]) >= {"id", "workspace", "scope", "opened_at", "duration_seconds"}
    assert all(row["duration_seconds"] >= 0 for row in ran.data)


def test_incidents_that_have_ended_are_listed_if_asked_for(run, configured, recorded):
    recorded.poll(*map(listed_account, ("ok", "cold", "out")))

    assert run("incidents", "-c", configured()).data == []
    rows = run("incidents", "--all", "-c", configured()).data
    assert [row["resolution"] for row in rows] == ["recovered", "recovered"]


@pytest.mark.usefixtures("recorded")
def test_in_a_table_a_duration_is_one_that_people_read(run, configured):
    heading, *rows = run("incidents", "--table", "-c", configured()).out.splitlines()

    assert heading.split()[-3:] == ["opened", "(UTC)", "duration"]
    assert all(re.search(r"\d (d|h|min|s)$", row.rstrip()) for row in rows)


@pytest.mark.usefixtures("recorded")
def test_deliveries_are_listed_with_their_state(run, configured):
    ran = run("deliveries", "-c", configured())

    assert sorted(row["state"] for row in ran.data) == ["delivered", "pending"]
    keys = {"id", "message_id", "incident_ids", "event", "receiver", "type", "state", "reason"}
    assert set(ran.data[0]) >= {*keys, "attempts", "next_attempt_at", "last_answer"}
    assert "why" not in ran.data[0]
    answers = {row["state"]: row["last_answer"] for row in ran.data}
    assert answers == {"delivered": "ok", "pending": None}


def test_a_table_of_deliveries_says_what_was_answered_and_when_it_is_tried_again(
    run, configured, recorded, monkeypatch
):
    recorded.deliver(error=TIMEOUT)
    monkeypatch.setattr(process, "now", lambda: recorded.now)

    ran = run("deliveries", "--table", "-c", configured())

    heading, first, answer, second = ran.out.splitlines()
    columns = ["created (UTC)", "account", "receiver", "event", "state", "tries", "next try"]
    assert re.split("  +", heading.rstrip()) == columns
    assert re.search(r"slack +opened +pending +1 +in \d+ (s|min)$", first.rstrip())
    assert answer == f"  {TIMEOUT}"
    assert re.search(r"slack +opened +delivered +1$", second.rstrip())


def test_accounts_are_listed_while_another_program_writes(run, configured, recorded):
    with locked(recorded.store):
        assert len(run("accounts", "-c", configured()).data) == 3
