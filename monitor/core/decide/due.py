"""What time alone brings: reminders, rotated links, the end of workspaces that left.

What is due next of an incident is decided in one place, `schedule`, whenever it is recorded; what
is due now is done by `decide_due`. Reminders and steps count from the commit that first told
anybody.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from monitor.core.draft import Decision, Draft
from monitor.core.duration import Duration
from monitor.core.model import (
    API,
    SUBSCRIPTION,
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
from monitor.core.mutes import Mutes
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Routing, reminded, steps_of

from . import accounts

DAY: Final = Duration.parse("1d")

TOLD_ONCE: Final = (API, SUBSCRIPTION)
"""Nobody is reminded of these, and they go no further."""

DUE_RECHECK: Final = Duration.parse("30s")
"""How long what is due is put off while the present state is unknown."""

GATHER_WITHIN: Final = Duration.parse("30m")
"""Reminders that are due within so long come with the first one of their workspace …"""

GATHER_PART: Final = 4
"""… but not earlier than by this part of their step."""


class Due(NamedTuple):
    """An incident of which something may be due, and its account as it is recorded."""

    incident: Incident
    account: Account | None


# ── when ─────────────────────────────────────────────────────────────────────────────────────────


def schedule(
    item: Due,
    *,
    policy: IncidentPolicy,
    routing: Routing,
    mutes: Mutes,
    is_told: bool,
    now: Micros,
    recheck_at: Micros | None = None,
) -> Incident:
    """Return the incident of *item*, as a commit writes it *now*, with what is due next of it.

    *is_told* says whether the commit tells anybody of it. What is due already and is muted is due
    when the mute ends; what else was not done is looked at again at *recheck_at*, or at once.
    """
    incident = item.incident
    if not incident.is_open:
        ended = replace(incident, remind_at=None, refresh_at=None, muted_until=None)
        return replace(ended, next_due_at=None)
    if is_told and incident.told_at is None:
        incident = replace(incident, told_at=now, remind_at=None)
    remind_at = _next_reminder(incident, policy, routing, now)
    if remind_at is not None and incident.remind_at is not None:
        remind_at = incident.remind_at
    times = [incident.refresh_at]
    if incident.acknowledged_at is None:
        item = Due(incident, item.account)
        times.append(incident.muted_until)
        for _, at, to in _steps_left(item, routing):
            times.append(at if at > now else _held_until(item, to, routing, mutes) or at)
        if remind_at is not None and remind_at <= now:
            to = reminded(incident, item.account, routing)
            times.append(_held_until(item, to, routing, mutes) or remind_at)
        else:
            times.append(remind_at)
    else:
        times.append(incident.acknowledged_until)
    due_at = min((at for at in times if at is not None), default=None)
    if due_at is not None and recheck_at is not None and due_at <= now:
        due_at = recheck_at
    return replace(incident, remind_at=remind_at, next_due_at=due_at)


def _next_reminder(
    incident: Incident, policy: IncidentPolicy, routing: Routing, now: Micros
) -> Micros | None:
    """Return when *incident* is due for a reminder that is planned *now*; None if none is to come.

    A step of days leads to the time of day that is configured, if there is one.
    """
    if not _has_reminder(incident, policy):
        return None
    step = _step(incident, policy)
    if policy.remind_at is None or step < DAY:
        return now + step
    return policy.remind_at.on_day_of(now, routing.timezone, later=step)


def _has_reminder(incident: Incident, policy: IncidentPolicy) -> bool:
    """Return whether *incident* may be told of again.

    What is of all workspaces is told once, as is how one is paid for.
    """
    is_over = not policy.remind or incident.reminders >= policy.remind_max
    return not is_over and incident.about not in TOLD_ONCE


def _held_until(
    item: Due, receivers: Iterable[str], routing: Routing, mutes: Mutes
) -> Micros | None:
    """Return until when none of *receivers* is told of an incident; None: one of them is."""
    incident, account = item
    labels = routing.inventory.labels(incident.workspace, account)
    return mutes.until_for_all(incident, account, labels, receivers)


def _steps_left(item: Due, routing: Routing) -> list[tuple[Duration, Micros, Sequence[str]]]:
    """Return the steps that are still to be done of an incident: the next one first.

    Each with when it is due, and to whom it goes.
    """
    incident = item.incident
    if incident.told_at is None or incident.about in TOLD_ONCE:
        return []
    return [
        (after, incident.told_at + after, to)
        for after, to in steps_of(incident, item.account, routing).items()
        if incident.escalated is None or after > incident.escalated
    ]


def _step(incident: Incident, policy: IncidentPolicy) -> Duration:
    return policy.remind[min(incident.reminders, len(policy.remind) - 1)]


# ── what is due ──────────────────────────────────────────────────────────────────────────────────


def decide_due(
    workspace: str,
    items: Sequence[Due],
    *,
    failing: bool,
    current: bool,
    policy: IncidentPolicy,
    routing: Routing,
    mutes: Mutes,
    now: Micros,
    new_id: Callable[[], str],
    unmuted: bool = False,
) -> Decision:
    """Decide what of *items*, incidents of *workspace*, is due now.

    What is due of accounts is held while their present state is unknown: the workspace is not
    *current* (looked at lately), or *failing*, or the account is missing or seems recovered.
    Overdue reminders collapse to one; those that are due soon come with the first of them. What is
    muted for everybody who would be told waits. *unmuted* says that mutes may have ended early:
    what they held is due now, or as soon as it may be told, if nothing else holds it.
    """
    draft = Draft(Workspace(workspace), now, new_id, policy)
    is_known = current and not failing
    items = [item for item in items if item.incident.is_open]
    if unmuted:
        items = [item._replace(incident=_unmute(item.incident, now)) for item in items]
    certain = [
        item._replace(incident=_end_acknowledgement(item.incident, policy, now))
        for item in items
        if not _is_uncertain(item, is_known=is_known)
    ]
    is_reminding = any(
        _is_reminder_due(item.incident, policy, now)
        and _held_until(item, reminded(*item, routing), routing, mutes) is None
        for item in certain
    )
    for item in (*items, *certain):
        draft.incidents[item.incident.about] = item.incident
    for item in certain:
        left = _tell_unmuted(draft, item, routing)
        if left.incident.told_at is not None or left is item:
            _do_what_is_due(draft, left, routing, mutes, is_reminding=is_reminding)
    return draft.decision(None, {}, together=True)


def _unmute(incident: Incident, now: Micros) -> Incident:
    """Return *incident* as one whose mute is over by *now*; if it is not, it is held once more."""
    if incident.muted_until is None or incident.muted_until <= now:
        return incident
    return replace(incident, muted_until=now)


def _tell_unmuted(draft: Draft, item: Due, routing: Routing) -> Due:
    """Tell what a mute held that is over, unless somebody has taken it over meanwhile.

    So are those told who were left out when a step was done.
    """
    incident = item.incident
    is_over = incident.muted_until is not None and incident.muted_until <= draft.now
    if not is_over or incident.acknowledged_at is not None:
        return item
    incident = replace(incident, muted_until=None)
    event = EventType.OPENED if incident.told_at is None else EventType.CHANGED
    draft.emit(event, incident, Reason.MUTE_ENDED, incident.detail)
    for after in steps_of(incident, item.account, routing):
        if incident.escalated is not None and after <= incident.escalated:
            draft.emit(EventType.ESCALATED, incident, Reason.MUTE_ENDED, str(after))
    return item._replace(incident=incident)


def _do_what_is_due(
    draft: Draft, item: Due, routing: Routing, mutes: Mutes, *, is_reminding: bool
) -> None:
    incident, policy, now = item.incident, draft.policy, draft.now
    if incident.acknowledged_at is None:
        for step, due_at, to in _steps_left(item, routing):
            if due_at <= now and _held_until(item, to, routing, mutes) is None:
                incident = replace(incident, escalated=step)
                draft.emit(EventType.ESCALATED, incident, Reason.STEP_DUE, str(step))
    early = _may_come_early(incident, policy) if is_reminding else Duration(0)
    is_held = _held_until(item, reminded(*item, routing), routing, mutes) is not None
    if not is_held and _is_reminder_due(incident, policy, now + early):
        sent = incident.reminders + 1
        after = replace(incident, reminders=sent, remind_at=None, refresh=None, refresh_at=None)
        draft.emit(EventType.REMINDED, after, Reason.REMINDER_DUE, incident.detail)
    elif _is_refresh_due(item, now):
        refreshed = replace(incident, refresh=Refresh.TOLD, refresh_at=None)
        draft.emit(EventType.REFRESHED, refreshed, Reason.LINK_ROTATED)


def _end_acknowledgement(incident: Incident, policy: IncidentPolicy, now: Micros) -> Incident:
    """Return *incident* without an acknowledgement whose time is over: then a reminder is due."""
    if incident.acknowledged_until is None or incident.acknowledged_until > now:
        return incident
    is_due = _has_reminder(incident, policy)
    return replace(incident.given_back(), remind_at=now if is_due else None)


def _is_reminder_due(incident: Incident, policy: IncidentPolicy, by: Micros) -> bool:
    if incident.acknowledged_at is not None or not _has_reminder(incident, policy):
        return False
    return incident.remind_at is not None and incident.remind_at <= by


def _may_come_early(incident: Incident, policy: IncidentPolicy) -> Duration:
    return min(GATHER_WITHIN, Duration(_step(incident, policy) // GATHER_PART))


def _is_refresh_due(item: Due, now: Micros) -> bool:
    account, due_at = item.account, item.incident.refresh_at
    has_link = account is not None and account.status is Status.RECONNECTION_REQUIRED
    return has_link and due_at is not None and due_at <= now


def _is_uncertain(item: Due, *, is_known: bool) -> bool:
    account = item.account
    if account is None:
        return False
    return (
        not is_known
        or account.missing_polls > 0
        or (account.status is Status.ACTIVE and item.incident.cause is not Cause.FLAPPING)
    )


# ── workspaces that left ─────────────────────────────────────────────────────────────────────────


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
