"""The running monitor: one task group of loops, each around a unit of work."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

import structlog

from monitor.config import Config
from monitor.core.duration import Duration
from monitor.core.errors import MonitorError
from monitor.metrics.families import RELOADED
from monitor.schedule import Schedule
from monitor.store import clock, outbox
from monitor.web.app import build
from monitor.web.server import bind, serve
from monitor.work.poll import write_liveness
from monitor.work.tick import Ticker

from .components import Components, Resources
from .loop_health import LoopHealth
from .reconfigure import OnLoad, Reconfigurer, Reloader
from .sd_notify import sd_notify
from .workers import Workers, cancel

SLEEP_STEP: Final = Duration.parse("30s")
"""If the clock runs ahead of the monotonic one by so much at once, the host was suspended."""

TICK_EVERY: Final = Duration.parse("1s")
CLOCK_EVERY: Final = Duration.parse("15s")
RETENTION_EVERY: Final = Duration.parse("1h")
RETENTION_RETRY: Final = Duration.parse("5s")

log = structlog.get_logger("app")


class App:
    """A monitor that is ready to run.

    *load* reads the configuration again when `reload` is asked for; *on_load* is called with it
    before it is applied. *notify_socket* is the address of a service manager.
    """

    def __init__(
        self,
        config: Config,
        resources: Resources,
        *,
        load: Callable[[], Config] | None = None,
        on_load: OnLoad = lambda *_: None,
        notify_socket: str | None = None,
    ) -> None:
        self._config = config
        self._resources = resources
        self._store = resources.store
        self._runtime = resources.runtime
        self._metrics = resources.metrics
        self._load = load or (lambda: config)
        self._on_load = on_load
        self._sd_notify = partial(sd_notify, notify_socket)
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Event()
        self._loop_health = LoopHealth(self._runtime.monotonic)
        self._schedule = Schedule(jitter=self._runtime.jitter)
        self._more_to_prune = False
        self._group = asyncio.TaskGroup()
        self._workers = Workers(self._runtime.now, self._schedule, self._group)
        self._reconfigurer = Reconfigurer(resources, self._workers, self._loop_health)

    def stop(self) -> None:
        """Begin to stop: no new polls, finish what is being sent."""
        self._stopping.set()

    def reload(self) -> None:
        """Begin to read the configuration again and apply it, if it is right."""
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
            self._components = await self._reconfigurer.prepare(self._config)
            down_for = await self._store.run(lambda tx: clock.silence(tx, self._runtime.now()))
            components, workers = self._components, self._workers
            self._ticker = Ticker(
                components.tick_rules,
                components.recorder,
                term_of=workers.term_of,
                look=workers.wake_workspace,
            )
            await self._note_time()
            async with self._group:
                keep_failures = down_for < self._config.incidents.blind_after
                await self._apply(self._components, keep_failures=keep_failures)
                self._group.create_task(serve(endpoint, sock, stopping=self._stopping))
                await self._run(ready, f"http://{host}:{port}")
        except ExceptionGroup as group:
            raise _first(group) from None
        finally:
            sock.close()
            log.info("stopped")

    async def _run(self, ready: Callable[[str], None] | None, address: str) -> None:
        tasks = [
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
        self._notify_ready()
        if ready:
            ready(address)
        await self._stopping.wait()
        log.info("stopping")
        self._sd_notify("STOPPING=1")
        self._schedule.stop()
        await cancel(tasks)
        await self._workers.stop()
        with suppress(MonitorError):
            await self._note_time()

    def _notify_ready(self) -> None:
        status = f"workspaces watched: {len(self._workers.workspaces)}"
        self._sd_notify("READY=1", f"STATUS={status}")

    async def _problems(self) -> list[str]:
        try:
            await self._store.run(outbox.backlog)
        except MonitorError as error:
            return [str(error)]
        return self._loop_health.problems()

    # ── the configuration ────────────────────────────────────────────────────────────────────────

    async def _apply(self, components: Components, *, keep_failures: bool = False) -> None:
        await self._reconfigurer.apply(components, keep_failures=keep_failures)
        self._components = components
        self._ticker.rules = components.tick_rules
        for warning in components.config.warnings:
            log.warning("configuration warning", what=warning)

    async def _follow_configuration(self) -> None:
        async def apply(config: Config) -> None:
            await self._apply(await self._reconfigurer.prepare(config))

        reloader = Reloader(self._config, load=self._load, on_load=self._on_load, apply=apply)
        while True:
            await self._reloading.wait()
            self._reloading.clear()
            self._sd_notify("RELOADING=1")
            successful = await reloader.reload()
            self._metrics.set(RELOADED, float(successful))
            self._notify_ready()

    # ── what time alone brings ───────────────────────────────────────────────────────────────────

    async def _tick(self) -> None:
        now, monotonic, guard = self._runtime.now, self._runtime.monotonic, self._loop_health.guard
        clock_due = monotonic() + CLOCK_EVERY.seconds
        retention_due = monotonic() + RETENTION_EVERY.seconds
        retention_retry = RETENTION_RETRY.seconds  # doubles while it fails
        latest, awake = now(), monotonic()
        while True:
            passed, latest = now() - latest, now()
            ran, awake = monotonic() - awake, monotonic()
            if passed / 1_000_000 - ran > SLEEP_STEP.seconds:
                self._look_at_all()
                clock_due = monotonic()
            if passed < 0 or monotonic() >= clock_due:
                await guard("clock", self._note_time())
                await guard("unwatch", self._unwatch())
                failed = self._loop_health.is_failing("clock", "unwatch")
                clock_due = monotonic() + (TICK_EVERY if failed else CLOCK_EVERY).seconds
            await guard("tick", self._tick_all())
            await guard("resume", self._reconfigurer.resume())
            if not self._loop_health.overdue():
                self._sd_notify("WATCHDOG=1")
            if monotonic() >= retention_due:
                await guard("retention", self._prune())
                wait, retry = RETENTION_EVERY.seconds, RETENTION_RETRY.seconds
                if self._more_to_prune:
                    wait = 0
                if self._loop_health.is_failing("retention"):
                    wait, retry = retention_retry, min(2 * retention_retry, wait)
                retention_due, retention_retry = monotonic() + wait, retry
            await asyncio.sleep(TICK_EVERY.seconds)

    def _look_at_all(self) -> None:
        """Poll everything now: nothing that is recorded may still hold."""
        log.info("the host was suspended; every workspace is polled")
        for worker in self._workers.workspaces.values():
            worker.poller.forget_look()
            worker.wake()

    async def _tick_all(self) -> None:
        await self._repeat(self._ticker.tick)
        backlog = await self._store.run(outbox.backlog)
        for name in self._workers.receivers:
            count, oldest_at = backlog.get(name, (0, None))
            self._metrics.pending(name, count, oldest_at)
        if backlog.keys() - self._workers.receivers.keys():
            await self._cancel_removed()

    async def _cancel_removed(self) -> None:
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
        components.recorder.count(dropped)
        for receiver in sorted({row.receiver for row in dropped}):
            log.warning("receiver removed; its queue is cancelled", receiver=receiver)
        if components.fallback:
            self._workers.wake_receivers([components.fallback.name])

    async def _prune(self) -> None:
        self._more_to_prune = False
        self._more_to_prune = await self._ticker.prune()

    async def _unwatch(self) -> None:
        await self._repeat(self._ticker.unwatch)

    async def _repeat(self, work: Callable[[], Awaitable[bool]]) -> None:
        """Repeat *work* while there is some, but not so long that others have no turn."""
        self._loop_health.beat("tick", 60)
        end = self._runtime.monotonic() + TICK_EVERY.seconds
        while await work() and self._runtime.monotonic() < end:
            self._loop_health.beat("tick", 60)

    async def _note_time(self) -> None:
        pollers = [worker.poller for worker in self._workers.workspaces.values()]
        await write_liveness(self._store, pollers)
        step = await self._ticker.note_time({poller.name: poller.term for poller in pollers})
        if step:
            for poller in pollers:
                poller.forget_look()


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """Return what a person must know first of all that went wrong at once."""
    error: Exception = group.subgroup(MonitorError) or group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
