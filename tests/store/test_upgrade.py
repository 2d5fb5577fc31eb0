"""An upgrade of the tables: whole or not at all, with nobody at work, and with a way back."""

import stat
from contextlib import closing
from dataclasses import replace

import pytest
import structlog
from harness.core import signed_out
from harness.leases import REPLICA, live
from harness.store import StoreHarness
from sqlalchemy import text

from monitor.app.process import REAL
from monitor.core.errors import MonitorError
from monitor.store import backup, db, leases, upgrade
from monitor.store.db import Store, StoreError
from monitor.store.upgrade import open_upgraded

NOTES = text("SELECT id, note FROM incident")
INCIDENTS = text("SELECT id FROM incident")
VERSIONS = text("SELECT version FROM migration ORDER BY version")


@pytest.fixture
def older(database_url):
    """A database of the present version, with something in it."""
    with closing(Store.open(database_url)) as store:
        harness = StoreHarness(store)
        harness.poll(signed_out())
        harness.run(lambda tx: leases.leave(tx, REPLICA))
    return database_url


@pytest.fixture
def newer(older, next_version, monkeypatch):
    """The same; the program is of the next version by now."""
    monkeypatch.setattr(db, "files", lambda _: next_version)
    return older


class Upgrade:
    """An upgrade in which time passes when it sleeps: then it calls *meanwhile*."""

    def __init__(self, url):
        self.url = url
        self.seconds = 0.0
        self.meanwhile = lambda _: None

    def __call__(self):
        runtime = replace(REAL, monotonic=lambda: self.seconds)
        return open_upgraded(self.url, runtime, sleep=self._sleep)

    def _sleep(self, seconds):
        self.seconds += seconds
        self.meanwhile(self.seconds)


@pytest.fixture
def upgraded(newer):
    """Open the older database as a monitor of the next version does."""
    return Upgrade(newer)


def read(url, statement):
    with closing(Store.open(url, create=False)) as store:
        return store.read_now(lambda tx: list(map(tuple, tx.execute(statement))))


def kept(url):
    """The file that holds what was there before an upgrade of SQLite."""
    return f"{url}-before-2" if url.startswith("sqlite") else None


def test_an_older_database_is_brought_up_to_date_and_its_former_state_is_kept(
    newer, upgraded, monkeypatch, tmp_path
):
    with (
        structlog.testing.capture_logs() as logs,
        closing(upgraded()),
        closing(Store.open(newer)) as another,
    ):
        assert another.lock_now() is not False, "the lock is for whoever works"

    ((incident, note),) = read(newer, NOTES)
    assert note is None
    assert read(newer, VERSIONS) == [(1,), (2,)]
    (line,) = (entry for entry in logs if "up to date" in entry["event"])
    assert (line["before"], line["now"]) == (1, 2)
    with structlog.testing.capture_logs() as logs, closing(upgraded()):
        assert logs == []
    monkeypatch.undo()
    if newer.startswith("sqlite"):
        assert line["kept"] == f"{tmp_path}/monitor.db-before-2"
        assert stat.S_IMODE((tmp_path / "monitor.db-before-2").stat().st_mode) == 0o600
        assert read(kept(newer), INCIDENTS) == [(incident,)]


def test_an_upgrade_that_fails_changes_nothing_and_can_be_tried_again(
    newer, next_version, upgraded
):
    migration = next_version / "migrations/0002_note.sql"
    right = migration.read_text()
    migration.write_text(f"{right}\nDROP TABLE attempt;\nALTER TABLE nothing ADD COLUMN x TEXT;\n")

    for _ in range(2):
        with pytest.raises(StoreError, match="failed"):
            upgraded()

    migration.write_text(right)
    upgraded().close()
    assert len(read(newer, NOTES)) == 1
    assert read(newer, text("SELECT * FROM attempt")) == []
    assert read(newer, text("SELECT * FROM replica")) == []


def test_commands_of_a_newer_version_leave_an_older_database_alone(newer, monkeypatch, tmp_path):
    for options in ({"create": False}, {}):
        with pytest.raises(StoreError, match=r"older version \(1, this one has 2\): the monitor b"):
            Store.open(newer, **options)
    if newer.startswith("sqlite"):
        assert backup.make(newer, tmp_path / "before.db").contents.schema == 1

    monkeypatch.undo()
    assert read(newer, VERSIONS) == [(1,)]


def test_nothing_is_upgraded_under_a_monitor_that_works(newer, upgraded, monkeypatch):
    with closing(Store.open(newer, outdated=True)) as monitor:
        if not monitor.lock_now():
            monitor.run_now(lambda tx: live(tx, "monitor"))
            upgraded.meanwhile = lambda seconds: (
                seconds % 10 or monitor.run_now(lambda tx: leases.renew(tx, "monitor", 1))
            )

        with pytest.raises(StoreError, match=r"a monitor works on the database .*: stop it"):
            upgraded()

    monkeypatch.undo()
    assert read(newer, VERSIONS) == [(1,)]
    assert upgraded.seconds <= 10


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_monitor_that_was_killed_is_waited_for_as_long_as_its_lease(newer, upgraded):
    with closing(Store.open(newer, outdated=True)) as monitor:
        monitor.run_now(lambda tx: live(tx, "killed"))

    with structlog.testing.capture_logs() as logs:
        upgraded().close()

    assert upgraded.seconds == 30.0
    assert "waiting 30 s to see whether it still lives" in logs[0]["event"]
    assert read(newer, text("SELECT id FROM replica")) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_monitor_that_ends_meanwhile_is_waited_for_no_longer(newer, upgraded):
    with closing(Store.open(newer, outdated=True)) as monitor:
        monitor.run_now(lambda tx: live(tx, "ends"))
        upgraded.meanwhile = lambda _: monitor.run_now(lambda tx: leases.leave(tx, "ends"))

        upgraded().close()

    assert upgraded.seconds == 1.0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_whoever_takes_over_during_an_upgrade_ends_it(newer, upgraded, monkeypatch):
    def take_over(*_):
        with closing(Store.open(newer, outdated=True)) as store:
            silent = leases.seen(store.read_now(leases.replicas))
            other = leases.Replica("other", "host", 1)
            assert store.run_now(lambda tx: leases.register(tx, other, silent=silent))

    monkeypatch.setattr(upgrade, "_keep", take_over)
    with pytest.raises(MonitorError, match="a monitor works on the database"):
        upgraded()

    monkeypatch.undo()
    assert read(newer, VERSIONS) == [(1,)]
