"""What people ask for and a monitor does: the wait until it is done, or nobody will do it soon."""

import time
from collections.abc import Callable, Collection
from contextlib import closing
from typing import Final, TypeVar

from sqlalchemy import Connection

from monitor.config import Config
from monitor.core.duration import Duration
from monitor.store import leases
from monitor.store.db import Store

from .log import configure_log_late
from .output import print_lines

T = TypeVar("T")
R = TypeVar("R")

MAX_WAIT: Final = Duration.parse("15s")

LOOK_EVERY: Final = Duration.parse("200ms")

NOBODY_LIVES: Final = "no monitor is running: it is done when one starts"
NOT_YET: Final = f"it is not done after {MAX_WAIT}: the monitor goes on with it"


def commit_and_wait(
    config: Config,
    work: Callable[[Connection], T],
    outcome: Callable[[Connection, T], R],
    *,
    of: Collection[str],
    is_over: Callable[[R], bool],
) -> R:
    """Commit *work* about the workspaces *of*, and return its *outcome* once that *is_over*.

    It is not if nobody does it within MAX_WAIT; then say whether a monitor lives that will.
    """
    configure_log_late(config)
    with closing(Store.open(config.storage.location, create=False)) as store:
        before = store.read_now(_seen)
        done = store.run_now(work, of=of)
        until = time.monotonic() + MAX_WAIT.seconds
        is_locked = store.lock_now()
        store.unlock()
        if is_locked:  # by us, so that no monitor has it
            until = 0.0
        while True:
            result = store.read_now(lambda tx: outcome(tx, done))
            if is_over(result):
                return result
            if time.monotonic() >= until:
                break
            time.sleep(LOOK_EVERY.seconds)
        lives = is_locked is False or store.read_now(_seen) != before
    print_lines(f"warning: {NOT_YET if lives else NOBODY_LIVES}", err=True)
    return result


def _seen(tx: Connection) -> dict[str, int]:
    return leases.seen(leases.replicas(tx))
