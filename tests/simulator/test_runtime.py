from monitor.simulator import Simulator


def test_the_simulator_has_a_clock_of_its_own():
    assert Simulator().now() > 1_700_000_000_000_000
