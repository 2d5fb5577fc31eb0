"""A worker for each workspace and for each receiver, and the loops of each."""

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from monitor.config.settings import WorkspaceSettings
from monitor.core.decide.subscription import SUBSCRIPTION_WAIT
from monitor.core.duration import Duration
from monitor.core.model import Micros, Workspace
from monitor.core.notification import Message
from monitor.notifiers import ReceiverSettings
from monitor.schedule import Schedule, spread
from monitor.source.budget import Budget
from monitor.store.claims import Claimed
from monitor.work.deliver import Deliverer
from monitor.work.poll import Poller
from monitor.work.reconnect import Reconnector
from monitor.work.subscription import SubscriptionCheck

from .components import Components
from .loop_health import LoopHealth

MAX_IN_FLIGHT: Final = 4
"""How many messages may be in flight to one receiver at the same time."""

MAX_SESSIONS_A_POLL: Final = 3
"""How many reconnection sessions are asked for between two polls of a workspace."""

MORE_SESSIONS_AFTER: Final = Duration.parse("10s")
"""After what time it is polled again if there are more sessions to ask for, or about."""

MAX_SPREAD: Final = Duration.parse("60s")
"""Within what time at the most every workspace is first polled that is new, or overdue."""

MAX_LOOKS: Final = 50
"""How many of the workspaces that are to be polled at once are so at the same time."""

POLL_RETRY: Final = Duration.parse("30s")
"""After what time a poll that could not be recorded is repeated, whatever the schedule says."""

QUEUE_RETRY: Final = Duration.parse("5s")
"""After what time a queue that could not be read is read again."""

MIN_WAIT: Final = Duration.parse("50ms")
"""How long a receiver's worker waits at least for what is due at a time."""

MAX_CLAIMING: Final = Duration.parse("60s")
"""Within what time a receiver's worker has claimed a message, or found that there is none."""

SHUTDOWN_GRACE: Final = Duration.parse("5s")
"""How long sends may go on after the monitor was told to stop."""


class WorkspaceWorker:
    """Polls one workspace whenever it is woken, and asks for or about links of its accounts.

    While there is nothing to do it is no task: there may be ten thousand.
    """

    def __init__(
        self,
        settings: WorkspaceSettings,
        components: Components,
        loop_health: LoopHealth,
        workspace: Workspace,
        term: int,
    ) -> None:
        self.settings = settings
        self.budget = Budget(components.config.linked_api.requests_per_minute)
        self.source = components.source(settings, self.budget)
        client, recorder = self.source.client, components.recorder
        rules = components.rules(settings)
        self.subscription = SubscriptionCheck(
            settings.name,
            term,
            source=client,
            policy=rules.policy,
            routing=rules.routing,
            every=components.ask_every,
            recorder=recorder,
        )
        self.poller = Poller(
            workspace,
            term,
            rules=rules,
            source=client,
            recorder=recorder,
            subscription=self.subscription,
        )
        self.reconnector = Reconnector(
            settings.name,
            term,
            client,
            rules.policy,
            rules.routing,
            create=rules.create,
            cooldown=rules.cooldown,
            recorder=recorder,
            is_sure=components.is_sure,
        )
        self._timeout = components.config.linked_api.timeout
        self._now = recorder.runtime.now
        self._loop_health = loop_health
        self._group: asyncio.TaskGroup | None = None  # while it works
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_woken = False
        self._is_scheduled = False
        self.is_idle = True
        self.polled_at = 0.0  # on the monotonic clock
        self._monotonic = recorder.runtime.monotonic
        self._then: Callable[[], None] | None = None

    def start(self, group: asyncio.TaskGroup, due_in: Micros) -> None:
        """Poll from now on, in tasks of *group*, when it is woken; a poll is due in so long."""
        self._group = group
        self._rest(due_in)

    def stop(self) -> asyncio.Task[None] | None:
        """Poll no more; return the task of a poll under way, which is to be cancelled."""
        self._group = None
        self._end_wait()
        if self._task is None:
            self._loop_health.end(self._loop)
        return self._task

    def wake(self) -> None:
        """Let it poll now, or once more if it polls."""
        self._is_woken = True
        if self._group is not None and self._task is None:
            self._end_wait()
            self.is_idle = False
            self._task = self._group.create_task(self._cycle())
            self._task.add_done_callback(self._end_cycle)

    def wake_as_scheduled(self) -> None:
        """Let it poll now, because a poll is due."""
        self._is_scheduled = True
        self.wake()

    def call_after_poll(self, then: Callable[[], None]) -> None:
        """Call *then* once the next poll is over, or there will be none."""
        self._then = then

    @property
    def _loop(self) -> str:
        return f"poll {self.settings.name}"

    async def _cycle(self) -> None:
        self._is_woken = False
        scheduled, self._is_scheduled = self._is_scheduled, False
        await self._loop_health.guard(self._loop, self._poll(scheduled=scheduled))
        self.polled_at = self._monotonic()

    def _end_cycle(self, task: asyncio.Task[None]) -> None:
        self._task, self.is_idle = None, True
        self._end_look()
        if self._group is None or task.cancelled():
            self.stop()
        else:
            self._rest(self.settings.poll.next_due(self._now()) - self._now())

    def _rest(self, due_in: Micros) -> None:
        """Wait until it is woken, or something is to be repeated."""
        self._loop_health.beat(self._loop, self._longest_cycle(due_in))
        wait = self._wait()
        if self._is_woken:
            self.wake()
        elif wait is not None:
            self._timer = asyncio.get_running_loop().call_later(wait, self.wake)

    def _end_wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_look(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()

    def _wait(self) -> float | None:
        """Return after how many seconds to poll though no poll is due, None if not at all."""
        if self._loop_health.is_failing(self._loop):
            return POLL_RETRY.seconds
        repeat_in = self.poller.repeat_in()
        if self.poller.has_intents:
            return min(MORE_SESSIONS_AFTER.seconds, math.inf if repeat_in is None else repeat_in)
        return repeat_in

    def _longest_cycle(self, due_in: Micros) -> float:
        """Return within how many seconds a poll that is due in this time is over.

        Nobody may be woken any more: so the next one is expected, and the first one too.
        """
        calls = 1 + 2 * MAX_SESSIONS_A_POLL
        asking = calls * self._timeout + 2 * SUBSCRIPTION_WAIT
        return (due_in + self.settings.poll.jitter + asking) / 1_000_000 + 60

    async def _poll(self, *, scheduled: bool) -> None:
        await self.poller.poll(scheduled=scheduled)
        for _ in range(MAX_SESSIONS_A_POLL):
            if not self.poller.has_intents:
                break
            try:
                self.poller.has_intents = await self.reconnector.reconnect() is not None
            finally:  # it may have been committed, though the answer was lost
                if self.poller.has_intents:
                    self.poller.compare_anew()  # one that has lost its link wants another
        await self.poller.check_subscription()

    def reconfigure(self, settings: WorkspaceSettings, components: Components) -> None:
        """Use another configuration from now on; its budget and what it recorded stay."""
        self.settings = settings
        self.budget.per_minute = components.config.linked_api.requests_per_minute
        self.source = components.source(settings, self.budget, self.source)
        self._timeout = components.config.linked_api.timeout
        rules = components.rules(settings)
        self.poller.reconfigure(rules, self.source.client)
        self.reconnector.reconfigure(
            rules.policy,
            rules.routing,
            self.source.client,
            create=rules.create,
            cooldown=rules.cooldown,
        )
        self.subscription.reconfigure(
            rules.policy, rules.routing, self.source.client, every=components.ask_every
        )


class ReceiverWorker:
    """Delivers to one receiver what is queued for it, several messages at a time.

    It sleeps until it is woken or something that waits for its time is due.
    """

    def __init__(
        self, settings: ReceiverSettings, components: Components, loop_health: LoopHealth
    ) -> None:
        self.settings = settings
        self.deliverer = Deliverer(
            components.receivers[settings.name],
            components.notifiers[settings.name],
            rules=components.delivery_rules,
            recorder=components.recorder,
            by=components.recorder.runtime.new_id(),
            timeout=settings.timeout,
            refused=components.refused,
        )
        self._now = components.recorder.runtime.now
        self._loop_health = loop_health
        self._woken = asyncio.Event()
        self._woken.set()  # something may be queued already
        self._next_at: Micros | None = None
        self._in_flight: set[asyncio.Task[None]] = set()
        self._is_stopped = False

    def wake(self) -> None:
        """Let it read its queue now."""
        self._woken.set()

    def stop(self) -> None:
        """Let it begin no other send; those in flight continue."""
        self._is_stopped = True
        self.wake()

    async def run(self) -> None:
        """Deliver until stopped, and until every send in flight has ended."""
        loop = f"send {self.settings.name}"
        async with asyncio.TaskGroup() as group:
            while not self._is_stopped:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._wait(loop)):
                        await self._woken.wait()
                self._woken.clear()
                await self._loop_health.guard(loop, self._begin_sends(group, loop))
                self._loop_health.rest(loop)
        self._loop_health.end(loop)

    def _wait(self, loop: str) -> float | None:
        """Return after how many seconds something is due, None if nothing is to come."""
        if self._loop_health.is_failing(loop):
            return QUEUE_RETRY.seconds
        if self._next_at is None:
            return None
        return max((self._next_at - self._now()) / 1_000_000, MIN_WAIT.seconds)

    async def _begin_sends(self, group: asyncio.TaskGroup, loop: str) -> None:
        while len(self._in_flight) < MAX_IN_FLIGHT and not self._is_stopped:
            self._loop_health.beat(loop, MAX_CLAIMING.seconds)
            claimed = await self.deliverer.claim()
            self._next_at = claimed.next_at
            if claimed.message is not None:
                task = group.create_task(self._send(claimed, claimed.message))
                self._in_flight.add(task)
            elif not claimed.more:
                return

    async def _send(self, claimed: Claimed, message: Message) -> None:
        try:
            await self._loop_health.guard(
                f"send {message.id}", self.deliverer.send(claimed, message)
            )
        finally:
            self._loop_health.end(f"send {message.id}")
            self._in_flight.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            self.deliverer.recorder.wake([self.settings.name])  # whoever works for it by now

    def reconfigure(self, settings: ReceiverSettings, components: Components) -> None:
        """Use another configuration from now on."""
        name = settings.name
        self.settings = settings
        self.deliverer.receiver = components.receivers[name]
        self.deliverer.notifier = components.notifiers[name]
        self.deliverer.rules = components.delivery_rules
        self.deliverer.timeout = settings.timeout
        self.wake()


class Workers:
    """All workers, by name; their loops are tasks of *group*."""

    def __init__(
        self, now: Callable[[], Micros], schedule: Schedule, group: asyncio.TaskGroup
    ) -> None:
        self.workspaces: dict[str, WorkspaceWorker] = {}
        self.receivers: dict[str, ReceiverWorker] = {}
        self._now = now
        self._schedule = schedule
        self._group = group
        self._sends: set[asyncio.Task[None]] = set()  # of receivers that were removed, too
        self.queues_changed = True

    def term_of(self, workspace: str) -> int | None:
        """Return the term under which *workspace* is held, None if it is not."""
        worker = self.workspaces.get(workspace)
        return worker.poller.term if worker else None

    def sending(self) -> set[str]:
        """Return the workspaces of which something is being sent."""
        return {name for receiver in self.receivers.values() for name in receiver.deliverer.busy}

    def wake_receivers(self, names: Collection[str]) -> None:
        """Let the workers of the receivers *names* read their queues now, since they changed."""
        self.queues_changed = True
        for name in names:
            if name in self.receivers:
                self.receivers[name].wake()

    def read_queues_anew(self) -> None:
        """Let all receivers read all of their queues: some of that another replica has queued."""
        for receiver in self.receivers.values():
            receiver.deliverer.divert_anew()
        self.wake_receivers(self.receivers)

    def start(
        self,
        worker: WorkspaceWorker,
        index: int = 0,
        count: int = 1,
        *,
        looked_at: Micros | None = None,
    ) -> None:
        """Let *worker* poll, as `schedule` says."""
        self.workspaces[worker.settings.name] = worker
        worker.start(self._group, self.schedule(worker, index, count, looked_at=looked_at))

    def schedule(
        self,
        worker: WorkspaceWorker,
        index: int,
        count: int,
        *,
        looked_at: Micros | None = None,
    ) -> Micros:
        """Wake *worker* as its settings say; return in what time for the first time.

        If its workspace was last *looked_at* so lately that no poll is due yet, it is first woken
        when one is, else within MAX_SPREAD, as number *index* of *count* that start together. One
        that is overdue waits for no more than a quarter of an interval: it has waited already.
        """
        name, poll, now = worker.settings.name, worker.settings.poll, self._now()
        due_at = now if looked_at is None else poll.next_due(looked_at)
        if due_at > now:
            offset = Duration(due_at - now).seconds
        else:
            every = Duration(poll.next_due(now) - now)
            longest = every if looked_at is None else Duration(every // 4)
            offset = spread(index, count, min(longest, MAX_SPREAD))
        self._schedule.add(
            name,
            worker.wake_as_scheduled,
            rhythm=poll.rhythm,
            jitter=poll.jitter,
            offset=offset,
        )
        return int(offset * 1_000_000)

    def wake_workspace(self, name: str) -> None:
        """Let the worker of the workspace *name* poll now, and ask for the sessions it is to."""
        if worker := self.workspaces.get(name):
            worker.poller.has_intents = True
            worker.wake()

    def terms(self) -> dict[str, int]:
        """Return the workspaces that are held, each with its term."""
        return {name: worker.poller.term for name, worker in self.workspaces.items()}

    def expect(self, versions: Mapping[str, int]) -> None:
        """Let workspaces be polled now whose accounts others have changed: see `Poller.expect`."""
        for name, worker in self.workspaces.items():
            if worker.poller.expect(versions.get(name, 0)):
                worker.wake()

    def look_at_once(self, workers: Sequence[WorkspaceWorker]) -> None:
        """Let *workers* poll in this order, MAX_LOOKS at a time: each wakes another one."""
        for worker, next_worker in zip(workers, workers[MAX_LOOKS:], strict=False):
            worker.call_after_poll(next_worker.wake)
        for worker in workers[:MAX_LOOKS]:
            worker.wake()

    def look_soon(self, workers: Sequence[WorkspaceWorker]) -> None:
        """Let *workers* poll within MAX_SPREAD, one after the other, if none is due by then."""
        now, loop = self._now(), asyncio.get_running_loop()
        late = [
            worker for worker in workers if worker.settings.poll.next_due(now) > now + MAX_SPREAD
        ]
        for index, worker in enumerate(late):
            loop.call_later(spread(index, len(late), MAX_SPREAD), worker.wake)

    async def stop_workspaces(self, names: Iterable[str]) -> None:
        """Poll the workspaces *names* no more; a commit under way is finished."""
        workers = [self.workspaces.pop(name) for name in names]
        for worker in workers:
            self._schedule.remove(worker.settings.name)
        await _end_polls(workers)

    def start_receiver(self, worker: ReceiverWorker) -> None:
        """Let *worker* deliver."""
        self.receivers[worker.settings.name] = worker
        task = self._group.create_task(worker.run())
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)

    async def stop(self) -> None:
        """Stop all: cancel the polls, and the sends that are not over within SHUTDOWN_GRACE."""
        await self.suspend()
        await cancel(tuple(self._sends))

    async def suspend(self) -> None:
        """Stop all but the sends under way: what is known of one is recorded when that can be."""
        await self.stop_polls()
        await self.finish_sends()

    async def stop_polls(self) -> None:
        """Cancel the polls, and begin no other send."""
        for receiver in self.receivers.values():
            receiver.stop()
        await _end_polls(self.workspaces.values())

    async def finish_sends(self) -> None:
        """Wait for the sends of those who were stopped, but no longer than SHUTDOWN_GRACE."""
        if self._sends:
            await asyncio.wait(self._sends, timeout=SHUTDOWN_GRACE.seconds)

    def clear(self) -> None:
        """Forget all that have been stopped."""
        for name in self.workspaces:
            self._schedule.remove(name)
        self.workspaces.clear()
        self.receivers.clear()


async def _end_polls(workers: Iterable[WorkspaceWorker]) -> None:
    tasks = [worker.stop() for worker in workers]
    await cancel([task for task in tasks if task is not None])


async def cancel(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel *tasks* and wait until they are over."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
