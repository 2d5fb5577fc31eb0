"""Spans of time as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from monitor.core.duration import MICROSECONDS, Duration, humanize, humanize_between


class Settings(BaseModel):
    every: Duration = Duration.parse("1m")


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [("500ms", 500_000), ("30s", 30_000_000), ("5m", 300_000_000), ("2h", 7_200_000_000)],
)
def test_a_duration_is_written_with_its_unit(text, microseconds):
    assert Duration.parse(text) == microseconds
    assert str(Duration(microseconds)) == text
    assert Duration.parse(text).seconds == microseconds / 1_000_000


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "1.5h", "5M", "٣s", "1w", 60, None])
def test_anything_else_is_no_duration(text):
    with pytest.raises(ValidationError, match="duration such as 30s"):
        Settings(every=text)


def test_a_text_that_is_no_duration_is_shown_in_part():
    with pytest.raises(ValueError, match=f"not '{'9' * 40}'$"):
        Duration.parse("9" * 50)


@given(st.integers(1, 999), st.sampled_from(sorted(MICROSECONDS)))
def test_a_duration_reads_back_what_it_writes(count, unit):
    duration = Duration(count * MICROSECONDS[unit])

    assert Duration.parse(str(duration)) == duration
    assert TypeAdapter(Duration).validate_python(duration) is duration


def test_odd_durations_can_be_written_too():
    assert str(Duration(0)) == "0s"
    assert str(Duration(1)) == "1us"
    assert repr(Duration.parse("1m")) == "Duration('1m')"
    assert Settings.model_json_schema()["properties"]["every"]["type"] == "string"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("0s", "0 s"),
        ("59s", "59 s"),
        ("60s", "1 min"),
        ("125m", "2 h 5 min"),
        ("24h", "1 d"),
        ("1445m", "1 d"),
        ("1810m", "1 d 6 h"),
        ("89s", "1 min"),
        ("90s", "2 min"),
        ("1469m", "1 d"),
        ("1470m", "1 d 1 h"),
        ("2850m", "2 d"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units_to_the_nearest(text, shown):
    assert humanize(Duration.parse(text)) == shown


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        ("9:00:50", "11:00:10", "2 h"),
        ("9:00:01", "9:00:59", "58 s"),
        ("9:00:59", "9:02:00", "2 min"),
        ("9:00:59", "9:01:01", "2 s"),
    ],
)
def test_a_span_is_not_less_than_the_two_times_that_people_see_beside_it(start, end, shown):
    start, end = (
        sum(int(n) * size for n, size in zip(at.split(":"), (3600, 60, 1), strict=True))
        for at in (start, end)
    )

    assert humanize_between(start * 1_000_000, end * 1_000_000) == shown


def test_a_span_is_never_negative():
    assert humanize(-5) == "0 s"
