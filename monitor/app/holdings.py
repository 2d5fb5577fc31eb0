"""What this replica holds: workspaces are taken and given back, and their workers start and stop.

It takes what is free, up to its share, and gives back what is above it, a few at a time, each when
nothing of it is under way. What others have taken, since this one had fallen silent, it lets go.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Final

import structlog

from monitor.core.duration import Duration
from monitor.core.model import ALL_WORKSPACES, BLIND_CAUSES, Cause, Micros
from monitor.core.shares import shares, to_give_back, to_take
from monitor.core.subscription import Conditions
from monitor.metrics.families import HELD, INCIDENTS_OPEN
from monitor.store import incidents, leases, outbox, session_intents
from monitor.store.db import LeaseLostError
from monitor.store.leases import Held
from monitor.work.handover import Taken, give_back, load, take
from monitor.work.liveness import write_liveness

from .components import Components, Resources
from .lease import Lease
from .loop_health import LoopHealth
from .workers import Workers, WorkspaceWorker

GIVE_BACK_EVERY: Final = Duration.parse("10s")

ASK_WITHIN: Final = Duration.parse("200ms")
"""Times the number of workspaces: how long after a start all have been asked how they are paid for,
so that many don't ask at once."""

log = structlog.get_logger("app")


class Holdings:
    """The workspaces that this replica holds, and their *workers*.

    *components* are those in force, once a configuration has been applied.
    """

    components: Components

    def __init__(
        self, resources: Resources, workers: Workers, loop_health: LoopHealth, lease: Lease
    ) -> None:
        self._resources = resources
        self._store = resources.store
        self._runtime = resources.runtime
        self._metrics = resources.metrics
        self._workers = workers
        self._loop_health = loop_health
        self._lease = lease
        self.replica = lease.replica
        self.holds_all = False  # the lease of '*', and so what is to be done once for all
        self.is_newest = True  # no replica lives that has a newer configuration
        self.attached = 0  # so many workspaces are to be held by any of them
        self._unreadable: set[str] = set()
        self._to_give_back = 0  # until the next portion is due
        self._portion_due_at = self._runtime.monotonic() + GIVE_BACK_EVERY.seconds

    def use(self, components: Components) -> None:
        """Go by another configuration; what could not be read may be readable by now."""
        self.components = components
        self._unreadable.clear()

    def clear(self) -> None:
        """Hold nothing: all workers have stopped."""
        self.holds_all = False
        self._unreadable.clear()
        self.declare()

    def declare(self) -> None:
        """Show the series of what is held, and of the receivers."""
        names = list(self._workers.workspaces)
        self._metrics.set(HELD, len(names))
        if self.holds_all:
            names.append(ALL_WORKSPACES)
        receivers = {name: it.settings.type for name, it in self._workers.receivers.items()}
        self._metrics.declare(workspaces=names, receivers=receivers)

    async def balance(self) -> None:
        """Take what is free, and give back what is above this replica's share.

        Raise LeaseLostError if this monitor works no more.
        """
        replica = self.replica
        present, counts, holder_of_all = await self._store.read(
            lambda tx: (leases.replicas(tx), leases.count(tx), leases.holder(tx, ALL_WORKSPACES))
        )
        if replica not in present:
            self._lease.lose(leases.ALL_TAKEN)
            raise LeaseLostError(leases.ALL_TAKEN)
        living = self._lease.living(present)
        silent = leases.seen({id_: it for id_, it in present.items() if id_ not in living})
        is_other = counts.get(replica, Held()) != self._expected()
        if is_other:
            await self._let_go()
        if self.holds_all is not (holder_of_all == replica):
            self.holds_all = not self.holds_all
            await self._show_all()
        held = len(self._workers.workspaces)
        self.attached = sum(count.workspaces for count in counts.values())
        share = shares(
            self.attached,
            {id_: count.workspaces for id_, count in counts.items() if id_ in living},
            {id_: it.generation for id_, it in living.items()},
        )[replica]
        free = sum(count.workspaces for id_, count in counts.items() if id_ not in living)
        newest = max(it.generation for it in living.values())
        self.is_newest = living[replica].generation == newest
        limit = to_take(share, held, free)
        takes_all = self.is_newest and holder_of_all not in living
        if limit or is_other or takes_all:
            await self._take(limit, silent, besides=[ALL_WORKSPACES] if takes_all else [])
        if self.holds_all and not self.is_newest:
            await self._leave_all()
        above, now = to_give_back(share, held), self._runtime.monotonic()
        if above and now >= self._portion_due_at:
            self._to_give_back = above
            self._portion_due_at = now + GIVE_BACK_EVERY.seconds
        if count := min(above, self._to_give_back):  # what is idle now, else the next time
            self._to_give_back -= await self._give_back(count)

    def _expected(self) -> Held:
        """Return what has to be recorded of this replica."""
        workers = self._workers.workspaces.values()
        return Held(len(workers), sum(worker.poller.term for worker in workers))

    # ── what others have taken ───────────────────────────────────────────────────────────────────

    async def _let_go(self) -> None:
        """Stop the workers of what others hold by now; give back what can't be worked on here."""
        held = await self._store.read(partial(leases.held, replica=self.replica))
        workers = self._workers.workspaces
        gone = [name for name, worker in workers.items() if held.get(name) != worker.poller.term]
        if gone:
            log.warning("workspaces let go: other monitors have taken them", count=len(gone))
            await self._workers.stop_workspaces(gone)
        settings = self.components.workspaces
        foreign = {
            name: term
            for name, term in held.items()
            if name != ALL_WORKSPACES and (name not in settings or name in self._unreadable)
        }
        await self._release(foreign, {})
        self.declare()

    # ── taking ───────────────────────────────────────────────────────────────────────────────────

    async def _take(
        self, limit: int, silent: Mapping[str, Micros], *, besides: Sequence[str]
    ) -> None:
        """Take so many of the free workspaces, and what this replica holds without a worker.

        The latter was taken, or is there again, by a commit whose answer was lost.
        """
        replica, workers = self.replica, self._workers.workspaces
        free = await self._store.read(partial(leases.free, replica=replica, silent=silent))
        lacking = self.components.workspaces.keys() - workers.keys() - self._unreadable
        names = [*besides, *(name for name, is_ours in free.items() if is_ours and name in lacking)]
        names += [name for name, is_ours in free.items() if not is_ours and name in lacking][:limit]
        left, urgent = iter(names), list[WorkspaceWorker]()
        try:
            while portion := list(islice(left, leases.MAX_PORTION)):
                urgent += await self._start(await self._take_portion(portion, silent))
        finally:  # a portion may have been taken, whatever failed then
            self._workers.look_at_once(urgent)
            if names:
                self._workers.read_queues_anew()  # resolutions wait for nothing

    async def _take_portion(
        self, names: Collection[str], silent: Mapping[str, Micros]
    ) -> dict[str, Taken]:
        ours = await self._store.run(
            partial(
                take,
                replica=self.replica,
                names=names,
                silent=silent,
                blind_after=self.components.config.incidents.blind_after,
                now=self._runtime.now(),
            )
        )
        if ALL_WORKSPACES in ours:
            self.holds_all = True
            await self._show_all()
        taken, unreadable = await self._store.read(partial(load, names=ours))
        taken.pop(ALL_WORKSPACES, None)
        for name, error in unreadable.items():
            log.error(
                "workspace is not watched: what is recorded of it can't be read",
                workspace=name,
                error=error,
                hint="did a newer version of the monitor write it? run that one",
            )
        self._unreadable |= unreadable.keys()
        return taken

    async def _start(self, taken: Mapping[str, Taken]) -> list[WorkspaceWorker]:
        """Start the workers of what was *taken*; return those of which somebody is soon told."""
        if not taken:
            return []
        queued, wanting = await self._store.read(
            lambda tx: (
                outbox.queued_workspaces(tx, self.replica),
                session_intents.unfinished_workspaces(tx),
            )
        )
        now, every = self._runtime.monotonic(), self.components.ask_every
        first_ask = ASK_WITHIN.seconds * len(self.components.workspaces)
        if every is not None:
            first_ask = min(first_ask, every.seconds)
        for index, (name, recorded) in enumerate(taken.items()):
            worker = self._worker(name, recorded)
            worker.poller.has_intents = name in wanting
            worker.budget.assume(recorded.requests or 0, now)
            if not recorded.open_incidents.get(Cause.SUBSCRIPTION):
                worker.subscription.conditions = Conditions()
            worker.subscription.start_after(self._runtime.jitter() * first_ask)
            self._workers.start(worker, index, len(taken), looked_at=recorded.last_good_at)
        self.declare()
        for name, recorded in taken.items():
            self._metrics.workspace(recorded.workspace, recorded.open_incidents)
            if recorded.last_good_at is not None:
                self._metrics.poll_succeeded(name, recorded.last_good_at)
        log.info("workspaces taken", count=len(taken))
        with_incidents = [name for name, recorded in taken.items() if recorded.open_incidents]
        names = dict.fromkeys([*(name for name in taken if name in queued), *with_incidents])
        return [self._workers.workspaces[name] for name in names]

    def _worker(self, name: str, recorded: Taken) -> WorkspaceWorker:
        settings = self.components.workspaces[name]
        return WorkspaceWorker(
            settings, self.components, self._loop_health, recorded.workspace, recorded.term
        )

    async def _show_all(self) -> None:
        self.declare()
        await self.show_outages()

    async def show_outages(self) -> None:
        """Show the open incidents of all workspaces, if this replica holds them."""
        if self.holds_all:
            counts = await self._store.read(partial(incidents.open_by_cause, workspace="*"))
            for cause in BLIND_CAUSES:
                count = counts.get(cause, 0)
                self._metrics.set(INCIDENTS_OPEN, count, workspace=ALL_WORKSPACES, cause=cause)

    # ── giving back ──────────────────────────────────────────────────────────────────────────────

    async def _give_back(self, count: int) -> int:
        """Give back so many workspaces of which nothing is under way, those last polled first.

        Return how many there were.
        """
        busy = self._workers.sending()
        idle = [
            worker
            for name, worker in self._workers.workspaces.items()
            if worker.is_idle and name not in busy
        ]
        idle.sort(key=lambda worker: worker.polled_at, reverse=True)
        given = await self._stop_and_release(idle[:count])
        if given:
            log.info("workspaces given back: another replica has fewer", count=len(given))
            self.declare()
        return len(given)

    async def _leave_all(self) -> None:
        """Give back '*': a newer configuration says who has left, and whom to tell of outages."""
        held = await self._store.read(partial(leases.held, replica=self.replica))
        terms = {name: term for name, term in held.items() if name == ALL_WORKSPACES}
        if await self._release(terms, {}):
            self.holds_all = False
            await self._show_all()

    async def give_back_all(self) -> None:
        """Give back all of which nothing is being sent: nothing is polled any more."""
        workers = iter(list(self._workers.workspaces.values()))
        while portion := list(islice(workers, leases.MAX_PORTION)):
            terms = {worker.settings.name: worker.poller.term for worker in portion}
            for name in await self._release(terms, self._requests(portion)):
                del self._workers.workspaces[name]

    async def _stop_and_release(self, workers: Sequence[WorkspaceWorker]) -> set[str]:
        """Give back what these *workers* work on; who is needed still goes on."""
        names = [worker.settings.name for worker in workers]
        await self._workers.stop_workspaces(names)
        given: set[str] = set()
        try:
            await write_liveness(self.components.recorder, [worker.poller for worker in workers])
            terms = {worker.settings.name: worker.poller.term for worker in workers}
            given = await self._release(terms, self._requests(workers))
        finally:
            for worker in workers:
                if worker.settings.name not in given:
                    self._workers.start(worker, looked_at=self._runtime.now())
        return given

    async def _release(self, terms: Mapping[str, int], requests: Mapping[str, int]) -> set[str]:
        if not terms:
            return set()
        return await self._store.run(
            partial(
                give_back,
                replica=self.replica,
                terms=terms,
                requests=requests,
                now=self._runtime.now(),
            ),
            urgent=True,
        )

    def _requests(self, workers: Iterable[WorkspaceWorker]) -> dict[str, int]:
        now = self._runtime.monotonic()
        return {worker.settings.name: worker.budget.spent(now) for worker in workers}
