"""Decisions about accounts and incidents."""

from dataclasses import replace

import pytest
from harness.core import (
    HOUR,
    MINUTE,
    REJECTED,
    UNREACHABLE,
    CoreHarness,
    frozen,
    listed_account,
    signed_out,
    told,
)
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.decide import TRANSITIONS
from monitor.core.decide.accounts import AccountState, Input, is_quiet
from monitor.core.decide.due import Due, remind
from monitor.core.duration import Duration
from monitor.core.model import (
    ACCOUNT_CAUSES,
    BLIND_CAUSES,
    Cause,
    Failure,
    Resolution,
    Scope,
    Snapshot,
    Status,
)
from monitor.core.policy import Flapping, IncidentPolicy

RATE_LIMITED = Failure(Cause.RATE_LIMITED, "too many requests")


def test_the_table_has_a_step_for_every_phase_and_sighting_of_a_listed_account():
    assert set(TRANSITIONS) == {
        (account_state, input_) for account_state in AccountState for input_ in Input
    }


def test_every_cause_is_an_accounts_or_a_workspaces():
    assert set(ACCOUNT_CAUSES) | set(BLIND_CAUSES) == set(Cause)


def test_the_first_poll_is_a_baseline_that_opens_only_what_is_bad():
    harness = CoreHarness()

    decision = harness.poll(listed_account("ok"), signed_out("out"), frozen("cold"))

    assert decision.baseline
    assert sorted(told(decision)) == [("opened", "frozen"), ("opened", "reconnection_required")]
    assert {one.before for one in decision.transitions} == {None}


def test_an_empty_first_list_is_fine():
    decision = CoreHarness().poll()

    assert decision.baseline
    assert told(decision) == []


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


def test_failed_polls_neither_count_nor_reset():
    harness = CoreHarness(open_after=2)
    harness.poll(listed_account())
    harness.poll(signed_out())

    harness.fail()

    assert told(harness.poll(signed_out())) == [("opened", "reconnection_required")]


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


def flapping_world():
    harness = CoreHarness(flapping=Flapping(changes=4, settle=Duration.parse("30m")))
    harness.poll(listed_account())
    for account in (signed_out(), listed_account(), signed_out()):
        harness.poll(account)
    return harness


def test_flapping_is_one_incident_without_a_storm():
    harness = flapping_world()

    decision = harness.poll(listed_account())
    for account in (signed_out(), listed_account()) * 5:
        assert told(harness.poll(account)) == []

    assert told(decision) == [("changed", "flapping")]
    assert len(harness.open) == 1


def test_flapping_ends_when_active_has_settled():
    harness = flapping_world()
    harness.poll(listed_account())

    assert told(harness.poll(listed_account())) == []
    decision = harness.poll(listed_account(), after=HOUR)

    assert told(decision) == [("resolved", "flapping")]
    assert told(harness.poll(signed_out())) == [("opened", "reconnection_required")]


def test_flapping_that_settles_in_a_bad_status_takes_its_cause():
    harness = flapping_world()
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


def test_since_never_lies_in_the_future_after_the_clock_went_back():
    harness = CoreHarness()
    harness.poll(signed_out())

    harness.poll(signed_out(), after=-10 * HOUR)
    resolved = harness.poll(listed_account())

    assert harness.workspace.accounts["a1"].since <= harness.now
    assert resolved.incidents[0].resolved_at >= resolved.incidents[0].opened_at


def test_what_is_settled_needs_no_second_look():
    harness = CoreHarness()
    harness.poll(listed_account("ok"), signed_out("out"), signed_out("linkless", link=""))
    accounts = harness.workspace.accounts

    quiet = {id_: is_quiet(one, harness.policy, create=True) for id_, one in accounts.items()}

    assert quiet == {"ok": True, "out": True, "linkless": False}


def due(harness, *, failing=False, current=True, account=True, now=None):
    """Return what a due reminder makes of the open incident, and its event if there is one."""
    incident = harness.open[0]
    return reminded(
        harness,
        incident,
        harness.workspace.accounts.get(incident.account_id) if account else None,
        failing=failing,
        current=current,
        now=now,
    )


def reminded(harness, incident, account, *, failing=False, current=True, now=None):
    decision = remind(
        "acme",
        [Due(incident, account)],
        failing=failing,
        current=current,
        policy=harness.policy,
        now=now or harness.now,
        new_id=lambda: "e",
    )
    return decision.incidents[0], next(iter(decision.events), None)


def test_reminders_follow_their_steps_and_the_last_repeats():
    harness = CoreHarness(remind=(MINUTE, HOUR))
    harness.poll(signed_out())
    assert harness.open[0].next_due_at == harness.now + MINUTE

    for step in (HOUR, HOUR, HOUR):
        incident, event = due(harness)
        harness.incidents[incident.id] = incident
        assert event is not None
        assert incident.next_due_at == harness.now + step
    assert incident.reminders == 3


def test_reminders_end_at_remind_max():
    harness = CoreHarness(remind=(MINUTE,), remind_max=1)
    harness.poll(signed_out())

    incident, event = due(harness)
    assert event is not None
    assert incident.next_due_at is None
    harness.incidents[incident.id] = incident
    assert due(harness)[1] is None


def test_no_steps_are_no_reminders():
    harness = CoreHarness(remind=())
    harness.poll(signed_out())

    assert harness.open[0].next_due_at is None
    assert due(harness) == (harness.open[0], None)


def test_an_acknowledged_or_ended_incident_has_no_reminders():
    harness = CoreHarness()
    harness.poll(signed_out())
    incident = harness.open[0]

    for quiet in (
        replace(incident, acknowledged_at=harness.now),
        replace(incident, resolved_at=harness.now),
    ):
        harness.incidents[incident.id] = quiet
        ended, event = reminded(harness, quiet, None)
        assert event is None
        assert ended.next_due_at is None


@pytest.mark.parametrize("uncertainty", ["failing", "missing", "improving", "not current"])
def test_a_reminder_is_held_while_nobody_knows(uncertainty):
    harness = CoreHarness(resolve_after=2)
    harness.poll(signed_out(), listed_account("other"))
    if uncertainty == "missing":
        harness.poll(listed_account("other"))
    if uncertainty == "improving":
        harness.poll(listed_account(), listed_account("other"))

    incident, event = due(
        harness, failing=uncertainty == "failing", current=uncertainty != "not current"
    )

    assert event is None
    assert incident.next_due_at > harness.now


def test_a_blind_workspace_is_reminded_of_while_it_fails():
    harness = CoreHarness()
    harness.fail(REJECTED)
    harness.fail(REJECTED)

    assert due(harness, failing=True, account=False)[1] is not None


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


def test_a_failed_poll_ignores_nobody_yet():
    harness = CoreHarness()
    harness.poll(listed_account("a"), signed_out("b"))
    harness.ignored = {"b"}

    assert harness.fail().accounts == ()
    assert [one.account_id for one in harness.open] == ["b"]


def test_all_accounts_may_be_ignored():
    harness = CoreHarness()
    harness.poll(signed_out("a"), signed_out("b"))
    harness.ignored = {"a", "b"}

    decision = harness.poll(signed_out("a"))

    assert len(decision.events) == 2
    assert harness.workspace.accounts == {}
    assert harness.open == []
    assert told(harness.poll(signed_out("a"), after=HOUR)) == []


def test_a_workspace_that_is_unwatched_ends_everything_that_is_open():
    harness = CoreHarness()
    harness.poll(listed_account("a"), signed_out("b"), frozen("c"))
    harness.fail(REJECTED)
    harness.fail(REJECTED)

    decision = harness.unwatch()

    assert sorted(told(decision)) == [
        ("resolved", "frozen"),
        ("resolved", "reconnection_required"),
        ("resolved", "token_rejected"),
    ]
    assert {one.resolution for one in decision.incidents} == {Resolution.UNWATCHED}
    assert {one.resolved_at for one in decision.incidents} == {harness.now}
    assert {one.next_due_at for one in decision.incidents} == {None}
    assert {(one.removed_at, one.incident_id, one.session) for one in decision.accounts} == {
        (harness.now, None, None)
    }
    assert len(decision.accounts) == 3
    assert harness.open == []


def test_an_incident_that_no_account_points_to_ends_with_its_workspace_too():
    harness = CoreHarness()
    harness.poll(signed_out("a"))
    harness.workspace = replace(harness.workspace, accounts={})

    assert told(harness.unwatch()) == [("resolved", "reconnection_required")]


def test_a_workspace_that_comes_back_after_its_end_is_looked_at_as_for_the_first_time():
    harness = CoreHarness()
    harness.poll(listed_account("a"), signed_out("b"))
    harness.fail(REJECTED)
    harness.unwatch()

    decision = harness.poll(listed_account("x"), signed_out("b"))

    assert decision.baseline
    assert told(decision) == [("opened", "reconnection_required")]
    assert harness.workspace.failing is None


STATUSES = st.sampled_from([Status.ACTIVE, Status.RECONNECTION_REQUIRED, Status.FROZEN])
LISTS = st.dictionaries(st.sampled_from("abc"), st.sampled_from(list(Status)), max_size=3)
POLICIES = st.builds(
    IncidentPolicy,
    open_after=st.integers(1, 3),
    resolve_after=st.integers(1, 3),
    missing_after=st.integers(1, 2),
    missing_many_after=st.integers(2, 4),
    flapping=st.builds(Flapping, changes=st.integers(2, 6)),
)


@given(
    policy=POLICIES,
    observations=st.lists(
        st.tuples(
            st.one_of(LISTS, st.sampled_from([UNREACHABLE, REJECTED, "left"])),
            st.sets(st.sampled_from("abc"), max_size=1),
            st.booleans(),
            st.sampled_from([MINUTE, HOUR, -HOUR]),
        ),
        max_size=25,
    ),
)
def test_whatever_is_seen_incidents_come_in_pairs_and_at_most_one_is_open(policy, observations):
    harness = CoreHarness()
    harness.policy = policy
    for observation, ignored, scheduled, after in observations:
        harness.ignored = ignored
        accounts_before = harness.workspace.accounts
        if isinstance(observation, dict):
            listed = tuple(listed_account(id_, status) for id_, status in observation.items())
            decision = harness.observe(Snapshot(listed), scheduled=scheduled, after=after)
            if not harness.workspace.failing:
                assert not ignored & harness.workspace.accounts.keys()
        elif observation == "left":
            decision = harness.unwatch()
            assert not harness.open
        else:
            decision = harness.observe(observation, scheduled=scheduled, after=after)
            assert harness.workspace.accounts is accounts_before

        subjects = [(one.scope, one.account_id) for one in harness.open]
        assert len(subjects) == len(set(subjects))
        pointed = {one.incident_id for one in harness.workspace.accounts.values()}
        pointed.add(harness.workspace.incident_id)
        assert {one.id for one in harness.open} == pointed - {None}
        assert all(
            one.opened_at <= (one.resolved_at or one.opened_at) for one in decision.incidents
        )

    for id_, incident in harness.incidents.items():
        kinds = [str(one.type) for one in harness.events if one.incident_id == id_]
        assert kinds[0] == "opened"
        assert kinds.count("opened") == 1
        assert kinds.count("resolved") == (not incident.is_open)
        assert "resolved" not in kinds[:-1]
