"""Our share of the rate limit of one workspace: at most so many requests in any minute."""

import math
from typing import Final

from monitor.core.duration import Duration

WINDOW: Final = 60.0  # seconds


class Budget:
    """A sliding window of *per_minute* requests; time is an argument, in monotonic seconds."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._times: list[float] = []  # few: an empty deque takes ten times as much as these

    def spent(self, now: float) -> int:
        """Return how many requests were taken in the last minute."""
        return sum(at + WINDOW > now for at in self._times)

    def assume(self, requests: int, now: float) -> None:
        """Go on from another one, which has taken so many in the last minute, when is not known."""
        every = WINDOW / max(1, requests)
        self._times = [now - every * number for number in reversed(range(requests))]

    def take(self, now: float, *, leave: int = 0) -> Duration:
        """Take one request, or take none and return how long to wait for the next (0: taken).

        So many are to be left in this minute for what comes first; the wait is for one of all.
        """
        times = self._times
        while times and times[0] + WINDOW <= now:
            del times[0]
        if len(times) < self.per_minute - leave:
            times.append(now)
            return Duration(0)
        oldest = times[0] if times else now
        return Duration(max(1, math.ceil((oldest + WINDOW - now) * 1_000_000)))
