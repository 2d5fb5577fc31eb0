"""A PostgreSQL to measure with, and a line to it on which round trips are counted, or take longer.

It is the one that BENCH_DATABASE_URL names, whose database is empty, else that of the tests: on
loopback, and nothing waits for its disk (fsync=off).
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path

from sqlalchemy.engine import make_url


@contextmanager
def postgresql() -> Iterator[str]:
    """Give the address of an empty database."""
    named = os.environ.get("BENCH_DATABASE_URL")
    if named:
        yield named
        return
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    with import_module("harness.postgresql").server() as server:
        yield server.url()


class Line:
    """Forwards to a server, and counts how often it was asked something and answered.

    Each question takes *latency* seconds longer.
    """

    def __init__(self, url: str) -> None:
        self._to = make_url(url)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.latency = 0.0
        self.turns = 0
        self._is_answered = True
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The address of the same database through this line."""
        own = self._to.set(host="127.0.0.1", port=self._server.getsockname()[1])
        return own.render_as_string(hide_password=False)

    def _accept(self) -> None:
        while True:
            ours, _ = self._server.accept()
            theirs = socket.create_connection((self._to.host, self._to.port or 5432))
            for line in (ours, theirs):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, target, is_question in ((ours, theirs, True), (theirs, ours, False)):
                forward = partial(self._forward, source, target, is_question=is_question)
                way = threading.Thread(target=forward, daemon=True)
                way.start()

    def _forward(self, source: socket.socket, target: socket.socket, *, is_question: bool) -> None:
        with suppress(OSError):
            while sent := source.recv(65_536):
                if is_question and self._is_answered:
                    self.turns += 1
                    time.sleep(self.latency)
                self._is_answered = not is_question
                target.sendall(sent)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
