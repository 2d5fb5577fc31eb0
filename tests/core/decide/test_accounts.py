"""What good polls decide about accounts."""

from dataclasses import replace

import pytest
from harness.core import (
    LINK,
    MINUTE,
    OPENED,
    RECOVERED,
    CoreHarness,
    frozen,
    listed_account,
    signed_out,
    told,
)

from monitor.core.decide.accounts import is_quiet
from monitor.core.draft import MAX_EARLIER
from monitor.core.model import Cause, Resolution, Status
from monitor.core.policy import Flapping


def statuses(decision):
    return [(transition.before, transition.after) for transition in decision.transitions]


@pytest.mark.parametrize(
    ("account", "cause"),
    [
        (signed_out(), "reconnection_required"),
        (frozen(), "frozen"),
        (listed_account(status=Status.UNKNOWN, raw="suspended"), "unknown"),
    ],
)
def test_a_bad_status_opens_once_and_an_active_one_resolves(account, cause):
    harness = CoreHarness()
    harness.poll(listed_account())

    opened, again, resolved = harness.polls(account, account, listed_account())

    assert told(opened) == [f"opened {cause}: seen_bad"]
    assert statuses(opened) == [(Status.ACTIVE, account.status)]
    assert (again.events, again.accounts, again.incidents) == ((), (), ())
    assert told(resolved) == [f"resolved {cause}: active_again"]
    (incident,) = resolved.incidents
    assert incident.resolution is Resolution.RECOVERED
    assert incident.resolved_at - incident.opened_at == 2 * MINUTE
    assert harness.sessions == {}


@pytest.mark.pain("no threshold of failure or recovery")
def test_open_after_counts_scheduled_polls():
    harness = CoreHarness(open_after=3)
    harness.poll(listed_account())
    first_bad = harness.now + MINUTE

    *early, opened = harness.polls(*[signed_out()] * 3)

    assert told(*early) == []
    assert told(opened) == [OPENED]
    assert opened.incidents[0].opened_at == first_bad


def test_recovery_before_open_after_tells_nobody():
    harness = CoreHarness(open_after=2)

    assert (
        told(*harness.polls(listed_account(), signed_out(), listed_account(), signed_out())) == []
    )


@pytest.mark.case("burst of unscheduled polls")
@pytest.mark.parametrize(("open_after", "events", "counted"), [(3, [], 1), (1, [OPENED], 0)])
def test_a_burst_of_unscheduled_polls_counts_once(open_after, events, counted):
    harness = CoreHarness(open_after=open_after)
    harness.poll(listed_account())

    assert told(*(harness.poll(signed_out(), scheduled=False) for _ in range(10))) == events
    assert harness.workspace.accounts["a1"].bad_polls == counted


@pytest.mark.pain("no threshold of failure or recovery")
def test_resolve_after_waits_for_a_steady_recovery():
    harness = CoreHarness(resolve_after=2)
    harness.polls(listed_account(), signed_out())

    assert told(*harness.polls(listed_account(), signed_out(), listed_account())) == []
    assert told(harness.poll(listed_account())) == [RECOVERED]


@pytest.mark.case("signed out, then frozen, then active")
@pytest.mark.pain("cause that changes in silence")
def test_another_cause_changes_the_incident_and_ends_its_acknowledgement():
    harness = CoreHarness()
    harness.poll(signed_out())
    incident = replace(harness.open[0], acknowledged_by="ops", acknowledged_at=harness.now)
    harness.incidents[incident.id] = incident

    decision = harness.poll(frozen())

    assert told(decision) == ["changed frozen: status_changed"]
    changed = decision.incidents[0]
    assert changed.id == incident.id
    assert changed.opening_cause is changed.previous_cause is Cause.RECONNECTION_REQUIRED
    assert changed.cause_since == harness.now
    assert changed.earlier[0].lasted == harness.now - changed.opened_at > 0
    assert changed.acknowledged_by is None
    assert harness.sessions == {}


def test_of_many_earlier_causes_the_first_and_the_latest_are_kept():
    harness = CoreHarness(flapping=Flapping(changes=1000))
    harness.poll(signed_out())

    for _ in range(MAX_EARLIER):
        harness.poll(frozen())
        harness.poll(listed_account(status=Status.UNKNOWN))

    (incident,) = harness.open
    first, *latest = (cause for cause, _ in incident.earlier)
    assert first is incident.opening_cause is Cause.RECONNECTION_REQUIRED
    assert len(incident.earlier) == MAX_EARLIER
    assert latest[-2:] == [Cause.UNKNOWN, Cause.FROZEN]


@pytest.mark.parametrize(("listed", "kept"), [(f"{LINK}-new", f"{LINK}-new"), ("", LINK)])
def test_a_link_is_replaced_by_another_but_not_by_none_without_a_word(listed, kept):
    harness = CoreHarness()
    harness.poll(signed_out())

    assert told(harness.poll(signed_out(link=listed))) == []
    assert harness.sessions["a1"].link.reveal() == kept


@pytest.mark.case("first link of an incident that had none")
def test_a_first_link_that_comes_later_is_told():
    harness = CoreHarness(create=True)

    without, listed = harness.polls(signed_out(link=""), signed_out())

    assert told(listed) == ["refreshed reconnection_required: link_listed"]
    assert [incident.subject for incident in without.wanted] == ["a1"]
    assert listed.wanted == ()


def test_an_account_that_returns_in_time_was_never_gone():
    harness = CoreHarness()
    a, b, c = map(listed_account, "abc")
    harness.poll(a, b, c)

    for accounts in ((a, b), (a, b), (a, b, c)):
        harness.poll(*accounts)

    assert harness.events == []
    assert harness.workspace.accounts["c"].missing_polls == 0


@pytest.mark.case("account disappears while open")
def test_an_account_is_gone_after_missing_after_polls():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"), signed_out("c"))

    *early, gone = (harness.poll(listed_account("a"), listed_account("b")) for _ in range(3))

    assert told(*early) == []
    assert told(gone) == ["resolved reconnection_required: missing"]
    assert statuses(gone) == [(Status.RECONNECTION_REQUIRED, None)]
    assert gone.incidents[0].resolution is Resolution.DISAPPEARED
    assert set(harness.workspace.accounts) == {"a", "b"}
    assert harness.sessions == {}


def test_a_healthy_account_that_is_gone_is_a_notice_and_is_watched_again_if_it_returns():
    harness = CoreHarness()
    harness.poll(listed_account("a"), listed_account("b"))

    gone = harness.polls(*[listed_account("a")] * 3)
    returned = harness.poll(listed_account("a"), signed_out("b"))

    assert told(*gone) == ["notice disappeared: missing"]
    assert told(returned) == [OPENED]


def test_many_that_vanish_at_once_need_more_polls():
    harness = CoreHarness()
    harness.poll(*(listed_account(id_) for id_ in "abcde"))

    *early, gone = (harness.poll(listed_account("a"), listed_account("b")) for _ in range(10))

    assert told(*early) == []
    assert told(gone) == ["notice disappeared: missing"] * 3


def test_a_single_account_may_be_replaced():
    harness = CoreHarness()
    harness.poll(listed_account("old", url="https://www.linkedin.com/in/jane/"))

    new = listed_account("new", url="https://www.linkedin.com/in/jane")

    *_, gone = decisions = harness.polls(new, new, new)

    assert told(*decisions) == ["notice replaced: new_id"]
    assert {account.id: account.replaced_by for account in gone.accounts}["old"] == "new"


def test_who_was_connected_twice_is_not_replaced_by_the_other_when_one_goes():
    harness = CoreHarness()
    url = "https://www.linkedin.com/in/jane/"
    first, second = listed_account("first", url=url), listed_account("second", url=url)
    harness.poll(first, second)

    *_, gone = decisions = harness.polls(first, first, first)

    assert told(*decisions) == ["notice disappeared: missing"]
    assert {account.id: account.replaced_by for account in gone.accounts}["second"] is None


def test_what_is_quiet_needs_no_second_look():
    harness = CoreHarness(open_after=2)
    harness.poll(listed_account("ok"), signed_out("out"))
    harness.poll(listed_account("ok"), signed_out("out"), signed_out("suspect"))

    quiet = {
        account.id: is_quiet(account, harness.policy)
        for account in harness.workspace.accounts.values()
    }

    assert quiet == {"ok": True, "out": True, "suspect": False}


def test_an_account_that_becomes_ignored_ends_its_incident_as_unwatched():
    harness = CoreHarness()
    accounts = (listed_account("a"), signed_out("b"), frozen("c"))
    harness.poll(*accounts)
    harness.ignored = {"b"}

    decision = harness.poll(*accounts)

    assert told(decision) == ["resolved reconnection_required: ignored"]
    assert [incident.resolution for incident in decision.incidents] == [Resolution.UNWATCHED]
    assert decision.transitions == ()
    (gone,) = decision.accounts
    assert (gone.id, gone.removed_at) == ("b", harness.now)
    assert gone.id not in harness.sessions
    assert set(harness.workspace.accounts) == {"a", "c"}
    assert [incident.account_id for incident in harness.open] == ["c"]
    assert told(harness.poll(*accounts)) == []


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("status", [Status.ACTIVE, Status.RECONNECTION_REQUIRED])
def test_without_an_incident_nobody_hears_that_an_account_is_ignored(listed, status):
    harness = CoreHarness(open_after=2)
    a, b = listed_account("a"), listed_account("b", status)
    harness.poll(a, listed_account("b"))
    harness.poll(a, b)
    harness.ignored = {"b"}

    decision = harness.poll(a, b) if listed else harness.poll(a)

    assert decision.events == ()
    assert [account.removed_at for account in decision.accounts] == [harness.now]
    assert set(harness.workspace.accounts) == {"a"}


# ── accounts that are connected ──────────────────────────────────────────────────────────────────

APPEARED = "notice appeared: connected"


def test_an_account_that_is_connected_is_told_once_where_that_is_wanted():
    harness = CoreHarness(notice_new=True)
    first, second = listed_account("a1"), listed_account("a2")

    assert told(harness.poll(first)) == [], "what is there at first is no news"
    assert told(harness.poll(first, second)) == [APPEARED]
    assert told(harness.poll(first, second)) == []
    assert harness.events[-1].account_id == "a2"


def test_nobody_hears_of_accounts_that_are_connected_unless_that_is_wanted():
    harness = CoreHarness()
    harness.poll(listed_account("a1"))

    assert told(harness.poll(listed_account("a1"), listed_account("a2"))) == []


def test_one_that_needs_a_login_at_once_is_told_as_that():
    harness = CoreHarness(notice_new=True)
    harness.poll(listed_account("a1"))

    assert told(harness.poll(listed_account("a1"), signed_out("a2"))) == [OPENED]


def test_one_that_was_ignored_was_not_connected():
    harness = CoreHarness(notice_new=True)
    harness.ignored.add("a2")
    both = (listed_account("a1"), listed_account("a2"))
    harness.poll(*both)
    harness.ignored.clear()

    assert told(harness.poll(*both)) == []
    assert set(harness.workspace.accounts) == {"a1", "a2"}


def test_one_that_returns_after_it_was_gone_is_connected():
    harness = CoreHarness(notice_new=True, missing_after=1, missing_many_after=1)
    both = (listed_account("a1"), listed_account("a2"))
    harness.poll(*both)
    harness.poll(both[0])

    assert told(harness.poll(*both)) == [APPEARED]
