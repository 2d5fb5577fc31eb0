import subprocess
import sys
import threading
from functools import partial

import pytest

from monitor.threads import Threads

HANGS = """
import time
from monitor.threads import Threads
threads = Threads(2, "hang")
for _ in range(3):
    threads.submit(time.sleep, 600)
print(threads.end(within=0.1))
"""


async def test_work_is_waited_for_and_what_it_raises_is_raised():
    threads = Threads(1, "test")

    assert await threads.run(lambda: threading.current_thread().name) == "test-0"
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0)
    assert threads.end(within=20)


def test_what_is_urgent_comes_before_all_that_waits():
    threads, order, begun = Threads(1, "test"), [], threading.Event()
    threads.submit(begun.wait, 20)
    waiting = [threads.submit(order.append, name) for name in ("first", "second")]
    waiting += [threads.submit_urgent(partial(order.append, name)) for name in ("now", "then")]

    begun.set()

    assert [future.result(20) for future in waiting] == [None] * 4
    assert order == ["now", "then", "first", "second"]
    assert threads.end(within=20)


def test_there_are_so_many_threads_and_no_more():
    threads = Threads(2, "test")
    meeting = threading.Barrier(3)
    waiting = [threads.submit(meeting.wait, 20) for _ in range(2)]
    last = threads.submit(int)

    assert not last.running()
    meeting.wait(20)
    assert last.result(20) == 0
    assert {future.exception(20) for future in waiting} == {None}
    assert threads.end(within=20)


def test_work_that_nobody_wants_any_more_is_not_begun():
    threads, may_go_on, begun = Threads(1, "test"), threading.Event(), []
    threads.submit(may_go_on.wait, 20)
    given_up = threads.submit(begun.append, 1)

    assert given_up.cancel()
    may_go_on.set()

    assert threads.end(within=20)
    assert begun == []


def test_what_hangs_holds_up_no_end_of_the_program():
    ended = subprocess.run(
        [sys.executable, "-c", HANGS], timeout=20, check=True, capture_output=True, text=True
    )

    assert ended.stdout == "False\n"


def test_a_thread_that_could_not_be_started_is_started_for_the_next_work(monkeypatch):
    threads, begun = Threads(1, "test"), []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            threads.submit(begun.append, 1)

    threads.submit(begun.append, 2).result(20)

    assert begun == [2]
    assert threads.end(within=20)


def refuse(_thread):
    raise RuntimeError("can't start new thread")
