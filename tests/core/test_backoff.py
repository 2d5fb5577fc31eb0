"""How long to wait before trying again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.backoff import (
    MAX_BACKOFF,
    MAX_PAUSE,
    UNANSWERED_WAIT,
    delivery_backoff,
    http_date,
    poll_backoff,
    receiver_pause,
    retry_after,
)
from monitor.core.duration import Duration
from monitor.core.model import Cause, Failure

NOON = http_date("Mon, 23 Nov 2026 12:00:00 GMT")
HOUR = Duration.parse("1h")


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


@pytest.mark.odd_input("rate limit with any Retry-After")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7", "7s"),
        (" 7 ", "7s"),
        ("86400", "1h"),
        ("9" * 300, "1h"),
        ("9" * 301, None),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("", None),
        ("Mon, 23 Nov 2026 12:01:30 GMT", "90s"),
        ("Mon, 23 Nov 2026 14:01:30 +0200", "90s"),
        ("Mon, 23 Nov 2026 12:01:30 -0000", "90s"),
        ("Tue, 24 Nov 2026 12:00:00 GMT", "1h"),
        ("Mon, 23 Nov 2026 12:00:00 GMT", None),
        ("Mon, 23 Nov 2026 11:00:00 GMT", None),
        ("Mon, 99 Nov 2026 11:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", "1h"),
    ],
)
def test_seconds_and_dates_are_read_within_reason(text, expected):
    wait = retry_after(text, now=NOON, limit=HOUR)

    assert wait == (expected and Duration.parse(expected))


def test_a_date_says_nothing_to_whoever_does_not_know_the_time():
    assert retry_after("Mon, 23 Nov 2026 12:01:30 GMT", now=None, limit=HOUR) is None
    assert retry_after("90", now=None, limit=HOUR) == Duration.parse("90s")


@given(st.text(max_size=40), st.none() | st.integers(-(10**18), 10**18))
def test_whatever_is_sent_the_wait_has_its_limits(text, now):
    wait = retry_after(text, now=now, limit=HOUR)

    assert wait is None or 0 < wait <= HOUR
