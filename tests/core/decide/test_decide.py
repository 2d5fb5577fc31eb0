"""The decisions as a whole: the table, the baseline, and what always holds."""

from itertools import product

import pytest
from harness.core import (
    HOUR,
    MINUTE,
    OPENED,
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
from monitor.core.decide.accounts import AccountState, Input
from monitor.core.model import Snapshot, Status
from monitor.core.policy import Flapping, IncidentPolicy


@pytest.mark.pain("recovery lost in a gap of the states")
def test_the_table_has_a_step_for_every_state_and_input():
    assert set(TRANSITIONS) == set(product(AccountState, Input))


@pytest.mark.case("first poll ever")
def test_the_first_poll_is_a_baseline_that_opens_only_what_is_bad():
    harness = CoreHarness()

    decision = harness.poll(listed_account("ok"), signed_out("out"), frozen("cold"))

    assert decision.baseline
    assert sorted(told(decision)) == ["opened frozen: seen_bad", OPENED]
    assert {transition.before for transition in decision.transitions} == {None}


def test_failed_polls_neither_count_nor_reset():
    harness = CoreHarness(open_after=2)
    harness.polls(listed_account(), signed_out())

    harness.fail()

    assert told(harness.poll(signed_out())) == [OPENED]


@pytest.mark.case("clock back")
def test_since_never_lies_in_the_future_after_the_clock_went_back():
    harness = CoreHarness()
    harness.poll(signed_out())

    harness.poll(signed_out(), after=-10 * HOUR)
    resolved = harness.poll(listed_account())

    assert harness.workspace.accounts["a1"].since <= harness.now
    assert resolved.incidents[0].resolved_at >= resolved.incidents[0].opened_at


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

        subjects = [incident.about for incident in harness.open]
        assert len(subjects) == len(set(subjects))
        of_accounts = {incident.account_id for incident in harness.open} - {None}
        assert of_accounts <= harness.workspace.accounts.keys()
        assert harness.sessions.keys() <= of_accounts, "a link goes when its incident ends"
        for incident in decision.incidents:
            assert incident.is_open or incident.opened_at <= incident.resolved_at

    for id_, incident in harness.incidents.items():
        kinds = [event.type for event in harness.events if event.incident_id == id_]
        assert kinds[0] == "opened"
        assert kinds.count("opened") == 1
        assert kinds.count("resolved") == (not incident.is_open)
        assert "resolved" not in kinds[:-1]
