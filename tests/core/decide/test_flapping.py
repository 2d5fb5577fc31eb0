"""Accounts whose status keeps changing."""

from dataclasses import replace

import pytest
from harness.core import (
    HOUR,
    MINUTE,
    OPENED,
    RECOVERED,
    CoreHarness,
    frozen,
    listed_account,
    signed_out,
    told,
)

from monitor.core import wording
from monitor.core.decide.accounts import is_quiet
from monitor.core.model import Status
from monitor.core.policy import Flapping

CHANGED = "changed flapping: keeps_changing"


def flapping_harness(*accounts, changes=4):
    harness = CoreHarness(flapping=Flapping(changes=changes, settle=30 * MINUTE))
    return harness, told(*harness.polls(*accounts))


def flapping_account():
    return flapping_harness(listed_account(), signed_out(), listed_account(), signed_out())[0]


@pytest.mark.pain("flapping told each time")
def test_flapping_is_one_incident_without_a_storm():
    harness = flapping_account()

    assert told(harness.poll(listed_account())) == [CHANGED]
    assert told(*harness.polls(*(signed_out(), listed_account()) * 5)) == []
    (incident,) = harness.open
    assert incident.status is Status.ACTIVE


def test_flapping_ends_when_active_has_settled():
    harness = flapping_account()
    harness.poll(listed_account())

    assert told(harness.poll(listed_account())) == []
    assert told(harness.poll(listed_account(), after=HOUR)) == ["resolved flapping: steady_again"]
    assert told(harness.poll(signed_out())) == [OPENED]


@pytest.mark.case("flapping account stays bad")
def test_flapping_that_settles_in_a_bad_status_takes_its_cause():
    harness = flapping_account()
    harness.polls(listed_account(), frozen())

    assert told(harness.poll(frozen(), after=HOUR)) == ["changed frozen: steady_again"]


def test_flapping_that_is_older_than_its_window_still_ends():
    harness = CoreHarness(flapping=Flapping(changes=4, within=HOUR, settle=30 * MINUTE))
    harness.polls(listed_account(), signed_out())
    for account in (listed_account(), signed_out(), listed_account()):
        harness.poll(account, after=15 * MINUTE)
    harness.poll(signed_out(), after=14 * MINUTE)  # the first changes leave the window soon

    early = harness.poll(signed_out(), after=29 * MINUTE)
    account = harness.workspace.accounts["a1"]
    late = harness.poll(signed_out(), after=MINUTE)

    assert told(early) == []
    assert not is_quiet(account, harness.policy)
    assert told(late) == ["changed reconnection_required: steady_again"]


def test_flapping_found_while_bad_changes_the_cause():
    accounts = (listed_account(), signed_out(), listed_account(), signed_out())

    _, events = flapping_harness(*accounts, changes=3)

    assert events == [OPENED, RECOVERED, "opened flapping: keeps_changing"]


def test_a_change_between_bad_statuses_can_be_flapping():
    _, events = flapping_harness(signed_out(), frozen(), signed_out(), frozen(), changes=3)

    assert events[-1] == CHANGED


def test_changes_older_than_the_window_do_not_count_while_an_incident_is_open():
    harness, _ = flapping_harness(listed_account(), signed_out(), changes=3)
    harness.poll(frozen(), after=25 * HOUR)

    assert told(harness.poll(signed_out())) == ["changed reconnection_required: status_changed"]


def test_changes_older_than_the_window_do_not_count_without_an_incident():
    harness, _ = flapping_harness(
        listed_account(), signed_out(), listed_account(), signed_out(), listed_account(), changes=9
    )
    assert harness.open == []
    harness.policy = replace(harness.policy, flapping=replace(harness.policy.flapping, changes=3))

    assert told(harness.poll(signed_out(), after=25 * HOUR)) == [OPENED]


@pytest.mark.parametrize("open_after", [2, 3])
def test_who_is_never_out_for_long_enough_is_noticed_by_the_changes_alone(open_after):
    harness = CoreHarness(open_after=open_after)

    events = told(*harness.polls(*[listed_account(), signed_out()] * 24))

    assert events == ["opened flapping: keeps_changing"]


def test_who_settles_after_flapping_is_given_open_after_polls_again():
    harness = CoreHarness(open_after=2)
    harness.polls(*[listed_account(), signed_out()] * 6, listed_account())

    ended = harness.poll(listed_account(), after=HOUR)

    assert told(ended) == ["resolved flapping: steady_again"]
    assert told(harness.poll(signed_out())) == []


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (signed_out(), "signed out and back in again and again"),
        (frozen(), "frozen and active again and again"),
        (listed_account(status=Status.UNKNOWN), "in an unknown state and active again and again"),
    ],
)
def test_what_opens_as_flapping_is_called_the_same_to_its_end(bad, words):
    harness, events = flapping_harness(listed_account(), bad, listed_account(), bad, changes=3)
    (opened,) = harness.open
    (active,) = harness.poll(listed_account()).incidents
    (ended,) = harness.poll(listed_account(), after=HOUR).incidents

    assert events[-1] == "opened flapping: keeps_changing"
    assert wording.parts(opened, harness.now) == f"{words} for 1 h 1 min"
    assert wording.parts(active, harness.now) == f"{words} for 1 h 1 min"
    assert wording.parts(ended, harness.now) == f"{words} for 1 h 1 min"


def test_flapping_that_settles_is_told_with_what_it_was_and_since_when_it_is_steady():
    harness, _ = flapping_harness(listed_account(), frozen(), listed_account(), frozen(), changes=3)
    harness.poll(signed_out())

    (settled,) = harness.poll(signed_out(), after=HOUR).incidents

    assert wording.parts(settled, harness.now) == (
        "frozen and active again and again for 1 min, then signed out for 1 h"
    )
