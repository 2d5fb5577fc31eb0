"""What time alone decides: reminders, and the end of workspaces that left."""

from dataclasses import replace

import pytest
from harness.core import (
    HOUR,
    MINUTE,
    OPENED,
    REJECTED,
    CoreHarness,
    frozen,
    listed_account,
    signed_out,
    told,
)

from monitor.core.decide.due import Due, remind
from monitor.core.model import Resolution


def due(harness, incident=None, **how):
    """Return what a due reminder makes of *incident* or the open one, and its event if any."""
    incident = incident or harness.open[0]
    account = harness.workspace.accounts.get(incident.account_id)
    decision = remind(
        "acme",
        [Due(incident, account)],
        **{"failing": False, "current": True, **how},
        policy=harness.policy,
        now=harness.now,
        new_id=lambda: "e",
    )
    (harness.incidents[incident.id],) = decision.incidents
    assert told(decision) in ([], [f"reminded {incident.cause}: reminder_due"])
    return decision.incidents[0], bool(decision.events)


def test_reminders_follow_their_steps_and_the_last_repeats():
    harness = CoreHarness(remind=(MINUTE, HOUR))
    harness.poll(signed_out())
    assert harness.open[0].next_due_at == harness.now + MINUTE

    for reminders in (1, 2, 3):
        incident, is_reminded = due(harness)
        assert is_reminded
        assert (incident.reminders, incident.next_due_at) == (reminders, harness.now + HOUR)


def test_reminders_end_at_remind_max():
    harness = CoreHarness(remind=(MINUTE,), remind_max=1)
    harness.poll(signed_out())

    incident, is_reminded = due(harness)
    assert is_reminded
    assert incident.next_due_at is None
    assert due(harness) == (incident, False)


def test_no_steps_are_no_reminders():
    harness = CoreHarness(remind=())
    harness.poll(signed_out())

    assert harness.open[0].next_due_at is None
    assert due(harness) == (harness.open[0], False)


@pytest.mark.parametrize("ending", ["acknowledged_at", "resolved_at"])
def test_an_acknowledged_or_ended_incident_has_no_reminders(ending):
    harness = CoreHarness()
    harness.poll(signed_out())

    incident, is_reminded = due(harness, replace(harness.open[0], **{ending: harness.now}))

    assert not is_reminded
    assert incident.next_due_at is None


@pytest.mark.case("account disappears while open", "reminder due while the workspace is blind")
@pytest.mark.parametrize(
    ("listed", "how"),
    [
        ([signed_out()], {"failing": True}),
        ([signed_out()], {"current": False}),
        ([], {}),
        ([listed_account()], {}),
    ],
    ids=["failing", "not current", "missing", "improving"],
)
def test_a_reminder_is_held_while_nobody_knows(listed, how):
    harness = CoreHarness(resolve_after=2)
    harness.poll(signed_out(), listed_account("other"))
    harness.poll(*listed, listed_account("other"))

    incident, is_reminded = due(harness, **how)

    assert not is_reminded
    assert incident.next_due_at > harness.now


def blind_harness(*accounts):
    harness = CoreHarness()
    harness.poll(*accounts)
    harness.fail(REJECTED)
    harness.fail(REJECTED)
    return harness


def test_a_blind_workspace_is_reminded_of_while_it_fails():
    assert due(blind_harness(), failing=True)[1]


def test_a_workspace_that_is_unwatched_ends_everything_that_is_open():
    harness = blind_harness(listed_account("a"), signed_out("b"), frozen("c"))

    decision = harness.unwatch()

    assert sorted(told(decision)) == [
        "resolved frozen: workspace_left",
        "resolved reconnection_required: workspace_left",
        "resolved token_rejected: workspace_left",
    ]
    for incident in decision.incidents:
        assert incident.resolution is Resolution.UNWATCHED
        assert (incident.resolved_at, incident.next_due_at) == (harness.now, None)
    for account in decision.accounts:
        assert account.removed_at == harness.now
    assert len(decision.accounts) == 3
    assert harness.open == []
    assert harness.sessions == {}


def test_an_incident_that_no_account_points_to_ends_with_its_workspace_too():
    harness = CoreHarness()
    harness.poll(signed_out("a"))
    harness.workspace = replace(harness.workspace, accounts={})

    assert told(harness.unwatch()) == ["resolved reconnection_required: workspace_left"]


def test_a_workspace_that_comes_back_after_its_end_is_looked_at_as_for_the_first_time():
    harness = blind_harness(listed_account("a"), signed_out("b"))
    harness.unwatch()

    decision = harness.poll(listed_account("x"), signed_out("b"))

    assert decision.baseline
    assert told(decision) == [OPENED]
    assert harness.workspace.failing is None
