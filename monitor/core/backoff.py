"""How long to wait before trying again. Jitter is an argument: a number from 0 to 1."""

from dataclasses import dataclass
from typing import Final

from .duration import Duration
from .model import Cause, Failure

FIRST_BACKOFF: Final = Duration.parse("5s")
MAX_BACKOFF: Final = Duration.parse("15m")
RATE_LIMIT_PAUSE: Final = Duration.parse("30s")


def delivery_backoff(attempts: int, *, jitter: float, retry_after: Duration | None) -> Duration:
    """Return the wait after attempt number *attempts* failed: 5 s doubling up to 15 min.

    Half of it is jitter; what the receiver asked for is the least.
    """
    full = min(FIRST_BACKOFF * 2 ** min(max(attempts, 1) - 1, 16), MAX_BACKOFF)
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
    wait = delivery_backoff(failed_polls, jitter=jitter, retry_after=failure.retry_after)
    pause = Duration(failure.retry_after or 0)
    if failure.cause is Cause.TOKEN_REJECTED:
        pause = wait
    elif failure.cause is Cause.RATE_LIMITED and not pause:
        pause = Duration(int(RATE_LIMIT_PAUSE * (1 + jitter)))
    return PollBackoff(pause, None if full >= every else max(wait, pause))
