"""What is not read but passed as an argument: time, random numbers and fresh ids."""

from collections.abc import Callable
from dataclasses import dataclass

from .model import Micros


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where time and random numbers come from.

    *now* is the wall clock, *monotonic* counts seconds that never go back, *jitter* draws a number
    from 0 to 1, and *new_id* makes an id that no one has had.
    """

    now: Callable[[], Micros]
    monotonic: Callable[[], float]
    jitter: Callable[[], float]
    new_id: Callable[[], str]
