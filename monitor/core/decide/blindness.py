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
    Micros,
    Reason,
    Resolution,
    Workspace,
)
from monitor.core.policy import IncidentPolicy

from . import outage, subscription

REJECTED_FOR: Final = Duration.parse("60s")
"""How long a token has to be rejected before it is taken for a wrong one."""


def observe_failure(
    draft: Draft, failure: Failure, others: outage.Others | None = None
) -> Workspace:
    """Return the workspace after one more failed poll; long blindness is an incident.

    Every poll counts, and another cause counts from the second poll on. That there is no
    subscription is no blindness: Linked API answers.
    """
    before, now = draft.workspace.failing, draft.now
    is_refused = failure.cause is Cause.SUBSCRIPTION
    if before and (before.cause is Cause.SUBSCRIPTION) is not is_refused:
        before = None
    since = min(before.since, now) if before else now
    is_same = before is not None and before.cause is failure.cause
    cause_since = min(before.cause_since, now) if before and is_same else now
    failing = FailureStreak(failure.cause, failure.detail, since, cause_since)
    incident = draft.find_open(READING)
    is_held = outage.follow(draft, others, failing)
    if is_refused:
        subscription.refuse(draft)
        if incident is not None:
            draft.resolve(incident, Resolution.RECOVERED, Reason.READ_AGAIN)
    elif incident is None:
        reason = why_blind(failing, draft.policy, now)
        if reason and not is_held and not outage.begin(draft, others, failing):
            draft.open(
                failure.cause, READING, since=failing.since, reason=reason, detail=failure.detail
            )
    elif is_same and incident.cause is not failure.cause:
        draft.change(
            incident,
            failure.cause,
            Reason.FAILURE_CHANGED,
            detail=failure.detail,
            since=cause_since,
        )
    return replace(draft.workspace, failing=failing)


def why_blind(failing: FailureStreak, policy: IncidentPolicy, now: Micros) -> Reason | None:
    """Return why a workspace that fails so is blind, None if it is not, or not yet."""
    if failing.cause is Cause.SUBSCRIPTION:
        return None
    lasted = now - failing.cause_since
    if failing.cause is Cause.TOKEN_REJECTED and lasted >= REJECTED_FOR:
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
    """Return whether one more *failure* would change nothing, as it is like the latest one.

    *blind_cause* is that of the incident that is open about it.
    """
    if (failing.cause, failing.detail) != (failure.cause, failure.detail):
        return False
    return blind_cause is failure.cause if blind_cause else why_blind(failing, policy, now) is None


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
