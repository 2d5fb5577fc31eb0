"""A session: the login that a person makes behind a link.

pending → preparing → serving → streaming → success; from each of the first four also expired,
error and cancelled.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from .runtime import Runtime, timestamp


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
