import pytest

from monitor.simulator import Step, login, play
from monitor.simulator.state import UnknownNameError


async def test_a_scenario_is_played_in_order_and_in_time(simulator):
    jane = simulator.add_account("acme", name="Jane")
    john = simulator.add_account("acme", name="John")
    pauses = []

    async def sleep(seconds):
        pauses.append((seconds, jane.session and jane.session.status))

    await play(
        simulator,
        [
            Step(12, "freeze", {"customer": "acme", "account": "John"}),
            Step(0, "sign_out", {"customer": "acme", "account": "Jane"}),
            *login("acme", "Jane", at=2, every=3),
        ],
        sleep,
    )

    assert pauses == [
        (2, None),
        *((3, "preparing"), (3, "serving"), (3, "streaming")),
        (1, "success"),
    ]
    assert (jane.status, john.status) == ("active", "frozen")


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (Step(9, "explode"), UnknownNameError),
        (Step(9, "advance", {"seconds": "x"}), ValueError),
        (Step(9, "advance", {}), ValueError),
    ],
)
async def test_a_misspelt_step_shows_before_anything_happens(simulator, step, problem):
    with pytest.raises(problem):
        await play(simulator, [Step(0, "add_account", {"customer": "acme"}), step])

    assert simulator.customer("acme").accounts == {}
