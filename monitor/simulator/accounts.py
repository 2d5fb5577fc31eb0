"""An account, and the sessions in which a person logs it in, each behind a link.

pending → preparing → serving → streaming → success; from each of the first four also expired,
error and cancelled.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from .runtime import Runtime, timestamp

HEADLINE: Final = "Founder at Example"
SHOWN: Final = (
    *("id", "name", "url", "country", "status", "connected_at"),
    *("session_id", "settling", "hidden", "patch", "without"),
)
"""What the control API is told of an account."""


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


IN_PROGRESS: Final = {SessionStatus.PREPARING, SessionStatus.SERVING, SessionStatus.STREAMING}


@dataclass(slots=True, kw_only=True)
class Session:
    """A login; without *account_id*, of a new account."""

    runtime: Runtime = field(repr=False, compare=False)
    on_success: Callable[["Session"], None] = field(repr=False, compare=False)
    id: str
    type: str
    created_at: int
    changed_at: int
    account_id: str | None = None
    status: SessionStatus = SessionStatus.PENDING
    applies_proxy_change: bool = False

    @property
    def link(self) -> str:
        """The address of the login page."""
        return self.runtime.assumptions.link_base + self.id

    @property
    def is_in_progress(self) -> bool:
        """Whether somebody is logging in."""
        return self.status in IN_PROGRESS

    @property
    def is_active(self) -> bool:
        """Whether the login can still happen."""
        return self.is_in_progress or self.status is SessionStatus.PENDING

    @property
    def is_forgotten(self) -> bool:
        """Whether the session has been over for longer than the service remembers it."""
        age = self.runtime.seconds_since(self.changed_at)
        return not self.is_active and age > self.runtime.assumptions.session_retention

    def move(self, status: SessionStatus) -> None:
        """Put the session into *status*, backwards too; `success` is a login."""
        self.status = status
        self.changed_at = self.runtime.now()
        if status is SessionStatus.SUCCESS:
            self.on_success(self)

    def expire_if_due(self) -> None:
        """Let the session expire if its time is up."""
        assumptions = self.runtime.assumptions
        ttl = assumptions.progress_ttl if self.is_in_progress else assumptions.pending_ttl
        if self.is_active and self.runtime.seconds_since(self.changed_at) >= ttl:
            self.move(SessionStatus.EXPIRED)

    def as_json(self) -> dict[str, Any]:
        """Describe the session to the control API."""
        return {
            "id": self.id,
            "type": self.type,
            "status": self.status,
            "account_id": self.account_id,
            "created_at": timestamp(self.created_at),
            "changed_at": timestamp(self.changed_at),
        }


class AccountStatus(StrEnum):
    """What can be wrong with an account."""

    ACTIVE = "active"
    FROZEN = "frozen"
    RECONNECTION_REQUIRED = "reconnection_required"


@dataclass(slots=True, kw_only=True)
class SimulatedAccount:
    """One connected LinkedIn account and its latest session.

    *thawed_status* is its status when it is no longer frozen. *settling* counts the polls for which
    a finished login does not show, *hidden* those in which the account is missing. *patch* and
    *without* change its JSON.
    """

    runtime: Runtime = field(repr=False, compare=False)
    id: str
    name: str
    url: str
    country: str
    status: AccountStatus
    connected_at: int
    identification_token: str
    avatar_url: str | None
    headline: str | None = HEADLINE
    session: Session | None = None
    reconnectable: bool = True
    thawed_status: AccountStatus = AccountStatus.ACTIVE
    settling: int | None = None
    hidden: int = 0
    patch: dict[str, Any] = field(default_factory=dict)
    without: list[str] = field(default_factory=list)

    @property
    def is_frozen(self) -> bool:
        """Whether the account has no seat."""
        return self.status is AccountStatus.FROZEN

    @property
    def needs_login(self) -> bool:
        """Whether the account is signed out."""
        return self.status is AccountStatus.RECONNECTION_REQUIRED

    @property
    def session_id(self) -> str | None:
        """The id of the latest session, over or not."""
        return None if self.session is None else self.session.id

    def active_session(self) -> Session | None:
        """Return the session that is not over; an account has at most one."""
        session = self.session
        if session is None:
            return None
        session.expire_if_due()
        return session if session.is_active else None

    def end_session(self, how: SessionStatus = SessionStatus.CANCELLED) -> None:
        """Put the session that is not over, if there is one, into the status *how*."""
        session = self.active_session()
        if session is not None:
            session.move(how)

    def log_in(self) -> None:
        """Make a signed-out account active, once as many polls as assumed have passed."""
        if not self.needs_login:
            return
        if self.runtime.assumptions.reconnection_moves_connected_at:
            self.connected_at = self.runtime.now()
        self.settling = self.runtime.assumptions.lag_polls
        if not self.settling:
            self.activate()

    def sign_out(self) -> None:
        """Let LinkedIn sign the account out: it needs a reconnection."""
        self.status = AccountStatus.RECONNECTION_REQUIRED
        self.settling = None

    def activate(self) -> None:
        """Make the account active, whatever was wrong."""
        self.end_session()
        self.status = AccountStatus.ACTIVE
        self.settling = None

    def freeze(self) -> None:
        """Freeze the account for want of a seat; a login in progress ends."""
        self.end_session()
        if not self.is_frozen:
            self.thawed_status = self.status
        self.status = AccountStatus.FROZEN
        self.settling = None

    def listed(self, session: Session | None) -> dict[str, Any]:
        """Describe the account as `accounts.getAll` does, with the *session* that it shows."""
        fields: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "url": self.url,
            "avatarUrl": self.avatar_url,
            "headline": self.headline,
            "countryCode": self.country,
            "identificationToken": self.identification_token,
            "status": self.status,
            "connectedAt": timestamp(self.connected_at),
        }
        if session is not None:
            fields["reconnectionSessionId"] = session.id
            fields["reconnectionLink"] = session.link
        fields |= self.patch
        return {key: value for key, value in fields.items() if key not in self.without}

    def as_json(self) -> dict[str, Any]:
        """Describe the account to the control API, without its identification token."""
        shown = {name: getattr(self, name) for name in SHOWN}
        return shown | {"connected_at": timestamp(self.connected_at)}
