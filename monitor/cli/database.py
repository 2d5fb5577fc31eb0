"""What is recorded in the database that the configuration names, and what a person adds to it."""

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from sqlalchemy import Connection

from monitor.config import Config
from monitor.store.db import Store

from .log import configure_log_late

T = TypeVar("T")


def read(config: Config, query: Callable[[Connection], T]) -> T:
    """Return what *query* reads; raise MonitorError if there is no database."""
    configure_log_late(config)  # else it would stand among what is printed
    with closing(Store.open(config.storage.location, create=False)) as store:
        return store.read_now(query)


def write(config: Config, work: Callable[[Connection], T]) -> T:
    """Commit what *work* writes; raise MonitorError if there is no database."""
    configure_log_late(config)
    with closing(Store.open(config.storage.location, create=False)) as store:
        return store.run_now(work)
