"""The responses to `subscription.getStatus` and `getSeats`; what is odd in them is an error."""

from collections.abc import Mapping
from typing import Any, Final

from monitor.core.subscription import Subscription, SubscriptionStatus

from .errors import incomplete

MAX_SEATS: Final = 1_000_000
"""More are no number of seats."""

_STATUSES: Final = {status.value: status for status in SubscriptionStatus}


def parse_subscription(result: Mapping[str, Any]) -> Subscription:
    """Return what the *result* of getStatus says; one without a status says that there is none.

    A result that has nothing else either says nothing: it is one of another shape.
    """
    if not isinstance(result.get("cancelAtPeriodEnd", result.get("eligibleForTrial")), bool):
        raise incomplete("does not describe a subscription")
    status = result.get("status")
    if status is not None and (not isinstance(status, str) or status not in _STATUSES):
        raise incomplete("has a status of the subscription that is not known")
    return Subscription(
        None if status is None else _STATUSES[status],
        is_ending=result.get("cancelAtPeriodEnd") is True,
    )


def parse_seats(result: Mapping[str, Any]) -> int:
    """Return how many seats the *result* of getSeats has in all."""
    groups = result.get("seats")
    if not isinstance(groups, list):
        raise incomplete("has no list of seats")
    numbers = [group.get("quantity") if isinstance(group, dict) else None for group in groups]
    if not all(type(number) is int and 0 <= number <= MAX_SEATS for number in numbers):
        raise incomplete("has no number of seats")
    return sum(number for number in numbers if number is not None)
