"""What every test may ask for."""

import gc
import logging
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import structlog
from harness import postgresql
from harness.store import StoreHarness, open_store

from monitor.store.db import Store

SLOW = [Path(__file__).parent / name for name in ("e2e", "fuzz")]
LONGEST = ("test_chaos.py", "test_kills.py", "test_rolling_update.py", "test_two_monitors.py")
CERTIFICATE = Path(__file__).parent / "harness/tls/expired.pem"
LOUD = ("alert", "httpx", "httpcore", "aiohttp", "apscheduler", "asyncio", "sqlalchemy", "uvicorn")


def pytest_configure(config):
    # Clients that load every authority of the world take 30 ms each; no test needs one.
    os.environ["SSL_CERT_FILE"] = str(CERTIFICATE)
    # Without compiled files, every program that a test starts would compile all of the monitor, and
    # every run would rewrite the assertions of all tests.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    for marker in (
        "odd_input(name, ...): what the test is about, of ODD_INPUTS in tests/cases.py",
        "case(name, ...): what the test is about, of CASES in tests/cases.py",
        "pain(name, ...): what the test keeps people from, of PAINS in tests/cases.py",
        "slow: starts real programs or takes seconds for another good reason",
    ):
        config.addinivalue_line("markers", marker)


def pytest_xdist_auto_num_workers():
    """Return how many workers -n auto starts: twice as many as cores, as many tests wait."""
    return min(2 * (os.cpu_count() or 1), 8)


def pytest_make_parametrize_id(val, argname):
    """Name what gzip made by its argument: it holds the second in which a worker made it."""
    return argname if isinstance(val, bytes) and b"\x1f\x8b" in val else None


@pytest.hookimpl(tryfirst=True)  # before -m chooses among them
def pytest_collection_modifyitems(items):
    for item in items:
        is_slow = any(map(item.path.is_relative_to, SLOW))
        if is_slow or "on_a_terminal" in item.fixturenames:
            item.add_marker("slow")
    items.sort(key=lambda item: item.path.name not in LONGEST)
    slow = [item for item in items if item.get_closest_marker("slow")]
    quick = [item for item in items if not item.get_closest_marker("slow")]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = [  # each worker begins with its share of slow ones; quick ones fill what is left
        item
        for worker in range(workers)
        for item in (*slow[worker::workers], *quick[worker::workers])
    ]


def pytest_collection_finish():
    """Let the collector of garbage not look through all the tests again and again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in LOUD}
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def pytest_report_header():
    return f"PostgreSQL: {postgresql.describe()}"


@pytest.fixture(scope="session")
def postgres():
    """The address of a PostgreSQL server and a connection to it."""
    with ExitStack() as stack:
        url = os.environ.get("TEST_POSTGRES_URL")
        url = url or stack.enter_context(postgresql.server()).url()
        yield url, stack.enter_context(psycopg.connect(url, autocommit=True))


@pytest.fixture
def postgres_url(postgres):
    with postgresql.schema(*postgres) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_tables(postgres):
    """The address of a schema with the monitor's tables, and a connection into it."""
    with postgresql.schema(*postgres) as url, psycopg.connect(url, autocommit=True) as connection:
        Store.open(url).close()
        yield url, connection


@pytest.fixture
def postgres_tables_url(postgres_tables):
    """The address of the monitor's tables, with nothing in them: others have used them before."""
    url, connection = postgres_tables
    postgresql.empty(connection)
    return url


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path}/monitor.db"


@pytest.fixture
def store(database_url):
    store = open_store(database_url)
    yield store
    store.close()


@pytest.fixture
def harness(store):
    return StoreHarness(store)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """In CI a missing program is a failure, not a skip."""
    report = yield
    if report.skipped and os.environ.get("CI") and "is not installed" in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped in CI: {report.longrepr}"
    return report
