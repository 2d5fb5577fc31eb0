"""The queue of the log, in front of real pipes."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from time import monotonic

import pytest
import structlog

from monitor import log
from monitor.log import LogQueue, queue

poll = structlog.get_logger("poll")


class Pipe:
    """A pipe that a log is written to, and that is read only when a test says so."""

    def __init__(self):
        self.end, writing = os.pipe()
        self.stream = os.fdopen(writing, "w", encoding="utf-8")

    def fill(self):
        """Write what is in the way of everything else, until it is read; return how much."""
        os.set_blocking(self.stream.fileno(), False)
        count = 0
        try:
            while True:
                count += os.write(self.stream.fileno(), b"\n")
        except BlockingIOError:
            os.set_blocking(self.stream.fileno(), True)
        return count

    def lines(self, count):
        """Read so many lines, but for empty ones."""
        text = b""
        while sum(map(bool, text.split(b"\n"))) < count or not text.endswith(b"\n"):
            text += os.read(self.end, 65536)
        return text.decode().split("\n")[-count - 1 : -1]

    def read_all(self):
        """Let a thread read what comes until it is over; return how much it has read."""
        return ThreadPoolExecutor(1).submit(self._read_all)

    def _read_all(self):
        count = 0
        while data := os.read(self.end, 65536):
            count += len(data)
        return count


@pytest.fixture
def pipe():
    pipe = Pipe()
    yield pipe
    pipe.stream.close()
    os.close(pipe.end)


@contextmanager
def opened(pipe):
    with closing(LogQueue(pipe.stream)) as stream:
        yield stream


def test_a_line_that_nobody_reads_yet_waits_and_holds_up_nobody(pipe):
    pipe.fill()
    with opened(pipe) as stream:
        for number in range(1000):
            stream.write(f"line{number}\n")
        os.read(pipe.end, 65536)

        assert pipe.lines(1000) == [f"line{number}" for number in range(1000)]
    assert stream.dropped == 0


def test_a_line_that_finds_no_room_is_dropped_and_that_is_said_once_there_is_some(
    pipe, monkeypatch
):
    monkeypatch.setattr(queue, "MAX_WAITING", 10_000)
    pipe.fill()
    with opened(pipe) as stream:
        log.configure(level="info", format="json", secrets=[], stream=stream)
        for number in range(500):
            poll.info("n", number=number)
        dropped = stream.dropped
        assert 300 < dropped < 500
        count = 500 - dropped
        lines = [json.loads(line) for line in pipe.lines(count + 1) if line]

        assert [line["number"] for line in lines[:-1]] == [*range(count)]
        assert lines[-1]["event"].startswith("log lines dropped")
        assert lines[-1]["n"] == stream.dropped == dropped


def test_what_is_to_be_delivered_finds_room_and_is_so_when_it_was_written(pipe, monkeypatch):
    monkeypatch.setattr(queue, "MAX_WAITING", 0)
    pipe.fill()
    with opened(pipe) as stream:
        written = stream.deliver("alert\n")
        with pytest.raises(TimeoutError):
            written.result(0.05)

        assert pipe.lines(1) == ["alert"]
        written.result(20)
    assert stream.dropped == 0


def test_what_was_taken_back_is_not_written(pipe):
    pipe.fill()
    with opened(pipe) as stream:
        begun = stream.deliver("1" * 100_000 + "\n")
        while not begun.running():
            pass
        assert not begun.cancel()
        assert stream.deliver("2\n").cancel()
        stream.deliver("3\n")

        assert [line[:1] for line in pipe.lines(2)] == ["1", "3"]


def test_a_reader_that_left_is_said_to_who_has_to_know(pipe):
    with opened(pipe) as stream:
        os.dup2(os.open(os.devnull, os.O_RDONLY), pipe.end)
        stream.write("a line\n")

        assert isinstance(stream.deliver("alert\n").exception(20), BrokenPipeError)
    assert stream.dropped == 2


def test_a_closed_stream_takes_nothing():
    with closing(LogQueue(None)) as stream:
        assert not stream.isatty()
        assert isinstance(stream.deliver("alert\n").exception(20), OSError)


def test_a_stream_that_does_not_block_is_waited_for(pipe):
    os.set_blocking(pipe.stream.fileno(), False)
    with opened(pipe) as stream:
        pipe.fill()
        os.set_blocking(pipe.stream.fileno(), False)
        stream.write("x" * 100_000 + "\n")

        assert pipe.lines(1) == ["x" * 100_000]


def test_nothing_is_lost_at_the_end_while_somebody_reads(pipe):
    with opened(pipe) as stream:
        for _ in range(20_000):
            stream.write("x" * 99 + "\n")
        read = pipe.read_all()
    pipe.stream.close()

    assert read.result(20) == 2_000_000


def test_the_end_does_not_wait_for_who_does_not_read(pipe, monkeypatch):
    monkeypatch.setattr(queue, "MAX_STALL", 0.1)
    pipe.fill()
    began = monotonic()
    with opened(pipe) as stream:
        stream.write("never read\n")

    assert monotonic() - began < 5


def test_what_comes_after_the_end_is_dropped(pipe):
    with opened(pipe) as stream:
        pass
    stream.write("late\n")

    assert stream.dropped == 1
