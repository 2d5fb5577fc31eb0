"""The monitor, put together: configuration in, one task group of loops out.

The only reader of the clock, of randomness and of signals.
"""

import asyncio
import random
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import structlog

from monitor import __version__, metrics, notifiers, web
from monitor.config import Config
from monitor.core.duration import Duration
from monitor.core.errors import MonitorError
from monitor.core.model import Micros
from monitor.core.route import Match, Route, Routing
from monitor.deliver import LEASE, Deliverer, DeliveryRules
from monitor.metrics import Metrics
from monitor.poll import Poller, Rules
from monitor.reconnect import Reconnector
from monitor.schedule import Schedule, spread
from monitor.source.client import LinkedApi, open_http
from monitor.source.token import Token
from monitor.store import listings, outbox, state
from monitor.store.db import ClaimLostError, Store
from monitor.store.outbox import Receiver
from monitor.tick import Ticker, TickRules
from monitor.web.server import bind, serve

SENDERS: Final = 4
"""How many messages may leave for one receiver at the same time."""

LAST_SENDS: Final = Duration.parse("5s")
"""How long sends may go on after the monitor was told to stop."""

SESSIONS_A_POLL: Final = 3
"""How many reconnection sessions are asked for between two polls of a workspace."""

IDLE: Final = Duration.parse("30s")
TICK: Final = Duration.parse("1s")
NOTE: Final = Duration.parse("15s")
FORGET: Final = Duration.parse("1h")

log = structlog.get_logger("app")


def now() -> Micros:
    """Return the time: UTC microseconds since the epoch."""
    return time.time_ns() // 1000  # noqa: TID251 - the one clock


def new_id() -> str:
    """Return a fresh id."""
    return str(uuid.uuid4())


jitter: Callable[[], float] = random.SystemRandom().random


class Pulse:
    """When each loop last cycled, and how long it may take."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._due: dict[str, float] = {}

    def beat(self, loop: str, within: float) -> None:
        """Note that *loop* cycled and will again within so many seconds."""
        self._due[loop] = self._monotonic() + within

    def overdue(self) -> list[str]:
        """Return a sentence for each loop that hangs."""
        at = self._monotonic()
        return [
            f"the loop {loop} is {at - due:.0f} s overdue"
            for loop, due in self._due.items()
            if at > due
        ]


@dataclass(slots=True)
class Watch:
    """One workspace at work: its poller, what follows a poll, and what wakes it."""

    poller: Poller
    reconnector: Reconnector
    longest_pause: float
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    scheduled: bool = False

    def on_schedule(self) -> None:
        """Wake it because it is due."""
        self.scheduled = True
        self.wake.set()


@dataclass(slots=True)
class Outlet:
    """One receiver at work."""

    deliverer: Deliverer
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class App:
    """A monitor that is ready to run."""

    def __init__(self, config: Config, *, store: Store, http: httpx.AsyncClient) -> None:
        self.config = config
        self.metrics = Metrics(
            version=__version__,
            per_account=config.metrics.per_account,
            account_names=config.metrics.account_names,
        )
        self.stopping = asyncio.Event()
        self._store = store
        self._http = http
        self._pulse = Pulse(time.monotonic)
        self._schedule = Schedule()
        self._labels = {one.name: dict(one.labels) for one in config.workspaces}
        self._receivers = {one.name: one for one in _receivers(config)}
        kinds = {name: one.type for name, one in self._receivers.items()}
        self.metrics.declare(workspaces=self._labels, receivers=kinds)
        self._outlets = {name: self._outlet(name) for name in self._receivers}
        self._ticker = self._make_ticker()
        self._watches: list[Watch] = []

    async def run(self, *, ready: Callable[[str], None] | None = None) -> None:
        """Run until `stopping` is set; *ready* is called with the address of the endpoint.

        Raise MonitorError if it can't start, or must not go on.
        """
        sock = bind(self.config.web)
        await self._take_up()
        endpoint = web.app.build(
            metrics=self.metrics,
            alive=self._pulse.overdue,
            ready=self._problems,
            metrics_token=self.config.web.metrics_token,
        )
        host, port = sock.getsockname()[:2]
        try:
            await self._work(serve(endpoint, sock, stopping=self.stopping), ready, host, port)
        except ExceptionGroup as group:
            raise _first(group) from None
        finally:
            with suppress(MonitorError):
                await self._note_time()

    def stop(self) -> None:
        """Begin to stop: no new polls, finish what is being sent."""
        self.stopping.set()

    async def _take_up(self) -> None:
        """Take over the recorded state, and what is queued for receivers that are gone."""
        config = self.config
        names = [one.name for one in config.workspaces]
        await self._note_time()
        entered = await self._store.run(
            lambda tx: [(*state.enter(tx, name), listings.open_by_cause(tx, name)) for name in names]
        )
        dropped = await self._store.run(
            lambda tx: outbox.abandon(
                tx, self._receivers, self._fallback(), now=now(), new_id=new_id
            )
        )
        for receiver in sorted({one.receiver for one in dropped}):
            log.warning("receiver is gone; what was queued for it is cancelled", receiver=receiver)
        for index, (settings, (workspace, term, incidents)) in enumerate(
            zip(config.workspaces, entered, strict=True)
        ):
            self.metrics.workspace(workspace, incidents)
            watch = self._watch(settings, workspace, term)
            self._watches.append(watch)
            poll = settings.poll or config.poll
            self._schedule.add(
                settings.name, poll, watch.on_schedule, spread(index, len(names), poll.every)
            )

    async def _work(
        self,
        endpoint: Coroutine[Any, Any, None],
        ready: Callable[[str], None] | None,
        host: str,
        port: int,
    ) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(endpoint)
            polls = [group.create_task(self._poll(watch)) for watch in self._watches]
            polls.append(group.create_task(self._tick()))
            sends = [
                group.create_task(self._send(outlet, worker))
                for outlet in self._outlets.values()
                for worker in range(SENDERS)
            ]
            self._schedule.start()
            log.info("started", workspaces=len(self._watches), receivers=list(self._receivers))
            if ready:
                ready(f"http://{host}:{port}")
            await self.stopping.wait()
            log.info("stopping")
            self._schedule.stop()
            await _end(polls)
            for outlet in self._outlets.values():
                outlet.wake.set()
            await asyncio.wait(sends, timeout=LAST_SENDS.seconds)
            await _end(sends)

    # ── the loops ────────────────────────────────────────────────────────────────────────────────

    async def _poll(self, watch: Watch) -> None:
        loop = f"poll {watch.poller.name}"
        while True:
            self._pulse.beat(loop, watch.longest_pause)
            await watch.wake.wait()
            watch.wake.clear()
            scheduled, watch.scheduled = watch.scheduled, False
            await self._guard(loop, self._poll_once(watch, scheduled=scheduled))

    async def _poll_once(self, watch: Watch, *, scheduled: bool) -> None:
        decision = await watch.poller.poll(scheduled=scheduled)
        if decision is not None and decision.events:
            self._wake_outlets()
        for _ in range(SESSIONS_A_POLL):
            outcome = await watch.reconnector.reconnect()
            if outcome is None:
                break
            watch.poller.invalidate()
            self._wake_outlets()

    async def _send(self, outlet: Outlet, worker: int) -> None:
        name = outlet.deliverer.receiver.name
        loop = f"send {name} {worker}"
        while not self.stopping.is_set():
            self._pulse.beat(loop, (IDLE + LEASE).seconds + 10)
            outlet.wake.clear()
            await self._guard(loop, self._drain(outlet))
            if self.stopping.is_set():
                break
            wait = IDLE.seconds
            with suppress(MonitorError):
                wait = await outlet.deliverer.due_in(IDLE)
            with suppress(TimeoutError):
                await asyncio.wait_for(outlet.wake.wait(), max(wait, 0.05))

    async def _drain(self, outlet: Outlet) -> None:
        while not self.stopping.is_set():
            settled = await outlet.deliverer.deliver()
            if settled is None:
                return
            self._wake_outlets()

    async def _tick(self) -> None:
        next_note = next_forget = time.monotonic() + NOTE.seconds
        while True:
            self._pulse.beat("tick", 60)
            await self._guard("tick", self._tick_all())
            if time.monotonic() >= next_note:
                next_note = time.monotonic() + NOTE.seconds
                await self._guard("tick", self._note_time())
            if time.monotonic() >= next_forget:
                next_forget = time.monotonic() + FORGET.seconds
                await self._guard("tick", self._ticker.forget())
            await asyncio.sleep(TICK.seconds)

    async def _tick_all(self) -> None:
        while await self._ticker.tick():
            self._wake_outlets()
        backlog = await self._store.run(outbox.backlog)
        for name in self._receivers:
            count, oldest_at = backlog.get(name, (0, None))
            self.metrics.pending(name, count, oldest_at)

    async def _note_time(self) -> None:
        good = {one.poller.name: one.poller.take_good_at() for one in self._watches}
        await self._ticker.note_time({name: at for name, at in good.items() if at is not None})

    async def _guard(self, loop: str, work: Awaitable[None]) -> None:
        """Let a loop survive whatever goes wrong in one cycle, and say so."""
        try:
            await work
        except ClaimLostError:
            raise
        except MonitorError as error:
            log.error("cycle failed", loop=loop, error=str(error))  # noqa: TRY400 - says it all
        except Exception:
            log.exception("cycle failed unexpectedly", loop=loop)

    def _wake_outlets(self) -> None:
        for outlet in self._outlets.values():
            outlet.wake.set()

    async def _problems(self) -> list[str]:
        try:
            await self._store.run(outbox.backlog)
        except MonitorError as error:
            return [str(error)]
        return []

    # ── putting together ─────────────────────────────────────────────────────────────────────────

    def _watch(self, settings: Any, workspace: Any, term: int) -> Watch:
        config = self.config
        every = (settings.poll or config.poll).every
        source = LinkedApi(
            http=self._http,
            token=Token(settings.token, settings.token_file),
            settings=config.linked_api,
            link_origins=config.reconnection.link_origins,
            observe=self.metrics.requested,
            monotonic=time.monotonic,
            version=__version__,
        )
        rules = Rules(
            policy=config.incidents,
            routing=self._routing(),
            labels=self._labels[settings.name],
            every=every,
            create=config.reconnection.create == "if_missing",
            cooldown=config.reconnection.cooldown,
        )
        poller = Poller(
            workspace,
            term,
            rules=rules,
            source=source,
            store=self._store,
            metrics=self.metrics,
            clock=now,
            monotonic=time.monotonic,
            jitter=jitter,
            new_id=new_id,
        )
        reconnector = Reconnector(
            settings.name,
            source=source,
            store=self._store,
            metrics=self.metrics,
            routing=rules.routing,
            labels=rules.labels,
            clock=now,
            new_id=new_id,
        )
        calls = 1 + 2 * SESSIONS_A_POLL
        longest = every.seconds * 2 + config.linked_api.timeout.seconds * calls + 60
        return Watch(poller, reconnector, longest)

    def _outlet(self, name: str) -> Outlet:
        settings = self._receivers[name]
        zone = settings.timezone or self.config.timezone
        deliverer = Deliverer(
            self._receiver(name),
            notifiers.build(settings, http=self._http, timezone=zone),
            kind=settings.type,
            rules=DeliveryRules(self.config.delivery, self._labels, self._fallback()),
            store=self._store,
            metrics=self.metrics,
            clock=now,
            monotonic=time.monotonic,
            jitter=jitter,
            new_id=new_id,
        )
        return Outlet(deliverer)

    def _make_ticker(self) -> Ticker:
        config = self.config
        rules = TickRules(config.incidents, self._routing(), self._labels, config.storage.keep)
        return Ticker(
            rules=rules, store=self._store, metrics=self.metrics, clock=now, new_id=new_id
        )

    def _receiver(self, name: str) -> Receiver:
        settings = self._receivers[name]
        return Receiver(name, notifiers.groups(settings), settings.link != "none")

    def _fallback(self) -> Receiver | None:
        return self._receiver(self.config.fallback) if self.config.fallback else None

    def _routing(self) -> Routing:
        groups = {name: notifiers.groups(one) for name, one in self._receivers.items()}
        routes = tuple(
            Route(
                Match(
                    causes=one.match.cause,
                    workspaces=one.match.workspace,
                    accounts=one.match.account,
                    scopes=one.match.scope,
                    labels=one.match.labels,
                ),
                one.to,
                one.continue_,
            )
            for one in self.config.routes
        )
        return Routing(groups, routes, self.config.fallback)


async def run(config: Config, *, ready: Callable[[str], None] | None = None) -> None:
    """Run the monitor until SIGTERM or SIGINT; raise MonitorError if it can't."""
    store = Store.open(config.storage.url)
    try:
        async with open_http(config.linked_api) as http:
            app = App(config, store=store, http=http)
            loop = asyncio.get_running_loop()
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, app.stop)
            await app.run(ready=ready)
    finally:
        store.close()


def _receivers(config: Config) -> Iterable[notifiers.ReceiverSettings]:
    if config.receivers:
        return config.receivers
    log.warning("no receivers are configured: alerts go to the log only")
    return (notifiers.settings_type("log")(name="log", type="log"),)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """Return what a person must know first of all that went wrong at once."""
    errors = group.subgroup(MonitorError) or group
    while isinstance(errors, ExceptionGroup):
        errors = errors.exceptions[0]
    return errors


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
