"""How long to wait before trying again."""

import pytest

from monitor.core.backoff import MAX_BACKOFF, delivery_backoff, poll_backoff
from monitor.core.duration import Duration
from monitor.core.model import Cause, Failure


def test_a_delivery_waits_longer_each_time_but_not_for_ever():
    pauses = [delivery_backoff(n, jitter=1.0, retry_after=None) for n in range(1, 20)]

    assert pauses[0] == Duration.parse("5s")
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_BACKOFF


def test_half_of_a_pause_is_jitter_and_retry_after_is_the_least():
    assert delivery_backoff(1, jitter=0.0, retry_after=None) == Duration.parse("5s") // 2
    asked = Duration.parse("1h")
    assert delivery_backoff(1, jitter=1.0, retry_after=asked) == asked


SECOND = Duration.parse("1s")
MINUTE = Duration.parse("1m")


def pauses(cause, count=12, *, every="1d", jitter=1.0, retry_after=None):
    """What follows each of *count* failed polls in a row: (pause, repeat)."""
    failure = Failure(cause, "", retry_after)
    every = Duration.parse(every)
    backoffs = [poll_backoff(failure, n + 1, every=every, jitter=jitter) for n in range(count)]
    return [(backoff.pause, backoff.repeat) for backoff in backoffs]


@pytest.mark.case("poll failed, repeated soon")
@pytest.mark.parametrize("cause", [Cause.UNREACHABLE, Cause.BAD_RESPONSE])
def test_a_failed_poll_is_repeated_ever_later_and_keeps_the_schedule_from_nothing(cause):
    seconds = [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]

    assert pauses(cause, 10) == [(0, Duration.parse(f"{wait}s")) for wait in seconds]


def test_what_the_schedule_brings_as_soon_is_not_repeated():
    repeats = [repeat for _, repeat in pauses(Cause.UNREACHABLE, 6, every="1m", jitter=0.0)]

    assert repeats == [*(Duration.parse("2500ms") * 2**n for n in range(4)), None, None]


@pytest.mark.case("token rotated in its file")
def test_a_rejected_token_makes_the_schedule_wait_too():
    backoffs = pauses(Cause.TOKEN_REJECTED, every="1m")

    assert [pause for pause, _ in backoffs] == [repeat for _, repeat in pauses(Cause.UNREACHABLE)]
    assert backoffs[-1] == (MAX_BACKOFF, None)


def test_a_rate_limit_is_given_the_time_it_names_or_half_a_minute_and_more():
    assert pauses(Cause.RATE_LIMITED, 1, jitter=0.5) == [(45 * SECOND, 45 * SECOND)]
    assert pauses(Cause.RATE_LIMITED, 1, retry_after=MINUTE) == [(MINUTE, MINUTE)]
    assert pauses(Cause.UNREACHABLE, 1, retry_after=MINUTE) == [(MINUTE, MINUTE)]
    assert pauses(Cause.RATE_LIMITED, 6)[-1] == (MINUTE, 160 * SECOND)
