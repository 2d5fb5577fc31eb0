"""A copy of a whole database: the same in every row, whole or not there, and free."""

import time
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial

import pytest
from harness.core import LINK, NOON, listed_account, signed_out
from harness.leases import REPLICA, hold, live
from harness.store import PARTLY, TIMEOUT, StoreHarness, open_store
from sqlalchemy import text

from monitor.app.process import REAL
from monitor.store import copying, exclusive, leases
from monitor.store.db import Store, StoreError

BIG = "“Ünï😀\\'\"%s:x\n\t" * 50_000
ODD = (
    ("INSERT INTO post (id, receiver, address, receipt) VALUES (:id, '', '', :text)", BIG),
    ("INSERT INTO post (id, receiver, address, receipt) VALUES (:id, '', '', :text)", ""),
    ("INSERT INTO transition (workspace, account_id, at, after) VALUES (:id, '', -1, :text)", None),
)
END_IDLE = text("""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE state = 'idle in transaction' AND datname = current_database() AND pid <> pg_backend_pid()
""")
EXTREME = text("UPDATE heard SET at = :least, told_at = :most")


@pytest.fixture
def other_url(database_url, tmp_path, request):
    """The address of an empty database of the other kind."""
    if database_url.startswith("sqlite"):
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/other.db"


@pytest.fixture
def third_url(tmp_path):
    return f"sqlite:///{tmp_path}/third.db"


@pytest.fixture
def filled(database_url):
    """A database with rows in all tables, odd ones among them."""
    with closing(open_store(database_url)) as store:
        receivers = {"slack": True, "hook": False}
        harness = StoreHarness(store, fallback="hook", receivers=receivers)
        harness.poll(listed_account("a"), listed_account("b"), listed_account("c"))
        harness.poll(signed_out("a", link=LINK), signed_out("b"), listed_account("c"))
        harness.settle(harness.claim("slack"), PARTLY)
        harness.settle(harness.claim("hook"), TIMEOUT)
        harness.claim("hook")
        harness.run(lambda tx: fill(tx, harness.now))
        yield harness


def fill(tx, now):
    """Add what no poll and no delivery of the harness adds."""
    live(tx, "another", now)
    hold(tx, "beta", replica="another", now=now)
    leases.set_generation(tx, "another", "of a configuration")
    tx.execute(text("INSERT INTO acceptance VALUES ('acme', 'key', 1, 'cli', 'ops')"))
    tx.execute(text("INSERT INTO outside (id, changes) VALUES (1, 7)"))
    tx.execute(text("INSERT INTO session_intent VALUES ('1', 'acme', 'a', '2', NULL, 3, 'wanted')"))
    act = "'1', 3, 'ack', 'cli', 'ann', 'ann@web1', 'acme', 'a', 'on the phone', ''"
    tx.execute(text(f"INSERT INTO act VALUES ({act})"))
    tx.execute(text("INSERT INTO mute VALUES ('2', '1', '{}', NULL, 3, 'ann', NULL, NULL)"))
    for number, (statement, value) in enumerate(ODD):
        tx.execute(text(statement), {"id": f"odd-{number}", "text": value})
    tx.execute(EXTREME, {"least": -(2**63), "most": 2**63 - 1})
    leases.leave(tx, "another")
    leases.leave(tx, REPLICA)


def everything(url):
    with closing(Store.open(url, create=False)) as store:
        return StoreHarness.everything(_Run(store))


class _Run:
    def __init__(self, store):
        self.run = store.read_now


def no_pause():
    pass


def copy(source_url, target_url, *, sleep=None, pause=no_pause):
    """Copy a database as the command does; without *sleep* nothing is to be waited for."""
    with (
        closing(Store.open(source_url, create=False)) as source,
        closing(open_store(target_url)) as target,
    ):
        copying.check_empty(target)
        waited = []
        with exclusive.hold(source, REAL, say=waited.append, sleep=sleep) as hold:
            assert not waited
            return copying.copy(source, target, hold, pause=pause)


def test_there_and_back_again_every_row_is_the_same(
    filled, database_url, other_url, third_url, monkeypatch
):
    monkeypatch.setattr(copying, "PORTION", 2)
    before = filled.everything()
    filled.store.close()

    copied = copy(database_url, other_url)

    assert {table for table, rows in before.items() if not rows} == {"replica"}
    assert copied == {table: len(rows) for table, rows in before.items() if table != "replica"}
    assert everything(other_url) == before
    copy(other_url, third_url)
    assert everything(third_url) == before
    assert everything(database_url) == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_portion_is_all_that_is_in_memory(filled, database_url, other_url, monkeypatch):
    sizes = []
    execute_many = copying.rows.execute_many
    monkeypatch.setattr(copying, "PORTION", 2)
    monkeypatch.setattr(
        copying.rows,
        "execute_many",
        lambda tx, statement, rows: sizes.append(len(rows)) or execute_many(tx, statement, rows),
    )
    filled.store.close()

    copy(database_url, other_url)

    assert max(sizes) == 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_is_not_asked_for_all_of_a_table_at_once(filled, monkeypatch):
    monkeypatch.setattr(copying, "PORTION", 2)
    with (
        filled.store.snapshot() as tx,
        closing(copying._portions(tx, "transition", pytest.fail)) as portions,
    ):
        assert len(next(portions)) == 2
        assert tx.execute(text("SELECT count(*) FROM pg_cursors")).scalar_one() == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_nothing_of_the_former_is_needed_while_the_copy_is_committed(
    filled, database_url, other_url, monkeypatch
):
    renew = exclusive.Hold.renew

    def end_what_is_idle(hold, *, now=False):
        renew(hold, now=now)
        if now:  # as the server does after 10 s, which a large copy may take to reach the disk
            hold.store.run_now(lambda tx: tx.execute(END_IDLE))

    monkeypatch.setattr(exclusive.Hold, "renew", end_what_is_idle)
    filled.store.close()

    copied = copy(database_url, other_url)

    assert copied["account"] == len(everything(other_url)["account"]) == 3


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "work",
    [
        lambda tx: hold(tx, "acme"),
        lambda tx: live(tx, "starting"),
    ],
    ids=["rows", "a monitor that has just begun"],
)
def test_nothing_is_copied_over_what_is_there(filled, database_url, other_url, work):
    filled.store.close()
    with (
        closing(Store.open(database_url, create=False)) as source,
        closing(Store.open(other_url)) as target,
        exclusive.hold(source, REAL, say=pytest.fail, sleep=time.sleep) as hold,
    ):
        copying.check_empty(target)
        target.run_now(work)
        before = everything(other_url)
        for copied in (
            lambda: copying.check_empty(target),
            lambda: copying.copy(source, target, hold, pause=no_pause),
        ):
            with pytest.raises(StoreError, match="is not empty: nothing is copied over"):
                copied()
        assert everything(other_url) == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_copy_that_is_ended_leaves_an_empty_database_that_can_be_tried_again(
    filled, database_url, other_url, monkeypatch
):
    filled.store.close()
    portions = iter(range(20))

    def end():
        if next(portions, None) is None:
            raise SystemExit

    monkeypatch.setattr(copying, "PORTION", 1)
    with pytest.raises(SystemExit):
        copy(database_url, other_url, pause=end)
    assert not any(everything(other_url).values())
    assert everything(database_url)["replica"] == []

    copy(database_url, other_url)

    assert everything(other_url) == everything(database_url)


@contextmanager
def working(url):
    """A monitor works on the database at *url*, which takes others half a minute to see."""
    with closing(Store.open(url)) as monitor:
        if not monitor.lock_now():
            monitor.run_now(lambda tx: live(tx, "monitor"))
        yield monitor


def test_nothing_is_copied_while_a_monitor_works(filled, database_url, other_url):
    filled.store.close()
    with working(database_url) as monitor:
        renew = partial(leases.renew, replica="monitor", now=NOON)
        with pytest.raises(StoreError, match="a monitor works on"):
            copy(database_url, other_url, sleep=lambda _: monitor.run_now(renew))

    with working(other_url), pytest.raises(StoreError, match=r"a monitor works|is not empty"):
        copy(database_url, other_url)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_monitor_that_starts_meanwhile_waits(filled, database_url, other_url, monkeypatch):
    filled.store.close()
    monkeypatch.setattr(copying, "PORTION", 1)
    seconds = iter(range(10_000))
    ticking = replace(REAL, monotonic=lambda: float(next(seconds)))
    seen = []

    with (
        closing(Store.open(database_url)) as source,
        closing(Store.open(database_url)) as starting,
        closing(Store.open(other_url)) as target,
        exclusive.hold(source, ticking, say=pytest.fail, sleep=time.sleep) as hold,
    ):
        renew = hold.renew

        class Watched:
            def renew(self, **options):
                seen.append(starting.read_now(leases.replicas))
                renew(**options)

        copying.copy(source, target, Watched(), pause=no_pause)

    assert all(len(replicas) == 1 for replicas in seen)
    assert len({str(replicas) for replicas in seen}) > 3, "it is renewed, as monitors do"
    assert everything(database_url)["replica"] == everything(other_url)["replica"] == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_copy_that_lost_its_hold_is_none(filled, database_url, other_url):
    filled.store.close()
    with (
        closing(Store.open(database_url)) as source,
        closing(Store.open(other_url)) as target,
        exclusive.hold(source, REAL, say=pytest.fail, sleep=time.sleep) as hold,
    ):
        silent = leases.seen(source.read_now(leases.replicas))
        monitor = leases.Replica("monitor", "host", NOON)
        assert source.run_now(lambda tx: leases.register(tx, monitor, silent=silent))
        with pytest.raises(StoreError, match="a monitor works on"):
            copying.copy(source, target, hold, pause=no_pause)

    assert not any(everything(other_url).values())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_the_other_database_cannot_hold_is_said(filled, database_url, other_url):
    filled.run(lambda tx: tx.execute(text("UPDATE account SET since = 'yesterday'")))
    filled.store.close()

    with pytest.raises(StoreError, match=r"the database .* at 127.0.0.1 failed"):
        copy(database_url, other_url)

    assert not any(everything(other_url).values())
