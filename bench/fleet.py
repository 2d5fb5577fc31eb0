"""Many workspaces: processor time beside another version of the program, and what memory goes to.

BENCH_FLEET=10000x20 says how many workspaces there are, of how many accounts; BENCH_BASE=/PATH
names a checkout of another version, which is measured first.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from .program import ROOT
from .running import Case, Figures, measure
from .table import Row

FULL: Final = "2000x20"
QUICK: Final = "300x20"
CPU_LIMIT: Final = 0.6
"""Of the processor time that a minute took before this was measured."""

PART: Final = 5
"""The floors are those of fleets that are smaller by so much."""


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    every, window = (10, 10.0) if quick else (60, 60.0)
    size = os.environ.get("BENCH_FLEET", QUICK if quick else FULL)
    workspaces, accounts = map(int, size.split("x"))
    case = Case(workspaces, accounts, every)
    base, before = os.environ.get("BENCH_BASE"), None
    if base:
        (before,) = asyncio.run(measure([case], window, Path(base)))
    (ours,) = asyncio.run(measure([case], window, ROOT))
    small = (Case(1, 1, every), Case(workspaces // PART, 1, every))
    smaller = asyncio.run(measure([*small, Case(workspaces // PART, accounts, every)], window))
    return [
        *_compared(case, ours, before),
        *_floors(case, [each.memory for each in smaller]),
    ]


def _compared(case: Case, ours: Figures, before: Figures | None) -> Sequence[Row]:
    *start, work = ours.rows(case.name)
    if before is None:
        return [*start, work]
    return [
        *start,
        Row(
            f"{case.name}: CPU at work",
            f"{ours.cpu_a_minute:.2f} s a minute; {ours.load}",
            ours.cpu_a_minute / before.cpu_a_minute,
            CPU_LIMIT,
            f"version before {before.cpu_a_minute:.2f} s a minute; {before.load}",
        ),
        Row(
            f"{case.name}: memory at work",
            f"RSS {ours.memory} MB (peak {ours.peak})",
            ours.memory / before.memory,
            beside=f"version before RSS {before.memory} MB (peak {before.peak})",
        ),
    ]


def _floors(case: Case, memory: Sequence[int]) -> Sequence[Row]:
    """Return what one more of each takes, by differences of smaller fleets."""
    alone, with_one, with_all = memory
    count = case.workspaces // PART
    return [
        Row("memory: a monitor of one workspace and account", f"RSS {alone} MB"),
        Row(
            "memory: another workspace of one account",
            f"{(with_one - alone) * 1024 / count:.1f} kB",
            beside=f"{count:,} of them: RSS {with_one} MB",
        ),
        Row(
            "memory: another account of a workspace",
            f"{(with_all - with_one) * 1024 / count / (case.accounts - 1):.2f} kB",
            beside=f"{count:,} workspaces of {case.accounts} accounts: RSS {with_all} MB",
        ),
    ]
