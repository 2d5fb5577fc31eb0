"""Who hears of what."""

import pytest
from factories import NOON, World, frozen, seen, signed_out

from monitor.core.model import Cause, Event, EventType
from monitor.core.roster import Roster
from monitor.core.route import SEVERITY, Ears, Match, Route, Routing, plan

PEOPLE = {"slack": True, "mail": True}


def event(kind=EventType.OPENED, cause=Cause.FROZEN, *, account="a1", incident="i1"):
    return Event("e1", kind, NOON, "acme", account, incident, cause)


def told(*events, routing=None, ears=None, accounts=None, group_over=5):
    return plan(
        events,
        ears=ears or {},
        routing=routing or Routing(PEOPLE),
        accounts=accounts or {},
        group_over=group_over,
    )


def receivers(planned):
    return sorted(one.receiver for one in planned.parcels)


def test_no_routes_send_everything_to_everyone():
    assert receivers(told(event())) == ["mail", "slack"]


@pytest.mark.parametrize(
    ("match", "hears"),
    [
        (Match(), True),
        (Match(causes=("frozen",)), True),
        (Match(causes=("unknown",)), False),
        (Match(workspaces=("ac*",)), True),
        (Match(workspaces=("other",)), False),
        (Match(accounts=("a1",)), True),
        (Match(accounts=("Person *",)), True),
        (Match(accounts=("Nobody",)), False),
        (Match(scopes=("account",)), True),
        (Match(scopes=("workspace",)), False),
        (Match(labels={"team": "growth"}), True),
        (Match(labels={"team": "sales"}), False),
        (Match(causes=("frozen",), workspaces=("other",)), False),
    ],
)
def test_a_route_hears_what_matches_all_its_parts(match, hears):
    world = World()
    world.poll(frozen())
    roster = Roster({"acme": {"team": "growth"}})
    routing = Routing(PEOPLE, (Route(match, ("mail",)),), roster=roster)

    planned = told(event(), routing=routing, accounts=world.workspace.accounts)

    assert receivers(planned) == (["mail"] if hears else [])
    assert bool(planned.unrouted) is not hears


def test_the_first_match_wins_unless_it_proceeds():
    stop = Routing(PEOPLE, (Route(Match(), ("mail",)), Route(Match(), ("slack",))))
    proceed = Routing(PEOPLE, (Route(Match(), ("mail",), proceed=True), Route(Match(), ("slack",))))

    assert receivers(told(event(), routing=stop)) == ["mail"]
    assert receivers(told(event(), routing=proceed)) == ["mail", "slack"]


def test_what_no_route_matches_goes_to_the_fallback():
    routing = Routing(PEOPLE, (Route(Match(causes=("unknown",)), ("slack",)),), fallback="mail")

    assert receivers(told(event(), routing=routing)) == ["mail"]


def test_a_resolution_goes_to_exactly_those_who_heard_or_are_hearing():
    ears = {"i1": Ears(heard=frozenset({"mail"}), leaving=frozenset({"slack", "gone"}))}

    assert receivers(told(event(EventType.RESOLVED), ears=ears)) == ["mail", "slack"]
    assert receivers(told(event(EventType.RESOLVED))) == []
    assert told(event(EventType.RESOLVED)).unrouted == ()


def test_a_change_goes_to_those_who_heard_and_to_the_route_of_the_new_cause():
    ears = {"i1": Ears(heard=frozenset({"slack"}))}
    routing = Routing(PEOPLE, (Route(Match(causes=("frozen",)), ("mail",)),))

    assert receivers(told(event(EventType.CHANGED), ears=ears, routing=routing)) == [
        "mail",
        "slack",
    ]


def test_a_first_link_is_told_only_to_those_who_heard_and_have_nothing_waiting():
    ears = {"i1": Ears(heard=frozenset({"slack", "mail"}), waiting=frozenset({"mail"}))}

    assert receivers(told(event(EventType.REFRESHED), ears=ears)) == ["slack"]


def test_nothing_is_queued_twice_for_one_receiver():
    ears = {"i1": Ears(waiting=frozenset({"slack"}))}

    assert receivers(told(event(EventType.REMINDED), ears=ears)) == ["mail"]


def test_more_than_group_over_become_one_message_worst_first():
    world = World()
    world.poll(seen("ok"), *(frozen(f"f{n}") for n in range(4)), signed_out("out"))

    planned = told(*world.events, routing=Routing({"slack": True, "hook": False}), group_over=4)

    slack = [one for one in planned.parcels if one.receiver == "slack"]
    assert len(slack) == 1
    assert len(slack[0].notices) == 5
    assert slack[0].notices[0].event.cause is Cause.RECONNECTION_REQUIRED
    assert len([one for one in planned.parcels if one.receiver == "hook"]) == 5


def test_up_to_group_over_are_told_one_by_one():
    world = World()
    world.poll(*(frozen(f"f{n}") for n in range(5)))

    assert len(told(*world.events, routing=Routing({"slack": True})).parcels) == 5


def test_every_cause_has_its_place_in_a_group():
    assert set(SEVERITY) == {*Cause, None}
