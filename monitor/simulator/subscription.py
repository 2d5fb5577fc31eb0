"""What the methods `subscription.*` do, and what seats mean for the accounts on them.

One seat carries one account. When there are fewer seats than accounts, or nobody pays for them any
more, the accounts in excess freeze; when there are seats again, they thaw.
"""

from enum import StrEnum
from typing import Any, Final, TypeVar

from . import sessions
from .errors import ApiError
from .knobs import Knobs
from .model import (
    MOST_SEATS,
    AccountStatus,
    BillingPeriod,
    Customer,
    SeatType,
    SubscriptionStatus,
)
from .world import World

CHECKOUT: Final = "https://checkout.example.com/pay/"

Word = TypeVar("Word", bound=StrEnum)


def get_status(world: World, customer: Customer, _: dict[str, Any]) -> Any:
    """Say whether the customer pays, and how that may end."""
    subscription = customer.subscription
    told: dict[str, Any] = {
        "eligibleForTrial": subscription.eligible_for_trial,
        "cancelAtPeriodEnd": subscription.cancel_at_period_end,
    }
    if subscription.status is not None or world.knobs.status_null:
        told["status"] = subscription.status
    return told


def get_seats(_: World, customer: Customer, __: dict[str, Any]) -> Any:
    """List the seats in their groups."""
    groups = customer.subscription.seats.items()
    seats = [
        {"seatType": kind, "quantity": quantity, "billingPeriod": period}
        for (kind, period), quantity in groups
    ]
    return {"seats": seats}


def set_seats(world: World, customer: Customer, parameters: dict[str, Any]) -> Any:
    """Buy or give back seats; whoever has no subscription is sent to pay first."""
    quantity = parameters.get("quantity")
    kind = _word(SeatType, parameters.get("seatType"))
    period = _word(BillingPeriod, parameters.get("billingPeriod"))
    if type(quantity) is not int or not 1 <= quantity <= MOST_SEATS:
        raise ApiError("invalidRequestPayload", f"quantity has to be from 1 to {MOST_SEATS}.")
    if customer.subscription.status in {None, SubscriptionStatus.CANCELED}:
        return {"status": "processing", "paymentLink": CHECKOUT + world.identities.uuid()}
    put(customer, quantity, kind, period)
    changed(customer, world.knobs, world.now())
    return {"status": "complete"}


def put(
    customer: Customer,
    quantity: int,
    kind: SeatType = SeatType.CORE,
    period: BillingPeriod = BillingPeriod.MONTH,
) -> None:
    """Set the seats of one group; a group of none is none."""
    if quantity < 0:
        raise ValueError("there cannot be fewer seats than none")
    customer.subscription.seats[kind, period] = quantity
    if not quantity:
        del customer.subscription.seats[kind, period]


def places(customer: Customer, knobs: Knobs) -> int:
    """Count the accounts that may work: the seats that are paid for."""
    match customer.subscription.status:
        case SubscriptionStatus.ACTIVE | SubscriptionStatus.TRIALING:
            paid = True
        case SubscriptionStatus.PAST_DUE:
            paid = not knobs.past_due_freezes
        case _:
            paid = not knobs.ended_freezes
    return sum(customer.subscription.seats.values()) if paid else 0


def changed(customer: Customer, knobs: Knobs, now: int) -> None:
    """Let a change of what is paid for take effect: at once, or after the delay of the knob."""
    customer.review_at = now + round(knobs.freeze_delay * sessions.SECOND)
    review(customer, knobs, now)


def review(customer: Customer, knobs: Knobs, now: int) -> None:
    """Freeze and thaw what a change asks for, if it is time."""
    if customer.review_at is None or now < customer.review_at:
        return
    customer.review_at = None
    room = places(customer, knobs)
    accounts = list(customer.accounts.values())
    if knobs.freeze_picks == "oldest":
        accounts.reverse()
    working = [each for each in accounts if each.status is not AccountStatus.FROZEN]
    for account in working[room:]:
        sessions.freeze(customer, account, knobs, now)
    frozen = [each for each in accounts if each.status is AccountStatus.FROZEN]
    if knobs.thaws:
        for account in frozen[: max(0, room - len(working))]:
            account.status = account.thawed


def _word(kind: type[Word], value: object) -> Word:
    try:
        return kind(str(value))
    except ValueError:
        raise ApiError("invalidRequestPayload", f"{value!r:.40} is not known.") from None
