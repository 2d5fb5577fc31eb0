"""What happens again and again: incidents of one cause about the same thing, or the same person."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from monitor.core.draft import Decision
from monitor.core.model import Account, Cause, EventType, Incident, Scope
from monitor.core.policy import Recurring


class Opening(NamedTuple):
    """What an incident was about when it opened, and why it did."""

    workspace: str
    scope: Scope
    subject: str
    cause: Cause


def opened(decision: Decision) -> list[Incident]:
    """Return the incidents that open."""
    ids = {event.incident_id for event in decision.events if event.type is EventType.OPENED}
    return [incident for incident in decision.incidents if incident.id in ids]


def subjects(incident: Incident, former: Mapping[str, list[str]]) -> list[str]:
    """Return what *incident* is about, and what that was called before: see `former_ids`."""
    names = [incident.subject]
    if incident.scope is Scope.ACCOUNT:
        for name in names:  # those before each are appended
            names += [id_ for id_ in former.get(name, ()) if id_ not in names]
    return names


def former_ids(accounts: Iterable[Account]) -> dict[str, list[str]]:
    """Return the ids of those of *accounts* that were replaced, by the id that came after each."""
    former: dict[str, list[str]] = {}
    for account in accounts:
        if account.replaced_by is not None:
            former.setdefault(account.replaced_by, []).append(account.id)
    return former


def mark_recurring(
    decision: Decision,
    former: Mapping[str, list[str]],
    earlier: Iterable[Opening],
    recurring: Recurring,
) -> Decision:
    """Return *decision*, in which incidents that open say so if they are one of many.

    *earlier* are those of late, the present ones left out.
    """
    counts = Counter(earlier)
    times = {
        incident.id: 1
        + sum(
            counts[Opening(incident.workspace, incident.scope, subject, incident.cause)]
            for subject in subjects(incident, former)
        )
        for incident in opened(decision)
    }
    times = {id_: count for id_, count in times.items() if count >= recurring.times}
    if not times:
        return decision
    within = recurring.within
    incidents = (
        replace(incident, times=times[incident.id], times_within=within)
        if incident.id in times
        else incident
        for incident in decision.incidents
    )
    events = (replace(event, times=times.get(event.incident_id or "")) for event in decision.events)
    return replace(decision, incidents=tuple(incidents), events=tuple(events))
