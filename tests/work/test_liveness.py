"""How old a look at a workspace may be, and when it is written."""

import asyncio
import threading
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from harness.answers import html_page
from harness.core import MINUTE
from harness.faults import failing_writes
from harness.leases import hold
from harness.poll import poll_harness
from harness.program import until
from sqlalchemy import text

from monitor.config.settings import PollSettings
from monitor.core.duration import Duration
from monitor.store.db import LeaseLostError, StoreError
from monitor.work.liveness import write_liveness


async def test_only_what_was_looked_at_lately_is_current(tmp_path):
    async with poll_harness(tmp_path) as harness:
        assert not harness.is_fresh()
        await harness.poll()
        assert harness.is_fresh()
        harness.now += Duration.parse("8h")  # asleep
        assert not harness.is_fresh()
        harness.simulator.faults.add(html_page(status=502))
        await harness.poll()
        assert not harness.is_fresh()  # nobody knows


@pytest.mark.parametrize("why", ["lapsed", "suspended", "taken again"])
async def test_a_look_that_others_wait_for_is_written_at_once_though_it_is_quiet(harness, why):
    if why == "lapsed":
        harness.now += Duration.parse("1h")
    elif why == "suspended":
        harness.poller.forget_look()
        await harness.write_liveness()
    else:
        harness.take()
    assert not harness.is_fresh()

    await harness.poll()

    assert harness.is_fresh()
    assert harness.poller.unwritten is None


async def test_a_suspended_host_forgets_its_looks_but_not_when_all_was_well(harness):
    await harness.poll()

    harness.poller.forget_look()
    await harness.write_liveness()

    assert not harness.is_fresh()
    assert harness.last_good_at() == harness.now


async def test_a_poll_that_ends_while_the_last_one_is_written_is_written_later(harness):
    await harness.poll()
    being_written = harness.poller.unwritten
    await harness.poll()

    harness.poller.mark_written(being_written)
    await harness.write_liveness()

    assert harness.last_good_at() == harness.now


async def test_blindness_that_is_held_after_a_poll_has_shown_it_is_let_go_by_the_next(harness):
    harness.simulator.faults.add(html_page(status=502))
    assert await harness.poll(7) == [("opened", "unreachable")]
    harness.poller.forget_look()
    await harness.poll()
    await harness.write_liveness()
    waits = text("SELECT waits FROM message")
    assert harness.store.run_now(lambda tx: tx.execute(waits).scalars().all()) == ["look"]

    await harness.poll()

    assert harness.store.run_now(lambda tx: tx.execute(waits).scalars().all()) == [None]


@asynccontextmanager
async def a_look_that_waits_to_be_recorded(harness):
    """A poll whose commit waits for its turn; give the queue, and what ends the wait."""
    may_write, waiting = threading.Event(), harness.store._writing._threads._work
    async with asyncio.TaskGroup() as group:
        group.create_task(harness.store.run(lambda _: may_write.wait()))
        group.create_task(harness.poll())
        await until(waiting.qsize)
        yield group, waiting, may_write


async def test_what_is_forgotten_before_a_look_is_not_written_after_it(harness):
    harness.poller.forget_look()
    async with a_look_that_waits_to_be_recorded(harness) as (group, waiting, may_write):
        writing = group.create_task(harness.write_liveness())
        await until(lambda: writing.done() or waiting.qsize() > 1)
        may_write.set()

    assert harness.is_fresh()


async def test_what_is_forgotten_while_a_look_is_recorded_stays_forgotten(harness):
    harness.poller.forget_look()
    async with a_look_that_waits_to_be_recorded(harness) as (_, _, may_write):
        harness.poller.forget_look()
        may_write.set()
    await harness.write_liveness()

    assert not harness.is_fresh()


async def test_when_all_was_well_is_not_forgotten_by_a_poll_that_fails(harness):
    await harness.poll(2)
    harness.simulator.faults.add(html_page(status=502))
    assert harness.poller.unwritten

    with failing_writes(harness.store), pytest.raises(StoreError):
        await harness.poll()
    await harness.poll()
    await harness.write_liveness()

    assert harness.last_good_at() == harness.now - 2 * MINUTE


async def test_a_look_of_an_older_term_is_not_written(harness):
    harness.store.run_now(lambda tx: hold(tx, "acme"))
    await harness.poll()

    await harness.write_liveness()

    assert not harness.is_fresh()


@pytest.mark.parametrize(("forgets", "waits"), [(False, "look"), (True, None)])
async def test_a_batch_of_an_older_term_lets_nothing_go_and_holds_nothing(harness, forgets, waits):
    harness.simulator.sign_out("acme", "a1")
    assert await harness.poll(2) == [("opened", "reconnection_required")]
    former = harness.poller
    assert former.unwritten
    if forgets:
        former.forget_look()
    harness.take()
    if forgets:
        await harness.poll()

    await write_liveness(harness.recorder, [former])

    waiting = text("SELECT waits FROM message")
    assert harness.store.run_now(lambda tx: tx.execute(waiting).scalars().all()) == [waits]


@pytest.mark.parametrize("then", ["quiet", "news", "failure"])
async def test_nothing_is_recorded_under_an_older_term(harness, then):
    await harness.poll()
    former = harness.poller
    harness.take()
    harness.poller = former
    if then == "news":
        harness.simulator.sign_out("acme", "a1")
    elif then == "failure":
        harness.simulator.faults.add(html_page(status=502))
    before = harness.recorded()

    with pytest.raises(LeaseLostError):
        await harness.poll(after=Duration.parse("1h"))

    assert harness.recorded() == before
    assert not harness.is_fresh()


@pytest.mark.parametrize(
    ("cron", "polled_after", "hours", "current"),
    [
        ("*/5 8-20 * * *", "1m", "10h", False),  # all afternoon without a poll
        ("0 8 * * *", "1m", "40h", True),  # until the poll of the day after tomorrow
        ("0 8 * * *", "1m", "45h", False),
        ("0 8 * * mon", "1m", "160h", True),
        # On Friday at 20:54, so the next is due at 20:55, then on Monday at 8.
        ("*/5 8-20 * * mon-fri", "6293m", "59h", True),
        ("*/5 8-20 * * mon-fri", "6293m", "62h", False),
    ],
)
async def test_how_old_a_look_may_be_goes_by_the_rhythm(
    harness, cron, polled_after, hours, current
):
    rules = replace(harness.poller.rules, next_due=PollSettings(cron=cron).next_due)
    harness.poller.reconfigure(rules, harness.source)
    await harness.poll(after=Duration.parse(polled_after))

    harness.now += Duration.parse(hours)

    assert harness.is_fresh() is current
