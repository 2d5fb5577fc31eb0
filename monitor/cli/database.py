"""What is recorded in the database that the configuration names, and what a person adds to it."""

from collections.abc import Callable
from contextlib import closing
from typing import Final, TypeVar

from sqlalchemy import Connection

from monitor.config import Config
from monitor.core.duration import Duration
from monitor.store.access import Concerned
from monitor.store.db import Store

from .log import configure_log_late
from .output import print_lines

ERASE_WAIT: Final = Duration.parse("10s")
"""How long to wait for those who read what was erased."""

STILL_THERE: Final = (
    "former pages are still in the -wal file of the database, as somebody reads it: they go with"
    " the next `forget`, with what the monitor deletes next, or when it stops"
)

T = TypeVar("T")


def read(config: Config, query: Callable[[Connection], T]) -> T:
    """Return what *query* reads; raise MonitorError if there is no database."""
    configure_log_late(config)  # else it would stand among what is printed
    with closing(Store.open(config.storage.location, create=False)) as store:
        return store.read_now(query)


def write(config: Config, work: Callable[[Connection], T], *, of: Concerned = None) -> T:
    """Commit what *work* writes of the workspaces *of* (None: of any).

    Raise MonitorError if there is no database.
    """
    configure_log_late(config)
    with closing(Store.open(config.storage.location, create=False)) as store:
        return store.run_now(work, of=of)


def erase(config: Config, work: Callable[[Connection], T]) -> T:
    """Commit what *work* erases as `write` does, and let it leave the disk."""
    configure_log_late(config)
    with closing(Store.open(config.storage.location, create=False)) as store:
        erased = store.run_now(work)
        if not store.empty_log(ERASE_WAIT):
            print_lines(f"warning: {STILL_THERE}", err=True)
        return erased
