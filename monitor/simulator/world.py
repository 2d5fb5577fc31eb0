"""Everything the simulator holds, its clock and knobs, and how to find things in it."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .faults import Faults
from .identities import Identities
from .journal import Journal
from .knobs import LARGE, Knobs
from .limiter import Limiter
from .model import Customer, Session, SessionStatus, SimulatedAccount
from .sessions import find, move

EVERY_ACCOUNT = "*"


class UnknownNameError(LookupError):
    """There is no customer, account, session or action of that name."""


def system_clock() -> int:
    """Read the system's clock, in microseconds since the epoch."""
    return time.time_ns() // 1000  # noqa: TID251 - the simulator stands alone, it has no other


class World:
    """The state behind the endpoints; *clock* says the time in microseconds since the epoch."""

    def __init__(
        self,
        knobs: Knobs | None = None,
        clock: Callable[[], int] | None = None,
        seed: int = 1,
    ) -> None:
        self.knobs = Knobs() if knobs is None else knobs
        self.identities = Identities(seed)
        self.faults = Faults()
        self.journal = Journal()
        self.limiter = Limiter()
        self.customers: dict[str, Customer] = {}
        self.offset = 0
        self._clock = system_clock if clock is None else clock

    def now(self) -> int:
        """Say what time it is in the simulated world."""
        return self._clock() + self.offset

    def tune(self, **changes: Any) -> Knobs:
        """Turn knobs."""
        try:
            self.knobs = replace(self.knobs, **changes)
        except TypeError as error:
            raise ValueError(str(error)) from None
        return self.knobs

    def advance(self, seconds: float) -> None:
        """Move the simulated clock on (back, if negative)."""
        if not abs(seconds) < LARGE:
            raise ValueError("the clock does not go that far")
        self.offset += round(seconds * 1_000_000)

    def customer(self, name: str) -> Customer:
        """Find a customer by name."""
        try:
            return self.customers[name]
        except KeyError:
            raise UnknownNameError(f"there is no customer {name!r}") from None

    def owner(self, token: str | None) -> Customer | None:
        """Find the customer who has this token."""
        if not token:
            return None
        return next((known for known in self.customers.values() if known.token == token), None)

    def session(self, session_id: str) -> tuple[Customer, Session]:
        """Find a session, whoever's it is."""
        for customer in self.customers.values():
            session = find(customer, session_id, self.knobs, self.now())
            if session is not None:
                return customer, session
        raise UnknownNameError(f"there is no session {session_id!r}")

    def chosen(self, customer: str, account: str) -> tuple[Customer, list[SimulatedAccount]]:
        """Find the accounts meant by an id, a name that only one has, or `*`."""
        owner = self.customer(customer)
        if account == EVERY_ACCOUNT:
            return owner, list(owner.accounts.values())
        if account in owner.accounts:
            return owner, [owner.accounts[account]]
        named = [each for each in owner.accounts.values() if each.name == account]
        if len(named) != 1:
            raise UnknownNameError(f"{len(named)} accounts of {customer!r} are {account!r}")
        return owner, named

    def one(self, customer: str, account: str) -> tuple[Customer, SimulatedAccount]:
        """Find the one account meant by an id or a name."""
        owner, chosen = self.chosen(customer, account)
        if len(chosen) != 1:
            raise ValueError(f"name one account, not {account!r}")
        return owner, chosen[0]

    def move(self, customer: Customer, session: Session, status: SessionStatus) -> None:
        """Put a session into *status*, with all that follows."""
        move(
            customer,
            session,
            status,
            knobs=self.knobs,
            identities=self.identities,
            now=self.now(),
        )
