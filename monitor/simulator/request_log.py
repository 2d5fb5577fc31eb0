"""The requests that the simulator received. Never a token, never a value of a body."""

from collections import Counter, deque
from dataclasses import dataclass
from itertools import count
from typing import Final

MAX_KEPT: Final = 100_000


@dataclass(slots=True, kw_only=True)
class LoggedRequest:
    """One request: number *n*, *method* such as `accounts.getAll`, and how it was answered.

    *at* is UTC with milliseconds, *customer* whose token it carried (None: nobody's), *client* the
    header of that name, *status* of the answer (None: it did not go out whole), *fault* the kind of
    fault that it met.
    """

    n: int = 0
    at: str
    verb: str
    method: str
    customer: str | None
    token_sent: bool
    client: str | None
    body_keys: tuple[str, ...] = ()
    status: int | None = None
    fault: str | None = None


class RequestLog:
    """The latest requests, oldest first, and how many there were of each method."""

    def __init__(self) -> None:
        self.requests: deque[LoggedRequest] = deque(maxlen=MAX_KEPT)
        self.counts: Counter[str] = Counter()
        self._numbers = count(1)

    def add(self, request: LoggedRequest) -> None:
        """Keep *request* and number it; the caller fills in how it was answered."""
        request.n = next(self._numbers)
        self.requests.append(request)
        self.counts[request.method] += 1

    def clear(self) -> None:
        """Forget the requests; numbers go on."""
        self.requests.clear()
        self.counts.clear()
