"""A workspace that cannot be read."""

import pytest
from harness.core import REJECTED, UNREACHABLE, CoreHarness, listed_account, signed_out, told

from monitor.core.duration import Duration
from monitor.core.model import Cause, Failure, Scope

RATE_LIMITED = Failure(Cause.RATE_LIMITED, "too many requests")


@pytest.mark.parametrize("failure", [UNREACHABLE, REJECTED, RATE_LIMITED])
def test_a_failed_poll_touches_no_account(failure):
    harness = CoreHarness()
    harness.poll(listed_account("ok"), signed_out("out"))
    accounts = harness.workspace.accounts

    decision = harness.fail(failure)

    assert decision.accounts == ()
    assert decision.transitions == ()
    assert harness.workspace.accounts is accounts


def test_a_workspace_is_blind_after_blind_after():
    harness = CoreHarness(blind_after=Duration.parse("5m"))
    harness.poll(listed_account())

    for _ in range(5):
        assert told(harness.fail()) == []
    decision = harness.fail()

    assert told(decision) == [("opened", "unreachable")]
    assert decision.incidents[0].scope is Scope.WORKSPACE
    assert told(harness.fail()) == []


def test_a_rejected_token_is_told_after_two_polls():
    harness = CoreHarness()
    harness.poll(listed_account())

    assert told(harness.fail(REJECTED)) == []
    assert told(harness.fail(REJECTED)) == [("opened", "token_rejected")]


def test_blindness_ends_with_the_first_good_poll_and_accounts_are_told_in_the_same_commit():
    harness = CoreHarness()
    harness.poll(listed_account())
    harness.fail(REJECTED)
    harness.fail(REJECTED)

    decision = harness.poll(signed_out())

    assert told(decision) == [("resolved", "token_rejected"), ("opened", "reconnection_required")]
    assert harness.workspace.failing is None
    assert harness.workspace.incident_id is None


def test_the_cause_of_blindness_changes_once_it_lasts_two_polls():
    harness = CoreHarness()
    harness.fail(REJECTED)
    harness.fail(REJECTED)

    assert told(harness.fail(UNREACHABLE)) == []
    assert told(harness.fail(RATE_LIMITED)) == []
    assert told(harness.fail(RATE_LIMITED)) == [("changed", "rate_limited")]


@pytest.mark.parametrize("listed", [(), (listed_account("x"), listed_account("y"))])
def test_a_list_with_none_of_the_known_accounts_is_blindness(listed):
    harness = CoreHarness()
    harness.poll(listed_account("a"), signed_out("b"))
    accounts = harness.workspace.accounts

    for _ in range(20):
        decision = harness.poll(*listed)

    assert harness.workspace.accounts is accounts
    assert decision.accounts == ()
    assert [str(one.cause) for one in harness.open] == ["reconnection_required", "bad_response"]


def test_a_failed_poll_ignores_nobody_yet():
    harness = CoreHarness()
    harness.poll(listed_account("a"), signed_out("b"))
    harness.ignored = {"b"}

    assert harness.fail().accounts == ()
    assert [one.account_id for one in harness.open] == ["b"]
