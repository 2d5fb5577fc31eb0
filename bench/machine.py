"""Who uses the processor: programs, a database with all its processes, the machine. Needs /proc."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PARENT: Final = 1
_USER: Final = 11
_ENDED_CHILDREN: Final = 13


def cpu(pid: int) -> float:
    """Return the processor seconds that a process has used, those of the kernel for it included."""
    return _seconds(_fields(pid), _USER)


def cpu_of_family(pid: int) -> float:
    """Return the same of a process and its children, those that ended included."""
    parent = _fields(pid)
    used = _seconds(parent, _USER) + _seconds(parent, _ENDED_CHILDREN)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            child = _fields(int(folder.name))
        except OSError:  # it has ended meanwhile
            continue
        if int(child[_PARENT]) == pid:
            used += _seconds(child, _USER)
    return used


def parent(pid: int) -> int:
    """Return the process that started *pid*."""
    return int(_fields(pid)[_PARENT])


def processor_times() -> tuple[int, int]:
    """Return for how long the processors of this machine had nothing to do, and for how long all.

    What another machine on the same hardware took from it counts as busy.
    """
    _, *times = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()
    user, nice, system, idle, waiting, *rest = map(int, times[:8])
    return idle + waiting, user + nice + system + idle + waiting + sum(rest)


def busy(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return which share of the processors' time was used between two `processor_times`."""
    idle, total = (now - then for now, then in zip(after, before, strict=True))
    return 1 - idle / total


def _fields(pid: int) -> Sequence[str]:
    """Return what the kernel says of a process, from its state on."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return stat.rpartition(")")[2].split()


def _seconds(fields: Sequence[str], first: int) -> float:
    """Return the time of user and kernel, which stand side by side."""
    return (int(fields[first]) + int(fields[first + 1])) / _TICKS_PER_SECOND
