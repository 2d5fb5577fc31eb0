"""What time alone brings: reminders, rotated links, the end of workspaces that left."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from monitor.core.draft import Decision, Draft, next_reminder
from monitor.core.duration import Duration
from monitor.core.model import (
    Account,
    Cause,
    EventType,
    Incident,
    Micros,
    Reason,
    Refresh,
    Resolution,
    Session,
    Status,
    Subject,
    Workspace,
)
from monitor.core.policy import IncidentPolicy

from . import accounts

REMINDER_RECHECK: Final = Duration.parse("30s")
"""How long a reminder is put off while the present state is unknown."""


@dataclass(frozen=True, slots=True)
class Due:
    """An incident whose reminder or refresh is due, and its account as it is recorded."""

    incident: Incident
    account: Account | None


def remind(
    workspace: str,
    due: Iterable[Due],
    *,
    failing: bool,
    current: bool,
    policy: IncidentPolicy,
    now: Micros,
    new_id: Callable[[], str],
) -> Decision:
    """Decide what the *due* reminders and refreshes of *workspace* come to.

    Those of accounts are held while their present state is unknown: the workspace is not *current*
    (looked at lately), or *failing*, or the account is missing or seems recovered.
    Overdue reminders collapse to one.
    """
    draft = Draft(Workspace(workspace), now, new_id, policy)
    for reminder in due:
        incident = reminder.incident
        event = _event_due(incident, policy, now)
        if event is None:
            after = replace(incident, next_due_at=None, remind_at=None)
        elif _is_uncertain(reminder, event, is_known=current and not failing):
            after = replace(incident, next_due_at=now + REMINDER_RECHECK)
        elif event is EventType.REFRESHED:
            draft.emit(event, _refreshed(incident, policy, now), Reason.LINK_ROTATED)
            continue
        else:
            draft.emit(
                event, _reminded(incident, policy, now), Reason.REMINDER_DUE, incident.detail
            )
            continue
        draft.incidents[incident.about] = after
    return draft.decision(None, {})


def _event_due(incident: Incident, policy: IncidentPolicy, now: Micros) -> EventType | None:
    """Return what is due of *incident*; a reminder that is due too tells the link as well."""
    if not incident.is_open:
        return None
    has_reminder = _next_reminder(incident, policy, now) is not None
    is_before = incident.remind_at is None or incident.remind_at > now
    if incident.refresh is Refresh.DUE and (is_before or not has_reminder):
        return EventType.REFRESHED
    return EventType.REMINDED if has_reminder else None


def _next_reminder(incident: Incident, policy: IncidentPolicy, now: Micros) -> Micros | None:
    is_over = incident.acknowledged_at is not None
    return None if is_over else next_reminder(incident.reminders, policy, now)


def _refreshed(incident: Incident, policy: IncidentPolicy, now: Micros) -> Incident:
    remind_at = _next_reminder(incident, policy, now)
    if remind_at is not None and incident.remind_at is not None:
        remind_at = incident.remind_at
    return replace(incident, next_due_at=remind_at, remind_at=None, refresh=Refresh.TOLD)


def _reminded(incident: Incident, policy: IncidentPolicy, now: Micros) -> Incident:
    sent = incident.reminders + 1
    next_due_at = next_reminder(sent, policy, now)
    return replace(incident, reminders=sent, next_due_at=next_due_at, remind_at=None, refresh=None)


def _is_uncertain(due: Due, event: EventType, *, is_known: bool) -> bool:
    account = due.account
    if account is None:
        return False
    has_no_link = account.status is not Status.RECONNECTION_REQUIRED  # for the moment
    return (
        not is_known
        or account.missing_polls > 0
        or (account.status is Status.ACTIVE and due.incident.cause is not Cause.FLAPPING)
        or (event is EventType.REFRESHED and has_no_link)
    )


def unwatch(
    workspace: Workspace,
    incidents: Mapping[Subject, Incident],
    sessions: Mapping[str, Session],
    *,
    now: Micros,
    new_id: Callable[[], str],
) -> Decision:
    """Decide what it means that *workspace*, with its open *incidents*, is watched no more.

    Everything ends; should it come back one day, its first poll is a baseline again.
    """
    draft = Draft(workspace, now, new_id, recorded_sessions=sessions, incidents=dict(incidents))
    accounts.unwatch(draft, workspace.accounts.values(), Reason.WORKSPACE_LEFT)
    for incident in tuple(draft.incidents.values()):
        if incident.is_open:
            draft.resolve(incident, Resolution.UNWATCHED, Reason.WORKSPACE_LEFT)
    return draft.decision(Workspace(workspace.name), incidents)
