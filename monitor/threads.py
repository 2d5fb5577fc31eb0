"""Threads for what blocks: a few for each purpose, and none that holds up the end of the program.

asyncio has one pool for all: whoever fills it with what hangs stops the others, and at the end it
is waited for. A thread can't be cancelled; so each purpose has its own, and one that hangs is left
behind.
"""

import asyncio
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import PriorityQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")

END: Final = None

URGENT: Final = 0
ORDINARY: Final = 1
LAST: Final = 2
"""What comes first; what is of one rank comes in its order."""


class Threads(Executor):
    """Runs work on so many threads (*count*), started when they are first needed."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._work: PriorityQueue[tuple[int, int, Callable[[], None] | None]] = PriorityQueue()
        self._numbers = itertools.count()
        self._starting = threading.Lock()
        self._threads: list[threading.Thread] = []

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Let *fn* be called (the interface of executors)."""
        return self._submit(ORDINARY, partial(fn, *args, **kwargs))

    def submit_urgent(self, work: Callable[[], T]) -> Future[T]:
        """Let *work* be done before all that waits and is not urgent."""
        return self._submit(URGENT, work)

    def _submit(self, rank: int, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._starting:
            if len(self._threads) < self._count:
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._loop, name=name, daemon=True)
                thread.start()  # or the system has none left, and nobody would do the work
                self._threads.append(thread)
        self._put(rank, partial(_run, future, work))
        return future

    def _put(self, rank: int, work: Callable[[], None] | None) -> None:
        self._work.put((rank, next(self._numbers), work))

    async def run(self, work: Callable[[], T]) -> T:
        """Wait for *work*; it goes on, and its end is of no interest, if nobody waits any more."""
        return await asyncio.get_running_loop().run_in_executor(self, work)

    def end(self, within: float) -> bool:
        """Let what was submitted end; return whether it did *within* so many seconds."""
        for _ in self._threads:
            self._put(LAST, END)
        each = within / max(1, len(self._threads))
        for thread in self._threads:
            thread.join(each)
        return not any(thread.is_alive() for thread in self._threads)

    def _loop(self) -> None:
        while (work := self._work.get()[-1]) is not END:
            work()
            del work  # it may hold much, and the next may not come for long


def _run(future: Future[T], work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - raised where it is waited for
        future.set_exception(error)
    else:
        future.set_result(result)
