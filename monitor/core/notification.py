"""What people are sent: a notification, the message that it leaves in, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from .model import Account, EventType, Incident, Micros
from .secret import Secret


class NotificationState(StrEnum):
    """Where a notification stands."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    CANCELLED = "cancelled"


class SettledReason(StrEnum):
    """Why a notification is dead or cancelled."""

    RECOVERED = "recovered"
    SUPERSEDED = "superseded"
    RECEIVER_REMOVED = "receiver_removed"
    UNWATCHED = "unwatched"
    DEADLINE = "deadline"
    PERMANENT = "permanent"
    BY_HAND = "by_hand"


class Undelivered(NamedTuple):
    """The *receiver* that could not be told, *why* (how an attempt ended), and since when."""

    receiver: str
    why: str
    since: Micros


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification as it shall be told now.

    *event* is how it is written (the first that a receiver hears of an incident is an opening);
    *link* is there only if this receiver may have it and it leads somewhere (*link_withheld*: there
    is one that it may not have; the account is given without it); *undelivered* says who could not
    be told, when this is the fallback's copy.
    """

    event: EventType
    at: Micros
    workspace: str
    labels: Mapping[str, str]
    account: Account | None
    incident: Incident | None
    link: Secret | None = None
    link_withheld: bool = False
    detail: str = ""
    undelivered: Undelivered | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: one or more notifications for one receiver, under one idempotency key (*id*).

    *now* is when this attempt starts; the worst notification comes first. *address* is the one that
    a label of the accounts gave, for a receiver without its own; *done* are those of several that
    took it in an earlier attempt, or refused it for good.
    """

    id: str
    receiver: str
    notifications: tuple[Notification, ...]
    now: Micros
    address: str = ""
    done: tuple[str, ...] = ()

    @property
    def workspace(self) -> str:
        """The one workspace that all of it is about; ALL_WORKSPACES counts as one."""
        return self.notifications[0].workspace
