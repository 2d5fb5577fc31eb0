"""What was asked of the simulator, for assertions. Never a token, never a value of a body."""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .model import timestamp

KEPT = 100_000


@dataclass(slots=True)
class Entry:
    """One request: number *n*, *method* such as `accounts.getAll`, and what became of it.

    *customer* is whose token it carried (None: nobody's), *client* the header of that name,
    *fault* the kind of fault that met it, *status* what was answered (None: no whole answer).
    """

    n: int
    at: int
    verb: str
    method: str
    customer: str | None
    token_sent: bool
    client: str | None
    body_keys: tuple[str, ...] = ()
    status: int | None = None
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Describe the entry to the control API."""
        return asdict(self) | {"at": timestamp(self.at), "body_keys": list(self.body_keys)}


class Journal:
    """The latest requests in their order, and how many there were of each method."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._counts: Counter[str] = Counter()
        self._last = 0

    @property
    def entries(self) -> list[Entry]:
        """The requests since the last `clear`, oldest first."""
        return list(self._entries)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many requests there were of each method."""
        return dict(self._counts)

    def record(
        self,
        *,
        at: int,
        verb: str,
        method: str,
        customer: str | None,
        token_sent: bool,
        client: str | None,
        body_keys: tuple[str, ...],
    ) -> Entry:
        """Note a request before it is answered; the caller fills in what became of it."""
        self._last += 1
        entry = Entry(
            n=self._last,
            at=at,
            verb=verb,
            method=method,
            customer=customer,
            token_sent=token_sent,
            client=client,
            body_keys=body_keys,
        )
        self._entries.append(entry)
        self._counts[method] += 1
        return entry

    def clear(self) -> None:
        """Forget the requests; numbers go on."""
        self._entries.clear()
        self._counts.clear()
