"""The errors at the monitor's boundaries. Each knows whether a retry can help.

    MonitorError                what a person must know; its text says what to do
     ├── SetupError             the configuration or its surroundings can't be used
     ├── ActError               what a person asked for can't be done
     ├── ApiError               Linked API refused or could not be reached
     └── DeliveryError          a notifier could not hand its message over

No text in here may hold a secret: raise `from None` where the cause could.
"""

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

from .duration import Duration
from .model import Cause


class MonitorError(Exception):
    """Something a person must know about; the text says what to do."""


def first_error(error: Exception) -> Exception:
    """Return what a person must know first of all that *error* stands for: it may be a group."""
    while isinstance(error, ExceptionGroup):
        group = error.subgroup(MonitorError) or error
        error = group.exceptions[0]
    return error


class SetupError(MonitorError):
    """The configuration, or what surrounds the program, can't be used as it is."""


class ActError(MonitorError):
    """What a person asked for can't be done, as things are."""


class AttemptReason(StrEnum):
    """Why an attempt to deliver ended as it did: the label `reason` of the metrics."""

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    SERVER = "server"
    CLIENT = "client"
    AUTH = "auth"
    NETWORK = "network"
    TIMEOUT = "timeout"


class Remedy(StrEnum):
    """What can help after an attempt to deliver failed.

    `retry`: it may pass by itself; `mend`: somebody has to mend the receiver (its access, channel
    or address is gone), and until then it takes nothing; `drop`: nothing, this message is wrong.
    """

    RETRY = "retry"
    MEND = "mend"
    DROP = "drop"


@dataclass(eq=False, repr=False)
class DeliveryError(MonitorError):
    """A notifier could not hand its message over.

    *remedy* says what can help; *ambiguous* that the request left and no answer came, so that the
    message may have arrived; *retry_after* is what the receiver asked for. What is *doubtful* may
    have been said of a moment, or by somebody on the way: its remedy counts once nothing else was
    said for a while, and until then it may pass by itself.
    """

    message: str
    _: KW_ONLY
    reason: AttemptReason
    remedy: Remedy = Remedy.RETRY
    ambiguous: bool = False
    doubtful: bool = False
    retry_after: Duration | None = None

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False, repr=False)
class ApiError(MonitorError):
    """Linked API refused a call or could not be reached.

    *cause* is what it means for the workspace; *type* the API's own `error.type` where it gave one;
    *ambiguous* that the request left and its outcome is unknown.
    """

    message: str
    _: KW_ONLY
    cause: Cause
    type: str | None = None
    ambiguous: bool = False
    retry_after: Duration | None = None
