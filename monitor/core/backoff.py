"""How long to wait before trying again: what we think, and what a server asks for.

Jitter is an argument: a number from 0 to 1.
"""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from .duration import Duration
from .model import Cause, FailureStreak, Micros

FIRST_BACKOFF: Final = Duration.parse("5s")
MAX_BACKOFF: Final = Duration.parse("15m")
MAX_PAUSE: Final = Duration.parse("5m")
UNANSWERED_WAIT: Final = Duration.parse("60s")
"""How long at least nothing is repeated that may have arrived."""

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


def poll_backoff(failing: FailureStreak | None, *, every: Duration, jitter: float) -> Duration:
    """Return how long polls are left out after the latest one failed.

    A rejected token is asked about ever less often, up to every 15 min, and a rate limit that names
    no time is given 30 to 60 s. Nothing else makes us wait longer than the schedule does.
    """
    if failing is None:
        return Duration(0)
    if failing.cause is Cause.TOKEN_REJECTED and failing.cause_polls >= 2:
        return Duration(min(every * 2 ** min(failing.cause_polls - 1, 16), MAX_BACKOFF))
    if failing.cause is Cause.RATE_LIMITED:
        return Duration(int(Duration.parse("30s") * (1 + jitter)))
    return Duration(0)


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
