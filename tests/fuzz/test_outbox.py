"""The outbox at random: whatever happens to it, in the end everything is told, and told once.

FUZZ_EXAMPLES says how many runs, FUZZ_SEED which is the first; FUZZ_DATABASE=postgresql runs them
there, and FUZZ_COMMIT=3 lets a commit take 3 ms.
"""

import asyncio
import logging
import os
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
import structlog
from harness.core import (
    HOUR,
    MINUTE,
    REJECTED,
    UNREACHABLE,
    frozen,
    listed_account,
    make_recorder,
    make_routing,
    signed_out,
)
from harness.history import History
from harness.store import DAY, GONE, REFUSED, TIMEOUT, WRONG, StoreHarness
from sqlalchemy import event, text

from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason
from monitor.core.model import Receipt
from monitor.core.policy import DeliveryPolicy, Flapping
from monitor.core.route import Match, Route
from monitor.store import outbox, receivers, workspaces
from monitor.store.claims import Claimed
from monitor.work import deliver
from monitor.work.deliver import Deliverer, DeliveryRules
from monitor.work.poll import hold
from monitor.work.tick import Ticker, TickRules

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0"))
DATABASE = os.environ.get("FUZZ_DATABASE", "sqlite")
COMMIT = float(os.environ.get("FUZZ_COMMIT", "0")) / 1000

STATUS = {
    "good": listed_account,
    "out": signed_out,
    "no link": partial(signed_out, link=""),
    "cold": frozen,
}
GROUPS = {"chat": True, "crm": False, "pager": False, "mail": True}
"""The receivers, and whether one message to them may hold many incidents."""

COLD = Match(causes=("frozen",))
WARM = Match(causes=("reconnection_required", "flapping"))
ROUTES = (
    (Route(match=COLD, to=("crm", "pager")), Route(to=("chat", "crm"))),
    (Route(to=("chat", "pager")),),
    (Route(match=COLD, to=("pager",)), Route(match=WARM, to=("chat",))),
)
MOODS = {
    "fine": [None],
    "moody": [None, None, None, REFUSED, TIMEOUT, WRONG],
    "down": [REFUSED, REFUSED, TIMEOUT],
    "to be mended": [GONE],
}
"""How a receiver may answer for a while."""


@pytest.fixture(autouse=True)
def _quietly_and_in_no_hurry(monkeypatch):
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    monkeypatch.setattr(deliver, "SEND_TIMEOUT", DAY)


@pytest.fixture
def database_url(request, tmp_path):
    if DATABASE == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/monitor.db"


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + EXAMPLES))
async def test_in_the_end_everything_is_told_and_told_once(store, seed):
    if COMMIT:
        engine = store._writing._databases[0].engine
        event.listen(engine, "commit", lambda _: time.sleep(COMMIT))
    turmoil = Turmoil(store, random.Random(seed))
    for _ in range(turmoil.random.choice([30, 60, 100])):
        await turmoil.step()
    await turmoil.recover()
    turmoil.history.check()


class KilledError(BaseException):
    """The process died in the middle of a send."""


class Reply:
    """A notifier for one send: its receiver answers when the test says so."""

    def __init__(self):
        self.answer = asyncio.get_running_loop().create_future()

    async def send(self, message):
        del message
        return await self.answer


@dataclass
class Worker:
    """The worker of a receiver: it reads its queue when it is woken or something is due."""

    deliverer: Deliverer
    is_woken: bool = True
    next_at: int | None = None

    def is_due(self, now):
        return self.is_woken or (self.next_at is not None and self.next_at <= now)


@dataclass
class Send:
    """A send on its way."""

    worker: Worker
    claimed: Claimed
    reply: Reply = field(default_factory=Reply)
    task: asyncio.Task | None = None

    @property
    def accounts(self):
        incidents = (sent.incident for sent in self.claimed.message.notifications)
        return {incident.subject for incident in incidents if incident}


READY = text("""
SELECT COUNT(*) FROM message WHERE receiver = :receiver AND state = 'pending' AND waits IS NULL
""")

DUE = text("""
SELECT MIN(CASE state WHEN 'sending' THEN claimed_until ELSE next_attempt_at END) FROM message
WHERE receiver = :receiver AND (waits = 'time' OR state = 'sending' AND claimed_by <> :by)
""")

IN_TURN = "SELECT id FROM message WHERE waits = 'turn'"

LOOKING = "SELECT id FROM message WHERE waits = 'look'"

AT_ODDS = """
SELECT message.id FROM message
LEFT JOIN notification ON notification.message_id = message.id AND notification.settled_at IS NULL
WHERE (message.settled_at IS NULL) <> (notification.id IS NOT NULL)
    OR notification.state <> message.state
"""

LEFT = "SELECT event || ' to ' || receiver FROM notification WHERE settled_at IS NULL"

OPEN = text("SELECT id, cause FROM incident WHERE resolved_at IS NULL")

HEARD = text("SELECT receiver FROM heard WHERE incident_id = :id")


class Turmoil(StoreHarness):
    """A monitor of one workspace to which *random* things happen."""

    def __init__(self, store, random):
        self.random = random
        choose = random.choice
        super().__init__(
            store,
            create=choose([False, True]),
            receivers=GROUPS,
            fallback=choose([None, "mail", "mail", "chat", "crm"]),
            resolve_after=choose([1, 1, 2]),
            open_after=choose([1, 1, 2]),
            missing_after=2,
            missing_many_after=3,
            remind=(HOUR,),
            group_over=choose([1, 2, 5]),
            flapping=Flapping(changes=choose([4, 6]), settle=10 * MINUTE),
        )
        every = choose([20 * MINUTE, DAY])
        self.rules = replace(self.rules, next_due=lambda at: at + every)
        self.history = History(self)
        self.routes = ROUTES[0]
        self.last_choice = self.fallback
        self.present = set(GROUPS)
        self.moods = dict.fromkeys(GROUPS, "fine")
        self.sends = []
        self.statuses = dict.fromkeys("abcd", "good")
        self.restart()
        if random.random() < 0.02:
            self.fill()

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    async def step(self):
        steps = {
            self.poll_changes: 6,
            self.poll_again: 4,
            self.fail_poll: 1,
            self.begin_some: 10,
            self.end_some: 10,
            self.burst: 2,
            self.change_mood: 2,
            self.wait: 3,
            self.tick: 2,
            self.crash: 0.7,
            self.stop: 0.3,
            self.step_clock: 0.5,
            self.suspend: 0.3,
            self.change_routes: 0.5,
            self.change_receivers: 1,
            self.look_at_queues: 1,
        }
        (step,) = self.random.choices(list(steps), list(steps.values()))
        result = step()
        if result is not None:
            await result
        self.check()

    def fill(self):
        """Queue much, and start anew."""
        self.statuses = {f"a{number}": "good" for number in range(200)}
        self.poll_again()
        self.statuses |= dict.fromkeys(list(self.statuses)[1:], "cold")
        self.poll_again()
        self.restart()

    def poll_changes(self):
        accounts = list(self.statuses)[1:]  # of an empty list nobody would believe a thing
        for account in self.random.sample(accounts, self.random.randint(0, 3)):
            self.statuses[account] = self.random.choice([*STATUS, "gone"])
        self.poll_again()

    def poll_again(self, after=MINUTE):
        listed = [STATUS[now](id_) for id_, now in self.statuses.items() if now != "gone"]
        recorded = self.poll(*listed, after=after)
        self.wake(recorded.receivers)
        self.history.excuse(GROUPS.keys() - self.present, recorded.decision.events)
        assert self.column(LOOKING) == []

    def fail_poll(self):
        self.wake(self.observe(self.random.choice([UNREACHABLE, REJECTED])).receivers)

    async def begin_some(self):
        await self.begin(self.random.choice(sorted(self.present)))

    async def end_some(self):
        if self.sends:
            await self.end(self.random.choice(self.sends))

    async def burst(self):
        """Let everything happen at once that may."""
        sends, looking = list(self.sends), sorted(self.present)
        self.random.shuffle(looking)
        await asyncio.gather(
            *map(self.begin, looking), *map(self.end, sends), self.tick(), self.look_at_queues()
        )

    def change_mood(self):
        self.moods[self.random.choice(list(GROUPS))] = self.random.choice(list(MOODS))

    def wait(self):
        self.now += self.random.choice([Duration.parse("1s"), Duration.parse("12s"), MINUTE, HOUR])

    async def crash(self):
        """Die, or lose the claims to another monitor while the sends go on."""
        if self.random.random() < 0.7:
            for send in self.sends:
                send.reply.answer.set_exception(KilledError())
                with suppress(KilledError):
                    await send.task
            self.sends.clear()
        self.restart()

    async def stop(self):
        for send in self.sends:
            send.task.cancel()
            with suppress(asyncio.CancelledError):
                await send.task
        self.sends.clear()
        self.restart()

    async def step_clock(self):
        await self.ticker.note_time({"acme": self.term})
        self.now -= self.random.choice([MINUTE, 2 * HOUR])
        step = await self.ticker.note_time({"acme": self.term})
        for worker in self.workers.values():  # they sleep by a clock that does not step
            worker.next_at = worker.next_at and worker.next_at - step
        self.forget_looks()

    def suspend(self):
        self.now += 2 * HOUR
        self.forget_looks()

    def change_routes(self):
        self.routes = self.random.choice(ROUTES)
        self.configure()

    def change_receivers(self):
        self.present ^= {self.random.choice(["crm", "pager"])}
        self.configure()

    # ── the monitor ──────────────────────────────────────────────────────────────────────────────

    def restart(self):
        """Begin as another process does."""
        self.attach()
        self.run(lambda tx: hold(tx, "acme", now=self.now))
        self.workers = {}
        wake = partial(self.wake, workers=self.workers)
        jitter = self.random.random()
        self.recorder = make_recorder(
            self, dict.fromkeys(GROUPS, "webhook"), jitter=jitter, wake=wake
        )
        self.ticker = Ticker(None, self.recorder, term_of=lambda _: self.term, look=lambda _: None)
        self.configure()

    def wake(self, names, workers=None):
        for name in names:
            worker = (self.workers if workers is None else workers).get(name)
            if worker:
                worker.is_woken = True

    def configure(self):
        """Go by the present routes and receivers."""
        routes = [
            replace(route, to=tuple(name for name in route.to if name in self.present))
            for route in self.routes
        ]
        self.fallback = self.last_choice if self.last_choice in self.present else None
        routing = make_routing(
            {name: GROUPS[name] for name in sorted(self.present)},
            *(route for route in routes if route.to),
            fallback=self.fallback,
            inventory=self.inventory,
        )
        self.rules = replace(self.rules, routing=routing)
        self.ticker.rules = TickRules(self.rules.policy, routing, keep=180 * DAY)
        fallback = self.receiver(self.fallback) if self.fallback else None
        rules = DeliveryRules(DeliveryPolicy(), self.inventory, fallback)
        mended = self.present - self.workers.keys()
        self.run(lambda tx: receivers.clear(tx, sorted(mended), now=self.now))
        for name in self.workers.keys() - self.present:
            del self.workers[name]
        for name in sorted(self.present):
            if name not in self.workers:
                by = self.new_id()
                deliverer = Deliverer(self.receiver(name), None, rules, self.recorder, by)
                self.workers[name] = Worker(deliverer)
            self.workers[name].deliverer.rules = rules
            self.workers[name].is_woken = True

    def forget_looks(self):
        self.forget_look()
        self.run(lambda tx: hold(tx, "acme", now=self.now))
        self.workspace = self.run(lambda tx: workspaces.load(tx, "acme"))

    async def tick(self):
        for _ in range(20):
            if not await self.ticker.tick():
                return
        raise AssertionError("there is always something due")

    async def look_at_queues(self):
        """Cancel what is queued for those that left."""
        fallback = self.receiver(self.fallback) if self.fallback else None
        for name in sorted(self.run(outbox.backlog).keys() - self.present):
            cancel = partial(
                outbox.cancel_removed,
                receiver=name,
                fallback=fallback,
                now=self.now,
                new_id=self.new_id,
            )
            while await self.store.run(cancel) is not None:
                self.wake([self.fallback])

    async def begin(self, name):
        """Let the worker of a receiver begin a send, if it would."""
        worker = self.workers[name]
        if not worker.is_due(self.now):
            return
        worker.is_woken = False
        claimed = await worker.deliverer.claim()
        worker.next_at = claimed.next_at
        worker.is_woken |= claimed.more or claimed.message is not None
        if claimed.message is not None:
            self.history.begin(claimed)
            send = Send(worker, claimed)
            for other in self.sends:
                if other.worker is worker:
                    assert not send.accounts & other.accounts, "two at once about one account"
            self.sends.append(send)
            worker.deliverer.notifier = send.reply
            send.task = asyncio.create_task(worker.deliverer.send(claimed, claimed.message))
            await asyncio.sleep(0)

    async def end(self, send):
        """Let the receiver answer, as its mood is."""
        self.sends.remove(send)
        message = send.claimed.message
        error = self.random.choice(MOODS[self.moods[message.receiver]])
        if error is None:
            send.reply.answer.set_result(Receipt())
        else:
            send.reply.answer.set_exception(error)
        await send.task
        query = text("SELECT reason FROM attempt WHERE message_id = :id AND number = :number")
        values = {"id": message.id, "number": send.claimed.attempts}
        reason = self.run(lambda tx: tx.execute(query, values).scalar_one_or_none())
        if reason == (error.reason if error else AttemptReason.OK):
            self.history.end(send.claimed, error)
        send.worker.is_woken = True

    # ── what holds ───────────────────────────────────────────────────────────────────────────────

    def check(self):
        """Check what holds after every step."""
        waiting = self.check_that_nobody_waits_in_a_circle()
        assert set(self.column(IN_TURN)) <= waiting.keys(), "it waits for what is over"
        assert self.column(AT_ODDS) == []
        for name, worker in self.workers.items():
            if not worker.is_due(self.now):
                self.check_that_it_may_sleep(name, worker)

    def check_that_it_may_sleep(self, name, worker):
        def read(tx):
            values = {"receiver": name, "by": worker.deliverer.by}
            not_before = receivers.load(tx, name).not_before
            return tx.execute(READY, values).scalar(), tx.execute(DUE, values).scalar(), not_before

        ready, due_at, not_before = self.run(read)
        latest = [at for at in (self.now if ready else None, due_at) if at is not None]
        if latest:
            until = max(min(latest), not_before or 0) + MINUTE  # what ends late waits that long
            assert worker.next_at is not None, f"{name} sleeps for ever"
            assert worker.next_at <= until, f"{name} sleeps too long"

    async def recover(self):
        """Let everything work again, and all be told."""
        self.present = set(GROUPS)
        self.moods = dict.fromkeys(GROUPS, "fine")
        for send in list(self.sends):
            await self.end(send)
        self.configure()
        for account, status in self.statuses.items():
            self.statuses[account] = "good" if status == "gone" else status
        await self.pass_time(2 * HOUR)
        assert self.column(LEFT) == []
        for incident_id, cause in self.run(lambda tx: tx.execute(OPEN).all()):
            heard = self.run(
                lambda tx, id_=incident_id: tx.execute(HEARD, {"id": id_}).scalars().all()
            )
            assert set(self.routed(cause)) <= set(heard)
        self.statuses = dict.fromkeys(self.statuses, "good")
        await self.pass_time(2 * HOUR)
        assert self.column(LEFT) == []
        assert self.run(lambda tx: tx.execute(OPEN).all()) == []

    def routed(self, cause):
        for route in self.routes:
            if not route.match.causes or cause in route.match.causes:
                return route.to
        return [self.fallback] if self.fallback else []

    async def pass_time(self, span):
        """Let the time pass, with polls and all that a monitor does."""
        end = self.now + span
        while self.now < end:
            self.poll_again()
            await self.tick()
            await self.look_at_queues()
            for _ in range(40):
                self.now += MINUTE // 2
                await self.deliver_due()
            self.check()

    async def deliver_due(self):
        for _ in range(3000):
            due = [name for name, worker in self.workers.items() if worker.is_due(self.now)]
            if not due:
                return
            for name in due:
                await self.begin(name)
            for send in list(self.sends):
                await self.end(send)
        raise AssertionError("there is always something to send")
