"""The lease: this monitor's right to work on the workspaces that the database holds.

    waiting ──nobody else lives──► held ──replaced, or not renewed in time──► waiting

With SQLite a lock on a file says who lives. Else a holder renews its lease, and one that has not
been renewed for `leases.LAPSE` has lapsed, on the monotonic clock of whoever watches it: no clocks
of two hosts are compared.
"""

import asyncio
import math
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.duration import Duration
from monitor.core.model import Micros
from monitor.core.runtime import Runtime
from monitor.store import leases
from monitor.store.db import LeaseLostError, Store, StoreError

RENEW_EVERY: Final = Duration.parse("10s")

TAKE_EVERY: Final = Duration.parse("1s")
"""How often who waits looks, and a renewal that failed is repeated."""

TRUST: Final = Duration.parse("25s")
"""How long after its last renewal a holder works at most: what is being sent needs the rest."""

log = structlog.get_logger("lease")


class Lease:
    """Whether this monitor may work: *held* and *lost* are set in turn.

    Call `keep` every now and then, and `check` before all that needs the lease.
    """

    def __init__(self, store: Store, runtime: Runtime) -> None:
        self.replica = runtime.new_id()
        self.held = asyncio.Event()
        self.lost = asyncio.Event()
        self._store = store
        self._now = runtime.now
        self._monotonic = runtime.monotonic
        self._held_until = -math.inf
        self._observed: dict[tuple[str, Micros], float] = {}
        self._is_waiting = False
        store.fence(partial(leases.check, replica=self.replica))

    async def keep(self) -> None:
        """Renew the lease, or take it if nobody else has it.

        Raise StoreError if nobody knows, LeaseLostError if another monitor has replaced this one.
        """
        if self.held.is_set():
            await self._renew()
        else:
            await self._take()

    def check(self) -> None:
        """Raise LeaseLostError, and count the lease as lost, unless it is held."""
        if not self.held.is_set() or self._monotonic() >= self._held_until:
            self.lose("it could not be renewed in time")
            raise LeaseLostError("another monitor may have taken over this database")

    def lose(self, why: str = "another monitor has taken over") -> None:
        """Count the lease as lost, if it was held."""
        if self.held.is_set():
            log.warning("lease lost; waiting for it", reason=why)
            self._is_waiting = True
        self._held_until = -math.inf
        self.held.clear()
        self.lost.set()

    async def give_back(self) -> None:
        """Let whoever waits take the lease at once; nothing is to be done under it any more.

        A lease that is being taken at this moment is given back, too.
        """
        give_back = partial(leases.give_back, replica=self.replica)
        try:
            await self._store.run(give_back, urgent=True)
        finally:
            self.held.clear()
            self._store.unlock()

    async def _renew(self) -> None:
        asked_at = self._monotonic()
        is_locked = await self._store.lock()
        if is_locked is False:
            raise LeaseLostError("another monitor has the lock of this database")
        if is_locked is None:
            renew = partial(leases.renew, replica=self.replica, now=self._now())
            await self._store.run(renew, urgent=True)
            self._held_until = asked_at + TRUST.seconds

    async def _take(self) -> None:
        others = await self._store.read(leases.replicas)
        others.pop(self.replica, None)
        is_locked = await self._store.lock()
        if not (self._have_lapsed(others) if is_locked is None else is_locked):
            self._wait()
            return
        asked_at = self._monotonic()
        try:
            if not await self._store.run(partial(self._replace, others, self._now()), urgent=True):
                self._wait()
                return
            while await self._store.run(partial(leases.take, replica=self.replica)):
                pass
        except StoreError:
            self._store.unlock()  # another monitor may be able to work
            raise
        self._held_until = math.inf if is_locked else asked_at + TRUST.seconds
        if self._is_waiting:
            log.info("lease taken; this monitor works now")
        self._is_waiting = False
        self.lost.clear()
        self.held.set()

    def _replace(self, others: dict[str, Micros], now: Micros, tx: Connection) -> bool:
        """Work in place of the *others*, unless a newer version has changed the tables."""
        self._store.schema.version_of(tx)
        return leases.replace(tx, self.replica, silent=others, now=now)

    def _have_lapsed(self, others: dict[str, Micros]) -> bool:
        """Return whether nothing of what *others* last wrote has changed for `leases.LAPSE`."""
        now = self._monotonic()
        self._observed = {wrote: self._observed.get(wrote, now) for wrote in others.items()}
        return all(now - since >= leases.LAPSE.seconds for since in self._observed.values())

    def _wait(self) -> None:
        if not self._is_waiting:
            log.warning("another monitor works on this database; waiting until it ends")
        self._is_waiting = True
