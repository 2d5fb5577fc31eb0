"""How a workspace is paid for, and what is wrong with that: the detail of its incident.

A detail is words, so that it is the same wherever it is kept: `past_due seats:10:12`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class SubscriptionStatus(StrEnum):
    """What Linked API says of a subscription."""

    ACTIVE = "active"
    TRIALING = "trialing"
    PAST_DUE = "past_due"
    CANCELED = "canceled"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as Linked API describes it; *status* None: there is none.

    It *is_ending* with the period that is paid for; *seats* None: nobody knows how many there are.
    """

    status: SubscriptionStatus | None
    is_ending: bool = False
    seats: int | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing is paid for any more."""
        return self.status in (None, SubscriptionStatus.CANCELED)


class Condition(StrEnum):
    """What can be wrong with a subscription, the worst first."""

    CANCELED = "canceled"
    PAST_DUE = "past_due"
    SEATS = "seats"
    ENDING = "ending"


EXPLAINING: Final = frozenset({Condition.CANCELED, Condition.PAST_DUE, Condition.SEATS})
"""Conditions for which accounts freeze."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """All that is wrong at a time; where seats are too few, how many there are for how many."""

    names: frozenset[Condition] = frozenset()
    seats: int = 0
    accounts: int = 0

    def __bool__(self) -> bool:
        return bool(self.names)

    def __iter__(self) -> Iterator[Condition]:
        return (condition for condition in Condition if condition in self.names)

    def __str__(self) -> str:
        words = {name: str(name) for name in self}
        if Condition.SEATS in words:
            words[Condition.SEATS] += f":{self.seats}:{self.accounts}"
        return " ".join(words.values())

    @property
    def explains(self) -> bool:
        """Whether accounts freeze because of it."""
        return bool(self.names & EXPLAINING)


REFUSED: Final = Conditions(frozenset({Condition.CANCELED}))
"""What Linked API means that answers with `subscriptionRequired`."""


def parse_conditions(detail: str) -> Conditions:
    """Read what `str` wrote of conditions; a text that is something else has none."""
    words = dict.fromkeys(detail.split())
    names = {Condition(name) for word in words if (name := word.partition(":")[0]) in _NAMES}
    counts = next((match for word in words if (match := _SEATS.fullmatch(word))), None)
    if counts is None:
        return Conditions(frozenset(names - {Condition.SEATS}))
    return Conditions(frozenset(names), int(counts[1]), int(counts[2]))


_SEATS: Final = re.compile(r"seats:([0-9]{1,9}):([0-9]{1,9})")
_NAMES: Final = frozenset(map(str, Condition))


def find_conditions(subscription: Subscription, accounts: int, before: Conditions) -> Conditions:
    """Return what is wrong with *subscription*, on which so many *accounts* are connected.

    While nobody knows how many seats there are, they are as they were *before*. Of one that has
    ended nothing else is worth knowing.
    """
    if subscription.has_ended:
        return REFUSED
    names, seats = set[Condition](), subscription.seats
    if subscription.status is SubscriptionStatus.PAST_DUE:
        names.add(Condition.PAST_DUE)
    if subscription.is_ending:
        names.add(Condition.ENDING)
    if seats is None and Condition.SEATS in before.names:
        seats, accounts = before.seats, before.accounts
    if seats is None or seats >= accounts:
        return Conditions(frozenset(names))
    return Conditions(frozenset({*names, Condition.SEATS}), seats, accounts)
