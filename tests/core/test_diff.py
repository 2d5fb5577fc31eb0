"""What a list says that the recorded state does not."""

from factories import World, seen, signed_out

from monitor.core.diff import Changes, diff
from monitor.core.model import Cause, Failure, Snapshot


def test_a_list_that_says_nothing_new_is_empty_and_false():
    world = World()
    world.poll(seen("a"), signed_out("b"))
    settled = {"a": seen("a"), "b": signed_out("b")}

    changes = diff(world.workspace, Snapshot((seen("a"), signed_out("b"))), settled)

    assert changes == Changes()
    assert not changes


def test_only_what_differs_is_looked_at():
    world = World()
    world.poll(seen("a"), seen("b"), seen("c"))
    settled = {id_: seen(id_) for id_ in "abc"}

    changes = diff(world.workspace, Snapshot((seen("a"), signed_out("b"), seen("d"))), settled)

    assert [one.id for one in changes.seen] == ["b", "d"]
    assert [one.id for one in changes.missing] == ["c"]
    assert changes


def test_a_list_of_strangers_is_a_failure_that_says_what_to_do():
    world = World()
    world.poll(seen("a"), seen("b"))

    failure = diff(world.workspace, Snapshot((seen("x"),)), {})

    assert isinstance(failure, Failure)
    assert failure.cause is Cause.BAD_RESPONSE
    assert "none of the 2 accounts" in failure.detail
