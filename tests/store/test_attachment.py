"""Which workspaces belong to the configuration: entering, renaming, leaving, coming back."""

import pytest
from desk import Desk
from factories import (
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
from sqlalchemy import inspect, text

from monitor.core.duration import Duration
from monitor.core.model import Workspace
from monitor.store import attachment, session_intents, state, upkeep
from monitor.store.db import LeaseLostError
from monitor.store.session_intents import SessionIntent

DAY = Duration.parse("24h")


def enter(desk, name="acme"):
    return desk.run(lambda tx: attachment.attach(tx, name))


def rename(desk, old="acme", new="beta"):
    return desk.run(lambda tx: attachment.rename(tx, old, new))


def detach(desk, *known):
    return desk.run(lambda tx: attachment.detach(tx, known, desk.now))


def lapsed(desk):
    return desk.run(lambda tx: attachment.long_detached(tx, desk.now - DAY))


def everything(desk):
    """Every row of every table that says something of a workspace or of who heard of what."""

    def read(tx):
        tables = [one for one in inspect(tx).get_table_names() if one != "migration"]
        return {
            table: sorted(map(repr, tx.execute(text(f"SELECT * FROM {table}")).mappings().all()))
            for table in tables
        }

    return desk.run(read)


def eventful(desk):
    """Let something of every kind be recorded, and no column of a workspace or account be empty."""
    desk.poll(
        listed_account("a"), signed_out("b"), frozen("c"), listed_account("d"), listed_account("e")
    )
    desk.deliver()
    for _ in range(3):
        desk.poll(listed_account("a"), signed_out("b"), frozen("c"), listed_account("d"))
    desk.poll(signed_out("a"), signed_out("b"), listed_account("d"))
    desk.observe(REJECTED)
    desk.observe(REJECTED)
    wanted = [SessionIntent("c1", "acme", "b", "0001")]
    desk.run(lambda tx: session_intents.add(tx, wanted, cooldown=HOUR, now=desk.now))
    desk.run(
        lambda tx: tx.execute(
            text("UPDATE account SET bad_polls = 1, good_polls = 2, changes = '1 2' WHERE id = 'c'")
        )
    )
    desk.run(lambda tx: upkeep.set_clock(tx, desk.now))
    detach(desk)


def empty_columns(desk, *tables):
    """The columns that no row of a table has a value in."""

    def read(tx):
        for table in tables:
            rows = tx.execute(text(f"SELECT * FROM {table}")).mappings().all()
            yield from (key for key in rows[0] if all(row[key] is None for row in rows))

    return desk.run(lambda tx: list(read(tx)))


def test_the_first_entry_is_an_empty_workspace_and_each_is_another_claim(store):
    desk = Desk(store)

    workspace, term = enter(desk)

    assert workspace == Workspace("acme")
    assert (desk.term, term) == (1, 2)
    with pytest.raises(LeaseLostError):
        desk.poll(listed_account())


def test_an_entry_forgets_a_run_of_failures_that_nobody_was_told_of(desk):
    desk.poll(listed_account())
    desk.observe(UNREACHABLE)

    assert enter(desk)[0].failing is None


def test_an_entry_keeps_the_failure_that_people_were_told_of(desk):
    desk.poll(listed_account())
    desk.observe(REJECTED)
    desk.observe(REJECTED)

    workspace, _ = enter(desk)

    assert workspace == desk.workspace
    assert workspace.failing is not None


# ── renamed ──────────────────────────────────────────────────────────────────────────────────────


def test_a_rename_carries_everything_over_and_changes_nothing_else(desk):
    eventful(desk)
    before = everything(desk)
    assert all(before.values())
    assert empty_columns(desk, "workspace", "account", "session") == []

    assert rename(desk)

    after = everything(desk)
    assert after == {
        table: sorted(row.replace("'acme'", "'beta'") for row in rows)
        for table, rows in before.items()
    }
    assert "'acme'" not in repr(after)


def test_a_renamed_workspace_is_the_same_under_its_new_name(desk):
    desk.poll(listed_account("a"), signed_out("b"))
    before = desk.run(lambda tx: state.load(tx, "acme"))

    rename(desk)
    workspace, term = enter(desk, "beta")

    assert (workspace.name, term) == ("beta", desk.term + 1)
    assert workspace.baseline_at == before.baseline_at
    assert workspace.accounts["b"].session.link.reveal() == LINK
    assert workspace.accounts["b"].incident_id == before.accounts["b"].incident_id
    assert desk.run(lambda tx: state.load(tx, "acme")) == Workspace("acme")


def test_an_incident_opened_under_the_old_name_resolves_under_the_new_one_to_who_heard(store):
    desk = Desk(store, receivers={"slack": True, "mail": True})
    desk.poll(listed_account("a"), signed_out("b"))
    desk.deliver("slack")

    rename(desk)
    desk.workspace, desk.term = enter(desk, "beta")
    quiet = desk.poll(listed_account("a"), signed_out("b"))
    resolved = desk.poll(listed_account("a"), listed_account("b"))

    assert quiet.decision.events == ()
    assert [(one.type, one.workspace) for one in resolved.decision.events] == [("resolved", "beta")]
    assert desk.deliver("slack") == [("resolved", "b")]
    assert desk.deliver("mail") is None


def test_what_waits_or_is_leaving_while_the_workspace_is_renamed_is_told(store):
    desk = Desk(store, receivers={"slack": True, "mail": True})
    desk.poll(signed_out("b"))
    sending = desk.claim("slack")

    rename(desk)
    desk.workspace, desk.term = enter(desk, "beta")
    desk.settle(sending)

    claimed = desk.claim("mail")
    assert [one.workspace for one in claimed.message.notifications] == ["beta"]
    assert claimed.message.notifications[0].link.reveal() == LINK
    desk.settle(claimed)
    assert list(desk.heard().values()) == [["mail", "slack"]]


def test_a_blind_workspace_may_be_renamed(desk):
    desk.observe(REJECTED)
    desk.observe(REJECTED)
    desk.deliver()

    rename(desk)
    desk.workspace, desk.term = enter(desk, "beta")
    desk.poll(listed_account())

    assert desk.deliver() == [("resolved", None)]


def test_if_both_names_have_a_past_nothing_changes(desk):
    eventful(desk)
    enter(desk, "beta")
    before = everything(desk)

    assert not rename(desk)

    assert everything(desk) == before


def test_a_name_without_a_past_gives_nothing(desk):
    before = everything(desk)

    assert not rename(desk, "nobody", "beta")

    assert everything(desk) == before
    assert not desk.run(lambda tx: attachment.is_recorded(tx, "beta"))


def test_a_rename_is_done_once(desk):
    desk.poll(signed_out())

    assert rename(desk)
    assert not rename(desk)


# ── detached ─────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_in_the_configuration_is_detached_once(desk):
    enter(desk, "beta")

    assert detach(desk, "beta") == ["acme"]
    desk.now += HOUR
    assert detach(desk, "beta") == []

    assert desk.run(
        lambda tx: tx.execute(text("SELECT detached_at FROM workspace ORDER BY name")).all()
    ) == [
        (NOON,),
        (None,),
    ]


def test_a_workspace_that_comes_back_is_as_if_nothing_had_happened(desk):
    desk.poll(listed_account("a"), signed_out("b"))
    detach(desk)
    desk.now += DAY - MINUTE

    workspace, _ = enter(desk)

    assert workspace == desk.workspace
    desk.now += DAY
    assert lapsed(desk) is None
    assert detach(desk) == ["acme"]


@pytest.mark.parametrize("observation", ["healthy", "bad", "blind"])
def test_what_left_lapses_after_its_time_and_not_earlier(desk, observation):
    if observation == "blind":
        desk.observe(REJECTED)
        desk.observe(REJECTED)
    else:
        desk.poll(listed_account() if observation == "healthy" else signed_out())
    detach(desk)

    desk.now += DAY - 1
    assert lapsed(desk) is None
    desk.now += 1
    assert lapsed(desk) == "acme"
    assert desk.run(lambda tx: attachment.load(tx, "acme")) == (desk.workspace, desk.term)


def test_a_workspace_of_which_nothing_is_left_has_nothing_to_end(desk):
    desk.poll()
    detach(desk)
    desk.now += DAY

    assert lapsed(desk) is None


def test_nothing_is_due_in_a_workspace_that_left(desk):
    desk.poll(signed_out())
    detach(desk)
    desk.now += HOUR
    assert desk.run(lambda tx: state.due_incidents(tx, desk.now, limit=10)) == []

    enter(desk)

    assert len(desk.run(lambda tx: state.due_incidents(tx, desk.now, limit=10))) == 1


def test_what_is_due_elsewhere_is_not_held_up_by_a_workspace_that_left(desk):
    desk.poll(signed_out("old"))
    detach(desk)
    first = desk.workspace
    desk.workspace, desk.term = enter(desk, "beta")
    desk.poll(signed_out("new"))
    desk.now += HOUR

    due = desk.run(lambda tx: state.due_incidents(tx, desk.now, limit=10))

    assert due == [desk.workspace.accounts["new"].incident_id]
    assert first.accounts["old"].incident_id not in due


def test_a_clock_that_went_back_brings_along_since_when_a_workspace_has_left(desk):
    desk.poll(signed_out())
    desk.run(lambda tx: upkeep.set_clock(tx, desk.now))
    detach(desk)

    desk.now -= 30 * DAY
    desk.run(lambda tx: upkeep.set_clock(tx, desk.now))
    desk.now += DAY

    assert lapsed(desk) is not None


def names(desk):
    return set(desk.run(lambda tx: tx.execute(text("SELECT name FROM workspace")).scalars()))


def test_a_workspace_that_ended_long_ago_is_forgotten(desk):
    desk.poll()
    enter(desk, "here")
    detach(desk, "here")

    desk.run(lambda tx: upkeep.prune(tx, desk.now))
    assert names(desk) == {"acme", "here"}
    desk.run(lambda tx: upkeep.prune(tx, desk.now + 1))
    assert names(desk) == {"here"}


def test_a_workspace_with_accounts_is_not_forgotten_before_they_are(desk):
    desk.poll(signed_out())
    detach(desk)

    desk.run(lambda tx: upkeep.prune(tx, desk.now + DAY))

    assert names(desk) == {"acme"}
