import asyncio
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import hypothesis
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.duration import Duration
from monitor.schedule import PollSettings, Schedule, _Cron, _Every, spread

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = Duration.parse("1s")


def settings(every="50ms", jitter="0ms"):
    """Poll settings with an interval shorter than people may write."""
    return PollSettings.model_construct(every=Duration.parse(every), jitter=Duration.parse(jitter))


class Wakes:
    """Counts wakes and lets a test wait for the next ones."""

    def __init__(self):
        self.count = 0
        self._event = asyncio.Event()

    def __call__(self):
        self.count += 1
        self._event.set()

    async def reach(self, count):
        async with asyncio.timeout(10):
            while self.count < count:
                self._event.clear()
                await self._event.wait()


@pytest.fixture
async def schedule():
    made = Schedule()
    yield made
    made.stop()
    await asyncio.sleep(0)  # APScheduler ends in the next turn of the loop


async def test_wakes_again_and_again(schedule):
    wakes = Wakes()
    schedule.add("acme", settings(), wakes, 0)

    schedule.start()

    await wakes.reach(3)


async def test_an_entry_may_be_added_while_it_runs(schedule):
    wakes = Wakes()
    schedule.start()

    schedule.add("acme", settings(), wakes, 0)

    await wakes.reach(2)


async def test_wakes_come_on_the_event_loop(schedule):
    threads = []
    wakes = Wakes()
    schedule.add("acme", settings(), lambda: (threads.append(threading.get_ident()), wakes()), 0)

    schedule.start()

    await wakes.reach(1)
    assert threads[0] == threading.get_ident()


async def test_the_first_wake_comes_after_the_offset(schedule):
    first, second = Wakes(), Wakes()
    schedule.add("later", settings(every="1h"), second, 0.2)
    schedule.add("now", settings(every="1h"), first, 0)
    began = asyncio.get_running_loop().time()

    schedule.start()

    await first.reach(1)
    assert second.count == 0
    await second.reach(1)
    assert asyncio.get_running_loop().time() - began >= 0.19


async def test_no_wake_is_lost_when_a_thousand_are_due_at_once(schedule):
    woken = set()
    wakes = Wakes()
    for number in range(1000):
        schedule.add(
            f"w{number}", settings(every="1h"), lambda n=number: (woken.add(n), wakes()), 0
        )

    schedule.start()

    await wakes.reach(1000)
    assert len(woken) == 1000


async def test_wakes_missed_while_the_loop_was_busy_collapse_into_one(schedule):
    wakes = Wakes()
    schedule.add("acme", settings(every="200ms"), wakes, 0)
    schedule.start()
    await wakes.reach(1)

    time.sleep(1)  # noqa: ASYNC251 - this is the busy loop
    before = wakes.count
    await wakes.reach(before + 1)
    for _ in range(5):
        await asyncio.sleep(0)

    assert wakes.count == before + 1


async def test_a_wake_that_comes_late_is_not_dropped(schedule):
    """APScheduler's own default gives up what is more than a second late."""
    wakes = Wakes()
    schedule.add("acme", settings(every="1h"), wakes, 0.05)
    schedule.start()

    time.sleep(1.2)  # noqa: ASYNC251 - this is the busy loop

    await wakes.reach(1)


async def test_a_wake_that_fails_stops_neither_itself_nor_others(schedule):
    wakes = Wakes()
    others = Wakes()

    def fail():
        wakes()
        raise RuntimeError("no")

    schedule.add("bad", settings(), fail, 0)
    schedule.add("good", settings(), others, 0)

    schedule.start()

    await wakes.reach(2)
    await others.reach(2)


async def test_an_entry_added_again_is_replaced(schedule):
    old, new = Wakes(), Wakes()
    schedule.add("acme", settings(), old, 0)
    schedule.add("acme", settings(), new, 0)

    schedule.start()

    await new.reach(3)
    assert old.count == 0


async def test_nobody_is_woken_after_the_stop(schedule):
    wakes = Wakes()
    schedule.add("acme", settings(), wakes, 0)
    schedule.start()
    await wakes.reach(1)

    schedule.stop()
    schedule.stop()
    before = wakes.count
    other = Schedule()
    beats = Wakes()
    other.add("beat", settings(), beats, 0)
    other.start()
    await beats.reach(4)
    other.stop()

    assert wakes.count == before


async def test_a_schedule_that_never_started_can_be_stopped():
    Schedule().stop()


async def test_a_clock_that_went_back_an_hour_holds_nobody_up(schedule):
    """What is due an hour ahead, by a clock an hour ahead, is what stepping back leaves behind."""
    wakes = Wakes()
    schedule.add("acme", settings(every="1s"), wakes, 0)
    schedule.start()
    await wakes.reach(1)
    scheduler = schedule._scheduler

    with structlog.testing.capture_logs() as logs:
        scheduler.get_job("acme").trigger._start += timedelta(hours=1)
        scheduler._ahead += timedelta(hours=1)
        scheduler.modify_job("acme", next_run_time=datetime.now(UTC) + timedelta(hours=1))  # noqa: TID251
        await wakes.reach(2)

    assert [one["event"] for one in logs] == ["the clock went back"]


# ── the grid ─────────────────────────────────────────────────────────────────────────────────────


def test_jitter_puts_off_each_wake_but_never_the_next_ones():
    trigger = _Every(60, 10, iter([5.0, 0.0, 4.0]).__next__)
    due = trigger.get_next_fire_time(None, NOON)
    points = [due]

    for _ in range(3):
        due = trigger.get_next_fire_time(due, due)
        points.append(due)

    assert [(one - NOON).total_seconds() for one in points] == [10, 75, 130, 194]


def test_days_asleep_are_one_wake():
    trigger = _Every(60, 0, lambda: 0.0)
    first = trigger.get_next_fire_time(None, NOON)

    due = trigger.get_next_fire_time(first, NOON + timedelta(days=3, seconds=20))

    assert due == NOON + timedelta(days=3, seconds=60)


def test_jitter_is_at_most_a_quarter_of_the_interval():
    schedule = Schedule(jitter=lambda: 1.0)

    schedule.add("short", settings(every="4s", jitter="5s"), Wakes(), 0)
    schedule.add("long", settings(every="60s", jitter="5s"), Wakes(), 0)

    jobs = {job.id: job.trigger for job in schedule._scheduler.get_jobs()}
    assert (jobs["short"]._jitter(), jobs["long"]._jitter()) == (1.0, 5.0)


def test_starts_are_spread_over_the_interval():
    starts = [spread(index, 4, Duration.parse("60s")) for index in range(4)]

    assert starts == [0, 15, 30, 45]
    assert spread(0, 0, SECOND) == 0


def test_polls_are_a_second_or_more_apart():
    with pytest.raises(ValueError, match="1s or longer"):
        PollSettings(every="999ms")


# ── crontabs ─────────────────────────────────────────────────────────────────────────────────────

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def micros(moment):
    return round(moment.timestamp()) * 1_000_000


def dues(cron, start, count, timezone="UTC"):
    """The next times after *start*, as they follow from one another, in *timezone*."""
    poll = PollSettings(cron=cron, timezone=timezone)
    at, found = micros(start), []
    for _ in range(count):
        due = poll.next_due(at)
        assert due > at
        found.append(datetime.fromtimestamp(due // 1_000_000, ZoneInfo(timezone)))
        at = due
    return found


def days(cron, start=NOON, count=7):
    return [f"{one:%a %d}".lower() for one in dues(cron, start, count)]


def values(field, first, last, names=()):
    """Every value that a field of a crontab names: an independent reading of crontab(5)."""
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        if span == "*":
            low, high = first, last
        elif not high:
            high = last if step else low
        low, high = (
            names.index(one) + (names is MONTHS) if one in names else int(one)
            for one in (low, high)
        )
        found |= set(range(low, high + 1, int(step or 1)))
    return found


def first_after(cron, start, days):
    """Go through *days* after *start*, hour by hour and minute by minute."""
    minute, hour, *rest = cron.split()
    times = sorted((h, m) for h in values(hour, 0, 23) for m in values(minute, 0, 59))
    midnight = start.replace(hour=0, minute=0)
    for date in (midnight + timedelta(days=passed) for passed in range(days)):
        for h, m in times if names_day(rest, date) else ():
            if (due := date.replace(hour=h, minute=m)) > start:
                return due
    return None


def names_day(fields, date):
    """Whether the last three *fields* of a crontab name the day of *date*."""
    day, month, weekday = fields
    join = all if "*" in (day[0], weekday[0]) else any
    of_week = {one % 7 for one in values(weekday, 0, 6, DAYS)}
    return date.month in values(month, 1, 12, MONTHS) and join(
        (date.day in values(day, 1, 31), date.isoweekday() % 7 in of_week)
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
    one = st.one_of(numbers.map(str), words, spans, stepped, ranged)
    starred = st.one_of(st.just("*"), st.integers(1, (last - first) // 2).map("*/{}".format))
    return st.one_of(starred, st.lists(one, min_size=1, max_size=3).map(",".join))


CRONTABS = st.tuples(
    fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12, MONTHS), fields(0, 7, DAYS)
).map(" ".join)


@hypothesis.settings(deadline=None)  # APScheduler may look for years
@given(cron=CRONTABS, start=st.integers(0, 366 * 24 * 60))
def test_a_crontab_is_due_at_the_minutes_that_its_fields_name_and_at_no_others(cron, start):
    try:
        poll = PollSettings(cron=cron)
    except ValueError as error:
        assert "there is no such date" in str(error)  # noqa: PT017 - the only reason there can be
        return
    began = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(minutes=start)
    expected = first_after(cron, began, 400)

    due = datetime.fromtimestamp(poll.next_due(micros(began)) // 1_000_000, UTC)

    assert due == expected if expected else due > began + timedelta(days=398)


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"]


@hypothesis.settings(deadline=None)
@given(
    cron=st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), st.just("*"), fields(0, 7, DAYS)),
    zone=st.sampled_from(ZONES),
    day=st.integers(0, 364),
    minute=st.integers(0, 24 * 60),
)
@hypothesis.example(cron=("0", "0", "*", "*", "*"), zone="Europe/Berlin", day=87, minute=0)
@hypothesis.example(cron=("30", "2", "*", "*", "*"), zone="Europe/Berlin", day=86, minute=0)
@hypothesis.example(cron=("30", "2", "*", "*", "*"), zone="Europe/Berlin", day=303, minute=45)
@hypothesis.example(cron=("*/20", "2", "*", "*", "*"), zone="Europe/Berlin", day=86, minute=1500)
@hypothesis.example(cron=("0", "0", "*", "*", "*"), zone="America/Santiago", day=246, minute=0)
def test_a_crontab_goes_by_clocks_that_are_changed(cron, zone, day, minute):
    poll = PollSettings(cron=" ".join(cron), timezone=zone)
    began = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(days=day, minutes=minute)
    after = [began + timedelta(minutes=passed) for passed in range(1, 4 * 24 * 60)]
    expected = next((one for one in after if is_due(cron, one, ZoneInfo(zone))), None)

    due = datetime.fromtimestamp(poll.next_due(micros(began)) // 1_000_000, UTC)

    assert due == expected if expected else due > after[-1]


def is_due(cron, moment, zone):
    """Whether the clocks of *zone* show a time of *cron*, or are put forward over one."""
    now = moment.astimezone(zone).replace(tzinfo=None)
    before = (moment - timedelta(minutes=1)).astimezone(zone).replace(tzinfo=None)
    passed = max(1, round((now - before).total_seconds()) // 60)
    return any(names(cron, now - timedelta(minutes=one)) for one in range(passed))


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
    found = {one[:3] for one in days(f"0 0 * * {weekday}", count=14)}

    assert found == set(expected)


def test_a_day_of_the_month_and_a_weekday_are_alternatives_unless_one_starts_with_a_star():
    either = days("0 0 13 * fri", datetime(2026, 11, 1, tzinfo=UTC), 6)
    starred = days("0 0 */13 * fri", datetime(2026, 11, 1, tzinfo=UTC), 2)

    assert either == ["fri 06", "fri 13", "fri 20", "fri 27", "fri 04", "fri 11"]
    assert days("0 0 13 * fri", datetime(2026, 12, 12, tzinfo=UTC), 2) == ["sun 13", "fri 18"]
    assert starred == ["fri 27", "fri 01"]


def test_a_leap_day_comes_even_after_eight_years():
    (due,) = dues("0 0 29 2 *", datetime(2096, 3, 1, tzinfo=UTC), 1)

    assert due == datetime(2104, 2, 29, tzinfo=UTC)


def test_a_crontab_goes_by_its_time_zone():
    (due,) = dues("0 8 * * *", NOON, 1, "Asia/Kolkata")

    assert due.astimezone(UTC) == datetime(2026, 11, 24, 2, 30, tzinfo=UTC)


def test_what_falls_into_the_hour_that_is_skipped_comes_once_when_the_clocks_change():
    daily = dues("30 2 * * *", datetime(2027, 3, 27, 12, tzinfo=UTC), 2, "Europe/Berlin")
    often = dues("*/30 * * * *", datetime(2027, 3, 28, 0, 20, tzinfo=UTC), 3, "Europe/Berlin")

    assert [one.astimezone(UTC).strftime("%d %H:%M") for one in daily] == ["28 01:00", "29 00:30"]
    assert [f"{one:%H:%M}" for one in often] == ["01:30", "03:00", "03:30"]


def test_the_hour_that_comes_twice_is_gone_through_twice():
    often = dues("*/30 2-3 * * *", datetime(2026, 10, 24, 23, tzinfo=UTC), 6, "Europe/Berlin")

    assert [f"{one:%H:%M %Z}" for one in often] == [
        *("02:00 CEST", "02:30 CEST", "02:00 CET", "02:30 CET", "03:00 CET", "03:30 CET"),
    ]


@pytest.mark.parametrize("jitter", [0.0, 1.0])
@pytest.mark.parametrize(
    "change", [datetime(2026, 10, 25, tzinfo=UTC), datetime(2027, 3, 28, tzinfo=UTC)]
)
def test_no_wake_lies_in_the_past_when_summer_time_begins_or_ends(change, jitter):
    """APScheduler would wait for it without end, and everybody with it."""
    schedule = Schedule(jitter=lambda: jitter)
    poll = PollSettings(cron="*/7 * * * *", timezone="Europe/Berlin")
    schedule.add("acme", poll, Wakes(), 0)
    trigger = schedule._scheduler.get_jobs()[0].trigger

    for minute in range(-180, 360):
        now = change + timedelta(minutes=minute)
        assert timedelta(0) < trigger.get_next_fire_time(now, now) - now <= timedelta(minutes=7.1)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("* * * *", "must be five fields"),
        ("* * * * * *", "must be five fields"),
        ("", "must be five fields"),
        ("60 * * * *", "the minute '60' cannot be read"),
        ("*/0 * * * *", "the minute '*/0' cannot be read"),
        ("* 24 * * *", "the hour '24' cannot be read"),
        ("* * 0 * *", "the day of month '0' cannot be read"),
        ("* * 32 * *", "the day of month '32' cannot be read"),
        ("* * * 13 *", "the month '13' cannot be read"),
        ("* * * mon *", "the month 'mon' cannot be read"),
        ("* * * * 8", "the weekday '8' cannot be read"),
        ("* * * * 12", "the weekday '12' cannot be read"),
        ("* * * * mon/0", "the weekday 'mon/0' cannot be read"),
        ("* * * * mon/-1,tue", "the weekday 'mon/-1' cannot be read"),
        ("* * * * mon,", "the weekday '' cannot be read"),
        ("* * * * monday", "the weekday 'monday' cannot be read"),
        ("0 0 30 feb *", "there is no such date"),
        ("0 0 31 4,6,9,11 *", "there is no such date"),
    ],
)
def test_a_crontab_that_cannot_be_read_says_where(cron, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        PollSettings(cron=cron)


def test_a_day_that_never_comes_is_fine_beside_a_weekday():
    assert days("0 0 30 2 mon", datetime(2027, 2, 1, tzinfo=UTC), 1) == ["mon 08"]


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_a_time_zone_that_nobody_knows_is_refused(timezone):
    with pytest.raises(ValueError, match="must be a time zone"):
        PollSettings(timezone=timezone)


def test_there_is_one_rhythm():
    with pytest.raises(ValueError, match="both every and cron"):
        PollSettings(every="1m", cron="* * * * *")


def test_the_next_poll_is_due_as_the_rhythm_says():
    noon = micros(NOON)

    assert PollSettings(every="90s").next_due(noon) == noon + 90_000_000
    assert PollSettings(cron="0 * * * *").next_due(noon) == noon + 3_600_000_000
    assert PollSettings(cron="0 * * * *").next_due(noon - 1) == noon


def test_a_crontab_is_due_soon_after_the_start_and_then_when_it_says():
    trigger = _Cron(PollSettings(cron="0 8 * * *").next_due, 20, iter([3.0, 0.0]).__next__)

    first = trigger.get_next_fire_time(None, NOON)
    second = trigger.get_next_fire_time(first, first)
    third = trigger.get_next_fire_time(second, second)

    assert first == NOON + timedelta(seconds=20)
    assert second == datetime(2026, 11, 24, 8, 0, 3, tzinfo=UTC)
    assert third == datetime(2026, 11, 25, 8, tzinfo=UTC)


def test_the_jitter_of_a_crontab_is_at_most_a_quarter_of_a_minute():
    schedule = Schedule(jitter=lambda: 1.0)

    for name, jitter in (("long", "1h"), ("short", "5s")):
        schedule.add(name, PollSettings(cron="0 0 * * *", jitter=jitter), Wakes(), 0)

    jobs = {job.id: job.trigger for job in schedule._scheduler.get_jobs()}
    assert (jobs["long"]._jitter(), jobs["short"]._jitter()) == (15.0, 5.0)


async def test_a_crontab_wakes_first_of_all_soon_after_the_start(schedule):
    wakes = Wakes()
    schedule.add("acme", PollSettings(cron="0 0 1 1 *"), wakes, 0)

    schedule.start()

    await wakes.reach(1)


async def test_a_crontab_goes_on_from_the_present_after_the_clock_went_back(schedule):
    wakes = Wakes()
    schedule.add("acme", PollSettings(cron="* * * * *", jitter="0s"), wakes, 0)
    schedule.start()
    await wakes.reach(1)
    scheduler = schedule._scheduler
    later = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 - the clock that APScheduler reads

    with structlog.testing.capture_logs() as logs:
        scheduler._ahead += timedelta(hours=1)
        scheduler.modify_job("acme", next_run_time=later)
        async with asyncio.timeout(10):
            while scheduler.get_job("acme").next_run_time >= later - timedelta(minutes=58):
                scheduler.wakeup()
                await asyncio.sleep(0.01)

    assert [one["event"] for one in logs] == ["the clock went back"]


async def test_who_was_removed_is_woken_no_more(schedule):
    gone, kept = Wakes(), Wakes()
    schedule.add("gone", settings(), gone, 0)
    schedule.add("kept", settings(), kept, 0)
    schedule.start()
    await gone.reach(1)

    schedule.remove("gone")
    before = gone.count
    await kept.reach(kept.count + 4)

    assert gone.count == before
