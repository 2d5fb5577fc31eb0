"""What people are told, whatever they do and whatever happens: a machine with the real store.

They are the same each time, unless CONVERSATIONS says how many others are tried: 2000, say.
"""

import asyncio
import logging
import os
import tempfile
from collections import Counter
from dataclasses import replace

import pytest
import structlog
from harness.core import (
    HOUR,
    MINUTE,
    UNREACHABLE,
    frozen,
    listed_account,
    make_recorder,
    signed_out,
)
from harness.store import DAY, StoreHarness, open_store
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import text

from monitor.core.act import Act, ActKind, Way
from monitor.core.duration import Duration
from monitor.core.errors import ActError
from monitor.core.model import Cause
from monitor.core.mutes import MuteRule
from monitor.core.policy import Flapping
from monitor.core.route import Route, Step
from monitor.core.subscription import Subscription, SubscriptionStatus
from monitor.core.text import iso_time
from monitor.store import incidents, mutes
from monitor.work import act
from monitor.work.tick import Ticker, TickRules

EXAMPLES = int(os.environ.get("CONVERSATIONS", "0"))
OPEN_AFTER = 2
ACCOUNTS = ("a", "b")
STATUS = {"good": listed_account, "out": signed_out, "cold": frozen}
ROUTED, CALLED = ("slack", "pager"), "lead"
STEPS = ((), (2,), (1, 3), (3, 30))
REMIND = (HOUR, 4 * HOUR, DAY)
SUBSCRIPTIONS = (
    None,
    Subscription(SubscriptionStatus.ACTIVE, seats=9),
    Subscription(SubscriptionStatus.PAST_DUE, seats=9),
    Subscription(SubscriptionStatus.PAST_DUE, is_ending=True, seats=1),
    Subscription(None),
)

QUEUED = text("""
SELECT notification.id, notification.receiver, event.type, event.at, event.account_id,
    notification.incident_id
FROM notification JOIN event ON event.id = notification.event_id ORDER BY notification.position
""")
EVENTS = text("SELECT * FROM event ORDER BY at, id")
HEARD = text("""
SELECT incident_id, receiver, told_cause FROM heard
UNION SELECT incident_id, receiver, NULL FROM notification
WHERE state = 'sending' AND event <> 'notice' AND NOT EXISTS (
    SELECT 1 FROM heard
    WHERE heard.incident_id = notification.incident_id AND heard.receiver = notification.receiver
)
""")
"""Who was told, or is being sent to: nobody knows whether it arrived."""


@pytest.fixture(autouse=True)
def _quietly():
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)


class Conversation(RuleBasedStateMachine):
    """A workspace, three receivers, and people who answer."""

    @initialize()
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(f"sqlite:///{self.folder.name}/monitor.db")
        receivers = dict.fromkeys((*ROUTED, CALLED), True)
        steady = {"open_after": OPEN_AFTER, "flapping": Flapping(changes=100)}
        self.harness = StoreHarness(self.store, receivers=receivers, **steady)
        rules = TickRules(self.harness.rules.policy, self.harness.rules.routing, keep=180 * DAY)
        recorder = make_recorder(self.harness, {})
        self.ticker = Ticker(rules, recorder, term_of=lambda _: self.harness.term)
        self.statuses = dict.fromkeys(ACCOUNTS, "good")
        self.bad_polls = Counter()
        self.muted = {}
        self.seen, self.known_events = set(), set()
        self.told, self.messages = {}, set()
        self.configure(())
        self.observe()

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    @rule(
        account=st.sampled_from(ACCOUNTS),
        status=st.sampled_from(tuple(STATUS)),
        polls=st.sampled_from((2, 3, 1)),
    )
    def change(self, account, status, polls):
        self.statuses[account] = status
        for _ in range(polls):
            self.observe()

    @rule()
    def observe(self):
        """Let a poll see the accounts as they are."""
        for account, status in self.statuses.items():
            self.bad_polls[account] = 0 if status == "good" else self.bad_polls[account] + 1
        listed = [STATUS[status](account) for account, status in self.statuses.items()]
        heard = self.heard()
        before = self.open()
        self.harness.poll(*listed)
        for event in self.new_events():
            if event.type == "opened" and event.account_id is not None:
                assert self.bad_polls[event.account_id] >= OPEN_AFTER
        ended = before.keys() - self.open().keys()
        told = {(it.incident_id, it.receiver) for it in self.check() if it.type == "resolved"}
        assert told == {(id_, receiver) for id_, receiver in heard if id_ in ended}
        self.tick()

    @rule(subscription=st.sampled_from(SUBSCRIPTIONS))
    def pay(self, subscription):
        """Let polls learn from now on how the accounts are paid for; None: nothing."""
        self.harness.subscription = subscription
        self.observe()

    @rule()
    def fail(self):
        self.harness.observe(UNREACHABLE)
        self.check()
        self.tick()

    @rule(after=st.sampled_from((9 * HOUR, 3 * HOUR, HOUR, 29 * MINUTE, MINUTE)))
    def wait_for(self, after):
        self.wait(after)

    def wait(self, after):
        self.harness.now += after
        self.tick()

    @rule(receiver=st.sampled_from((*ROUTED, CALLED)))
    def deliver(self, receiver):
        while (claimed := self.harness.claim(receiver)).message is not None:
            self.hear(claimed.message)
            self.harness.settle(claimed)

    @rule(receiver=st.sampled_from((*ROUTED, CALLED)))
    def crash(self, receiver):
        """Let the monitor die while it sends: nobody knows whether that arrived."""
        claimed = self.harness.claim(receiver)
        if claimed.message is not None:
            self.hear(claimed.message)
        self.harness.process += "'"
        self.harness.attach()
        self.harness.now += MINUTE
        self.ticker.planned_for = None
        self.observe()

    # ── what people do ───────────────────────────────────────────────────────────────────────────

    @rule(steps=st.sampled_from(STEPS), remind=st.sampled_from((REMIND, ())))
    def reload(self, steps, remind):
        self.configure(steps, remind)
        self.tick()

    @rule(hours=st.sampled_from((None, 1, 5)), wait=st.sampled_from((9 * HOUR, HOUR, 0)))
    def take(self, hours, wait):
        lasts = None if hours is None else Duration(hours * HOUR)
        for cause in ("out", "cold"):
            self.do(ActKind.ACK, lambda *given: act.ack(*given, lasts=lasts), cause)
        self.wait(wait)

    @rule(cause=st.sampled_from(("out", "cold")))
    def give_back(self, cause):
        self.do(ActKind.UNACK, act.unack, cause)
        self.tick()

    @rule(to=st.sampled_from(((), ("slack",))), hours=st.sampled_from((1, 8)))
    def mute(self, to, hours):
        until = self.harness.now + hours * HOUR
        made = MuteRule(starts=iso_time(self.harness.now), until=iso_time(until), to=to)
        did, id_ = self.act_of(ActKind.MUTE), self.harness.new_id() + "m"
        self.harness.run(lambda tx: act.mute(tx, did, made, until, id_))
        self.muted[id_] = (to, made.times("UTC")[1])

    @rule()
    def end_mute(self):
        live = [it for it, (_, until) in self.muted.items() if until > self.harness.now]
        if live:
            did = self.act_of(ActKind.END_MUTE)
            self.harness.run(lambda tx: act.end_mute(tx, did, live[0]))
            del self.muted[live[0]]
            self.ticker.ended_mutes = self.harness.run(mutes.count_ended)
            self.tick()

    @rule()
    def settle_all(self):
        """Once nobody has anything and nothing is muted, everybody knows what is true."""
        self.harness.now += 9 * HOUR
        for cause in ("out", "cold"):
            self.do(ActKind.UNACK, act.unack, cause)
        self.observe()
        self.observe()
        for receiver in (*ROUTED, CALLED) * 2:  # what was being sent lapses before it is sent again
            self.harness.now += 2 * MINUTE
            self.deliver(receiver)
        self.harness.now += MINUTE
        causes = self.harness.run(lambda tx: tx.execute(HEARD).all())
        for incident in self.open().values():
            told = {it.receiver: it.told_cause for it in causes if it.incident_id == incident.id}
            assert {name: told.get(name) for name in ROUTED} == dict.fromkeys(
                ROUTED, incident.cause
            )
        subjects = {it.subject for it in self.open().values()}
        for (receiver, subject), is_open in self.told.items():
            may_wait = receiver == CALLED and not is_open  # until its step is due
            assert may_wait or is_open is (subject in subjects), (receiver, subject)

    # ── the tools ────────────────────────────────────────────────────────────────────────────────

    def configure(self, hours, remind=REMIND):
        escalate = tuple(Step(after=Duration(it * HOUR), to=(CALLED,)) for it in hours)
        routing = replace(self.harness.rules.routing, routes=(Route(to=ROUTED, escalate=escalate),))
        policy = replace(self.harness.rules.policy, remind=tuple(map(Duration, remind)))
        self.harness.rules = replace(self.harness.rules, routing=routing, policy=policy)
        self.ticker.rules = replace(self.ticker.rules, routing=routing, policy=policy)

    def act_of(self, kind):
        about = "acme" if kind in (ActKind.ACK, ActKind.UNACK) else None
        return Act(self.harness.new_id(), self.harness.now, kind, Way.CLI, "ann", workspace=about)

    def do(self, kind, work, cause):
        rules = act.ActRules(
            self.harness.rules.policy, self.harness.rules.routing, self.harness.new_id
        )
        chosen = act.Chosen(cause=Cause(STATUS[cause]().status))
        try:
            self.harness.run(lambda tx: work(tx, self.act_of(kind), chosen, rules))
        except ActError:
            return
        self.check()

    def tick(self):
        """Do what is due, and check that all of it was."""
        before = self.open()

        async def tick():
            while await self.ticker.tick():
                pass

        asyncio.run(tick())
        for event in self.new_events():
            incident = before.get(event.incident_id)
            if event.cause == Cause.SUBSCRIPTION:
                assert event.type not in ("reminded", "escalated")
            if event.type == "reminded":
                step = REMIND[min(incident.reminders, len(REMIND) - 1)]
                if incident.acknowledged_at is None:
                    assert incident.remind_at - min(30 * MINUTE, step // 4) <= event.at
                else:
                    assert incident.acknowledged_until <= event.at
            elif event.type == "escalated":
                assert incident.told_at is not None
                assert incident.told_at + Duration.parse(event.detail) <= event.at
                assert incident.acknowledged_at is None or incident.acknowledged_until <= event.at
        steps = Counter(
            (it.incident_id, it.detail)
            for it in self.harness.run(lambda tx: tx.execute(EVENTS).all())
            if it.reason == "step_due"  # and not what is told again after a mute or an ack
        )
        assert not steps or max(steps.values()) == 1
        self.check()

    def check(self):
        """Check what was queued since the last time, and return it."""
        queued = self.harness.run(lambda tx: tx.execute(QUEUED).all())
        fresh = [it for it in queued if it.id not in self.seen]
        self.seen.update(it.id for it in fresh)
        for row in fresh:
            if row.type != "resolved":
                assert not self.is_muted(row.receiver, row.at), row
        return fresh

    def is_muted(self, receiver, at):
        return any(at < until and (not to or receiver in to) for to, until in self.muted.values())

    def new_events(self):
        events = self.harness.run(lambda tx: tx.execute(EVENTS).all())
        fresh = [it for it in events if it.id not in self.known_events]
        self.known_events.update(it.id for it in fresh)
        return fresh

    def hear(self, message):
        """Note what a receiver is told: of an account first an opening, at last its end."""
        if message.id in self.messages:
            return  # again, as nobody knew whether it had arrived
        self.messages.add(message.id)
        for notification in message.notifications:
            if notification.incident is None:
                continue
            key = message.receiver, notification.incident.subject
            is_open = self.told.get(key, False)
            assert (notification.event == "opened") is not is_open, (key, notification.event)
            self.told[key] = notification.event != "resolved"

    def open(self):
        listed = self.harness.run(lambda tx: incidents.load_open(tx, "acme"))
        return {it.id: it for it in listed.values()}

    def heard(self):
        rows = self.harness.run(lambda tx: tx.execute(HEARD).all())
        return {(it.incident_id, it.receiver) for it in rows}


@pytest.mark.slow
@pytest.mark.case("mute ends while still bad", "acknowledged", "escalation step due")
def test_whatever_people_do_everybody_is_told_once_and_nobody_in_vain():
    run_state_machine_as_test(
        Conversation,
        settings=settings(
            max_examples=EXAMPLES or 60,
            derandomize=not EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # what goes wrong is short enough as it is
            suppress_health_check=list(HealthCheck),
        ),
    )
