"""What people do: an act, and the way that it comes to us."""

from dataclasses import dataclass
from enum import StrEnum

from .model import Micros


class ActKind(StrEnum):
    """What a person can do."""

    ACK = "ack"
    UNACK = "unack"
    MUTE = "mute"
    END_MUTE = "end_mute"
    RECONNECT = "reconnect"
    RETRY = "retry"
    CANCEL = "cancel"
    ACCEPT = "accept"
    FORGET = "forget"


class Way(StrEnum):
    """How an act comes to us."""

    CLI = "cli"
    SLACK = "slack"
    PAGE = "page"
    API = "api"


@dataclass(frozen=True, slots=True)
class Act:
    """What a person did, and who: *actor* in their *way*, which *login* says who the system knows.

    It is about one *subject* of a *workspace*, or several (then *detail* says which), or neither.
    """

    id: str
    at: Micros
    act: ActKind
    way: Way
    actor: str
    login: str | None = None
    workspace: str | None = None
    subject: str | None = None
    reason: str = ""
    detail: str = ""

    @property
    def claimed_by(self) -> str | None:
        """Whose *login* it was, if that is another name than the one that was given."""
        is_same = self.login is None or self.login.partition("@")[0] == self.actor
        return None if is_same else self.login
