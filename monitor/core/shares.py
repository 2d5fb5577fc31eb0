"""How many workspaces each replica is to hold, and how many change hands at a time.

Each has about its share; one whose configuration is older than that of another one that lives keeps
what it has, up to its share, and takes nothing: it may know neither the tokens nor whom to tell.
Nobody takes from the living, so who has more gives back, a few at a time.
"""

from collections.abc import Mapping
from typing import Final

MIN_HANDED: Final = 25
"""So many workspaces may be given back at a time, however few there are."""

HANDED_SHARE: Final = 10
"""Else it is the tenth part of a share."""


def shares(total: int, held: Mapping[str, int], generations: Mapping[str, int]) -> dict[str, int]:
    """Return how many of *total* workspaces each of the living replicas is to hold at most.

    *held* has how many each holds now, *generations* how new its configuration is.
    """
    newest = max(generations.values(), default=0)
    behind = [id_ for id_, generation in generations.items() if generation < newest]
    even = -(-total // max(1, len(generations)))
    kept = {id_: min(held.get(id_, 0), even) for id_ in behind}
    others = len(generations) - len(behind)
    share = -(-(total - sum(kept.values())) // max(1, others))
    return {id_: kept.get(id_, share) for id_ in generations}


def to_take(share: int, held: int, free: int) -> int:
    """Return how many of the *free* workspaces one takes that holds so many."""
    return max(0, min(free, share - held))


def to_give_back(share: int, held: int) -> int:
    """Return how many workspaces one gives back now that holds so many."""
    return max(0, min(held - share, max(MIN_HANDED, share // HANDED_SHARE)))
