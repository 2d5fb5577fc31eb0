"""From the configuration in force to another one, at each SIGHUP; from none, when work begins.

What was removed is stopped; what is new is attached and what was removed detached, in portions;
then everything uses the new configuration at once, and what is new is free to be taken. If a
portion fails all continues as before: what the others did is undone first. Nothing recorded or in
flight is lost.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice

import structlog
from sqlalchemy import Connection

from monitor.config import Config
from monitor.config.settings import WorkspaceSettings
from monitor.core.inventory import AccountRow, AccountRule
from monitor.core.model import ALL_WORKSPACES, Micros
from monitor.store import leases, looks, receivers, workspaces
from monitor.store.db import StoreError
from monitor.web.settings import WebSettings

from .components import Components, Resources, fingerprint
from .holdings import Holdings
from .lease import Lease
from .loop_health import LoopHealth
from .workers import ReceiverWorker, Workers

log = structlog.get_logger("app")


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to watch other workspaces than those that are held now.

    *stop* has names. *reschedule* has the index among all of each whose schedule is another one,
    *rename* the new name of each former one.
    """

    stop: Sequence[str]
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
        reconfigure=[settings for settings in wanted if settings.name in present],
        reschedule={
            settings.name: index
            for index, settings in enumerate(wanted)
            if settings.name in present and settings.poll != present[settings.name].poll
        },
        rename=renamings(wanted),
    )


def renamings(wanted: Iterable[WorkspaceSettings]) -> Mapping[str, str]:
    """Return the new name of each workspace that had another one, by the former."""
    return {settings.renamed_from: settings.name for settings in wanted if settings.renamed_from}


@dataclass(frozen=True, slots=True)
class AppliedConfig:
    """What applying a configuration wrote."""

    renamed: Mapping[str, str]
    rename_ignored: Mapping[str, str]
    detached: Sequence[str]


class Reconfigurer:
    """Applies one configuration after another to the *workers*; *holdings* starts those of others.

    *refused* is called with the receiver that takes nothing until somebody mends it.
    """

    def __init__(
        self,
        resources: Resources,
        workers: Workers,
        holdings: Holdings,
        *,
        loop_health: LoopHealth,
        lease: Lease,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._refused = refused
        self._resources = resources
        self._lease = lease
        self._workers = workers
        self._holdings = holdings
        self._loop_health = loop_health
        self._accounts: tuple[Sequence[AccountRule], Sequence[AccountRow]] = ((), ())
        self._web: WebSettings | None = None
        self._lock = asyncio.Lock()
        self._undone: list[tuple[str, str | None]] = []  # workspaces, each with its new name
        self._is_recorded = False  # what the configuration in force watches

    async def prepare(self, config: Config) -> Components:
        """Return the objects made of *config*; raise MonitorError if it can't work."""
        self._web = self._web or config.web  # in force until a restart
        workers, api = self._workers, await self._resources.api(config.linked_api)
        return Components(
            config,
            self._resources,
            api,
            self._lease.replica,
            wake=workers.wake_receivers,
            look=workers.wake_workspace,
            refused=self._refused,
            is_sure=self._lease.is_sure,
        )

    async def apply(self, components: Components) -> None:
        """Apply the configuration of *components*; raise what is wrong, and keep the old one."""
        async with self._lock:
            await self._undo()
            await self._apply(components)

    async def resume(self) -> None:
        """Undo what is left of a configuration that could not be applied.

        Raise StoreError, and try again later, while nobody knows how the workspaces are recorded.
        """
        if self._undone and not self._lock.locked():
            async with self._lock:
                await self._undo()

    async def catch_up(self) -> None:
        """Record what is watched if a newer configuration said otherwise, and is gone by now.

        It may be another monitor's, or one of this one that could not be applied.
        """
        holdings = self._holdings
        is_other = holdings.attached != len(holdings.components.workspaces)
        if is_other or not holdings.is_newest:
            self._is_recorded = False
        if self._is_recorded or not holdings.is_newest:
            return
        async with self._lock:
            await self._undo()
            _log(await self._record(holdings.components, self._resources.runtime.now()))

    def reset(self) -> None:
        """Undo nothing: what is recorded is no longer ours."""
        self._undone.clear()

    async def _undo(self) -> None:
        while self._undone:
            name, renamed_to = self._undone[0]
            await self._resources.store.run(
                partial(workspaces.undo_detach, name=name, renamed_to=renamed_to)
            )
            del self._undone[0]
            self._lease.doubt()  # it has no worker

    async def _apply(self, components: Components) -> None:
        workers, now = self._workers, self._resources.runtime.now()
        present = {name: worker.settings for name, worker in workers.workspaces.items()}
        change = plan_change(present, components.config.workspaces)
        mended = [
            name
            for name, settings in components.settings.items()
            if name not in workers.receivers or workers.receivers[name].settings != settings
        ]
        self._undone = [(name, change.rename.get(name)) for name in change.stop]
        self._is_recorded = False
        await workers.stop_workspaces(change.stop)
        try:
            applied = await self._record(components, now)
            if mended:
                replica = self._lease.replica
                clear = partial(receivers.clear, replica=replica, names=mended, now=now)
                await self._resources.store.run(clear)
        except Exception:
            with suppress(StoreError):
                await self._undo()
                if present:  # else the next start attaches the rest
                    await self._record(self._holdings.components, now)
            workers.wake_receivers(workers.receivers)  # for what was let go meanwhile
            raise
        self._undone.clear()
        self._holdings.use(components)
        config = components.config
        names = config.metrics.account_names
        if names == "auto":
            names = self._web is not None and self._web.is_private
        self._resources.metrics.configure(
            per_account=config.metrics.per_account, account_names=names
        )
        self._reconfigure_workspaces(change, components)
        self._change_receivers(components)
        self._holdings.declare()
        _log(applied)

    async def _record(self, components: Components, now: Micros) -> AppliedConfig:
        """Record what is watched from now on, unless another replica has a newer configuration."""
        run, replica = self._resources.store.run, self._lease.replica
        wanted, renamed_to = components.workspaces, renamings(components.config.workspaces)
        number = await run(
            partial(
                leases.set_generation, replica=replica, fingerprint=fingerprint(components.config)
            )
        )
        living = self._lease.living(await self._resources.store.read(leases.replicas))
        self._is_recorded = False
        if any(other.generation > number for other in living.values()):
            log.warning(
                "another monitor has a newer configuration: this one takes no more workspaces"
            )
            return AppliedConfig({}, {}, ())
        renamed, rename_ignored = await run(lambda tx: _rename(tx, renamed_to))
        detached = await self._detach(wanted, now)
        await self._attach([*wanted, ALL_WORKSPACES])
        self._is_recorded = True
        return AppliedConfig(renamed, rename_ignored, detached)

    async def _attach(self, names: Iterable[str]) -> None:
        attached = set(await self._resources.store.read(workspaces.load_attached))
        left = (name for name in names if name not in attached)
        while portion := list(islice(left, leases.MAX_PORTION)):
            await self._resources.store.run(partial(workspaces.attach, names=portion))

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
    detached = workspaces.detach(tx, watched, now, limit=leases.MAX_PORTION)
    for name in detached:
        looks.release(tx, name, now=now)
    return detached


def _log(applied: AppliedConfig) -> None:
    for old, name in applied.renamed.items():
        log.info("workspace renamed", workspace=name, old=old)
    for old, name in applied.rename_ignored.items():
        log.warning(
            "renamed_from ignored: the new name is recorded already", workspace=name, old=old
        )
    for name in applied.detached:
        log.warning(
            "workspace removed; its open incidents end in 24 h",
            workspace=name,
            hint="if it was only renamed: take the old name again, or a new one with renamed_from",
        )
