"""An upgrade: a monitor of a newer version starts, and brings the tables up to its own."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection

from monitor.core.runtime import Runtime

from . import address, backup, exclusive
from .db import Store

log = structlog.get_logger("store")


def open_upgraded(
    url: str, runtime: Runtime, *, sleep: Callable[[float], None] = time.sleep
) -> Store:
    """Open the database at *url* for a monitor: make its tables, or bring them up to date.

    What a SQLite file held before is kept beside it. Raise StoreError, and change nothing, if that
    can't be done, or a monitor of the older version still works.
    """
    store = Store.open(url, outdated=True)
    try:
        before = store.read_now(store.schema.version_of)
        if before != store.schema.version:
            with exclusive.hold(store, runtime, say=log.warning, sleep=sleep) as hold:
                kept = _keep(url, store.schema.version)
                store.run_now(partial(_upgrade, store, hold))
            log.warning(
                "the tables were brought up to date; the former database is kept, delete it later"
                if kept
                else "the tables were brought up to date",
                before=before,
                now=store.schema.version,
                **({"kept": str(kept)} if kept else {}),
            )
    except BaseException:
        store.close()
        raise
    return store


def _keep(url: str, version: int) -> Path | None:
    """Back a SQLite file up, as it was before it gets the tables of *version*."""
    parsed = address.parse(url)
    if parsed.drivername != "sqlite":
        return None
    path = Path(parsed.database or "")
    kept = path.with_name(f"{path.name}-before-{version}")
    backup.make(url, kept, replace=True)
    return kept


def _upgrade(store: Store, hold: exclusive.Hold, tx: Connection) -> None:
    hold.check(tx)
    store.schema.apply(tx)
