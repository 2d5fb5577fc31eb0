"""What people do: one commit, whoever holds the workspace."""

from dataclasses import replace

import pytest
from harness.core import HOUR, MINUTE, NOON, frozen, listed_account, make_recorder, signed_out
from harness.leases import hold, live
from harness.store import StoreHarness

from monitor.core.act import Act, ActKind, Way
from monitor.core.duration import Duration
from monitor.core.errors import ActError
from monitor.core.model import Cause
from monitor.core.route import Receiver, Route, Step
from monitor.store import acts, incidents, outside
from monitor.work.act import ActRules, Chosen, ack, unack
from monitor.work.tick import Ticker, TickRules


@pytest.fixture
def harness(store):
    harness = StoreHarness(store, receivers={"slack": True, "hook": False})
    routing = harness.rules.routing
    machine = Receiver("hook", groups=False, is_machine=True)
    routing = replace(routing, receivers={**routing.receivers, "hook": machine})
    harness.rules = replace(harness.rules, routing=routing)
    return harness


@pytest.fixture
def ticker(harness):
    rules = TickRules(harness.rules.policy, harness.rules.routing, keep=Duration.parse("180d"))
    return Ticker(rules, make_recorder(harness, {}), term_of=lambda _: harness.term)


def do(harness, work, chosen, *, kind=ActKind.ACK, workspace="acme", **how):
    rules = ActRules(harness.rules.policy, harness.rules.routing, harness.new_id)
    act = Act(harness.new_id(), harness.now, kind, Way.CLI, "ann", "root@web1", workspace)
    return harness.run(lambda tx: work(tx, act, chosen, rules, **how))


def of_account(harness, id_="a1"):
    (incident,) = [it for it in open_incidents(harness) if it.subject == id_]
    return Chosen(ids=(incident.id,))


def open_incidents(harness):
    return harness.run(lambda tx: incidents.load_open(tx, "acme")).values()


async def tick(harness, ticker, *, after):
    harness.now += after
    while await ticker.tick():
        pass
    return harness.deliver_all()


def escalate(harness, ticker, **policy):
    """Let hook be told after two hours of what slack is told at once."""
    step = Step(after=2 * HOUR, to=("hook",))
    routing = replace(harness.rules.routing, routes=(Route(to=("slack",), escalate=(step,)),))
    policy = replace(harness.rules.policy, **policy)
    harness.rules = replace(harness.rules, routing=routing, policy=policy)
    ticker.rules = replace(ticker.rules, routing=routing, policy=policy)


@pytest.mark.case("acknowledged")
@pytest.mark.pain("nobody can take a problem over")
async def test_nobody_is_reminded_of_what_somebody_has_until_it_is_given_back(harness, ticker):
    harness.poll(signed_out())
    harness.deliver_all()
    harness.deliver_all("hook")
    do(harness, ack, of_account(harness))

    assert await tick(harness, ticker, after=9 * HOUR) == []
    assert harness.deliver_all("hook") == [[("acknowledged", "a1")]], "machines hear at once"

    do(harness, unack, of_account(harness), kind=ActKind.UNACK)

    assert await tick(harness, ticker, after=0) == [[("reminded", "a1")]]
    assert harness.deliver_all("hook") == [[("acknowledged", "a1")]]


@pytest.mark.case("acknowledged")
async def test_once_its_time_is_over_there_is_a_reminder(harness, ticker):
    harness.poll(signed_out())
    harness.deliver_all()
    do(harness, ack, of_account(harness), lasts=MINUTE)

    assert await tick(harness, ticker, after=MINUTE - 1) == []
    assert await tick(harness, ticker, after=1) == [[("reminded", "a1")]]
    (incident,) = open_incidents(harness)
    assert incident.acknowledged_by is None


@pytest.mark.case("acknowledged")
async def test_a_reminder_that_waits_says_nothing_once_somebody_has_it(harness, ticker):
    harness.poll(signed_out())
    harness.deliver_all()
    harness.now += HOUR
    while await ticker.tick():
        pass
    do(harness, ack, of_account(harness))

    assert harness.deliver_all() == []


def test_those_who_hear_of_the_end_are_those_who_heard(harness):
    harness.poll(signed_out())
    harness.deliver_all()
    do(harness, ack, of_account(harness))

    harness.poll(listed_account())

    assert harness.deliver_all() == [[("resolved", "a1")]]


def test_all_of_a_cause_are_taken_over_at_once_and_only_they(harness):
    harness.poll(*(frozen(f"f{number}") for number in range(60)), signed_out("out"))

    done = do(harness, ack, Chosen(cause=Cause.FROZEN))

    assert len(done.decision.incidents) == 60
    by = {it.subject: it.acknowledged_by for it in open_incidents(harness)}
    assert by.pop("out") is None
    assert set(by.values()) == {"ann"}
    assert harness.column("SELECT COUNT(*) FROM act") == [1]
    assert harness.run(acts.count) == {("ack", "cli"): 1}


def test_an_act_is_committed_whoever_holds_the_workspace_who_notices_it(harness):
    harness.poll(signed_out())
    chosen = of_account(harness)
    harness.run(lambda tx: live(tx, "other"))
    harness.run(lambda tx: hold(tx, "acme", replica="other", silent={harness.replica: NOON}))
    before = harness.run(outside.count)

    do(harness, ack, chosen)

    assert harness.run(outside.count) == before + 1
    (incident,) = open_incidents(harness)
    assert incident.acknowledged_login == "root@web1"
    (event,) = harness.column("SELECT act_id FROM event WHERE type = 'acknowledged'")
    assert harness.run(lambda tx: acts.load(tx, [event]))[event].actor == "ann"


@pytest.mark.parametrize("work", [ack, unack])
def test_what_has_ended_or_is_elsewhere_or_nobodys_cannot_be_acted_on(harness, work):
    harness.poll(signed_out("a1"), signed_out("b"))
    chosen, free = of_account(harness), of_account(harness, "b")
    harness.poll(listed_account("a1"), signed_out("b"))
    refused = [(chosen, "acme"), (free, "beta"), (Chosen(cause=Cause.FROZEN), "acme")]
    refused += [(free, "acme")] if work is unack else []

    for of, workspace in refused:
        with pytest.raises(ActError):
            do(harness, work, of, workspace=workspace)
    assert harness.column("SELECT id FROM act") == []


@pytest.mark.case("escalation step due")
@pytest.mark.pain("nobody else is called when nobody answers")
async def test_who_is_told_by_a_step_hears_an_opening_then_changes_and_the_end(harness, ticker):
    escalate(harness, ticker, remind=())
    harness.poll(signed_out())
    harness.deliver_all()

    assert await tick(harness, ticker, after=2 * HOUR) == []
    assert harness.deliver_all("hook") == [[("opened", "a1")]]
    assert await tick(harness, ticker, after=9 * HOUR) == []
    assert harness.deliver_all("hook") == []
    harness.poll(frozen())
    assert harness.deliver_all("hook") == [[("changed", "a1")]]
    harness.poll(listed_account())
    assert harness.deliver_all("hook") == [[("resolved", "a1")]]


@pytest.mark.case("escalation step due", "clock back")
async def test_a_clock_that_goes_back_puts_off_no_step(harness, ticker):
    escalate(harness, ticker)
    harness.poll(signed_out())
    await tick(harness, ticker, after=HOUR)
    await ticker.note_time()

    harness.now -= 3 * HOUR
    await ticker.note_time()

    await tick(harness, ticker, after=HOUR - 1)
    assert harness.deliver_all("hook") == []
    await tick(harness, ticker, after=1)
    assert harness.deliver_all("hook") == [[("opened", "a1")]]


@pytest.mark.case("escalation step due")
async def test_a_step_that_waits_is_told_with_the_cause_of_its_moment(harness, ticker):
    escalate(harness, ticker)
    harness.poll(signed_out())
    await tick(harness, ticker, after=2 * HOUR)

    harness.poll(frozen())

    (notification,) = harness.claim("hook").message.notifications
    assert (notification.event, notification.incident.cause) == ("opened", "frozen")


@pytest.mark.case("escalation step due")
async def test_a_step_that_waits_says_nothing_once_somebody_has_it(harness, ticker):
    escalate(harness, ticker)
    harness.poll(signed_out())
    await tick(harness, ticker, after=2 * HOUR)

    do(harness, ack, of_account(harness))

    assert harness.deliver_all("hook") == []


@pytest.mark.case("escalation step due", "acknowledged")
@pytest.mark.parametrize("how", ["unack", "time", "cause"])
async def test_who_was_to_be_called_when_somebody_took_it_over_is_once_nobody_has_it(
    harness, ticker, how
):
    escalate(harness, ticker, remind=())
    harness.poll(signed_out())
    harness.deliver_all()
    await tick(harness, ticker, after=2 * HOUR)
    do(harness, ack, of_account(harness), lasts=MINUTE if how == "time" else None)
    assert harness.deliver_all("hook") == []

    if how == "unack":
        do(harness, unack, of_account(harness), kind=ActKind.UNACK)
    elif how == "cause":
        harness.poll(frozen())
    await tick(harness, ticker, after=MINUTE)

    assert harness.deliver_all("hook") == [[("opened", "a1")]]
    assert await tick(harness, ticker, after=9 * HOUR) == []
    assert harness.deliver_all("hook") == []
