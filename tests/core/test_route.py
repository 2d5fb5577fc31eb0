"""Who hears of what."""

from dataclasses import replace

import pytest
from harness.core import NOON, CoreHarness, frozen, listed_account, make_routing, signed_out

from monitor.core.inventory import AccountMatch, AccountRule, Inventory
from monitor.core.model import Cause, Event, EventType, Reason
from monitor.core.route import SEVERITY, Audience, Match, Route, Routing, fallback_event, plan

PEOPLE = {"slack": True, "mail": True}


def event(kind=EventType.OPENED, cause=Cause.FROZEN, *, account="a1", incident="i1"):
    return Event("e1", kind, NOON, "acme", account, incident, Reason.SEEN_BAD, cause)


def told(*events, routing=None, audience=None, accounts=None, group_over=5):
    return plan(
        events,
        audience=audience or {},
        routing=routing or make_routing(PEOPLE),
        accounts=accounts or {},
        group_over=group_over,
    )


def receivers(planned):
    return sorted(one.receiver for one in planned.messages)


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
    harness = CoreHarness()
    harness.poll(frozen())
    inventory = Inventory({"acme": {"team": "growth"}})
    routing = make_routing(PEOPLE, Route(match=match, to=("mail",)), inventory=inventory)

    planned = told(event(), routing=routing, accounts=harness.workspace.accounts)

    assert receivers(planned) == (["mail"] if hears else [])
    assert bool(planned.unrouted) is not hears


def test_the_first_match_wins_unless_it_proceeds():
    stop = make_routing(PEOPLE, Route(to=("mail",)), Route(to=("slack",)))
    continues = make_routing(PEOPLE, Route(to=("mail",), continues=True), Route(to=("slack",)))

    assert receivers(told(event(), routing=stop)) == ["mail"]
    assert receivers(told(event(), routing=continues)) == ["mail", "slack"]


def test_what_no_route_matches_goes_to_the_fallback():
    routing = make_routing(
        PEOPLE, Route(match=Match(causes=("unknown",)), to=("slack",)), fallback="mail"
    )

    assert receivers(told(event(), routing=routing)) == ["mail"]


def test_a_resolution_goes_to_exactly_those_who_heard_or_are_hearing():
    audience = {"i1": Audience(heard=frozenset({"mail"}), sending=frozenset({"slack", "gone"}))}

    assert receivers(told(event(EventType.RESOLVED), audience=audience)) == ["mail", "slack"]
    assert receivers(told(event(EventType.RESOLVED))) == []
    assert told(event(EventType.RESOLVED)).unrouted == ()


def test_a_change_goes_to_those_who_heard_and_to_the_route_of_the_new_cause():
    audience = {"i1": Audience(heard=frozenset({"slack"}))}
    routing = make_routing(PEOPLE, Route(match=Match(causes=("frozen",)), to=("mail",)))

    assert receivers(told(event(EventType.CHANGED), audience=audience, routing=routing)) == [
        "mail",
        "slack",
    ]


@pytest.mark.parametrize(
    ("heard", "reminded"), [({"slack"}, ["slack"]), (set(PEOPLE), ["mail", "slack"])]
)
def test_a_fallback_that_stands_in_for_another_is_reminded_too(heard, reminded):
    audience = {"i1": Audience(heard=frozenset(heard))}
    routing = make_routing(PEOPLE, Route(to=("slack",)), fallback="mail")

    assert (
        receivers(told(event(EventType.REMINDED), audience=audience, routing=routing)) == reminded
    )


def test_a_first_link_is_told_only_to_those_who_heard_and_have_nothing_waiting():
    audience = {"i1": Audience(heard=frozenset({"slack", "mail"}), waiting=frozenset({"mail"}))}

    assert receivers(told(event(EventType.REFRESHED), audience=audience)) == ["slack"]


def test_nothing_is_queued_twice_for_one_receiver():
    audience = {"i1": Audience(waiting=frozenset({"slack"}))}

    assert receivers(told(event(EventType.REMINDED), audience=audience)) == ["mail"]


def test_more_than_group_over_become_one_message_worst_first():
    harness = CoreHarness()
    harness.poll(listed_account("ok"), *(frozen(f"f{n}") for n in range(4)), signed_out("out"))

    planned = told(
        *harness.events, routing=make_routing({"slack": True, "hook": False}), group_over=4
    )

    slack = [one for one in planned.messages if one.receiver == "slack"]
    assert len(slack) == 1
    assert len(slack[0].events) == 5
    assert slack[0].events[0].cause is Cause.RECONNECTION_REQUIRED
    assert len([one for one in planned.messages if one.receiver == "hook"]) == 5


def test_up_to_group_over_are_told_one_by_one():
    harness = CoreHarness()
    harness.poll(*(frozen(f"f{n}") for n in range(5)))

    assert len(told(*harness.events, routing=make_routing({"slack": True})).messages) == 5


def test_every_cause_has_its_place_in_a_group():
    assert set(SEVERITY) == {*Cause, None}


# ── receivers that a label addresses ─────────────────────────────────────────────────────────────

OWNERS = {
    "a1": {"owner": "jane@example.com"},
    "a2": {"owner": "joe@example.com"},
    "a3": {"owner": "jane@example.com"},
}


def owners(*routes, fallback=None, groups=None, common=None):
    """`mail` writes to whoever the label `owner` names; `slack` has an address of its own."""
    rules = [AccountRule(AccountMatch(ids=(id_,)), labels) for id_, labels in OWNERS.items()]
    receivers = make_routing(groups or PEOPLE).receivers
    return Routing(
        {**receivers, "mail": replace(receivers["mail"], address_label="owner")},
        routes,
        fallback=fallback,
        inventory=Inventory({"acme": common or {}}, rules),
    )


def problem(id_, kind=EventType.OPENED):
    return event(kind, account=id_, incident=f"i-{id_}")


def known(*ids):
    harness = CoreHarness()
    harness.poll(*(frozen(id_) for id_ in ids))
    return harness.workspace.accounts


def test_an_address_is_the_receivers_own_or_that_of_the_label_or_none():
    slack, mail = owners().receivers["slack"], owners().receivers["mail"]

    assert slack.address({}) == ""
    assert mail.address({"owner": "jane@example.com"}) == "jane@example.com"
    assert mail.address({"team": "growth"}) is None


def test_who_has_no_address_for_an_account_is_not_told_and_the_others_are():
    accounts = known("a1", "stray")

    assert receivers(told(problem("a1"), routing=owners(), accounts=accounts)) == ["mail", "slack"]
    assert receivers(told(problem("stray"), routing=owners(), accounts=accounts)) == ["slack"]


def test_the_label_of_a_workspace_is_an_address_too():
    routing = owners(common={"owner": "ops@example.com"})

    planned = told(problem("stray"), event(account=None), routing=routing, accounts=known("stray"))

    assert receivers(planned) == ["mail", "mail", "slack", "slack"]


def test_if_nobody_on_the_route_has_an_address_the_fallback_hears_of_it():
    only_mail = Route(to=("mail",))
    accounts = known("stray")

    heard = told(problem("stray"), routing=owners(only_mail, fallback="slack"), accounts=accounts)
    unheard = told(problem("stray"), routing=owners(only_mail), accounts=accounts)

    assert receivers(heard) == ["slack"]
    assert heard.unrouted == ()
    assert receivers(unheard) == []
    assert len(unheard.unrouted) == 1


def test_a_route_that_has_no_address_still_ends_the_search():
    routing = owners(Route(to=("mail",)), Route(to=("slack",)))
    proceeding = owners(Route(to=("mail",), continues=True), Route(to=("slack",)))
    accounts = known("stray")

    assert receivers(told(problem("stray"), routing=routing, accounts=accounts)) == []
    assert receivers(told(problem("stray"), routing=proceeding, accounts=accounts)) == ["slack"]


def test_one_message_holds_only_what_goes_to_one_address():
    events = [problem(id_) for id_ in ("a1", "a2", "a3", "stray")]

    planned = told(*events, routing=owners(), accounts=known(*OWNERS, "stray"), group_over=1)

    mails = [
        sorted(event.account_id for event in one.events)
        for one in planned.messages
        if one.receiver == "mail"
    ]
    assert sorted(mails) == [["a1", "a3"], ["a2"]]
    (slack,) = (one for one in planned.messages if one.receiver == "slack")
    assert len(slack.events) == 4


def test_how_many_are_one_message_is_counted_for_each_address():
    events = [problem(id_) for id_ in ("a1", "a2", "a3")]

    planned = told(*events, routing=owners(), accounts=known(*OWNERS), group_over=2)

    assert [len(one.events) for one in planned.messages if one.receiver == "mail"] == [1] * 3


def test_a_resolution_goes_to_who_heard_even_if_the_label_is_gone():
    audience = {"i-stray": Audience(heard=frozenset({"mail"}))}

    planned = told(
        problem("stray", EventType.RESOLVED),
        routing=owners(),
        audience=audience,
        accounts=known("stray"),
    )

    assert receivers(planned) == ["mail"]


def test_a_change_leads_away_from_who_has_lost_the_address():
    audience = {"i-stray": Audience(waiting=frozenset({"mail", "slack"}))}

    planned = told(
        problem("stray", EventType.CHANGED),
        routing=owners(),
        audience=audience,
        accounts=known("stray"),
    )

    assert planned.rerouted == (("i-stray", "mail"),)


OPEN = CoreHarness()
OPEN.poll(frozen("a1"))
(INCIDENT,) = OPEN.open
HEARD = Audience(heard=frozenset({"mail"}))


@pytest.mark.parametrize(
    ("incident", "audience", "is_known", "event_type"),
    [
        (INCIDENT, Audience(), False, EventType.OPENED),
        (INCIDENT, Audience(heard=frozenset({"slack"})), True, EventType.OPENED),
        (INCIDENT, HEARD, False, EventType.NOTICE),
        (INCIDENT, Audience(waiting=frozenset({"mail"})), False, EventType.NOTICE),
        (INCIDENT, Audience(sending=frozenset({"mail"})), True, None),
        (INCIDENT, HEARD, True, None),
        (replace(INCIDENT, resolved_at=NOON), HEARD, True, EventType.NOTICE),
        (None, Audience(), True, EventType.NOTICE),
    ],
)
def test_as_what_the_fallback_is_told_of_what_another_was_not(
    incident, audience, is_known, event_type
):
    assert fallback_event(incident, audience, "mail", is_known=is_known) is event_type
