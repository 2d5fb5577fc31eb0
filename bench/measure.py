"""How times, memory and ratios are measured, and how they are written.

Each is measured in several runs: the median is reported, and the minimum beside it. Ratios are
those of neighbouring runs, so that a machine whose speed drifts does not distort them.
"""

import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import Any, TypeVar

T = TypeVar("T")


def run_in_fresh_process(work: Callable[..., T], *arguments: Any) -> T:
    """Return what *work* returns in a new process, whose caches and memory are unused."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(work, *arguments).result()


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor seconds that *work* takes, those of all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def wall_seconds(work: Callable[[], object]) -> float:
    """Return the seconds that *work* takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median ratio of runs that were made in pairs."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))


def peak_memory() -> int:
    """Return the greatest resident memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def format_seconds(runs: Sequence[float]) -> str:
    """Return the median and the minimum of *runs* (seconds) as text."""
    middle = median(runs)
    unit, factor = ("s", 1) if middle >= 1 else ("ms", 1000) if middle >= 0.001 else ("µs", 1e6)
    return f"{_three_digits(middle * factor)} {unit} (min {_three_digits(min(runs) * factor)})"


def format_bytes(count: int) -> str:
    """Return *count* bytes as text."""
    unit, factor = ("MB", 1e6) if count >= 1e6 else ("kB", 1e3)
    return f"{_three_digits(count / factor)} {unit}"


def _three_digits(number: float) -> str:
    """Return *number* with three significant digits."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"
