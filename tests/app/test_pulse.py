"""The pulse: which loops hang, and why cycles fail."""

from monitor.app.pulse import Pulse


class Clock:
    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


def test_a_loop_that_does_not_cycle_in_time_is_overdue_until_it_does_or_is_over():
    clock = Clock()
    pulse = Pulse(clock)
    pulse.beat("tick", 60)
    clock.at = 60
    assert pulse.overdue() == []
    clock.at = 90

    assert pulse.overdue() == ["the loop tick is 30 s overdue"]

    pulse.beat("tick", 60)
    assert pulse.overdue() == []
    clock.at = 900
    pulse.end("tick")
    assert pulse.overdue() == []


def test_a_reason_is_new_once_however_many_loops_fail_for_it():
    pulse = Pulse(Clock())

    assert pulse.failed("tick", "no database")
    assert not pulse.failed("tick", "no database")
    assert not pulse.failed("poll acme", "no database")
    assert pulse.failed("poll acme", "something else")
    assert pulse.problems() == ["no database (1 of the loops)", "something else (1 of the loops)"]


def test_a_reason_is_over_when_the_last_loop_works():
    pulse = Pulse(Clock())
    pulse.failed("tick", "no database")
    pulse.failed("poll acme", "no database")

    assert pulse.worked("tick") is None
    assert pulse.is_failing("poll acme")
    assert pulse.worked("poll acme") == "no database"
    assert pulse.worked("poll acme") is None
    assert pulse.problems() == []


def test_the_failure_of_a_loop_that_is_over_is_forgotten():
    pulse = Pulse(Clock())
    pulse.failed("poll acme", "no database")

    pulse.end("poll acme")

    assert pulse.problems() == []
