"""Blindness: a workspace that cannot be read, and that it can be read again."""

from dataclasses import replace
from typing import Final

from monitor.core.draft import Draft
from monitor.core.duration import Duration
from monitor.core.model import (
    READING,
    Cause,
    Failure,
    FailureStreak,
    Reason,
    Resolution,
    Workspace,
)

REJECTED_FOR: Final = Duration.parse("60s")
"""How long a token has to be rejected before it is taken for a wrong one."""


def observe_failure(draft: Draft, failure: Failure) -> Workspace:
    """Return the workspace after one more failed poll; long blindness is an incident.

    Every poll counts, and another cause counts from the second poll on.
    """
    before, now = draft.workspace.failing, draft.now
    since = min(before.since, now) if before else now
    is_same = before is not None and before.cause is failure.cause
    cause_since = min(before.cause_since, now) if before and is_same else now
    failing = FailureStreak(failure.cause, failure.detail, since, cause_since)
    incident = draft.find_open(READING)
    if incident is None:
        if reason := _why_blind(draft, failing):
            draft.open(
                failure.cause, READING, since=failing.since, reason=reason, detail=failure.detail
            )
    elif is_same and incident.cause is not failure.cause:
        draft.change(incident, failure.cause, Reason.FAILURE_CHANGED, failure.detail)
    return replace(draft.workspace, failing=failing)


def _why_blind(draft: Draft, failing: FailureStreak) -> Reason | None:
    lasted = draft.now - failing.cause_since
    if failing.cause is Cause.TOKEN_REJECTED and lasted >= REJECTED_FOR:
        return Reason.TOKEN_REJECTED
    is_long = draft.now - failing.since >= draft.policy.blind_after
    return Reason.UNREADABLE_TOO_LONG if is_long else None


def recover(draft: Draft, accepted_by: str | None = None) -> Workspace:
    """Return the workspace after a good poll, or one that a person accepted: it ends blindness."""
    before = draft.workspace
    incident = draft.find_open(READING)
    if incident is not None and accepted_by is None:
        draft.resolve(incident, Resolution.RECOVERED, Reason.READ_AGAIN)
    elif incident is not None:
        detail = f"its list was accepted by {accepted_by}"
        draft.resolve(incident, Resolution.RECOVERED, Reason.ACCEPTED, detail)
    return replace(
        before,
        failing=None,
        refused=None,
        baseline_at=draft.now if before.baseline_at is None else before.baseline_at,
    )
