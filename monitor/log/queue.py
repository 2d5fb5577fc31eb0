"""The queue of the log: a thread of its own writes, so that a log which nobody reads stops nothing.

a record ──► LogQueue.write ──room?──► waits ──► the thread ──► the stream
                    └──────none──► dropped, counted, and said once there is room again
"""

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Final, TextIO

import structlog

MAX_WAITING: Final = 16 * 1024 * 1024
"""How many bytes of lines may wait to be written."""

MAX_BATCH: Final = 64 * 1024
"""How many bytes are written at once, unless a line has more."""

MAX_STALL: Final = 1.0
"""Seconds without progress after which the end of the program waits for the stream no more."""

MAX_CLOSING: Final = 5.0
"""Seconds that it waits at most."""

log = structlog.get_logger("log")


class LogQueue:
    """A stream that never blocks who writes to it, in front of *stream*; None is a closed one.

    Close it in the end, or what waits is lost.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self.dropped = 0
        self._isatty = stream is not None and stream.isatty()
        self._write_out = _writing(stream, self.encoding)
        self._lines: deque[tuple[bytes, Future[None] | None]] = deque()
        self._waiting = 0  # bytes, those included that are being written
        self._written = 0
        self._unsaid = 0
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def isatty(self) -> bool:
        """Return whether a person reads it on a terminal."""
        return self._isatty

    def write(self, text: str) -> None:
        """Let *text*, some whole lines, be written soon, or drop it if too much waits already."""
        with self._changed:
            if self._is_closed or self._waiting >= MAX_WAITING:
                self._drop(1)
            else:
                self._add(text, None)

    def flush(self) -> None:
        """Do nothing: what waits is written as soon as it can be."""

    def deliver(self, text: str) -> Future[None]:
        """Let *text* be written however much waits; it is no more once the result is cancelled.

        The result is there when it was written, or says why it could not be.
        """
        written: Future[None] = Future()
        with self._changed:
            self._add(text, written)
        return written

    def close(self) -> None:
        """Write what waits, as long as the stream takes it, and end."""
        until = time.monotonic() + MAX_CLOSING
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            before = -1
            while self._waiting and self._written != before and time.monotonic() < until:
                before = self._written
                self._changed.wait_for(lambda: not self._waiting, MAX_STALL)

    def _add(self, text: str, written: Future[None] | None) -> None:
        data = text.encode(self.encoding, "backslashreplace")
        self._lines.append((data, written))
        self._waiting += len(data)
        self._changed.notify_all()

    def _drop(self, count: int) -> None:
        self.dropped += count
        self._unsaid += count

    def _run(self) -> None:
        while batch := self._next():
            lines = [
                (data, written)
                for data, written in batch
                if written is None or written.set_running_or_notify_cancel()
            ]
            failed = self._write_all(b"".join(data for data, _ in lines))
            for _, written in lines:
                if written is not None:
                    _end(written, failed)
            with self._changed:
                self._waiting -= sum(len(data) for data, _ in batch)
                if failed:
                    self._drop(len(lines))
                unsaid = 0
                if not failed and not self._lines and not self._is_closed:
                    unsaid, self._unsaid = self._unsaid, 0
                self._changed.notify_all()
            if unsaid:
                log.warning("log lines dropped: it was not read, or could not be written", n=unsaid)

    def _next(self) -> list[tuple[bytes, Future[None] | None]]:
        """Wait for lines; return some of them, or none once it is closed."""
        batch: list[tuple[bytes, Future[None] | None]] = []
        size = 0
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_closed)
            while self._lines and (not batch or size + len(self._lines[0][0]) <= MAX_BATCH):
                batch.append(self._lines.popleft())
                size += len(batch[-1][0])
        return batch

    def _write_all(self, data: bytes) -> Exception | None:
        """Write *data*; return why it could not be written."""
        try:
            while data:
                count = self._write_out(data)
                data = data[count:]
                self._written += count
        except (OSError, ValueError) as error:
            return error
        return None


def _writing(stream: TextIO | None, encoding: str) -> Callable[[bytes], int]:
    """Return what writes to *stream*: to its file if there is one, past buffers and their locks."""
    if stream is None:
        return _refuse
    try:
        return partial(_write_file, stream.fileno())
    except (AttributeError, OSError, ValueError):
        return partial(_write_text, stream, encoding)


def _refuse(_data: bytes) -> int:
    raise OSError("it is closed")


def _write_file(file: int, data: bytes) -> int:
    while True:
        try:
            return os.write(file, data)
        except BlockingIOError:  # somebody who has it too wants it so
            ready = select.poll()
            ready.register(file, select.POLLOUT)
            ready.poll()


def _write_text(stream: TextIO, encoding: str, data: bytes) -> int:
    stream.write(data.decode(encoding))
    stream.flush()
    return len(data)


def _end(written: Future[None], failed: Exception | None) -> None:
    if failed:
        written.set_exception(failed)
    else:
        written.set_result(None)
