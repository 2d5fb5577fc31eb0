"""The file of SQLite: nobody else reads it, and nothing is written to one that is gone."""

import os
import resource
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest
from harness import silent_dns
from harness.core import LINK, listed_account, signed_out
from harness.store import StoreHarness, open_store
from sqlalchemy import make_url, text

from monitor.store import erasure, sqlite
from monitor.store import file as database_file
from monitor.store.db import Store, StoreError
from monitor.store.file import COMPANIONS, DatabaseFile

STRANGER = 12345

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "monitor.db"


@pytest.fixture
def database_url(file):
    return f"sqlite:///{file}"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def beside(file):
    return [file.with_name(file.name + ending) for ending in COMPANIONS]


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


async def test_all_that_is_made_is_for_its_owner_only_whatever_the_umask(tmp_path):
    file = tmp_path / "some/deep/monitor.db"
    with umask(0), closing(Store.open(f"sqlite:///{file}")) as store:
        await store.lock()
        made = [file, *(path for path in beside(file) if path.exists())]

        assert len(made) == 4
        assert {mode(path) for path in made} == {0o600}
        assert {mode(path) for path in (file.parent, file.parent.parent)} == {0o700}


def test_what_others_could_read_is_tightened_with_a_word_in_the_log(database_url, file, caplog):
    Store.open(database_url).close()
    for path in [file, *beside(file)]:
        path.touch()
        path.chmod(0o666)

    with closing(Store.open(database_url)):
        assert mode(file) == 0o600
        assert {mode(path) for path in beside(file) if path.exists()} == {0o600}

    lines = [(line.file, line.mode) for line in caplog.records if "0600" in line.message]
    assert lines == [(str(path), "0666") for path in [file, *beside(file)]]


def test_no_mode_is_claimed_that_the_file_system_does_not_keep(
    database_url, file, monkeypatch, caplog
):
    Store.open(database_url).close()
    file.chmod(0o666)
    monkeypatch.setattr(database_file.Path, "chmod", lambda *_: None)  # as on shares of networks

    Store.open(database_url).close()

    assert ("others may read a file of the database", str(file)) in [
        (line.message, line.file) for line in caplog.records
    ]


def refused(url, match, **options):
    with pytest.raises(StoreError, match=match):
        Store.open(url, **options)


@pytest.mark.parametrize("leads_somewhere", [True, False])
@pytest.mark.parametrize("create", [True, False])
def test_a_symbolic_link_is_refused(tmp_path, database_url, file, leads_somewhere, create):
    if leads_somewhere:
        (tmp_path / "other.db").touch()
    file.symlink_to(tmp_path / "other.db")

    refused(database_url, "is a symbolic link; name the file that it leads to", create=create)
    assert (tmp_path / "other.db").exists() is leads_somewhere


def test_a_folder_may_be_reached_by_a_link(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")

    Store.open(f"sqlite:///{tmp_path}/link/monitor.db").close()


def test_a_pipe_is_refused_at_once(database_url, file):
    os.mkfifo(file)

    refused(database_url, "is not a file; name a writable file")


@as_root
def test_a_file_of_somebody_else_is_refused(database_url, file):
    Store.open(database_url).close()
    os.chown(file, STRANGER, STRANGER)

    refused(database_url, "belongs to another user .uid 12345, this is 0.: run the monitor as that")
    assert mode(file) == 0o600


async def test_where_all_files_have_one_owner_whoever_makes_them_they_are_ours(
    database_url, file, monkeypatch, caplog
):
    # as on shares of networks: to the monitor, its own files are those of this user
    monkeypatch.setattr(database_file.os, "geteuid", lambda: STRANGER)

    for _ in range(2):
        caplog.clear()
        with closing(Store.open(database_url)) as store:
            assert await store.lock()
        warned = [line.folder for line in caplog.records if "keeps no owners" in line.message]
        assert str(file.parent) in warned


@as_root
def test_root_may_look_at_the_file_of_the_monitor(database_url, file):
    Store.open(database_url).close()
    os.chown(file, STRANGER, STRANGER)

    with closing(Store.open(database_url, create=False)):
        assert {path.stat().st_uid for path in beside(file) if path.exists()} == {STRANGER}


@as_root
def test_a_lock_that_root_takes_stays_one_for_the_monitor(database_url, file):
    Store.open(database_url).close()
    os.chown(file, STRANGER, STRANGER)
    lock = file.with_name("monitor.db-lock")

    for _ in range(2):
        with closing(Store.open(database_url, create=False)) as store:
            assert store.lock_now()
        assert (lock.stat().st_uid, mode(lock)) == (STRANGER, 0o600)


@as_root
@pytest.mark.parametrize("ending", COMPANIONS)
def test_a_file_that_somebody_else_put_beside_it_is_refused(database_url, file, ending):
    stranger = file.with_name(file.name + ending)
    stranger.touch()
    os.chown(stranger, STRANGER, STRANGER)

    refused(database_url, f"{ending} is not the monitor's: somebody else has made it")


def test_so_is_one_that_appears_while_it_is_opened(database_url, file, monkeypatch):
    connect, wal = sqlite.connect, file.with_name(f"{file.name}-lock")

    def slowly(*args, **kwargs):
        if not wal.is_symlink():
            wal.symlink_to(file)
        return connect(*args, **kwargs)

    monkeypatch.setattr(sqlite, "connect", slowly)

    refused(database_url, "-lock is not the monitor's: somebody else has made it")


@pytest.mark.parametrize("depth", [0, 1])
def test_a_folder_that_everybody_may_write_to_is_refused(tmp_path, depth):
    folder = tmp_path / "open/data"
    folder.mkdir(parents=True)
    open_folder = [folder, folder.parent][depth]
    open_folder.chmod(0o777)

    refused(f"sqlite:///{folder}/monitor.db", f"everybody may write to the folder {open_folder},")
    open_folder.chmod(0o1777)
    Store.open(f"sqlite:///{folder}/monitor.db").close()
    open_folder.chmod(0o770)
    Store.open(f"sqlite:///{folder}/monitor.db").close()


IN_VOLUME = """
import logging, os, sys
from monitor.store.db import Store
logging.basicConfig(format="%(message)s: %(volume)s")
os.mkdir(f"{sys.argv[1]}/open")
os.chmod(f"{sys.argv[1]}/open", 0o777)  # is no better and no worse than the volume itself
for folder in ("", "/open"):
    Store.open(f"sqlite:///{sys.argv[1]}{folder}/monitor.db").close()
"""


@pytest.mark.parametrize("kind", ["--bind", "--types=tmpfs"])
def test_the_root_of_a_volume_is_taken_with_a_warning(tmp_path, kind):
    if not (os.environ.get("CI") or silent_dns.is_allowed()):
        pytest.skip("this system lets us mount nothing")
    source, volume = tmp_path / "source", tmp_path / "a volume"
    for folder in (source, volume):
        folder.mkdir()
    source.chmod(0o777)  # of the same file system, if it is bound
    script = 'mount "$1" "$2" "$3" && chmod 777 "$3" && exec "$4" -c "$5" "$3"'
    arguments = [script, "sh", kind, source, volume, sys.executable, IN_VOLUME]

    ran = subprocess.run(
        [*silent_dns.UNSHARE, "sh", "-c", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    warning = f"everybody may write to the volume of the database: {volume}\n"
    assert ran.stderr == 2 * warning


# ── files that go away ───────────────────────────────────────────────────────────────────────────


def fails(store, match):
    for access in (store.run_now, store.read_now):
        with pytest.raises(StoreError, match=match):
            access(lambda tx: tx.execute(text("DELETE FROM outside")))


def test_a_file_that_went_away_is_not_written_to_and_goes_on_when_it_is_back(
    harness, tmp_path, file
):
    harness.poll(signed_out("a"))
    before = harness.everything()
    for gone in (file, tmp_path):
        away = gone.with_name("away")
        gone.rename(away)

        fails(harness.store, "is gone: it was deleted or moved, or its folder is not mounted")
        away.rename(gone)

    assert harness.everything() == before
    assert harness.poll(listed_account("a")).decision.events


def test_a_file_that_was_replaced_is_left_alone(harness, tmp_path, file):
    harness.poll(signed_out("a"))
    other = tmp_path / "other.db"
    Store.open(f"sqlite:///{other}").close()
    content = other.read_bytes()
    other.rename(file)

    fails(harness.store, "was replaced by another file; restart the monitor to use")
    assert file.read_bytes() == content


def test_a_log_that_was_deleted_is_noticed_and_nothing_is_lost(database_url, file):
    with closing(open_store(database_url)) as store:
        harness = StoreHarness(store)
        harness.poll(signed_out("a"))
        file.with_name(f"{file.name}-wal").unlink()

        fails(store, "-wal, which belongs to the database, was deleted or replaced; restart")

    with closing(Store.open(database_url)) as store:
        assert (
            len(store.read_now(lambda tx: tx.execute(text("SELECT id FROM incident")).all())) == 1
        )


def test_a_program_that_ends_while_the_file_is_opened_takes_nothing_of_ours_along(
    database_url, file
):
    Store.open(database_url).close()
    other, ours = sqlite3.connect(file), DatabaseFile(file)
    other.execute("SELECT * FROM outside")
    ours.prepare(create=False)
    database = sqlite.connect(make_url(database_url), ours, read_only=False)

    def write():
        with database.limit(), database.engine.begin() as tx:
            tx.execute(text("DELETE FROM outside"))

    with database.limit():
        other.close()  # the last one that has it open, and takes its log away
        write()
    write()
    database.engine.dispose()


# ── what is deleted is gone ──────────────────────────────────────────────────────────────────────


def holding(file, words):
    """Return which of the files hold *words*."""
    everything = [file, *beside(file)]
    return [path.name for path in everything if path.exists() and words in path.read_bytes()]


def test_no_link_is_left_on_the_disk_once_it_is_over(harness, file):
    ids = [f"a{number}" for number in range(40)]
    harness.poll(*map(signed_out, ids))
    assert holding(file, LINK.encode())

    harness.poll(*map(listed_account, ids))

    assert holding(file, LINK.encode()) == []


def test_what_somebody_reads_at_that_moment_leaves_the_disk_later(harness, file, monkeypatch):
    monkeypatch.setattr(sqlite, "ERASE_SHARE", 1000)
    harness.poll(signed_out("a"))

    def read(tx):
        tx.execute(text("SELECT * FROM session")).all()
        harness.poll(listed_account("a"))
        assert holding(file, LINK.encode())

    harness.store.read_now(read)
    harness.poll(listed_account("a"), listed_account("b"))

    assert holding(file, LINK.encode()) == []


def test_a_log_that_cannot_be_emptied_leaves_writes_their_patience(database_url, file):
    Store.open(database_url).close()
    ours = DatabaseFile(file)
    ours.prepare(create=False)
    database = sqlite.connect(make_url(database_url), ours, read_only=False)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    try:
        with database.limit():
            with database.engine.begin() as tx:
                tx.execute(text("CREATE TABLE more (x)"))
                erasure.note(tx)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))  # as if the disk were full
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with database.engine.begin() as tx:
        assert tx.execute(text("PRAGMA busy_timeout")).scalar() == 10_000
    database.engine.dispose()


@as_root
def test_who_may_not_look_into_the_folder_is_not_told_that_nothing_is_there(file, database_url):
    Store.open(database_url).close()
    file.parent.chmod(0o700)
    os.seteuid(STRANGER)
    try:
        with pytest.raises(StoreError, match="Permission denied; run this as the user of the mon"):
            Store.open(database_url, create=False)
    finally:
        os.seteuid(0)
