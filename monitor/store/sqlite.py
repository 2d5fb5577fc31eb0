"""Everything that is particular to SQLite."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from monitor.core.duration import Duration

from . import erasure
from .access import MAX_READ, Database
from .errors import StoreError, failed
from .file import DatabaseFile, open_ours

_PRAGMAS: Final = (
    "PRAGMA busy_timeout = 10000",
    "PRAGMA secure_delete = ON",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)

_ADVICE: Final = {
    "not a database": "name another file in storage.url, or put a backup in its place",
    "malformed": "it is damaged; stop the monitor and put a backup in its place",
    "locked": "another program has been writing to it for long; end that one",
    "already exists": "it is another program's; give the monitor a file of its own in storage.url",
    "interrupted": "it was asked for too much at once; ask for less",
    "is full": "make room on its disk",
    "disk I/O error": "look for a full or failing disk, or a limit on the size of files",
    "can't be locked": "make the file and its folder writable for the user that runs the monitor",
    "readonly": "make the file and its folder writable for the user that runs the monitor",
    "unable to open": "make the file and its folder writable for the user that runs the monitor",
}

ERASE_SHARE: Final = 0.05
"""How much of the time may go into emptying the log of what was deleted: it waits for the disk."""

ERASE_WAIT: Final = Duration.parse("50ms")
"""How long to wait, by the way, for those who read what is in the log."""

_STEPS_BETWEEN_CHECKS: Final = 10_000
"""How much SQLite does, about a millisecond's work, before it asks whether the time is over."""

_MAX_WAL_TRIES: Final = 100
_WAL_PAUSE: Final = 0.1
"""Seconds between two tries to turn the log on, which does not wait for others as all else does."""


def connect(address: URL, file: DatabaseFile, *, read_only: bool) -> Database:
    """Return a connection to the *file* at *address*, to read it or to write to it."""
    engine = create_engine(address, hide_parameters=True, connect_args={"timeout": 10})
    timeout, eraser = ReadTimeout(), Eraser(engine)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
        _use_wal(cursor)
        if read_only:
            cursor.execute("PRAGMA query_only = ON")
            connection.set_progress_handler(timeout.is_over, _STEPS_BETWEEN_CHECKS)
        cursor.close()

    def begin(tx: Connection, _: object) -> None:
        tx.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    def explain(error: SQLAlchemyError) -> StoreError:
        reason = str(getattr(error, "orig", None) or error).partition("\n")[0]
        return failed(address.database or "", reason[:200], _ADVICE)

    @contextmanager
    def limit() -> Iterator[None]:
        file.check()
        with timeout.limit() if read_only else eraser.follow():
            yield
        file.follow_wal()

    return Database(engine, explain, begin, limit, eraser.empty_log)


class MonitorLock:
    """A lock on a file beside the database, which a monitor holds for life.

    The system takes it from a process that has died: who gets it knows that no other one lives.
    """

    def __init__(self, file: DatabaseFile) -> None:
        self._database = file.path
        self._path = file.path.with_name(f"{file.path.name}-lock")
        self._file: int | None = None

    def acquire(self) -> bool:
        """Take the lock unless another process has it; return whether it is ours now."""
        if self._is_ours():
            return True
        self.release()
        try:
            self._file = open_ours(self._path, whoever=True)
            self._give_to_owner(self._file)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            if isinstance(error, BlockingIOError):
                return False
            reason = f"{self._path.name} can't be locked: {error.strerror}"
            raise failed(str(self._path.parent), reason, _ADVICE) from None
        return self._is_ours()

    def _give_to_owner(self, file: int) -> None:
        """Give what root has made to whom the database belongs: a monitor has to lock it."""
        owner = self._database.stat()
        if os.geteuid() == 0 and os.fstat(file).st_uid != owner.st_uid:
            os.fchown(file, owner.st_uid, owner.st_gid)

    def release(self) -> None:
        """Let another process have the lock."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _is_ours(self) -> bool:
        """Return whether the lock is on the file that others would find."""
        if self._file is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return False


class Eraser:
    """Lets what was deleted leave the disk: see `erasure`.

    SQLite overwrites it in the database; its log, which holds former pages too, is emptied soon.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_due = False
        self._not_before = 0.0
        event.listen(engine, "commit", self._note)
        event.listen(engine, "rollback", erasure.take)

    @contextmanager
    def follow(self) -> Iterator[None]:
        """Empty the log after the transaction within this context, if something was deleted."""
        yield
        began = time.monotonic()
        if self._is_due and began >= self._not_before:
            self._is_due = not self.empty_log(ERASE_WAIT)
            ended = time.monotonic()
            self._not_before = ended + (ended - began) / ERASE_SHARE

    def _note(self, tx: Connection) -> None:
        self._is_due |= erasure.take(tx)

    def empty_log(self, within: Duration) -> bool:
        """Return whether that was done *within* so long: nobody must be reading what is in it."""
        with closing(self._engine.raw_connection()) as connection, suppress(sqlite3.Error):
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {within // 1000}")
            try:
                (is_busy, _, _) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                cursor.execute(_PRAGMAS[0])
            return not is_busy
        return False


class ReadTimeout:
    """Says when a read has taken too long: SQLite then interrupts it."""

    def __init__(self) -> None:
        self._until = float("inf")

    @contextmanager
    def limit(self) -> Iterator[None]:
        """Limit the time of the transaction within this context."""
        self._until = time.monotonic() + MAX_READ.seconds
        yield

    def is_over(self) -> bool:
        """Return whether the time is over."""
        return time.monotonic() > self._until


def _use_wal(cursor: Any) -> None:
    """Turn the write-ahead log on, however many programs do so at the moment."""
    for tries_left in reversed(range(_MAX_WAL_TRIES)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not tries_left or "locked" not in str(error):
                raise
            time.sleep(_WAL_PAUSE)
        else:
            return
