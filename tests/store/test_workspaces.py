"""Workspaces: recorded, attached, renamed, detached, ended."""

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
from harness.leases import REPLICA, hold
from harness.store import DAY, StoreHarness
from sqlalchemy import text

from monitor.core.act import Act, ActKind, Way
from monitor.core.model import Workspace
from monitor.core.mutes import MuteRule
from monitor.store import acts, clock, incidents, leases, mutes, session_intents, workspaces
from monitor.store.db import LeaseLostError
from monitor.store.mutes import RecordedMute
from monitor.store.session_intents import SessionIntent


def test_what_was_recorded_is_loaded_again(harness):
    accounts = signed_out("a"), frozen("b"), listed_account("c"), listed_account("d")
    harness.poll(*accounts, ignored="d")
    harness.observe(UNREACHABLE)
    harness.poll(listed_account("x"))
    assert harness.workspace.fingerprint.ignored
    assert harness.workspace.refused.listed == 1

    loaded = harness.run(lambda tx: workspaces.load(tx, "acme"))

    assert loaded == harness.workspace


def attach(harness, name="acme"):
    return harness.run(lambda tx: hold(tx, name, now=harness.now))


def rename(harness, old="acme", new="beta"):
    return harness.run(lambda tx: workspaces.rename(tx, old, new))


def accept(harness, name="acme"):
    return harness.run(
        lambda tx: workspaces.accept(tx, name, now=harness.now, way="cli", actor="ops")
    )


def long_detached(harness):
    return harness.run(lambda tx: workspaces.long_detached(tx, harness.now - DAY))


def eventful(harness):
    """Let something of every kind be recorded, and no column of a workspace or account be empty."""
    terms, requests = {"acme": harness.term}, {"acme": 3}
    harness.run(lambda tx: leases.release(tx, REPLICA, terms, requests, harness.now))
    harness.run(lambda tx: leases.set_generation(tx, REPLICA, "of a configuration"))
    harness.attach()
    harness.poll(
        listed_account("a"), signed_out("b"), frozen("c"), listed_account("d"), listed_account("e")
    )
    harness.settle(harness.claim(), post='{"ts": "1"}')
    for _ in range(3):
        harness.poll(listed_account("a"), signed_out("b"), frozen("c"), listed_account("d"))
    harness.poll(signed_out("a"), signed_out("b", link=""), listed_account("d"), ignored="d")
    harness.poll(listed_account("x"))
    accept(harness)
    harness.observe(REJECTED)
    harness.observe(REJECTED)
    wanted = [SessionIntent("c1", "acme", "b", "0001")]
    harness.run(lambda tx: session_intents.add(tx, wanted, cooldown=HOUR, now=harness.now))
    act = Act(
        "act", harness.now, ActKind.ACK, Way.CLI, "ann", "ann@web1", "acme", "b", "why", "what"
    )
    harness.run(lambda tx: acts.write(tx, act))
    muted = RecordedMute("mute", "act", MuteRule(until="forever"), None, harness.now, "ann")
    harness.run(lambda tx: mutes.add(tx, muted))
    filled = text("UPDATE account SET changes = '1 2', rules_told_at = 1, replaced_by = 'a9'")
    harness.run(lambda tx: tx.execute(filled))
    harness.run(lambda tx: clock.set_clock(tx, REPLICA, harness.now))
    harness.detach()


def empty_columns(harness, *tables):
    """The columns that no row of a table has a value in."""

    def read(tx):
        for table in tables:
            rows = tx.execute(text(f"SELECT * FROM {table}")).mappings().all()
            yield from (key for key in rows[0] if all(row[key] is None for row in rows))

    return harness.run(lambda tx: list(read(tx)))


def test_a_workspace_is_empty_at_first_and_each_time_has_another_term(harness):
    assert harness.run(lambda tx: workspaces.load(tx, "nobody")) == Workspace("nobody")
    assert harness.workspace == Workspace("acme")
    assert (harness.term, attach(harness)) == (1, (Workspace("acme"), 2))


def test_a_newer_term_keeps_an_older_one_from_recording(harness):
    harness.poll(listed_account())
    attach(harness)

    with pytest.raises(LeaseLostError):
        harness.poll(signed_out())

    assert harness.run(lambda tx: incidents.load_open(tx, "acme")) == {}
    assert harness.deliver() is None


def test_a_run_of_failures_that_nobody_was_told_of_is_over_if_nobody_looked_for_long(harness):
    harness.poll(listed_account())
    harness.observe(UNREACHABLE)
    harness.run(lambda tx: clock.set_clock(tx, REPLICA, harness.now))

    harness.now += DAY - 1
    assert attach(harness)[0].failing == harness.workspace.failing
    harness.now += 1
    assert attach(harness)[0].failing is None


def test_a_workspace_that_left_and_comes_back_begins_anew_with_its_failures(harness):
    harness.poll(listed_account())
    harness.observe(UNREACHABLE)
    harness.detach()

    assert attach(harness)[0].failing is None


def test_attaching_keeps_the_failure_that_people_were_told_of(harness):
    harness.poll(listed_account())
    harness.observe(REJECTED)
    harness.observe(REJECTED)

    workspace, _ = attach(harness)

    assert workspace == harness.workspace
    assert workspace.failing is not None


def changed(row, words):
    for before, after in words.items():
        row = row.replace(before, after)
    return row


def test_a_rename_carries_everything_over_and_ends_the_term(harness):
    eventful(harness)
    before = harness.everything()
    term = f"'term': {harness.term}"
    assert all(before.values())
    assert empty_columns(harness, "workspace", "account", "session") == []

    assert rename(harness)

    after = harness.everything()
    renamed = {"'acme'": "'beta'"}
    ended = {term: f"'term': {harness.term + 1}"}
    assert after == {
        table: sorted(changed(row, renamed | (ended if "'acme'" in row else {})) for row in rows)
        for table, rows in before.items()
    }
    assert "'acme'" not in repr(after)
    assert not rename(harness)


@pytest.mark.case("workspace renamed")
def test_an_incident_opened_under_the_old_name_resolves_under_the_new_one_to_who_heard(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True})
    harness.poll(listed_account("a"), signed_out("b"))
    harness.deliver("slack")

    rename(harness)
    harness.attach("beta")
    quiet = harness.poll(listed_account("a"), signed_out("b"))
    resolved = harness.poll(listed_account("a"), listed_account("b"))

    assert quiet.decision.events == ()
    (event,) = resolved.decision.events
    assert (event.type, event.workspace) == ("resolved", "beta")
    assert harness.deliver("slack") == [("resolved", "b")]
    assert harness.deliver("mail") is None


def test_what_waits_or_is_being_sent_while_the_workspace_is_renamed_is_told(store):
    harness = StoreHarness(store, receivers={"slack": True, "mail": True})
    harness.poll(signed_out("b"))
    sending = harness.claim("slack")

    rename(harness)
    harness.attach("beta")
    harness.settle(sending)
    harness.poll(signed_out("b"))

    claimed = harness.claim("mail")
    (notification,) = claimed.message.notifications
    assert (notification.workspace, notification.link.reveal()) == ("beta", LINK)
    harness.settle(claimed)
    assert harness.heard() == [["mail", "slack"]]


def test_a_blind_workspace_may_be_renamed(harness):
    harness.observe(REJECTED)
    harness.observe(REJECTED)
    assert harness.deliver() == [("opened", None)]

    rename(harness)
    harness.attach("beta")
    harness.poll(listed_account())

    assert harness.deliver() == [("resolved", None)]


def test_if_both_names_have_a_past_nothing_changes(harness):
    eventful(harness)
    attach(harness, "beta")
    before = harness.everything()

    assert not rename(harness)

    assert harness.everything() == before


def test_a_name_without_a_past_gives_nothing(harness):
    before = harness.everything()

    assert not rename(harness, "nobody", "beta")

    assert harness.everything() == before
    assert harness.run(lambda tx: workspaces.load_term(tx, "beta")) is None


@pytest.mark.parametrize("new_name", ["beta", None], ids=["renamed", "detached"])
def test_what_applying_a_configuration_did_is_undone(harness, new_name):
    harness.poll(listed_account("a"), signed_out("b"))
    if new_name:
        rename(harness)
        attach(harness, new_name)
    else:
        harness.detach()

    harness.run(lambda tx: workspaces.undo_detach(tx, "acme", new_name))

    assert harness.run(lambda tx: workspaces.load(tx, "acme")) == harness.workspace
    assert harness.run(workspaces.load_attached) == ["acme"]


def test_what_is_not_in_the_configuration_is_detached_once(harness):
    attach(harness, "beta")

    assert harness.detach("beta") == ["acme"]
    harness.now += HOUR
    assert harness.detach("beta") == []

    assert harness.column("SELECT name FROM workspace WHERE detached_at IS NOT NULL") == ["acme"]
    assert harness.column("SELECT detached_at FROM workspace WHERE name = 'acme'") == [NOON]


def test_a_workspace_that_comes_back_is_as_if_nothing_had_happened(harness):
    harness.poll(listed_account("a"), signed_out("b"))
    harness.detach()
    harness.now += DAY - MINUTE

    workspace, _ = attach(harness)

    assert workspace == harness.workspace
    harness.now += DAY
    assert long_detached(harness) is None
    assert harness.detach() == ["acme"]


@pytest.mark.parametrize("observation", ["healthy", "bad", "blind"])
def test_what_was_detached_ends_after_its_time_and_not_earlier(harness, observation):
    if observation == "blind":
        harness.observe(REJECTED)
        harness.observe(REJECTED)
    else:
        harness.poll(listed_account() if observation == "healthy" else signed_out())
    harness.detach()

    harness.now += DAY - 1
    assert long_detached(harness) is None
    harness.now += 1
    assert long_detached(harness) == "acme"
    assert harness.run(lambda tx: workspaces.load(tx, "acme")) == harness.workspace
    assert harness.run(lambda tx: workspaces.load_term(tx, "acme")) == harness.term


def test_a_workspace_of_which_nothing_is_left_has_nothing_to_end(harness):
    harness.poll()
    harness.detach()
    harness.now += DAY

    assert long_detached(harness) is None


# ── lists that a person accepts ──────────────────────────────────────────────────────────────────


@pytest.mark.case("workspaces accept")
@pytest.mark.parametrize(
    ("listed", "after", "is_believed"),
    [("x", MINUTE, True), ("y", MINUTE, False), ("x", HOUR, False)],
    ids=["in time", "another list", "too late"],
)
def test_the_list_that_was_refused_last_is_believed_once_if_a_person_accepts_it(
    harness, listed, after, is_believed
):
    harness.poll(listed_account("a"), listed_account("b"), listed_account("c"))
    assert not accept(harness)
    harness.poll(listed_account("x"))
    assert accept(harness)

    harness.poll(listed_account(listed), after=after)

    assert ("x" in harness.workspace.accounts) is is_believed
    assert bool(harness.column("SELECT actor FROM acceptance")) is not is_believed
    assert harness.run(lambda tx: workspaces.load(tx, "acme")) == harness.workspace


def test_what_a_person_accepts_again_counts_from_then_on(harness):
    harness.poll(listed_account("a"), listed_account("b"), listed_account("c"))
    harness.poll(listed_account("x"))
    assert accept(harness)
    harness.poll(listed_account("y"), after=HOUR)
    assert accept(harness)

    harness.poll(listed_account("y"))

    assert set(harness.workspace.accounts) == {"y"}


def test_nothing_of_a_workspace_that_left_is_accepted(harness):
    harness.poll(listed_account("a"), listed_account("b"), listed_account("c"))
    harness.poll(listed_account("x"))
    harness.detach()

    assert not accept(harness)
    assert not accept(harness, "nobody")
