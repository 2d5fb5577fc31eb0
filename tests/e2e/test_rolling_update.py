"""Three real monitors on one PostgreSQL, replaced one after the other while accounts sign out.

CHAOS_WORKSPACES=300 lets there be so many, at an interval of a minute. With -s it prints figures.
"""

import asyncio
import os
import random
import sys

from harness.books import books
from harness.chaos import Chaos, Pace
from harness.linked_api import linked_api, now
from harness.replicas import Settings, Shares, replicas

BY_HAND = "CHAOS_WORKSPACES" in os.environ
WORKSPACES = int(os.environ.get("CHAOS_WORKSPACES", "36"))
EVERY = 60 if BY_HAND else 20
PACE = Pace(trouble=0.5, lasts=(1, 30))


async def test_a_rolling_update_leaves_no_workspace_alone_for_long(tmp_path, postgres_url):
    async with linked_api(tmp_path) as api, books() as receivers:
        await api.add(WORKSPACES, accounts=2)
        settings = Settings(api.address, receivers, EVERY, sizes=(WORKSPACES,))
        async with (
            replicas(tmp_path, postgres_url, settings) as monitors,
            Shares.of(postgres_url) as shares,
        ):
            for monitor in monitors:
                await monitor.start()
            await shares.until_fair(WORKSPACES, monitors)
            chaos = Chaos(api, receivers, monitors, PACE, random.Random(7), versions=1)
            async with chaos.accounts_alone():
                began, without = now(), []
                for monitor in monitors:
                    stopping = asyncio.create_task(monitor.stop())
                    held = shares.until_held(WORKSPACES, without=monitor.name, within=20)
                    without.append(await held)  # a lease that has to lapse takes longer
                    await stopping
                    await monitor.start()
                    await monitor.ready()
                await api.until_looked(since=now(), within=2 * EVERY)
            for monitor in monitors:
                await monitor.stop()

    gap, workspace = max(api.gaps(since=began))
    taken = ", ".join(f"{span:.1f} s" for span in without)
    sys.stdout.write(f"\nlongest gap {gap / EVERY:.2f} intervals ({workspace}); taken in {taken}\n")
    assert gap <= 1.5 * EVERY
    assert max(without) <= 3 or not BY_HAND
