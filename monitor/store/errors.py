"""What can go wrong with the database, in words that say what to do."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from monitor.core.errors import MonitorError


class StoreError(MonitorError):
    """The database failed. What was to be committed was not, unless the answer alone was lost."""


class NoDatabaseError(StoreError):
    """There is no database, or nothing in it: the monitor has not run with it yet."""


class LeaseLostError(MonitorError):
    """Another replica has taken over this workspace, or all that this one held."""


ExplainError: TypeAlias = Callable[[SQLAlchemyError], StoreError]
"""Says what an error of the driver means."""

TransactionLimit: TypeAlias = Callable[[], AbstractContextManager[None]]
"""Limits how long a transaction may take."""


def failed(name: str, reason: str, advice: Mapping[str, str]) -> StoreError:
    """Return the error of the database *name*: its *reason*, and the *advice* on that."""
    hint = next((hint for words, hint in advice.items() if words in reason), None)
    return StoreError(f"the database {name} failed: {reason}" + (f"; {hint}" if hint else ""))
