"""What can go wrong with the database, in words that say what to do."""

from collections.abc import Mapping

from monitor.core.errors import MonitorError


class StoreError(MonitorError):
    """The database failed. What was to be committed was not, unless the answer alone was lost."""


class ClaimLostError(MonitorError):
    """Another monitor has taken over this workspace; this one must stop polling it."""


def failed(name: str, said: str, advice: Mapping[str, str]) -> StoreError:
    """Return the error of the database *name*: what it *said*, and the *advice* on that."""
    hint = next((hint for words, hint in advice.items() if words in said), None)
    return StoreError(f"the database {name} failed: {said}" + (f"; {hint}" if hint else ""))
