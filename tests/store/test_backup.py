"""Backups: whole, of one moment, for nobody else to read, and in no other file's place."""

import asyncio
import fcntl
import os
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest
from harness.core import LINK, listed_account, signed_out
from harness.running_monitor import running_monitor, simulated
from harness.store import StoreHarness, open_store
from sqlalchemy import text

from monitor.store import backup
from monitor.store.db import Store, StoreError


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path}/monitor.db"


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o700)
    return folder / "copy.db"


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch):
    monkeypatch.setattr(backup, "STEP", 10)


def no_pause():
    pass


def make(database_url, target, pause=no_pause):
    return backup.make(database_url, target, pause=pause)


def everything(url):
    with closing(open_store(str(url))) as store:
        return StoreHarness.everything(StoreHarness(store))


def test_a_backup_holds_all_of_the_moment_in_which_it_began(harness, database_url, target):
    harness.poll(listed_account("ok"), signed_out("out", link=LINK))
    before = harness.everything()

    def commit():
        harness.poll(listed_account("ok"), signed_out("out"), signed_out(f"n{harness.now}"))

    made = make(database_url, target, commit)

    assert made.contents.rows["account"] == 2
    assert made.size == target.stat().st_size
    assert len(harness.column("SELECT id FROM account")) > 4, "commits go on meanwhile"
    with closing(Store.open(f"sqlite:///{target}")) as store:
        copy = StoreHarness.__new__(StoreHarness)
        copy.store = store
        assert copy.everything() == before


def test_nobody_else_can_read_it_at_any_moment(harness, database_url, target):
    harness.poll(signed_out("out"))
    modes = []

    def look():
        modes.extend(stat.S_IMODE(path.stat().st_mode) for path in target.parent.iterdir())

    before = os.umask(0)
    try:
        make(database_url, target, look)
    finally:
        os.umask(before)
    look()

    assert len(modes) > 3
    assert set(modes) == {0o600}
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.slow
async def test_a_monitor_goes_on_committing_and_telling_while_a_backup_is_made(tmp_path, target):
    simulator = simulated()
    begun, go_on = threading.Event(), threading.Event()

    def pause():
        begun.set()
        assert go_on.wait(60)

    async with running_monitor(tmp_path, simulator) as monitor:
        url = monitor.settings["storage"]["url"]
        making = asyncio.create_task(asyncio.to_thread(make, url, target, pause))
        assert await asyncio.to_thread(begun.wait, 20)
        simulator.sign_out("acme", "*")
        await monitor.until_told(2)
        simulator.recover("acme", "*")
        await monitor.until_told(4)
        go_on.set()
        made = await making

    assert (made.contents.rows["account"], made.contents.rows["incident"]) == (2, 0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError(28, "No space left")])
def test_nothing_is_left_of_a_backup_that_did_not_end(harness, database_url, target, error):
    def fail():
        assert list(target.parent.iterdir())
        raise error

    with pytest.raises((KeyboardInterrupt, SystemExit, StoreError)):
        make(database_url, target, fail)

    assert list(target.parent.iterdir()) == []
    harness.poll(signed_out("out"))


@pytest.mark.usefixtures("store")
def test_what_a_killed_backup_left_is_removed_by_the_next_and_what_is_being_written_is_not(
    database_url, target
):
    left, begun = (target.parent / f".linkedapi-monitor-{name}.part" for name in "ab")
    for part in (left, begun):
        part.touch(0o600)
    with begun.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        make(database_url, target)

    assert set(target.parent.iterdir()) == {target, begun}


def refused(database_url, target, match):
    before = {path: path.read_bytes() for path in target.parent.glob("*") if path.is_file()}
    with pytest.raises(StoreError, match=match) as raised:
        make(database_url, target)
    assert {path: path.read_bytes() for path in before} == before
    assert not list(target.parent.glob(".linkedapi-monitor-*"))
    return str(raised.value)


@pytest.mark.usefixtures("store")
def test_no_file_is_replaced(database_url, target):
    target.write_text("a former backup")
    with pytest.raises(StoreError, match="is there already, and is not replaced"):
        make(database_url, target, pytest.fail)
    link = target.with_name("link")
    link.symlink_to("nowhere")
    refused(database_url, link, "is there already")
    refused(database_url, target.parent, "is there already")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("has_links", [True, False])
def test_no_file_that_came_meanwhile_is_replaced_either(
    database_url, target, monkeypatch, has_links
):
    def link(*_):
        raise PermissionError(1, "no hard links here")

    if not has_links:
        monkeypatch.setattr(os, "link", link)
    with pytest.raises(StoreError, match="is there already"):
        make(database_url, target, lambda: target.write_text("mine"))

    assert target.read_text() == "mine"
    assert list(target.parent.iterdir()) == [target]
    target.unlink()
    make(database_url, target)
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.usefixtures("store")
def test_nothing_is_written_where_a_database_would_be_taken_for_something_else(
    tmp_path, database_url, target
):
    refused(database_url, tmp_path / "other.db-wal", "ends in -wal")
    target.with_name("copy.db-wal").touch()
    refused(database_url, target, "copy.db-wal is there: SQLite would take it for a part")
    refused(database_url, tmp_path / "none/copy.db", "there is no folder .*none: make it")
    refused(database_url, tmp_path / ("x" * 300), "File name too long")
    target.parent.chmod(0o777)
    refused(database_url, target.with_name("b.db"), "everybody may write to the folder .*chmod o-w")


def test_what_is_no_database_of_the_monitor_is_not_backed_up(tmp_path, target):
    file = tmp_path / "monitor.db"
    refused(f"sqlite:///{file}", target, "the monitor has not run with it yet")
    sqlite3.connect(file).close()
    file.touch()
    refused(f"sqlite:///{file}", target, "the monitor has not run with it yet")
    file.write_text("something else" * 100)
    refused(f"sqlite:///{file}", target, "not a database; name another file")


def test_a_damaged_database_makes_no_backup(harness, database_url, target, tmp_path):
    harness.poll(signed_out("out"))
    query = text("SELECT rootpage FROM sqlite_schema WHERE name = 'notification_message'")
    page = harness.run(lambda tx: tx.execute(query).scalar_one())
    harness.store.close()
    with (tmp_path / "monitor.db").open("r+b") as file:
        file.seek((page - 1) * 4096 + 8)
        file.write(b"\xff" * 400)

    refused(database_url, target, "the copy is damaged|malformed")


def test_a_copy_that_lacks_something_is_none(harness, database_url, target):
    harness.poll(signed_out("out"))
    contents = make(database_url, target).contents
    backup.check_copy(target, contents)
    with closing(sqlite3.connect(target)) as copy, copy:
        copy.execute("PRAGMA journal_mode = DELETE")
        copy.execute("DELETE FROM transition")

    with pytest.raises(StoreError, match="not what the database held"):
        backup.check_copy(target, contents)
    with closing(sqlite3.connect(target)) as copy, copy:
        copy.execute("DELETE FROM workspace")
        contents = backup.read_contents(copy)
    with pytest.raises(StoreError, match="the copy is damaged"):
        backup.check_copy(target, contents)


@pytest.mark.usefixtures("store")
def test_it_is_on_the_disk_before_it_has_its_name_and_so_is_the_name(
    database_url, target, monkeypatch
):
    synchronized, fsync = [], os.fsync

    def record(file):
        path = Path(f"/proc/self/fd/{file}").readlink()
        synchronized.append((path.suffix == ".part", path == target.parent, target.exists()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", record)
    make(database_url, target)

    assert synchronized == [(True, False, False), (False, True, True)]


def test_postgresql_has_its_own_backups(target):
    message = refused("postgresql://user:s3cret@db.example.com/monitor", target, "pg_dump")

    assert "monitor at db.example.com" in message
    assert "user" not in message
    assert "s3cret" not in message
