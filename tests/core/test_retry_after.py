"""How long a server asks us to wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.duration import Duration
from monitor.core.retry_after import http_date, retry_after

NOON = http_date("Mon, 23 Nov 2026 12:00:00 GMT")
HOUR = Duration.parse("1h")


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
