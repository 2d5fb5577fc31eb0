"""How long to wait before trying again."""

import pytest

from monitor.core.backoff import (
    MAX_BACKOFF,
    MAX_PAUSE,
    UNANSWERED_WAIT,
    delivery_backoff,
    poll_backoff,
    receiver_pause,
)
from monitor.core.duration import Duration
from monitor.core.model import Cause, FailureStreak


def test_a_delivery_waits_longer_each_time_but_not_for_ever():
    pauses = [delivery_backoff(n, jitter=1.0, ambiguous=False) for n in range(1, 20)]

    assert pauses[0] == Duration.parse("5s")
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_BACKOFF


@pytest.mark.case("minute after an attempt without an answer")
def test_half_of_a_wait_is_jitter_and_what_may_have_arrived_is_not_repeated_within_a_minute():
    assert delivery_backoff(1, jitter=0.0, ambiguous=False) == Duration.parse("5s") // 2
    assert delivery_backoff(1, jitter=1.0, ambiguous=True) == UNANSWERED_WAIT
    assert delivery_backoff(9, jitter=1.0, ambiguous=True) > UNANSWERED_WAIT


@pytest.mark.parametrize(
    ("failing_for", "asked", "pause"),
    [
        (None, None, "0s"),
        (None, "1h", "1h"),
        ("0s", None, "5s"),
        ("1m", None, "1m"),
        ("3d", None, str(MAX_PAUSE)),
        ("1m", "10s", "1m"),
    ],
)
def test_a_receiver_is_left_alone_as_long_as_it_has_been_failing(failing_for, asked, pause):
    failing_for, asked = (span and Duration.parse(span) for span in (failing_for, asked))

    assert receiver_pause(failing_for, jitter=1.0, retry_after=asked) == Duration.parse(pause)


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
