"""An outage of Linked API itself: one incident of all workspaces in place of one of each.

It begins when a workspace is blind while most of all can't be reached, and ends when at most half
can't. Meanwhile, and for a while afterwards, no workspace opens an incident for the same reason.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from monitor.core.draft import Draft
from monitor.core.duration import Duration
from monitor.core.model import API, Cause, FailureStreak, Micros, Reason, Resolution

CAUSES: Final = (Cause.UNREACHABLE, Cause.RATE_LIMITED)
"""What the answers of a Linked API in trouble look like."""

MIN_AFFECTED: Final = 3
"""Fewer workspaces are no outage."""

AFTERMATH: Final = Duration.parse("2m")
"""How long after an outage those that still are blind are given."""


@dataclass(frozen=True, slots=True)
class Others:
    """How all other workspaces fare: their *count*, how many fail for each cause.

    *outage_ended_at* is when the latest outage was over.
    """

    count: int = 0
    failing: Mapping[Cause, int] = field(default_factory=dict)
    outage_ended_at: Micros | None = None


def follow(draft: Draft, others: Others | None, failing: FailureStreak | None) -> bool:
    """End an outage that is over; return whether one is why a workspace is *failing* so.

    Nothing is done if it is not known how the *others* fare. Another cause counts from the second
    poll on.
    """
    if others is None:
        return False
    streaks = (failing, draft.workspace.failing) if failing else ()
    is_affected = any(streak and streak.cause in CAUSES for streak in streaks)
    if incident := draft.find_open(API):
        if not _are_most(_affected(others, failing), others):
            draft.resolve(incident, Resolution.RECOVERED, Reason.READ_AGAIN)
        return is_affected
    ended_at = others.outage_ended_at
    is_just_over = ended_at is not None and 0 <= draft.now - ended_at < AFTERMATH
    return is_affected and is_just_over


def begin(draft: Draft, others: Others | None, failing: FailureStreak) -> bool:
    """Open the incident of an outage if a blind workspace is one of many; return whether it is."""
    if others is None or failing.cause not in CAUSES:
        return False
    affected = _affected(others, failing)
    if affected.total() < MIN_AFFECTED or not _are_most(affected, others):
        return False
    cause = max(CAUSES, key=affected.__getitem__)
    detail = f"{affected.total()} of {others.count + 1} workspaces can't be read"
    draft.open(cause, API, since=failing.since, reason=Reason.UNREADABLE_TOO_LONG, detail=detail)
    return True


def _affected(others: Others, failing: FailureStreak | None) -> Counter[Cause]:
    """Return how many workspaces can't be reached, this one included, by cause."""
    affected = Counter({cause: others.failing.get(cause, 0) for cause in CAUSES})
    if failing is not None and failing.cause in CAUSES:
        affected[failing.cause] += 1
    return affected


def _are_most(affected: Counter[Cause], others: Others) -> bool:
    return affected.total() * 2 > others.count + 1
