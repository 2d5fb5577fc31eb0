"""The limit of requests per token."""

from collections import deque

from .assumptions import Assumptions
from .runtime import SECOND


class RateLimiter:
    """Counts the requests of each customer within a window, sliding or fixed."""

    def __init__(self) -> None:
        self._requests: dict[str, deque[int]] = {}

    def wait(self, customer: str, assumptions: Assumptions, now: int) -> float | None:
        """Count a request; return None if it is allowed, else the seconds until one is again."""
        key = "" if assumptions.rate_scope == "all" else customer
        requests = self._requests.setdefault(key, deque())
        limit, fixed = assumptions.rate_limit, assumptions.rate_counting == "fixed"
        window = max(1, round(assumptions.rate_window * SECOND))
        begin = now - now % window - 1 if fixed else now - window
        while requests and requests[0] <= begin:
            requests.popleft()
        allowed = len(requests) < limit
        if allowed or assumptions.rate_counts_rejected:
            requests.append(now)
        if allowed:
            return None
        if fixed or not requests:
            return (window - now % window) / SECOND
        blocking = requests[max(0, len(requests) - limit)] if limit else requests[-1]
        return (blocking + window - now) / SECOND
