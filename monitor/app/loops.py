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
from monitor.deliver import LEASE
from monitor.schedule import Schedule
from monitor.store import outbox
from monitor.store.db import ClaimLostError
from monitor.web.app import build
from monitor.web.server import bind, serve

from .crew import Crew, Outlet, Watch
from .parts import Ground, Parts
from .pulse import Pulse
from .reload import Announce, Reloader
from .supervisor import Supervisor

SENDERS: Final = 4
"""How many messages may leave for one receiver at the same time."""

LAST_SENDS: Final = Duration.parse("5s")
"""How long sends may go on after the monitor was told to stop."""

SESSIONS_A_POLL: Final = 3
"""How many reconnection sessions are asked for between two polls of a workspace."""

RETRY: Final = Duration.parse("30s")
"""After what time a poll that could not be recorded is repeated, whatever the schedule says."""

ASLEEP: Final = Duration.parse("30s")
"""If the clock runs ahead of the monotonic one by so much at once, the host has slept."""

AGAIN: Final = Duration.parse("5s")
"""After what time a queue that could not be read is looked at again, and upkeep that failed."""

IDLE: Final = Duration.parse("30s")
TICK: Final = Duration.parse("1s")
NOTE: Final = Duration.parse("15s")
FORGET: Final = Duration.parse("1h")

log = structlog.get_logger("app")


class App:
    """A monitor that is ready to run.

    *reread* reads the configuration again when `reload` is asked for; *announce* hears of it before
    it is taken up.
    """

    def __init__(
        self,
        config: Config,
        ground: Ground,
        *,
        reread: Callable[[], Config] | None = None,
        announce: Announce = lambda *_: None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._config = config
        self._ground = ground
        self._store = ground.store
        self._around = ground.around
        self._metrics = ground.metrics
        self._reread = reread or (lambda: config)
        self._announce = announce
        self._supervisor = supervisor or Supervisor()
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Event()
        self._pulse = Pulse(self._around.monotonic)
        self._schedule = Schedule(jitter=self._around.jitter)
        self._crew = Crew(
            ground, self._schedule, begin_polls=self._begin_polls, begin_sends=self._begin_sends
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
            alive=self._pulse.overdue,
            ready=self._problems,
            metrics_token=self._config.web.metrics_token,
        )
        try:
            await self._prepare()
            async with self._group:
                await self._adopt(self._parts)
                self._group.create_task(serve(endpoint, sock, stopping=self._stopping))
                await self._work(ready, f"http://{host}:{port}")
        except ExceptionGroup as group:
            raise _first(group) from None
        finally:
            sock.close()
            log.info("stopped")

    async def _prepare(self) -> None:
        self._parts = await self._make_parts(self._config)
        self._ticker = self._parts.ticker()
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
            workspaces=len(self._crew.watches),
            receivers=list(self._crew.outlets),
        )
        self._supervisor.ready(f"workspaces watched: {len(self._crew.watches)}")
        if ready:
            ready(address)
        await self._stopping.wait()
        log.info("stopping")
        self._supervisor.stopping()
        self._schedule.stop()
        polls = [task for watch in self._crew.watches.values() for task in watch.tasks]
        await _end([*others, *polls])
        self._wake_outlets()
        if sends := list(self._sends):
            await asyncio.wait(sends, timeout=LAST_SENDS.seconds)
            await _end(sends)
        with suppress(MonitorError):
            await self._note_time()

    # ── the configuration ────────────────────────────────────────────────────────────────────────

    async def _make_parts(self, config: Config) -> Parts:
        api = await self._ground.api(config.linked_api)
        return Parts(config, self._ground, api, self._crew.is_current)

    async def _go_by(self, config: Config) -> None:
        await self._adopt(await self._make_parts(config))

    async def _adopt(self, parts: Parts) -> None:
        await self._crew.adopt(parts)
        self._config, self._parts = parts.config, parts
        self._ticker.rules = parts.tick_rules
        for warning in parts.config.warnings:
            log.warning("configuration is odd", what=warning)

    async def _follow_configuration(self) -> None:
        reloader = Reloader(
            self._config, reread=self._reread, announce=self._announce, adopt=self._go_by
        )
        while True:
            await self._reloading.wait()
            self._reloading.clear()
            self._supervisor.reloading()
            successful = await reloader.reload()
            self._metrics.reloaded(successful=successful)
            self._supervisor.ready(f"workspaces watched: {len(self._crew.watches)}")

    # ── starting loops ───────────────────────────────────────────────────────────────────────────

    def _begin_polls(self, watch: Watch) -> Sequence[asyncio.Task[None]]:
        return [self._group.create_task(self._poll(watch))]

    def _begin_sends(self, outlet: Outlet) -> Sequence[asyncio.Task[None]]:
        tasks = [self._group.create_task(self._send(outlet, worker)) for worker in range(SENDERS)]
        for task in tasks:
            self._sends.add(task)
            task.add_done_callback(self._sends.discard)
        return tasks

    # ── the loops ────────────────────────────────────────────────────────────────────────────────

    async def _poll(self, watch: Watch) -> None:
        loop = f"poll {watch.poller.name}"
        try:
            while True:
                self._pulse.beat(loop, self._longest(watch))
                with suppress(TimeoutError):
                    async with asyncio.timeout(
                        RETRY.seconds if self._pulse.is_failing(loop) else None
                    ):
                        await watch.wake.wait()
                watch.wake.clear()
                scheduled, watch.scheduled = watch.scheduled, False
                await self._guard(loop, self._poll_once(watch, scheduled=scheduled))
        finally:
            self._pulse.end(loop)

    def _longest(self, watch: Watch) -> float:
        """Return within how many seconds a workspace is polled next, if nothing hangs."""
        now, next_due = self._around.now(), watch.settings.poll.next_due
        calls = 1 + 2 * SESSIONS_A_POLL
        timeout = self._config.linked_api.timeout.seconds
        return (next_due(next_due(now)) - now) / 1_000_000 + timeout * calls + 60

    async def _poll_once(self, watch: Watch, *, scheduled: bool) -> None:
        decision = await watch.poller.poll(scheduled=scheduled)
        if decision is not None and decision.events:
            self._wake_outlets()
        for _ in range(SESSIONS_A_POLL):
            if await watch.reconnector.reconnect() is None:
                break
            watch.poller.invalidate()
            self._wake_outlets()

    async def _send(self, outlet: Outlet, worker: int) -> None:
        loop = f"send {outlet.deliverer.receiver.name} {worker}"
        while not self._is_over(outlet):
            outlet.wake.clear()
            await self._guard(loop, self._deliver_all(outlet, loop))
            wait = AGAIN.seconds
            with suppress(MonitorError):
                wait = await outlet.deliverer.due_in(IDLE)
            if self._is_over(outlet):
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(outlet.wake.wait(), max(wait, 0.05))
        self._pulse.end(loop)

    def _is_over(self, outlet: Outlet) -> bool:
        return outlet.over or self._stopping.is_set()

    async def _deliver_all(self, outlet: Outlet, loop: str) -> None:
        while not self._is_over(outlet):
            self._pulse.beat(loop, (IDLE + LEASE) / 1_000_000 + 10)
            settled = await outlet.deliverer.deliver()
            if settled is None:
                return
            outlet.wake.set()
            if any(one.outcome is NotificationState.DEAD for one in settled):
                self._wake_outlets()  # the fallback has something to tell

    async def _tick(self) -> None:
        now, monotonic = self._around.now, self._around.monotonic
        next_note = monotonic() + NOTE.seconds
        next_forget = monotonic() + FORGET.seconds
        latest, awake = now(), monotonic()
        while True:
            passed, latest = now() - latest, now()
            ran, awake = monotonic() - awake, monotonic()
            if passed / 1_000_000 - ran > ASLEEP.seconds:
                self._look_at_all()
            if passed < 0 or monotonic() >= next_note:
                noted = await self._guard("clock", self._note_time())
                unwatched = await self._guard("unwatch", self._unwatch())
                next_note = monotonic() + (NOTE if noted and unwatched else TICK).seconds
            await self._guard("tick", self._tick_all())
            await self._guard("resume", self._crew.resume())
            if not self._pulse.overdue():
                self._supervisor.alive()
            if monotonic() >= next_forget:
                forgot = await self._guard("upkeep", self._ticker.forget())
                next_forget = monotonic() + (FORGET if forgot else AGAIN).seconds
            await asyncio.sleep(TICK.seconds)

    async def _tick_all(self) -> None:
        self._pulse.beat("tick", 60)
        while await self._ticker.tick():
            self._pulse.beat("tick", 60)
            self._wake_outlets()
        backlog = await self._store.run(outbox.backlog)
        for name in self._crew.outlets:
            count, oldest_at = backlog.get(name, (0, None))
            self._metrics.pending(name, count, oldest_at)
        if backlog.keys() - self._crew.outlets.keys():
            await self._abandon()

    async def _abandon(self) -> None:
        """Cancel what is queued for receivers that left the configuration."""
        parts = self._parts
        dropped = await self._store.run(
            lambda tx: outbox.abandon(
                tx,
                parts.receivers,
                parts.fallback,
                now=self._around.now(),
                new_id=self._around.new_id,
            )
        )
        for one in dropped:
            self._metrics.settled(one.receiver, one.event, one.outcome)
        for receiver in sorted({one.receiver for one in dropped}):
            log.warning("receiver is gone; what was queued for it is cancelled", receiver=receiver)
        self._wake_outlets()

    async def _unwatch(self) -> None:
        while await self._ticker.unwatch():
            self._wake_outlets()

    async def _note_time(self) -> None:
        pollers = [one.poller for one in self._crew.watches.values()]
        good = {one.name: one.take_good_at() for one in pollers}
        step = await self._ticker.note_time(
            {name: at for name, at in good.items() if at is not None},
            {one.name: one.term for one in pollers},
        )
        if step:
            for poller in pollers:
                poller.invalidate()

    async def _guard(self, loop: str, work: Awaitable[None]) -> bool:
        """Let a loop survive whatever goes wrong in one cycle, and say so; return if it worked."""
        try:
            await work
        except ClaimLostError:
            raise
        except MonitorError as error:
            if self._pulse.failed(loop, str(error)):
                log.error("cycle failed", loop=loop, error=str(error))  # noqa: TRY400 - says it all
        except Exception as error:
            if self._pulse.failed(loop, f"{type(error).__name__} in {loop}"):
                log.exception("cycle failed unexpectedly", loop=loop)
        else:
            if (was := self._pulse.worked(loop)) is not None:
                log.info("cycles work again", loop=loop, after=was)
            return True
        return False

    def _look_at_all(self) -> None:
        """Poll everything now: the host slept, and nothing that is recorded may still hold."""
        log.info("the host has slept; every workspace is looked at")
        for watch in self._crew.watches.values():
            watch.on_schedule()

    def _wake_outlets(self) -> None:
        for outlet in self._crew.outlets.values():
            outlet.wake.set()

    async def _problems(self) -> list[str]:
        try:
            await self._store.run(outbox.backlog)
        except MonitorError as error:
            return [str(error)]
        return self._pulse.problems()


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
