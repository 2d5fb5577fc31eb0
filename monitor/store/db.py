"""The database: one transaction at a time on a thread of its own.

    address               what storage.url may say
    schema                the tables, and how they are brought up to date
    sqlite, postgresql    what is particular to one of the two

All other SQL is one text for both. Each transaction is alone: none other is under way, in this
process or another, so what it reads holds until it commits.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from importlib.resources import files
from typing import Final, Self, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from monitor.core.duration import Duration

from . import address, postgresql, sqlite
from .errors import ExplainError, LeaseLostError, StoreError, TransactionLimit
from .schema import Schema

__all__ = ["LeaseLostError", "Store", "StoreError"]

T = TypeVar("T")

SLOW_FAILURE: Final = Duration.parse("1s")
"""A failure that takes longer opens the circuit: what waits would wait so long each."""


class Store:
    """The database of the monitor. Open it with `Store.open`, run work in it, close it."""

    def __init__(
        self, engine: Engine, explain: ExplainError, limit: TransactionLimit = nullcontext
    ) -> None:
        self._engine = engine
        self._explain = explain
        self._limit = limit
        self._circuit_open_until = 0.0
        self._reason = ""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Self:
        """Open the database at *url*, bring its tables up to date or *create* them.

        Raise StoreError with what to do if it can't be opened, or another version made its tables.
        """
        try:
            parsed = address.parse(url)
        except ValueError as error:
            raise StoreError(f"storage.url {error}") from None
        if parsed.drivername == "sqlite":
            store = cls(*sqlite.connect(parsed, create=create))
        else:
            store = cls(*postgresql.connect(parsed))
        schema = Schema.read(files("monitor.store"))
        try:
            store.run_now(lambda tx: schema.apply(tx, create=create))
        except StoreError:
            store.close()
            raise
        return store

    def run_now(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in one transaction and commit; raise StoreError and commit nothing else."""
        try:
            with self._limit(), self._engine.begin() as tx:
                return work(tx)
        except SQLAlchemyError as error:
            raise self._explain(error) from None

    async def run(self, work: Callable[[Connection], T], *, urgent: bool = False) -> T:
        """Run *work* as `run_now` does, on the store's thread.

        It is finished even if the caller is cancelled. While the database fails slowly, only
        *urgent* work is tried each time: what can't be made up for.
        """
        loop = asyncio.get_running_loop()
        turn = partial(self._run_in_turn, work, urgent=urgent)
        return await asyncio.shield(loop.run_in_executor(self._thread, turn))

    def _run_in_turn(self, work: Callable[[Connection], T], *, urgent: bool) -> T:
        """Run *work*, but refuse at once for as long as the database last took to fail."""
        began = time.monotonic()
        if began < self._circuit_open_until and not urgent:
            raise StoreError(self._reason)
        try:
            return self.run_now(work)
        except StoreError as error:
            failed = time.monotonic()
            if failed - began > SLOW_FAILURE.seconds:
                self._circuit_open_until, self._reason = 2 * failed - began, str(error)
            raise

    def close(self) -> None:
        """Finish what was begun and close the database."""
        self._thread.shutdown(wait=True)
        self._engine.dispose()
