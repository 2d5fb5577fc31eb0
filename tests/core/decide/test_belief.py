"""Lists with none of the known accounts: which are believed, and when."""

from dataclasses import replace

import pytest
from harness.core import (
    OPENED,
    REJECTED,
    UNREACHABLE,
    CoreHarness,
    frozen,
    listed_account,
    signed_out,
    told,
)

from monitor.core.model import Cause, Fingerprint, Resolution
from monitor.core.secret import Secret

A, B, C, X, Y = map(listed_account, "abcxy")
BLIND = "opened bad_response: unreadable_too_long"
SEEN = "resolved bad_response: read_again"
GONE = "notice disappeared: missing"


def polled(*accounts, **policy):
    harness = CoreHarness(missing_many_after=4, missing_after=2, **policy)
    harness.poll(*accounts)
    return harness


def watched(harness):
    return "".join(sorted(harness.workspace.accounts))


@pytest.mark.case("only account of a workspace removed")
@pytest.mark.parametrize("accounts", [[A], [A, B]])
@pytest.mark.parametrize("listed", [[], [X], [X, Y]])
def test_a_steady_list_without_the_one_or_two_known_accounts_is_believed(accounts, listed):
    harness = polled(*accounts)
    before = harness.workspace.accounts

    for _ in range(3):
        harness.poll(*listed)
        assert harness.workspace.accounts is before
        assert harness.workspace.failing.cause is Cause.BAD_RESPONSE
    believed = harness.poll(*listed)

    assert told(believed) == [GONE] * len(accounts)
    assert watched(harness) == "".join(entry.id for entry in listed)
    assert (harness.workspace.failing, harness.workspace.refused) == (None, None)


def test_what_the_believed_list_shows_is_told_and_the_incident_of_who_is_gone_ends():
    harness = polled(signed_out("a"))

    *_, believed = (harness.poll(frozen("x")) for _ in range(4))

    assert told(believed) == ["opened frozen: seen_bad", "resolved reconnection_required: missing"]
    assert {incident.resolution for incident in believed.incidents} == {
        None,
        Resolution.DISAPPEARED,
    }


def test_blindness_that_was_told_ends_with_the_list_that_is_believed():
    harness = polled(A, blind_after=1)

    *_, opened, _, believed = (harness.poll(X) for _ in range(4))

    assert told(opened) == [BLIND]
    assert told(believed) == [SEEN, GONE]


def test_a_list_that_changes_is_not_steady():
    harness = polled(A)

    for _ in range(5):
        for listed in ([X], [X], [X], [X, Y]):
            harness.poll(*listed)

    assert watched(harness) == "a"


def test_the_order_of_a_list_does_not_matter():
    harness = polled(A)

    for listed in ([X, Y], [Y, X], [X, Y], [Y, X]):
        harness.poll(*listed)

    assert watched(harness) == "xy"


@pytest.mark.parametrize("failure", [UNREACHABLE, REJECTED])
def test_a_failed_poll_neither_counts_nor_begins_anew(failure):
    harness = polled(A)
    for _ in range(3):
        harness.poll(X)
        harness.fail(failure)
    assert watched(harness) == "a"

    harness.poll(X)

    assert watched(harness) == "x"


def test_a_known_account_in_between_begins_anew():
    harness = polled(A)
    for _ in range(3):
        harness.poll(X)
    harness.poll(A)

    for _ in range(3):
        harness.poll(X)

    assert watched(harness) == "a"


@pytest.mark.case("burst of unscheduled polls")
def test_polls_that_nobody_scheduled_do_not_add_up_to_a_belief():
    harness = polled(A)

    for _ in range(20):
        harness.poll(X, scheduled=False)

    assert watched(harness) == "a"
    assert harness.workspace.refused.polls == 1


@pytest.mark.case("another workspace's token pasted")
def test_a_list_of_another_token_is_not_believed_and_its_polls_count_for_nothing():
    harness = polled(A)
    harness.token = Secret("linked_other")
    for _ in range(20):
        harness.poll(X)
    assert watched(harness) == "a"

    harness.token = Secret("linked_acme")
    for _ in range(3):
        harness.poll(X)
    assert watched(harness) == "a"
    harness.poll(X)
    assert watched(harness) == "x"


def test_a_token_that_was_rotated_while_the_list_held_a_is_the_one_that_counts():
    harness = polled(A)
    harness.token = Secret("linked_rotated")
    harness.poll(A)

    for _ in range(4):
        harness.poll(X)

    assert watched(harness) == "x"


def test_three_accounts_are_too_many_to_be_gone_at_once():
    harness = polled(A, B, C)

    for _ in range(30):
        harness.poll(X)

    assert watched(harness) == "abc"


@pytest.mark.case("only account of a workspace removed")
@pytest.mark.parametrize("accounts", [[A], [A, B, C]])
def test_an_ignored_account_proves_whose_list_it_is(accounts):
    harness = CoreHarness(missing_after=4, missing_many_after=4)
    harness.ignored = {"y"}
    harness.poll(*accounts, Y)
    harness.token = Secret("linked_other")

    decisions = [harness.poll(X, Y) for _ in range(4)]

    assert told(*decisions[:3]) == []
    assert decisions[0].workspace.failing is None
    assert told(decisions[3]) == [GONE] * len(accounts)
    assert watched(harness) == "x"


def test_an_account_that_is_ignored_now_but_was_never_listed_proves_nothing():
    harness = polled(A, B, C)
    harness.ignored = {"y"}

    harness.poll(X, Y)

    assert harness.workspace.failing is not None


def test_of_the_token_and_of_ignored_accounts_only_hashes_are_kept():
    harness = CoreHarness()
    harness.ignored = {"somebody"}

    harness.poll(A, listed_account("somebody"))

    kept = repr(harness.workspace.fingerprint)
    assert isinstance(harness.workspace.fingerprint, Fingerprint)
    assert "somebody" not in kept
    assert harness.token.reveal() not in kept


# ── accepted by a person ─────────────────────────────────────────────────────────────────────────


@pytest.mark.case("workspaces accept")
def test_a_list_that_a_person_accepted_is_believed_at_once():
    harness = polled(A, signed_out("b"), C, blind_after=1)
    harness.token = Secret("linked_other")
    harness.poll(X)
    harness.poll(X)

    accepted = harness.poll(signed_out("x"), scheduled=False, accepted_by="ops")

    assert sorted(told(accepted)) == [
        GONE,
        GONE,
        OPENED,
        "resolved bad_response: accepted",
        "resolved reconnection_required: missing",
    ]
    assert [event.detail for event in accepted.events if event.reason == "accepted"] == [
        "its list was accepted by ops"
    ]
    assert watched(harness) == "x"
    assert harness.poll(X).workspace.failing is None


def test_what_a_refusal_says_is_what_to_do():
    harness = polled(A, B, C)
    harness.workspace = replace(harness.workspace, name="globex")

    refused = harness.poll(X)

    assert refused.workspace.failing.detail == (
        "none of the known accounts (3) is listed: the token belongs to another customer, or all"
        " were removed. If that is right: linkedapi-monitor workspaces accept globex"
    )
    assert refused.workspace.refused.listed == 1
