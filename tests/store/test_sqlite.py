"""Files that SQLite can't read or write: one clear error each, which says what to do."""

import os
from pathlib import Path

import pytest
from harness.core import frozen, listed_account, signed_out
from harness.faults import failing_writes, full_disk, locked
from harness.store import StoreHarness
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from monitor.core.duration import Duration
from monitor.store import sqlite, workspaces
from monitor.store.db import Store, StoreError
from monitor.store.file import DatabaseFile


@pytest.fixture
def file(tmp_path):
    return tmp_path / "monitor.db"


@pytest.fixture
def database_url(file):
    return f"sqlite:///{file}"


@pytest.fixture
def used(database_url, file):
    """A file that a monitor has written to."""
    store = Store.open(database_url)
    StoreHarness(store).poll(*(listed_account(f"a{n}") for n in range(200)))
    store.close()
    assert file.stat().st_size > 40_000
    return file


@pytest.mark.odd_input("damaged database")
def test_a_file_that_is_no_database_is_one_clear_error(database_url, file):
    file.write_text("something else entirely, and long enough\n" * 99)

    with pytest.raises(StoreError, match="not a database; name another file"):
        Store.open(database_url)


MALFORMED = "malformed; it is damaged; stop the monitor and put a backup"


@pytest.mark.parametrize(
    ("size", "expected"),
    [(4096 * 5, MALFORMED), (4096 + 2048, MALFORMED), (300, "not a database|malformed")],
)
def test_a_file_that_was_cut_off_is_one_clear_error(database_url, used, size, expected):
    os.truncate(used, size)

    with pytest.raises(StoreError, match=expected):
        Store.open(database_url)


def test_a_file_that_is_damaged_within_is_an_error_where_it_is_read(database_url, used):
    with used.open("r+b") as opened:
        opened.seek(4096)
        opened.write(os.urandom(used.stat().st_size - 4096))

    with pytest.raises(StoreError, match=MALFORMED):
        Store.open(database_url)


@pytest.mark.parametrize("place", ["file/monitor.db", "folder"])
def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    with pytest.raises(StoreError, match="name a writable file"):
        Store.open(f"sqlite:///{tmp_path}/{place}")


def test_a_locked_database_is_an_error_that_holds_no_values(harness):
    with locked(harness.store), pytest.raises(StoreError, match=r": database is locked; another"):
        harness.poll(signed_out())

    assert harness.poll(signed_out()).decision.events


def test_an_error_of_a_statement_holds_no_values(database_url):
    file = DatabaseFile(Path(database_url.removeprefix("sqlite:///")))
    engine = sqlite.connect(make_url(database_url), file, read_only=False).engine
    with pytest.raises(OperationalError, match="no such table") as caught, engine.begin() as tx:
        tx.execute(text("INSERT INTO nowhere VALUES (:value)"), {"value": "hush"})
    engine.dispose()

    assert "hush" not in str(caught.value)


def test_a_full_disk_is_one_clear_error_and_loses_nothing(harness):
    ids = [f"a{number}" for number in range(300)]
    harness.poll(*map(listed_account, ids))

    with full_disk(harness.store), pytest.raises(StoreError, match="is full; make room"):
        harness.poll(*map(frozen, ids))

    assert len(harness.poll(*map(frozen, ids)).decision.incidents) == 300


@pytest.mark.parametrize(
    "table",
    ["workspace", "account", "session", "incident", "event", "transition", "message"],
)
def test_a_write_that_fails_takes_the_whole_poll_along(harness, table):
    harness.poll(signed_out("a"), listed_account("b"))
    harness.deliver()
    before = harness.everything()

    with failing_writes(harness.store, table), pytest.raises(StoreError, match="not authorized"):
        harness.poll(listed_account("a"), signed_out("b"))

    assert harness.everything() == before
    harness.poll(listed_account("a"), signed_out("b"))
    assert harness.deliver() == [("opened", "b")]
    assert harness.deliver() == [("resolved", "a")]


@pytest.mark.parametrize("table", ["message", "notification", "heard"])
def test_a_write_that_fails_leaves_a_sent_message_to_be_settled_again(harness, table):
    harness.poll(signed_out())
    claimed = harness.claim()
    before = harness.everything()

    with failing_writes(harness.store, table), pytest.raises(StoreError, match="not authorized"):
        harness.settle(claimed)

    assert harness.everything() == before
    assert harness.settle(claimed)
    assert harness.heard() == [["slack"]]


@pytest.mark.parametrize("exists", [True, False])
def test_who_only_reads_makes_no_file_and_fills_none(database_url, file, exists):
    if exists:
        file.touch()

    with pytest.raises(StoreError, match="has not run with it yet"):
        Store.open(database_url, create=False)

    assert file.exists() == exists


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"


def test_a_read_that_takes_too_long_is_given_up(store, monkeypatch):
    monkeypatch.setattr(sqlite, "MAX_READ", Duration.parse("100ms"))

    with pytest.raises(StoreError, match="interrupted; it was asked for too much"):
        store.read_now(lambda tx: tx.execute(text(ENDLESS)).one())

    assert store.read_now(workspaces.load_attached) == []
