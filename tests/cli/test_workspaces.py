import pytest
from harness.core import NOON, UNREACHABLE, listed_account
from harness.leases import REPLICA

from monitor.app import process
from monitor.core.text import iso_time
from monitor.store import leases


@pytest.mark.usefixtures("recorded")
def test_workspaces_are_listed_as_last_seen(run, configured, recorded):
    (row,) = run("workspaces", "-c", configured()).data
    assert (row["name"], row["accounts"], row["failing_cause"]) == ("acme", 3, None)
    assert row["as_of"].endswith("Z")
    recorded.observe(UNREACHABLE)

    (row,) = run("workspaces", "-c", configured()).data
    assert (row["failing_cause"], row["failing_detail"]) == ("unreachable", UNREACHABLE.detail)
    assert row["failing_since"].endswith("Z")


def test_a_workspace_is_listed_with_the_monitor_that_works_on_it(run, configured, recorded):
    (held,) = run("workspaces", "-c", configured()).data
    recorded.run(lambda tx: leases.leave(tx, REPLICA))
    (free,) = run("workspaces", "-c", configured()).data

    assert (held["holder"], held["held_since"]) == (f"host-{REPLICA}", iso_time(NOON))
    assert (free["holder"], free["held_since"]) == (None, None)


@pytest.mark.case("workspaces accept")
def test_a_refused_list_is_accepted_and_what_it_means_is_shown(
    run, configured, recorded, monkeypatch
):
    monkeypatch.setattr(process, "now", lambda: recorded.now)
    recorded.poll(listed_account("x"))
    assert run("workspaces", "-c", configured()).data[0]["refused_listed"] == 1

    (row,) = run("workspaces", "accept", "acme", "--by", "ops", "-c", configured()).data

    assert (row["go"], row["come"], row["accepted_by"]) == (3, 1, "ops")
    assert recorded.column("SELECT act || ' ' || actor || ' ' || subject FROM act") == [
        "accept ops reading"
    ]
    believed = recorded.poll(listed_account("x"))
    assert set(recorded.workspace.accounts) == {"x"}
    assert believed.decision.workspace.failing is None


def test_who_accepts_is_the_user_of_the_system_if_nobody_is_named(run, configured, recorded):
    recorded.poll(listed_account("x"))

    (row,) = run("workspaces", "accept", "acme", "-c", configured()).data

    assert row["accepted_by"] == process.user()
    assert recorded.column("SELECT way || ' ' || actor FROM acceptance") == [
        f"cli {process.user()}"
    ]


def test_a_name_is_taken_as_a_message_shows_it(run, configured, recorded):
    recorded.poll(listed_account("x"))

    assert run("workspaces", "accept", "ac\N{WORD JOINER}me", "-c", configured()).code == 0


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("name", ["acme", "nobody"])
def test_what_was_not_refused_cannot_be_accepted(run, configured, name):
    ran = run("workspaces", "accept", name, "-c", configured())

    assert ran.code == 5
    assert f"no list of the workspace '{name}' has been refused; see refused_listed" in ran.err


@pytest.mark.usefixtures("recorded")
def test_on_a_terminal_it_is_a_table(on_a_terminal, configured):
    _, shown = on_a_terminal("workspaces", "-c", configured())

    assert "acme" in shown
    assert "as of (UTC)" in shown
