"""What every test may ask for."""

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
