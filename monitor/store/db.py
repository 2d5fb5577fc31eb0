"""The database: one transaction at a time on a thread of its own, and the migrations.

Everything that is particular to SQLite is in this file.
"""

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from monitor.core.errors import MonitorError

T = TypeVar("T")

_PRAGMAS: Final = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)
_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")


class StoreError(MonitorError):
    """The database failed; nothing was committed."""


class ClaimLostError(MonitorError):
    """Another monitor has taken over this workspace; this one must stop polling it."""


class Store:
    """The database of the monitor. Open it with `Store.open`, run work in it, close it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Self:
        """Open (or *create*) the database at *url* and bring its schema up to date.

        Raise StoreError with what to do if it can't be opened, or was made by a newer version.
        """
        store = cls(_engine(url, create=create))
        try:
            store.run_now(migrate)
        except StoreError:
            store.close()
            raise
        return store

    def run_now(self, work: Callable[[Connection], T]) -> T:
        """Run *work* in one transaction and commit; raise StoreError and commit nothing else."""
        try:
            with self._engine.begin() as tx:
                return work(tx)
        except SQLAlchemyError as error:
            raise StoreError(_explain(error, self._engine.url)) from None

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run *work* as `run_now` does, on the store's thread.

        Once begun it is finished, even if the caller is cancelled.
        """
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._thread, self.run_now, work))

    def close(self) -> None:
        """Finish what was begun and close the database."""
        self._thread.shutdown(wait=True)
        self._engine.dispose()


def migrate(tx: Connection) -> None:
    """Apply the migrations that are missing; raise StoreError if one is from the future."""
    tx.execute(text("CREATE TABLE IF NOT EXISTS migration (version BIGINT PRIMARY KEY)"))
    done = set(tx.execute(text("SELECT version FROM migration")).scalars())
    known = _migrations()
    if done - known.keys():
        raise StoreError(
            f"the database was made by a newer version (schema {max(done)}, this version knows"
            f" {max(known)}); run that version, or name another database in storage.url"
        )
    for version in sorted(known.keys() - done):
        for statement in known[version]:
            tx.execute(text(statement))
        tx.execute(text("INSERT INTO migration (version) VALUES (:version)"), {"version": version})


def _migrations() -> dict[int, list[str]]:
    found = {}
    for file in (files(__package__) / "migrations").iterdir():
        matched = _NAME.fullmatch(file.name)
        if matched:
            lines = file.read_text(encoding="utf-8").splitlines()
            script = "\n".join(line for line in lines if not line.startswith("--"))
            statements = (statement.strip() for statement in script.split(";"))
            found[int(matched[1])] = [statement for statement in statements if statement]
    return found


def _engine(url: str, *, create: bool) -> Engine:
    try:
        address = make_url(url)
    except ArgumentError:
        raise StoreError("storage.url is not a database address") from None
    return _sqlite(address, create=create)


def _sqlite(address: URL, *, create: bool) -> Engine:
    path = Path(address.database or "")
    if not address.database or address.database == ":memory:":
        raise StoreError("storage.url must name a file, such as sqlite:////data/monitor.db")
    if not create and not path.exists():
        raise StoreError(
            f"there is no database {path} (storage.url): the monitor has not run with it yet"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(
            f"the database {path} can't be opened: {error.strerror}; name a writable file in"
            " storage.url"
        ) from None
    engine = create_engine(address, hide_parameters=True, connect_args={"timeout": 10})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        del record
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _explain(error: SQLAlchemyError, url: URL) -> str:
    cause = getattr(error, "orig", None) or error
    lines = str(cause).splitlines() or [type(cause).__name__]
    return f"the database {url.database} failed: {lines[0][:200]}"
