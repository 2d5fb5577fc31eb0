"""Who is at work: a watch for each workspace, an outlet for each receiver, and how they change.

A configuration is taken up in three steps: what left stops working; one transaction takes over what
came and lets go of what left; then everything goes by the new configuration at once. If the
transaction fails, all goes on as before; should its end be unknown, it is undone first. Nothing
that is recorded, counted or under way is lost.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.config.settings import WorkspaceSettings
from monitor.core.duration import Duration
from monitor.core.inventory import AccountRule
from monitor.core.model import Cause, Micros, Workspace
from monitor.notifiers import ReceiverSettings
from monitor.schedule import Schedule, spread
from monitor.source.budget import Budget
from monitor.store import incidents, session_intents, workspaces
from monitor.store.db import StoreError
from monitor.work.deliver import Deliverer
from monitor.work.poll import Poller
from monitor.work.reconnect import Reconnector

from .components import Components, Resources, Source

FIRST_LOOKS: Final = Duration.parse("60s")
"""Within what time every new workspace is looked at: until then its alerts wait."""

log = structlog.get_logger("app")


@dataclass(slots=True)
class WorkspaceWorker:
    """One workspace at work: what polls it, what follows a poll, and what wakes it."""

    settings: WorkspaceSettings
    poller: Poller
    reconnector: Reconnector
    budget: Budget
    source: Source
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    scheduled: bool = False
    tasks: Sequence[asyncio.Task[None]] = ()

    def on_schedule(self) -> None:
        """Wake it because it is due."""
        self.scheduled = True
        self.wake.set()


@dataclass(slots=True)
class ReceiverWorker:
    """One receiver at work; *over* once it has left the configuration."""

    settings: ReceiverSettings
    deliverer: Deliverer
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False
    tasks: Sequence[asyncio.Task[None]] = ()


@dataclass(frozen=True, slots=True)
class AppliedConfig:
    """What one transaction took over: each new workspace's state, its term, its open incidents."""

    entered: Mapping[str, tuple[Workspace, int, Mapping[Cause, int]]]
    renamed: Mapping[str, str]
    rename_ignored: Mapping[str, str]
    detached: Sequence[str]


class Workers:
    """The watches and outlets of the present configuration.

    *begin_polls* and *begin_sends* start the loops of one of them and return their tasks.
    """

    def __init__(
        self,
        resources: Resources,
        schedule: Schedule,
        *,
        begin_polls: Callable[[WorkspaceWorker], Sequence[asyncio.Task[None]]],
        begin_sends: Callable[[ReceiverWorker], Sequence[asyncio.Task[None]]],
    ) -> None:
        self.workspaces: dict[str, WorkspaceWorker] = {}
        self.receivers: dict[str, ReceiverWorker] = {}
        self._accounts: Sequence[AccountRule] = ()
        self._changing = asyncio.Lock()
        self._paused: list[tuple[WorkspaceWorker, str | None]] = []  # each with its name to be
        self._resources = resources
        self._schedule = schedule
        self._begin_polls = begin_polls
        self._begin_sends = begin_sends

    def is_current(self, workspace: str) -> bool:
        """Return whether *workspace* has been looked at lately."""
        worker = self.workspaces.get(workspace)
        return worker is not None and worker.poller.is_current()

    async def adopt(self, components: Components) -> None:
        """Take up a configuration; keep the old one, and raise what is wrong, if it can't be."""
        async with self._changing:
            await self._adopt(components)

    async def resume(self) -> None:
        """Let those go on that rest for a configuration which could not be taken up.

        Raise StoreError, and let them rest, while nobody knows how they are recorded.
        """
        if self._paused and not self._changing.locked():
            async with self._changing:
                await self._resume()

    async def _adopt(self, components: Components) -> None:
        await self._resume()
        workspaces = {one.name: one for one in components.config.workspaces}
        gone = [worker for name, worker in self.workspaces.items() if name not in workspaces]
        new = [one for name, one in workspaces.items() if name not in self.workspaces]
        now = self._resources.runtime.now()
        await self._rest(gone, {one.renamed_from: one.name for one in workspaces.values()})
        try:
            taken = await self._resources.store.run(
                lambda tx: _take_over(tx, components.config.workspaces, new, now)
            )
        except Exception:
            with suppress(StoreError):
                await self._resume()
            raise
        self._paused.clear()
        self._resources.metrics.declare(
            workspaces=workspaces,
            receivers={name: one.type for name, one in components.settings.items()},
        )
        self._resources.metrics.configure(
            per_account=components.config.metrics.per_account,
            account_names=components.config.metrics.account_names,
        )
        for index, (name, settings) in enumerate(workspaces.items()):
            if name in self.workspaces:
                place = (index, len(workspaces))
                self._reload(self.workspaces[name], settings, components, place)
        if components.config.accounts != self._accounts:
            self._accounts = components.config.accounts
            self._look_again()
        self._begin(new, taken, components)
        self._take_receivers(components)
        _say(taken)

    async def _resume(self) -> None:
        while self._paused:
            worker, to_be = self._paused[0]
            workspace, term = await self._resources.store.run(
                partial(workspaces.undo_attach, name=worker.settings.name, renamed_to=to_be)
            )
            del self._paused[0]
            worker.poller.resume(workspace, term)
            self._start(worker, 0)

    async def _rest(
        self, workspaces: Sequence[WorkspaceWorker], to_be: Mapping[str | None, str]
    ) -> None:
        self._paused = [(worker, to_be.get(worker.settings.name)) for worker in workspaces]
        tasks = [task for worker in workspaces for task in worker.tasks]
        for worker in workspaces:
            self._schedule.remove(worker.settings.name)
            del self.workspaces[worker.settings.name]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(
        self, new: Sequence[WorkspaceSettings], taken: AppliedConfig, components: Components
    ) -> None:
        for index, settings in enumerate(new):
            workspace, term, open_incidents = taken.entered[settings.name]
            self._resources.metrics.workspace(workspace, open_incidents)
            budget = Budget(components.config.linked_api.requests_per_minute)
            source = components.source(settings, budget)
            made = components.worker(settings, workspace, term, source)
            worker = WorkspaceWorker(settings, *made, budget, source)
            self._start(worker, self._offset(settings, index, len(new)))

    def _start(self, worker: WorkspaceWorker, offset: float) -> None:
        settings = worker.settings
        self.workspaces[settings.name] = worker
        self._add_wakes(worker, offset)
        worker.tasks = self._begin_polls(worker)

    def _add_wakes(self, worker: WorkspaceWorker, offset: float) -> None:
        poll = worker.settings.poll
        self._schedule.add(
            worker.settings.name,
            worker.on_schedule,
            rhythm=poll.rhythm,
            jitter=poll.jitter,
            offset=offset,
        )

    def _offset(self, settings: WorkspaceSettings, index: int, count: int) -> float:
        now = self._resources.runtime.now()
        return spread(index, count, Duration(min(settings.poll.next_due(now) - now, FIRST_LOOKS)))

    def _reload(
        self,
        worker: WorkspaceWorker,
        settings: WorkspaceSettings,
        components: Components,
        place: tuple[int, int],
    ) -> None:
        before, worker.settings = worker.settings, settings
        rules = components.rules(settings)
        worker.budget.per_minute = components.config.linked_api.requests_per_minute
        worker.source = source = components.source(settings, worker.budget, worker.source)
        worker.poller.reload(rules, source.client, source.token.changed)
        worker.reconnector.reload(rules.routing, source.client, create=rules.create)
        if settings.poll != before.poll:
            self._add_wakes(worker, self._offset(settings, *place))

    def _look_again(self) -> None:
        """Poll now, out of turn: others may be watched now, and by a crontab it may be long."""
        for worker in self.workspaces.values():
            worker.wake.set()

    def _take_receivers(self, components: Components) -> None:
        for name in self.receivers.keys() - components.receivers.keys():
            worker = self.receivers.pop(name)
            worker.over = True
            worker.wake.set()
        for name, receiver in components.receivers.items():
            settings = components.settings[name]
            if name not in self.receivers:
                worker = self.receivers[name] = ReceiverWorker(settings, components.deliverer(name))
                worker.tasks = self._begin_sends(worker)
                continue
            worker = self.receivers[name]
            worker.deliverer.reload(receiver, components.notifiers[name], components.delivery_rules)
            if settings != worker.settings:
                worker.settings = settings
                worker.deliverer.clear_pause()
                worker.wake.set()


def _take_over(
    tx: Connection,
    watched: Iterable[WorkspaceSettings],
    new: Iterable[WorkspaceSettings],
    now: Micros,
) -> AppliedConfig:
    renamed, rename_ignored, entered = {}, {}, {}
    for settings in watched:
        name, old = settings.name, settings.renamed_from
        if old and workspaces.rename(tx, old, name):
            renamed[old] = name
        elif old and workspaces.is_recorded(tx, old):
            rename_ignored[old] = name
    detached = workspaces.detach(tx, {one.name for one in watched}, now)
    for settings in new:
        name = settings.name
        workspace, term = workspaces.attach(tx, name)
        session_intents.mark_unknown(tx, name)
        entered[name] = (workspace, term, incidents.open_by_cause(tx, name))
    return AppliedConfig(entered, renamed, rename_ignored, detached)


def _say(taken: AppliedConfig) -> None:
    for old, name in taken.renamed.items():
        log.info("workspace is renamed; what was recorded is its own now", workspace=name, old=old)
    for old, name in taken.rename_ignored.items():
        log.warning(
            "renamed_from is ignored: the new name has a past of its own",
            workspace=name,
            old=old,
        )
    for name in taken.detached:
        log.warning(
            "workspace left the configuration; what is open ends in 24 h",
            workspace=name,
            hint="if it only has another name: give it the old one back, and renamed_from",
        )
