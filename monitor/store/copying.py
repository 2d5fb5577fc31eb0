"""A database copied into another, empty one: from SQLite to PostgreSQL, back, or likewise.

Nobody works on either meanwhile. All of it is one transaction, so the copy is whole or not there.
It is free: who worked on the former holds no lease of it. Everything else is the same, what was
told to whom and what is still to be sent included, so a monitor goes on with it where one ended.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any, Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from . import rows
from .db import Store
from .errors import StoreError
from .exclusive import Hold, busy

PORTION: Final = 1000
"""How many rows are in memory at a time."""

_NOT_COPIED: Final = ("migration", "replica")
"""What says how the tables were made, and who works."""


def check_empty(target: Store) -> None:
    """Raise StoreError unless the database of *target* is empty, and nobody is about to use it."""
    if target.lock_now() is False:
        raise busy(target)
    target.read_now(lambda tx: _check_empty(target, tx))


def copy(
    source: Store, target: Store, hold: Hold, *, pause: Callable[[], None]
) -> Mapping[str, int]:
    """Copy all of *source*, on which there is a *hold*; return how many rows each table has.

    After each portion *pause* is called, which may end the work by what it raises. Raise StoreError
    if it can't be done. *target* is left empty then.
    """
    copied = {}
    with ExitStack() as stack, target.fill() as writing:
        reading = stack.enter_context(source.snapshot())
        _check_empty(target, writing)
        for table in _tables(source):
            copied[table] = 0
            with closing(_portions(reading, table, source.explain)) as portions:
                for portion in portions:
                    statement = text(rows.insert(table, list(portion[0])))
                    rows.execute_many(writing, statement, portion)
                    copied[table] += len(portion)
                    hold.renew()
                    pause()
        stack.close()  # a server ends what is idle, and the commit may take long
        hold.renew(now=True)
    return copied


def _tables(store: Store) -> Sequence[str]:
    return [table for table in store.schema.tables if table not in _NOT_COPIED]


def _check_empty(store: Store, tx: Connection) -> None:
    for table in (*_tables(store), "replica"):
        if tx.execute(text(f"SELECT 1 FROM {table} LIMIT 1")).first():  # noqa: S608 - our own
            raise StoreError(
                f"the database {store.name} is not empty: nothing is copied over what is there;"
                " name a new one"
            )


def _portions(
    tx: Connection, table: str, explain: Callable[[SQLAlchemyError], StoreError]
) -> Generator[list[dict[str, Any]]]:
    """Return all rows of *table*, some at a time."""
    try:
        statement = text(f"SELECT * FROM {table}")  # noqa: S608 - our own
        with tx.execute(statement, execution_options={"yield_per": PORTION}) as result:
            for portion in result.mappings().partitions(PORTION):
                yield [dict(row) for row in portion]
    except SQLAlchemyError as error:
        raise explain(error) from None
