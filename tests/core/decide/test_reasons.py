"""Each event says why it happened."""

from harness.core import (
    HOUR,
    MINUTE,
    REJECTED,
    UNREACHABLE,
    CoreHarness,
    frozen,
    listed_account,
    signed_out,
)

from monitor.core.duration import Duration
from monitor.core.policy import Flapping


def reasons(*decisions):
    return [
        (str(event.type), str(event.reason)) for decision in decisions for event in decision.events
    ]


def test_an_account_that_is_bad_changes_and_recovers():
    harness = CoreHarness()

    assert reasons(
        harness.poll(signed_out("a", link="")),
        harness.poll(signed_out("a")),
        harness.poll(frozen("a")),
        harness.poll(listed_account("a")),
    ) == [
        ("opened", "seen_bad"),
        ("refreshed", "link_listed"),
        ("changed", "status_changed"),
        ("resolved", "active_again"),
    ]


def flapping_harness():
    flapping = Flapping(changes=2, settle=Duration.parse("30m"))
    return CoreHarness(flapping=flapping)


def test_an_account_that_keeps_changing_and_settles_active():
    harness = flapping_harness()
    polls = [harness.poll(signed_out("a")), harness.poll(listed_account("a"))]

    assert reasons(*polls, harness.poll(signed_out("a"))) == [
        ("opened", "seen_bad"),
        ("resolved", "active_again"),
        ("opened", "keeps_changing"),
    ]
    assert reasons(
        harness.poll(listed_account("a")), harness.poll(listed_account("a"), after=HOUR)
    ) == [("resolved", "steady_again")]


def test_an_account_that_keeps_changing_and_settles_in_a_bad_status():
    harness = flapping_harness()
    for account in (listed_account("a"), signed_out("a")):
        harness.poll(account)

    assert reasons(harness.poll(frozen("a")), harness.poll(frozen("a"), after=HOUR)) == [
        ("changed", "keeps_changing"),
        ("changed", "steady_again"),
    ]


def test_accounts_that_leave_the_list_or_the_configuration():
    harness = CoreHarness(missing_after=1, missing_many_after=1)
    url = "https://www.linkedin.com/in/same/"
    harness.poll(*(signed_out(id_, url=f"{url}{id_}") for id_ in "abc"), listed_account("d"))
    harness.ignored = {"c"}

    decision = harness.poll(signed_out("b2", url=f"{url}b"), listed_account("d"))

    assert sorted(reasons(decision)) == [
        ("opened", "seen_bad"),
        ("resolved", "ignored"),
        ("resolved", "missing"),
        ("resolved", "new_id"),
    ]
    assert reasons(harness.poll(listed_account("e"), signed_out("b2", url=f"{url}b"))) == [
        ("notice", "missing")
    ]
    assert reasons(harness.unwatch()) == [("resolved", "workspace_left")]


def test_a_workspace_that_cannot_be_read():
    harness = CoreHarness()
    harness.poll(listed_account("a"))

    assert reasons(
        harness.fail(UNREACHABLE),
        harness.fail(UNREACHABLE, after=HOUR),
        harness.fail(REJECTED),
        harness.fail(REJECTED),
        harness.poll(listed_account("a")),
    ) == [
        ("opened", "unreadable_too_long"),
        ("changed", "failure_changed"),
        ("resolved", "read_again"),
    ]
    assert reasons(harness.fail(REJECTED), harness.fail(REJECTED, after=MINUTE)) == [
        ("opened", "token_rejected")
    ]
