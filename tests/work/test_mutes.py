"""What a mute holds, and what is told when it ends."""

from dataclasses import replace

import pytest
from harness.core import (
    HOUR,
    MINUTE,
    UNREACHABLE,
    frozen,
    listed_account,
    make_recorder,
    signed_out,
)
from harness.faults import failing_writes
from harness.store import DAY, StoreHarness
from sqlalchemy import text

from monitor.core.act import Act, ActKind, Way
from monitor.core.duration import Duration
from monitor.core.errors import ActError
from monitor.core.model import Cause
from monitor.core.mutes import MuteRule
from monitor.core.route import Match, Receiver, Route, Step
from monitor.core.subscription import Subscription, SubscriptionStatus
from monitor.core.text import iso_time
from monitor.store import incidents, mutes
from monitor.store.db import StoreError
from monitor.work import act
from monitor.work.tick import Ticker, TickRules


@pytest.fixture
def harness(store):
    return StoreHarness(store, receivers={"slack": True, "pager": True})


@pytest.fixture
def ticker(harness):
    rules = TickRules(harness.rules.policy, harness.rules.routing, keep=Duration.parse("180d"))
    return Ticker(rules, make_recorder(harness, {}), term_of=lambda _: harness.term)


def configure(harness, ticker, *rules, routes=(), **policy):
    """Let these mutes, routes and incidents be configured."""
    routing = replace(harness.rules.routing, mutes=rules, routes=routes)
    policy = replace(harness.rules.policy, **policy)
    harness.rules = replace(harness.rules, routing=routing, policy=policy)
    ticker.rules = replace(ticker.rules, routing=routing, policy=policy)


def lasting(harness, span, **rule):
    """A mute from now on, for so long."""
    starts, until = iso_time(harness.now), iso_time(harness.now + span)
    return MuteRule(starts=starts, until=until, **rule)


async def told(harness, ticker, *, after=0):
    """Return what each receiver is told once so much time has passed."""
    harness.now += after
    while await ticker.tick():
        pass
    messages = {name: harness.deliver_all(name) for name in ("slack", "pager")}
    return {name: listed for name, listed in messages.items() if listed}


def by_hand(harness, rule, **about):
    made = Act(harness.new_id(), harness.now, ActKind.MUTE, Way.CLI, "ann", **about)
    harness.run(lambda tx: act.mute(tx, made, rule, None, made.id + "m"))
    return made.id + "m"


def end(harness, ticker, id_):
    ended = Act(harness.new_id(), harness.now, ActKind.END_MUTE, Way.CLI, "bob")
    harness.run(lambda tx: act.end_mute(tx, ended, id_))
    ticker.ended_mutes = harness.run(mutes.count_ended)


def open_incident(harness):
    (incident,) = harness.run(lambda tx: incidents.load_open(tx, "acme")).values()
    return incident


def to_both(messages):
    return {"slack": messages, "pager": messages}


@pytest.mark.case("mute begins", "mute ends while still bad")
async def test_what_opens_while_it_is_muted_is_told_once_the_mute_ends(harness, ticker):
    configure(harness, ticker, lasting(harness, 9 * HOUR))
    harness.poll(signed_out("a"), frozen("b"))
    harness.poll(signed_out("a"), frozen("b"))

    assert await told(harness, ticker, after=HOUR) == {}
    assert harness.states() == []
    assert harness.column("SELECT untold FROM event") == ["slack: muted\npager: muted"] * 2
    assert await told(harness, ticker, after=8 * HOUR - 3 * MINUTE) == {}
    messages = await told(harness, ticker, after=3 * MINUTE)

    assert messages == to_both([[("opened", "a"), ("opened", "b")]])
    assert await told(harness, ticker, after=HOUR - 1) == {}, "reminders count from now"
    assert list(await told(harness, ticker, after=1)) == ["slack", "pager"]


@pytest.mark.case("mute begins")
async def test_what_waited_before_it_leaves_all_the_same(harness, ticker):
    harness.poll(signed_out())
    configure(harness, ticker, lasting(harness, HOUR))

    assert list(await told(harness, ticker)) == ["slack", "pager"]


@pytest.mark.case("mute ends while still bad")
async def test_what_is_over_when_it_ends_is_never_told(harness, ticker):
    configure(harness, ticker, lasting(harness, HOUR))
    harness.poll(signed_out(), listed_account("gone"))
    harness.poll(listed_account())
    for _ in range(12):
        harness.poll(listed_account())

    assert await told(harness, ticker, after=9 * HOUR) == {}
    assert harness.column("SELECT COUNT(*) FROM event WHERE type = 'notice'") == [1]


@pytest.mark.case("mute ends while still bad")
async def test_who_heard_another_cause_is_told_the_present_one_and_who_knows_it_nothing(
    harness, ticker
):
    harness.poll(signed_out("a"), signed_out("b"), signed_out("c"))
    await told(harness, ticker)
    configure(harness, ticker, lasting(harness, HOUR), remind=())
    harness.poll(frozen("a"), frozen("b"), signed_out("c"))
    harness.poll(frozen("a"), signed_out("b"), signed_out("c"))

    assert await told(harness, ticker) == {}
    assert await told(harness, ticker, after=HOUR) == to_both([[("changed", "a")]])
    kinds = harness.column("SELECT type FROM event WHERE reason = 'mute_ended'")
    assert kinds == ["changed"], "that nothing is to be told is no event"


@pytest.mark.case("mute ends while still bad", "subscription")
async def test_what_else_went_wrong_with_a_subscription_meanwhile_is_told_once(harness, ticker):
    harness.subscription = Subscription(SubscriptionStatus.PAST_DUE, seats=9)
    harness.poll(listed_account())
    assert await told(harness, ticker) == to_both([[("opened", None)]])
    configure(harness, ticker, lasting(harness, HOUR))
    harness.subscription = Subscription(SubscriptionStatus.PAST_DUE, is_ending=True, seats=9)
    harness.poll(listed_account())

    assert await told(harness, ticker) == {}
    assert await told(harness, ticker, after=HOUR) == to_both([[("changed", None)]])
    configure(harness, ticker)
    assert await told(harness, ticker) == {}


@pytest.mark.case("mute begins")
@pytest.mark.pain("end that a mute held back")
async def test_an_end_is_never_held(harness, ticker):
    harness.poll(signed_out())
    await told(harness, ticker)
    configure(harness, ticker, lasting(harness, HOUR))

    harness.poll(listed_account())

    assert await told(harness, ticker) == to_both([[("resolved", "a1")]])


@pytest.mark.case("mute begins", "mute ends while still bad")
async def test_a_reminder_is_due_once_the_mute_ends_and_counts_once(harness, ticker):
    harness.poll(signed_out())
    await told(harness, ticker)
    configure(harness, ticker, lasting(harness, 9 * HOUR))

    assert await told(harness, ticker, after=8 * HOUR) == {}
    harness.poll(signed_out(), after=HOUR)
    assert await told(harness, ticker) == to_both([[("reminded", "a1")]])
    assert open_incident(harness).reminders == 1


@pytest.mark.case("mute begins", "mute ends while still bad")
async def test_the_pager_rings_in_the_quiet_hours_of_the_others(harness, ticker):
    configure(harness, ticker, lasting(harness, 9 * HOUR, to=("slack",)))
    harness.poll(signed_out())

    assert await told(harness, ticker) == {"pager": [[("opened", "a1")]]}
    assert await told(harness, ticker, after=HOUR) == {"pager": [[("reminded", "a1")]]}
    messages = await told(harness, ticker, after=8 * HOUR)
    assert messages["slack"] == [[("opened", "a1")]]


@pytest.mark.case("escalation step due", "mute begins")
async def test_a_step_waits_for_the_end_of_the_mute_of_all_who_would_hear(harness, ticker):
    step = Step(after=HOUR, to=("pager",))
    routes = (Route(to=("slack",), escalate=(step,)),)
    configure(harness, ticker, routes=routes, remind=())
    harness.poll(signed_out())
    await told(harness, ticker)
    configure(harness, ticker, lasting(harness, 9 * HOUR), routes=routes, remind=())

    assert await told(harness, ticker, after=8 * HOUR) == {}
    harness.poll(signed_out(), after=HOUR)
    assert await told(harness, ticker) == {"pager": [[("opened", "a1")]]}


@pytest.mark.case("escalation step due", "mute ends while still bad")
async def test_who_was_left_out_of_a_step_is_told_once_their_mute_ends(harness, ticker):
    receivers = {**harness.rules.routing.receivers, "boss": Receiver("boss")}
    routing = replace(harness.rules.routing, receivers=receivers)
    harness.rules = replace(harness.rules, routing=routing)
    steps = Step(after=HOUR, to=("pager", "boss")), Step(after=DAY, to=("boss",))
    routes = (Route(to=("slack",), escalate=steps),)
    night = lasting(harness, 9 * HOUR, to=("boss",))
    configure(harness, ticker, night, routes=routes, remind=())
    harness.poll(signed_out())
    await told(harness, ticker)

    assert await told(harness, ticker, after=HOUR) == {"pager": [[("opened", "a1")]]}
    assert harness.deliver_all("boss") == []
    harness.poll(signed_out(), after=8 * HOUR)
    assert await told(harness, ticker) == {}
    assert harness.deliver_all("boss") == [[("opened", "a1")]]
    harness.poll(listed_account())
    assert harness.deliver_all("boss") == [[("resolved", "a1")]]


@pytest.mark.case("escalation step due", "reminders count from when someone was told")
async def test_a_mute_that_ends_lets_nothing_go_further_at_once(harness, ticker):
    step = Step(after=HOUR, to=("pager",))
    routes = (Route(to=("slack",), escalate=(step,)),)
    configure(harness, ticker, lasting(harness, 9 * HOUR), routes=routes, remind=())
    harness.poll(signed_out())

    assert await told(harness, ticker, after=9 * HOUR) == {"slack": [[("opened", "a1")]]}
    assert await told(harness, ticker, after=HOUR - 1) == {}
    assert await told(harness, ticker, after=1) == {"pager": [[("opened", "a1")]]}


@pytest.mark.case("mute ends while still bad")
@pytest.mark.parametrize("how", ["by hand", "reload"])
async def test_what_it_held_is_told_when_it_is_ended_early(harness, ticker, how):
    rule = MuteRule(match=Match(causes=(Cause.RECONNECTION_REQUIRED,)), until="forever")
    await told(harness, ticker)
    if how == "by hand":
        id_ = by_hand(harness, rule)
    else:
        configure(harness, ticker, rule)
    harness.poll(signed_out("a"), frozen("b"))
    assert await told(harness, ticker) == to_both([[("opened", "b")]])

    if how == "by hand":
        end(harness, ticker, id_)
    else:
        configure(harness, ticker)

    assert await told(harness, ticker) == to_both([[("opened", "a")]])


@pytest.mark.case("mute ends while still bad")
async def test_what_another_mute_still_holds_waits_for_that(harness, ticker):
    configure(harness, ticker, lasting(harness, HOUR), lasting(harness, DAY, to=("pager",)))
    harness.poll(signed_out())

    assert await told(harness, ticker, after=HOUR) == {"slack": [[("opened", "a1")]]}
    harness.poll(signed_out(), after=DAY - HOUR)
    assert (await told(harness, ticker))["pager"] == [[("opened", "a1")]]


@pytest.mark.case("mute ends while still bad", "acknowledged")
async def test_what_somebody_took_over_meanwhile_is_told_when_they_give_it_back(harness, ticker):
    configure(harness, ticker, lasting(harness, HOUR), remind=())
    harness.poll(signed_out())
    rules = act.ActRules(harness.rules.policy, harness.rules.routing, harness.new_id)
    chosen = act.Chosen(cause=Cause.RECONNECTION_REQUIRED)
    made = Act("1", harness.now, ActKind.ACK, Way.CLI, "ann", workspace="acme")
    harness.run(lambda tx: act.ack(tx, made, chosen, rules))

    assert await told(harness, ticker, after=9 * HOUR) == {}

    given = replace(made, id="2", at=harness.now, act=ActKind.UNACK)
    harness.run(lambda tx: act.unack(tx, given, chosen, rules))
    assert await told(harness, ticker) == to_both([[("opened", "a1")]])


@pytest.mark.case("mute ends while still bad", "acknowledged")
@pytest.mark.parametrize("lasts", [None, HOUR])
async def test_what_was_ended_early_while_somebody_had_it_is_told_once_nobody_has(
    harness, ticker, lasts
):
    configure(harness, ticker, remind=())
    await told(harness, ticker)
    id_ = by_hand(harness, MuteRule(until="forever"))
    harness.poll(signed_out())
    rules = act.ActRules(harness.rules.policy, harness.rules.routing, harness.new_id)
    chosen = act.Chosen(cause=Cause.RECONNECTION_REQUIRED)
    made = Act("1", harness.now, ActKind.ACK, Way.CLI, "ann", workspace="acme")
    harness.run(lambda tx: act.ack(tx, made, chosen, rules, lasts=lasts))
    end(harness, ticker, id_)

    assert await told(harness, ticker) == {}
    if lasts is None:
        given = replace(made, id="2", at=harness.now, act=ActKind.UNACK)
        harness.run(lambda tx: act.unack(tx, given, chosen, rules))

    assert await told(harness, ticker, after=lasts or 0) == to_both([[("opened", "a1")]])


@pytest.mark.case("mute ends while still bad", "reminder due while the workspace is blind")
@pytest.mark.parametrize("is_over", [True, False])
async def test_what_was_ended_early_in_the_dark_is_told_after_the_next_good_poll(
    harness, ticker, is_over
):
    await told(harness, ticker)
    id_ = by_hand(harness, MuteRule(until="forever"))
    harness.poll(signed_out())
    harness.forget_look()
    if is_over:
        end(harness, ticker, id_)
    else:
        configure(harness, ticker)  # another configuration, and the same mute by hand
    assert await told(harness, ticker, after=MINUTE) == {}

    harness.poll(signed_out())

    assert await told(harness, ticker) == (to_both([[("opened", "a1")]]) if is_over else {})


@pytest.mark.case("mute ends while still bad")
async def test_what_was_ended_early_is_told_though_the_database_fails_at_first(harness, ticker):
    await told(harness, ticker)
    id_ = by_hand(harness, MuteRule(until="forever"))
    harness.poll(signed_out())
    end(harness, ticker, id_)
    with failing_writes(harness.store), pytest.raises(StoreError):
        await ticker.tick()

    assert await told(harness, ticker) == to_both([[("opened", "a1")]])


@pytest.mark.case("mute begins")
async def test_a_quiet_night_for_accounts_leaves_the_workspace_audible(harness, ticker):
    night = MuteRule(
        match=Match(scopes=("account",)), cron="0 22 * * *", lasts=Duration.parse("9h")
    )
    configure(harness, ticker, night, blind_after=Duration(0))
    harness.now += 11 * HOUR
    harness.poll(signed_out())

    assert await told(harness, ticker) == {}
    harness.observe(UNREACHABLE)
    assert await told(harness, ticker) == to_both([[("opened", None)]])


@pytest.mark.parametrize("word", ["", "x"])
def test_what_is_no_mute_or_one_of_several_is_not_ended(harness, word):
    ids = [by_hand(harness, MuteRule(until="forever")) for _ in range(2)]

    with pytest.raises(ActError, match=ids[0]):
        end(harness, None, word)


def test_more_mutes_than_are_read_are_refused(harness, monkeypatch):
    monkeypatch.setattr(mutes, "MAX_MUTES", 2)
    ids = [by_hand(harness, MuteRule(until="forever")) for _ in range(2)]

    with pytest.raises(ActError, match="there are 2 mutes by command already; end one"):
        by_hand(harness, MuteRule(until="forever"))
    assert [it.id for it in harness.run(lambda tx: mutes.load(tx, harness.now))] == ids


def test_a_mute_is_read_as_it_was_written(harness):
    rule = MuteRule(
        match=Match((Cause.FROZEN,), ("a*",), ("“J” *",), ("account",), {"team": "x"}),
        to=("slack",),
        cron="0 22 * * *",
        lasts=Duration.parse("8h"),
        timezone="Europe/Berlin",
        reason="night",
    )
    by_hand(harness, rule)

    (recorded,) = harness.run(lambda tx: mutes.load(tx, harness.now))

    assert recorded.rule == rule
    assert recorded.made_by == "ann"


@pytest.mark.parametrize("word", ["frozen", "Europe/Berlin", "cron"])
async def test_a_mute_that_this_version_cannot_read_mutes_nothing_and_can_be_ended(
    harness, ticker, word
):
    rule = MuteRule(
        match=Match((Cause.FROZEN,)),
        cron="* * * * *",
        lasts=Duration.parse("1d"),
        timezone="Europe/Berlin",
    )
    id_ = by_hand(harness, rule)
    query = text(f"UPDATE mute SET rule = REPLACE(rule, '{word}', 'of tomorrow')")
    harness.run(lambda tx: tx.execute(query))

    harness.poll(frozen())

    assert list(await told(harness, ticker)) == ["slack", "pager"]
    end(harness, ticker, id_[:4])
    assert harness.run(lambda tx: mutes.load(tx, harness.now)) == []
