"""Accounts whose status keeps changing."""

from harness.core import HOUR, MINUTE, CoreHarness, frozen, listed_account, signed_out, told

from monitor.core.decide.accounts import is_quiet
from monitor.core.duration import Duration
from monitor.core.policy import Flapping


def flapping_harness():
    harness = CoreHarness(flapping=Flapping(changes=4, settle=Duration.parse("30m")))
    harness.poll(listed_account())
    for account in (signed_out(), listed_account(), signed_out()):
        harness.poll(account)
    return harness


def test_flapping_is_one_incident_without_a_storm():
    harness = flapping_harness()

    decision = harness.poll(listed_account())
    for account in (signed_out(), listed_account()) * 5:
        assert told(harness.poll(account)) == []

    assert told(decision) == [("changed", "flapping")]
    assert len(harness.open) == 1


def test_flapping_ends_when_active_has_settled():
    harness = flapping_harness()
    harness.poll(listed_account())

    assert told(harness.poll(listed_account())) == []
    decision = harness.poll(listed_account(), after=HOUR)

    assert told(decision) == [("resolved", "flapping")]
    assert told(harness.poll(signed_out())) == [("opened", "reconnection_required")]


def test_flapping_that_settles_in_a_bad_status_takes_its_cause():
    harness = flapping_harness()
    harness.poll(listed_account())
    harness.poll(frozen())

    decision = harness.poll(frozen(), after=HOUR)

    assert told(decision) == [("changed", "frozen")]


def test_flapping_that_is_older_than_its_window_still_ends():
    harness = CoreHarness(flapping=Flapping(changes=4, within=HOUR, settle=Duration.parse("30m")))
    harness.poll(listed_account())
    harness.poll(signed_out())
    for account in (listed_account(), signed_out(), listed_account()):
        harness.poll(account, after=15 * MINUTE)
    harness.poll(signed_out(), after=14 * MINUTE)  # the first changes leave the window soon

    early = harness.poll(signed_out(), after=29 * MINUTE)
    account = harness.workspace.accounts["a1"]
    late = harness.poll(signed_out(), after=MINUTE)

    assert told(early) == []
    assert not is_quiet(account, harness.policy, create=False)
    assert told(late) == [("changed", "reconnection_required")]


def test_flapping_found_while_bad_changes_the_cause():
    harness = CoreHarness(flapping=Flapping(changes=3, settle=Duration.parse("30m")))
    harness.poll(listed_account())
    harness.poll(signed_out())
    harness.poll(listed_account())

    assert told(harness.poll(signed_out())) == [("opened", "flapping")]


def test_a_change_between_bad_statuses_can_be_flapping():
    harness = CoreHarness(flapping=Flapping(changes=3, settle=Duration.parse("30m")))
    harness.poll(signed_out())
    harness.poll(frozen())
    harness.poll(signed_out())

    assert told(harness.poll(frozen())) == [("changed", "flapping")]
