"""What good polls decide about accounts."""

from dataclasses import replace

import pytest
from harness.core import HOUR, MINUTE, CoreHarness, frozen, listed_account, signed_out, told

from monitor.core.decide.accounts import is_quiet
from monitor.core.model import Cause, Resolution, Status


@pytest.mark.parametrize(
    ("account", "cause"),
    [
        (signed_out(), "reconnection_required"),
        (frozen(), "frozen"),
        (listed_account(status=Status.UNKNOWN, raw="suspended"), "unknown"),
    ],
)
def test_a_bad_status_opens_and_an_active_one_resolves(account, cause):
    harness = CoreHarness()
    harness.poll(listed_account())

    opened = harness.poll(account)
    resolved = harness.poll(listed_account())

    assert told(opened) == [("opened", cause)]
    assert told(resolved) == [("resolved", cause)]
    assert resolved.incidents[0].resolution is Resolution.RECOVERED
    assert resolved.incidents[0].resolved_at - resolved.incidents[0].opened_at == MINUTE
    assert harness.workspace.accounts["a1"].incident_id is None


def test_the_same_bad_status_again_says_nothing():
    harness = CoreHarness()
    harness.poll(listed_account())
    harness.poll(signed_out())

    decision = harness.poll(signed_out())

    assert told(decision) == []
    assert decision.accounts == ()
    assert decision.incidents == ()


def test_open_after_counts_scheduled_polls():
    harness = CoreHarness(open_after=3)
    harness.poll(listed_account())

    assert told(harness.poll(signed_out())) == []
    first_bad = harness.now
    assert told(harness.poll(signed_out())) == []
    opened = harness.poll(signed_out())

    assert told(opened) == [("opened", "reconnection_required")]
    assert opened.incidents[0].opened_at == first_bad


def test_recovery_before_open_after_tells_nobody():
    harness = CoreHarness(open_after=2)
    harness.poll(listed_account())
    harness.poll(signed_out())

    harness.poll(listed_account())

    assert harness.events == []
    assert told(harness.poll(signed_out())) == []


def test_a_burst_of_unscheduled_polls_counts_once():
    harness = CoreHarness(open_after=3)
    harness.poll(listed_account())

    for _ in range(10):
        harness.poll(signed_out(), scheduled=False)

    assert harness.events == []
    assert harness.workspace.accounts["a1"].bad_polls == 1


def test_an_unscheduled_poll_may_open_at_once():
    harness = CoreHarness()
    harness.poll(listed_account())

    assert told(harness.poll(signed_out(), scheduled=False)) == [
        ("opened", "reconnection_required")
    ]


def test_resolve_after_waits_for_a_steady_recovery():
    harness = CoreHarness(resolve_after=2)
    harness.poll(listed_account())
    harness.poll(signed_out())

    assert told(harness.poll(listed_account())) == []
    assert told(harness.poll(signed_out())) == []
    assert told(harness.poll(listed_account())) == []
    assert told(harness.poll(listed_account())) == [("resolved", "reconnection_required")]


def test_another_cause_changes_the_incident_and_ends_its_acknowledgement():
    harness = CoreHarness()
    harness.poll(signed_out())
    incident = harness.open[0]
    harness.incidents[incident.id] = replace(
        incident, acknowledged_by="ops", acknowledged_at=harness.now
    )

    decision = harness.poll(frozen())

    assert told(decision) == [("changed", "frozen")]
    changed = decision.incidents[0]
    assert changed.id == incident.id
    assert changed.previous_cause is Cause.RECONNECTION_REQUIRED
    assert changed.acknowledged_by is None
    assert harness.workspace.accounts["a1"].session is None


def test_a_rotated_link_is_kept_without_a_word():
    harness = CoreHarness()
    harness.poll(signed_out())

    decision = harness.poll(signed_out(link="https://app.linkedapi.io/connection/new"))

    assert told(decision) == []
    session = harness.workspace.accounts["a1"].session
    assert session.link.reveal() == "https://app.linkedapi.io/connection/new"


def test_a_first_link_that_comes_later_is_told():
    harness = CoreHarness(create=True)
    opened = harness.poll(signed_out(link=""))
    assert opened.wanted == ("a1",)

    decision = harness.poll(signed_out())

    assert told(decision) == [("refreshed", "reconnection_required")]
    assert decision.wanted == ()


def test_a_link_we_have_outlives_its_absence_in_the_list():
    harness = CoreHarness()
    harness.poll(signed_out())

    harness.poll(signed_out(link=""))

    assert harness.workspace.accounts["a1"].session.link is not None


def test_the_link_goes_with_the_incident():
    harness = CoreHarness()
    harness.poll(signed_out())

    harness.poll(listed_account())

    assert harness.workspace.accounts["a1"].session is None


def test_an_account_that_returns_in_time_was_never_gone():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"), listed_account("c"))

    harness.poll(listed_account("a"), listed_account("b"))
    harness.poll(listed_account("a"), listed_account("b"))
    harness.poll(listed_account("a"), listed_account("b"), listed_account("c"))

    assert harness.events == []
    assert harness.workspace.accounts["c"].missing_polls == 0


def test_an_account_is_gone_after_missing_after_polls():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"), signed_out("c"))

    decisions = [harness.poll(listed_account("a"), listed_account("b")) for _ in range(3)]

    assert [told(one) for one in decisions] == [[], [], [("resolved", "reconnection_required")]]
    assert decisions[-1].incidents[0].resolution is Resolution.DISAPPEARED
    assert set(harness.workspace.accounts) == {"a", "b"}
    assert decisions[-1].accounts[0].session is None


def test_a_healthy_account_that_is_gone_is_a_notice():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"))

    for _ in range(3):
        decision = harness.poll(listed_account("a"))

    assert told(decision) == [("notice", "disappeared")]


def test_many_that_vanish_at_once_need_more_polls():
    harness = CoreHarness()
    harness.poll(*(listed_account(id_) for id_ in "abcde"))

    decisions = [harness.poll(listed_account("a"), listed_account("b")) for _ in range(10)]

    assert all(not one.events for one in decisions[:9])
    assert len(decisions[9].events) == 3


@pytest.mark.parametrize(
    "url",
    [
        "https://www.linkedin.com/in/j%C3%BCrgen",
        "https://linkedin.com/in/JÜRGEN/",
        "http://www.linkedin.com/in/jürgen?trk=x",
    ],
)
def test_the_same_person_under_a_new_id_replaces_the_old(url):
    harness = CoreHarness()
    harness.poll(signed_out("old", url="https://www.linkedin.com/in/jürgen/"), listed_account("b"))

    decisions = [
        harness.poll(listed_account("new", url=url), listed_account("b")) for _ in range(3)
    ]

    assert told(decisions[-1]) == [("resolved", "reconnection_required")]
    assert decisions[-1].incidents[0].resolution is Resolution.REPLACED


def test_a_single_account_may_be_replaced():
    harness = CoreHarness()
    harness.poll(listed_account("old", url="https://www.linkedin.com/in/jane/"))

    for _ in range(3):
        decision = harness.poll(listed_account("new", url="https://www.linkedin.com/in/jane"))

    assert told(decision) == [("notice", "replaced")]


def test_two_ids_with_one_profile_are_two_accounts():
    harness = CoreHarness()
    harness.poll(
        listed_account("a", url="https://x.test/in/j"),
        listed_account("b", url="https://x.test/in/j"),
    )

    for _ in range(3):
        decision = harness.poll(listed_account("a", url="https://x.test/in/j"))

    assert told(decision) == [("notice", "disappeared")]


def test_an_account_that_comes_back_after_it_was_believed_gone_is_watched_again():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        harness.poll(listed_account("a"))

    decision = harness.poll(listed_account("a"), signed_out("b"))

    assert told(decision) == [("opened", "reconnection_required")]


def test_what_is_quiet_needs_no_second_look():
    harness = CoreHarness()
    harness.poll(listed_account("ok"), signed_out("out"), signed_out("linkless", link=""))
    accounts = harness.workspace.accounts

    quiet = {id_: is_quiet(one, harness.policy, create=True) for id_, one in accounts.items()}

    assert quiet == {"ok": True, "out": True, "linkless": False}


def test_an_account_that_becomes_ignored_ends_its_incident_as_unwatched():
    harness = CoreHarness()
    harness.poll(listed_account("a"), signed_out("b"), frozen("c"))
    harness.ignored = {"b"}

    decision = harness.poll(listed_account("a"), signed_out("b"), frozen("c"))

    assert told(decision) == [("resolved", "reconnection_required")]
    assert [one.resolution for one in decision.incidents] == [Resolution.UNWATCHED]
    assert decision.transitions == ()
    (gone,) = decision.accounts
    assert (gone.id, gone.removed_at, gone.incident_id, gone.session) == (
        *("b", harness.now, None, None),
    )
    assert set(harness.workspace.accounts) == {"a", "c"}
    assert [one.account_id for one in harness.open] == ["c"]
    assert told(harness.poll(listed_account("a"), signed_out("b"), frozen("c"))) == []


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("status", [Status.ACTIVE, Status.RECONNECTION_REQUIRED])
def test_without_an_incident_nobody_hears_that_an_account_is_ignored(listed, status):
    harness = CoreHarness(open_after=2)
    harness.poll(listed_account("a"), listed_account("b"))
    harness.poll(listed_account("a"), listed_account("b", status))
    harness.ignored = {"b"}

    decision = harness.poll(listed_account("a"), *([listed_account("b", status)] if listed else []))

    assert decision.events == ()
    assert [one.removed_at for one in decision.accounts] == [harness.now]
    assert set(harness.workspace.accounts) == {"a"}


def test_an_ignored_account_never_opens_and_a_watched_one_does_again():
    harness = CoreHarness()
    harness.ignored = {"b"}
    harness.poll(listed_account("a"), signed_out("b"))
    assert harness.events == []
    assert set(harness.workspace.accounts) == {"a"}

    harness.ignored = set()

    assert told(harness.poll(listed_account("a"), signed_out("b"))) == [
        ("opened", "reconnection_required")
    ]


def test_all_accounts_may_be_ignored():
    harness = CoreHarness()
    harness.poll(signed_out("a"), signed_out("b"))
    harness.ignored = {"a", "b"}

    decision = harness.poll(signed_out("a"))

    assert len(decision.events) == 2
    assert harness.workspace.accounts == {}
    assert harness.open == []
    assert told(harness.poll(signed_out("a"), after=HOUR)) == []
