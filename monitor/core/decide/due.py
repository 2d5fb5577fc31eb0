"""What time alone brings: reminders, and the end of workspaces that left the configuration."""

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
    """An incident whose reminder is due, and its account as it is recorded."""

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
    """Decide what the *due* reminders of *workspace* come to.

    Those of accounts are held while their present state is unknown: the workspace is not *current*
    (looked at lately), or *failing*, or the account is missing or seems recovered.
    Overdue reminders collapse to one.
    """
    draft = Draft(Workspace(workspace), now, new_id, policy)
    for reminder in due:
        incident = reminder.incident
        if not incident.is_open or incident.acknowledged_at is not None:
            next_due_at = None
        elif _is_uncertain(reminder, is_known=current and not failing):
            next_due_at = now + REMINDER_RECHECK
        elif incident.reminders >= policy.remind_max or not policy.remind:
            next_due_at = None
        else:
            sent = incident.reminders + 1
            next_due_at = next_reminder(sent, policy, now)
            reminded = replace(incident, reminders=sent, next_due_at=next_due_at)
            draft.emit(EventType.REMINDED, reminded, Reason.REMINDER_DUE, incident.detail)
            continue
        draft.incidents[incident.about] = replace(incident, next_due_at=next_due_at)
    return draft.decision(None, {})


def _is_uncertain(due: Due, *, is_known: bool) -> bool:
    account = due.account
    return account is not None and (
        not is_known
        or account.missing_polls > 0
        or (account.status is Status.ACTIVE and due.incident.cause is not Cause.FLAPPING)
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
