import re
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.duration import Duration
from monitor.cron import check_cron, next_time, window

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def micros(moment):
    return round(moment.timestamp()) * 1_000_000


def next_datetime(cron, start, timezone="UTC"):
    due = next_time(cron, micros(start), timezone)
    return datetime.fromtimestamp(due // 1_000_000, ZoneInfo(timezone))


def times(cron, start, count, timezone="UTC"):
    """The next times after *start*, as they follow from one another, in *timezone*."""
    due_times = []
    for _ in range(count):
        due = next_datetime(cron, start, timezone)
        assert due.astimezone(UTC) > start.astimezone(UTC)
        due_times.append(due)
        start = due
    return due_times


def days(cron, start=NOON, count=7):
    return [f"{due:%a %d}".lower() for due in times(cron, start, count)]


@cache
def values(field, first, last, names=()):
    """Every value that a field of a crontab names: an independent reading of crontab(5)."""
    numbers = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        if span == "*":
            low, high = first, last
        elif not high:
            high = last if step else low
        low, high = (
            names.index(word) + (names is MONTHS) if word in names else int(word)
            for word in (low, high)
        )
        numbers |= set(range(low, high + 1, int(step or 1)))
    return numbers


def names_day(fields, date):
    """Whether the last three *fields* of a crontab name the day of *date*."""
    day, month, weekday = fields
    join = all if "*" in (day[0], weekday[0]) else any
    weekdays = {number % 7 for number in values(weekday, 0, 6, DAYS)}
    return date.month in values(month, 1, 12, MONTHS) and join(
        (date.day in values(day, 1, 31), date.isoweekday() % 7 in weekdays)
    )


def fields(first, last, names=()):
    """Fields of a crontab: numbers or names, ranges, steps, lists and stars."""
    numbers = st.integers(first, last)
    words = st.sampled_from(names) if names else st.nothing()
    spans = st.tuples(numbers, numbers).map(sorted).map(lambda two: f"{two[0]}-{two[1]}")
    steps = st.integers(1, 3)
    stepped = st.tuples(st.integers(first, last - 4), steps).map(lambda two: f"{two[0]}/{two[1]}")
    ranged = st.tuples(st.integers(first, last - 4), steps).map(
        lambda two: f"{two[0]}-{two[0] + 3}/{two[1]}"
    )
    item = st.one_of(numbers.map(str), words, spans, stepped, ranged)
    starred = st.one_of(st.just("*"), st.integers(1, (last - first) // 2).map("*/{}".format))
    return st.one_of(starred, st.lists(item, min_size=1, max_size=3).map(",".join))


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"]


@pytest.mark.slow
@hypothesis.settings(deadline=None)
@given(
    cron=st.tuples(
        fields(0, 59),
        fields(0, 23),
        fields(1, 31),
        st.just("*") | fields(1, 12, MONTHS),
        fields(0, 7, DAYS),
    ),
    zone=st.sampled_from(ZONES),
    day=st.integers(0, 364),
    minute=st.integers(0, 24 * 60),
)
@hypothesis.example(cron=("0", "0", "*", "*", "*"), zone="Europe/Berlin", day=87, minute=0)
@hypothesis.example(cron=("30", "2", "*", "*", "*"), zone="Europe/Berlin", day=86, minute=0)
@hypothesis.example(cron=("30", "2", "*", "*", "*"), zone="Europe/Berlin", day=303, minute=45)
@hypothesis.example(cron=("30", "2", "*", "*", "*"), zone="Europe/Berlin", day=303, minute=75)
@hypothesis.example(cron=("*/20", "2", "*", "*", "*"), zone="Europe/Berlin", day=86, minute=1500)
@hypothesis.example(cron=("*/30", "2-3", "*", "*", "*"), zone="Europe/Berlin", day=303, minute=35)
@hypothesis.example(cron=("*/15", "2", "*", "*", "*"), zone="Australia/Lord_Howe", day=92, minute=0)
@hypothesis.example(cron=("0", "0", "*", "*", "*"), zone="America/Santiago", day=246, minute=0)
def test_a_crontab_is_due_at_the_minutes_that_it_names_and_at_no_others(cron, zone, day, minute):
    """By clocks that may change meanwhile."""
    try:
        check_cron(" ".join(cron))
    except ValueError as error:
        assert "there is no such date" in str(error)  # noqa: PT017 - no other reason
        return
    began = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(days=day, minutes=minute)
    after = [began + timedelta(minutes=passed) for passed in range(1, 4 * 24 * 60)]
    expected = next((moment for moment in after if is_due(cron, moment, ZoneInfo(zone))), None)

    due = next_datetime(" ".join(cron), began, zone).astimezone(UTC)

    assert due == expected if expected else due > after[-1]


def is_due(cron, moment, zone):
    """Whether the clocks of *zone* show a time of *cron*, or are put forward over one.

    Of what they show twice, fixed times are due the first time only.
    """
    local = moment.astimezone(zone)
    now = local.replace(tzinfo=None)
    before = (moment - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None)
    passed = max(1, round((now - before).total_seconds()) // 60)
    is_repeated = local.fold == 1 and not any(field.startswith("*") for field in cron[:2])
    return not is_repeated and any(
        names(cron, now - timedelta(minutes=skipped)) for skipped in range(passed)
    )


def names(cron, wall):
    minute, hour, *rest = cron
    is_time = wall.minute in values(minute, 0, 59) and wall.hour in values(hour, 0, 23)
    return is_time and names_day(rest, wall)


@pytest.mark.parametrize(
    ("weekday", "expected"),
    [
        ("0", ["sun"]),
        ("7", ["sun"]),
        ("1-5", ["mon", "tue", "wed", "thu", "fri"]),
        ("5-7", ["fri", "sat", "sun"]),
        ("7-2", ["sun", "mon", "tue"]),
        ("fri-mon", ["fri", "sat", "sun", "mon"]),
        ("FRI-Mon/2", ["fri", "sun"]),
        ("*/2", ["sun", "tue", "thu", "sat"]),
        ("1/2", ["mon", "wed", "fri"]),
        ("mon,3,fri-sat", ["mon", "wed", "fri", "sat"]),
    ],
)
def test_weekdays_are_counted_from_sunday_and_may_go_round(weekday, expected):
    weekdays = {day[:3] for day in days(f"0 0 * * {weekday}", count=14)}

    assert weekdays == set(expected)


@pytest.mark.parametrize(
    ("cron", "last", "expected"), [("0 0 29 2 *", 2096, 2104), ("0 0 29 2 */7", 2088, 2128)]
)
def test_a_leap_day_comes_even_after_forty_years(cron, last, expected):
    due = next_datetime(cron, datetime(last, 3, 1, tzinfo=UTC))

    assert due == datetime(expected, 2, 29, tzinfo=UTC)


def test_the_next_time_is_later_than_the_one_asked_about_to_the_microsecond():
    noon = micros(NOON)

    assert next_time("0 * * * *", noon, "UTC") == noon + 3_600_000_000
    assert next_time("0 * * * *", noon - 1, "UTC") == noon


@pytest.mark.parametrize(
    ("cron", "problem"),
    [
        ("* * * *", "must be five fields"),
        ("* * * * * *", "must be five fields"),
        ("", "must be five fields"),
        ("60 * * * *", "the minute '60' cannot be read"),
        ("*/0 * * * *", "the minute '*/0' cannot be read"),
        ("*/60 * * * *", "the minute '*/60' cannot be read"),
        ("+1 * * * *", "the minute '+1' cannot be read"),
        pytest.param("9" * 5000 + " * * * *", f"the minute '{'9' * 20}' cannot be read", id="long"),
        ("* 24 * * *", "the hour '24' cannot be read"),
        ("* 1,24,3 * * *", "the hour '24' cannot be read"),
        ("* 22-2 * * *", "the hour '22-2' cannot be read"),
        ("* * 0 * *", "the day of month '0' cannot be read"),
        ("* * 32 * *", "the day of month '32' cannot be read"),
        ("* * L * *", "the day of month 'L' cannot be read"),
        ("* * LW * *", "the day of month 'LW' cannot be read"),
        ("* * * */12 *", "the month '*/12' cannot be read"),
        ("* * * 13 *", "the month '13' cannot be read"),
        ("* * * mon *", "the month 'mon' cannot be read"),
        ("* * * * 8", "the weekday '8' cannot be read"),
        ("* * * * */8", "the weekday '*/8' cannot be read"),
        ("* * * * 12", "the weekday '12' cannot be read"),
        ("* * * * 5L", "the weekday '5L' cannot be read"),
        ("* * * * mon#2", "the weekday 'mon#2' cannot be read"),
        ("* * * * mon/0", "the weekday 'mon/0' cannot be read"),
        ("* * * * mon/-1,tue", "the weekday 'mon/-1' cannot be read"),
        ("* * * * mon,", "the weekday '' cannot be read"),
        ("* * * * monday", "the weekday 'monday' cannot be read"),
        ("0 0 30 feb *", "there is no such date"),
        ("0 0 31 4,6,9,11 *", "there is no such date"),
    ],
)
def test_a_crontab_that_cannot_be_read_says_where(cron, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        check_cron(cron)


@pytest.mark.parametrize(
    "cron", ["*/59 * * * *", "* */23 * * *", "* * */30 * *", "* * * */11 *", "* * * * */7"]
)
def test_the_largest_step_of_a_field_can_be_read(cron):
    assert check_cron(cron) == cron


def test_a_day_that_never_comes_is_fine_beside_a_weekday():
    assert days("0 0 30 2 mon", datetime(2027, 2, 1, tzinfo=UTC), 1) == ["mon 08"]


NIGHT = "0 22 * * *"


@pytest.mark.parametrize(
    ("hour", "starts", "until"),
    [(21, 22, 30), (22, 22, 30), (29, 22, 30), (30, 46, 54), (46, 46, 54)],
)
def test_a_window_holds_the_present_or_is_the_next_one(hour, starts, until):
    midnight = micros(NOON.replace(hour=0))
    hours = 3_600_000_000

    present = window(NIGHT, Duration.parse("8h"), "UTC", midnight + hour * hours)

    assert present == (midnight + starts * hours, midnight + until * hours)


def test_windows_that_overlap_or_touch_are_one():
    start = micros(NOON)
    hour = 3_600_000_000

    assert window("0 9-12 * * *", Duration(hour), "UTC", start) == (start, start + hour)
    assert window("0 10-14 * * *", Duration(hour), "UTC", start)[1] == start + 3 * hour
    assert window("*/10 * * * *", Duration(hour), "UTC", start)[1] > start + 10 * hour


def test_a_night_is_as_long_as_it_lasts_where_the_clocks_change():
    berlin = ZoneInfo("Europe/Berlin")
    before = micros(datetime(2026, 10, 24, 23, tzinfo=berlin))

    starts, until = window(NIGHT, Duration.parse("8h"), "Europe/Berlin", before)

    assert datetime.fromtimestamp(starts // 1_000_000, berlin).hour == 22
    assert datetime.fromtimestamp(until // 1_000_000, berlin).hour == 5
