"""A copy of the SQLite database, of one moment, while the monitor goes on working.

    the database ──steps of pages──► a part beside FILE ──verified, on the disk──► FILE

A read transaction holds the moment, and who reads blocks nobody who writes. FILE appears whole or
not at all, is nobody else's to read from the start, and takes no other file's place. A part is
removed however the work ends; that of one who was killed, by the next backup into its folder.
"""

import fcntl
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from . import address, sqlite
from .errors import StoreError
from .file import DatabaseFile, check_folders

STEP: Final = 256
"""How many pages (of 4 KiB) are copied at once."""

PAUSE_SECONDS: Final = 0.002
"""The time between two steps: the disk is the monitor's, too."""

_PAUSE: Final = partial(time.sleep, PAUSE_SECONDS)

NOT_SQLITE: Final = "`pg_dump` while the monitor runs is consistent and disturbs nothing"

_PREFIX: Final = ".linkedapi-monitor-"
_SUFFIX: Final = ".part"

_COMPANIONS: Final = ("-wal", "-shm", "-journal")

_ADVICE: Final = {
    "malformed": "the database is damaged: put a former backup in its place",
    "is full": "make room there",
    "disk I/O error": "look for a full or failing disk, or a limit on the size of files",
    "No space": "make room there",
    "too large": "raise the limit on the size of files (ulimit -f)",
    "Permission denied": "name a file in a folder that you may write to",
    "Read-only": "name a file in a folder that you may write to",
}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds: the version of its tables, and how many rows each has."""

    schema: int
    fingerprint: str
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Backup:
    """A file that was written: its size in bytes and what is in it."""

    size: int
    contents: Contents


def make(
    url: str, target: Path, *, pause: Callable[[], None] = _PAUSE, replace: bool = False
) -> Backup:
    """Copy the database at *url* to the new file *target*, with a *pause* a step, and verify it.

    Raise StoreError, and leave nothing behind, if that can't be done, or if a file is there already
    that it is not to *replace*.
    """
    parsed = address.parse(url)
    if parsed.drivername != "sqlite":
        name = address.describe(parsed)
        raise StoreError(f"the database {name} is PostgreSQL's to back up: {NOT_SQLITE}")
    try:
        _check_name(target, replace=replace)
    except OSError as error:
        raise _failed(target, error.strerror or type(error).__name__) from None
    file = DatabaseFile(Path(parsed.database or ""))
    file.prepare(create=False)
    database = sqlite.connect(parsed, file, read_only=True)
    try:
        with database.engine.begin() as tx:
            database.begin(tx, None)
            source = tx.connection.driver_connection
            assert isinstance(source, sqlite3.Connection)
            return _write(source, target, pause, replace=replace)
    except SQLAlchemyError as error:
        raise database.explain(error) from None
    except sqlite3.Error as error:
        raise _failed(target, str(error)) from None
    except OSError as error:
        raise _failed(target, error.strerror or type(error).__name__) from None
    finally:
        database.engine.dispose()


def _write(
    source: sqlite3.Connection, target: Path, pause: Callable[[], None], *, replace: bool
) -> Backup:
    contents = read_contents(source)
    _remove_left_behind(target.parent)
    with _part(target.parent) as (file, part):
        _copy(source, part, pause)
        os.fsync(file)
        check_copy(part, contents)
        _publish(part, target, replace=replace)
        return Backup(os.fstat(file).st_size, contents)


def read_contents(database: sqlite3.Connection) -> Contents:
    """Return what the *database* of the monitor holds; raise StoreError if it is none."""
    tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    names = [name for (name,) in tables if not name.startswith("sqlite_")]
    if "migration" not in names:
        raise StoreError("the database (storage.url) is empty: the monitor has not run with it yet")
    ((version, fingerprint),) = database.execute(
        "SELECT version, fingerprint FROM migration ORDER BY version DESC LIMIT 1"
    )
    rows = {name: _count(database, name) for name in names}
    return Contents(version, fingerprint, rows)


def _count(database: sqlite3.Connection, table: str) -> int:
    ((rows,),) = database.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608 - its own table
    return int(rows)


def _copy(source: sqlite3.Connection, part: Path, pause: Callable[[], None]) -> None:
    """Copy page by page: signals are seen between two steps."""
    with closing(sqlite3.connect(f"{part.absolute().as_uri()}?nolock=1", uri=True)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")  # what is left half is thrown away
        copy.execute("PRAGMA synchronous = OFF")  # all of it is synchronized at the end
        source.backup(copy, pages=STEP, progress=lambda *_: pause())


def check_copy(part: Path, expected: Contents) -> None:
    """Open *part* as it will be opened, and raise StoreError unless it is whole and as *expected*.

    No other file is made beside it.
    """
    uri = f"{part.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as copy:
        (first, *_) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if first != "ok" or copy.execute("PRAGMA foreign_key_check").fetchone():
            raise StoreError(
                "the copy is damaged, as the database may be: nothing was written; check its disk,"
                " and keep former backups"
            )
        if read_contents(copy) != expected:
            raise StoreError("the copy is not what the database held: nothing was written")


@contextmanager
def _part(folder: Path) -> Iterator[tuple[int, Path]]:
    """Make a file for nobody else to read, and remove its name in the end; it is open and ours."""
    while True:
        file, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=folder)
        with suppress(OSError):  # some shares of networks have no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file).st_nlink:
            break
        os.close(file)  # another backup took it for left behind before it was locked
    try:
        yield file, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
        os.close(file)


def _remove_left_behind(folder: Path) -> None:
    """Remove the parts of backups that were killed: nobody has them locked."""
    for part in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with suppress(OSError):
            file = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()
            finally:
                os.close(file)


def _publish(part: Path, target: Path, *, replace: bool) -> None:
    """Give *part* the name *target*, for good. Another file that has it is kept, or *replace*d."""
    if replace:
        part.rename(target)
    else:
        _link(part, target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _link(part: Path, target: Path) -> None:
    try:
        os.link(part, target)
    except FileExistsError:
        raise _taken(target) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(target):
            raise _taken(target) from None
        part.rename(target)


def _check_name(target: Path, *, replace: bool) -> None:
    """Raise StoreError if *target* can't become a backup, or not a safe one."""
    if os.path.lexists(target) and not replace:
        raise _taken(target)
    if not target.parent.is_dir():
        raise StoreError(f"there is no folder {target.parent}: make it, or name a file elsewhere")
    for ending in _COMPANIONS:
        companion = target.with_name(f"{target.name}{ending}")
        if target.name.endswith(ending):
            raise StoreError(
                f"{target} can't be a backup: SQLite takes a file whose name ends in {ending} for"
                " a part of a database; choose another name"
            )
        if os.path.lexists(companion):
            raise StoreError(
                f"{companion} is there: SQLite would take it for a part of the backup; move it"
                " away, or choose another name"
            )
    check_folders(target, "name a file elsewhere")


def _taken(target: Path) -> StoreError:
    return StoreError(f"{target} is there already, and is not replaced; choose another name")


def _failed(target: Path, reason: str) -> StoreError:
    hint = next((hint for words, hint in _ADVICE.items() if words in reason), None)
    return StoreError(f"no backup {target} was made: {reason}" + (f"; {hint}" if hint else ""))
