"""Times of day, on days of any length."""

import pytest

from monitor.core.duration import Duration
from monitor.core.time_of_day import END_OF_TIME, TimeOfDay, parse_time

BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("at", "now", "then"),
    [
        ("00:00", "2026-10-25T00:00:01", "2026-10-26T00:00"),  # of 25 hours
        ("00:30", "2026-10-25T00:45", "2026-10-26T00:30"),
        ("02:30", "2026-10-24T12:00", "2026-10-25T02:30+02:00"),  # the first of two
        ("09:00", "2026-03-28T23:30", "2026-03-29T09:00"),  # of 23 hours
        ("02:30", "2026-03-28T12:00", "2026-03-29T03:30"),  # which the clocks skip
    ],
)
def test_a_day_later_is_the_next_day_however_long_it_is(at, now, then):
    moment = parse_time(now, BERLIN)

    later = TimeOfDay(at).on_day_of(moment, BERLIN, later=Duration.parse("1d"))

    assert later == parse_time(then, BERLIN)


@pytest.mark.parametrize(
    ("text", "at"),
    [("9999-12-31T23:59:59-12:00", END_OF_TIME), ("0001-01-01T00:00:00+14:00", 0)],
)
def test_a_time_can_be_written_as_a_date_everywhere(text, at):
    assert parse_time(text, BERLIN) == at
