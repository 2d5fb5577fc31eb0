"""Promise 1 and 3 on the real program: stopped and killed at any moment, 20 times."""

import asyncio
import random

import pytest
from harness.program import answers
from harness.reconcile import NO_FLAPPING, reconcile, turn, until_quiet
from harness.running_monitor import install, simulated

from monitor.store.db import Store

ROUNDS = 20


@pytest.mark.case("crash between send and settle")
async def test_nothing_is_lost_and_nothing_repeated_but_attempts_in_flight(tmp_path):
    moments = random.Random(7)
    simulator = simulated(accounts=6)
    accounts = list(simulator.customer("acme").accounts)
    exits = []
    async with install(tmp_path, simulator, more=NO_FLAPPING) as installation:
        hook, health = installation.hook, f"{installation.endpoint}/healthz"
        hook.delay = 0.15
        for round_ in range(ROUNDS):
            async with installation.run() as monitor:
                await answers(health)
                turn(simulator, moments, accounts)
                await asyncio.sleep(moments.uniform(0.0, 1.6))
                exits.append(await (monitor.stop() if round_ % 2 else monitor.kill()))
            turn(simulator, moments, accounts)
        hook.delay = 0.0
        simulator.recover("acme", "*")
        async with installation.run() as monitor:
            await answers(health)
            store = Store.open(f"sqlite:///{tmp_path}/monitor.db")
            await until_quiet(store, simulator)
            exits.append(await monitor.stop())

    assert exits == [-9, 0] * (ROUNDS // 2) + [0]
    assert "unexpectedly" not in monitor.output()
    reconcile(store, hook, at_least=ROUNDS // 4)
    store.close()
