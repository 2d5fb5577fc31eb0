"""Which workspaces belong to the configuration: entering, renaming, leaving, coming back."""

import pytest
from harness.core import (
    HOUR,
    LINK,
    MINUTE,
    NOON,
    REJECTED,
    UNREACHABLE,
    frozen,
    listed_account,
    signed_out,
)
from harness.store import StoreHarness
from sqlalchemy import inspect, text

from monitor.core.duration import Duration
from monitor.core.model import Workspace
from monitor.store import clock, incidents, retention, session_intents, workspaces
from monitor.store.db import LeaseLostError
from monitor.store.session_intents import SessionIntent

DAY = Duration.parse("24h")


def enter(harness, name="acme"):
    return harness.run(lambda tx: workspaces.attach(tx, name))


def rename(harness, old="acme", new="beta"):
    return harness.run(lambda tx: workspaces.rename(tx, old, new))


def detach(harness, *known):
    return harness.run(lambda tx: workspaces.detach(tx, known, harness.now))


def lapsed(harness):
    return harness.run(lambda tx: workspaces.long_detached(tx, harness.now - DAY))


def everything(harness):
    """Every row of every table that says something of a workspace or of who heard of what."""

    def read(tx):
        tables = [one for one in inspect(tx).get_table_names() if one != "migration"]
        return {
            table: sorted(map(repr, tx.execute(text(f"SELECT * FROM {table}")).mappings().all()))
            for table in tables
        }

    return harness.run(read)


def eventful(harness):
    """Let something of every kind be recorded, and no column of a workspace or account be empty."""
    harness.poll(
        listed_account("a"), signed_out("b"), frozen("c"), listed_account("d"), listed_account("e")
    )
    harness.deliver()
    for _ in range(3):
        harness.poll(listed_account("a"), signed_out("b"), frozen("c"), listed_account("d"))
    harness.poll(signed_out("a"), signed_out("b"), listed_account("d"))
    harness.observe(REJECTED)
    harness.observe(REJECTED)
    wanted = [SessionIntent("c1", "acme", "b", "0001")]
    harness.run(lambda tx: session_intents.add(tx, wanted, cooldown=HOUR, now=harness.now))
    harness.run(
        lambda tx: tx.execute(
            text("UPDATE account SET bad_polls = 1, good_polls = 2, changes = '1 2' WHERE id = 'c'")
        )
    )
    harness.run(lambda tx: clock.set_clock(tx, harness.now))
    detach(harness)


def empty_columns(harness, *tables):
    """The columns that no row of a table has a value in."""

    def read(tx):
        for table in tables:
            rows = tx.execute(text(f"SELECT * FROM {table}")).mappings().all()
            yield from (key for key in rows[0] if all(row[key] is None for row in rows))

    return harness.run(lambda tx: list(read(tx)))


def test_the_first_entry_is_an_empty_workspace_and_each_is_another_claim(store):
    harness = StoreHarness(store)

    workspace, term = enter(harness)

    assert workspace == Workspace("acme")
    assert (harness.term, term) == (1, 2)
    with pytest.raises(LeaseLostError):
        harness.poll(listed_account())


def test_an_entry_forgets_a_run_of_failures_that_nobody_was_told_of(harness):
    harness.poll(listed_account())
    harness.observe(UNREACHABLE)

    assert enter(harness)[0].failing is None


def test_an_entry_keeps_the_failure_that_people_were_told_of(harness):
    harness.poll(listed_account())
    harness.observe(REJECTED)
    harness.observe(REJECTED)

    workspace, _ = enter(harness)

    assert workspace == harness.workspace
    assert workspace.failing is not None


# ── renamed ──────────────────────────────────────────────────────────────────────────────────────


def test_a_rename_carries_everything_over_and_changes_nothing_else(harness):
    eventful(harness)
    before = everything(harness)
    assert all(before.values())
    assert empty_columns(harness, "workspace", "account", "session") == []

    assert rename(harness)

    after = everything(harness)
    assert after == {
        table: sorted(row.replace("'acme'", "'beta'") for row in rows)
        for table, rows in before.items()
    }
    assert "'acme'" not in repr(after)


def test_a_renamed_workspace_is_the_same_under_its_new_name(harness):
    harness.poll(listed_account("a"), signed_out("b"))
    before = harness.run(lambda tx: workspaces.load(tx, "acme"))

    rename(harness)
    workspace, term = enter(harness, "beta")

    assert (workspace.name, term) == ("beta", harness.term + 1)
    assert workspace.baseline_at == before.baseline_at
    assert workspace.accounts["b"].session.link.reveal() == LINK
    assert workspace.accounts["b"].incident_id == before.accounts["b"].incident_id
    assert harness.run(lambda tx: workspaces.load(tx, "acme")) == Workspace("acme")


def test_an_incident_opened_under_the_old_name_resolves_under_the_new_one_to_who_heard(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True})
    harness.poll(listed_account("a"), signed_out("b"))
    harness.deliver("slack")

    rename(harness)
    harness.workspace, harness.term = enter(harness, "beta")
    quiet = harness.poll(listed_account("a"), signed_out("b"))
    resolved = harness.poll(listed_account("a"), listed_account("b"))

    assert quiet.decision.events == ()
    assert [(one.type, one.workspace) for one in resolved.decision.events] == [("resolved", "beta")]
    assert harness.deliver("slack") == [("resolved", "b")]
    assert harness.deliver("mail") is None


def test_what_waits_or_is_leaving_while_the_workspace_is_renamed_is_told(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True})
    harness.poll(signed_out("b"))
    sending = harness.claim("slack")

    rename(harness)
    harness.workspace, harness.term = enter(harness, "beta")
    harness.settle(sending)

    claimed = harness.claim("mail")
    assert [one.workspace for one in claimed.message.notifications] == ["beta"]
    assert claimed.message.notifications[0].link.reveal() == LINK
    harness.settle(claimed)
    assert list(harness.heard().values()) == [["mail", "slack"]]


def test_a_blind_workspace_may_be_renamed(harness):
    harness.observe(REJECTED)
    harness.observe(REJECTED)
    harness.deliver()

    rename(harness)
    harness.workspace, harness.term = enter(harness, "beta")
    harness.poll(listed_account())

    assert harness.deliver() == [("resolved", None)]


def test_if_both_names_have_a_past_nothing_changes(harness):
    eventful(harness)
    enter(harness, "beta")
    before = everything(harness)

    assert not rename(harness)

    assert everything(harness) == before


def test_a_name_without_a_past_gives_nothing(harness):
    before = everything(harness)

    assert not rename(harness, "nobody", "beta")

    assert everything(harness) == before
    assert not harness.run(lambda tx: workspaces.is_recorded(tx, "beta"))


def test_a_rename_is_done_once(harness):
    harness.poll(signed_out())

    assert rename(harness)
    assert not rename(harness)


# ── detached ─────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_in_the_configuration_is_detached_once(harness):
    enter(harness, "beta")

    assert detach(harness, "beta") == ["acme"]
    harness.now += HOUR
    assert detach(harness, "beta") == []

    assert harness.run(
        lambda tx: tx.execute(text("SELECT detached_at FROM workspace ORDER BY name")).all()
    ) == [
        (NOON,),
        (None,),
    ]


def test_a_workspace_that_comes_back_is_as_if_nothing_had_happened(harness):
    harness.poll(listed_account("a"), signed_out("b"))
    detach(harness)
    harness.now += DAY - MINUTE

    workspace, _ = enter(harness)

    assert workspace == harness.workspace
    harness.now += DAY
    assert lapsed(harness) is None
    assert detach(harness) == ["acme"]


@pytest.mark.parametrize("observation", ["healthy", "bad", "blind"])
def test_what_left_lapses_after_its_time_and_not_earlier(harness, observation):
    if observation == "blind":
        harness.observe(REJECTED)
        harness.observe(REJECTED)
    else:
        harness.poll(listed_account() if observation == "healthy" else signed_out())
    detach(harness)

    harness.now += DAY - 1
    assert lapsed(harness) is None
    harness.now += 1
    assert lapsed(harness) == "acme"
    assert harness.run(lambda tx: workspaces.load(tx, "acme")) == harness.workspace
    assert harness.run(lambda tx: workspaces.load_term(tx, "acme")) == harness.term


def test_a_workspace_of_which_nothing_is_left_has_nothing_to_end(harness):
    harness.poll()
    detach(harness)
    harness.now += DAY

    assert lapsed(harness) is None


def test_nothing_is_due_in_a_workspace_that_left(harness):
    harness.poll(signed_out())
    detach(harness)
    harness.now += HOUR
    assert harness.run(lambda tx: incidents.due(tx, harness.now, limit=10)) == []

    enter(harness)

    assert len(harness.run(lambda tx: incidents.due(tx, harness.now, limit=10))) == 1


def test_what_is_due_elsewhere_is_not_held_up_by_a_workspace_that_left(harness):
    harness.poll(signed_out("old"))
    detach(harness)
    first = harness.workspace
    harness.workspace, harness.term = enter(harness, "beta")
    harness.poll(signed_out("new"))
    harness.now += HOUR

    due = harness.run(lambda tx: incidents.due(tx, harness.now, limit=10))

    assert due == [harness.workspace.accounts["new"].incident_id]
    assert first.accounts["old"].incident_id not in due


def test_a_clock_that_went_back_brings_along_since_when_a_workspace_has_left(harness):
    harness.poll(signed_out())
    harness.run(lambda tx: clock.set_clock(tx, harness.now))
    detach(harness)

    harness.now -= 30 * DAY
    harness.run(lambda tx: clock.set_clock(tx, harness.now))
    harness.now += DAY

    assert lapsed(harness) is not None


def names(harness):
    return set(harness.run(lambda tx: tx.execute(text("SELECT name FROM workspace")).scalars()))


def test_a_workspace_that_ended_long_ago_is_forgotten(harness):
    harness.poll()
    enter(harness, "here")
    detach(harness, "here")

    harness.run(lambda tx: retention.prune(tx, harness.now))
    assert names(harness) == {"acme", "here"}
    harness.run(lambda tx: retention.prune(tx, harness.now + 1))
    assert names(harness) == {"here"}


def test_a_workspace_with_accounts_is_not_forgotten_before_they_are(harness):
    harness.poll(signed_out())
    detach(harness)

    harness.run(lambda tx: retention.prune(tx, harness.now + DAY))

    assert names(harness) == {"acme"}
