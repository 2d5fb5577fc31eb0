"""The second look, right before something leaves: whether it still holds and how it is written.

Between the commit that queued a notification and its delivery anything can have happened. What no
longer holds is not sent; what nobody can know at the moment waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from .decide import has_link
from .model import (
    Account,
    Cause,
    EventType,
    Incident,
    Item,
    Micros,
    Resolution,
    SettledReason,
    Status,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A queued notification and everything about it, read again just now.

    *event* is how it was queued for this receiver, *happened* what happened (the two differ for the
    fallback's copy). *heard_at* is when the receiver was first told of the incident, *watched* says
    whether the workspace is in the configuration (None: another one is just being taken up),
    *current* whether it has been looked at lately.
    """

    notification_id: str
    event: EventType
    happened: EventType
    at: Micros
    detail: str
    workspace: str
    labels: Mapping[str, str]
    incident: Incident | None
    account: Account | None
    heard_at: Micros | None
    watched: bool | None = True
    current: bool = True
    undelivered_to: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: whether this still holds is not known at the moment."""


Verdict: TypeAlias = Item | SettledReason | Wait


def review(entry: Entry, *, may_have_link: bool) -> Verdict:
    """Return how *entry* is to be told, or why it is not, or that it has to wait."""
    overtaken = _overtaken(entry, may_have_link=may_have_link)
    if overtaken is not None:
        return overtaken
    if entry.watched is None:
        return Wait()
    if EventType.RESOLVED not in (entry.event, entry.happened) and _may_be_over(entry):
        return Wait()
    is_first = entry.heard_at is None and entry.event is not EventType.NOTICE
    written = EventType.OPENED if is_first else entry.event
    return _write(entry, written, may_have_link=may_have_link)


def _overtaken(entry: Entry, *, may_have_link: bool) -> SettledReason | None:
    """Return why *entry* has nothing true or new to say any more, if so."""
    incident, account = entry.incident, entry.account
    if incident is None:
        came_back = account is not None and account.removed_at is None
        return SettledReason.SUPERSEDED if came_back else None
    if entry.event is EventType.RESOLVED and entry.heard_at is None:
        return SettledReason.RECOVERED
    if entry.happened is not EventType.RESOLVED and not incident.is_open:
        unwatched = incident.resolution is Resolution.UNWATCHED
        return SettledReason.UNWATCHED if unwatched else SettledReason.RECOVERED
    match entry.event:
        case EventType.REMINDED:
            is_stale = incident.acknowledged_at is not None
        case EventType.REFRESHED:
            has_new_link = may_have_link and account and has_link(account.session)
            is_stale = not has_new_link or _was_said(entry)
        case EventType.CHANGED:
            is_stale = _was_said(entry)
        case _:
            is_stale = False
    return SettledReason.SUPERSEDED if is_stale else None


def _was_said(entry: Entry) -> bool:
    """Return whether the first that the receiver heard said this already."""
    return entry.heard_at is not None and entry.heard_at >= entry.at


def _may_be_over(entry: Entry) -> bool:
    """Return whether nobody knows at the moment if the problem is still there."""
    account, incident = entry.account, entry.incident
    if incident is None or not entry.watched:  # nobody will ever know more
        return False
    if not entry.current:
        return True
    if account is None or incident.cause is Cause.FLAPPING:
        return False
    return account.status is Status.ACTIVE or account.missing_polls > 0


def _write(entry: Entry, event: EventType, *, may_have_link: bool) -> Item:
    account, incident = entry.account, entry.incident
    session = account.session if account else None
    needs_login = (
        incident is not None
        and incident.is_open
        and account is not None
        and account.status is Status.RECONNECTION_REQUIRED
    )
    link = session.link if session and needs_login else None
    return Item(
        event=event,
        at=entry.at,
        workspace=entry.workspace,
        labels=entry.labels,
        account=replace(account, session=None) if account else None,
        incident=incident,
        link=link if may_have_link else None,
        withheld=link is not None and not may_have_link,
        detail=entry.detail,
        undelivered_to=entry.undelivered_to,
    )
