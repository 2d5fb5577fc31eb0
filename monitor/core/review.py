"""The second look, right before something leaves: whether it still holds and how it is written.

Between the commit that queued a notification and its delivery anything can have happened. What no
longer holds is not sent; what nobody can know at the moment waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .decide import has_link
from .model import (
    Account,
    Cause,
    EventType,
    Incident,
    Item,
    Micros,
    SettledReason,
    Status,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A queued notification and everything about it, read again just now.

    *heard* says whether the receiver has heard of the incident.
    """

    notification_id: str
    event: EventType
    at: Micros
    detail: str
    workspace: str
    labels: Mapping[str, str]
    incident: Incident | None
    account: Account | None
    heard: bool
    undelivered_to: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: whether this still holds is not known at the moment."""


Verdict: TypeAlias = Item | SettledReason | Wait


def review(entry: Entry, *, may_have_link: bool) -> Verdict:
    """Return how *entry* is to be told, or why it is not, or that it has to wait."""
    if entry.incident is None or entry.event is EventType.NOTICE:
        return _write(entry, EventType.NOTICE, may_have_link=may_have_link)
    overtaken = _overtaken(entry, entry.incident, may_have_link=may_have_link)
    if overtaken is not None:
        return overtaken
    if entry.event is not EventType.RESOLVED and _may_be_over(entry):
        return Wait()
    written = entry.event if entry.heard else EventType.OPENED
    return _write(entry, written, may_have_link=may_have_link)


def _overtaken(entry: Entry, incident: Incident, *, may_have_link: bool) -> SettledReason | None:
    if entry.event is EventType.RESOLVED:
        return None if entry.heard else SettledReason.RECOVERED
    if not incident.is_open:
        return SettledReason.RECOVERED
    has_something_new = may_have_link and entry.account and has_link(entry.account.session)
    if entry.event is EventType.REFRESHED and not has_something_new:
        return SettledReason.SUPERSEDED
    if entry.event is EventType.REMINDED and incident.acknowledged_at is not None:
        return SettledReason.SUPERSEDED
    return None


def _may_be_over(entry: Entry) -> bool:
    account, incident = entry.account, entry.incident
    if account is None or incident is None or incident.cause is Cause.FLAPPING:
        return False
    return account.status is Status.ACTIVE or account.missing_polls > 0


def _write(entry: Entry, event: EventType, *, may_have_link: bool) -> Item:
    session = entry.account.session if entry.account and may_have_link else None
    needs_login = (
        entry.incident is not None
        and entry.incident.is_open
        and entry.account is not None
        and entry.account.status is Status.RECONNECTION_REQUIRED
    )
    return Item(
        event=event,
        at=entry.at,
        workspace=entry.workspace,
        labels=entry.labels,
        account=entry.account,
        incident=entry.incident,
        link=session.link if session and needs_login else None,
        detail=entry.detail,
        undelivered_to=entry.undelivered_to,
    )
