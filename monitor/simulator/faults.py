"""What can go wrong on the way: which requests a fault matches, and how often.

The kinds: `respond` answers something else, `delay` the true answer but late, `reset` resets the
connection in the middle of the body, `truncate` closes it there although more was announced, `drip`
sends the answer in small pieces, `hang` never answers.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any, Literal, TypeAlias

from .assumptions import check_types

Kind: TypeAlias = Literal["respond", "delay", "reset", "truncate", "drip", "hang"]


@dataclass(slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    It matches requests of *customer* (None: of anybody) for *method* (None: any), lets *skip* of
    them pass, and then takes *times* of them (None: until cleared). *status*, *body* and *headers*
    replace those of the true answer. *delay* seconds pass before it; a `drip` sends *piece* bytes
    every *interval* seconds. *execute* says whether the call takes effect all the same; by default
    only `respond` and `hang` prevent it.
    """

    kind: Kind = "respond"
    customer: str | None = None
    method: str | None = None
    times: int | None = None
    skip: int = 0
    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    piece: int = 16
    interval: float = 0.05
    execute: bool | None = None
    id: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Refuse values of another type, and numbers that make no sense."""
        check_types(self)
        if self.piece < 1 or (self.times is not None and self.times < 1):
            raise ValueError("times and piece have to be at least 1")
        if self.skip < 0 or self.delay < 0 or self.interval < 0:
            raise ValueError("skip, delay and interval cannot be negative")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError("status has to be from 200 to 599")

    @property
    def executes(self) -> bool:
        """Whether the call takes effect."""
        return self.kind not in {"respond", "hang"} if self.execute is None else self.execute

    def as_json(self) -> dict[str, Any]:
        """Describe the fault to the control API."""
        body = None if self.body is None else self.body.decode("utf-8", "replace")
        return asdict(self) | {"body": body}


class Faults:
    """The faults in force; a request meets the first one that matches."""

    def __init__(self) -> None:
        self.in_force: list[Fault] = []
        self._ids = count(1)

    def add(self, fault: Fault) -> Fault:
        """Put *fault* into force and number it."""
        fault.id = next(self._ids)
        self.in_force.append(fault)
        return fault

    def clear(self, *, customer: str | None = None, method: str | None = None) -> int:
        """Lift the faults of *customer* and *method*, or all; return how many there were."""
        before = len(self.in_force)
        self.in_force = [
            fault
            for fault in self.in_force
            if customer not in {None, fault.customer} or method not in {None, fault.method}
        ]
        return before - len(self.in_force)

    def match(self, customer: str | None, method: str) -> Fault | None:
        """Take the fault that this request meets, if any."""
        for fault in self.in_force:
            if fault.customer not in {None, customer} or fault.method not in {None, method}:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self.in_force.remove(fault)
            return fault
        return None
