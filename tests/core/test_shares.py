"""How workspaces are shared among replicas, and how many change hands at a time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.shares import HANDED_SHARE, MIN_HANDED, shares, to_give_back, to_take

numbers = st.integers(min_value=0, max_value=20_000)
replicas = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 2), max_size=6)


@settings(deadline=None)
@given(numbers, replicas, st.data())
def test_all_is_shared_evenly_and_who_is_behind_takes_nothing(total, generations, data):
    held = {id_: data.draw(numbers) for id_ in generations if data.draw(st.booleans())}

    shared = shares(total, held, generations)

    assert shared.keys() == generations.keys()
    newest = max(generations.values(), default=0)
    for id_, generation in generations.items():
        if generation < newest:
            assert shared[id_] <= held.get(id_, 0), "it takes nothing"
            assert shared[id_] <= -(-total // len(generations)), "and keeps no more than its part"
    if generations:
        assert sum(shared.values()) >= total, "none is left out"
    if len(set(generations.values())) == 1:
        even = total / len(generations)
        assert all(even <= share < even + 1 for share in shared.values())


@pytest.mark.parametrize(
    ("held", "shared"), [(0, (0, 5, 5)), (1, (1, 5, 5)), (9, (4, 3, 3))], ids=str
)
def test_who_is_up_to_date_shares_what_is_left_by_who_is_behind(held, shared):
    generations = {"behind": 1, "newer": 2, "newest": 2}

    assert tuple(shares(10, {"behind": held}, generations).values()) == shared


@pytest.mark.parametrize(
    ("share", "held", "free", "taken"), [(5, 3, 9, 2), (5, 3, 1, 1), (5, 6, 9, 0)]
)
def test_one_takes_what_is_free_up_to_its_share(share, held, free, taken):
    assert to_take(share, held, free) == taken


@pytest.mark.parametrize(
    ("share", "held", "given_back"),
    [
        (5, 5, 0),
        (5, 4, 0),
        (5, 6, 1),
        (5, 1000, MIN_HANDED),
        (1000, 3000, 1000 // HANDED_SHARE),
    ],
)
def test_one_gives_back_what_is_above_its_share_a_few_at_a_time(share, held, given_back):
    assert to_give_back(share, held) == given_back
