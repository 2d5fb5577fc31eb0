"""Statements, values and dataclasses: columns are called like fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pytest
from sqlalchemy import text

from monitor.core.duration import Duration
from monitor.core.secret import Secret
from monitor.store import accounts, incidents, rows, session_intents, sessions, workspaces

MADE = {
    "account": (accounts.LOAD, accounts.ROWS, accounts.WRITE),
    "event": (incidents.WRITE_EVENT,),
    "incident": (incidents.WRITE,),
    "session": (sessions.WRITE,),
    "session intent": (session_intents.ADD,),
    "transition": (accounts.WRITE_TRANSITION,),
    "workspace": (workspaces.WRITE,),
}


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Thing:
    id: str
    count: int
    colour: Colour | None
    span: Duration
    secret: Secret
    parts: tuple[int, ...] = ()
    owners: Mapping[str, str] | None = None
    inner: "Thing | None" = None


@pytest.mark.parametrize("table", MADE)
def test_the_statements_that_are_made_from_dataclasses(table, snapshot):
    assert "\n\n".join(str(statement).strip() for statement in MADE[table]) == snapshot


def test_only_what_is_one_value_and_no_secret_is_a_column():
    assert rows.columns(Thing) == ("id", "count", "colour", "span")


@pytest.mark.parametrize("colour", [Colour.RED, None])
def test_what_was_written_is_read_again_with_its_types(store, colour):
    thing = Thing("t1", 2, colour, Duration.parse("5m"), Secret("hush"))
    added = text(rows.insert("thing", rows.columns(Thing)))

    def write_and_read(tx):
        tx.execute(
            text("CREATE TEMPORARY TABLE thing (id TEXT, count BIGINT, colour TEXT, span BIGINT)")
        )
        rows.execute_many(tx, added, [rows.values(thing)])
        return tx.execute(text("SELECT * FROM thing")).one()

    row = store.run_now(write_and_read)

    read = rows.read(Thing, row, secret=Secret("hush"))
    assert read == thing
    assert type(read.colour) is type(colour)
    assert isinstance(read.span, Duration)


def test_a_row_with_the_key_of_another_takes_its_place(store):
    put = text(rows.upsert("thing", ("owner", "id", "count"), key=("owner", "id")))

    def write_and_read(tx):
        columns = "owner TEXT, id TEXT, count BIGINT, PRIMARY KEY (owner, id)"
        tx.execute(text(f"CREATE TEMPORARY TABLE thing ({columns})"))
        for id_, counted in (("t1", 1), ("t2", 2), ("t1", 3)):
            tx.execute(put, {"owner": "jane", "id": id_, "count": counted})
        return tx.execute(text("SELECT id, count FROM thing ORDER BY id")).all()

    assert store.run_now(write_and_read) == [("t1", 3), ("t2", 2)]


def test_a_key_is_no_change():
    put = rows.upsert("thing", ("id", "count"), key=("id",))

    assert put.endswith("ON CONFLICT (id) DO UPDATE SET count = excluded.count")


@pytest.mark.parametrize("times", [1, 2])
def test_however_many_are_written_each_is_and_the_last_of_a_key_counts(store, times):
    numbers = [number for number in range(1203) for _ in range(times)]
    listed = [{"id": f"t{number}", "count": index} for index, number in enumerate(numbers)]
    written = text(rows.upsert("thing", ("id", "count"), key=("id",)))

    def write_and_read(tx):
        tx.execute(text("CREATE TEMPORARY TABLE thing (id TEXT PRIMARY KEY, count BIGINT)"))
        rows.execute_many(tx, written, listed)
        return tx.execute(text("SELECT id, count FROM thing ORDER BY count")).all()

    assert store.run_now(write_and_read) == [
        (f"t{number}", number * times + times - 1) for number in range(1203)
    ]
