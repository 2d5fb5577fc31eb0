"""What every test may ask for."""

import os

import pytest
from desk import Desk

from monitor.store.db import Store


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
