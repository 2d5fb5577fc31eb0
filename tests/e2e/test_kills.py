"""Promise 1 and 3 on the real program: stopped and killed at any moment, 20 times."""

import asyncio
import random

from e2e.ledger import NO_FLAPPING, check_what_the_crm_was_told, until_quiet
from harness.program import answers, configure, hooks, program

from monitor.simulator import Simulator, serve
from monitor.store.db import Store

ROUNDS = 20


async def test_nothing_is_lost_and_nothing_repeated_but_attempts_in_flight(tmp_path):
    moments = random.Random(7)
    simulator = Simulator(seed=7)
    simulator.add_customer("acme", "linked_test_token")
    accounts = [one.id for one in simulator.add_accounts("acme", 6)]
    async with serve(simulator) as api, hooks() as (hook, hook_url):
        hook.delay = 0.15
        file, endpoint = configure(tmp_path, api=api, hooks=hook_url, more=NO_FLAPPING)
        exits = []
        for round_ in range(ROUNDS):
            async with program("run", "-c", str(file), log=tmp_path / "run.log") as monitor:
                await answers(f"{endpoint}/healthz")
                turn(simulator, moments, accounts)
                await asyncio.sleep(moments.uniform(0.0, 1.6))
                exits.append(await (monitor.stop() if round_ % 2 else monitor.kill()))
            turn(simulator, moments, accounts)
        hook.delay = 0.0
        simulator.recover("acme", "*")
        async with program("run", "-c", str(file), log=tmp_path / "run.log") as monitor:
            await answers(f"{endpoint}/healthz")
            store = Store.open(f"sqlite:///{tmp_path}/monitor.db")
            await until_quiet(store, simulator)
            exits.append(await monitor.stop())

    assert exits == [-9, 0] * (ROUNDS // 2) + [0]
    assert "unexpectedly" not in (tmp_path / "run.log").read_text()
    check_what_the_crm_was_told(store, hook, at_least=ROUNDS // 4)
    store.close()


def turn(simulator, moments, accounts):
    """Let some account sign out and another recover."""
    simulator.sign_out("acme", moments.choice(accounts))
    simulator.recover("acme", moments.choice(accounts))
