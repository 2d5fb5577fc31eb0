"""A workspace that cannot be read."""

import pytest
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

from monitor.core.decide.blindness import is_quiet
from monitor.core.duration import Duration
from monitor.core.model import READING, Cause, Failure, Scope

SECOND = Duration.parse("1s")
RATE_LIMITED = Failure(Cause.RATE_LIMITED, "too many requests")


def test_a_workspace_is_blind_after_blind_after():
    harness = CoreHarness(blind_after=5 * MINUTE)

    assert told(*(harness.fail() for _ in range(5))) == []
    opened = harness.fail()

    assert told(opened) == ["opened unreachable: unreadable_too_long"]
    assert opened.incidents[0].scope is Scope.WORKSPACE
    assert told(harness.fail()) == []


@pytest.mark.case("poll failed, repeated soon")
def test_polls_that_nobody_scheduled_count_towards_blindness_and_another_cause():
    harness = CoreHarness()

    decisions = [
        harness.fail(failure, scheduled=False)
        for failure in (REJECTED, REJECTED, UNREACHABLE, UNREACHABLE)
    ]

    assert told(*decisions) == [
        "opened token_rejected: token_rejected",
        "changed unreachable: failure_changed",
    ]


def test_a_token_is_rejected_if_it_is_for_a_minute():
    harness = CoreHarness()

    early = [harness.fail(REJECTED, after=SECOND) for _ in range(60)]

    assert told(*early) == []
    assert told(harness.fail(REJECTED, after=SECOND)) == ["opened token_rejected: token_rejected"]


def test_a_token_that_was_rejected_once_may_be_so_once_more_later():
    harness = CoreHarness()
    harness.fail(REJECTED)
    harness.fail(UNREACHABLE)

    assert told(harness.fail(REJECTED)) == []


def test_a_failure_that_goes_on_as_it_is_changes_nothing():
    harness = CoreHarness()
    for _ in range(8):
        before = harness.fail().workspace

    assert harness.fail().workspace == before


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
    since = harness.now
    assert told(harness.fail(RATE_LIMITED)) == ["changed rate_limited: failure_changed"]
    (incident,) = harness.open
    assert incident.cause_since == since


def test_an_account_that_is_called_like_the_subject_of_blindness_is_another_subject():
    harness = CoreHarness()
    harness.poll(signed_out("reading"))

    harness.fail(REJECTED)
    harness.fail(REJECTED)

    assert [incident.about for incident in harness.open] == [("account", "reading"), READING]
    assert told(harness.poll(signed_out("reading"))) == ["resolved token_rejected: read_again"]


BAD_GATEWAY = Failure(Cause.UNREACHABLE, "HTTP 502")


@pytest.mark.parametrize(
    ("polls", "failure", "blind_cause", "quiet"),
    [
        (1, UNREACHABLE, None, True),
        (2, BAD_GATEWAY, None, False),
        (2, RATE_LIMITED, None, False),
        (6, UNREACHABLE, None, False),
        (6, UNREACHABLE, Cause.UNREACHABLE, True),
        (6, UNREACHABLE, Cause.BAD_RESPONSE, False),
    ],
)
def test_a_failure_is_quiet_if_recording_it_would_change_nothing(
    polls, failure, blind_cause, quiet
):
    harness = CoreHarness()
    for _ in range(polls):
        harness.fail()

    failing, policy = harness.workspace.failing, harness.policy

    assert is_quiet(failing, failure, blind_cause, policy=policy, now=harness.now) is quiet


def test_a_rejected_token_is_no_quiet_failure_before_it_is_told():
    harness = CoreHarness()
    harness.fail(REJECTED)
    harness.fail(REJECTED)

    failing, policy = harness.workspace.failing, harness.policy

    assert not is_quiet(failing, REJECTED, None, policy=policy, now=harness.now)
    assert is_quiet(failing, REJECTED, REJECTED.cause, policy=policy, now=harness.now)
