"""How things are measured: processor time where processor time is meant, in a process of its own.

Several runs each; the median is what counts, the minimum stands beside it. Ratios are taken run by
run, one thing right after the other, so that a machine whose speed drifts does not spoil them.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Any, TypeVar

T = TypeVar("T")


def apart(work: Callable[..., T], *arguments: Any) -> T:
    """Do *work* in a fresh process, whose caches and memory nothing else has touched."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh) as pool:
        return pool.submit(work, *arguments).result()


def cpu(work: Callable[[], object]) -> float:
    """Return the processor seconds that *work* takes, those of all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def wall(work: Callable[[], object]) -> float:
    """Return the seconds that *work* takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median ratio of runs that were made in pairs."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def peak() -> int:
    """Return the most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def seconds(runs: Sequence[float]) -> str:
    """Write the median and the minimum of *runs*."""
    middle = median(runs)
    unit, factor = ("s", 1) if middle >= 1 else ("ms", 1000) if middle >= 0.001 else ("µs", 1e6)
    return f"{_three(middle * factor)} {unit} (min {_three(min(runs) * factor)})"


def size(count: int) -> str:
    """Write so many bytes."""
    return f"{_three(count / 1e6)} MB" if count >= 1e6 else f"{_three(count / 1e3)} kB"


def _three(number: float) -> str:
    """Write *number* with three digits that count."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"
