"""Blindness: a workspace that cannot be read, and that it can be read again."""

from dataclasses import replace

from monitor.core.draft import Draft
from monitor.core.model import (
    READING,
    Cause,
    Failure,
    FailureStreak,
    Micros,
    Reason,
    Resolution,
    Workspace,
)
from monitor.core.policy import IncidentPolicy


def observe_failure(draft: Draft, failure: Failure) -> Workspace:
    """Return the workspace after one more failed poll; long blindness is an incident."""
    before, now = draft.workspace.failing, draft.now
    since = min(before.since, now) if before else now
    polls = before.cause_polls if before and before.cause is failure.cause else 0
    failing = FailureStreak(failure.cause, failure.detail, since, draft.count(polls))
    incident = draft.find_open(READING)
    if incident is None:
        if reason := why_blind(failing, draft.policy, now):
            draft.open(
                failure.cause, READING, since=failing.since, reason=reason, detail=failure.detail
            )
    elif incident.cause is not failure.cause and failing.cause_polls >= 2:
        draft.change(incident, failure.cause, Reason.FAILURE_CHANGED, failure.detail)
    return replace(draft.workspace, failing=failing)


def why_blind(failing: FailureStreak, policy: IncidentPolicy, now: Micros) -> Reason | None:
    """Return why a workspace that fails so is blind, None if it is not yet."""
    if failing.cause is Cause.TOKEN_REJECTED and failing.cause_polls >= 2:
        return Reason.TOKEN_REJECTED
    is_long = now - failing.since >= policy.blind_after
    return Reason.UNREADABLE_TOO_LONG if is_long else None


def is_quiet(
    failing: FailureStreak,
    failure: Failure,
    blind_cause: Cause | None,
    *,
    policy: IncidentPolicy,
    now: Micros,
) -> bool:
    """Return whether one more *failure* would change nothing.

    It is as the latest ones were, of which two count and no more; *blind_cause* is that of the
    incident that is open about it.
    """
    if (failing.cause, failing.detail) != (failure.cause, failure.detail):
        return False
    if failing.cause_polls < 2:
        return False
    return blind_cause is failure.cause if blind_cause else why_blind(failing, policy, now) is None


def recover(draft: Draft) -> Workspace:
    """Return the workspace after a good poll, which ends blindness."""
    before = draft.workspace
    incident = draft.find_open(READING)
    if incident is not None:
        draft.resolve(incident, Resolution.RECOVERED, Reason.READ_AGAIN)
    return replace(
        before,
        failing=None,
        baseline_at=draft.now if before.baseline_at is None else before.baseline_at,
    )
