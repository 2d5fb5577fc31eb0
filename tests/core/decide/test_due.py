"""What time alone decides: reminders, and the end of workspaces that left."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from harness.core import (
    HOUR,
    MINUTE,
    REJECTED,
    UNREACHABLE,
    CoreHarness,
    frozen,
    listed_account,
    make_routing,
    signed_out,
    told,
)

from monitor.core.decide.due import DAY, DUE_RECHECK, Due, decide_due
from monitor.core.duration import Duration
from monitor.core.model import Refresh, Resolution
from monitor.core.mutes import Mutes
from monitor.core.policy import Flapping
from monitor.core.route import Route, Step
from monitor.core.time_of_day import TimeOfDay


def due(harness, incident=None, **how):
    """Return what a due reminder makes of *incident* or the open one, and its event if any."""
    incident = incident or harness.open[0]
    account = harness.workspace.accounts.get(incident.account_id)
    decision = decide_due(
        "acme",
        [Due(incident, account)],
        **{"failing": False, "current": True, **how},
        policy=harness.policy,
        routing=harness.routing,
        mutes=Mutes(),
        now=harness.now,
        new_id=lambda: "e",
    )
    (after,) = decision.incidents or [incident]
    harness.incidents[incident.id] = after = harness.schedule(
        after, is_told=bool(decision.events), recheck_at=harness.now + DUE_RECHECK
    )
    events = ("reminded {}: reminder_due", "refreshed {}: link_rotated")
    assert told(decision) in ([], *([event.format(incident.cause)] for event in events))
    return after, bool(decision.events)


@pytest.mark.pain("reminders out of their rhythm")
def test_reminders_follow_their_steps_and_the_last_repeats():
    harness = CoreHarness(remind=(MINUTE, HOUR))
    harness.poll(signed_out())
    assert harness.open[0].next_due_at == harness.now + MINUTE

    for reminders in (1, 2, 3):
        harness.now = harness.open[0].next_due_at
        incident, is_reminded = due(harness)
        assert is_reminded
        assert (incident.reminders, incident.next_due_at) == (reminders, harness.now + HOUR)


@pytest.mark.pain("reminders without an end")
def test_reminders_end_at_remind_max():
    harness = CoreHarness(remind=(MINUTE,), remind_max=1)
    harness.poll(signed_out())

    harness.now += MINUTE
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
@pytest.mark.pain("reminders without an end")
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
    harness.now += HOUR

    incident, is_reminded = due(harness, **how)

    assert not is_reminded
    assert incident.next_due_at == harness.now + DUE_RECHECK


# ── when somebody was told, and what is due about the same time ──────────────────────────────────


@pytest.mark.case("reminders count from when someone was told")
def test_reminders_count_from_the_commit_that_first_told_anybody():
    harness = CoreHarness(remind=(HOUR,))
    harness.poll(signed_out())
    opened = replace(harness.open[0], told_at=None)

    unheard = harness.schedule(opened)
    later = harness.now + 9 * HOUR
    heard = harness.schedule(unheard, is_told=True, now=later)
    again = harness.schedule(heard, is_told=True, now=later + HOUR)

    assert (unheard.told_at, unheard.next_due_at) == (None, harness.now + HOUR)
    assert (heard.told_at, heard.next_due_at) == (later, later + HOUR)
    assert again == heard


def decide_about(harness, *incidents, now):
    """Return what is decided about *incidents*, the accounts of which are as recorded."""
    items = [Due(it, harness.workspace.accounts.get(it.account_id)) for it in incidents]
    how = {"failing": False, "current": True, "mutes": Mutes()}
    how |= {"policy": harness.policy, "routing": harness.routing}
    return decide_due("acme", items, **how, now=now, new_id=lambda: "e")


@pytest.mark.case("reminders due together")
@pytest.mark.parametrize(
    ("step", "early", "is_reminded"),
    [
        (4 * HOUR, 30 * MINUTE, True),
        (4 * HOUR, 30 * MINUTE + 1, False),
        (HOUR, 15 * MINUTE, True),
        (HOUR, 15 * MINUTE + 1, False),
    ],
)
def test_reminders_that_are_due_soon_come_with_the_first(step, early, is_reminded):
    harness = CoreHarness(remind=(step,))
    harness.poll(signed_out("a"), signed_out("b"))
    first, second = harness.open
    second = replace(second, remind_at=first.remind_at + early)

    decision = decide_about(harness, first, second, now=first.remind_at)

    assert [event.account_id for event in decision.events] == ["a", "b"][: 1 + is_reminded]
    assert decision.together
    before = decide_about(harness, first, second, now=first.remind_at - 1)
    assert before.events == (), "nothing comes early by itself"


def acknowledged(harness, **how):
    (incident,) = harness.open
    return replace(incident, acknowledged_by="ops", acknowledged_at=harness.now, **how)


@pytest.mark.case("acknowledged")
@pytest.mark.parametrize(("remind", "events"), [((HOUR,), ["reminded"]), ((), [])])
def test_an_acknowledgement_whose_time_is_over_ends_with_one_reminder(remind, events):
    harness = CoreHarness(remind=remind)
    harness.poll(signed_out())
    incident = acknowledged(harness, acknowledged_until=harness.now + MINUTE)
    planned = harness.schedule(incident)
    assert planned.next_due_at == harness.now + MINUTE

    held = decide_about(harness, planned, now=harness.now + MINUTE - 1)
    over = decide_about(harness, planned, now=harness.now + MINUTE)

    assert held.events == ()
    assert [event.type for event in over.events] == events
    (after,) = over.incidents
    assert after == replace(after.given_back(), reminders=len(events))


@pytest.mark.case("acknowledged")
def test_another_cause_ends_an_acknowledgement_but_not_another_kind_of_blindness():
    blind, signed = blind_harness(), CoreHarness()
    signed.poll(signed_out())
    for harness in (blind, signed):
        (incident,) = harness.open
        harness.incidents[incident.id] = acknowledged(harness)

    for _ in range(2):
        blind.fail(UNREACHABLE)
    signed.poll(frozen())

    assert (blind.open[0].cause, blind.open[0].acknowledged_by) == ("unreachable", "ops")
    assert signed.open[0].cause == "frozen"
    assert signed.open[0] == signed.open[0].given_back()


# ── steps, and times of day ──────────────────────────────────────────────────────────────────────


def escalating(*steps, **policy):
    """A sign-out that was told, and goes on to others after these *steps*."""
    harness = CoreHarness(**{"remind": (), **policy})
    escalate = tuple(Step(after=Duration(after), to=("lead",)) for after in steps)
    route = Route(to=("ops",), escalate=escalate)
    harness.routing = make_routing({"ops": True}, route)
    harness.poll(signed_out())
    return harness


def is_escalated(harness, *, now, incident=None):
    """Return what is decided now of the open incident, and the steps that are done."""
    decision = decide_about(harness, incident or harness.open[0], now=now)
    (after,) = decision.incidents
    harness.incidents[after.id] = harness.schedule(after, now=now, is_told=bool(decision.events))
    return [f"{event.type} {event.detail}".strip() for event in decision.events]


@pytest.mark.case("escalation step due")
def test_each_step_is_done_once_so_long_after_somebody_was_told():
    harness = escalating(HOUR, 2 * HOUR)
    start = harness.open[0].told_at
    assert harness.open[0].next_due_at == start + HOUR

    assert is_escalated(harness, now=start + HOUR - 1) == []
    assert is_escalated(harness, now=start + HOUR) == ["escalated 1h"]
    assert harness.open[0].next_due_at == start + 2 * HOUR
    assert is_escalated(harness, now=start + 2 * HOUR - 1) == []
    assert is_escalated(harness, now=start + 2 * HOUR) == ["escalated 2h"]
    assert harness.open[0].next_due_at is None
    assert is_escalated(harness, now=start + 9 * HOUR) == []


@pytest.mark.case("escalation step due")
def test_no_reload_repeats_a_step_or_does_one_before_it():
    harness = escalating(2 * HOUR)
    start = harness.open[0].told_at
    is_escalated(harness, now=start + 2 * HOUR)

    harness.routing = escalating(HOUR, 2 * HOUR, 3 * HOUR).routing

    assert is_escalated(harness, now=start + 2 * HOUR) == []
    assert is_escalated(harness, now=start + 3 * HOUR) == ["escalated 3h"]


@pytest.mark.case("escalation step due", "acknowledged")
def test_no_step_is_done_while_somebody_has_it_and_all_of_them_once_its_time_is_over():
    harness = escalating(HOUR, 2 * HOUR, remind=(9 * HOUR,))
    start = harness.open[0].told_at
    incident = harness.schedule(acknowledged(harness, acknowledged_until=start + 3 * HOUR))
    assert incident.next_due_at == start + 3 * HOUR

    assert is_escalated(harness, now=start + 3 * HOUR - 1, incident=incident) == []
    events = is_escalated(harness, now=start + 3 * HOUR, incident=incident)

    assert events == ["escalated 1h", "escalated 2h", "reminded"]


@pytest.mark.case("escalation step due")
def test_what_nobody_was_told_of_goes_no_further():
    harness = escalating(HOUR)
    incident = harness.schedule(replace(harness.open[0], told_at=None))

    assert incident.next_due_at is None
    assert is_escalated(harness, now=harness.now + 9 * HOUR, incident=incident) == []


@pytest.mark.parametrize(
    ("steps", "times"),
    [
        ((DAY,), ["2026-11-24 09:00", "2026-11-25 09:00", "2026-11-26 09:00"]),
        ((2 * DAY,), ["2026-11-25 09:00", "2026-11-27 09:00", "2026-11-29 09:00"]),
        ((HOUR, DAY), ["2026-11-23 14:01", "2026-11-24 09:00", "2026-11-25 09:00"]),
    ],
)
def test_steps_of_days_are_due_at_the_time_of_day(steps, times):
    harness = CoreHarness(remind=tuple(map(Duration, steps)), remind_at=TimeOfDay("09:00"))
    harness.routing = replace(harness.routing, timezone="Europe/Berlin")
    harness.poll(signed_out())

    due_at = []
    for _ in times:
        harness.now = harness.open[0].next_due_at
        due_at.append(datetime.fromtimestamp(harness.now / 1e6, ZoneInfo("Europe/Berlin")))
        assert due(harness)[1]

    assert [f"{at:%Y-%m-%d %H:%M}" for at in due_at] == times


def blind_harness(*accounts):
    harness = CoreHarness()
    harness.poll(*accounts)
    harness.fail(REJECTED)
    harness.fail(REJECTED)
    return harness


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
        assert incident.resolved_at == harness.now
        assert harness.incidents[incident.id].next_due_at is None
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


# ── links that rotated ───────────────────────────────────────────────────────────────────────────


def rotated(**policy):
    """An account whose link rotated so long ago that it is due."""
    harness = CoreHarness(**policy)
    for link in ("https://x/1", "https://x/2"):
        harness.poll(signed_out(link=link))
    harness.now = harness.open[0].next_due_at
    return harness


@pytest.mark.case("link rotates after it was told")
def test_a_link_that_rotated_is_told_and_the_reminder_comes_when_it_would_have():
    harness = rotated()
    remind_at = harness.open[0].remind_at

    incident, is_told = due(harness)
    assert is_told
    assert (incident.refresh, incident.reminders) == (Refresh.TOLD, 0)
    assert (incident.next_due_at, incident.remind_at) == (remind_at, remind_at)
    harness.now = remind_at
    incident, is_told = due(harness)
    assert is_told
    assert (incident.refresh, incident.reminders) == (None, 1)


def test_a_reminder_that_is_due_as_well_tells_the_link_too():
    harness = rotated()
    harness.now = harness.open[0].remind_at

    incident, _ = due(harness)
    assert (incident.reminders, incident.refresh, incident.refresh_at) == (1, None, None)
    assert incident.next_due_at > harness.now


def test_a_link_is_told_where_nobody_is_reminded():
    harness = rotated(remind=())

    incident, is_told = due(harness)
    assert is_told
    assert incident.next_due_at is None
    assert due(harness) == (incident, False)


def test_reminders_that_came_with_another_configuration_go_on_after_the_link():
    harness = rotated(remind=())
    harness.policy = replace(harness.policy, remind=(HOUR,))

    assert due(harness)[0].next_due_at == harness.now + HOUR


def test_a_link_is_told_to_who_took_the_problem_over_and_no_reminder_follows():
    harness = rotated()
    acknowledged = replace(harness.open[0], acknowledged_at=harness.now)

    incident, is_told = due(harness, acknowledged)
    assert is_told
    assert incident.next_due_at is None
    assert due(harness, incident) == (incident, False)


def test_a_link_is_held_while_nobody_knows_whether_it_is_needed():
    harness = rotated()

    incident, is_told = due(harness, current=False)
    assert not is_told
    assert incident.refresh is Refresh.DUE
    harness.now = incident.next_due_at
    assert due(harness)[1]


@pytest.mark.parametrize("how", ["acknowledged", "no reminders any more"])
def test_a_link_is_told_if_the_reminder_that_was_to_tell_it_does_not_come(how):
    harness = rotated()
    harness.now = harness.open[0].remind_at
    if how == "acknowledged":
        incident = replace(harness.open[0], acknowledged_at=harness.now)
    else:
        incident, harness.policy = harness.open[0], replace(harness.policy, remind=())

    incident, is_told = due(harness, incident)

    assert is_told
    assert (incident.refresh, incident.reminders) == (Refresh.TOLD, 0)
    assert not due(harness, incident)[1]


def test_a_link_of_a_flapping_account_is_not_told_while_it_works():
    harness = CoreHarness(flapping=Flapping(changes=2))
    for number in (1, 2, 3):
        harness.poll(signed_out(link=f"https://x/{number}"))
        harness.poll(listed_account())
    assert harness.open[0].refresh is Refresh.DUE
    harness.now = harness.open[0].next_due_at

    assert not due(harness)[1]

    harness.poll(signed_out(link="https://x/4"))
    harness.now = harness.open[0].next_due_at
    incident, is_told = due(harness)
    assert is_told
    assert incident.refresh is Refresh.TOLD
