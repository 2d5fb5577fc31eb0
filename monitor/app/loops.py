"""The monitor at work: one task group of loops, each around a unit of work."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from monitor.config import Config
from monitor.core.duration import Duration
from monitor.core.errors import MonitorError
from monitor.core.model import NotificationState
from monitor.metrics.families import RELOADED
from monitor.schedule import Schedule
from monitor.store import outbox
from monitor.store.db import LeaseLostError
from monitor.web.app import build
from monitor.web.server import bind, serve
from monitor.work.deliver import LEASE

from .components import Components, Resources
from .loop_health import LoopHealth
from .reload import OnLoad, Reloader
from .sd_notify import SdNotify
from .workers import ReceiverWorker, Workers, WorkspaceWorker

SENDERS: Final = 4
"""How many messages may leave for one receiver at the same time."""

SHUTDOWN_GRACE: Final = Duration.parse("5s")
"""How long sends may go on after the monitor was told to stop."""

SESSIONS_A_POLL: Final = 3
"""How many reconnection sessions are asked for between two polls of a workspace."""

POLL_RETRY: Final = Duration.parse("30s")
"""After what time a poll that could not be recorded is repeated, whatever the schedule says."""

SLEEP_STEP: Final = Duration.parse("30s")
"""If the clock runs ahead of the monotonic one by so much at once, the host has slept."""

QUEUE_RETRY: Final = Duration.parse("5s")
"""After what time a queue that could not be read is looked at again."""

IDLE_WAIT: Final = Duration.parse("30s")
TICK_EVERY: Final = Duration.parse("1s")
CLOCK_EVERY: Final = Duration.parse("15s")
RETENTION_EVERY: Final = Duration.parse("1h")

log = structlog.get_logger("app")


class App:
    """A monitor that is ready to run.

    *load* reads the configuration again when `reload` is asked for; *on_load* hears of it before
    it is taken up.
    """

    def __init__(
        self,
        config: Config,
        resources: Resources,
        *,
        load: Callable[[], Config] | None = None,
        on_load: OnLoad = lambda *_: None,
        sd_notify: SdNotify | None = None,
    ) -> None:
        self._config = config
        self._resources = resources
        self._store = resources.store
        self._runtime = resources.runtime
        self._metrics = resources.metrics
        self._load = load or (lambda: config)
        self._announce = on_load
        self._sd_notify = sd_notify or SdNotify()
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Event()
        self._loop_health = LoopHealth(self._runtime.monotonic)
        self._schedule = Schedule(jitter=self._runtime.jitter)
        self._workers = Workers(
            resources, self._schedule, begin_polls=self._begin_polls, begin_sends=self._begin_sends
        )
        self._group = asyncio.TaskGroup()
        self._sends: set[asyncio.Task[None]] = set()  # of receivers that left, too

    def stop(self) -> None:
        """Begin to stop: no new polls, finish what is being sent."""
        self._stopping.set()

    def reload(self) -> None:
        """Begin to read the configuration again and go by it, if it is right."""
        self._reloading.set()

    async def run(self, *, ready: Callable[[str], None] | None = None) -> None:
        """Run until told to stop; *ready* is called with the address of the endpoint.

        Raise MonitorError if it can't start, or must not go on.
        """
        sock = bind(self._config.web)
        host, port = sock.getsockname()[:2]
        endpoint = build(
            metrics=self._metrics,
            alive=self._loop_health.overdue,
            ready=self._problems,
            metrics_token=self._config.web.metrics_token,
        )
        try:
            await self._prepare()
            async with self._group:
                await self._adopt(self._components)
                self._group.create_task(serve(endpoint, sock, stopping=self._stopping))
                await self._work(ready, f"http://{host}:{port}")
        except ExceptionGroup as group:
            raise _first(group) from None
        finally:
            sock.close()
            log.info("stopped")

    async def _prepare(self) -> None:
        self._components = await self._make_parts(self._config)
        self._ticker = self._components.ticker()
        await self._note_time()

    async def _work(self, ready: Callable[[str], None] | None, address: str) -> None:
        others = [
            self._group.create_task(self._tick()),
            self._group.create_task(self._follow_configuration()),
        ]
        self._schedule.start()
        log.info(
            "started",
            endpoint=address,
            workspaces=len(self._workers.workspaces),
            receivers=list(self._workers.receivers),
        )
        self._sd_notify.ready(f"workspaces watched: {len(self._workers.workspaces)}")
        if ready:
            ready(address)
        await self._stopping.wait()
        log.info("stopping")
        self._sd_notify.stopping()
        self._schedule.stop()
        polls = [task for worker in self._workers.workspaces.values() for task in worker.tasks]
        await _end([*others, *polls])
        self._wake_receivers()
        if sends := list(self._sends):
            await asyncio.wait(sends, timeout=SHUTDOWN_GRACE.seconds)
            await _end(sends)
        with suppress(MonitorError):
            await self._note_time()

    # ── the configuration ────────────────────────────────────────────────────────────────────────

    async def _make_parts(self, config: Config) -> Components:
        api = await self._resources.api(config.linked_api)
        return Components(config, self._resources, api, self._workers.is_current)

    async def _go_by(self, config: Config) -> None:
        await self._adopt(await self._make_parts(config))

    async def _adopt(self, components: Components) -> None:
        await self._workers.adopt(components)
        self._config, self._components = components.config, components
        self._ticker.rules = components.tick_rules
        for warning in components.config.warnings:
            log.warning("configuration is odd", what=warning)

    async def _follow_configuration(self) -> None:
        reloader = Reloader(
            self._config, load=self._load, on_load=self._announce, adopt=self._go_by
        )
        while True:
            await self._reloading.wait()
            self._reloading.clear()
            self._sd_notify.reloading()
            successful = await reloader.reload()
            self._metrics.set(RELOADED, float(successful))
            self._sd_notify.ready(f"workspaces watched: {len(self._workers.workspaces)}")

    # ── starting loops ───────────────────────────────────────────────────────────────────────────

    def _begin_polls(self, worker: WorkspaceWorker) -> Sequence[asyncio.Task[None]]:
        return [self._group.create_task(self._poll(worker))]

    def _begin_sends(self, worker: ReceiverWorker) -> Sequence[asyncio.Task[None]]:
        tasks = [self._group.create_task(self._send(worker, number)) for number in range(SENDERS)]
        for task in tasks:
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)
        return tasks

    # ── the loops ────────────────────────────────────────────────────────────────────────────────

    async def _poll(self, worker: WorkspaceWorker) -> None:
        loop = f"poll {worker.poller.name}"
        try:
            while True:
                self._loop_health.beat(loop, self._longest(worker))
                with suppress(TimeoutError):
                    async with asyncio.timeout(
                        POLL_RETRY.seconds if self._loop_health.is_failing(loop) else None
                    ):
                        await worker.wake.wait()
                worker.wake.clear()
                scheduled, worker.scheduled = worker.scheduled, False
                await self._guard(loop, self._poll_once(worker, scheduled=scheduled))
        finally:
            self._loop_health.end(loop)

    def _longest(self, worker: WorkspaceWorker) -> float:
        """Return within how many seconds a workspace is polled next, if nothing hangs."""
        now, next_due = self._runtime.now(), worker.settings.poll.next_due
        calls = 1 + 2 * SESSIONS_A_POLL
        timeout = self._config.linked_api.timeout.seconds
        return (next_due(next_due(now)) - now) / 1_000_000 + timeout * calls + 60

    async def _poll_once(self, worker: WorkspaceWorker, *, scheduled: bool) -> None:
        decision = await worker.poller.poll(scheduled=scheduled)
        if decision is not None and decision.events:
            self._wake_receivers()
        for _ in range(SESSIONS_A_POLL):
            if await worker.reconnector.reconnect() is None:
                break
            worker.poller.invalidate()
            self._wake_receivers()

    async def _send(self, worker: ReceiverWorker, number: int) -> None:
        loop = f"send {worker.deliverer.receiver.name} {number}"
        while not self._is_over(worker):
            worker.wake.clear()
            await self._guard(loop, self._deliver_all(worker, loop))
            wait = QUEUE_RETRY.seconds
            with suppress(MonitorError):
                wait = await worker.deliverer.due_in(IDLE_WAIT)
            if self._is_over(worker):
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(worker.wake.wait(), max(wait, 0.05))
        self._loop_health.end(loop)

    def _is_over(self, worker: ReceiverWorker) -> bool:
        return worker.over or self._stopping.is_set()

    async def _deliver_all(self, worker: ReceiverWorker, loop: str) -> None:
        while not self._is_over(worker):
            self._loop_health.beat(loop, (IDLE_WAIT + LEASE) / 1_000_000 + 10)
            settled = await worker.deliverer.deliver()
            if settled is None:
                return
            worker.wake.set()
            if any(one.outcome is NotificationState.DEAD for one in settled):
                self._wake_receivers()  # the fallback has something to tell

    async def _tick(self) -> None:
        now, monotonic = self._runtime.now, self._runtime.monotonic
        next_note = monotonic() + CLOCK_EVERY.seconds
        next_forget = monotonic() + RETENTION_EVERY.seconds
        latest, awake = now(), monotonic()
        while True:
            passed, latest = now() - latest, now()
            ran, awake = monotonic() - awake, monotonic()
            if passed / 1_000_000 - ran > SLEEP_STEP.seconds:
                self._look_at_all()
            if passed < 0 or monotonic() >= next_note:
                next_note = monotonic() + CLOCK_EVERY.seconds
                await self._guard("clock", self._note_time())
                await self._guard("unwatch", self._unwatch())
            await self._guard("tick", self._tick_all())
            await self._guard("resume", self._workers.resume())
            if not self._loop_health.overdue():
                self._sd_notify.alive()
            if monotonic() >= next_forget:
                next_forget = monotonic() + RETENTION_EVERY.seconds
                await self._guard("upkeep", self._ticker.prune())
            await asyncio.sleep(TICK_EVERY.seconds)

    async def _tick_all(self) -> None:
        self._loop_health.beat("tick", 60)
        while await self._ticker.tick():
            self._loop_health.beat("tick", 60)
            self._wake_receivers()
        backlog = await self._store.run(outbox.backlog)
        for name in self._workers.receivers:
            count, oldest_at = backlog.get(name, (0, None))
            self._metrics.pending(name, count, oldest_at)
        if backlog.keys() - self._workers.receivers.keys():
            await self._abandon()

    async def _abandon(self) -> None:
        """Cancel what is queued for receivers that left the configuration."""
        components = self._components
        dropped = await self._store.run(
            lambda tx: outbox.cancel_removed(
                tx,
                components.receivers,
                components.fallback,
                now=self._runtime.now(),
                new_id=self._runtime.new_id,
            )
        )
        for one in dropped:
            self._metrics.settled(one.receiver, one.event, one.outcome)
        for receiver in sorted({one.receiver for one in dropped}):
            log.warning("receiver is gone; what was queued for it is cancelled", receiver=receiver)
        self._wake_receivers()

    async def _unwatch(self) -> None:
        while await self._ticker.unwatch():
            self._wake_receivers()

    async def _note_time(self) -> None:
        pollers = [one.poller for one in self._workers.workspaces.values()]
        good = {one.name: one.take_good_at() for one in pollers}
        step = await self._ticker.note_time(
            {name: at for name, at in good.items() if at is not None},
            {one.name: one.term for one in pollers},
        )
        if step:
            for poller in pollers:
                poller.invalidate()

    async def _guard(self, loop: str, work: Awaitable[None]) -> None:
        """Let a loop survive whatever goes wrong in one cycle, and say so."""
        try:
            await work
        except LeaseLostError:
            raise
        except MonitorError as error:
            if self._loop_health.failed(loop, str(error)):
                log.error("cycle failed", loop=loop, error=str(error))  # noqa: TRY400 - says it all
        except Exception as error:
            if self._loop_health.failed(loop, f"{type(error).__name__} in {loop}"):
                log.exception("cycle failed unexpectedly", loop=loop)
        else:
            if (was := self._loop_health.worked(loop)) is not None:
                log.info("cycles work again", loop=loop, after=was)

    def _look_at_all(self) -> None:
        """Poll everything now: the host slept, and nothing that is recorded may still hold."""
        log.info("the host has slept; every workspace is looked at")
        for worker in self._workers.workspaces.values():
            worker.on_schedule()

    def _wake_receivers(self) -> None:
        for worker in self._workers.receivers.values():
            worker.wake.set()

    async def _problems(self) -> list[str]:
        try:
            await self._store.run(outbox.backlog)
        except MonitorError as error:
            return [str(error)]
        return self._loop_health.problems()


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """Return what a person must know first of all that went wrong at once."""
    error: Exception = group.subgroup(MonitorError) or group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
