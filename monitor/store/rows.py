"""Statements and values made from dataclasses: a column is called like its field.

So a new column is one line of a dataclass and one of `schema.sql`. Fields that are not one text or
number (a tuple, another dataclass, a secret) are no columns: the module of their table says what
becomes of them.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from sqlalchemy import Connection, Dialect, Row, Text, TextClause, bindparam

T = TypeVar("T")

MAX_LISTED: Final = 500
"""How many values are listed in one statement."""

MAX_VALUES: Final = 500
"""How many values of rows a statement of SQLite adds; with more of them it is no faster."""

MAX_ROWS: Final = 1000
"""How many rows one of PostgreSQL adds."""


def columns(kind: type) -> tuple[str, ...]:
    """Return the columns that the dataclass *kind* has."""
    return tuple(_types(kind))


def insert(table: str, columns: Sequence[str]) -> str:
    """Return the statement that adds a row to *table*."""
    return f"INSERT INTO {table} ({', '.join(columns)})\nVALUES (:{', :'.join(columns)})"


def upsert(table: str, columns: Sequence[str], *, key: Sequence[str]) -> str:
    """Return the statement that adds a row to *table*, or changes the one with the same *key*."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
    return f"{insert(table, columns)}\nON CONFLICT ({', '.join(key)}) DO UPDATE SET {changes}"


def selected(table: str, columns: Iterable[str], prefix: str) -> str:
    """Return what selects the *columns* of *table* beside others: with a *prefix*."""
    return ", ".join(f"{table}.{name} AS {prefix}{name}" for name in columns)


def execute_many(tx: Connection, statement: TextClause, rows: Iterable[dict[str, Any]]) -> None:
    """Run *statement* once for each of *rows*.

    There may be tens of thousands in one transaction, for which all others wait: they go straight
    to the driver, as it wants them, and what adds rows adds many with one statement.
    """
    listed = list(rows)
    adding = _adding(statement)
    if adding and adding.fits(listed):
        add = _add_as_json if tx.dialect.name == "postgresql" else _add_as_values
        listed = add(tx, adding, listed)
    if listed:
        sql, places = _compiled(statement, tx.dialect)
        parameters = [tuple(map(row.__getitem__, places)) for row in listed] if places else listed
        tx.exec_driver_sql(sql, parameters)


@cache
def _compiled(statement: TextClause, dialect: Dialect) -> tuple[str, Sequence[str]]:
    """Return *statement* as the driver wants it, and the order of its values unless by name."""
    compiled = statement.compile(dialect=dialect)
    return str(compiled), getattr(compiled, "positiontup", None) or ()


_INSERT: Final = re.compile(
    r"\s*INSERT INTO (\w+)\s*\(([^()]+)\)\s*VALUES\s*\(([^()]+)\)([^:]*)", re.DOTALL
)
_KEY: Final = re.compile(r"ON CONFLICT \(([^)]+)\) DO UPDATE")


@dataclass(frozen=True, slots=True)
class _Adding:
    """A statement that adds a row to *table*: in each column a value, which is `:name` or fixed.

    *key* is what it changes a row by; *tail* is what stands behind the values.
    """

    table: str
    values: Mapping[str, str]
    tail: str
    key: Sequence[str]

    @property
    def head(self) -> str:
        """What stands before the values."""
        return f"INSERT INTO {self.table} ({', '.join(self.values)})"

    def fits(self, listed: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether it may add all of *listed*: it can't change a row twice."""
        keys = {tuple(map(row.__getitem__, self.key)) for row in listed} if self.key else listed
        return len(keys) == len(listed)


@cache
def _adding(statement: TextClause) -> _Adding | None:
    match = _INSERT.fullmatch(statement.text)
    if match is None:
        return None
    table, columns, values, tail = match.groups()
    key = _KEY.search(tail)
    named = dict(zip(_split(columns), _split(values), strict=True))
    return _Adding(table, named, tail, _split(key[1]) if key else ())


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _add_as_values(
    tx: Connection, adding: _Adding, listed: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Add rows by statements that list the values of many; return those that are left."""
    names = [value[1:] for value in adding.values.values() if value.startswith(":")]
    size = max(1, MAX_VALUES // len(names))
    whole = len(listed) - len(listed) % size
    if whole:
        row = ", ".join("?" if value[0] == ":" else value for value in adding.values.values())
        many = ", ".join([f"({row})"] * size)
        sql = f"{adding.head} VALUES {many}{adding.tail}"
        portions = (listed[at : at + size] for at in range(0, whole, size))
        parameters = [tuple(row[name] for row in each for name in names) for each in portions]
        tx.exec_driver_sql(sql, parameters)
    return listed[whole:]


def _add_as_json(
    tx: Connection, adding: _Adding, listed: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Add all rows, many with one value: PostgreSQL takes long to read a list of many values."""
    given = {column: value[1:] for column, value in adding.values.items() if value[0] == ":"}
    selected = ", ".join(
        column if value[0] == ":" else value for column, value in adding.values.items()
    )
    source = f"json_populate_recordset(NULL::{adding.table}, %s)"
    sql = f"{adding.head} SELECT {selected} FROM {source} {adding.tail}"  # noqa: S608 - of our own
    for at in range(0, len(listed), MAX_ROWS):
        portion = listed[at : at + MAX_ROWS]
        values = [{column: row[name] for column, name in given.items()} for row in portion]
        tx.exec_driver_sql(sql, (json.dumps(values),))
    return []


def listing(statement: TextClause, key: str) -> TextClause:
    """Return *statement*, in which it says `IN :key`, for a few texts, or none."""
    return statement.bindparams(bindparam(key, expanding=True, type_=Text()))


def execute_portions(
    tx: Connection, statement: TextClause, key: str, listed: Iterable[Any], **others: Any
) -> list[Row[Any]]:
    """Run *statement*, in which it says `IN :key`, for portions of what is *listed*.

    Return the rows of all.
    """
    left, returned = iter(listed), list[Row[Any]]()
    statement = listing(statement, key)
    while portion := list(islice(left, MAX_LISTED)):
        result = tx.execute(statement, {**others, key: portion})
        returned += result.all() if result.returns_rows else ()
    return returned


def values(record: Any) -> dict[str, Any]:
    """Return the values of the dataclass *record* by column."""
    kind: Callable[..., Any] = type(record)
    names, read = _reader(kind)
    return dict(zip(names, read(record), strict=True))


@cache
def _reader(kind: Callable[..., Any]) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = tuple(_types(kind))
    return names, attrgetter(*names)


def read(kind: Callable[..., T], row: Row[Any], prefix: str = "", **rest: Any) -> T:
    """Return *row*, whose columns have this *prefix*, as the dataclass *kind*.

    *rest* are the fields that are no columns.
    """
    stored = row._asdict()
    for name, type_ in _types(kind).items():
        value = stored[prefix + name]
        rest[name] = None if value is None else type_(value)
    return kind(**rest)


@cache
def _types(kind: Callable[..., Any]) -> dict[str, type]:
    """Return the type of each column of *kind*, but for None."""
    types = {}
    for name, hint in get_type_hints(kind).items():
        if get_origin(hint) in (None, UnionType):
            (type_,) = {*(get_args(hint) or (hint,))} - {NoneType}
            if isinstance(type_, type) and issubclass(type_, (int, str)):
                types[name] = type_
    return types
