"""What a customer pays for."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from .assumptions import Assumptions

MAX_SEATS: Final = 1000


class SubscriptionStatus(StrEnum):
    """Whether seats are paid for."""

    ACTIVE = "active"
    TRIALING = "trialing"
    PAST_DUE = "past_due"
    CANCELED = "canceled"


class SeatType(StrEnum):
    """What an account on the seat may do; the monitor need not care."""

    CORE = "core"
    PLUS = "plus"


class BillingPeriod(StrEnum):
    """How often a seat is paid for."""

    MONTH = "month"
    YEAR = "year"


@dataclass(slots=True, kw_only=True)
class Subscription:
    """Seats in groups, and whether they are paid for; *status* None: there is no subscription."""

    status: SubscriptionStatus | None = SubscriptionStatus.ACTIVE
    eligible_for_trial: bool = False
    cancel_at_period_end: bool = False
    seats: dict[tuple[SeatType, BillingPeriod], int] = field(default_factory=dict)

    def set_seats(
        self,
        quantity: int,
        kind: SeatType = SeatType.CORE,
        period: BillingPeriod = BillingPeriod.MONTH,
    ) -> None:
        """Set the seats of one group; none at all takes the group away."""
        if quantity < 0:
            raise ValueError("there cannot be fewer seats than none")
        self.seats[kind, period] = quantity
        if not quantity:
            del self.seats[kind, period]

    def paid_seats(self, assumptions: Assumptions) -> int:
        """Count the accounts that may work."""
        freezes = {
            SubscriptionStatus.PAST_DUE: assumptions.past_due_freezes,
            SubscriptionStatus.CANCELED: assumptions.ended_freezes,
            None: assumptions.ended_freezes,
        }
        return 0 if freezes.get(self.status) else sum(self.seats.values())

    def as_json(self) -> dict[str, Any]:
        """Describe the subscription to the control API."""
        seats = {f"{kind} {period}": n for (kind, period), n in self.seats.items()}
        return asdict(self) | {"seats": seats}
