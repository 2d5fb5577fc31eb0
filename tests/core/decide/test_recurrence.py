"""What happens again and again."""

from dataclasses import replace

import pytest
from harness.core import CoreHarness, frozen, listed_account, signed_out
from harness.notifications import account

from monitor.core.decide.recurrence import Opening, former_ids, mark_recurring, opened, subjects
from monitor.core.duration import Duration
from monitor.core.model import Cause, Scope
from monitor.core.policy import Recurring

THIRD = Recurring(times=3, within=Duration.parse("7d"))


def opening(subject="a1", cause=Cause.RECONNECTION_REQUIRED, scope=Scope.ACCOUNT):
    return Opening("acme", scope, subject, cause)


def sign_out(*earlier, former=None):
    """How often the account a1 was signed out by now, as is said of it; None: nothing is."""
    decision = CoreHarness().poll(signed_out("a1"))
    marked = mark_recurring(decision, former or {}, earlier, THIRD)
    (incident,), (event,) = marked.incidents, marked.events
    assert event.times == incident.times
    assert incident.times_within == (THIRD.within if incident.times else None)
    return incident.times


@pytest.mark.case("third incident of the same cause in 7 days")
def test_the_present_one_counts():
    assert sign_out() is None
    assert sign_out(opening()) is None
    assert sign_out(opening(), opening()) == 3
    assert sign_out(*[opening()] * 5) == 6


@pytest.mark.case("third incident of the same cause in 7 days")
def test_only_the_same_cause_about_the_same_counts():
    others = (
        opening(cause=Cause.FROZEN),
        opening("a2"),
        opening(scope=Scope.WORKSPACE),
        opening()._replace(workspace="other"),
    )

    assert sign_out(opening(), *others) is None


@pytest.mark.case("third incident of the same cause in 7 days")
def test_what_happened_to_an_account_counts_for_the_one_that_replaced_it():
    former = former_ids([account(id_="a0", replaced_by="a1"), account(id_="x", replaced_by="a0")])

    assert sign_out(opening("a0"), opening("x"), former=former) == 3
    assert sign_out(opening("a0"), opening("x")) is None


def test_ids_that_replace_each_other_are_counted_once():
    former = former_ids([account(id_="a0", replaced_by="a1"), account(id_="a1", replaced_by="a0")])
    (incident,) = CoreHarness().poll(signed_out("a1")).incidents

    assert subjects(incident, former) == ["a1", "a0"]


def test_a_workspace_has_no_former_ids():
    (incident,) = CoreHarness().poll(signed_out("a1")).incidents
    of_workspace = replace(incident, scope=Scope.WORKSPACE)

    assert subjects(of_workspace, {"a1": ["a0"]}) == ["a1"]


def test_only_what_opens_is_counted():
    harness = CoreHarness()
    harness.poll(signed_out("a1"))

    changed = harness.poll(frozen("a1"), signed_out("a2"))

    assert [incident.subject for incident in opened(changed)] == ["a2"]
    marked = mark_recurring(changed, {}, [opening("a2")] * 2, THIRD)
    assert {it.account_id: it.times for it in marked.events} == {"a1": None, "a2": 3}
    assert {it.subject: it.times for it in marked.incidents} == {"a1": None, "a2": 3}


def test_what_comes_later_says_so_too():
    harness = CoreHarness()
    harness.take(mark_recurring(harness.poll(signed_out("a1")), {}, [opening()] * 2, THIRD))

    changed, ended = harness.poll(frozen("a1")), harness.poll(listed_account("a1"))

    assert [event.times for event in (*changed.events, *ended.events)] == [3, 3]
