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

from monitor.config.settings import AccountSettings, WorkspaceSettings
from monitor.core.duration import Duration
from monitor.core.model import Cause, Micros, Workspace
from monitor.deliver import Deliverer
from monitor.notifiers import ReceiverSettings
from monitor.poll import Poller
from monitor.reconnect import Reconnector
from monitor.schedule import Schedule, spread
from monitor.source.budget import Budget
from monitor.store import attachment, creations, listings
from monitor.store.db import StoreError

from .parts import Ground, Parts, Source

FIRST_LOOKS: Final = Duration.parse("60s")
"""Within what time every new workspace is looked at: until then its alerts wait."""

log = structlog.get_logger("app")


@dataclass(slots=True)
class Watch:
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
class Outlet:
    """One receiver at work; *over* once it has left the configuration."""

    settings: ReceiverSettings
    deliverer: Deliverer
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False
    tasks: Sequence[asyncio.Task[None]] = ()


@dataclass(frozen=True, slots=True)
class Takeover:
    """What one transaction took over: each new workspace's state, its term, its open incidents."""

    entered: Mapping[str, tuple[Workspace, int, Mapping[Cause, int]]]
    renamed: Mapping[str, str]
    kept_apart: Mapping[str, str]
    detached: Sequence[str]


class Crew:
    """The watches and outlets of the present configuration.

    *begin_polls* and *begin_sends* start the loops of one of them and return their tasks.
    """

    def __init__(
        self,
        ground: Ground,
        schedule: Schedule,
        *,
        begin_polls: Callable[[Watch], Sequence[asyncio.Task[None]]],
        begin_sends: Callable[[Outlet], Sequence[asyncio.Task[None]]],
    ) -> None:
        self.watches: dict[str, Watch] = {}
        self.outlets: dict[str, Outlet] = {}
        self._accounts: Sequence[AccountSettings] = ()
        self._changing = asyncio.Lock()
        self._resting: list[tuple[Watch, str | None]] = []  # each with its name to be
        self._ground = ground
        self._schedule = schedule
        self._begin_polls = begin_polls
        self._begin_sends = begin_sends

    def is_current(self, workspace: str) -> bool:
        """Return whether *workspace* has been looked at lately."""
        watch = self.watches.get(workspace)
        return watch is not None and watch.poller.is_current()

    async def adopt(self, parts: Parts) -> None:
        """Take up a configuration; keep the old one, and raise what is wrong, if it can't be."""
        async with self._changing:
            await self._adopt(parts)

    async def resume(self) -> None:
        """Let those go on that rest for a configuration which could not be taken up.

        Raise StoreError, and let them rest, while nobody knows how they are recorded.
        """
        if self._resting and not self._changing.locked():
            async with self._changing:
                await self._resume()

    async def _adopt(self, parts: Parts) -> None:
        await self._resume()
        workspaces = {one.name: one for one in parts.config.workspaces}
        gone = [watch for name, watch in self.watches.items() if name not in workspaces]
        new = [one for name, one in workspaces.items() if name not in self.watches]
        now = self._ground.runtime.now()
        await self._rest(gone, {one.renamed_from: one.name for one in workspaces.values()})
        try:
            taken = await self._ground.store.run(
                lambda tx: _take_over(tx, parts.config.workspaces, new, now)
            )
        except Exception:
            with suppress(StoreError):
                await self._resume()
            raise
        self._resting.clear()
        self._ground.metrics.declare(
            workspaces=workspaces,
            receivers={name: one.type for name, one in parts.settings.items()},
        )
        self._ground.metrics.configure(
            per_account=parts.config.metrics.per_account,
            account_names=parts.config.metrics.account_names,
        )
        for index, (name, settings) in enumerate(workspaces.items()):
            if name in self.watches:
                place = (index, len(workspaces))
                self._reload(self.watches[name], settings, parts, place)
        if parts.config.accounts != self._accounts:
            self._accounts = parts.config.accounts
            self._look_again()
        self._begin(new, taken, parts)
        self._take_outlets(parts)
        _say(taken)

    async def _resume(self) -> None:
        while self._resting:
            watch, to_be = self._resting[0]
            workspace, term = await self._ground.store.run(
                partial(attachment.restore, name=watch.settings.name, renamed_to=to_be)
            )
            del self._resting[0]
            watch.poller.take_over(workspace, term)
            self._start(watch, 0)

    async def _rest(self, watches: Sequence[Watch], to_be: Mapping[str | None, str]) -> None:
        self._resting = [(watch, to_be.get(watch.settings.name)) for watch in watches]
        tasks = [task for watch in watches for task in watch.tasks]
        for watch in watches:
            self._schedule.remove(watch.settings.name)
            del self.watches[watch.settings.name]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, new: Sequence[WorkspaceSettings], taken: Takeover, parts: Parts) -> None:
        for index, settings in enumerate(new):
            workspace, term, open_incidents = taken.entered[settings.name]
            self._ground.metrics.workspace(workspace, open_incidents)
            budget = Budget(parts.config.linked_api.requests_per_minute)
            source = parts.source(settings, budget)
            made = parts.watch(settings, workspace, term, source)
            watch = Watch(settings, *made, budget, source)
            self._start(watch, self._offset(settings, index, len(new)))

    def _start(self, watch: Watch, offset: float) -> None:
        settings = watch.settings
        self.watches[settings.name] = watch
        self._schedule.add(settings.name, settings.poll, watch.on_schedule, offset)
        watch.tasks = self._begin_polls(watch)

    def _offset(self, settings: WorkspaceSettings, index: int, count: int) -> float:
        now = self._ground.runtime.now()
        return spread(index, count, Duration(min(settings.poll.next_due(now) - now, FIRST_LOOKS)))

    def _reload(
        self, watch: Watch, settings: WorkspaceSettings, parts: Parts, place: tuple[int, int]
    ) -> None:
        before, watch.settings = watch.settings, settings
        rules = parts.rules(settings)
        watch.budget.per_minute = parts.config.linked_api.requests_per_minute
        watch.source = source = parts.source(settings, watch.budget, watch.source)
        watch.poller.reload(rules, source.client, source.token.changed)
        watch.reconnector.reload(rules.routing, source.client, create=rules.create)
        if settings.poll != before.poll:
            offset = self._offset(settings, *place)
            self._schedule.add(settings.name, settings.poll, watch.on_schedule, offset)

    def _look_again(self) -> None:
        """Poll now, out of turn: others may be watched now, and by a crontab it may be long."""
        for watch in self.watches.values():
            watch.wake.set()

    def _take_outlets(self, parts: Parts) -> None:
        for name in self.outlets.keys() - parts.receivers.keys():
            outlet = self.outlets.pop(name)
            outlet.over = True
            outlet.wake.set()
        for name, receiver in parts.receivers.items():
            settings = parts.settings[name]
            if name not in self.outlets:
                outlet = self.outlets[name] = Outlet(settings, parts.deliverer(name))
                outlet.tasks = self._begin_sends(outlet)
                continue
            outlet = self.outlets[name]
            outlet.deliverer.reload(receiver, parts.notifiers[name], parts.delivery_rules)
            if settings != outlet.settings:
                outlet.settings = settings
                outlet.deliverer.hurry()
                outlet.wake.set()


def _take_over(
    tx: Connection,
    workspaces: Iterable[WorkspaceSettings],
    new: Iterable[WorkspaceSettings],
    now: Micros,
) -> Takeover:
    renamed, kept_apart, entered = {}, {}, {}
    for settings in workspaces:
        name, old = settings.name, settings.renamed_from
        if old and attachment.rename(tx, old, name):
            renamed[old] = name
        elif old and attachment.is_recorded(tx, old):
            kept_apart[old] = name
    detached = attachment.detach(tx, {one.name for one in workspaces}, now)
    for settings in new:
        name = settings.name
        workspace, term = attachment.enter(tx, name)
        creations.give_up_lost(tx, name)
        entered[name] = (workspace, term, listings.open_by_cause(tx, name))
    return Takeover(entered, renamed, kept_apart, detached)


def _say(taken: Takeover) -> None:
    for old, name in taken.renamed.items():
        log.info("workspace is renamed; what was recorded is its own now", workspace=name, old=old)
    for old, name in taken.kept_apart.items():
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
