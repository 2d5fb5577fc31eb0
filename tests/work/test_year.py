"""A year in seconds: what people are told of many accounts, by a real store and all units of work.

YEAR_ACCOUNTS=100 or 1000 lets it be that many; YEAR_SEED is which year. With -s it prints who was
told how often of what, and three messages picked at random.
"""

import asyncio
import logging
import os
import random
import sys

import pytest
import structlog
from harness.year import People, Year

ACCOUNTS = int(os.environ.get("YEAR_ACCOUNTS", "24"))
SEED = int(os.environ.get("YEAR_SEED", "7"))
CRASH_EVERY = 200


async def live_through(folder, crash_every=0):
    """Let the year pass, in *folder*."""
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    year = Year(folder, People(ACCOUNTS, SEED), crash_every)
    await year.run()
    await year.units.close()
    return year


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The year in which nothing befalls the monitor."""
    return asyncio.run(live_through(tmp_path_factory.mktemp("year")))


@pytest.mark.slow
@pytest.mark.case("mute ends while still bad", "acknowledged", "escalation step due")
def test_in_a_year_everybody_is_told_in_pairs_and_nobody_too_much(undisturbed):
    sys.stdout.write(f"\n{undisturbed.table()}\n")
    for message in undisturbed.picked(random.Random(SEED)):
        sys.stdout.write(f"\n{message}\n")

    assert undisturbed.wrong == []
    events = {event for _, _, event in undisturbed.events}
    assert events >= {"opened", "reminded", "escalated", "resolved"}, "too little happened"
    assert len(undisturbed.steps_done) > ACCOUNTS // 10


@pytest.mark.slow
@pytest.mark.case("crash between send and settle")
async def test_a_year_of_crashes_tells_people_the_same(undisturbed, tmp_path):
    year = await live_through(tmp_path, CRASH_EVERY)
    sys.stdout.write(f"\n{year.units.crashes} crashes, {year.repeated} messages were repeated\n")

    assert year.wrong == []
    assert year.what_was_told() == undisturbed.what_was_told()
    assert year.repeated <= year.units.crashes
