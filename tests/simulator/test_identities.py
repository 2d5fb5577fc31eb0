from monitor.simulator import Simulator


def test_the_same_seed_invents_the_same_accounts():
    simulators = [Simulator(clock=lambda: 0, seed=seed) for seed in (3, 3, 4)]
    for simulator in simulators:
        simulator.add_customer("acme", "linked_acme")

    first, again, different = (simulator.add_accounts("acme", 5) for simulator in simulators)

    assert first == again
    assert first[0].id != different[0].id


async def test_a_thousand_accounts_differ(simulator, listed):
    simulator.add_accounts("acme", 1000)

    accounts = await listed()

    assert len({account["id"] for account in accounts}) == 1000
    assert len({account["url"] for account in accounts}) == 1000
