"""The limit of requests per token."""

from collections import deque

from .knobs import Knobs

SECOND = 1_000_000


class Limiter:
    """Counts the calls of each token within a window, sliding or fixed."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[int]] = {}

    def wait(self, key: str, knobs: Knobs, now: int) -> float | None:
        """Count a call; return None if it is allowed, else the seconds until one is again."""
        calls = self._calls.setdefault("" if knobs.rate_scope == "all" else key, deque())
        span = max(1, round(knobs.rate_window * SECOND))
        opened = now - span if knobs.rate_counting == "sliding" else now - now % span - 1
        while calls and calls[0] <= opened:
            calls.popleft()
        allowed = len(calls) < knobs.rate_limit
        if allowed or knobs.rate_counts_rejected:
            calls.append(now)
        if allowed:
            return None
        if knobs.rate_counting == "fixed" or not calls:
            return (span - now % span) / SECOND
        blocking = calls[max(0, len(calls) - knobs.rate_limit)] if knobs.rate_limit else calls[-1]
        return (blocking + span - now) / SECOND
