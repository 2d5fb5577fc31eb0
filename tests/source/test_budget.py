"""Our share of the rate limit."""

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.duration import Duration
from monitor.source.budget import Budget


def test_requests_are_free_until_the_share_is_used_up():
    budget = Budget(3)

    assert [budget.take(now) for now in (0, 10, 20)] == [0, 0, 0]
    assert budget.take(20) == Duration.parse("40s")
    assert budget.take(59.5) == Duration.parse("500ms")
    assert budget.take(60) == 0
    assert budget.take(60) == Duration.parse("10s")


@given(
    st.integers(min_value=1, max_value=5),
    st.lists(st.floats(min_value=0, max_value=30), max_size=60),
)
@settings(deadline=None)
def test_no_minute_sees_more_than_the_share(share, gaps):
    budget, now, taken = Budget(share), 1e6, []
    for gap in gaps:
        now += gap
        wait = budget.take(now)
        if not wait:
            taken.append(now)
        else:
            assert 0 < wait <= Duration.parse("1m")

    for start in taken:
        assert sum(start <= moment < start + 60 for moment in taken) <= share


@given(st.floats(min_value=0, max_value=1e9))
@settings(deadline=None)
def test_waiting_as_long_as_told_is_enough(now):
    budget = Budget(1)
    budget.take(now)

    wait = budget.take(now)

    assert budget.take(now + wait.seconds + 1e-6) == 0


def test_who_goes_on_from_another_has_what_that_left():
    budget = Budget(3)

    budget.assume(2, 100.0)

    assert budget.spent(100.0) == 2
    assert budget.take(100.0) == 0
    assert budget.take(100.0).seconds == 30
    assert budget.spent(130.0) == 2


def test_what_was_spent_in_the_last_minute_is_counted():
    budget = Budget(3)
    for now in (0, 10, 20):
        budget.take(now)

    assert [budget.spent(now) for now in (20, 59, 60, 75, 80)] == [3, 3, 2, 1, 0]


def test_what_comes_last_leaves_some_of_the_share():
    budget = Budget(3)

    assert [budget.take(now, leave=1) for now in (0, 10)] == [0, 0]
    assert budget.take(20, leave=1) == Duration.parse("40s")
    assert budget.take(20) == 0
    assert Budget(1).take(5, leave=1) == Duration.parse("1m")


@given(st.integers(min_value=0, max_value=50), st.floats(min_value=0, max_value=1e6))
@settings(deadline=None)
def test_who_goes_on_from_another_has_spent_as_much_and_waits_no_longer_than_a_minute(spent, now):
    budget = Budget(20)

    budget.assume(spent, now)

    assert budget.spent(now) == spent
    assert bool(budget.take(now)) is (spent >= 20)
    assert budget.spent(now + 60.001) <= 1
