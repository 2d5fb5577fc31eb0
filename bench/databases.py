"""What PostgreSQL costs beside SQLite: the same work in both, in turns."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from monitor.core.model import Liveness, Status
from monitor.store.db import Store
from monitor.work.liveness import record_look

from .commit import RULES
from .fill import MINUTE, Polled
from .measure import format_seconds, median_ratio, wall_seconds
from .postgresql import Line, postgresql
from .queue import Outbox
from .table import Row

ACCOUNTS: Final = 1_000
LATENCY: Final = 0.001
"""Seconds that a server in another zone is away."""

MAX_FREEZE: Final = 2.0
MAX_DELIVERY: Final = 3.0


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    with _stores() as (files, server, away, line):
        polls = _in_turn([_Workspace(each).polls() for each in (files, server)], 4 if quick else 12)
        deliveries = _in_turn(
            [Outbox(each).endless() for each in (files, server)], 60 if quick else 300
        )
        return [
            _compare(f"{ACCOUNTS:,} accounts freeze in one poll, told to two", polls, MAX_FREEZE),
            _compare("a delivery: claim + settle", deliveries, MAX_DELIVERY),
            *_far_away(away, line),
        ]


@contextmanager
def _stores() -> Iterator[tuple[Store, Store, Store, Line]]:
    """Open a database of each kind, and the second one by a line as well."""
    with (
        tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder,
        postgresql() as url,
        ExitStack() as stack,
    ):
        line = Line(url)
        urls = (f"sqlite:///{Path(folder)}/monitor.db", url, line.url)
        files, server, away = (stack.enter_context(closing(Store.open(each))) for each in urls)
        yield files, server, away, line


class _Workspace(Polled):
    """A workspace whose accounts freeze all at once, and recover."""

    def __init__(self, store: Store, name: str = "measured") -> None:
        super().__init__(store, name, ACCOUNTS, RULES)

    def polls(self) -> Iterator[float]:
        """Freeze all accounts, again and again; give how long it takes to record that."""
        while True:
            yield wall_seconds(partial(self.poll, Status.FROZEN))
            self.poll(Status.ACTIVE)

    def look(self) -> None:
        """Record that it was looked at."""
        self.now += MINUTE
        liveness = Liveness(self.name, self.term, self.now, self.now + MINUTE)
        self.store.run_now(lambda tx: record_look(tx, liveness, now=self.now), of=(self.name,))


def _in_turn(works: Sequence[Iterator[float]], runs: int) -> list[list[float]]:
    """Return how long each of *works* takes, a run of one after a run of another."""
    times = [[next(work) for work in works] for _ in range(runs)]
    return [list(each) for each in zip(*times, strict=True)]


def _compare(what: str, times: list[list[float]], limit: float) -> Row:
    beside, ours = times
    ratio = median_ratio(ours, beside)
    return Row(what, format_seconds(ours), ratio, limit, f"SQLite {format_seconds(beside)}")


def _far_away(store: Store, line: Line) -> Iterator[Row]:
    """Count the round trips of each unit of work, and time them at a server that is far away."""
    workspace, outbox = _Workspace(store, "far"), Outbox(store, "far too")
    deliveries = outbox.endless()
    next(deliveries)
    works: dict[str, Callable[[], object]] = {
        "a quiet look": workspace.look,
        "a delivery: claim + settle": partial(next, deliveries),
        f"{ACCOUNTS:,} accounts freeze in one poll": partial(workspace.poll, Status.FROZEN),
    }
    for what, work in works.items():
        line.turns = 0
        work()
        turns = line.turns
        workspace.poll(Status.ACTIVE)
        line.latency = LATENCY
        times = [wall_seconds(work)]
        line.latency = 0.0
        beside = f"with a server {LATENCY * 1000:.0f} ms away {format_seconds(times)}"
        yield Row(f"{what}: round trips", str(turns), beside=beside)
