"""The database: one transaction at a time on a thread of its own, and readers beside it.

    address               what storage.url may say
    schema                the tables, and how they are brought up to date
    access                transactions, connections and threads
    locks                 which transactions may be under way beside each other
    sqlite, postgresql    what is particular to one of the two

All other SQL is one text for both. A transaction that writes is alone in this process, and of other
processes' none is under way that concerns the same workspaces: so what it reads of them holds until
it commits. Readers see what was committed when they began.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Final, Self, TypeVar

from sqlalchemy import Connection

from monitor.core.duration import Duration

from . import address, postgresql, sqlite
from .access import Access, Concerned, Database, Observe
from .errors import ExplainError, LeaseLostError, NoDatabaseError, StoreError
from .file import DatabaseFile
from .schema import Schema

__all__ = ["LeaseLostError", "Store", "StoreError"]

T = TypeVar("T")

READERS: Final = 2
"""How many reads may be under way: so a long listing holds up no answer of `/readyz`."""


class Store:
    """The database of the monitor. Open it with `Store.open`, run work in it, close it.

    `run` writes, one transaction at a time; `read` neither writes nor waits for who does.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[..., Database],
        lock: sqlite.MonitorLock | None = None,
    ) -> None:
        self.name = name
        self.schema = Schema.read(files("monitor.store"))
        self._lock = lock
        self._writing = Access("write", [connect(read_only=False)])
        self._reading = Access("read", [connect(read_only=True) for _ in range(READERS)])

    @classmethod
    def open(cls, url: str, *, create: bool = True, outdated: bool = False) -> Self:
        """Open the database at *url*, or *create* its tables.

        Raise StoreError with what to do if it can't be opened, or another version made its tables;
        those of an older version may be *outdated*, for whoever brings them up to date.
        """
        try:
            parsed = address.parse(url)
        except ValueError as error:
            raise StoreError(f"storage.url {error}") from None
        name = address.describe(parsed)
        if parsed.drivername == "sqlite":
            file = DatabaseFile(Path(parsed.database or ""))
            file.prepare(create=create)
            store = cls(name, partial(sqlite.connect, parsed, file), sqlite.MonitorLock(file))
        else:
            file = None
            store = cls(name, partial(postgresql.connect, parsed))
        try:
            version = store.read_now(store.schema.version_of)
            if file:
                file.check_companions()  # made by SQLite by now, or by somebody else
            store._accept(version, create=create, outdated=outdated)
        except StoreError:
            store.close()
            raise
        return store

    def _accept(self, version: int | None, *, create: bool, outdated: bool) -> None:
        """Make the tables if there are none (no *version*); raise StoreError if that can't be."""
        if version is None:
            if not create:
                raise NoDatabaseError(
                    "the database (storage.url) is empty: the monitor has not run with it yet"
                )
            self.run_now(self.schema.apply)
        elif version != self.schema.version and not outdated:
            raise StoreError(
                f"the tables of the database {self.name} are those of an older version ({version},"
                f" this one has {self.schema.version}): the monitor brings them up to date when it"
                " starts"
            )

    async def lock(self) -> bool | None:
        """Take the lock that a monitor holds for life; return whether this one has it now.

        Who has it knows that no other monitor lives. Return None if the database has no such lock.
        """
        return await self._writing.call(self.lock_now)

    def lock_now(self) -> bool | None:
        """Take the lock as `lock` does."""
        return self._lock.acquire() if self._lock else None

    def unlock(self) -> None:
        """Let another monitor have the lock."""
        if self._lock:
            self._lock.release()

    @property
    def failed_writes(self) -> int:
        """How many transactions failed so far; of some the answer alone may have been lost."""
        return self._writing.failures

    def observe(self, observe: Observe) -> None:
        """Let *observe* be told how long each transaction waited and took."""
        self._writing.observe = self._reading.observe = observe

    def run_now(self, work: Callable[[Connection], T], *, of: Concerned = None) -> T:
        """Run *work* in one transaction and commit; raise StoreError and commit nothing else.

        It concerns the workspaces *of* alone, and what is the monitor's own; with None it is alone.
        """
        return self._writing.run_now(work, of=of)

    async def run(
        self, work: Callable[[Connection], T], *, of: Concerned = None, urgent: bool = False
    ) -> T:
        """Run *work* as `run_now` does, on the store's thread.

        It is finished even if the caller is cancelled. What can't be made up for is *urgent*: it
        comes before all that waits, and is tried each time, even while the database fails slowly.
        """
        return await self._writing.run(work, of=of, urgent=urgent)

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* reads, all of it of one moment; raise StoreError if it takes long."""
        return self._reading.run_now(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* reads as `read_now` does, on a thread for reading."""
        return await self._reading.run(work)

    def fill(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that writes and may take long: all others wait for it."""
        return self._writing.transaction()

    @property
    def explain(self) -> ExplainError:
        """Says what an error of the driver means."""
        return self._reading.explain

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that reads and may take long, all of one moment."""
        return self._reading.transaction()

    def empty_log(self, within: Duration) -> bool:
        """Let what was deleted leave the disk; return whether it has, *within* so long.

        SQLite overwrites it in the database, and holds former pages in its log. PostgreSQL does
        what it is configured to do.
        """
        return self._writing.empty_log(within)

    def close(self) -> None:
        """Finish what was begun and close the database."""
        self._writing.close()
        self._reading.close()
        self.unlock()
