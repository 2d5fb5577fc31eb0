"""How long to wait before trying again: what we think, and what a server asks for.

Jitter is an argument: a number from 0 to 1.
"""

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from .duration import Duration
from .model import Cause, Failure, Micros

FIRST_BACKOFF: Final = Duration.parse("5s")
MAX_BACKOFF: Final = Duration.parse("15m")
MAX_PAUSE: Final = Duration.parse("5m")
UNANSWERED_WAIT: Final = Duration.parse("60s")
"""How long at least nothing is repeated that may have arrived."""

DOUBTFUL_FOR: Final = Duration.parse("3m")
"""How long at least a refusal that is doubtful has to last to be believed."""

RATE_LIMIT_PAUSE: Final = Duration.parse("30s")

_SECONDS: Final = re.compile(r"[0-9]{1,300}")


def delivery_backoff(attempts: int, *, jitter: float, ambiguous: bool) -> Duration:
    """Return the wait after attempt number *attempts* failed: 5 s doubling up to 15 min.

    Half of it is jitter; one that may have arrived is not repeated within a minute.
    """
    full = min(FIRST_BACKOFF * 2 ** min(max(attempts, 1) - 1, 16), MAX_BACKOFF)
    least = UNANSWERED_WAIT if ambiguous else Duration(0)
    return Duration(max(int(full * (0.5 + jitter / 2)), least))


def receiver_pause(
    failing_for: Duration | None, *, jitter: float, retry_after: Duration | None
) -> Duration:
    """Return how long a receiver is left alone that has been failing for so long.

    As long again, from 5 s to 5 min, but for the first failure (None), which may be due to the
    message; half of it is jitter. What the receiver asked for is the least.
    """
    full = 0 if failing_for is None else min(max(failing_for, FIRST_BACKOFF), MAX_PAUSE)
    return Duration(max(int(full * (0.5 + jitter / 2)), retry_after or 0))


@dataclass(frozen=True, slots=True)
class PollBackoff:
    """What a failed poll is followed by: no poll at all for *pause*, and one after *repeat*.

    *repeat* is None if the schedule brings one as soon.
    """

    pause: Duration
    repeat: Duration | None


def poll_backoff(
    failure: Failure, failed_polls: int, *, every: Duration, jitter: float
) -> PollBackoff:
    """Return what follows the *failure* of the latest of so many failed polls in a row.

    It is repeated after 5 s, then ever later up to the interval or 15 min. A rejected token makes
    the schedule wait, too, and so does a rate limit: for as long as it says, or for 30 to 60 s.
    """
    full = min(FIRST_BACKOFF * 2 ** min(failed_polls - 1, 16), MAX_BACKOFF)
    wait = delivery_backoff(failed_polls, jitter=jitter, ambiguous=False)
    wait = max(wait, failure.retry_after or wait)
    pause = Duration(failure.retry_after or 0)
    if failure.cause is Cause.TOKEN_REJECTED:
        pause = wait
    elif failure.cause is Cause.RATE_LIMITED and not pause:
        pause = Duration(int(RATE_LIMIT_PAUSE * (1 + jitter)))
    return PollBackoff(pause, None if full >= every else max(wait, pause))


def http_date(text: str) -> Micros | None:
    """Read a date as HTTP writes it; None where it is missing or makes no sense."""
    try:
        moment = parsedate_to_datetime(text)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1_000_000
    except (ValueError, TypeError, OverflowError):
        return None


def retry_after(text: str, *, now: Micros | None, limit: Duration) -> Duration | None:
    """Read the header `Retry-After`, at most *limit*; None if it makes no sense or names no time.

    It is a number of seconds, or a date, which needs to know what time it is *now*.
    """
    text = text.strip()
    wait = 0
    if _SECONDS.fullmatch(text):
        wait = int(text) * 1_000_000
    elif now is not None and (until := http_date(text)) is not None:
        wait = until - now
    return Duration(min(wait, limit)) if wait > 0 else None
