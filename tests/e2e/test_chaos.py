"""Three real monitors on one PostgreSQL, whatever befalls them: nothing is lost, little repeated.

CHAOS_SECONDS=1200 CHAOS_WORKSPACES=300 lets it go on for longer, with more workspaces and faults
that last; CHAOS_SEED is which. With -s it prints what happened.
"""

import asyncio
import os
import random
import sys

from harness.audit import Audit
from harness.books import books
from harness.chaos import Chaos, Pace
from harness.linked_api import linked_api, now
from harness.replicas import Settings, Shares, replicas

SECONDS = float(os.environ.get("CHAOS_SECONDS", "0"))
WORKSPACES = int(os.environ.get("CHAOS_WORKSPACES", "12"))
SEED = int(os.environ.get("CHAOS_SEED", "7"))
ACCOUNTS = 3

SHORT = Pace(  # after a kill it takes two minutes until what was being sent has come again
    faults=("update", "freeze", "cut"),
    trouble=0.2,
    lasts=(1, 8),
    fault=2.0,
    frozen=(1, 3),
    cut=(1, 3),
    receiver=3.0,
    moody=(1, 2),
    moods=("failing", "away"),
    older=(2, 4),
)


async def test_nothing_is_lost_and_only_what_was_in_flight_is_repeated(tmp_path, postgres_url):
    moments = random.Random(SEED)
    async with linked_api(tmp_path) as api, books() as receivers:
        await api.add(WORKSPACES, ACCOUNTS)
        sizes = tuple(WORKSPACES * part // 10 for part in (8, 9, 10))
        settings = Settings(api.address, receivers, every=5 if SECONDS else 2, sizes=sizes)
        async with replicas(tmp_path, postgres_url, settings) as monitors:
            for monitor in monitors:
                await monitor.start(clock=moments.choice(Pace.clocks))
            for monitor in monitors:
                await monitor.ready()
            pace = Pace() if SECONDS else SHORT
            began = now()
            chaos = Chaos(api, receivers, monitors, pace, moments, versions=len(sizes))
            async with chaos.going_on():
                await asyncio.sleep(SECONDS or 12)
            async with Shares.of(postgres_url) as shares:
                await shares.until_quiet(within=600 if SECONDS else 120)
                held = await shares.until_fair(WORKSPACES, monitors, within=120)
                quiet_since = now()
                await asyncio.sleep(60 if SECONDS else 0)
                claimed = {monitor.name: await monitor.held() for monitor in monitors}
                await api.read_log()
                audit = Audit(api, receivers, monitors, settings.every, began)
                await shares.store.read(audit.run)
                audit.check_quiet(quiet_since)
            audit.counts |= {"reloads": chaos.reloads, "updates": chaos.updates}
            sys.stdout.write(f"\n{audit.report()}\nshares {held}\n")
            for monitor in monitors:
                await monitor.stop()

    assert audit.wrong == []
    assert audit.counts["incidents"] >= 5, "too little happened to prove anything"
    assert claimed == held
    for monitor in monitors:
        assert "Traceback" not in monitor.output
        assert "failed unexpectedly" not in monitor.output
