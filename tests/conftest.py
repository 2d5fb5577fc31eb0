"""What every test may ask for."""

import logging
import os

import pytest
import structlog
from desk import Desk

from monitor.store.db import Store

LOUD = ("httpx", "httpcore", "aiohttp", "apscheduler", "asyncio", "sqlalchemy", "uvicorn")


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    root = logging.getLogger()
    known = (root.handlers[:], root.level)
    levels = {name: logging.getLogger(name).level for name in LOUD}
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], level = known[0], known[1]
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def store(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/monitor.db")
    yield store
    store.close()


@pytest.fixture
def desk(store):
    return Desk(store)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """In CI a missing program is a failure, not a skip."""
    report = yield
    if report.skipped and os.environ.get("CI") and "is not installed" in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped in CI: {report.longrepr}"
    return report
