"""Signals that end a command which must clean up, at a moment at which it can."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def deferred_signals() -> Iterator[Callable[[float], None]]:
    """Yield a function that sleeps so many seconds, and ends the process if it is to end.

    A second signal ends it wherever it is: it may be waiting for something that never comes. Those
    that were ignored before, as after nohup, still are.
    """
    received: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            sys.exit(128 + number)

    def pause(seconds: float) -> None:
        time.sleep(seconds)
        if received:
            sys.exit(128 + received[0])

    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in heeded}
    try:
        yield pause
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
