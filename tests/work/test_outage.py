"""Linked API itself is away: one incident in place of one a workspace."""

import pytest
from harness.core import MINUTE, REJECTED, UNREACHABLE, make_routing
from harness.store import StoreHarness

from monitor.core.inventory import Inventory
from monitor.core.model import Cause, Failure
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Match, Route
from monitor.work.poll import PollRules

LIMITED = Failure(Cause.RATE_LIMITED, "too many requests")
NAMES = ("a", "b", "c", "d", "e")


class Fleet(StoreHarness):
    """Several workspaces, each polled once a minute; `slack` hears of all of them."""

    def __init__(self, store, names=NAMES, **kwargs):
        super().__init__(store, **kwargs)
        self.detach()
        self.attached = {}
        for name in names:
            self.attach(name)
            self.attached[name] = self.workspace, self.term
        self.inventory = Inventory({name: {} for name in names})

    def round(self, failures=(), *, times=1):
        """Poll everybody once; those in *failures* fail so. Return what happened."""
        events = []
        for _ in range(times):
            self.now += MINUTE
            for name, (workspace, term) in self.attached.items():
                self.workspace, self.term = workspace, term
                failure = dict(failures).get(name)
                recorded = self.observe(failure, after=0) if failure else self.poll(after=0)
                self.attached[name] = self.workspace, term
                events += recorded.decision.events
        return [(event.workspace, f"{event.type} {event.cause}") for event in events]

    def leave(self, *names):
        for name in names:
            del self.attached[name]
        self.detach(*self.attached)


def failing(*names, failure=UNREACHABLE):
    return dict.fromkeys(names, failure)


@pytest.fixture
def fleet(store):
    return Fleet(store)


@pytest.mark.case("Linked API itself is away")
@pytest.mark.parametrize("away", [NAMES, NAMES[:3]])
def test_an_outage_is_one_incident_however_many_workspaces_are_blind(fleet, away):
    assert fleet.round(failing(*away), times=20) == [("*", "opened unreachable")]
    assert fleet.deliver_all() == [[("opened", None)]]
    details = fleet.column("SELECT detail FROM event WHERE workspace = '*'")
    assert details == [f"{len(away)} of 5 workspaces can't be read"]

    assert fleet.round() == [("*", "resolved unreachable")]
    assert fleet.deliver_all() == [[("resolved", None)]]
    assert fleet.round(times=9) == []


def test_who_is_blind_alone_or_with_one_other_is_told_as_such(fleet):
    events = fleet.round(failing("a", "b"), times=9)

    assert events == [("a", "opened unreachable"), ("b", "opened unreachable")]


def test_a_small_house_has_no_outages(store):
    fleet = Fleet(store, ("a", "b"))

    events = fleet.round(failing("a", "b"), times=9)

    assert events == [("a", "opened unreachable"), ("b", "opened unreachable")]


def test_the_commoner_cause_is_that_of_the_outage(fleet):
    failures = {**failing("a", "b"), **failing("c", "d", "e", failure=LIMITED)}

    assert fleet.round(failures, times=9) == [("*", "opened rate_limited")]


def test_other_causes_are_told_of_each_workspace(fleet):
    events = fleet.round({**failing("a", "b", "c"), **failing("d", failure=REJECTED)}, times=9)

    assert sorted(events) == [("*", "opened unreachable"), ("d", "opened token_rejected")]


def test_who_failed_for_longer_than_the_others_has_its_own_and_keeps_it(fleet):
    assert fleet.round(failing("a"), times=9) == [("a", "opened unreachable")]

    assert fleet.round(failing(*NAMES), times=9) == [("*", "opened unreachable")]
    assert fleet.round(failing("a")) == [("*", "resolved unreachable")]
    assert fleet.round() == [("a", "resolved unreachable")]


def test_those_still_blind_two_minutes_after_the_outage_open_their_own(fleet):
    fleet.round(failing(*NAMES), times=9)

    ended = fleet.round(failing("a", "b"))
    events = [fleet.round(failing("a", "b")) for _ in range(3)]

    assert ended == [("*", "resolved unreachable")]
    assert events[0] == []
    assert events[1] == [("a", "opened unreachable"), ("b", "opened unreachable")]
    assert events[2] == []


def test_an_outage_ends_when_at_most_half_are_away(fleet):
    fleet.round(failing(*NAMES), times=9)

    assert fleet.round(failing("a", "b", "c"), times=3) == []
    fleet.leave("a", "b")
    assert fleet.round(failing("c")) == [("*", "resolved unreachable")]


def test_an_outage_that_was_over_before_a_restart_ends(fleet):
    fleet.round(failing(*NAMES), times=9)
    for name in NAMES:
        fleet.attach(name)
        fleet.attached[name] = fleet.workspace, fleet.term

    assert fleet.round() == [("*", "resolved unreachable")]


def test_all_receivers_that_hear_of_an_affected_workspace_are_told_once(store):
    fleet = Fleet(store)
    routes = [
        Route(match=Match(workspaces=("a",)), to=("ops",)),
        Route(match=Match(workspaces=("b", "c")), to=("dev", "ops")),
        Route(match=Match(workspaces=("e",)), to=("unaffected",)),
    ]
    receivers = dict.fromkeys(("ops", "dev", "unaffected", "fall"), True)
    routing = make_routing(receivers, *routes, fallback="fall", inventory=fleet.inventory)
    rules = fleet.rules
    fleet.rules = PollRules(
        IncidentPolicy(), routing, rules.next_due, create=False, cooldown=rules.cooldown
    )

    fleet.round(failing("a", "b", "c", "d"), times=9)

    told = {name: fleet.deliver_all(name) for name in receivers}
    opened = [[("opened", None)]]
    assert told == {"ops": opened, "dev": opened, "unaffected": [], "fall": []}
