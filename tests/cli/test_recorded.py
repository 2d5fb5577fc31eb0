import re

import pytest
from harness.core import LINK, listed_account
from harness.faults import locked

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
def test_on_a_terminal_a_link_stays_whole(on_a_terminal, configured):
    _, accounts = on_a_terminal("accounts", "--show-links", "-c", configured())

    assert LINK in accounts


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
def test_on_a_terminal_a_duration_is_one_that_people_read(on_a_terminal, configured):
    _, incidents = on_a_terminal("incidents", "-c", configured())

    heading, *rows = incidents.splitlines()
    assert heading.split()[-3:] == ["opened", "(UTC)", "duration"]
    assert all(re.search(r"\d (d|h|min|s)$", row.rstrip()) for row in rows)


@pytest.mark.usefixtures("recorded")
def test_deliveries_are_listed_with_their_state(run, configured):
    ran = run("deliveries", "-c", configured())

    assert sorted(row["state"] for row in ran.data) == ["delivered", "pending"]
    assert set(ran.data[0]) >= {"id", "message_id", "incident_ids", "event", "attempts", "reason"}


def test_accounts_are_listed_while_another_program_writes(run, configured, recorded):
    with locked(recorded.store):
        assert len(run("accounts", "-c", configured()).data) == 3
