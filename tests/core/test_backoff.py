"""How long to wait before trying again."""

from monitor.core.backoff import MAX_BACKOFF, delivery_backoff, poll_backoff
from monitor.core.duration import Duration
from monitor.core.model import Cause, FailureStreak


def test_a_delivery_waits_longer_each_time_but_not_for_ever():
    pauses = [delivery_backoff(n, jitter=1.0, retry_after=None) for n in range(1, 20)]

    assert pauses[0] == Duration.parse("5s")
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_BACKOFF


def test_half_of_a_pause_is_jitter_and_retry_after_is_the_least():
    assert delivery_backoff(1, jitter=0.0, retry_after=None) == Duration.parse("5s") // 2
    asked = Duration.parse("1h")
    assert delivery_backoff(1, jitter=1.0, retry_after=asked) == asked


def failing(cause, polls):
    return FailureStreak(cause, "", 0, polls)


def test_polls_pause_for_a_rejected_token_and_a_rate_limit_only():
    every = Duration.parse("1m")

    def pause(failed):
        return poll_backoff(failed, every=every, jitter=0.5)

    assert pause(None) == 0
    assert pause(failing(Cause.UNREACHABLE, 9)) == 0
    assert pause(failing(Cause.TOKEN_REJECTED, 1)) == 0
    assert pause(failing(Cause.TOKEN_REJECTED, 2)) == 2 * every
    assert pause(failing(Cause.TOKEN_REJECTED, 99)) == MAX_BACKOFF
    assert pause(failing(Cause.RATE_LIMITED, 1)) == Duration.parse("45s")
