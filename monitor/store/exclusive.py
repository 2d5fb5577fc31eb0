"""A database for oneself: while its tables are brought up to date, or all of it is copied.

Who holds it does so by what monitors go by: the lock beside a SQLite file, the row in `replica`
elsewhere. So no monitor works meanwhile, and one that starts waits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection

from monitor.core.duration import Duration
from monitor.core.model import Micros
from monitor.core.runtime import Runtime

from . import leases
from .db import Store
from .errors import LeaseLostError, StoreError

LOOK_EVERY: Final = Duration.parse("1s")
"""How often who waits looks whether a monitor lives."""

RENEW_EVERY: Final = Duration.parse("5s")


@dataclass(slots=True)
class Hold:
    """The hold on a database; *replica* is our row in it, None if a lock says the same."""

    store: Store
    runtime: Runtime
    replica: str | None
    renewed_at: float

    def renew(self, *, now: bool = False) -> None:
        """Call this all the time, and *now* before it counts.

        Raise StoreError if a monitor has taken over.
        """
        seconds = self.runtime.monotonic()
        if self.replica and (now or seconds - self.renewed_at >= RENEW_EVERY.seconds):
            self.store.run_now(self.check)
            self.renewed_at = seconds

    def check(self, tx: Connection) -> None:
        """Raise StoreError if a monitor has taken over, and renew the hold within *tx*."""
        try:
            if self.replica:
                leases.renew(tx, self.replica, self.runtime.now())
        except LeaseLostError:
            raise busy(self.store) from None


@contextmanager
def hold(
    store: Store,
    runtime: Runtime,
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], None],
) -> Iterator[Hold]:
    """Hold the database of *store* within this context; raise StoreError if a monitor works on it.

    Where only time can tell, that is said by *say*, and takes half a minute.
    """
    is_locked = store.lock_now()
    if is_locked is False:
        raise busy(store)
    if is_locked:
        try:
            yield Hold(store, runtime, None, runtime.monotonic())
        finally:
            store.unlock()
        return
    replica = leases.Replica(runtime.new_id(), "", runtime.now(), alone=1)
    silent = leases.seen(store.read_now(leases.replicas))
    if silent:
        say(
            f"a monitor worked on {store.name}: waiting {leases.LAPSE.seconds:.0f} s to see whether"
            " it still lives"
        )
        _watch(store, silent, runtime, sleep)
    if not store.run_now(partial(leases.register, replica=replica, silent=silent)):
        raise busy(store)
    try:
        yield Hold(store, runtime, replica.id, runtime.monotonic())
    finally:
        store.run_now(partial(leases.leave, replica=replica.id))


def _watch(
    store: Store, silent: dict[str, Micros], runtime: Runtime, sleep: Callable[[float], None]
) -> None:
    """Raise StoreError if one of the *silent* monitors says something before its lease lapses."""
    until = runtime.monotonic() + leases.LAPSE.seconds
    while runtime.monotonic() < until:
        sleep(LOOK_EVERY.seconds)
        present = leases.seen(store.read_now(leases.replicas))
        if not present.items() <= silent.items():
            raise busy(store)
        if not present:  # given back
            return


def busy(store: Store) -> StoreError:
    """Return the error that says that a monitor works on the database of *store*."""
    return StoreError(f"a monitor works on the database {store.name}: stop it, then try again")
