"""Access to the database: transactions of one kind, on connections and threads of their own."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import Final, Literal, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from monitor.core.duration import Duration
from monitor.threads import Threads

from .errors import ExplainError, StoreError, TransactionLimit

T = TypeVar("T")

Kind = Literal["read", "write"]

Observe = Callable[[Kind, float, float], None]
"""Is told of each transaction how long it waited for its turn, and how long it took."""

MAX_READ: Final = Duration.parse("30s")
"""How long a read may take: neither the log of SQLite nor the dead rows of PostgreSQL can be
cleared away meanwhile."""

MAX_CLOSING: Final = Duration.parse("3s")
"""How long what was begun may take once the database is to be closed."""

SLOW_FAILURE: Final = Duration.parse("1s")
"""A failure that takes longer opens the circuit: what waits would wait so long each."""


Concerned = Collection[str] | None
"""The workspaces that a transaction which writes concerns; None: it is alone."""


@dataclass(frozen=True, slots=True)
class Database:
    """A connection to the database, for one transaction at a time, which *begin* begins.

    *empty_log* is as in `Store`.
    """

    engine: Engine
    explain: ExplainError
    begin: Callable[[Connection, Concerned], None]
    limit: TransactionLimit = nullcontext
    empty_log: Callable[[Duration], bool] = lambda _: True


class Access:
    """Runs work in transactions, as many at a time as there are *databases* (the same one)."""

    def __init__(self, kind: Kind, databases: Sequence[Database]) -> None:
        self.observe: Observe = lambda *_: None
        self.failures = 0
        self._kind = kind
        self.explain = databases[0].explain
        self._databases = databases
        self._free: SimpleQueue[Database] = SimpleQueue()
        for database in databases:
            self._free.put(database)
        self._circuit_open_until = 0.0
        self._reason = ""
        self._threads = Threads(len(databases), f"store-{kind}")

    def run_now(
        self,
        work: Callable[[Connection], T],
        *,
        of: Concerned = None,
        since: float | None = None,
    ) -> T:
        """Run *work* in one transaction and commit; raise StoreError and commit nothing else.

        It has waited for its turn *since* then, on the monotonic clock; else it begins to now.
        """
        since = time.monotonic() if since is None else since
        database = self._free.get()
        try:
            with _begin(database, of, database.limit) as tx:
                began = time.monotonic()
                result = work(tx)
        except SQLAlchemyError as error:
            self.failures += 1
            raise database.explain(error) from None
        finally:
            self._free.put(database)
        self.observe(self._kind, began - since, time.monotonic() - began)
        return result

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin a transaction that may take as long as it has to, and commit it in the end."""
        database = self._free.get()
        try:
            with _begin(database) as tx:
                yield tx
        except SQLAlchemyError as error:
            raise database.explain(error) from None
        finally:
            self._free.put(database)

    async def run(
        self, work: Callable[[Connection], T], *, of: Concerned = None, urgent: bool = False
    ) -> T:
        """Run *work* as `run_now` does, on a thread.

        It is finished even if the caller is cancelled. *urgent* is what can't be made up for: it
        comes before all that waits. While the database fails slowly, only that is tried each time;
        once it succeeds, all is.
        """
        turn = partial(self._run_in_turn, work, of, time.monotonic(), urgent=urgent)
        submit = self._threads.submit_urgent if urgent else self._threads.submit
        ended = asyncio.wrap_future(submit(turn))
        ended.add_done_callback(_retrieve)
        await asyncio.wait([ended])
        return ended.result()

    async def call(self, work: Callable[[], T]) -> T:
        """Do *work*, which is urgent, outside of a transaction."""
        return await asyncio.wrap_future(self._threads.submit_urgent(work))

    def _run_in_turn(
        self, work: Callable[[Connection], T], of: Concerned, since: float, *, urgent: bool
    ) -> T:
        """Run *work*, but refuse at once for as long as the database last took to fail."""
        began = time.monotonic()
        if began < self._circuit_open_until and not urgent:
            raise StoreError(self._reason)
        try:
            result = self.run_now(work, of=of, since=since)
        except StoreError as error:
            failed = time.monotonic()
            if failed - began > SLOW_FAILURE.seconds:
                self._circuit_open_until, self._reason = 2 * failed - began, str(error)
            raise
        self._circuit_open_until = 0.0
        return result

    def empty_log(self, within: Duration) -> bool:
        """Empty the log as `Store.empty_log` does."""
        database = self._free.get()
        try:
            return database.empty_log(within)
        finally:
            self._free.put(database)

    def close(self) -> None:
        """Finish what was begun and close the connections; what hangs is left behind."""
        if self._threads.end(within=MAX_CLOSING.seconds):
            for database in self._databases:
                database.engine.dispose()


@contextmanager
def _begin(
    database: Database, of: Concerned = None, limit: TransactionLimit = nullcontext
) -> Iterator[Connection]:
    """Begin a transaction that may take so long, and commit it in the end.

    Whether its connection has broken is not asked before: if it can't even begin, another one does.
    """
    has_begun = False
    try:
        with limit(), database.engine.begin() as tx:
            database.begin(tx, of)
            has_begun = True
            yield tx
    except DBAPIError as error:
        if has_begun or not error.connection_invalidated:
            raise
        with limit(), database.engine.begin() as tx:
            database.begin(tx, of)
            yield tx


def _retrieve(ended: asyncio.Future[T]) -> None:
    """Ask how work *ended*, lest asyncio complains that nobody does: its caller may be gone."""
    if not ended.cancelled():
        ended.exception()
