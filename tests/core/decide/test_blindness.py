"""A workspace that cannot be read."""

from harness.core import (
    MINUTE,
    OPENED,
    REJECTED,
    UNREACHABLE,
    CoreHarness,
    listed_account,
    signed_out,
    told,
)

from monitor.core.model import READING, Cause, Failure, Scope

RATE_LIMITED = Failure(Cause.RATE_LIMITED, "too many requests")


def test_a_workspace_is_blind_after_blind_after():
    harness = CoreHarness(blind_after=5 * MINUTE)

    assert told(*(harness.fail() for _ in range(5))) == []
    opened = harness.fail()

    assert told(opened) == ["opened unreachable: unreadable_too_long"]
    assert opened.incidents[0].scope is Scope.WORKSPACE
    assert told(harness.fail()) == []


def test_blindness_ends_with_the_first_good_poll_and_accounts_are_told_in_the_same_commit():
    harness = CoreHarness()
    harness.poll(listed_account())

    assert told(harness.fail(REJECTED)) == []
    assert told(harness.fail(REJECTED)) == ["opened token_rejected: token_rejected"]
    assert told(harness.poll(signed_out())) == ["resolved token_rejected: read_again", OPENED]
    assert harness.workspace.failing is None


def test_the_cause_of_blindness_changes_once_it_lasts_two_polls():
    harness = CoreHarness()
    harness.fail(REJECTED)
    harness.fail(REJECTED)

    assert told(harness.fail(UNREACHABLE), harness.fail(RATE_LIMITED)) == []
    assert told(harness.fail(RATE_LIMITED)) == ["changed rate_limited: failure_changed"]


def test_an_account_that_is_called_like_the_subject_of_blindness_is_another_subject():
    harness = CoreHarness()
    harness.poll(signed_out("reading"))

    harness.fail(REJECTED)
    harness.fail(REJECTED)

    assert [incident.about for incident in harness.open] == [("account", "reading"), READING]
    assert told(harness.poll(signed_out("reading"))) == ["resolved token_rejected: read_again"]
