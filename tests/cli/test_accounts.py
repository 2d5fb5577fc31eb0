import pytest
from harness.core import LINK
from harness.faults import locked

from monitor.store import workspaces


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


def test_accounts_are_listed_while_another_program_writes(run, configured, recorded):
    with locked(recorded.store):
        assert len(run("accounts", "-c", configured()).data) == 3
