import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import structlog

from monitor.core.duration import Duration
from monitor.cron import next_time
from monitor.schedule import Schedule, _Trigger, spread

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = Duration.parse("60s")


def delays(*seconds):
    """Jitter that was drawn beforehand."""
    return map(timedelta, (0,) * len(seconds), seconds).__next__


def cron(expression, timezone="UTC"):
    return partial(next_time, expression, timezone=timezone)


def add(schedule, name, wake, *, rhythm="50ms", jitter="0s", offset=0):
    """Add an entry; its *rhythm* is an interval, or returns the next time after a time."""
    if isinstance(rhythm, str):
        rhythm = Duration.parse(rhythm)
    schedule.add(name, wake, rhythm=rhythm, jitter=Duration.parse(jitter), offset=offset)


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


async def test_wakes_come_again_and_again_on_the_event_loop(schedule):
    threads = set()
    wakes = Wakes()
    add(schedule, "acme", lambda: (threads.add(threading.get_ident()), wakes()))

    schedule.start()

    await wakes.reach(3)
    assert threads == {threading.get_ident()}


async def test_the_first_wake_comes_after_the_offset(schedule):
    first, second = Wakes(), Wakes()
    add(schedule, "later", second, rhythm="1h", offset=0.2)
    add(schedule, "now", first, rhythm="1h")
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
        add(schedule, f"w{number}", lambda n=number: (woken.add(n), wakes()), rhythm="1h")

    schedule.start()

    await wakes.reach(1000)
    assert len(woken) == 1000


async def test_wakes_missed_while_the_loop_was_busy_collapse_into_one(schedule):
    wakes = Wakes()
    add(schedule, "acme", wakes, rhythm="200ms")
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
    add(schedule, "acme", wakes, rhythm="1h", offset=0.05)
    schedule.start()

    time.sleep(1.2)  # noqa: ASYNC251 - this is the busy loop

    await wakes.reach(1)


async def test_a_wake_that_fails_stops_neither_itself_nor_others(schedule):
    wakes, good = Wakes(), Wakes()

    def fail():
        wakes()
        raise RuntimeError("no")

    add(schedule, "bad", fail)
    add(schedule, "good", good)

    schedule.start()

    await wakes.reach(2)
    await good.reach(2)


async def test_a_rhythm_that_fails_stops_nobody_for_good(schedule, monkeypatch):
    monkeypatch.setattr("monitor.schedule._RETRY", 0.02)
    failures, wakes = iter([OverflowError("date value out of range")]), Wakes()

    def next_due(after):
        for error in failures:
            raise error
        return after + 20_000

    add(schedule, "odd", wakes, rhythm=next_due)
    with structlog.testing.capture_logs() as logs:
        schedule.start()
        await wakes.reach(3)

    assert [entry["event"] for entry in logs] == ["wakes failed; they are tried again"]


@pytest.mark.parametrize("is_running", [False, True])
async def test_an_entry_added_again_is_replaced(schedule, is_running):
    old, new = Wakes(), Wakes()
    if is_running:
        schedule.start()
    add(schedule, "acme", old)
    add(schedule, "acme", new)

    if not is_running:
        schedule.start()

    await new.reach(3)
    assert old.count == 0


async def test_nobody_is_woken_after_the_stop(schedule):
    wakes = Wakes()
    add(schedule, "acme", wakes)
    schedule.start()
    await wakes.reach(1)

    schedule.stop()
    schedule.stop()
    before = wakes.count
    await asyncio.sleep(0.2)  # four times as long as until the next

    assert wakes.count == before


async def test_who_was_removed_is_woken_no_more(schedule):
    gone, kept = Wakes(), Wakes()
    add(schedule, "gone", gone)
    add(schedule, "kept", kept)
    schedule.start()
    await gone.reach(1)

    schedule.remove("gone")
    before = gone.count
    await kept.reach(kept.count + 4)

    assert gone.count == before


async def test_a_schedule_that_never_started_can_be_stopped():
    Schedule().stop()


@pytest.mark.parametrize("rhythm", ["1s", cron("* * * * *")], ids=["interval", "crontab"])
async def test_a_clock_that_went_back_an_hour_holds_nobody_up(schedule, rhythm):
    """What is due an hour ahead, by a clock an hour ahead, is what stepping back leaves behind."""
    wakes = Wakes()
    add(schedule, "acme", wakes, rhythm=rhythm)
    schedule.start()
    await wakes.reach(1)
    scheduler = schedule._scheduler
    later = datetime.now(UTC) + timedelta(hours=1)  # noqa: TID251 - the clock that APScheduler reads

    with structlog.testing.capture_logs() as logs:
        scheduler.get_job("acme").trigger._start += timedelta(hours=1)
        scheduler._ahead += timedelta(hours=1)
        scheduler.modify_job("acme", next_run_time=later)
        async with asyncio.timeout(10):
            while scheduler.get_job("acme").next_run_time >= later - timedelta(minutes=58):
                scheduler.wakeup()
                await asyncio.sleep(0.01)

    assert [line["event"] for line in logs] == ["the clock went back"]


# ── when a wake is due ───────────────────────────────────────────────────────────────────────────


def test_jitter_puts_off_each_wake_but_never_the_next_ones():
    trigger = _Trigger(MINUTE, 10, delays(5, 0, 4))
    due = trigger.get_next_fire_time(None, NOON)
    points = [due]

    for _ in range(3):
        due = trigger.get_next_fire_time(due, due)
        points.append(due)

    assert [(point - NOON).total_seconds() for point in points] == [10, 75, 130, 194]


def test_days_asleep_are_one_wake():
    trigger = _Trigger(MINUTE, 0, timedelta)
    first = trigger.get_next_fire_time(None, NOON)

    due = trigger.get_next_fire_time(first, NOON + timedelta(days=3, seconds=20))

    assert due == NOON + timedelta(days=3, seconds=60)


@pytest.mark.parametrize(
    ("rhythm", "jitter", "longest"),
    [
        ("4s", "5s", 1),
        ("60s", "5s", 5),
        (cron("0 0 * * *"), "1h", 15),
        (cron("0 0 * * *"), "5s", 5),
    ],
)
def test_jitter_is_at_most_a_quarter_of_the_interval_or_of_a_minute(rhythm, jitter, longest):
    schedule = Schedule(jitter=lambda: 1.0)

    add(schedule, "acme", Wakes(), rhythm=rhythm, jitter=jitter)

    (job,) = schedule._scheduler.get_jobs()
    assert job.trigger._jitter() == timedelta(seconds=longest)


def test_starts_are_spread_over_the_interval():
    starts = [spread(index, 4, Duration.parse("60s")) for index in range(4)]

    assert starts == [0, 15, 30, 45]


def test_a_crontab_is_due_soon_after_the_start_and_then_when_it_says():
    trigger = _Trigger(cron("0 8 * * tue,wed"), 20, delays(3, 0))

    first = trigger.get_next_fire_time(None, NOON)
    second = trigger.get_next_fire_time(first, first)
    third = trigger.get_next_fire_time(second, second)

    assert first == NOON + timedelta(seconds=20)
    assert second == datetime(2026, 11, 24, 8, 0, 3, tzinfo=UTC)
    assert third == datetime(2026, 11, 25, 8, tzinfo=UTC)


@pytest.mark.parametrize("jitter", ["0s", "5s"])
@pytest.mark.parametrize(
    "change", [datetime(2026, 10, 25, tzinfo=UTC), datetime(2027, 3, 28, tzinfo=UTC)]
)
def test_no_wake_lies_in_the_past_when_summer_time_begins_or_ends(change, jitter):
    """APScheduler would wait for it without end, and everybody with it."""
    schedule = Schedule(jitter=lambda: 1.0)
    add(schedule, "acme", Wakes(), rhythm=cron("*/7 * * * *", "Europe/Berlin"), jitter=jitter)
    trigger = schedule._scheduler.get_jobs()[0].trigger

    for minute in range(-180, 360):
        now = change + timedelta(minutes=minute)
        assert timedelta(0) < trigger.get_next_fire_time(now, now) - now <= timedelta(minutes=7.1)
