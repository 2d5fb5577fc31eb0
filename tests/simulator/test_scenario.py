import pytest

from monitor.simulator import Assumptions, Simulator, Step, login, play, steps
from monitor.simulator.state import UnknownNameError


async def test_a_scenario_is_played_in_order_and_in_time(sim):
    sim.add_account("acme", name="Jane")
    john = sim.add_account("acme", name="John")
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    await play(
        sim,
        [
            Step(12, "freeze", {"customer": "acme", "account": "John"}),
            Step(0, "sign_out", {"customer": "acme", "account": "Jane"}),
            *login("acme", "Jane", at=2, every=3),
        ],
        sleep,
    )

    assert slept == [2, 3, 3, 3, 1]
    assert sim.account("acme", "Jane").status == "active"
    assert john.status == "frozen"


async def test_a_login_goes_through_every_stage(sim):
    jane = sim.add_account("acme", name="Jane", status="reconnection_required")
    seen = []

    async def sleep(_):
        seen.append(sim.session(jane.session_id)[1].status)

    await play(sim, login("acme", "Jane", at=0, every=1), sleep)

    assert seen == ["preparing", "serving", "streaming"]


async def test_a_scenario_may_be_written_in_json(sim):
    written = [[0, "add_account", {"customer": "acme", "name": "Jane"}], [0, "clear_faults"]]

    await play(sim, steps(written))

    assert [each.name for each in sim.customer("acme").accounts.values()] == ["Jane"]


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step(9, "explode"), UnknownNameError),
        (Step(9, "advance", {"seconds": "x"}), ValueError),
        (Step(9, "advance", {}), ValueError),
    ],
)
async def test_a_misspelt_step_shows_before_anything_happens(sim, step, problem):
    with pytest.raises(problem):
        await play(sim, [Step(0, "add_account", {"customer": "acme"}), step])

    assert sim.customer("acme").accounts == {}


def test_the_same_seed_invents_the_same_world():
    worlds = [Simulator(Assumptions(), clock=lambda: 0, seed=seed) for seed in (3, 3, 4)]
    for world in worlds:
        world.add_customer("acme", "linked_acme")

    first, again, other = (world.add_accounts("acme", 5) for world in worlds)

    assert first == again
    assert first[0].id != other[0].id


def test_the_simulator_has_a_clock_of_its_own():
    assert Simulator().now() > 1_700_000_000_000_000
