"""An attempt that nobody answered: it never left, or it may have arrived."""

from monitor.core.errors import AttemptReason, DeliveryError
from monitor.net.failure import IN_TIME


def unanswered(text: str, *, sent: bool, late: bool, why: str = "") -> DeliveryError:
    """Say what an attempt without an answer means: once anything of it was *sent*, ambiguity.

    *text* says how it ended unless it was too *late*; *why* says why there was no connection.
    """
    if not sent:
        why = why or (IN_TIME if late else "")
        text = "could not be reached" + (f": {why}" if why else "")
        return DeliveryError(text, reason=AttemptReason.NETWORK)
    text = "gave no answer in time" if late else text
    reason = AttemptReason.TIMEOUT if late else AttemptReason.NETWORK
    return DeliveryError(f"{text}; it may have arrived", reason=reason, ambiguous=True)
