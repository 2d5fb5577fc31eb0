"""The words for what is wrong with a subscription, and for what whoever pays is to do."""

from collections.abc import Mapping, Sequence
from typing import Final

from .subscription import Condition, Conditions

BILLING: Final = "Billing"
"""What the link is called."""

OTHERWISE: Final = (
    "Otherwise Linked API freezes accounts of this workspace, and nothing runs on a frozen account."
)

_STATES: Final[Mapping[Condition, str]] = {
    Condition.CANCELED: "is not active",
    Condition.PAST_DUE: "is unpaid",
    Condition.SEATS: "has too few seats",
    Condition.ENDING: "is set to end",
}
_ORDERS: Final[Mapping[Condition, str]] = {
    Condition.CANCELED: "start a subscription",
    Condition.PAST_DUE: "pay what is due",
    Condition.SEATS: "add seats",
    Condition.ENDING: "let the subscription renew",
}


def state(conditions: Conditions) -> str:
    """Say what is wrong with a subscription: the rest of a sentence that starts with it."""
    return _join([_STATES[condition] for condition in conditions]) or "needs attention"


def order(conditions: Conditions) -> str:
    """Say what whoever pays is to do about it."""
    orders = [_ORDERS[condition] for condition in conditions] or ["see what is wrong"]
    text = f"{_join([f'Open {BILLING}', *orders])}."
    if Condition.SEATS in conditions.names:
        seats, accounts = _count(conditions.seats, "seat"), _count(conditions.accounts, "account")
        text += f" The subscription has {seats} for {accounts}."
    return text


def _join(parts: Sequence[str]) -> str:
    *first, last = parts or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
