"""The recheck right before a send: whether a notification still holds and how it is written.

Between the commit that queued a notification and its delivery anything can have happened. What no
longer holds is not sent; what nobody can know at the moment waits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from . import model
from .decide.sessions import has_link
from .model import Account, Cause, EventType, Incident, Micros, Resolution, Session, Status
from .notification import Notification, SettledReason, Undelivered
from .route import Receiver


@dataclass(frozen=True, slots=True)
class QueuedNotification:
    """A queued notification and everything about it, read again just now.

    *event* is how it was queued for this receiver, *happened* what happened (the two differ for the
    fallback's copy). *heard_at* is when the receiver was first told of the incident, *told_at* when
    all of its addresses last were; *watched* says whether the workspace is in the configuration
    (None: another one is just being applied), *current* whether it has been polled lately.
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
    session: Session | None
    heard_at: Micros | None
    told_at: Micros | None = None
    watched: bool | None = True
    current: bool = True
    undelivered: Undelivered | None = None


class Wait(Enum):
    """Not now: whether this still holds shows after a *LOOK* at the workspace, or in a *MOMENT*."""

    LOOK = "look"
    MOMENT = "moment"


def recheck(queued: QueuedNotification, receiver: Receiver) -> Notification | SettledReason | Wait:
    """Return how *receiver* is to be told of *queued*, or why it is not, or that it has to wait."""
    if (outdated := _outdated(queued, receiver)) is not None:
        return outdated
    if queued.watched is None:
        return Wait.MOMENT
    if _unknown_now(queued):
        return Wait.LOOK
    is_first = queued.heard_at is None and queued.event is not EventType.NOTICE
    return _write(queued, EventType.OPENED if is_first else queued.event, receiver)


def _outdated(queued: QueuedNotification, receiver: Receiver) -> SettledReason | None:
    """Return why *queued* has nothing true or new to say any more, if so."""
    incident, account = queued.incident, queued.account
    if incident is None:
        return None if _is_true(queued.detail, account) else SettledReason.SUPERSEDED
    if queued.event is EventType.RESOLVED and queued.heard_at is None:
        return SettledReason.RECOVERED
    if queued.happened is not EventType.RESOLVED and not incident.is_open:
        unwatched = incident.resolution is Resolution.UNWATCHED
        return SettledReason.UNWATCHED if unwatched else SettledReason.RECOVERED
    match queued.event:
        case EventType.REMINDED | EventType.ESCALATED:
            is_stale = incident.acknowledged_at is not None
        case EventType.REFRESHED:
            has_new_link = receiver.may_have_link and account and has_link(queued.session)
            is_stale = not has_new_link or _knows_link(queued)
        case EventType.CHANGED:
            is_stale = _already_told(queued)
        case _:
            is_stale = False
    return SettledReason.SUPERSEDED if is_stale else None


def _is_true(detail: str, account: Account | None) -> bool:
    """Return whether a `notice` with this *detail* still says what is so; else it is of an end."""
    is_there = account is not None and account.removed_at is None
    match detail:
        case model.APPEARED:
            return is_there
        case model.RULES_CHANGED:
            return account is not None and account.rules_told_at is not None
        case _:
            return not is_there


def _already_told(queued: QueuedNotification) -> bool:
    """Return whether the first that the receiver heard said this already."""
    return queued.heard_at is not None and queued.heard_at >= queued.at


def _knows_link(queued: QueuedNotification) -> bool:
    """Return whether the receiver was told of the incident since it has this link."""
    told_at = queued.heard_at if queued.told_at is None else queued.told_at
    since = queued.session.link_since if queued.session else None
    return told_at is not None and told_at >= (queued.at if since is None else since)


def _unknown_now(queued: QueuedNotification) -> bool:
    """Return whether nobody knows at the moment if the problem is still there."""
    account, incident = queued.account, queued.incident
    if EventType.RESOLVED in (queued.event, queued.happened):
        return False
    if incident is None or not queued.watched:  # nobody will ever know more
        return False
    if incident.account_id is None:  # any poll, good or not, lets it go or ends it
        return False
    if not queued.current:
        return True
    if account is None or incident.cause is Cause.FLAPPING:
        return False
    return account.status is Status.ACTIVE or account.missing_polls > 0


def _write(queued: QueuedNotification, event: EventType, receiver: Receiver) -> Notification:
    account, incident = queued.account, queued.incident
    link = None
    if incident and incident.is_open and account and queued.session:
        needs_login = account.status is Status.RECONNECTION_REQUIRED
        link = queued.session.link if needs_login else None
    return Notification(
        event=event,
        at=queued.at,
        workspace=queued.workspace,
        labels=queued.labels,
        account=account,
        incident=incident,
        link=link if receiver.may_have_link else None,
        link_withheld=link is not None and not receiver.may_have_link,
        detail=queued.detail,
        undelivered=queued.undelivered,
    )
