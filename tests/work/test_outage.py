"""Linked API itself is away: one incident in place of one a workspace."""

import threading
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest
from harness import postgresql
from harness.core import (
    HOUR,
    MINUTE,
    REJECTED,
    UNREACHABLE,
    listed_account,
    make_recorder,
    make_routing,
    signed_out,
)
from harness.leases import DAY, REPLICA, live
from harness.store import StoreHarness
from sqlalchemy import text

from monitor.core.act import Act, ActKind, Way
from monitor.core.inventory import Inventory
from monitor.core.model import ALL_WORKSPACES, Cause, Failure
from monitor.core.mutes import MuteRule
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Match, Route
from monitor.core.text import iso_time
from monitor.store import clock, outside
from monitor.store.db import Store
from monitor.work import act, handover
from monitor.work.liveness import hold
from monitor.work.poll import PollRules, commit
from monitor.work.tick import Ticker, TickRules

GARBAGE = Failure(Cause.BAD_RESPONSE, "answered no JSON")
LIMITED = Failure(Cause.RATE_LIMITED, "too many requests")
NAMES = ("a", "b", "c", "d", "e")


class Fleet(StoreHarness):
    """Several workspaces, each polled once a minute; `slack` hears of all of them."""

    def __init__(self, store, names=NAMES, **kwargs):
        super().__init__(store, **kwargs)
        self.detach()
        self.listed = ()
        self.attached = dict.fromkeys(names)
        self.restart()

    def round(self, failures=(), *, times=1, **accounts):
        """Poll everybody once; those in *failures* fail so. Return what happened.

        *accounts* are those of each workspace.
        """
        events = []
        for _ in range(times):
            self.now += MINUTE
            for name, (workspace, term) in self.attached.items():
                self.workspace, self.term = workspace, term
                if failure := dict(failures).get(name):
                    recorded = self.observe(failure, after=0)
                else:
                    recorded = self.poll(*accounts.get(name, self.listed), after=0)
                self.attached[name] = self.workspace, term
                events += recorded.decision.events
        return [(event.workspace, f"{event.type} {event.cause}") for event in events]

    def restart(self):
        for name in self.attached:
            self.attach(name)
            self.attached[name] = self.workspace, self.term
        self.inventory = Inventory({name: {} for name in self.attached})

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
@pytest.mark.pain("alerts of all that is behind what is down")
def test_an_outage_is_one_incident_however_many_workspaces_are_blind(fleet, away):
    before = fleet.run(outside.count)
    assert fleet.round(failing(*away), times=20) == [("*", "opened unreachable")]
    assert fleet.run(outside.count) > before, "another may hold what is of all"
    assert fleet.deliver_all() == [[("opened", None)]]
    details = fleet.column("SELECT detail FROM event WHERE workspace = '*'")
    assert details == [f"{len(away)} of 5 workspaces can't be read"]

    assert fleet.round() == [("*", "resolved unreachable")]
    assert fleet.deliver_all() == [[("resolved", None)]]
    assert fleet.round(times=9) == []


def test_an_outage_that_two_replicas_notice_at_once_is_one_incident(postgres_tables_url):
    with (
        closing(Store.open(postgres_tables_url)) as store,
        closing(Store.open(postgres_tables_url)) as another,
    ):
        fleet = Fleet(store)
        assert fleet.round(failing(*NAMES), times=5) == [], "they are about to be blind"
        fleet.now += MINUTE
        recorded = []

        def poll(store, name, then=lambda _: None):
            def work(tx):
                workspace, term = fleet.attached[name]
                values = {"scheduled": True, "now": fleet.now, "new_id": fleet.new_id}
                rules = fleet.rules
                recorded.append(
                    commit(tx, workspace, UNREACHABLE, term=term, rules=rules, **values)
                )
                return then(tx)

            return store.run_now(work, of=(name,))

        other = threading.Thread(target=poll, args=(another, "b"))

        def while_another_polls(tx):
            other.start()
            while other.is_alive() and not postgresql.waiting(tx):
                pass
            return postgresql.waiting(tx)

        assert poll(store, "a", while_another_polls) == ["advisory"]
        other.join()
        events = [event for each in recorded for event in each.decision.events]
        assert [(event.workspace, event.type) for event in events] == [("*", "opened")]


def test_what_ends_with_an_outage_is_told_of_its_own_workspace(store):
    fleet = Fleet(store, NAMES[:3], group_over=1)
    fleet.round(c=[signed_out("a1"), signed_out("a2")])
    fleet.deliver_all()
    assert fleet.round(failing(*NAMES[:3]), times=9) == [("*", "opened unreachable")]
    fleet.deliver_all()

    fleet.round(failing("b"), c=[listed_account("a1"), listed_account("a2")])

    told = [[("resolved", None)], [("resolved", "a1"), ("resolved", "a2")]]
    assert sorted(fleet.deliver_all(), key=len) == told


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
    fleet.restart()

    assert all(workspace.failing for workspace, _ in fleet.attached.values()), "no poll is quiet"
    assert fleet.round() == [("*", "resolved unreachable")]


def test_an_outage_outlives_a_restart(fleet):
    fleet.round(failing(*NAMES), times=9)
    fleet.restart()

    assert fleet.round(failing(*NAMES), times=9) == []


def test_workspaces_that_are_new_and_not_yet_polled_end_no_outage(fleet):
    fleet.round(failing(*NAMES), times=9)
    for name in ("f", "g", "h", "i", "j", "k"):
        fleet.attach(name)

    assert fleet.round(failing(*NAMES)) == []


def test_an_outage_ends_when_lists_come_again_however_strange(fleet):
    fleet.listed = (listed_account(),)
    fleet.round()
    fleet.round(failing(*NAMES), times=9)
    fleet.listed = ()

    assert ("*", "resolved unreachable") in fleet.round()


def test_an_outage_that_ended_before_the_clock_went_back_excuses_nobody(fleet):
    fleet.round(failing(*NAMES), times=9)
    fleet.round()
    fleet.now -= HOUR
    fleet.run(lambda tx: clock.set_clock(tx, REPLICA, fleet.now))

    events = fleet.round(failing("a"), times=9)

    assert events == [("a", "opened unreachable")]


def test_the_end_of_an_outage_is_no_part_of_what_one_workspace_tells(fleet):
    ids = [f"a{number}" for number in range(6)]
    fleet.listed = tuple(map(listed_account, ids))
    fleet.round()
    fleet.round(failing(*NAMES), times=9)
    fleet.deliver_all()
    fleet.listed = tuple(map(signed_out, ids))

    fleet.round()

    assert [("resolved", None)] in fleet.deliver_all()
    assert fleet.column("SELECT workspace FROM notification WHERE event = 'resolved'") == ["*"]


def test_one_odd_answer_in_an_outage_is_no_blindness_of_its_own(fleet):
    fleet.round(failing(*NAMES), times=9)

    assert fleet.round({**failing(*NAMES), **failing("a", failure=GARBAGE)}) == []
    assert fleet.round(failing(*NAMES)) == []
    failures = {**failing(*NAMES), **failing("a", failure=GARBAGE)}
    assert fleet.round(failures, times=2) == [("a", "opened bad_response")]


@pytest.mark.case("start, or the host slept")
def test_what_is_queued_of_an_outage_waits_for_a_poll_after_a_restart(fleet):
    fleet.round(failing(*NAMES), times=9)
    fleet.restart()
    assert fleet.deliver() is None

    fleet.round()

    assert fleet.deliver() is None
    assert fleet.states() == [("slack", "opened", "cancelled", "recovered")]


@pytest.mark.parametrize(("replica", "waits"), [(REPLICA, "look"), ("another", None)])
def test_what_is_queued_of_an_outage_waits_for_a_look_of_who_tells_of_it(fleet, replica, waits):
    fleet.round(failing(*NAMES), times=9)

    fleet.run(lambda tx: hold(tx, replica, ["a", ALL_WORKSPACES], now=fleet.now))

    assert fleet.column("SELECT waits FROM message") == [waits]


def test_what_is_queued_of_an_outage_does_not_wait_again_as_more_is_taken(fleet):
    fleet.round(failing(*NAMES), times=9)
    take = partial(handover.take, replica=REPLICA, names=["a"], silent={}, blind_after=DAY)

    assert fleet.run(partial(take, now=fleet.now)) == ["a"]

    assert fleet.column("SELECT waits FROM message") == [None]


@pytest.mark.case("start, or the host slept")
def test_an_outage_that_goes_on_after_a_restart_is_told(fleet):
    fleet.round(failing(*NAMES), times=9)
    fleet.restart()
    before = fleet.run(outside.count)

    fleet.round(failing(*NAMES))

    assert fleet.run(outside.count) > before, "another may hold what is of all"
    assert fleet.deliver_all() == [[("opened", None)]]


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


@pytest.fixture
def ticker(fleet):
    def term_of(name):
        return fleet.attached[name][1] if name in fleet.attached else None

    rules = TickRules(fleet.rules.policy, fleet.rules.routing, keep=180 * DAY)
    return Ticker(rules, make_recorder(fleet, {}), term_of)


async def told(fleet, ticker):
    while await ticker.tick():
        pass
    return fleet.deliver_all()


def mute(fleet, ticker, *rules):
    routing = replace(fleet.rules.routing, mutes=rules)
    fleet.rules = replace(fleet.rules, routing=routing)
    ticker.rules = replace(ticker.rules, routing=routing)


@pytest.mark.case("Linked API itself is away", "mute ends while still bad")
@pytest.mark.parametrize("how", ["in time", "by reload"])
async def test_an_outage_that_was_muted_is_told_and_holds_up_no_reminder(fleet, ticker, how):
    until = "forever" if how == "by reload" else iso_time(fleet.now + HOUR)
    mute(fleet, ticker, MuteRule(until=until, match=Match(scopes=("workspace",))))
    fleet.listed = (signed_out("out"),)
    fleet.round(failing(*NAMES[:4]), times=10)
    assert await told(fleet, ticker) == [[("opened", "out")]]

    fleet.round(failing(*NAMES[:4]), times=60)
    if how == "by reload":
        mute(fleet, ticker)

    assert sorted(await told(fleet, ticker), key=str) == [
        [("opened", None)],
        [("reminded", "out")],
    ]
    fleet.round(times=1)
    assert [("resolved", None)] in await told(fleet, ticker)


@pytest.mark.case("Linked API itself is away", "acknowledged")
async def test_an_outage_that_somebody_has_for_a_while_holds_up_no_reminder(fleet, ticker):
    fleet.listed = (signed_out("out"),)
    fleet.round(failing(*NAMES[:4]), times=10)
    await told(fleet, ticker)
    rules = act.ActRules(fleet.rules.policy, fleet.rules.routing, fleet.new_id)
    made = Act("1", fleet.now, ActKind.ACK, Way.CLI, "ann", workspace=ALL_WORKSPACES)
    chosen = act.Chosen(cause=Cause.UNREACHABLE)
    fleet.run(lambda tx: act.ack(tx, made, chosen, rules, lasts=MINUTE))

    fleet.round(failing(*NAMES[:4]), times=60)

    assert await told(fleet, ticker) == [[("reminded", "out")]]
    assert fleet.column("SELECT acknowledged_by FROM incident WHERE workspace = '*'") == [None]


async def test_an_outage_is_left_to_the_replica_that_holds_it(fleet, ticker):
    mute(fleet, ticker, MuteRule(until="forever", match=Match(scopes=("workspace",))))
    fleet.round(failing(*NAMES), times=10)
    fleet.run(lambda tx: live(tx, "other"))
    given = text("UPDATE workspace SET holder = 'other' WHERE name = '*'")
    (outage,) = fleet.column("SELECT id FROM incident WHERE workspace = '*'")
    mute(fleet, ticker)
    fleet.run(lambda tx: tx.execute(given))

    assert not await ticker._decide("*", [outage], fleet.now, unmuted=True)
    assert await told(fleet, ticker) == []
