"""What everything simulated shares: the clock, the assumptions and the source of identities.

Points in time are UTC microseconds since the epoch.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from .assumptions import Assumptions
from .identities import Identities

SECOND: Final = 1_000_000


@dataclass(eq=False, repr=False)
class Runtime:
    """The *clock* returns microseconds since the epoch, *seed* decides every invented identity."""

    assumptions: Assumptions = field(default_factory=Assumptions)
    clock: Callable[[], int] = lambda: time.time_ns() // 1000  # noqa: TID251 - it stands alone
    seed: int = 1
    offset: int = field(default=0, init=False)
    identities: Identities = field(init=False)

    def __post_init__(self) -> None:
        """Start inventing."""
        self.identities = Identities(self.seed)

    def now(self) -> int:
        """Return the simulated time."""
        return self.clock() + self.offset

    def seconds_since(self, moment: int) -> float:
        """Return how long ago *moment* was."""
        return (self.now() - moment) / SECOND


def timestamp(at: int) -> str:
    """Write a point in time as the API does: UTC with milliseconds and a Z."""
    moment = datetime.fromtimestamp(at / SECOND, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
