"""The lease: this monitor's right to hold workspaces of the database, as one of its replicas.

    waiting ──nobody is alone there──► held ──others have taken all, or the lock──► waiting

With SQLite a lock on a file says who lives, and lets one monitor work. Else each has a row, which
it renews: one that has not been renewed for `leases.LAPSE` has lapsed, on the monotonic clock of
whoever watches it. No clocks of two hosts are compared. While the database can't be reached nothing
can be committed, nor taken by others: the lease stays, but is not sure any more.
"""

import asyncio
import math
from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.duration import Duration
from monitor.core.model import Micros
from monitor.core.runtime import Runtime
from monitor.store import leases
from monitor.store.db import LeaseLostError, Store, StoreError
from monitor.store.leases import Replica

RENEW_EVERY: Final = Duration.parse("10s")

TAKE_EVERY: Final = Duration.parse("1s")
"""How often who waits looks, and a renewal that failed is repeated."""

TRUST: Final = Duration.parse("25s")
"""How long after its last renewal a lease is sure: what was begun by then needs the rest."""

log = structlog.get_logger("lease")


class Lease:
    """Whether this monitor may hold workspaces: *held* and *lost* are set in turn.

    Call `keep` every now and then, and at once when it is *doubted*: a commit has shown that
    another replica has taken over a workspace. *name* is what people call this one by.
    """

    def __init__(self, store: Store, runtime: Runtime, name: str = "") -> None:
        self.replica = runtime.new_id()
        self.held = asyncio.Event()
        self.lost = asyncio.Event()
        self.doubted = asyncio.Event()
        self._name = name
        self._store = store
        self._now = runtime.now
        self._monotonic = runtime.monotonic
        self._sure_until = -math.inf
        self.is_alone = False  # by a lock: no other replica can work on this database
        self._observed: dict[tuple[str, Micros], float] = {}
        self._watched_at = -math.inf
        self._is_waiting = False

    def is_sure(self) -> bool:
        """Return whether it is impossible that another replica has taken what this one holds."""
        return self.held.is_set() and self._monotonic() < self._sure_until

    async def keep(self) -> None:
        """Renew the lease, or take it if nobody keeps this monitor from it.

        Raise StoreError if nobody knows.
        """
        if self.held.is_set():
            await self._renew()
        else:
            await self._take()

    def doubt(self) -> None:
        """Let it be looked at what this monitor holds: another replica has something of it."""
        self.doubted.set()

    def lose(self, why: str) -> None:
        """Count the lease as lost, if it was held."""
        if self.held.is_set():
            log.warning("lease lost; waiting for it", reason=why)
            self._is_waiting = True
        self._sure_until = -math.inf
        self.held.clear()
        self.lost.set()

    def watch(self, present: Mapping[str, Replica]) -> dict[str, Micros]:
        """Look at the replicas *present*; return of those that have lapsed what each wrote last."""
        others = leases.seen({id_: it for id_, it in present.items() if id_ != self.replica})
        now = self._monotonic()
        if now - self._watched_at > RENEW_EVERY.seconds:
            self._observed.clear()  # the database was away: nobody could renew
        self._watched_at = now
        self._observed = {wrote: self._observed.get(wrote, now) for wrote in others.items()}
        if self.is_alone:
            return others
        return dict(
            wrote for wrote, since in self._observed.items() if now - since >= leases.LAPSE.seconds
        )

    def living(self, present: Mapping[str, Replica]) -> dict[str, Replica]:
        """Look at the replicas *present* as `watch` does; return those that live, this one too."""
        silent = self.watch(present)
        return {id_: replica for id_, replica in present.items() if id_ not in silent}

    async def give_back(self) -> None:
        """Work no more: what was not given back before is free from now on.

        A lease that is being taken at this moment is given back, too.
        """
        leave = partial(leases.leave, replica=self.replica)
        try:
            await self._store.run(leave, of=(), urgent=True)
        finally:
            self.held.clear()
            self._store.unlock()

    async def _lock(self) -> bool:
        """Return whether no lock keeps this monitor from working; who has it is alone."""
        is_locked = await self._store.lock()
        self.is_alone = is_locked is True
        return is_locked is not False

    async def _renew(self) -> None:
        asked_at = self._monotonic()
        if not await self._lock():
            self.lose("another monitor has the lock of this database")
            return
        if self.is_alone:
            return
        renew = partial(leases.renew, replica=self.replica, now=self._now())
        try:
            await self._store.run(renew, of=(), urgent=True)
        except LeaseLostError as error:
            self.lose(str(error))
            return
        except StoreError:
            self._observed.clear()  # others that live may not have been able to renew either
            raise
        self._sure_until = asked_at + TRUST.seconds

    async def _take(self) -> None:
        if not await self._lock():
            self._wait("another monitor works on this database; waiting until it ends")
            return
        silent = self.watch(await self._store.read(leases.replicas))
        asked_at = self._monotonic()
        try:
            entered = await self._store.run(partial(self._enter, silent), urgent=True)
        except StoreError:
            self._store.unlock()  # another monitor may be able to work
            raise
        if not entered:
            self._wait("the database is being copied or brought up to date; waiting for its end")
            return
        self._sure_until = math.inf if self.is_alone else asked_at + TRUST.seconds
        if self._is_waiting:
            log.info("lease taken; this monitor works now")
        self._is_waiting = False
        self.lost.clear()
        self.held.set()

    def _enter(self, silent: Mapping[str, Micros], tx: Connection) -> bool:
        """Work beside the others, unless a newer version has changed the tables."""
        self._store.schema.version_of(tx)
        return leases.register(tx, Replica(self.replica, self._name, self._now()), silent=silent)

    def _wait(self, why: str) -> None:
        if not self._is_waiting:
            log.warning(why)
        self._is_waiting = True
