"""The pulse: which loops hang, and why cycles fail."""

from monitor.app.loop_health import LoopHealth


class Clock:
    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


def test_a_loop_that_does_not_cycle_in_time_is_overdue_until_it_does_or_is_over():
    clock = Clock()
    loop_health = LoopHealth(clock)
    loop_health.beat("tick", 60)
    clock.at = 60
    assert loop_health.overdue() == []
    clock.at = 90

    assert loop_health.overdue() == ["the loop tick is 30 s overdue"]

    loop_health.beat("tick", 60)
    assert loop_health.overdue() == []
    clock.at = 900
    loop_health.end("tick")
    assert loop_health.overdue() == []


def test_a_reason_is_new_once_however_many_loops_fail_for_it():
    loop_health = LoopHealth(Clock())

    assert loop_health.failed("tick", "no database")
    assert not loop_health.failed("tick", "no database")
    assert not loop_health.failed("poll acme", "no database")
    assert loop_health.failed("poll acme", "something else")
    assert loop_health.problems() == [
        "no database (1 of the loops)",
        "something else (1 of the loops)",
    ]


def test_a_reason_is_over_when_the_last_loop_works():
    loop_health = LoopHealth(Clock())
    loop_health.failed("tick", "no database")
    loop_health.failed("poll acme", "no database")

    assert loop_health.worked("tick") is None
    assert loop_health.is_failing("poll acme")
    assert loop_health.worked("poll acme") == "no database"
    assert loop_health.worked("poll acme") is None
    assert loop_health.problems() == []


def test_the_failure_of_a_loop_that_is_over_is_forgotten():
    loop_health = LoopHealth(Clock())
    loop_health.failed("poll acme", "no database")

    loop_health.end("poll acme")

    assert loop_health.problems() == []
