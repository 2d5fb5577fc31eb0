"""The monitor at work: one task group of loops, each around a unit of work."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from sqlalchemy import Connection

from monitor.core.duration import Duration
from monitor.core.errors import MonitorError
from monitor.core.model import Cause, NotificationState, Workspace
from monitor.deliver import LEASE, Deliverer
from monitor.poll import Poller
from monitor.reconnect import Reconnector
from monitor.schedule import Schedule, spread
from monitor.store import creations, listings, outbox, state
from monitor.store.db import ClaimLostError
from monitor.web.app import build
from monitor.web.server import bind, serve

from .parts import Parts
from .pulse import Pulse

SENDERS: Final = 4
"""How many messages may leave for one receiver at the same time."""

LAST_SENDS: Final = Duration.parse("5s")
"""How long sends may go on after the monitor was told to stop."""

SESSIONS_A_POLL: Final = 3
"""How many reconnection sessions are asked for between two polls of a workspace."""

FIRST_LOOKS: Final = Duration.parse("60s")
"""Within what time after the start every workspace is looked at: until then its alerts wait."""

RETRY: Final = Duration.parse("30s")
"""After what time a poll that could not be recorded is repeated, whatever the schedule says."""

ASLEEP: Final = Duration.parse("30s")
"""If the clock runs ahead of the monotonic one by so much at once, the host has slept."""

IDLE: Final = Duration.parse("30s")
TICK: Final = Duration.parse("1s")
NOTE: Final = Duration.parse("15s")
FORGET: Final = Duration.parse("1h")

log = structlog.get_logger("app")


@dataclass(slots=True)
class Watch:
    """One workspace at work: what polls it, what follows a poll, and what wakes it."""

    poller: Poller
    reconnector: Reconnector
    longest: float
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

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = parts.store
        self._stopping = asyncio.Event()
        self._around = parts.around
        self._pulse = Pulse(self._around.monotonic)
        self._schedule = Schedule(jitter=self._around.jitter)
        self._ticker = parts.ticker()
        self._outlets = [Outlet(parts.deliverer(name)) for name in parts.receivers]
        self._watches: list[Watch] = []
        self._failing: dict[str, str] = {}

    def stop(self) -> None:
        """Begin to stop: no new polls, finish what is being sent."""
        self._stopping.set()

    async def run(self, *, ready: Callable[[str], None] | None = None) -> None:
        """Run until told to stop; *ready* is called with the address of the endpoint.

        Raise MonitorError if it can't start, or must not go on.
        """
        parts = self._parts
        sock = bind(parts.config.web)
        host, port = sock.getsockname()[:2]
        await self._take_up()
        endpoint = build(
            metrics=parts.metrics,
            alive=self._pulse.overdue,
            ready=self._problems,
            metrics_token=parts.config.web.metrics_token,
        )
        serving = serve(endpoint, sock, stopping=self._stopping)
        try:
            await self._work(serving, ready, f"http://{host}:{port}")
        except ExceptionGroup as group:
            raise _first(group) from None
        finally:
            with suppress(MonitorError):
                await self._note_time()
            log.info("stopped")

    async def _take_up(self) -> None:
        """Take over the recorded state, and what is queued for receivers that are gone."""
        parts, config = self._parts, self._parts.config
        names = [one.name for one in config.workspaces]
        await self._note_time()
        entered = await self._store.run(lambda tx: [_enter(tx, name) for name in names])
        dropped = await self._store.run(
            lambda tx: outbox.abandon(
                tx,
                parts.receivers,
                parts.fallback,
                now=self._around.now(),
                new_id=self._around.new_id,
            )
        )
        for receiver in sorted({one.receiver for one in dropped}):
            log.warning("receiver is gone; what was queued for it is cancelled", receiver=receiver)
        for index, settings in enumerate(config.workspaces):
            workspace, term, open_incidents = entered[index]
            parts.metrics.workspace(workspace, open_incidents)
            every = settings.poll.every
            calls = 1 + 2 * SESSIONS_A_POLL
            longest = every.seconds * 2 + config.linked_api.timeout.seconds * calls + 60
            watch = Watch(*parts.watch(settings, workspace, term), longest)
            self._watches.append(watch)
            offset = spread(index, len(names), min(every, FIRST_LOOKS))
            self._schedule.add(settings.name, settings.poll, watch.on_schedule, offset)

    async def _work(
        self,
        serving: Coroutine[Any, Any, None],
        ready: Callable[[str], None] | None,
        address: str,
    ) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(serving)
            polls = [group.create_task(self._poll(watch)) for watch in self._watches]
            polls.append(group.create_task(self._tick()))
            sends = [
                group.create_task(self._send(outlet, worker))
                for outlet in self._outlets
                for worker in range(SENDERS)
            ]
            self._schedule.start()
            log.info(
                "started",
                endpoint=address,
                workspaces=len(self._watches),
                receivers=list(self._parts.receivers),
            )
            if ready:
                ready(address)
            await self._stopping.wait()
            log.info("stopping")
            self._schedule.stop()
            await _end(polls)
            self._wake_outlets()
            await asyncio.wait(sends, timeout=LAST_SENDS.seconds)
            await _end(sends)

    # ── the loops ────────────────────────────────────────────────────────────────────────────────

    async def _poll(self, watch: Watch) -> None:
        loop = f"poll {watch.poller.name}"
        while True:
            self._pulse.beat(loop, watch.longest)
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY.seconds if loop in self._failing else None):
                    await watch.wake.wait()
            watch.wake.clear()
            scheduled, watch.scheduled = watch.scheduled, False
            await self._guard(loop, self._poll_once(watch, scheduled=scheduled))

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
        while not self._stopping.is_set():
            outlet.wake.clear()
            await self._guard(loop, self._deliver_all(outlet, loop))
            wait = IDLE.seconds
            with suppress(MonitorError):
                wait = await outlet.deliverer.due_in(IDLE)
            if self._stopping.is_set():
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(outlet.wake.wait(), max(wait, 0.05))

    async def _deliver_all(self, outlet: Outlet, loop: str) -> None:
        while not self._stopping.is_set():
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
                next_note = monotonic() + NOTE.seconds
                await self._guard("clock", self._note_time())
            await self._guard("tick", self._tick_all())
            if monotonic() >= next_forget:
                next_forget = monotonic() + FORGET.seconds
                await self._guard("upkeep", self._ticker.forget())
            await asyncio.sleep(TICK.seconds)

    async def _tick_all(self) -> None:
        self._pulse.beat("tick", 60)
        while await self._ticker.tick():
            self._pulse.beat("tick", 60)
            self._wake_outlets()
        backlog = await self._store.run(outbox.backlog)
        for name in self._parts.receivers:
            count, oldest_at = backlog.get(name, (0, None))
            self._parts.metrics.pending(name, count, oldest_at)

    async def _note_time(self) -> None:
        good = {one.poller.name: one.poller.take_good_at() for one in self._watches}
        step = await self._ticker.note_time(
            {name: at for name, at in good.items() if at is not None},
            {one.poller.name: one.poller.term for one in self._watches},
        )
        if step:
            for watch in self._watches:
                watch.poller.invalidate()

    async def _guard(self, loop: str, work: Awaitable[None]) -> None:
        """Let a loop survive whatever goes wrong in one cycle, and say so."""
        try:
            await work
        except ClaimLostError:
            raise
        except MonitorError as error:
            self._failing[loop] = f"the loop {loop} fails: {error}"
            log.error("cycle failed", loop=loop, error=str(error))  # noqa: TRY400 - says it all
        except Exception as error:
            self._failing[loop] = f"the loop {loop} fails: {type(error).__name__}"
            log.exception("cycle failed unexpectedly", loop=loop)
        else:
            self._failing.pop(loop, None)

    def _look_at_all(self) -> None:
        """Poll everything now: the host slept, and nothing that is recorded may still hold."""
        log.info("the host has slept; every workspace is looked at")
        for watch in self._watches:
            watch.on_schedule()

    def _wake_outlets(self) -> None:
        for outlet in self._outlets:
            outlet.wake.set()

    async def _problems(self) -> list[str]:
        try:
            await self._store.run(outbox.backlog)
        except MonitorError as error:
            return [str(error)]
        return list(self._failing.values())


def _enter(tx: Connection, name: str) -> tuple[Workspace, int, dict[Cause, int]]:
    workspace, term = state.enter(tx, name)
    creations.give_up_lost(tx, name)
    return workspace, term, listings.open_by_cause(tx, name)


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
