"""From the configuration in force to another one, at each SIGHUP; from none, when work begins.

What was removed is stopped; what is new is attached and what was removed detached, in portions;
then everything uses the new configuration at once. If a portion fails all continues as before: what
the others did is undone first. Nothing recorded or in flight is lost.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.config import Config
from monitor.config.settings import WorkspaceSettings
from monitor.core.inventory import AccountRow, AccountRule
from monitor.core.model import ALL_WORKSPACES, Cause, Micros, Workspace
from monitor.metrics.families import INCIDENTS_OPEN
from monitor.store import (
    incidents,
    leases,
    looks,
    outbox,
    receivers,
    session_intents,
    workspaces,
)
from monitor.store.db import StoreError
from monitor.web.settings import WebSettings
from monitor.work.liveness import hold

from .components import Components, Resources
from .loop_health import LoopHealth
from .workers import ReceiverWorker, Workers, WorkspaceWorker

MAX_PORTION: Final = 500
"""How many workspaces are attached, or detached, in one transaction at the most."""

log = structlog.get_logger("app")


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to watch other workspaces than now.

    *stop* has names. *reschedule* has the index among all of each whose schedule is another one,
    *rename* the new name of each former one.
    """

    stop: Sequence[str]
    start: Sequence[WorkspaceSettings]
    reconfigure: Sequence[WorkspaceSettings]
    reschedule: Mapping[str, int]
    rename: Mapping[str, str]


def plan_change(
    present: Mapping[str, WorkspaceSettings], wanted: Sequence[WorkspaceSettings]
) -> Change:
    """Return what is to be done to watch the *wanted* workspaces in place of the *present* ones."""
    names = {settings.name for settings in wanted}
    return Change(
        stop=[name for name in present if name not in names],
        start=[settings for settings in wanted if settings.name not in present],
        reconfigure=[settings for settings in wanted if settings.name in present],
        reschedule={
            settings.name: index
            for index, settings in enumerate(wanted)
            if settings.name in present and settings.poll != present[settings.name].poll
        },
        rename={
            settings.renamed_from: settings.name for settings in wanted if settings.renamed_from
        },
    )


@dataclass(frozen=True, slots=True)
class Attached:
    """A workspace that was attached, and what is recorded of it."""

    workspace: Workspace
    term: int
    open_incidents: Mapping[Cause, int]
    last_good_at: Micros | None


@dataclass(frozen=True, slots=True)
class AppliedConfig:
    """What applying a configuration wrote, and what it found recorded.

    Of the workspaces *queued* something is to be told, of those *wanting* sessions are to be asked
    for; *outages* counts the open incidents of all workspaces.
    """

    attached: Mapping[str, Attached]
    queued: Collection[str]
    outages: Mapping[Cause, int]
    wanting: Collection[str]
    renamed: Mapping[str, str]
    rename_ignored: Mapping[str, str]
    detached: Sequence[str]
    unreadable: Mapping[str, str]


class Reconfigurer:
    """Applies one configuration after another to the *workers* of this *replica*.

    *refused* is called with the receiver that takes nothing until somebody mends it.
    """

    def __init__(
        self,
        resources: Resources,
        workers: Workers,
        loop_health: LoopHealth,
        replica: str,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._refused = refused
        self._resources = resources
        self._replica = replica
        self._workers = workers
        self._loop_health = loop_health
        self._accounts: tuple[Sequence[AccountRule], Sequence[AccountRow]] = ((), ())
        self._web: WebSettings | None = None
        self._lock = asyncio.Lock()
        self._paused: list[tuple[WorkspaceWorker, str | None]] = []  # each with its new name

    async def prepare(self, config: Config) -> Components:
        """Return the objects made of *config*; raise MonitorError if it can't work."""
        self._web = self._web or config.web  # in force until a restart
        workers, api = self._workers, await self._resources.api(config.linked_api)
        wake, look = workers.wake_receivers, workers.wake_workspace
        return Components(config, self._resources, api, wake=wake, look=look, refused=self._refused)

    async def apply(self, components: Components, *, keep_failures: bool = False) -> None:
        """Apply the configuration of *components*; raise what is wrong, and keep the old one.

        *keep_failures* says that it has not been long since everything was polled.
        """
        async with self._lock:
            await self._resume()
            await self._apply(components, keep_failures=keep_failures)

    async def resume(self) -> None:
        """Let those work again that are paused for a configuration which could not be applied.

        Raise StoreError, and leave them paused, while nobody knows how they are recorded.
        """
        if self._paused and not self._lock.locked():
            async with self._lock:
                await self._resume()

    def reset(self) -> None:
        """Resume nobody: all have stopped, for what is recorded is no longer ours."""
        self._paused.clear()

    async def _resume(self) -> None:
        while self._paused:
            worker, renamed_to = self._paused[0]
            name = worker.settings.name
            workspace, term = await self._resources.store.run(
                partial(workspaces.undo_attach, name=name, renamed_to=renamed_to)
            )
            del self._paused[0]
            worker.resume(workspace, term)
            self._workers.start(worker)

    async def _apply(self, components: Components, *, keep_failures: bool) -> None:
        workers, now = self._workers, self._resources.runtime.now()
        present = {name: worker.settings for name, worker in workers.workspaces.items()}
        change = plan_change(present, components.config.workspaces)
        mended = [
            name
            for name, settings in components.settings.items()
            if name not in workers.receivers or workers.receivers[name].settings != settings
        ]
        self._paused = [(workers.workspaces[name], change.rename.get(name)) for name in change.stop]
        await workers.stop_workspaces(change.stop)
        try:
            applied = await self._record(change, mended, now, keep_failures=keep_failures)
        except Exception:
            with suppress(StoreError):
                await self._resume()
                if present:  # else the next start attaches the rest
                    await self._detach(present, now)
            workers.wake_receivers(workers.receivers)  # for what was let go meanwhile
            raise
        self._paused.clear()
        metrics, config = self._resources.metrics, components.config
        metrics.declare(
            workspaces=[settings.name for settings in config.workspaces],
            receivers={name: settings.type for name, settings in components.settings.items()},
        )
        for cause, count in applied.outages.items():
            metrics.set(INCIDENTS_OPEN, count, workspace=ALL_WORKSPACES, cause=cause)
        names = config.metrics.account_names
        if names == "auto":
            names = self._web is not None and self._web.is_private
        metrics.configure(per_account=config.metrics.per_account, account_names=names)
        self._reconfigure_workspaces(change, components)
        self._start_workspaces(change, applied, components)
        self._change_receivers(components)
        _log(applied)

    async def _record(
        self, change: Change, mended: Collection[str], now: Micros, *, keep_failures: bool
    ) -> AppliedConfig:
        run = self._resources.store.run
        renamed, rename_ignored = await run(lambda tx: _rename(tx, change.rename))
        wanted = {settings.name for settings in (*change.reconfigure, *change.start)}
        detached = await self._detach(wanted, now)
        names = [settings.name for settings in change.start]
        attached: dict[str, Attached] = {}
        unreadable: dict[str, str] = {}
        attach = partial(
            _attach,
            replica=self._replica,
            keep_failures=keep_failures,
            now=now,
            unreadable=unreadable,
        )
        for start in range(0, len(names), MAX_PORTION):
            portion = names[start : start + MAX_PORTION]
            attached |= await run(partial(attach, names=portion))
        await run(partial(receivers.clear, names=mended, now=now))
        queued, outages, wanting = await self._resources.store.read(
            lambda tx: (
                outbox.queued_workspaces(tx),
                incidents.open_by_cause(tx, ALL_WORKSPACES),
                session_intents.unfinished_workspaces(tx),
            )
        )
        return AppliedConfig(
            attached, queued, outages, wanting, renamed, rename_ignored, detached, unreadable
        )

    async def _detach(self, watched: Collection[str], now: Micros) -> list[str]:
        detached: list[str] = []
        detach = partial(_detach, watched=watched, now=now)
        while portion := await self._resources.store.run(detach):
            detached += portion
        return detached

    def _reconfigure_workspaces(self, change: Change, components: Components) -> None:
        config = components.config
        accounts, self._accounts = self._accounts, (config.accounts, config.account_rows)
        workers = [self._workers.workspaces[settings.name] for settings in change.reconfigure]
        for worker, settings in zip(workers, change.reconfigure, strict=True):
            worker.reconfigure(settings, components)
            if settings.name in change.reschedule:
                index = change.reschedule[settings.name]
                self._workers.schedule(worker, index, len(config.workspaces))
        if self._accounts != accounts:
            self._workers.look_soon(workers)  # others may be watched now

    def _start_workspaces(
        self, change: Change, applied: AppliedConfig, components: Components
    ) -> None:
        queued, with_incidents, metrics = [], [], self._resources.metrics
        for index, settings in enumerate(change.start):
            recorded = applied.attached.get(settings.name)
            if recorded is None:
                continue
            metrics.workspace(recorded.workspace, recorded.open_incidents)
            if recorded.last_good_at is not None:
                metrics.poll_succeeded(settings.name, recorded.last_good_at)
            worker = WorkspaceWorker(
                settings, components, self._loop_health, recorded.workspace, recorded.term
            )
            worker.poller.has_intents = settings.name in applied.wanting
            self._workers.start(worker, index, len(change.start), looked_at=recorded.last_good_at)
            if settings.name in applied.queued:
                queued.append(worker)
            elif recorded.open_incidents:
                with_incidents.append(worker)
        self._workers.look_at_once([*queued, *with_incidents])  # for what is told of them soon

    def _change_receivers(self, components: Components) -> None:
        receivers = self._workers.receivers
        for name in receivers.keys() - components.settings.keys():
            receivers.pop(name).stop()
        for name, settings in components.settings.items():
            if name in receivers:
                receivers[name].reconfigure(settings, components)
            else:
                worker = ReceiverWorker(settings, components, self._loop_health)
                self._workers.start_receiver(worker)


def _rename(
    tx: Connection, names: Mapping[str, str]
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Rename workspaces; return which were, and which can't be, as both names have a past."""
    renamed, rename_ignored = {}, {}
    for old, name in names.items():
        if workspaces.rename(tx, old, name):
            renamed[old] = name
        elif workspaces.load_term(tx, old) is not None:
            rename_ignored[old] = name
    return renamed, rename_ignored


def _detach(tx: Connection, watched: Collection[str], now: Micros) -> list[str]:
    """Detach a portion of the workspaces that are not *watched*; nobody will look at them."""
    detached = workspaces.detach(tx, watched, now, limit=MAX_PORTION)
    for name in detached:
        looks.release(tx, name, now=now)
    return detached


def _attach(
    tx: Connection,
    names: Sequence[str],
    replica: str,
    *,
    keep_failures: bool,
    now: Micros,
    unreadable: dict[str, str],
) -> dict[str, Attached]:
    """Attach workspaces; return what is recorded of each, and note which can't be read."""
    attached = {}
    for name in names:
        try:
            attached[name] = _attach_one(tx, name, keep_failures=keep_failures, now=now)
        except ValueError as error:  # a word that another version wrote, say
            unreadable[name] = str(error)
    leases.hold(tx, replica)
    return attached


def _attach_one(tx: Connection, name: str, *, keep_failures: bool, now: Micros) -> Attached:
    workspace, term = workspaces.attach(tx, name, keep_failures=keep_failures)
    session_intents.mark_unknown(tx, name)
    hold(tx, name, now=now)
    open_incidents = incidents.open_by_cause(tx, name)
    last_good_at = workspaces.last_good_at(tx, name)
    return Attached(workspace, term, open_incidents, last_good_at)


def _log(applied: AppliedConfig) -> None:
    for old, name in applied.renamed.items():
        log.info("workspace renamed", workspace=name, old=old)
    for old, name in applied.rename_ignored.items():
        log.warning(
            "renamed_from ignored: the new name is recorded already", workspace=name, old=old
        )
    for name, error in applied.unreadable.items():
        log.error(
            "workspace is not watched: what is recorded of it can't be read",
            workspace=name,
            error=error,
            hint="did a newer version of the monitor write it? run that one",
        )
    for name in applied.detached:
        log.warning(
            "workspace removed; its open incidents end in 24 h",
            workspace=name,
            hint="if it was only renamed: take the old name again, or a new one with renamed_from",
        )
