"""What time alone decides: reminders, and the end of workspaces that left."""

from dataclasses import replace

import pytest
from harness.core import (
    HOUR,
    MINUTE,
    REJECTED,
    CoreHarness,
    frozen,
    listed_account,
    signed_out,
    told,
)

from monitor.core.decide.due import Due, remind
from monitor.core.model import Resolution


def due(harness, *, failing=False, current=True, account=True, now=None):
    """Return what a due reminder makes of the open incident, and its event if there is one."""
    incident = harness.open[0]
    return reminded(
        harness,
        incident,
        harness.workspace.accounts.get(incident.account_id) if account else None,
        failing=failing,
        current=current,
        now=now,
    )


def reminded(harness, incident, account, *, failing=False, current=True, now=None):
    decision = remind(
        "acme",
        [Due(incident, account)],
        failing=failing,
        current=current,
        policy=harness.policy,
        now=now or harness.now,
        new_id=lambda: "e",
    )
    return decision.incidents[0], next(iter(decision.events), None)


def test_reminders_follow_their_steps_and_the_last_repeats():
    harness = CoreHarness(remind=(MINUTE, HOUR))
    harness.poll(signed_out())
    assert harness.open[0].next_due_at == harness.now + MINUTE

    for step in (HOUR, HOUR, HOUR):
        incident, event = due(harness)
        harness.incidents[incident.id] = incident
        assert event is not None
        assert incident.next_due_at == harness.now + step
    assert incident.reminders == 3


def test_reminders_end_at_remind_max():
    harness = CoreHarness(remind=(MINUTE,), remind_max=1)
    harness.poll(signed_out())

    incident, event = due(harness)
    assert event is not None
    assert incident.next_due_at is None
    harness.incidents[incident.id] = incident
    assert due(harness)[1] is None


def test_no_steps_are_no_reminders():
    harness = CoreHarness(remind=())
    harness.poll(signed_out())

    assert harness.open[0].next_due_at is None
    assert due(harness) == (harness.open[0], None)


def test_an_acknowledged_or_ended_incident_has_no_reminders():
    harness = CoreHarness()
    harness.poll(signed_out())
    incident = harness.open[0]

    for quiet in (
        replace(incident, acknowledged_at=harness.now),
        replace(incident, resolved_at=harness.now),
    ):
        harness.incidents[incident.id] = quiet
        ended, event = reminded(harness, quiet, None)
        assert event is None
        assert ended.next_due_at is None


@pytest.mark.parametrize("uncertainty", ["failing", "missing", "improving", "not current"])
def test_a_reminder_is_held_while_nobody_knows(uncertainty):
    harness = CoreHarness(resolve_after=2)
    harness.poll(signed_out(), listed_account("other"))
    if uncertainty == "missing":
        harness.poll(listed_account("other"))
    if uncertainty == "improving":
        harness.poll(listed_account(), listed_account("other"))

    incident, event = due(
        harness, failing=uncertainty == "failing", current=uncertainty != "not current"
    )

    assert event is None
    assert incident.next_due_at > harness.now


def test_a_blind_workspace_is_reminded_of_while_it_fails():
    harness = CoreHarness()
    harness.fail(REJECTED)
    harness.fail(REJECTED)

    assert due(harness, failing=True, account=False)[1] is not None


def test_a_workspace_that_is_unwatched_ends_everything_that_is_open():
    harness = CoreHarness()
    harness.poll(listed_account("a"), signed_out("b"), frozen("c"))
    harness.fail(REJECTED)
    harness.fail(REJECTED)

    decision = harness.unwatch()

    assert sorted(told(decision)) == [
        ("resolved", "frozen"),
        ("resolved", "reconnection_required"),
        ("resolved", "token_rejected"),
    ]
    assert {one.resolution for one in decision.incidents} == {Resolution.UNWATCHED}
    assert {one.resolved_at for one in decision.incidents} == {harness.now}
    assert {one.next_due_at for one in decision.incidents} == {None}
    assert {(one.removed_at, one.incident_id, one.session) for one in decision.accounts} == {
        (harness.now, None, None)
    }
    assert len(decision.accounts) == 3
    assert harness.open == []


def test_an_incident_that_no_account_points_to_ends_with_its_workspace_too():
    harness = CoreHarness()
    harness.poll(signed_out("a"))
    harness.workspace = replace(harness.workspace, accounts={})

    assert told(harness.unwatch()) == [("resolved", "reconnection_required")]


def test_a_workspace_that_comes_back_after_its_end_is_looked_at_as_for_the_first_time():
    harness = CoreHarness()
    harness.poll(listed_account("a"), signed_out("b"))
    harness.fail(REJECTED)
    harness.unwatch()

    decision = harness.poll(listed_account("x"), signed_out("b"))

    assert decision.baseline
    assert told(decision) == [("opened", "reconnection_required")]
    assert harness.workspace.failing is None
