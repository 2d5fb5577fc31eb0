"""The running monitor: one task group of loops, each around a unit of work."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

import structlog

from monitor import __version__
from monitor.config import Config
from monitor.core.duration import Duration
from monitor.core.errors import MonitorError, first_error
from monitor.log import LogQueue
from monitor.metrics.families import CONFIGURED, LOG_DROPPED, RELOADED, RELOADED_AT
from monitor.schedule import Schedule
from monitor.store import incidents, leases, mutes, outbox, outside, session_intents, workspaces
from monitor.store.address import describe, parse
from monitor.store.db import StoreError
from monitor.web.app import build
from monitor.web.server import bind, is_local, serve, url
from monitor.work.deliver import LAST_WRITE
from monitor.work.liveness import write_liveness
from monitor.work.tick import Ticker

from . import process
from .components import Components, Resources
from .holdings import Holdings
from .lease import RENEW_EVERY, TAKE_EVERY, Lease
from .loop_health import LoopHealth
from .people import People
from .queues import Queues
from .reconfigure import Reconfigurer
from .reload import OnLoad, Reloader
from .sd_notify import sd_notify
from .workers import Workers, cancel

SLEEP_STEP: Final = Duration.parse("30s")
"""If the clock runs ahead of the monotonic one by so much at once, the host was suspended."""

LOOPS: Final = (
    *("database", "lease", "begin", "balance", "clock", "unwatch", "tick", "queues", "resume"),
    "retention",
)
"""The loops that must not fail if the monitor is to be ready; those of one workspace or receiver
may."""

MAX_RHYTHMS: Final = 10
"""How many different intervals a log line names."""

TICK_EVERY: Final = Duration.parse("1s")
CLOCK_EVERY: Final = Duration.parse("15s")
QUEUES_EVERY: Final = Duration.parse("2s")
RETENTION_EVERY: Final = Duration.parse("1h")
RETENTION_RETRY: Final = Duration.parse("5s")
DATABASE_EVERY: Final = Duration.parse("2s")

MAX_STOPPING: Final = Duration.parse("20s")
"""How long the monitor may take to stop, whatever hangs: orchestrators kill after 30 s."""

SLOW_DATABASE: Final = Duration.parse("5s")
"""After what time without an answer the database does not work, as far as is known."""

log = structlog.get_logger("app")


class App:
    """A monitor that is ready to run.

    *load* reads the configuration again when `reload` is asked for; *on_load* is called with it
    before it is applied. *notify_socket* is the address of a service manager. What *log_queue*
    drops is counted.
    """

    def __init__(
        self,
        config: Config,
        resources: Resources,
        *,
        load: Callable[[], Config] | None = None,
        on_load: OnLoad = lambda *_: None,
        notify_socket: str | None = None,
        log_queue: LogQueue | None = None,
    ) -> None:
        self._config = config
        self._resources = resources
        self._store = resources.store
        self._runtime = resources.runtime
        self._metrics = resources.metrics
        self._sd_notify = partial(sd_notify, notify_socket)
        self._log_queue = log_queue
        self._stopping = asyncio.Event()
        self._applying = asyncio.Lock()
        self._main: asyncio.Task[None] | None = None
        self._is_aborted = False
        self._is_at_work = False
        self._is_more_due = False
        self._has_slept = False
        self._lease = Lease(self._store, self._runtime, config.name or process.host())
        self._loop_health = LoopHealth(self._runtime.monotonic, self._lease)
        self._schedule = Schedule(jitter=self._runtime.jitter)
        self._more_to_prune = False
        self._failed_writes = 0
        self._changes: int | None = None  # from outside, when they were last counted
        self._asked_at: float | None = None  # when the database was, and has not answered yet
        self._group = asyncio.TaskGroup()
        self._workers = Workers(self._runtime.now, self._schedule, self._group)
        self._reloader = Reloader(
            config,
            load=load or (lambda: config),
            on_load=on_load,
            apply=self._reconfigure,
            monotonic=self._runtime.monotonic,
        )
        self._holdings = Holdings(resources, self._workers, self._loop_health, self._lease)
        self._queues = Queues(resources, self._workers, self._holdings)
        self._people = People(resources, self._holdings)
        self._reconfigurer = Reconfigurer(
            resources,
            self._workers,
            self._holdings,
            loop_health=self._loop_health,
            lease=self._lease,
            refused=self._reloader.ask_for_secrets,
        )

    def stop(self) -> None:
        """Begin to stop: no new polls, finish what is being sent.

        What hangs then is aborted after a while.
        """
        if not self._stopping.is_set():
            self._stopping.set()
            asyncio.get_running_loop().call_later(MAX_STOPPING.seconds, self._abort)

    def _abort(self) -> None:
        if self._main and not self._main.done():
            self._is_aborted = True
            self._main.cancel()

    def reload(self) -> None:
        """Begin to read the configuration again and apply it, if it is right."""
        self._reloader.ask()

    async def run(self, *, ready: Callable[[str], None] | None = None) -> None:
        """Run until told to stop; *ready* is called with the address of the endpoint.

        While the lease can't be had, as another monitor has the lock of the database, it waits.
        Raise MonitorError if it can't start, or does not stop in time.
        """
        self._main = asyncio.current_task()
        sock = bind(self._config.web)
        endpoint = build(
            metrics=self._metrics,
            alive=self._loop_health.overdue,
            ready=self._problems,
            metrics_token=self._config.web.metrics_token,
            is_local=is_local(sock),
            hosts=self._config.web.names,
        )
        try:
            self._components = await self._reconfigurer.prepare(self._config)
            components, workers = self._components, self._workers
            self._ticker = Ticker(components.tick_rules, components.recorder, workers.term_of)
            await self._lease.keep()
            async with self._group:
                if self._lease.held.is_set():
                    await self._begin()
                self._group.create_task(serve(endpoint, sock, stopping=self._stopping))
                await self._run(ready, url(sock))
        except ExceptionGroup as group:
            raise first_error(group) from None
        except asyncio.CancelledError:
            if not self._is_aborted:
                raise
            raise MonitorError(f"something hangs: it did not stop within {MAX_STOPPING}") from None
        finally:
            self._main = None
            await _at_last(self._holdings.give_back_all())
            await _at_last(self._lease.give_back())
            sock.close()
        log.info("stopped")

    async def _run(self, ready: Callable[[str], None] | None, address: str) -> None:
        config = self._config
        lease = self._group.create_task(self._keep_lease())
        watch = self._group.create_task(self._watch())
        reloads = self._group.create_task(self._follow_configuration())
        database = self._group.create_task(self._follow_database())
        self._schedule.start()
        log.info(
            "started",
            version=__version__,
            **({"name": config.name} if config.name else {}),
            configuration=str(config.path or "environment"),
            **({"overridden": dict(config.overridden)} if config.overridden else {}),
            endpoint=address,
            database=describe(parse(config.storage.location)),
            workspaces=len(config.workspaces),
            held=len(self._workers.workspaces),
            polls=_rhythms(config),
            receivers=list(self._workers.receivers),
        )
        self._notify_ready()
        if ready:
            ready(address)
        while not self._stopping.is_set():
            await _first_of(self._stopping, self._lease.held)
            if self._lease.held.is_set() and not self._is_at_work:
                await self._start_work()
            if self._is_at_work:
                await self._work()
        log.info("stopping")
        self._sd_notify("STOPPING=1")
        self._schedule.stop()
        await cancel([reloads])
        await self._workers.stop_polls()
        if self._is_at_work:  # others need not wait for what is being sent
            await _at_last(self._note_time())
            await _at_last(self._holdings.give_back_all())
        await self._workers.stop()
        await cancel([lease, watch, database])

    def _notify_ready(self) -> None:
        status = f"workspaces watched: {len(self._workers.workspaces)}"
        if not self._is_at_work:
            status = "waiting for another monitor to end"
        self._sd_notify("READY=1", f"STATUS={status}")

    def _problems(self) -> list[str]:
        """Return why this monitor is not ready, as far as is known already."""
        problems = self._loop_health.problems(LOOPS)
        if self._asked_at is not None:
            silent_for = self._runtime.monotonic() - self._asked_at
            if silent_for > SLOW_DATABASE.seconds:
                problems.append(f"the database has not answered for {silent_for:.0f} s")
        return problems

    async def _follow_database(self) -> None:
        """Ask the database now and then, so that it is known whether it works."""
        while True:
            self._asked_at = self._runtime.monotonic()
            ask = self._store.read(leases.replicas)
            await self._loop_health.guard("database", ask, needs_lease=False)
            self._asked_at = None
            await asyncio.sleep(DATABASE_EVERY.seconds)

    async def _watch(self) -> None:
        """Tell the service manager that no loop hangs; nothing here waits for the database."""
        was_overdue = False
        while True:
            overdue = self._loop_health.overdue()
            if not overdue:
                self._sd_notify("WATCHDOG=1")
            elif not was_overdue:
                log.error("loops hang", problems=overdue)
            was_overdue = bool(overdue)
            if self._log_queue:
                self._metrics.set(LOG_DROPPED, self._log_queue.dropped)
            await asyncio.sleep(TICK_EVERY.seconds)

    # ── the lease ────────────────────────────────────────────────────────────────────────────────

    async def _keep_lease(self) -> None:
        while True:
            is_well = self._lease.held.is_set() and not self._loop_health.is_failing("lease")
            await _wait_for(self._lease.doubted, RENEW_EVERY if is_well else TAKE_EVERY)
            self._lease.doubted.clear()
            await self._loop_health.guard("lease", self._lease.keep(), needs_lease=False)

    async def _start_work(self) -> None:
        await self._workers.finish_sends()  # from before; else they would count as lost
        await self._loop_health.guard("begin", self._begin())
        if not self._is_at_work:
            self._lease.lose("this monitor could not begin to work")  # it is taken again

    async def _begin(self) -> None:
        await self._ticker.note_time()
        async with self._applying:
            await self._apply(self._components)
        self._ticker.plan_anew()  # others may have held all this, and had no time for it
        self._is_at_work = True

    async def _work(self) -> None:
        """Do what time alone brings until the monitor is to stop, or to wait for the lease."""
        loops = [self._group.create_task(it) for it in (self._tick(), self._balance())]
        await _first_of(self._stopping, self._lease.lost)
        await cancel(loops)
        if not self._stopping.is_set():
            await self._stop_work()

    async def _balance(self) -> None:
        """Take workspaces and give them back, as replicas come and go, while the lease is held."""
        while self._lease.held.is_set():
            is_well = self._lease.is_alone and not self._loop_health.is_failing("balance")
            await _wait_for(self._lease.doubted, RENEW_EVERY if is_well else TAKE_EVERY)
            async with self._applying:
                await self._loop_health.guard("balance", self._share())

    async def _share(self) -> None:
        before = self._workers.terms()
        await self._holdings.balance()
        if self._workers.terms().items() - before.items():
            self._ticker.plan_anew()  # who had them before may have had no time for it
        await self._reconfigurer.catch_up()

    async def _stop_work(self) -> None:
        """Stop all that needs the lease; what is being sent comes to its end."""
        await self._workers.suspend()
        async with self._applying:
            await self._workers.suspend()  # those, too, that a reload has started meanwhile
            self._is_at_work = False
            self._workers.clear()
            self._reconfigurer.reset()
            self._loop_health.clear()
            self._holdings.clear()
        self._notify_ready()

    # ── the configuration ────────────────────────────────────────────────────────────────────────

    async def _apply(self, components: Components) -> None:
        await self._reconfigurer.apply(components)
        self._components = components
        self._ticker.rules = components.tick_rules
        self._workers.queues_changed = True  # by those that left
        self._metrics.set(CONFIGURED, len(components.config.workspaces))
        await self._holdings.balance()
        for warning in components.config.warnings:
            log.warning("configuration warning", what=warning)

    async def _reconfigure(self, config: Config) -> None:
        components = await self._reconfigurer.prepare(config)
        async with self._applying:
            if self._is_at_work:
                await self._apply(components)
            else:
                self._components = components  # for when it is our turn

    async def _follow_configuration(self) -> None:
        while True:
            if await self._reloader.is_due():
                self._sd_notify("RELOADING=1")
                successful = await self._reloader.reload()
                self._metrics.set(RELOADED, float(successful))
                if successful:
                    self._metrics.set(RELOADED_AT, self._runtime.now() / 1_000_000)
                self._notify_ready()
            await self._reloader.read_secrets_again()

    # ── what time alone brings ───────────────────────────────────────────────────────────────────

    async def _tick(self) -> None:
        now, monotonic, guard = self._runtime.now, self._runtime.monotonic, self._loop_health.guard
        clock_due = monotonic() + CLOCK_EVERY.seconds
        queues_due = monotonic()
        retention_due = monotonic() + RETENTION_EVERY.seconds
        retention_retry = RETENTION_RETRY.seconds  # doubles while it fails
        latest, awake = now(), monotonic()
        while True:
            self._loop_health.beat("tick", 60)
            self._is_more_due = False
            passed, latest = now() - latest, now()
            ran, awake = monotonic() - awake, monotonic()
            if passed / 1_000_000 - ran > SLEEP_STEP.seconds:
                await self._look_at_all()
                clock_due = monotonic()
            if passed < 0 or monotonic() >= clock_due:
                await guard("clock", self._note_time())
                if self._holdings.holds_all:
                    await guard("unwatch", self._repeat(self._ticker.unwatch))
                failed = self._loop_health.is_failing("clock", "unwatch")
                clock_due = monotonic() + (TICK_EVERY if failed else CLOCK_EVERY).seconds
            await guard("tick", self._do_what_is_due())
            if self._workers.queues_changed and monotonic() >= queues_due:
                self._workers.queues_changed = False
                await guard("queues", self._queues.look())
                self._workers.queues_changed |= self._loop_health.is_failing("queues")
                queues_due = monotonic() + QUEUES_EVERY.seconds
            await guard("resume", self._reconfigurer.resume())
            if self._holdings.holds_all and monotonic() >= retention_due:
                await guard("retention", self._prune())
                wait, retry = RETENTION_EVERY.seconds, RETENTION_RETRY.seconds
                if self._more_to_prune:
                    wait = 0
                if self._loop_health.is_failing("retention"):
                    wait, retry = retention_retry, min(2 * retention_retry, wait)
                retention_due, retention_retry = monotonic() + wait, retry
            await asyncio.sleep(0 if self._is_more_due else TICK_EVERY.seconds)

    async def _do_what_is_due(self) -> None:
        """Wake those whom a commit concerns that woke nobody here, and let the ticker do its work.

        Such a commit is another process's, or one of ours whose answer was lost. All is read in
        one transaction a second.
        """
        failed_writes = self._store.failed_writes
        changes, due_at = await self._store.read(
            lambda tx: (outside.count(tx), incidents.next_due_at(tx))
        )
        if changes != self._changes:
            load_versions = partial(workspaces.load_versions, replica=self._lease.replica)
            wanted, versions = await self._store.read(
                lambda tx: (
                    {*workspaces.load_accepted(tx), *session_intents.asked_for(tx)},
                    load_versions(tx),
                )
            )
            self._workers.expect(versions)
            self._ticker.ended_mutes = await self._store.read(mutes.count_ended)
            await self._holdings.show_outages()
            await self._people.look()
            for name in wanted:
                self._workers.wake_workspace(name)
        if (failed_writes, changes) != (self._failed_writes, self._changes):
            self._failed_writes, self._changes = failed_writes, changes
            self._workers.wake_receivers(self._workers.receivers)
        if self._ticker.has_to_plan or (due_at is not None and due_at <= self._runtime.now()):
            await self._repeat(self._ticker.tick)

    async def _look_at_all(self) -> None:
        """Poll everything now, first what has a queue: nothing that is recorded may still hold."""
        log.info("the host was suspended; every workspace is polled")
        workers = list(self._workers.workspaces.values())
        for worker in workers:
            worker.poller.forget_look()
        queued = set[str]()
        with suppress(StoreError):  # else in any order
            queued = await self._store.read(
                partial(outbox.queued_workspaces, replica=self._lease.replica)
            )
        self._workers.look_at_once(sorted(workers, key=lambda it: it.poller.name not in queued))
        self._has_slept = True

    async def _prune(self) -> None:
        self._more_to_prune = False
        self._more_to_prune = await self._ticker.prune()

    async def _repeat(self, work: Callable[[], Awaitable[bool]]) -> None:
        """Repeat *work* while there is some, but not so long that others have no turn."""
        self._loop_health.beat("tick", 60)
        end = self._runtime.monotonic() + TICK_EVERY.seconds
        while await work():
            self._loop_health.beat("tick", 60)
            if self._runtime.monotonic() >= end:
                self._is_more_due = True
                break

    async def _note_time(self) -> None:
        pollers = [worker.poller for worker in self._workers.workspaces.values()]
        await write_liveness(self._components.recorder, pollers)
        step = await self._ticker.note_time()
        await self._people.look()
        if step:
            for poller in pollers:
                poller.forget_look()
        if step or self._has_slept:
            self._has_slept = False
            self._workers.wake_receivers(self._workers.receivers)  # the times they wait for moved


def _rhythms(config: Config) -> list[str]:
    """Return how often workspaces are polled: every so often, or by crontab; a few of them all."""
    rhythms = {workspace.poll.cron or str(workspace.poll.every) for workspace in config.workspaces}
    return sorted(rhythms)[:MAX_RHYTHMS]


async def _at_last(work: Awaitable[None]) -> None:
    """Do one of the last things, if that can be done."""
    with suppress(MonitorError, TimeoutError):
        async with asyncio.timeout(LAST_WRITE.seconds):
            await work


async def _wait_for(event: asyncio.Event, at_most: Duration) -> None:
    """Wait until *event* is set, but no longer than *at_most*."""
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most.seconds):
            await event.wait()


async def _first_of(*events: asyncio.Event) -> None:
    """Wait until one of *events* is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    await cancel(waiting)
