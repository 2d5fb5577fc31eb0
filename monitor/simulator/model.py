"""What the simulated service knows: customers, what they pay for, their accounts and sessions.

Points in time are UTC microseconds since the epoch; nothing here reads a clock.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_SEATS = 1000


class AccountStatus(StrEnum):
    """What can be wrong with an account."""

    ACTIVE = "active"
    FROZEN = "frozen"
    RECONNECTION_REQUIRED = "reconnection_required"


class SessionStatus(StrEnum):
    """How far a login has come."""

    PENDING = "pending"
    PREPARING = "preparing"
    SERVING = "serving"
    STREAMING = "streaming"
    SUCCESS = "success"
    EXPIRED = "expired"
    ERROR = "error"
    CANCELLED = "cancelled"


class SubscriptionStatus(StrEnum):
    """Whether seats are paid for; a customer may also have no subscription at all."""

    ACTIVE = "active"
    TRIALING = "trialing"
    PAST_DUE = "past_due"
    CANCELED = "canceled"


class SeatType(StrEnum):
    """What an account on the seat may do; the monitor need not care."""

    CORE = "core"
    PLUS = "plus"


class BillingPeriod(StrEnum):
    """How often a seat is paid for."""

    MONTH = "month"
    YEAR = "year"


IN_PROGRESS = frozenset(
    {SessionStatus.PREPARING, SessionStatus.SERVING, SessionStatus.STREAMING},
)
UNFINISHED = IN_PROGRESS | {SessionStatus.PENDING}


@dataclass(slots=True)
class Session:
    """A login that is waited for, under way or over; without *account_id*, of a new account."""

    id: str
    type: str
    created_at: int
    changed_at: int
    account_id: str | None = None
    status: SessionStatus = SessionStatus.PENDING
    applies_proxy_change: bool = False

    @property
    def is_active(self) -> bool:
        """Whether the login can still happen."""
        return self.status in UNFINISHED


@dataclass(slots=True)
class SimulatedAccount:
    """One connected LinkedIn account.

    *thawed* is its status when it is no longer frozen. *settling* counts the polls for which a
    finished login stays invisible, *hidden* those in which the account is missing. *patch* and
    *without* bend its JSON.
    """

    id: str
    name: str
    url: str
    country: str
    status: AccountStatus
    connected_at: int
    identification_token: str
    avatar_url: str | None = None
    headline: str | None = None
    session_id: str | None = None
    reconnectable: bool = True
    thawed: AccountStatus = AccountStatus.ACTIVE
    settling: int | None = None
    hidden: int = 0
    patch: dict[str, Any] = field(default_factory=dict)
    without: frozenset[str] = frozenset()


@dataclass(slots=True)
class Subscription:
    """What a customer pays for; *status* None: nothing."""

    status: SubscriptionStatus | None = SubscriptionStatus.ACTIVE
    eligible_for_trial: bool = False
    cancel_at_period_end: bool = False
    seats: dict[tuple[SeatType, BillingPeriod], int] = field(default_factory=dict)


@dataclass(slots=True)
class Customer:
    """One owner of a token, with everything behind it; *override* replaces the result of getAll.

    *review_at* is when a change of what is paid for shows in the accounts.
    """

    name: str
    token: str
    subscription: Subscription = field(default_factory=Subscription)
    review_at: int | None = None
    accounts: dict[str, SimulatedAccount] = field(default_factory=dict)
    removed: dict[str, SimulatedAccount] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    attempts: list[int] = field(default_factory=list)
    override: tuple[Any] | None = None


def timestamp(at: int) -> str:
    """Write a point in time as the API does: UTC with milliseconds and a Z."""
    moment = EPOCH + timedelta(microseconds=at)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def document(account: SimulatedAccount, session: Session | None, link_base: str) -> dict[str, Any]:
    """Describe *account* as `accounts.getAll` does; *session* is the one that it shows, if any."""
    fields: dict[str, Any] = {
        "id": account.id,
        "name": account.name,
        "url": account.url,
        "avatarUrl": account.avatar_url,
        "headline": account.headline,
        "countryCode": account.country,
        "identificationToken": account.identification_token,
        "status": account.status.value,
        "connectedAt": timestamp(account.connected_at),
    }
    if session is not None:
        fields["reconnectionSessionId"] = session.id
        fields["reconnectionLink"] = link_base + session.id
    fields |= account.patch
    return {key: value for key, value in fields.items() if key not in account.without}
