"""The tables: declared in one place, brought up from every older version."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.core import NOON, listed_account, signed_out
from harness.store import StoreHarness
from sqlalchemy import TextClause, inspect, text

from monitor.store import (
    accounts,
    claims,
    clock,
    incidents,
    listings,
    outbox,
    retention,
    schema,
    session_intents,
    sessions,
    workspaces,
)
from monitor.store.db import Store, StoreError

ROWS_OF_THE_FIRST_VERSION = (
    f"INSERT INTO clock (id, at) VALUES (1, {NOON})",
    f"INSERT INTO workspace (name, term, baseline_at) VALUES ('acme', 3, {NOON})",
    f"""
    INSERT INTO account (
        workspace, id, name, url, country, status, raw_status, since, first_seen_at, bad_polls,
        good_polls, missing_polls, changes, incident_id
    ) VALUES (
        'acme', 'a1', 'Jane', '', 'DE', 'frozen', 'frozen', {NOON}, {NOON}, 2, 0, 0, '', 'i1'
    )
    """,
    "INSERT INTO session (workspace, account_id, session_id) VALUES ('acme', 'a1', 's1')",
    f"""
    INSERT INTO transition (workspace, account_id, at, before_status, after_status)
    VALUES ('acme', 'a1', {NOON}, 'active', 'frozen')
    """,
    f"""
    INSERT INTO incident (
        id, workspace, scope, subject, account_id, cause, status, raw_status, detail, opened_at,
        reminders, next_due_at
    ) VALUES (
        'i1', 'acme', 'account', 'a1', 'a1', 'frozen', 'frozen', 'frozen', '', {NOON}, 0, {NOON}
    )
    """,
    f"""
    INSERT INTO event (id, type, at, workspace, account_id, incident_id, cause, detail)
    VALUES ('e1', 'opened', {NOON}, 'acme', 'a1', 'i1', 'frozen', '')
    """,
    f"""
    INSERT INTO message (id, receiver, state, position, attempts, next_attempt_at, created_at)
    VALUES ('m1', 'slack', 'pending', 1, 0, {NOON}, {NOON})
    """,
    """
    INSERT INTO notification (
        id, message_id, event_id, event, incident_id, workspace, subject, receiver, position, state
    ) VALUES ('n1', 'm1', 'e1', 'opened', 'i1', 'acme', 'a1', 'slack', 2, 'pending')
    """,
    f"INSERT INTO heard (incident_id, receiver, at) VALUES ('i1', 'mail', {NOON})",
    f"""
    INSERT INTO creation (id, workspace, account_id, incident_id, at, outcome)
    VALUES ('c1', 'acme', 'a1', 'i1', {NOON}, 'created')
    """,
)


def make_version(execute, version):
    """Make the tables as *version* left them."""
    execute("CREATE TABLE migration (version BIGINT PRIMARY KEY)")
    for number, statements in schema.migrations().items():
        if number <= version:
            execute(*statements, f"INSERT INTO migration (version) VALUES ({number})")


def described(tx):
    """Everything about the tables but the order of their columns."""
    inspector = inspect(tx)
    return {table: describe(tx, inspector, table) for table in inspector.get_table_names()}


def describe(tx, inspector, table):
    return {
        "columns": {
            one["name"]: (str(one["type"]), one["nullable"], one["default"])
            for one in inspector.get_columns(table)
        },
        "primary key": inspector.get_pk_constraint(table)["constrained_columns"],
        "foreign keys": foreign_keys(tx, inspector, table),
        "checks": sorted(one["sqltext"] for one in inspector.get_check_constraints(table)),
        "unique": inspector.get_unique_constraints(table),
        "indexes": {
            one["name"]: (
                one["column_names"],
                bool(one["unique"]),
                {key: str(value) for key, value in one.get("dialect_options", {}).items()},
            )
            for one in inspector.get_indexes(table)
        },
    }


def foreign_keys(tx, inspector, table):
    if tx.dialect.name == "sqlite":  # whose inspector does not see every ON DELETE
        found = [
            (one["from"], one["table"], one["to"], one["on_delete"])
            for one in rows(tx, f"pragma_foreign_key_list('{table}')")
        ]
    else:
        found = [
            (name, one["referred_table"], to, one["options"].get("ondelete"))
            for one in inspector.get_foreign_keys(table)
            for name, to in zip(one["constrained_columns"], one["referred_columns"], strict=True)
        ]
    return sorted(found)


def rows(tx, table):
    return [dict(row) for row in tx.execute(text(f"SELECT * FROM {table}")).mappings()]


def test_the_migrations_make_what_is_declared(database_url, directly, execute):
    Store.open(database_url).close()
    with directly() as tx:
        fresh, known = described(tx), rows(tx, "migration")
        cascade = "CASCADE" if tx.dialect.name == "postgresql" else ""
        for table in fresh:
            tx.execute(text(f"DROP TABLE {table} {cascade}"))
    make_version(execute, 0)

    Store.open(database_url).close()

    with directly() as tx:
        assert described(tx) == fresh
        assert rows(tx, "migration") == known


def test_the_description_of_the_tables_misses_nothing(store):
    with_index = store.run_now(described)["incident"]["indexes"]["incident_open"]
    account = store.run_now(described)["account"]

    assert with_index[1] is True
    assert "resolved_at IS NULL" in str(with_index[2])
    assert account["columns"]["id"][1] is False
    assert account["columns"]["removed_at"][1] is True
    assert "frozen" in str(account["checks"])
    assert account["foreign keys"]
    assert store.run_now(described)["event"]["foreign keys"] == [
        ("incident_id", "incident", "id", "CASCADE")
    ]


@pytest.mark.parametrize("version", schema.migrations())
def test_a_database_of_an_older_version_is_brought_up_without_loss(
    database_url, directly, execute, version
):
    make_version(execute, version)
    execute(*ROWS_OF_THE_FIRST_VERSION)
    with directly() as tx:
        before = {table: rows(tx, table) for table in described(tx) if table != "migration"}

    store = Store.open(database_url)

    after = {table: store.run_now(lambda tx, table=table: rows(tx, table)) for table in before}
    for table, (row,) in before.items():
        assert row.items() <= after[table][0].items()
    harness = StoreHarness(store)
    assert harness.workspace == store.run_now(lambda tx: workspaces.load(tx, "acme"))
    assert harness.deliver() == [("opened", "a1")]
    store.close()


def test_a_database_that_is_up_to_date_is_left_alone(database_url, directly):
    harness = StoreHarness(Store.open(database_url))
    harness.poll(signed_out())
    harness.store.close()
    with directly() as tx:
        before = {table: rows(tx, table) for table in described(tx)}

    Store.open(database_url).close()

    with directly() as tx:
        assert {table: rows(tx, table) for table in described(tx)} == before


@pytest.mark.row(25)
def test_a_database_from_the_future_is_refused(database_url, execute):
    Store.open(database_url).close()
    execute("INSERT INTO migration (version) VALUES (9999)")

    with pytest.raises(StoreError, match=r"newer version .* run that version"):
        Store.open(database_url)


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
    found = set(statements())

    assert len(found) > 60
    for statement in found:
        values = dict.fromkeys(statement.compile().params)
        explained = text(f"EXPLAIN {statement}")
        assert store.run_now(lambda tx, one=explained, of=values: tx.execute(one, of).all())


def statements():
    """Every SQL text of the store's modules."""
    for module in (
        *(accounts, claims, clock, incidents, listings, outbox, retention, session_intents),
        *(sessions, workspaces),
    ):
        for value in vars(module).values():
            components = value if isinstance(value, tuple) else (value,)
            yield from (part for part in components if isinstance(part, TextClause))
