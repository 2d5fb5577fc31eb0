"""The monitor around the outbox, step by step: workers of receivers, restarts, configurations.

Workers sleep as they do in the monitor: one reads its queue once it was woken or something is due.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from graphlib import TopologicalSorter

from sqlalchemy import text

from harness.core import HOUR, MINUTE, make_recorder, make_routing
from harness.history import History
from harness.store import DAY, StoreHarness, who_waits
from monitor.core.errors import AttemptReason
from monitor.core.policy import DeliveryPolicy
from monitor.core.receipt import Receipt
from monitor.store import outbox, receivers, undelivered, workspaces
from monitor.store.claims import Claimed
from monitor.work.deliver import Deliverer, DeliveryRules
from monitor.work.liveness import hold
from monitor.work.reconnect import Reconnector
from monitor.work.tick import Ticker, TickRules


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


NEXT = text("""
SELECT receiver, claimed_by,
    COUNT(CASE WHEN state = 'pending' AND waits IS NULL THEN 1 END) AS ready,
    MIN(CASE WHEN waits = 'time' THEN next_attempt_at END) AS due_at,
    MIN(CASE WHEN state = 'sending' THEN claimed_until END) AS lapses_at
FROM message WHERE settled_at IS NULL GROUP BY receiver, claimed_by
""")

# Of what was taken for lost a part may be over before it is refused after all: it counts as heard.
NOTED = text("""
SELECT reason, EXISTS (SELECT 1 FROM heard WHERE message_id = :id) AS is_heard FROM attempt
WHERE message_id = :id AND number = :number
""")

IN_TURN = text("SELECT id FROM message WHERE waits = 'turn'")

AT_ODDS = text("""
SELECT message.id FROM message
LEFT JOIN notification ON notification.message_id = message.id AND notification.settled_at IS NULL
WHERE (message.settled_at IS NULL) <> (notification.id IS NOT NULL)
    OR notification.state <> message.state
""")


class OutboxHarness(StoreHarness):
    """A monitor of the workspace `acme` and what it does with its outbox.

    *present* are the receivers in its configuration, of all that there are: *kinds*, as for
    `make_routing`. Sessions are asked for and about at *api*.
    """

    def __init__(self, store, kinds, *routes, fallback, jitter, api=None, **policy):
        super().__init__(store, receivers=kinds, fallback=fallback, **policy)
        self.api = api
        store.run = self._take_turn  # threads would take their time, and each time another
        self.kinds = kinds
        self.jitter = jitter
        self.present = set(kinds)
        self.routes = routes
        self._fallback = fallback
        self.history = History(self)
        self.sends = []
        self.restart()

    async def _take_turn(self, work, *, of=None, urgent=False):
        del of, urgent
        await asyncio.sleep(0)
        return self.run(work)

    def restart(self):
        """Begin as another process does; sends of this one go on if there are any."""
        self.attach()
        self.workers = {}
        recorder = make_recorder(
            self,
            dict.fromkeys(self.kinds, "webhook"),
            replica=self.replica,
            jitter=self.jitter,
            wake=partial(_wake, self.workers),
            look=self.look,
        )
        self.reconnector = Reconnector(
            "acme", self.term, self.api, None, None, self.rules.create, HOUR, recorder
        )
        self.has_intents = True
        self.ticker = Ticker(None, recorder, term_of=lambda _: self.term)
        self.configure()

    async def kill(self):
        """Die: how the sends ended nobody will know."""
        for send in self.sends:
            send.reply.answer.set_exception(KilledError())
            with suppress(KilledError):
                await send.task
        self.sends.clear()

    async def stop(self):
        """Stop as if asked to."""
        for send in self.sends:
            send.task.cancel()
            with suppress(asyncio.CancelledError):
                await send.task
        self.sends.clear()

    def configure(self):
        """Go by the present routes and receivers."""
        routes = [
            replace(route, to=tuple(name for name in route.to if name in self.present))
            for route in self.routes
        ]
        self.fallback = self._fallback if self._fallback in self.present else None
        routing = make_routing(
            {name: self.kinds[name] for name in sorted(self.present)},
            *(route for route in routes if route.to),
            fallback=self.fallback,
            inventory=self.inventory,
        )
        self.rules = replace(self.rules, routing=routing)
        self.reconnector.policy, self.reconnector.routing = self.rules.policy, routing
        self.ticker.rules = TickRules(self.rules.policy, routing, keep=180 * DAY)
        fallback = self.receiver(self.fallback) if self.fallback else None
        rules = DeliveryRules(DeliveryPolicy(), self.inventory, fallback)
        mended = self.present - self.workers.keys()
        self.run(lambda tx: receivers.clear(tx, self.replica, sorted(mended), now=self.now))
        for name in self.workers.keys() - self.present:
            del self.workers[name]
        for name in sorted(self.present):
            if name not in self.workers:
                by = self.new_id()
                deliverer = Deliverer(self.receiver(name), None, rules, self.ticker.recorder, by)
                self.workers[name] = Worker(deliverer)
            self.workers[name].deliverer.rules = rules
            self.workers[name].is_woken = True

    def poll(self, *accounts, after=MINUTE):
        recorded = super().poll(*accounts, after=after)
        self.history.excuse(self.kinds.keys() - self.present, recorded.decision.events)
        return recorded

    def observe(self, changes, after=MINUTE):
        recorded = super().observe(changes, after)
        _wake(self.workers, recorded.receivers)
        self.has_intents |= recorded.has_intents
        return recorded

    def look(self, workspace):
        """Let sessions of *workspace* be asked for and about."""
        self.has_intents |= workspace == "acme"

    async def ask(self):
        """Ask for or about a session, if one is to be."""
        if self.has_intents:
            self.has_intents = await self.reconnector.reconnect() is not None

    async def step_clock(self, back):
        """Let the clock go *back*."""
        await self.ticker.note_time()
        self.now -= back
        step = await self.ticker.note_time()
        for worker in self.workers.values():  # they sleep by a clock that does not step
            worker.next_at = worker.next_at and worker.next_at - step
        self.forget_looks()

    def forget_looks(self):
        """Let nothing that is recorded count as known, as after a suspension of the host."""
        self.forget_look()
        self.run(lambda tx: hold(tx, self.replica, ["acme"], now=self.now))
        self.workspace = self.run(lambda tx: workspaces.load(tx, "acme"))

    async def tick(self):
        """Do what is due."""
        for _ in range(20):
            if not await self.ticker.tick():
                return
        raise AssertionError("there is always something due")

    async def look_at_queues(self):
        """Cancel what is queued for those that left."""
        fallback = self.receiver(self.fallback) if self.fallback else None
        for name in sorted(
            self.run(partial(outbox.backlog, replica=self.replica)).keys() - self.present
        ):
            cancel = partial(
                undelivered.cancel_removed,
                replica=self.replica,
                receiver=name,
                fallback=fallback,
                now=self.now,
                new_id=self.new_id,
            )
            while await self.store.run(cancel) is not None:
                _wake(self.workers, [self.fallback])

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
                is_rest = claimed.message.done or other.claimed.message.done  # of several addresses
                if other.worker is worker and not is_rest:
                    assert not send.accounts & other.accounts, "two at once about one account"
            self.sends.append(send)
            worker.deliverer.notifier = send.reply
            send.task = asyncio.create_task(worker.deliverer.send(claimed, claimed.message))
            await asyncio.sleep(0)

    async def end(self, send, error=None):
        """Let the receiver answer; *error* may be the receipt of some of its addresses."""
        self.sends.remove(send)
        message = send.claimed.message
        result, error = (error, error.failure) if isinstance(error, Receipt) else (None, error)
        if error is None or result is not None:
            send.reply.answer.set_result(result or Receipt())
        else:
            send.reply.answer.set_exception(error)
        await send.task
        values = {"id": message.id, "number": send.claimed.attempts}
        noted = self.run(lambda tx: tx.execute(NOTED, values).one_or_none())
        reason = error.reason if error else AttemptReason.OK
        is_refusal = error is not None and result is None
        if noted and noted.reason == reason and not (is_refusal and noted.is_heard):
            self.history.end(send.claimed, error if is_refusal else None)
        send.worker.is_woken = True
        if send.worker not in self.workers.values():  # nobody is woken, but they look once a minute
            _wake(self.workers, self.present)

    async def deliver_due(self):
        """Let all receivers accept what is due."""
        for _ in range(3000):
            due = [name for name, worker in self.workers.items() if worker.is_due(self.now)]
            if not due:
                return
            for name in due:
                await self.begin(name)
            for send in list(self.sends):
                await self.end(send)
        raise AssertionError("there is always something to send")

    def check(self):
        """Check what holds after every step."""
        waiting, in_turn, at_odds, queues, states = self.run(self._read)
        TopologicalSorter(waiting).prepare()
        assert in_turn <= waiting.keys(), "one waits for what is over"
        assert not at_odds
        for name, worker in self.workers.items():
            latest = [at for queue in queues[name] for at in self._due(queue, worker.deliverer.by)]
            if latest and not worker.is_due(self.now):
                not_before = states[name].not_before if name in states else None
                until = max(min(latest), not_before or 0) + MINUTE  # what ends late waits that long
                assert worker.next_at is not None, f"{name} sleeps for ever"
                assert worker.next_at <= until, f"{name} sleeps too long"

    def _read(self, tx):
        in_turn, at_odds = (tx.execute(query).scalars().all() for query in (IN_TURN, AT_ODDS))
        queues = defaultdict(list)
        for queue in tx.execute(NEXT):
            queues[queue.receiver].append(queue)
        return who_waits(tx), set(in_turn), at_odds, queues, receivers.load_all(tx)

    def _due(self, queue, by):
        """Give when something of a queue is due for the worker *by*, whose own sends are not."""
        if queue.ready:
            yield self.now
        if queue.due_at is not None:
            yield queue.due_at
        if queue.lapses_at is not None and queue.claimed_by != by:
            yield queue.lapses_at


def _wake(workers, names):
    for name in names:
        if name in workers:
            workers[name].is_woken = True
