"""Statements and values made from dataclasses: a column is called like its field.

So a new column is one line of a dataclass and one of `schema.sql`. Fields that are not one text or
number (a tuple, another dataclass, a secret) are no columns: the module of their table says what
becomes of them.
"""

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
"""How many values of rows a statement adds; with more of them it is no faster."""


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
    adding = _adding(statement, tx.dialect)
    if adding and adding.fits(listed):
        whole = len(listed) - len(listed) % adding.size
        if whole:
            portions = (listed[at : at + adding.size] for at in range(0, whole, adding.size))
            tx.exec_driver_sql(adding.sql, [adding.values(portion) for portion in portions])
        del listed[:whole]
    if listed:
        sql, places = _compiled(statement, tx.dialect)
        parameters = [tuple(map(row.__getitem__, places)) for row in listed] if places else listed
        tx.exec_driver_sql(sql, parameters)


@cache
def _compiled(statement: TextClause, dialect: Dialect) -> tuple[str, Sequence[str]]:
    """Return *statement* as the driver wants it, and the order of its values unless by name."""
    compiled = statement.compile(dialect=dialect)
    return str(compiled), getattr(compiled, "positiontup", None) or ()


_INSERT: Final = re.compile(r"\s*(INSERT INTO [^:]+?VALUES\s*)\(([^()]+)\)([^:]*)", re.DOTALL)
_KEY: Final = re.compile(r"ON CONFLICT \(([^)]+)\) DO UPDATE")


@dataclass(frozen=True, slots=True)
class _Adding:
    """A statement that adds *size* rows at once; *key* is what it changes a row by."""

    sql: str
    names: Sequence[str]
    size: int
    key: Sequence[str]

    def fits(self, listed: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether it may add all of *listed*: it can't change a row twice."""
        keys = {tuple(map(row.__getitem__, self.key)) for row in listed} if self.key else listed
        return len(keys) == len(listed)

    def values(self, portion: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
        """Return the values of a *portion* in their order."""
        return tuple(row[name] for row in portion for name in self.names)


@cache
def _adding(statement: TextClause, dialect: Dialect) -> _Adding | None:
    match = _INSERT.fullmatch(statement.text)
    if match is None:
        return None
    head, row, tail = match.groups()
    names, key = re.findall(r":(\w+)", row), _KEY.search(tail)
    size = max(1, MAX_VALUES // len(names))
    row = re.sub(r":\w+", "?" if dialect.paramstyle == "qmark" else "%s", row)
    columns = key[1].replace(" ", "").split(",") if key else ()
    return _Adding(f"{head}{', '.join([f'({row})'] * size)}{tail}", names, size, columns)


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
