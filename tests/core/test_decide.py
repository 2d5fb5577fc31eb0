"""Decisions about accounts and incidents."""

from dataclasses import replace

import pytest
from factories import (
    HOUR,
    MINUTE,
    REJECTED,
    UNREACHABLE,
    World,
    frozen,
    listed_account,
    signed_out,
    told,
)
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.decide import STEPS, AccountState, Input, is_quiet, remind
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
    assert set(STEPS) == {
        (account_state, input_) for account_state in AccountState for input_ in Input
    }


def test_every_cause_is_an_accounts_or_a_workspaces():
    assert set(ACCOUNT_CAUSES) | set(BLIND_CAUSES) == set(Cause)


def test_the_first_poll_is_a_baseline_that_opens_only_what_is_bad():
    world = World()

    decision = world.poll(listed_account("ok"), signed_out("out"), frozen("cold"))

    assert decision.baseline
    assert sorted(told(decision)) == [("opened", "frozen"), ("opened", "reconnection_required")]
    assert {one.before for one in decision.transitions} == {None}


def test_an_empty_first_list_is_fine():
    decision = World().poll()

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
    world = World()
    world.poll(listed_account())

    opened = world.poll(account)
    resolved = world.poll(listed_account())

    assert told(opened) == [("opened", cause)]
    assert told(resolved) == [("resolved", cause)]
    assert resolved.incidents[0].resolution is Resolution.RECOVERED
    assert resolved.incidents[0].resolved_at - resolved.incidents[0].opened_at == MINUTE
    assert world.workspace.accounts["a1"].incident_id is None


def test_the_same_bad_status_again_says_nothing():
    world = World()
    world.poll(listed_account())
    world.poll(signed_out())

    decision = world.poll(signed_out())

    assert told(decision) == []
    assert decision.accounts == ()
    assert decision.incidents == ()


def test_open_after_counts_scheduled_polls():
    world = World(open_after=3)
    world.poll(listed_account())

    assert told(world.poll(signed_out())) == []
    first_bad = world.now
    assert told(world.poll(signed_out())) == []
    opened = world.poll(signed_out())

    assert told(opened) == [("opened", "reconnection_required")]
    assert opened.incidents[0].opened_at == first_bad


def test_recovery_before_open_after_tells_nobody():
    world = World(open_after=2)
    world.poll(listed_account())
    world.poll(signed_out())

    world.poll(listed_account())

    assert world.events == []
    assert told(world.poll(signed_out())) == []


def test_a_burst_of_unscheduled_polls_counts_once():
    world = World(open_after=3)
    world.poll(listed_account())

    for _ in range(10):
        world.poll(signed_out(), scheduled=False)

    assert world.events == []
    assert world.workspace.accounts["a1"].bad_polls == 1


def test_an_unscheduled_poll_may_open_at_once():
    world = World()
    world.poll(listed_account())

    assert told(world.poll(signed_out(), scheduled=False)) == [("opened", "reconnection_required")]


def test_resolve_after_waits_for_a_steady_recovery():
    world = World(resolve_after=2)
    world.poll(listed_account())
    world.poll(signed_out())

    assert told(world.poll(listed_account())) == []
    assert told(world.poll(signed_out())) == []
    assert told(world.poll(listed_account())) == []
    assert told(world.poll(listed_account())) == [("resolved", "reconnection_required")]


def test_another_cause_changes_the_incident_and_ends_its_acknowledgement():
    world = World()
    world.poll(signed_out())
    incident = world.open[0]
    world.incidents[incident.id] = replace(
        incident, acknowledged_by="ops", acknowledged_at=world.now
    )

    decision = world.poll(frozen())

    assert told(decision) == [("changed", "frozen")]
    changed = decision.incidents[0]
    assert changed.id == incident.id
    assert changed.previous_cause is Cause.RECONNECTION_REQUIRED
    assert changed.acknowledged_by is None
    assert world.workspace.accounts["a1"].session is None


def test_a_rotated_link_is_kept_without_a_word():
    world = World()
    world.poll(signed_out())

    decision = world.poll(signed_out(link="https://app.linkedapi.io/connection/new"))

    assert told(decision) == []
    session = world.workspace.accounts["a1"].session
    assert session.link.reveal() == "https://app.linkedapi.io/connection/new"


def test_a_first_link_that_comes_later_is_told():
    world = World(create=True)
    opened = world.poll(signed_out(link=""))
    assert opened.wanted == ("a1",)

    decision = world.poll(signed_out())

    assert told(decision) == [("refreshed", "reconnection_required")]
    assert decision.wanted == ()


def test_a_link_we_have_outlives_its_absence_in_the_list():
    world = World()
    world.poll(signed_out())

    world.poll(signed_out(link=""))

    assert world.workspace.accounts["a1"].session.link is not None


def test_the_link_goes_with_the_incident():
    world = World()
    world.poll(signed_out())

    world.poll(listed_account())

    assert world.workspace.accounts["a1"].session is None


@pytest.mark.parametrize("failure", [UNREACHABLE, REJECTED, RATE_LIMITED])
def test_a_failed_poll_touches_no_account(failure):
    world = World()
    world.poll(listed_account("ok"), signed_out("out"))
    accounts = world.workspace.accounts

    decision = world.fail(failure)

    assert decision.accounts == ()
    assert decision.transitions == ()
    assert world.workspace.accounts is accounts


def test_a_workspace_is_blind_after_blind_after():
    world = World(blind_after=Duration.parse("5m"))
    world.poll(listed_account())

    for _ in range(5):
        assert told(world.fail()) == []
    decision = world.fail()

    assert told(decision) == [("opened", "unreachable")]
    assert decision.incidents[0].scope is Scope.WORKSPACE
    assert told(world.fail()) == []


def test_a_rejected_token_is_told_after_two_polls():
    world = World()
    world.poll(listed_account())

    assert told(world.fail(REJECTED)) == []
    assert told(world.fail(REJECTED)) == [("opened", "token_rejected")]


def test_blindness_ends_with_the_first_good_poll_and_accounts_are_told_in_the_same_commit():
    world = World()
    world.poll(listed_account())
    world.fail(REJECTED)
    world.fail(REJECTED)

    decision = world.poll(signed_out())

    assert told(decision) == [("resolved", "token_rejected"), ("opened", "reconnection_required")]
    assert world.workspace.failing is None
    assert world.workspace.incident_id is None


def test_the_cause_of_blindness_changes_once_it_lasts_two_polls():
    world = World()
    world.fail(REJECTED)
    world.fail(REJECTED)

    assert told(world.fail(UNREACHABLE)) == []
    assert told(world.fail(RATE_LIMITED)) == []
    assert told(world.fail(RATE_LIMITED)) == [("changed", "rate_limited")]


def test_failed_polls_neither_count_nor_reset():
    world = World(open_after=2)
    world.poll(listed_account())
    world.poll(signed_out())

    world.fail()

    assert told(world.poll(signed_out())) == [("opened", "reconnection_required")]


def test_an_account_that_returns_in_time_was_never_gone():
    world = World()
    world.poll(listed_account("a"), listed_account("b"), listed_account("c"))

    world.poll(listed_account("a"), listed_account("b"))
    world.poll(listed_account("a"), listed_account("b"))
    world.poll(listed_account("a"), listed_account("b"), listed_account("c"))

    assert world.events == []
    assert world.workspace.accounts["c"].missing_polls == 0


def test_an_account_is_gone_after_missing_after_polls():
    world = World()
    world.poll(listed_account("a"), listed_account("b"), signed_out("c"))

    decisions = [world.poll(listed_account("a"), listed_account("b")) for _ in range(3)]

    assert [told(one) for one in decisions] == [[], [], [("resolved", "reconnection_required")]]
    assert decisions[-1].incidents[0].resolution is Resolution.DISAPPEARED
    assert set(world.workspace.accounts) == {"a", "b"}
    assert decisions[-1].accounts[0].session is None


def test_a_healthy_account_that_is_gone_is_a_notice():
    world = World()
    world.poll(listed_account("a"), listed_account("b"))

    for _ in range(3):
        decision = world.poll(listed_account("a"))

    assert told(decision) == [("notice", "disappeared")]


def test_many_that_vanish_at_once_need_more_polls():
    world = World()
    world.poll(*(listed_account(id_) for id_ in "abcde"))

    decisions = [world.poll(listed_account("a"), listed_account("b")) for _ in range(10)]

    assert all(not one.events for one in decisions[:9])
    assert len(decisions[9].events) == 3


@pytest.mark.parametrize("listed", [(), (listed_account("x"), listed_account("y"))])
def test_a_list_with_none_of_the_known_accounts_is_blindness(listed):
    world = World()
    world.poll(listed_account("a"), signed_out("b"))
    accounts = world.workspace.accounts

    for _ in range(20):
        decision = world.poll(*listed)

    assert world.workspace.accounts is accounts
    assert decision.accounts == ()
    assert [str(one.cause) for one in world.open] == ["reconnection_required", "bad_response"]


@pytest.mark.parametrize(
    "url",
    [
        "https://www.linkedin.com/in/j%C3%BCrgen",
        "https://linkedin.com/in/JÜRGEN/",
        "http://www.linkedin.com/in/jürgen?trk=x",
    ],
)
def test_the_same_person_under_a_new_id_replaces_the_old(url):
    world = World()
    world.poll(signed_out("old", url="https://www.linkedin.com/in/jürgen/"), listed_account("b"))

    decisions = [world.poll(listed_account("new", url=url), listed_account("b")) for _ in range(3)]

    assert told(decisions[-1]) == [("resolved", "reconnection_required")]
    assert decisions[-1].incidents[0].resolution is Resolution.REPLACED


def test_a_single_account_may_be_replaced():
    world = World()
    world.poll(listed_account("old", url="https://www.linkedin.com/in/jane/"))

    for _ in range(3):
        decision = world.poll(listed_account("new", url="https://www.linkedin.com/in/jane"))

    assert told(decision) == [("notice", "replaced")]


def test_two_ids_with_one_profile_are_two_accounts():
    world = World()
    world.poll(
        listed_account("a", url="https://x.test/in/j"),
        listed_account("b", url="https://x.test/in/j"),
    )

    for _ in range(3):
        decision = world.poll(listed_account("a", url="https://x.test/in/j"))

    assert told(decision) == [("notice", "disappeared")]


def test_an_account_that_comes_back_after_it_was_believed_gone_is_watched_again():
    world = World()
    world.poll(listed_account("a"), listed_account("b"))
    for _ in range(3):
        world.poll(listed_account("a"))

    decision = world.poll(listed_account("a"), signed_out("b"))

    assert told(decision) == [("opened", "reconnection_required")]


def flapping_world():
    world = World(flapping=Flapping(changes=4, settle=Duration.parse("30m")))
    world.poll(listed_account())
    for account in (signed_out(), listed_account(), signed_out()):
        world.poll(account)
    return world


def test_flapping_is_one_incident_without_a_storm():
    world = flapping_world()

    decision = world.poll(listed_account())
    for account in (signed_out(), listed_account()) * 5:
        assert told(world.poll(account)) == []

    assert told(decision) == [("changed", "flapping")]
    assert len(world.open) == 1


def test_flapping_ends_when_active_has_settled():
    world = flapping_world()
    world.poll(listed_account())

    assert told(world.poll(listed_account())) == []
    decision = world.poll(listed_account(), after=HOUR)

    assert told(decision) == [("resolved", "flapping")]
    assert told(world.poll(signed_out())) == [("opened", "reconnection_required")]


def test_flapping_that_settles_in_a_bad_status_takes_its_cause():
    world = flapping_world()
    world.poll(listed_account())
    world.poll(frozen())

    decision = world.poll(frozen(), after=HOUR)

    assert told(decision) == [("changed", "frozen")]


def test_flapping_that_is_older_than_its_window_still_ends():
    world = World(flapping=Flapping(changes=4, within=HOUR, settle=Duration.parse("30m")))
    world.poll(listed_account())
    world.poll(signed_out())
    for account in (listed_account(), signed_out(), listed_account()):
        world.poll(account, after=15 * MINUTE)
    world.poll(signed_out(), after=14 * MINUTE)  # the first changes leave the window soon

    early = world.poll(signed_out(), after=29 * MINUTE)
    account = world.workspace.accounts["a1"]
    late = world.poll(signed_out(), after=MINUTE)

    assert told(early) == []
    assert not is_quiet(account, world.policy, create=False)
    assert told(late) == [("changed", "reconnection_required")]


def test_flapping_found_while_bad_changes_the_cause():
    world = World(flapping=Flapping(changes=3, settle=Duration.parse("30m")))
    world.poll(listed_account())
    world.poll(signed_out())
    world.poll(listed_account())

    assert told(world.poll(signed_out())) == [("opened", "flapping")]


def test_a_change_between_bad_statuses_can_be_flapping():
    world = World(flapping=Flapping(changes=3, settle=Duration.parse("30m")))
    world.poll(signed_out())
    world.poll(frozen())
    world.poll(signed_out())

    assert told(world.poll(frozen())) == [("changed", "flapping")]


def test_since_never_lies_in_the_future_after_the_clock_went_back():
    world = World()
    world.poll(signed_out())

    world.poll(signed_out(), after=-10 * HOUR)
    resolved = world.poll(listed_account())

    assert world.workspace.accounts["a1"].since <= world.now
    assert resolved.incidents[0].resolved_at >= resolved.incidents[0].opened_at


def test_what_is_settled_needs_no_second_look():
    world = World()
    world.poll(listed_account("ok"), signed_out("out"), signed_out("linkless", link=""))
    accounts = world.workspace.accounts

    quiet = {id_: is_quiet(one, world.policy, create=True) for id_, one in accounts.items()}

    assert quiet == {"ok": True, "out": True, "linkless": False}


def due(world, *, failing=False, current=True, account=True, now=None):
    incident = world.open[0]
    return remind(
        incident,
        world.workspace.accounts.get(incident.account_id) if account else None,
        failing=failing,
        current=current,
        policy=world.policy,
        now=now or world.now,
        new_id=lambda: "e",
    )


def test_reminders_follow_their_steps_and_the_last_repeats():
    world = World(remind=(MINUTE, HOUR))
    world.poll(signed_out())
    assert world.open[0].next_due_at == world.now + MINUTE

    for step in (HOUR, HOUR, HOUR):
        incident, event = due(world)
        world.incidents[incident.id] = incident
        assert event is not None
        assert incident.next_due_at == world.now + step
    assert incident.reminders == 3


def test_reminders_end_at_remind_max():
    world = World(remind=(MINUTE,), remind_max=1)
    world.poll(signed_out())

    incident, event = due(world)
    assert event is not None
    assert incident.next_due_at is None
    world.incidents[incident.id] = incident
    assert due(world)[1] is None


def test_no_steps_are_no_reminders():
    world = World(remind=())
    world.poll(signed_out())

    assert world.open[0].next_due_at is None
    assert due(world) == (world.open[0], None)


def test_an_acknowledged_or_ended_incident_has_no_reminders():
    world = World()
    world.poll(signed_out())
    incident = world.open[0]

    for quiet in (
        replace(incident, acknowledged_at=world.now),
        replace(incident, resolved_at=world.now),
    ):
        world.incidents[incident.id] = quiet
        ended, event = remind(
            quiet,
            None,
            failing=False,
            current=True,
            policy=world.policy,
            now=world.now,
            new_id=str,
        )
        assert event is None
        assert ended.next_due_at is None


@pytest.mark.parametrize("uncertainty", ["failing", "missing", "improving", "not current"])
def test_a_reminder_is_held_while_nobody_knows(uncertainty):
    world = World(resolve_after=2)
    world.poll(signed_out(), listed_account("other"))
    if uncertainty == "missing":
        world.poll(listed_account("other"))
    if uncertainty == "improving":
        world.poll(listed_account(), listed_account("other"))

    incident, event = due(
        world, failing=uncertainty == "failing", current=uncertainty != "not current"
    )

    assert event is None
    assert incident.next_due_at > world.now


def test_a_blind_workspace_is_reminded_of_while_it_fails():
    world = World()
    world.fail(REJECTED)
    world.fail(REJECTED)

    assert due(world, failing=True, account=False)[1] is not None


def test_an_account_that_becomes_ignored_ends_its_incident_as_unwatched():
    world = World()
    world.poll(listed_account("a"), signed_out("b"), frozen("c"))
    world.ignored = {"b"}

    decision = world.poll(listed_account("a"), signed_out("b"), frozen("c"))

    assert told(decision) == [("resolved", "reconnection_required")]
    assert [one.resolution for one in decision.incidents] == [Resolution.UNWATCHED]
    assert decision.transitions == ()
    (gone,) = decision.accounts
    assert (gone.id, gone.removed_at, gone.incident_id, gone.session) == (
        *("b", world.now, None, None),
    )
    assert set(world.workspace.accounts) == {"a", "c"}
    assert [one.account_id for one in world.open] == ["c"]
    assert told(world.poll(listed_account("a"), signed_out("b"), frozen("c"))) == []


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("status", [Status.ACTIVE, Status.RECONNECTION_REQUIRED])
def test_without_an_incident_nobody_hears_that_an_account_is_ignored(listed, status):
    world = World(open_after=2)
    world.poll(listed_account("a"), listed_account("b"))
    world.poll(listed_account("a"), listed_account("b", status))
    world.ignored = {"b"}

    decision = world.poll(listed_account("a"), *([listed_account("b", status)] if listed else []))

    assert decision.events == ()
    assert [one.removed_at for one in decision.accounts] == [world.now]
    assert set(world.workspace.accounts) == {"a"}


def test_an_ignored_account_never_opens_and_a_watched_one_does_again():
    world = World()
    world.ignored = {"b"}
    world.poll(listed_account("a"), signed_out("b"))
    assert world.events == []
    assert set(world.workspace.accounts) == {"a"}

    world.ignored = set()

    assert told(world.poll(listed_account("a"), signed_out("b"))) == [
        ("opened", "reconnection_required")
    ]


def test_a_failed_poll_ignores_nobody_yet():
    world = World()
    world.poll(listed_account("a"), signed_out("b"))
    world.ignored = {"b"}

    assert world.fail().accounts == ()
    assert [one.account_id for one in world.open] == ["b"]


def test_all_accounts_may_be_ignored():
    world = World()
    world.poll(signed_out("a"), signed_out("b"))
    world.ignored = {"a", "b"}

    decision = world.poll(signed_out("a"))

    assert len(decision.events) == 2
    assert world.workspace.accounts == {}
    assert world.open == []
    assert told(world.poll(signed_out("a"), after=HOUR)) == []


def test_a_workspace_that_is_unwatched_ends_everything_that_is_open():
    world = World()
    world.poll(listed_account("a"), signed_out("b"), frozen("c"))
    world.fail(REJECTED)
    world.fail(REJECTED)

    decision = world.unwatch()

    assert sorted(told(decision)) == [
        ("resolved", "frozen"),
        ("resolved", "reconnection_required"),
        ("resolved", "token_rejected"),
    ]
    assert {one.resolution for one in decision.incidents} == {Resolution.UNWATCHED}
    assert {one.resolved_at for one in decision.incidents} == {world.now}
    assert {one.next_due_at for one in decision.incidents} == {None}
    assert {(one.removed_at, one.incident_id, one.session) for one in decision.accounts} == {
        (world.now, None, None)
    }
    assert len(decision.accounts) == 3
    assert world.open == []


def test_an_incident_that_no_account_points_to_ends_with_its_workspace_too():
    world = World()
    world.poll(signed_out("a"))
    world.workspace = replace(world.workspace, accounts={})

    assert told(world.unwatch()) == [("resolved", "reconnection_required")]


def test_a_workspace_that_comes_back_after_its_end_is_looked_at_as_for_the_first_time():
    world = World()
    world.poll(listed_account("a"), signed_out("b"))
    world.fail(REJECTED)
    world.unwatch()

    decision = world.poll(listed_account("x"), signed_out("b"))

    assert decision.baseline
    assert told(decision) == [("opened", "reconnection_required")]
    assert world.workspace.failing is None


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
    world = World()
    world.policy = policy
    for observation, ignored, scheduled, after in observations:
        world.ignored = ignored
        accounts_before = world.workspace.accounts
        if isinstance(observation, dict):
            listed = tuple(listed_account(id_, status) for id_, status in observation.items())
            decision = world.observe(Snapshot(listed), scheduled=scheduled, after=after)
            if not world.workspace.failing:
                assert not ignored & world.workspace.accounts.keys()
        elif observation == "left":
            decision = world.unwatch()
            assert not world.open
        else:
            decision = world.observe(observation, scheduled=scheduled, after=after)
            assert world.workspace.accounts is accounts_before

        subjects = [(one.scope, one.account_id) for one in world.open]
        assert len(subjects) == len(set(subjects))
        pointed = {one.incident_id for one in world.workspace.accounts.values()}
        pointed.add(world.workspace.incident_id)
        assert {one.id for one in world.open} == pointed - {None}
        assert all(
            one.opened_at <= (one.resolved_at or one.opened_at) for one in decision.incidents
        )

    for id_, incident in world.incidents.items():
        kinds = [str(one.type) for one in world.events if one.incident_id == id_]
        assert kinds[0] == "opened"
        assert kinds.count("opened") == 1
        assert kinds.count("resolved") == (not incident.is_open)
        assert "resolved" not in kinds[:-1]
