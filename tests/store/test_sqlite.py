"""Files that SQLite can't read or write: one clear error each, which says what to do."""

import os
import sqlite3
import stat

import pytest
from harness.core import frozen, listed_account, signed_out
from harness.store import StoreHarness
from sqlalchemy import text

from monitor.store.db import Store, StoreError


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path}/monitor.db"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "monitor.db"


@pytest.fixture
def used(database_url, file):
    """A file that a monitor has written to."""
    store = Store.open(database_url)
    StoreHarness(store).poll(*(listed_account(f"a{n}") for n in range(200)))
    store.close()
    assert file.stat().st_size > 40_000
    return file


def test_the_file_is_for_its_owner_only(tmp_path):
    Store.open(f"sqlite:///{tmp_path}/deep/monitor.db").close()

    mode = (tmp_path / "deep/monitor.db").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.row(25)
def test_a_file_that_is_no_database_is_one_clear_error(database_url, file):
    file.write_text("something else entirely, and long enough\n" * 99)

    with pytest.raises(StoreError, match="not a database; name another file"):
        Store.open(database_url)


@pytest.mark.parametrize("size", [4096 * 5, 4096 + 2048])
def test_a_file_that_was_cut_off_is_one_clear_error(database_url, used, size):
    os.truncate(used, size)

    with pytest.raises(StoreError, match="malformed; it is damaged; stop the monitor and put a ba"):
        Store.open(database_url)


def test_half_a_page_is_one_clear_error(database_url, used):
    os.truncate(used, 300)

    with pytest.raises(StoreError, match=r"not a database|malformed"):
        Store.open(database_url)


def test_a_file_that_is_damaged_within_is_an_error_where_it_is_read(database_url, used):
    with used.open("r+b") as opened:
        opened.seek(4096)
        opened.write(os.urandom(used.stat().st_size - 4096))

    with pytest.raises(StoreError, match="malformed; it is damaged"):
        Store.open(database_url)


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match="name a writable file"):
        Store.open(f"sqlite:///{tmp_path}/file/monitor.db")


def test_a_folder_in_the_place_of_the_file_is_one_clear_error(database_url, file):
    file.mkdir()

    with pytest.raises(StoreError, match="name a writable file"):
        Store.open(database_url)


def test_a_locked_database_is_an_error_that_holds_no_values(harness, file):
    other = sqlite3.connect(file, isolation_level=None)
    harness.run(lambda tx: tx.execute(text("PRAGMA busy_timeout = 1")))
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match="is locked; another program"):
        harness.poll(signed_out())

    other.close()
    assert harness.poll(signed_out()).decision.events


def test_a_full_disk_is_one_clear_error_and_loses_nothing(harness):
    harness.poll(*(listed_account(f"a{n}") for n in range(300)))
    pages = harness.run(lambda tx: tx.execute(text("PRAGMA page_count")).scalar_one())
    harness.run(lambda tx: tx.execute(text(f"PRAGMA max_page_count = {pages}")))
    before = harness.workspace

    with pytest.raises(StoreError, match="is full; make room"):
        harness.poll(*(frozen(f"a{n}") for n in range(300)))

    harness.run(lambda tx: tx.execute(text("PRAGMA max_page_count = 99999")))
    assert harness.workspace == before
    assert len(harness.poll(*(frozen(f"a{n}") for n in range(300))).decision.incidents) == 300


def test_a_file_without_anything_in_it_is_not_made_a_database_by_who_only_reads(database_url, file):
    file.touch()

    with pytest.raises(StoreError, match="has not run with it yet"):
        Store.open(database_url, create=False)

    file.unlink()
    with pytest.raises(StoreError, match="has not run with it yet"):
        Store.open(database_url, create=False)
    assert not file.exists()
