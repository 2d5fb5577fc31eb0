import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import structlog

from monitor.core.duration import Duration
from monitor.cron import next_time
from monitor.schedule import Entry, Intervals, Schedule, _Trigger, spread

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = Duration.parse("60s")
HOUR = Duration.parse("1h")


def delays(*seconds):
    """Jitter that was drawn beforehand."""
    return map(timedelta, (0,) * len(seconds), seconds).__next__


def intervals(*names, every="60s", jitter="0s", offset="0s", draw=lambda: 1.0):
    """Entries that all begin at 0."""
    made = Intervals(draw)
    for name in names:
        spans = map(Duration.parse, (every, jitter, offset))
        made.add(Entry(name, lambda: None, *spans))
    made.begin_all(0)
    return made


def take_due(made, at):
    """The names of those that are due *at* so many seconds after the start."""
    return [entry.name for entry in made.take_due(int(at * 1_000_000))]


def due_in(made):
    """In what second after the start something is due next."""
    return made.next_due() / 1_000_000


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
    add(schedule, "later", second, rhythm="1s", offset=0.2)
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
    add(schedule, "acme", wakes, rhythm="200ms", offset=0.05)
    schedule.start()

    time.sleep(1.2)  # noqa: ASYNC251 - this is the busy loop

    await wakes.reach(1)


@pytest.mark.parametrize("rhythm", ["50ms", lambda after: after + 50_000])
async def test_a_wake_that_fails_stops_neither_itself_nor_others(schedule, rhythm):
    wakes, good = Wakes(), Wakes()

    def fail():
        wakes()
        raise RuntimeError("no")

    add(schedule, "bad", fail, rhythm=rhythm)
    add(schedule, "good", good, rhythm=rhythm)

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
@pytest.mark.parametrize("before", ["50ms", lambda after: after + 50_000])
@pytest.mark.parametrize("after", ["50ms", lambda after: after + 50_000])
async def test_an_entry_added_again_is_replaced(schedule, is_running, before, after):
    old, new = Wakes(), Wakes()
    if is_running:
        schedule.start()
    add(schedule, "acme", old, rhythm=before)
    add(schedule, "acme", new, rhythm=after)

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


@pytest.mark.parametrize("rhythm", ["50ms", lambda after: after + 50_000])
async def test_who_was_removed_is_woken_no_more(schedule, rhythm):
    gone, kept = Wakes(), Wakes()
    add(schedule, "gone", gone, rhythm=rhythm)
    add(schedule, "kept", kept)
    schedule.start()
    await gone.reach(1)

    schedule.remove("gone")
    before = gone.count
    await kept.reach(kept.count + 4)

    assert gone.count == before


async def test_who_comes_while_all_others_wait_is_not_kept_waiting(schedule):
    wakes = Wakes()
    add(schedule, "later", Wakes(), rhythm="1h", offset=3600)
    schedule.start()
    await asyncio.sleep(0)

    add(schedule, "acme", wakes)

    await wakes.reach(3)


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
        schedule._intervals.follow_clock(int(later.timestamp() * 1_000_000))
        for job in scheduler.get_jobs():
            job.modify(next_run_time=later)
        scheduler._ahead += timedelta(hours=1)
        async with asyncio.timeout(10):
            while min(job.next_run_time for job in scheduler.get_jobs()) >= later - timedelta(
                minutes=58
            ):
                scheduler.wakeup()
                await asyncio.sleep(0.01)
        if rhythm == "1s":
            await wakes.reach(wakes.count + 2)

    assert [line["event"] for line in logs] == ["the clock went back"]


# ── when a wake is due ───────────────────────────────────────────────────────────────────────────


def test_jitter_puts_off_each_wake_but_never_the_next_ones():
    made = intervals("acme", jitter="5s", offset="10s", draw=iter([1.0, 0.0, 0.8]).__next__)
    points = [due_in(made)]

    for _ in range(3):
        assert take_due(made, points[-1]) == ["acme"]
        points.append(due_in(made))

    assert points == [10, 74, 130, 194]


def test_the_end_of_its_second_puts_off_no_wake_by_more_than_its_jitter():
    made = intervals("acme", jitter="5s", offset="10400ms")
    assert take_due(made, 11) == ["acme"]

    assert due_in(made) == 75, "not after 10.4 + 60 + 5"


def test_those_that_are_due_in_one_second_come_together_at_its_end():
    made = intervals("a", jitter="5s", draw=lambda: 0.3)
    for name, offset in (("b", "700ms"), ("c", "1s"), ("d", "1001ms")):
        entry = Entry(name, lambda: None, MINUTE, Duration(0), Duration.parse(offset))
        made.add(entry)
        made.begin(entry, 0)

    assert take_due(made, 0) == ["a"]
    assert take_due(made, 0.999) == []
    assert take_due(made, 1.0) == ["b", "c"]
    assert take_due(made, 2.0) == ["d"]
    assert [take_due(made, at) for at in (60.9, 61, 61.9, 62)] == [[], ["b", "c"], [], ["a", "d"]]


def test_what_comes_every_second_waits_for_a_quarter_of_it_at_most():
    made = intervals("acme", every="1s", offset="10ms")

    assert due_in(made) == 0.25


def test_days_asleep_are_one_wake():
    made = intervals("acme")

    assert take_due(made, 3 * 86_400 + 20) == ["acme"]
    assert due_in(made) == 3 * 86_400 + 60


def test_after_the_clock_went_back_all_are_due_within_an_interval():
    made = intervals("acme", "beta", jitter="5s")
    assert len(take_due(made, 0)) == 2

    made.follow_clock(-HOUR - 1)

    assert due_in(made) == -3600 + 4
    assert len(take_due(made, -3600 + 4)) == 2


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

    if isinstance(rhythm, str):
        assert schedule._intervals._entries["acme"].jitter == longest * 1_000_000
    else:
        assert schedule._crontabs["acme"].trigger._jitter() == timedelta(seconds=longest)


def test_starts_are_spread_over_the_interval():
    starts = [spread(index, 4, Duration.parse("60s")) for index in range(4)]

    assert starts == [0, 15, 30, 45]


def test_a_crontab_is_due_soon_after_the_start_and_then_when_it_says():
    trigger = _Trigger(cron("0 8 * * tue,wed"), Duration.parse("20s"), delays(3, 0))

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
    trigger = schedule._crontabs["acme"].trigger

    for minute in range(-180, 360):
        now = change + timedelta(minutes=minute)
        assert timedelta(0) < trigger.get_next_fire_time(now, now) - now <= timedelta(minutes=7.1)
