import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from monitor.core.duration import Duration
from monitor.schedule import PollSettings, Schedule, _Every, spread

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
