"""What can go wrong with a PostgreSQL server: one clear error each, and nothing is lost."""

import asyncio
import os
import re
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from harness import postgresql
from harness.core import listed_account, signed_out
from harness.leases import hold
from harness.program import free_port
from harness.store import StoreHarness
from sqlalchemy import text
from sqlalchemy.engine import make_url

from monitor.core.duration import Duration
from monitor.store import access, listings, outside, workspaces
from monitor.store import postgresql as limits
from monitor.store.db import Store, StoreError

USER, PASSWORD, PARAMETER = "keeper-of-it", "hush/hush", "whisper"


@pytest.fixture
def database_url(postgres_url):
    return postgres_url


@pytest.fixture(scope="module")
def own_server():
    """A server whose users, databases and life are ours."""
    with postgresql.server() as server:
        server.run(
            f"CREATE ROLE \"{USER}\" LOGIN PASSWORD '{PASSWORD}'",
            "CREATE DATABASE closed",
            "REVOKE ALL ON DATABASE closed FROM PUBLIC",
            f'CREATE DATABASE narrow OWNER "{USER}"'
            " ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
        )
        yield server


@pytest.fixture
def backends(postgres, postgres_url):
    """The sessions that the store of this test has with the server."""
    _, admin = postgres
    name = make_url(postgres_url).query["application_name"]
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = %s"
    return lambda: [pid for (pid,) in admin.execute(query, [name])]


def end(pids, postgres):
    _, admin = postgres
    for pid in pids:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def session(tx):
    """The session that the transaction has with the server."""
    return tx.execute(text("SELECT pg_backend_pid()")).scalar_one()


def refusal(url):
    """The error of opening *url*, which holds nothing of it that is nobody's business."""
    hushed = make_url(url).update_query_dict({"application_name": PARAMETER})
    with pytest.raises(StoreError) as caught:
        Store.open(hushed.render_as_string(hide_password=False))
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caught.value}"
    assert not [secret for secret in (USER, PASSWORD, "hush", PARAMETER) if secret in shown]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("access", "parameters", "expected"),
    [
        ({"password": "hush-hush"}, {}, "postgres at 127.0.0.1 failed: password authentication"),
        ({"user": f"not-{USER}"}, {}, "; check the user and the password in storage.url$"),
        ({"database": "nowhere"}, {}, 'database "nowhere" does not exist; create the database'),
        ({}, {}, "1 failed: permission denied for schema public; grant the user USAGE and CREATE"),
        (
            {},
            {"options": "-csearch_path=nowhere"},
            "no schema has been selected to create in; grant the user USAGE and CREATE",
        ),
        ({}, {"sslmode": "require"}, "server does not support SSL, but SSL was required"),
        ({"database": "closed"}, {}, "permission denied for database .*; grant the user CONNECT"),
        ({"database": "narrow"}, {}, "its encoding is LATIN1; create it with ENCODING 'UTF8'"),
    ],
)
def test_an_address_that_does_not_fit_the_server_is_one_clear_error(
    own_server, access, parameters, expected
):
    url = make_url(own_server.url(**{"user": USER, "password": PASSWORD} | access))

    error = refusal(url.update_query_dict(parameters).render_as_string(hide_password=False))

    assert re.search(expected, error)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", "the database alerts at localhost failed: Connection refused; is the server"),
        ("nowhere.invalid", "alerts at nowhere.invalid failed.*; check the host in storage.url$"),
    ],
)
def test_a_server_that_is_away_is_one_clear_error(host, expected):
    error = refusal(f"postgresql://{USER}:{PASSWORD}@{host}:{free_port()}/alerts")

    assert re.search(expected, error)


@pytest.mark.slow
def test_a_server_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/alerts?connect_timeout=2"

        error = refusal(url)

    assert "timeout expired; is the server running" in error


def test_without_the_driver_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as if it were not there

    error = refusal(f"postgresql://{USER}:{PASSWORD}@db/alerts")

    assert error == (
        "the database alerts at db needs the driver psycopg, which deploy/install brings"
    )


def test_monitors_in_other_schemas_do_not_wait_for_each_other(store, postgres):
    with postgresql.schema(*postgres) as elsewhere:

        def work(tx):
            hold(tx, "one")
            neighbour = Store.open(elsewhere)
            neighbour.run_now(lambda tx: hold(tx, "two"))
            neighbour.close()

        store.run_now(work)


def test_a_session_that_ended_meanwhile_costs_nothing(harness, backends, postgres):
    harness.poll(listed_account())
    end(backends(), postgres)

    assert harness.poll(signed_out()).decision.events
    assert harness.deliver() == [("opened", "a1")]


def test_a_session_that_ends_within_a_transaction_takes_it_along_and_no_more(
    harness, backends, postgres
):
    harness.poll(listed_account())

    def cut(tx):
        hold(tx, "half")
        end(backends(), postgres)
        hold(tx, "whole")

    with pytest.raises(StoreError, match="the database"):
        harness.run(cut)

    assert harness.run(workspaces.load_attached) == ["acme"]
    assert harness.poll(signed_out()).decision.events


def test_a_server_that_takes_no_writes_any_more_is_left(own_server):
    """As a primary that has become a standby, while its address leads to another one soon."""
    own_server.run("CREATE DATABASE demoted")
    store = Store.open(own_server.url("demoted"))
    own_server.run(
        "ALTER DATABASE demoted SET default_transaction_read_only = on",
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = 'demoted'",
    )
    with pytest.raises(StoreError, match="name the primary server"):
        store.run_now(outside.note)
    own_server.run("ALTER DATABASE demoted RESET default_transaction_read_only")

    store.run_now(outside.note)

    assert store.read_now(outside.count) == 1
    store.close()


def test_nothing_is_left_in_the_session_that_a_pooler_would_hand_to_others(store):
    def settings(tx):
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        return [tx.execute(text(f"SHOW {name}")).scalar_one() for name in names]

    for _ in range(9):  # psycopg would prepare what is repeated
        store.run_now(outside.note)
    assert store.run_now(settings) == ["30s", "1min", "10s"]

    def after(tx):
        tx.exec_driver_sql("COMMIT")
        prepared = tx.execute(text("SELECT COUNT(*) FROM pg_prepared_statements")).scalar_one()
        locks = text(
            "SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        return prepared, tx.execute(locks).scalar_one(), settings(tx)

    assert store.run_now(after) == (0, 0, ["0", "0", "0"])


@pytest.mark.slow
def test_a_database_of_a_stopped_server_is_closed_at_once(own_server):
    own_server.run("CREATE DATABASE short")
    harness = StoreHarness(Store.open(own_server.url("short")))
    harness.poll(listed_account())
    own_server.stop()
    done = threading.Event()

    def close():
        with pytest.raises(StoreError, match="is the server running"):
            harness.poll(signed_out())
        harness.store.close()
        done.set()

    thread = threading.Thread(target=close)
    thread.start()

    assert done.wait(20)
    thread.join()
    own_server.start()
    store = Store.open(own_server.url("short"))
    assert set(store.run_now(lambda tx: workspaces.load(tx, "acme")).accounts) == {"a1"}
    store.close()


def test_the_server_is_not_asked_for_more_than_it_has(own_server):
    """Three sessions a monitor, whatever it does."""
    store = Store.open(own_server.url())
    for number in range(5):
        store.run_now(lambda tx, number=number: hold(tx, f"w{number}"))
    with ThreadPoolExecutor(9) as threads:
        list(threads.map(store.read_now, [listings.accounts] * 99))

    with psycopg.connect(own_server.url()) as admin:
        query = "SELECT COUNT(*) FROM pg_stat_activity WHERE application_name = 'linkedapi-monitor'"
        assert admin.execute(query).fetchone() == (3,)
    store.close()


@pytest.mark.parametrize("access", ["run_now", "read_now"])
@pytest.mark.parametrize("is_at_work", [True, False])
def test_a_server_that_falls_silent_does_not_hold_us_for_ever(
    store, monkeypatch, is_at_work, access
):
    run = getattr(store, access)
    if access == "read_now":
        store._reading._free.get()  # of the two, let there be one
    silent = run(session)
    for name in ("MAX_TRANSACTION", "MAX_SILENT_READ"):
        monkeypatch.setattr(limits, name, Duration.parse("300ms"))

    def ask(tx):
        if is_at_work:
            os.kill(silent, signal.SIGSTOP)
        return tx.execute(text("SELECT 1")).scalar_one()

    try:
        if is_at_work:
            with pytest.raises(StoreError, match="connection"):
                run(ask)
        else:
            os.kill(silent, signal.SIGSTOP)
            assert run(ask) == 1  # on another connection
    finally:
        os.kill(silent, signal.SIGCONT)
    is_at_work = False
    assert run(ask) == 1


def test_what_is_read_is_never_older_than_the_lock(database_url):
    url = make_url(database_url).update_query_dict(
        {"options": "-cdefault_transaction_isolation=serializable"}
    )
    store = Store.open(url.render_as_string(hide_password=False))

    level = store.run_now(lambda tx: tx.execute(text("SHOW transaction_isolation")).scalar_one())

    assert level == "read committed"
    store.close()


async def test_while_a_database_fails_slowly_what_waits_fails_at_once(store, backends, monkeypatch):
    before, silent = backends(), store.run_now(session)
    monkeypatch.setattr(limits, "MAX_TRANSACTION", Duration.parse("300ms"))
    monkeypatch.setattr(access, "SLOW_FAILURE", Duration.parse("100ms"))
    asked = []

    def ask(tx):
        asked.append(tx)
        if len(asked) == 1:
            os.kill(silent, signal.SIGSTOP)
        return tx.execute(text("SELECT 1")).scalar_one()

    try:
        failed = await asyncio.gather(*(store.run(ask) for _ in range(5)), return_exceptions=True)
        tried = backends()
    finally:
        os.kill(silent, signal.SIGCONT)

    assert [type(error) for error in failed] == [StoreError] * 5
    assert len({str(error) for error in failed}) == len(asked) == 1
    assert tried == before, "each would wait for its own connection"
    async with asyncio.timeout(10):
        while await asyncio.gather(store.run(ask), return_exceptions=True) != [1]:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "parameter", ["port=hush", "connect_timeout=hush", "keepalives=hush", "hush=1"]
)
def test_a_parameter_that_is_wrong_is_one_clear_error(parameter):
    with pytest.raises(StoreError, match=r"in storage\.url") as caught:
        Store.open(f"postgresql://u:p@127.0.0.1:{free_port()}/name?{parameter}")

    assert "hush" not in str(caught.value) or parameter == "hush=1"
