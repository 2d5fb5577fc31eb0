"""The tables: declared in one place, brought up from older versions, read by indexes."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest
from harness.core import listed_account, signed_out
from harness.store import StoreHarness
from sqlalchemy import TextClause, bindparam, inspect, text

from monitor.store import (
    accounts,
    attempts,
    claims,
    clock,
    due,
    incidents,
    leases,
    listings,
    looks,
    outbox,
    receivers,
    retention,
    session_intents,
    sessions,
    undelivered,
    workspaces,
)
from monitor.store.db import Store, StoreError
from monitor.store.schema import BASELINE, Schema, _statements

SHAPES = {int(path.stem): path for path in (Path(__file__).parent / "shapes").glob("*.sql")}
"""The tables of each version, as it was released."""


@pytest.fixture
def next_schema(next_version):
    return Schema.read(next_version)


def described(tx, *tables):
    """Everything about these tables, else about all, but the order of their columns."""
    inspector = inspect(tx)
    parts = {
        "columns": inspector.get_columns,
        "primary key": lambda table: [inspector.get_pk_constraint(table)],
        "foreign keys": inspector.get_foreign_keys,
        "checks": inspector.get_check_constraints,
        "unique": inspector.get_unique_constraints,
        "indexes": inspector.get_indexes,
    }
    if tx.dialect.name == "sqlite":  # whose inspector does not see every action
        parts["foreign keys"] = lambda table: rows(tx, f"pragma_foreign_key_list('{table}')")
    return {
        table: {
            part: sorted(json.dumps(item, default=str, sort_keys=True) for item in read(table))
            for part, read in parts.items()
        }
        for table in tables or inspector.get_table_names()
    }


def rows(tx, table):
    return [dict(row) for row in tx.execute(text(f"SELECT * FROM {table}")).mappings()]


def test_tables_change_by_a_migration_and_each_version_of_them_is_kept():
    schema = Schema.read(files("monitor.store"))

    assert sorted(SHAPES) == list(range(BASELINE, schema.version + 1))
    assert _statements(SHAPES[schema.version]) == schema.declared, (
        "write a migration and the tables that it leads to (tests/store/shapes);"
        " until the first release: cp monitor/store/schema.sql tests/store/shapes/0001.sql"
    )


@pytest.mark.parametrize("version", SHAPES)
def test_each_migration_leads_from_one_version_of_the_tables_to_the_next(directly, version):
    schema = Schema.read(files("monitor.store"))
    with directly() as tx:
        for statement in _statements(SHAPES[version]):
            tx.execute(text(statement))
        made = described(tx)
        drop_all(tx, made)
        for statement in (*_statements(SHAPES[BASELINE]), *until(schema, version)):
            tx.execute(text(statement))
        assert described(tx) == made


def until(schema, version):
    """The statements of the migrations up to *version*."""
    return [
        each
        for number in schema.migrations
        if number <= version
        for each in schema.migrations[number]
    ]


def drop_all(tx, tables):
    cascade = "CASCADE" if tx.dialect.name == "postgresql" else ""
    for table in tables:
        tx.execute(text(f"DROP TABLE {table} {cascade}"))


def test_the_migrations_make_what_is_declared_and_lose_nothing(database_url, directly, next_schema):
    with directly() as tx:
        next_schema.apply(tx)
        fresh = described(tx)
        mark = rows(tx, "migration")
        drop_all(tx, fresh)
    harness = StoreHarness(Store.open(database_url))
    harness.poll(signed_out())
    harness.store.close()
    with directly() as tx:
        before = {table: rows(tx, table) for table in described(tx)}

        next_schema.apply(tx)

        after = {table: rows(tx, table) for table in before}
        assert described(tx) == fresh
    assert after.pop("migration") == [*before.pop("migration"), *mark]
    after["incident"][0].pop("note")
    assert after == before


@pytest.mark.parametrize(
    ("table", "part", "expected"),
    [
        ("account", "columns", '"name": "id", "nullable": false'),
        ("account", "columns", '"name": "removed_at", "nullable": true'),
        ("account", "checks", "frozen"),
        ("account", "foreign keys", '"on_?update": "CASCADE"'),
        ("event", "foreign keys", '"on_?delete": "CASCADE"'),
        ("incident", "indexes", '"name": "incident_open".* "unique": (1|true)'),
        ("incident", "indexes", "resolved_at IS NULL"),
    ],
)
def test_the_description_of_the_tables_misses_nothing(store, table, part, expected):
    tables = store.run_now(lambda tx: described(tx, table))

    assert any(re.search(expected, item) for item in tables[table][part])


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE migration SET fingerprint = 'another'",
        "UPDATE migration SET version = 0",
        "ALTER TABLE migration DROP COLUMN fingerprint",
    ],
    ids=["other tables", "tables of before the first release", "tables without a fingerprint"],
)
def test_a_database_of_another_development_version_is_refused(
    database_url, execute, change, create
):
    Store.open(database_url).close()
    execute(change)

    with pytest.raises(StoreError, match=r"another development version .*; move it away, or"):
        Store.open(database_url, create=create)


def test_comments_and_line_breaks_make_no_other_version(tmp_path):
    declared = (files("monitor.store") / "schema.sql").read_text()
    (tmp_path / "schema.sql").write_text("-- Another comment.\n" + declared.replace("\n", " \n  "))

    assert Schema.read(tmp_path) == Schema.read(files("monitor.store"))


def test_a_database_that_is_up_to_date_is_left_alone(database_url, directly):
    harness = StoreHarness(Store.open(database_url))
    harness.poll(signed_out())
    harness.store.close()
    with directly() as tx:
        before = {table: rows(tx, table) for table in described(tx)}

    Store.open(database_url).close()

    with directly() as tx:
        assert {table: rows(tx, table) for table in described(tx)} == before


@pytest.mark.odd_input("database of a newer version")
def test_a_database_from_the_future_is_refused(database_url, directly, next_schema):
    with directly() as tx:
        next_schema.apply(tx)

    for options in ({}, {"create": False}, {"outdated": True}):
        with pytest.raises(StoreError, match=r"newer version .* run that one, or put the backup"):
            Store.open(database_url, **options)


def test_tables_that_are_not_all_made_are_none(database_url, directly, execute):
    execute("CREATE TABLE message (text TEXT)")

    with pytest.raises(StoreError, match="already exists"):
        Store.open(database_url)

    with directly() as tx:
        assert set(described(tx)) == {"message"}


def test_who_only_reads_makes_no_tables(database_url, directly):
    with pytest.raises(StoreError, match="the monitor has not run with it yet"):
        Store.open(database_url, create=False)
    with directly() as tx:
        assert described(tx) == {}
    with pytest.raises(StoreError, match="the monitor has not run with it yet"):
        Store.open(database_url, create=False)

    Store.open(database_url).close()
    reader = Store.open(database_url, create=False)
    assert reader.run_now(listings.accounts) == []
    reader.close()


def test_monitors_that_start_at_once_make_the_tables_once(database_url):
    with ThreadPoolExecutor() as threads:
        stores = list(threads.map(Store.open, [database_url] * 6))

    StoreHarness(stores[0]).poll(listed_account())
    for store in stores:
        store.close()


def test_every_statement_is_understood_by_both(store):
    def explain(tx, statement):
        values = dict.fromkeys(statement.compile().params)
        return tx.execute(*explained("EXPLAIN", statement, values)).all()

    checked = set(statements())

    assert len(checked) > 60
    for statement in checked:
        assert store.run_now(lambda tx, statement=statement: explain(tx, statement))


def explained(how, statement, values):
    """*statement* to be explained, with its values; what it lists is one thing."""
    listed = [name for name in values if f"IN :{name}" in str(statement)]
    expanding = [bindparam(name, expanding=True) for name in listed]
    values = {**values, **{name: [""] for name in listed}}
    return text(f"{how} {statement}").bindparams(*expanding), values


def statements():
    """Every SQL text of the store's modules."""
    for module in MODULES:
        for value in vars(module).values():
            components = value if isinstance(value, tuple) else (value,)
            yield from (part for part in components if isinstance(part, TextClause))


MODULES = (
    *(accounts, attempts, claims, clock, due, incidents, leases, listings, looks, outbox),
    *(receivers, retention, session_intents, sessions, undelivered, workspaces),
)
NUMBERS = (
    "now",
    "start",
    "at",
    "told_at",
    "until",
    "before",
    "since",
    "limit",
    "position",
    "part",
    "more",
)
HOT = (
    *(claims.NEXT, due.TIMES, due.RELEASE, due.LAPSED, claims.IN_TURN, claims.MATES),
    *(claims.QUEUED, outbox.SET_STATE, claims.ADD_PART, attempts.EXPIRED, attempts.MARK_HEARD),
    attempts.BEHIND,
    *(outbox.AUDIENCE, outbox.CANCEL_ENDED, outbox.NOT_EMPTY, outbox.CLOSE_EMPTY),
    *(
        outbox.NEXT_IN_TURN,
        outbox.NEXT_POSITIONS,
        outbox.CANCEL_CHANGED,
        outbox.RELEASE,
        looks.HOLD,
    ),
    *(looks.RELEASE, looks.RELEASE_FAILED, undelivered.LIVE, outbox.OLDEST),
    *(undelivered.IS_KNOWN, receivers.RETRY_NOW),
)


@pytest.mark.parametrize("statement", HOT)
def test_no_statement_of_a_delivery_reads_all_that_was_ever_sent(store, statement):
    names = statement.compile().params
    values = {name: 0 if name in NUMBERS else "" for name in names}

    plan = store.run_now(lambda tx: planned(tx, statement, values))

    whole = re.compile(r"\b(SCAN|Seq Scan on) (message|notification)$")
    assert plan
    assert not [step for step in plan if whole.search(step.partition("  (cost")[0])]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the other plans by its rows
def test_the_tick_reads_what_is_due_in_the_order_of_an_index(store):
    values = {"replica": "", "now": 9, "by": 9}

    plan = store.run_now(lambda tx: planned(tx, incidents.DUE_FIRST, values))

    assert "USING INDEX incident_due (next_due_at<?)" in plan[0]
    assert not any("TEMP B-TREE" in step for step in plan)


@pytest.mark.parametrize(
    ("listing", "index"),
    [
        (listings.OPEN, "incident_listed"),
        (listings.ENDED, "incident_ended"),
        (listings.DELIVERIES, "notification_position"),
    ],
)
def test_a_listing_reads_no_more_than_it_prints(store, listing, index):
    plan = store.run_now(lambda tx: planned(tx, listing, {"limit": 9}))

    assert any(f"{index} on" in step or f"USING INDEX {index}" in step for step in plan)
    assert not any("Sort" in step or "B-TREE" in step for step in plan)


def planned(tx, statement, values):
    """The steps that the database takes for *statement*."""
    if tx.dialect.name == "sqlite":
        steps = tx.execute(*explained("EXPLAIN QUERY PLAN", statement, values))
        return [row.detail for row in steps]
    tx.execute(text("SET LOCAL enable_seqscan = off"))  # only where there is no other way
    return tx.execute(*explained("EXPLAIN", statement, values)).scalars().all()
