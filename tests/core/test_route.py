"""Who hears of what."""

from dataclasses import replace

import pytest
from harness.core import NOON, CoreHarness, frozen, listed_account, make_routing, signed_out

from monitor.core.duration import Duration
from monitor.core.inventory import AccountMatch, AccountRule, Inventory
from monitor.core.model import Cause, Event, EventType, Reason
from monitor.core.mutes import Mute, MuteRule, Mutes
from monitor.core.plan import Plan, PlannedMessage, fallback_event, plan
from monitor.core.route import (
    Audience,
    Match,
    Receiver,
    Recipient,
    Route,
    Routing,
    Step,
    ask,
    steps_of,
)

PEOPLE = {"slack": True, "mail": True}


def event(kind=EventType.OPENED, cause=Cause.FROZEN, *, account="a1"):
    incident = f"i-{account}"
    return Event("e1", kind, NOON, "acme", account, incident, Reason.SEEN_BAD, cause)


def planned(*events, routing=None, accounts=None, group_over=5, **audience):
    """What is planned if all incidents of the events have this audience, at own addresses."""
    groups = {name: frozenset(map(Recipient, names)) for name, names in audience.items()}
    return plan(
        events,
        audiences={event.incident_id: Audience(**groups) for event in events},
        routing=routing or make_routing(PEOPLE),
        accounts=accounts or {},
        group_over=group_over,
    )


def receivers(*events, **given):
    return sorted(message.recipient.receiver for message in planned(*events, **given).messages)


def groups(plan, receiver):
    """The accounts of the events in each message to *receiver*."""
    return [
        [event.account_id for event in message.events]
        for message in plan.messages
        if message.recipient.receiver == receiver
    ]


def polled(*listed):
    harness = CoreHarness()
    harness.poll(*listed)
    return harness


def test_no_routes_send_everything_to_everyone():
    assert receivers(event()) == ["mail", "slack"]


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
    inventory = Inventory({"acme": {"team": "growth"}})
    routing = make_routing(PEOPLE, Route(match=match, to=("mail",)), inventory=inventory)
    accounts = polled(frozen()).workspace.accounts

    assert receivers(event(), routing=routing, accounts=accounts) == ["mail"] * hears
    assert bool(planned(event(), routing=routing, accounts=accounts).unrouted) is not hears


@pytest.mark.case("new name matches other rules")
def test_a_route_goes_by_the_name_that_an_account_is_matched_by():
    routing = make_routing(PEOPLE, Route(match=Match(accounts=("Dana *",)), to=("mail",)))
    harness = polled(frozen())
    harness.poll(frozen(name="Dana Fox"))

    assert receivers(event(), routing=routing, accounts=harness.workspace.accounts) == []


@pytest.mark.parametrize(("scope", "hears"), [("workspace", True), ("account", False)])
def test_what_is_about_no_account_is_about_the_workspace(scope, hears):
    routing = make_routing(PEOPLE, Route(match=Match(scopes=(scope,)), to=("mail",)))
    blind = event(cause=Cause.UNREACHABLE, account=None)

    assert receivers(blind, routing=routing) == ["mail"] * hears


@pytest.mark.parametrize(("continues", "hear"), [(False, ["mail"]), (True, ["mail", "slack"])])
def test_the_first_match_wins_unless_it_continues(continues, hear):
    routes = (Route(to=("mail",), continues=continues), Route(to=("slack",)))

    assert receivers(event(), routing=make_routing(PEOPLE, *routes)) == hear


@pytest.mark.case("event that no route matches")
def test_what_no_route_matches_goes_to_the_fallback():
    unknown = Route(match=Match(causes=("unknown",)), to=("slack",))

    assert receivers(event(), routing=make_routing(PEOPLE, unknown, fallback="mail")) == ["mail"]


def test_a_resolution_goes_to_exactly_those_who_heard_or_are_hearing():
    resolved = event(EventType.RESOLVED)

    assert receivers(resolved, heard={"mail"}, sending={"slack", "gone"}) == ["mail", "slack"]
    assert planned(resolved) == Plan()


@pytest.mark.case("signed out, then frozen, then active")
@pytest.mark.pain("cause that changes in silence")
def test_a_change_goes_to_those_who_heard_and_to_the_route_of_the_new_cause():
    routing = make_routing(PEOPLE, Route(match=Match(causes=("frozen",)), to=("mail",)))

    changed = receivers(event(EventType.CHANGED), heard={"slack"}, routing=routing)

    assert changed == ["mail", "slack"]


@pytest.mark.parametrize("heard", [["slack"], ["mail", "slack"]])
def test_a_fallback_that_stands_in_for_another_is_reminded_too(heard):
    routing = make_routing(PEOPLE, Route(to=("slack",)), fallback="mail")

    assert receivers(event(EventType.REMINDED), heard=heard, routing=routing) == heard


def test_a_first_link_is_told_only_to_those_who_heard_and_have_nothing_waiting():
    assert receivers(event(EventType.REFRESHED), heard=PEOPLE, waiting={"mail"}) == ["slack"]


def test_nothing_is_queued_twice_for_one_receiver():
    assert receivers(event(EventType.REMINDED), waiting={"slack"}) == ["mail"]


@pytest.mark.case("many changes at once")
@pytest.mark.pain("storm of alerts")
def test_more_than_group_over_become_one_message_worst_first():
    bad = [frozen(f"f{n}") for n in range(4)]
    events = polled(listed_account("ok"), *bad, signed_out("out")).events
    routing = make_routing({"slack": True, "hook": False})

    grouped = planned(*events, routing=routing, group_over=4)

    assert groups(grouped, "slack") == [["out", "f0", "f1", "f2", "f3"]]
    assert len(groups(grouped, "hook")) == 5
    assert len(groups(planned(*events, routing=routing, group_over=5), "slack")) == 5


# ── receivers that a label addresses ─────────────────────────────────────────────────────────────

OWNERS = {
    "a1": {"owner": "jane@example.com"},
    "a2": {"owner": "joe@example.com"},
    "a3": {"owner": "jane@example.com"},
}
ACCOUNTS = polled(*map(frozen, (*OWNERS, "stray"))).workspace.accounts


def owners(*routes, fallback=None, common=None):
    """`mail` writes to whoever the label `owner` names; `slack` has an address of its own."""
    rules = [AccountRule(AccountMatch(ids=(id_,)), labels) for id_, labels in OWNERS.items()]
    receivers = {"slack": Receiver("slack"), "mail": Receiver("mail", address_label="owner")}
    return Routing(receivers, routes, fallback, Inventory({"acme": common or {}}, rules))


def test_an_address_is_the_receivers_own_or_that_of_the_label_or_none():
    slack, mail = owners().receivers["slack"], owners().receivers["mail"]

    assert slack.address({}) == ""
    assert mail.address({"owner": "jane@example.com"}) == "jane@example.com"
    assert mail.address({"team": "growth"}) is None


@pytest.mark.parametrize(
    ("account", "common", "hear"),
    [
        ("a1", {}, ["mail", "slack"]),
        ("stray", {}, ["slack"]),
        ("stray", {"owner": "ops@example.com"}, ["mail", "slack"]),
        (None, {"owner": "ops@example.com"}, ["mail", "slack"]),
    ],
)
def test_who_has_no_address_for_an_account_is_not_told_and_the_others_are(account, common, hear):
    routing = owners(common=common)

    assert receivers(event(account=account), routing=routing, accounts=ACCOUNTS) == hear


def test_if_nobody_on_the_route_has_an_address_the_fallback_hears_of_it():
    only_mail, stray = Route(to=("mail",)), event(account="stray")

    heard = planned(stray, routing=owners(only_mail, fallback="slack"), accounts=ACCOUNTS)
    unheard = planned(stray, routing=owners(only_mail), accounts=ACCOUNTS)

    nowhere = "mail: no label has its address"
    message = PlannedMessage(Recipient("slack"), (stray,))
    assert heard == Plan((message,), untold={"e1": (nowhere,)})
    nobody = "nobody: no route matches, and no fallback"
    assert unheard == Plan(unrouted=(stray,), untold={"e1": (nobody, nowhere)})


@pytest.mark.parametrize(("continues", "hear"), [(False, []), (True, ["slack"])])
def test_a_route_that_has_no_address_still_ends_the_search(continues, hear):
    routing = owners(Route(to=("mail",), continues=continues), Route(to=("slack",)))

    assert receivers(event(account="stray"), routing=routing, accounts=ACCOUNTS) == hear


@pytest.mark.parametrize(
    ("group_over", "mails"), [(1, [["a1", "a3"], ["a2"]]), (2, [["a1"], ["a3"], ["a2"]])]
)
def test_one_message_holds_only_what_goes_to_one_address(group_over, mails):
    events = [event(account=id_) for id_ in ACCOUNTS]

    grouped = planned(*events, routing=owners(), accounts=ACCOUNTS, group_over=group_over)

    assert groups(grouped, "mail") == mails
    assert [len(group) for group in groups(grouped, "slack")] == [4]


def test_a_resolution_goes_to_who_heard_even_if_the_label_is_gone():
    resolved = event(EventType.RESOLVED, account="stray")

    assert receivers(resolved, routing=owners(), heard={"mail"}, accounts=ACCOUNTS) == ["mail"]


def test_a_change_leads_away_from_who_has_lost_the_address():
    changed = event(EventType.CHANGED, account="stray")

    given = {"routing": owners(), "waiting": PEOPLE, "accounts": ACCOUNTS}

    assert planned(changed, **given).rerouted == (("i-stray", Recipient("mail")),)
    assert planned(changed, **given, heard={"mail"}).rerouted == ()


@pytest.mark.case("owner of an account changes while open")
@pytest.mark.parametrize(
    ("kind", "hear"),
    [
        (EventType.CHANGED, {"jane@example.com"}),
        (EventType.REFRESHED, {"jane@example.com"}),
        (EventType.REMINDED, {"jane@example.com"}),
        (EventType.RESOLVED, {"joe@example.com"}),
    ],
)
def test_the_owner_of_today_hears_what_comes_and_the_former_one_the_end(kind, hear):
    happened, joe = event(kind), Recipient("mail", "joe@example.com")
    routing = replace(owners(Route(to=("mail",))), fallback=None)

    told = plan(
        [happened],
        audiences={happened.incident_id: Audience(heard=frozenset({joe}))},
        routing=routing,
        accounts=ACCOUNTS,
        group_over=5,
    )

    assert {message.recipient.address for message in told.messages} == hear


(INCIDENT,) = polled(frozen()).open
MAIL, SLACK = frozenset({Recipient("mail")}), frozenset({Recipient("slack")})
HEARD = Audience(heard=MAIL)


@pytest.mark.parametrize(
    ("incident", "audience", "is_known", "event_type"),
    [
        (INCIDENT, Audience(), False, EventType.OPENED),
        (INCIDENT, Audience(heard=SLACK), True, EventType.OPENED),
        (INCIDENT, HEARD, False, EventType.NOTICE),
        (INCIDENT, Audience(waiting=MAIL), False, EventType.NOTICE),
        (INCIDENT, Audience(sending=MAIL), True, None),
        (INCIDENT, HEARD, True, None),
        (replace(INCIDENT, resolved_at=NOON), HEARD, True, EventType.NOTICE),
        (None, Audience(), True, EventType.NOTICE),
    ],
)
def test_as_what_the_fallback_is_told_of_what_another_was_not(
    incident, audience, is_known, event_type
):
    assert fallback_event(incident, audience, Recipient("mail"), is_known=is_known) is event_type


@pytest.mark.parametrize(
    ("match", "differs"),
    [
        (Match(), None),
        (Match(causes=("unknown",), scopes=("workspace",)), "cause"),
        (Match(scopes=("workspace",), workspaces=("other",)), "scope"),
        (Match(workspaces=("other",), accounts=("Nobody",)), "workspace"),
        (Match(accounts=("Nobody",), labels={"team": "sales"}), "account"),
        (Match(labels={"team": "sales"}), "labels"),
    ],
)
def test_of_a_route_that_does_not_match_the_first_part_that_differs_is_known(match, differs):
    route = Route(match=match, to=("mail",))

    assert list(ask([route], event(), None, {"team": "growth"})) == [(route, differs)]


def test_routes_behind_the_one_that_matches_are_not_asked():
    first, second, third = (Route(to=("mail",), continues=goes) for goes in (True, False, True))

    assert list(ask([first, second, third], event(), None, {})) == [(first, None), (second, None)]


def explained(account, detail="past_due", kind=EventType.OPENED):
    return replace(event(kind, account=account), detail=detail)


SUBSCRIPTION = replace(event(cause=Cause.SUBSCRIPTION, account=None), detail="past_due")


@pytest.mark.case("accounts newly frozen, the subscription asked")
@pytest.mark.pain("storm of alerts")
@pytest.mark.pain("alerts of all that is behind what is down")
def test_accounts_that_freeze_for_one_reason_are_one_message_with_it_however_few_they_are():
    others = [event(account="b1"), event(cause=Cause.RECONNECTION_REQUIRED, account="b2")]
    changed = explained("a3", kind=EventType.CHANGED)
    together = planned(explained("a1"), explained("a2"), changed, *others, SUBSCRIPTION)

    assert groups(together, "slack") == [[None, "a1", "a2", "a3"], ["b2"], ["b1"]]


def test_one_account_that_freezes_is_one_message_with_the_reason():
    assert groups(planned(explained("a1"), SUBSCRIPTION), "slack") == [[None, "a1"]]
    assert groups(planned(explained("a1")), "slack") == [["a1"]]


def test_the_reason_alone_is_a_message_of_its_own_and_so_is_its_end():
    ended = replace(SUBSCRIPTION, type=EventType.RESOLVED)

    assert groups(planned(event(account="a1"), SUBSCRIPTION), "slack") == [[None], ["a1"]]
    assert groups(planned(explained("a1"), ended, heard=["slack"]), "slack") == [["a1"], [None]]


def test_machines_get_one_event_each_whatever_explains_it():
    plan = planned(explained("a1"), explained("a2"), routing=make_routing({"hook": False}))

    assert groups(plan, "hook") == [["a1"], ["a2"]]


def test_many_others_beside_those_that_are_explained_are_one_message():
    others = [event(account=f"b{number}") for number in range(6)]
    plan = planned(explained("a1"), *others, explained("a2"))

    assert groups(plan, "slack") == [["a1", "a2"], [event.account_id for event in others]]


@pytest.mark.case("third incident of the same cause in 7 days")
@pytest.mark.parametrize(("recurring", "hears"), [(True, [False, True]), (False, [True, False])])
def test_a_route_may_be_for_what_recurs_or_for_all_else(recurring, hears):
    routing = make_routing(PEOPLE, Route(match=Match(recurring=recurring), to=("mail",)))
    third = replace(event(), times=3)

    assert [bool(receivers(it, routing=routing)) for it in (event(), third)] == hears
    assert [part for _, part in ask(routing.routes, event(), None, {})] == [
        "recurring" if recurring else None
    ]


# ── steps ────────────────────────────────────────────────────────────────────────────────────────


def escalated(after, cause=Cause.FROZEN):
    return replace(event(EventType.ESCALATED, cause), detail=after)


@pytest.mark.case("escalation step due")
def test_a_step_is_told_to_its_receivers_of_all_routes_that_match():
    names = ("ops", "lead", "boss", "other")
    soon, late = Duration.parse("1h"), Duration.parse("2h")
    routing = make_routing(
        dict.fromkeys(names, True),
        Route(to=("ops",), continues=True, escalate=(Step(after=soon, to=("lead",)),)),
        Route(
            match=Match(causes=(Cause.UNKNOWN,)),
            to=("other",),
            escalate=(Step(after=soon, to=("other",)),),
        ),
        Route(
            to=("ops",), escalate=(Step(after=late, to=("boss",)), Step(after=soon, to=("boss",)))
        ),
    )

    assert receivers(escalated("1h"), routing=routing) == ["boss", "lead"]
    assert receivers(escalated("2h"), routing=routing) == ["boss"]
    assert receivers(escalated("2h"), routing=routing, waiting=["boss"]) == []
    assert list(steps_of(escalated("1h"), None, routing)) == [soon, late]


@pytest.mark.case("escalation step due")
@pytest.mark.parametrize(
    ("heard", "reminded"), [(["lead", "ops"], ["ops"]), (["lead"], ["lead", "ops"])]
)
def test_a_fallback_that_was_called_by_a_step_is_reminded_only_where_it_stands_in(heard, reminded):
    step = Step(after=Duration.parse("1h"), to=("lead",))
    receiving = {"ops": True, "lead": True}
    routing = make_routing(receiving, Route(to=("ops",), escalate=(step,)), fallback="lead")

    assert receivers(event(EventType.REMINDED), heard=heard, routing=routing) == reminded


@pytest.mark.case("escalation step due")
def test_who_is_told_by_a_step_needs_no_reminder_beside_it():
    step = Step(after=Duration.parse("1h"), to=("lead", "ops"))
    routing = make_routing({"ops": True, "lead": True}, Route(to=("ops",), escalate=(step,)))

    together = planned(escalated("1h"), event(EventType.REMINDED), routing=routing, group_over=1)

    assert {it.recipient.receiver: [of.type for of in it.events] for it in together.messages} == {
        "lead": ["escalated"],
        "ops": ["escalated"],
    }


def test_two_steps_after_the_same_time_are_refused():
    step = Step(after=Duration.parse("1h"), to=("ops",))

    with pytest.raises(ValueError, match="no two steps after the same time"):
        Route(to=("ops",), escalate=(step, step))


# ── who is left out, and why ─────────────────────────────────────────────────────────────────────


def muting(*rules):
    return Mutes(tuple(Mute(rule, NOON + place) for place, rule in enumerate(rules)))


QUIET = MuteRule(until="forever", to=("slack",))


@pytest.mark.case("mute begins")
def test_what_is_muted_is_left_out_and_noted_until_when():
    opened = plan(
        [event()],
        audiences={},
        routing=make_routing(PEOPLE),
        accounts={},
        group_over=1,
        mutes=muting(MuteRule(until="forever", match=Match(causes=(Cause.UNKNOWN,))), QUIET),
    )

    assert [message.recipient.receiver for message in opened.messages] == ["mail"]
    assert opened.held == {"i-a1": NOON + 1}
    assert opened.untold == {"e1": ("slack: muted",)}
    assert opened.unrouted == ()


@pytest.mark.case("mute begins")
@pytest.mark.parametrize(
    ("kind", "hears", "held"),
    [
        (EventType.OPENED, ["mail"], True),
        (EventType.CHANGED, ["mail"], True),
        (EventType.REMINDED, ["mail"], False),
        (EventType.REFRESHED, ["mail"], False),
        (EventType.RESOLVED, ["mail", "slack"], False),
        (EventType.NOTICE, ["mail"], False),
    ],
)
def test_only_news_is_told_later_and_an_end_is_never_held(kind, hears, held):
    heard = Audience(heard=frozenset({Recipient("slack"), Recipient("mail")}))

    result = plan(
        [event(kind)],
        audiences={"i-a1": heard},
        routing=make_routing(PEOPLE),
        accounts={},
        group_over=1,
        mutes=muting(QUIET),
    )

    assert sorted(message.recipient.receiver for message in result.messages) == hears
    assert bool(result.held) is held


@pytest.mark.case("mute ends while still bad")
def test_once_a_mute_ended_only_those_are_told_who_do_not_know():
    names = ("knows", "other", "unknown", "waits", "new", "gone")
    routing = make_routing(dict.fromkeys(names, True), Route(to=("knows", "waits", "new")))
    ended = replace(event(EventType.CHANGED), reason=Reason.MUTE_ENDED)
    audience = Audience(
        heard=frozenset(map(Recipient, ("knows", "other", "unknown"))),
        causes={Recipient("knows"): Cause.FROZEN, Recipient("other"): Cause.UNKNOWN},
        waiting=frozenset({Recipient("waits")}),
    )

    result = plan([ended], audiences={"i-a1": audience}, routing=routing, accounts={}, group_over=1)

    assert sorted(it.recipient.receiver for it in result.messages) == ["new", "other"]
    assert result.rerouted == ()


def test_why_somebody_is_not_told_is_noted():
    inventory = Inventory({"acme": {}})
    receivers = {"slack": Receiver("slack"), "owner": Receiver("owner", address_label="owner")}
    routing = Routing(receivers, (Route(to=("slack", "owner")),), inventory=inventory)
    waiting = Audience(waiting=frozenset({Recipient("slack")}))
    how = {"accounts": {}, "group_over": 1}

    result = plan([event(EventType.REMINDED)], audiences={"i-a1": waiting}, routing=routing, **how)
    unrouted = plan([event()], audiences={}, routing=Routing({}), **how)

    assert result.untold["e1"] == (
        "slack: something is queued for it already",
        "owner: no label has its address",
    )
    assert unrouted.untold["e1"] == ("nobody: no route matches, and no fallback",)
