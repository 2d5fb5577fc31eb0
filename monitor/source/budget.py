"""Our share of the rate limit of one workspace: at most so many requests in any minute."""

import math
from collections import deque
from typing import Final

from monitor.core.duration import Duration

WINDOW: Final = 60.0


class Budget:
    """A sliding window of *per_minute* requests; time is an argument, in monotonic seconds."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._taken: deque[float] = deque()

    def take(self, now: float) -> Duration:
        """Take one request, or take none and return how long to wait for the next (0: taken)."""
        taken = self._taken
        while taken and taken[0] + WINDOW <= now:
            taken.popleft()
        if len(taken) < self.per_minute:
            taken.append(now)
            return Duration(0)
        return Duration(max(1, math.ceil((taken[0] + WINDOW - now) * 1_000_000)))
