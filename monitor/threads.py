"""Threads for what blocks: a few for each purpose, and none that holds up the end of the program.

asyncio has one pool for all: whoever fills it with what hangs stops the others, and at the end it
is waited for. A thread can't be cancelled; so each purpose has its own, and one that hangs is left
behind.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar

T = TypeVar("T")

END: Final = None


class Threads(Executor):
    """Runs work on so many threads (*count*), started when they are first needed."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._threads: list[threading.Thread] = []

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Let *fn* be called (the interface of executors)."""
        future: Future[T] = Future()
        with self._starting:
            if len(self._threads) < self._count:
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._loop, name=name, daemon=True)
                thread.start()  # or the system has none left, and nobody would do the work
                self._threads.append(thread)
        self._work.put(partial(_run, future, partial(fn, *args, **kwargs)))
        return future

    async def run(self, work: Callable[[], T]) -> T:
        """Wait for *work*; it goes on, and its end is of no interest, if nobody waits any more."""
        return await asyncio.get_running_loop().run_in_executor(self, work)

    def end(self, within: float) -> bool:
        """Let what was submitted end; return whether it did *within* so many seconds."""
        for _ in self._threads:
            self._work.put(END)
        each = within / max(1, len(self._threads))
        for thread in self._threads:
            thread.join(each)
        return not any(thread.is_alive() for thread in self._threads)

    def _loop(self) -> None:
        while (work := self._work.get()) is not END:
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
