"""All units of work over a real store, by a configuration file: polls, ticks, sends, and acts.

Linked API and the receivers are the test's own, and time is a value. The monitor may be killed at
any transaction and in the middle of any send; another one goes on then with what is recorded.
"""

from contextlib import AsyncExitStack
from itertools import count

import httpx

from harness.core import MINUTE, NOON
from harness.leases import REPLICA, hold, live
from harness.outbox import KilledError, Worker
from harness.store import open_store
from monitor import config
from monitor.app.components import Components, Resources
from monitor.core.act import Act, Way
from monitor.core.errors import ActError
from monitor.core.model import ALL_WORKSPACES, Failure
from monitor.core.receipt import Receipt
from monitor.core.runtime import Runtime
from monitor.core.secret import Secret
from monitor.net.proxy import Proxies
from monitor.source.token import Token
from monitor.store import incidents, mutes
from monitor.work.act import ActRules
from monitor.work.deliver import Deliverer
from monitor.work.poll import Poller
from monitor.work.subscription import SubscriptionCheck
from monitor.work.tick import Ticker


class Source:
    """Linked API as one workspace sees it: what it would answer now."""

    def __init__(self, name, subscription):
        self.token = Token(Secret(f"linked_{name}"))
        self.observation = None
        self.subscription = self.asked = subscription

    async def get_all(self):
        return self.observation

    async def get_subscription(self):
        self.asked = self.subscription
        return self.subscription


class UnitsOfWork:
    """A monitor by the configuration in *file*, whose database is at *url*.

    It is killed every *crash_every* steps, which are beginnings and ends of transactions, and sends
    (0: never). *receive* is given each message that a receiver is handed, again and again.
    """

    def __init__(self, file, url, *, subscription, receive, crash_every=0):
        self.config = config.load(file, {})
        self.url = url
        self.receive = receive
        self.crash_every = crash_every
        self.steps = self.crashes = 0
        self.now, self.began = NOON, NOON
        self.ids = map("{:08d}".format, count(1))
        self.sources = {it.name: Source(it.name, subscription) for it in self.config.workspaces}
        self.http = httpx.AsyncClient(verify=False)
        self.restless = set(self.sources)
        self.has_to_prune = False
        self.start()

    def start(self):
        """Start with nothing but what is recorded."""
        self.store = open_store(self.url)
        self.store.run, self.store.read = self._run, self._read
        runtime = Runtime(
            lambda: self.now,
            lambda: (self.now - self.began) / 1_000_000,
            lambda: 0.5,
            self.new_id,
        )
        resources = Resources(self.store, self.http, runtime, AsyncExitStack(), Proxies({}))
        components = Components(
            self.config, resources, None, REPLICA, wake=self.wake, look=self.restless.add
        )
        resources.metrics.declare(
            workspaces=[*self.sources, ALL_WORKSPACES],
            receivers={it.name: it.type for it in self.config.receivers},
        )
        self.components, self.recorder = components, components.recorder
        self.store.run_now(live)
        terms = {}
        self.pollers = {}
        for settings in self.config.workspaces:
            name = settings.name
            workspace, terms[name] = self.store.run_now(
                lambda tx, name=name: hold(
                    tx, name, now=self.now, blind_after=self.config.incidents.blind_after
                )
            )
            check = SubscriptionCheck(
                name,
                terms[name],
                source=self.sources[name],
                policy=self.config.incidents,
                routing=components.routing,
                every=components.ask_every,
                recorder=self.recorder,
            )
            self.pollers[name] = Poller(
                workspace,
                terms[name],
                rules=components.rules(settings),
                source=self.sources[name],
                recorder=self.recorder,
                subscription=check,
            )
        self.restless.update(self.sources)
        self.ticker = Ticker(components.tick_rules, self.recorder, term_of=terms.get)
        self.ticker.ended_mutes = self.store.run_now(mutes.count_ended)
        self.workers = {
            name: Worker(
                Deliverer(receiver, self, components.delivery_rules, self.recorder, self.new_id())
            )
            for name, receiver in components.receivers.items()
        }

    async def close(self):
        self.store.close()
        await self.http.aclose()

    def new_id(self):
        return next(self.ids)

    def wake(self, names):
        for name in names:
            self.workers[name].is_woken = True

    # ── where it may be killed ───────────────────────────────────────────────────────────────────

    def _step(self):
        self.steps += 1
        if self.crash_every and self.steps % self.crash_every == 0:
            raise KilledError

    async def _run(self, work, *, of=None, urgent=False):
        del of, urgent
        self._step()
        result = self.store.run_now(work)
        self._step()
        return result

    async def _read(self, work):
        return self.store.read_now(work)

    async def send(self, message):
        """Be every receiver's notifier: take *message*."""
        self.receive(message)
        self._step()
        return Receipt()

    # ── what it does ─────────────────────────────────────────────────────────────────────────────

    async def work(self):
        """Do all that there is to do now; if the monitor is killed, another one does."""
        while True:
            try:
                is_due = self._is_due()
                for name in sorted(self.pollers if is_due else self.restless):
                    await self._poll(name)
                while is_due and await self.ticker.tick():
                    pass
                await self._deliver()
                while self.has_to_prune:
                    self.has_to_prune = await self.ticker.prune()
            except KilledError:
                self.crashes += 1
                self.store.close()
                self.start()
            else:
                return

    async def _poll(self, name):
        poller, source = self.pollers[name], self.sources[name]
        decision = await poller.poll()
        checked = await poller.check_subscription()
        is_quiet = decision is None and checked is None and source.asked == source.subscription
        if is_quiet and not isinstance(source.observation, Failure):
            self.restless.discard(name)
        else:
            self.restless.add(name)

    def _is_due(self):
        """Whether anything but polls is due, for which every workspace was looked at lately."""
        due_at = self.store.read_now(incidents.next_due_at)
        is_tick_due = self.ticker.has_to_plan or (due_at is not None and due_at <= self.now)
        return is_tick_due or any(it.is_due(self.now) for it in self.workers.values())

    async def _deliver(self):
        while due := [worker for worker in self.workers.values() if worker.is_due(self.now)]:
            for worker in due:
                worker.is_woken = False
                claimed = await worker.deliverer.claim()
                worker.next_at = claimed.next_at
                worker.is_woken |= claimed.more or claimed.message is not None
                if claimed.message is not None:
                    await worker.deliverer.send(claimed, claimed.message)

    def next_at(self):
        """When something is to be done next, but for what comes from outside; None: never.

        Polls of accounts that are all quiet would find nothing.
        """
        times = [worker.next_at for worker in self.workers.values()]
        times.append(self.store.read_now(incidents.next_due_at))
        if self.restless:
            times.append(self.now + MINUTE)
        return min((at for at in times if at is not None), default=None)

    # ── what people do ───────────────────────────────────────────────────────────────────────────

    def act(self, work, kind, *given, actor, workspace=None, **more):
        """Let *actor* do something at another terminal; return whether that could be done."""
        did = Act(self.new_id(), self.now, kind, Way.CLI, actor, workspace=workspace)
        try:
            self.store.run_now(lambda tx: work(tx, did, *given, **more))
        except ActError:
            return False
        self.ticker.ended_mutes = self.store.run_now(mutes.count_ended)
        self.wake(self.workers)
        return True

    @property
    def act_rules(self):
        return ActRules(self.config.incidents, self.components.routing, self.new_id)
