"""The benchmarks run, and their table marks what was missed; what they measure is not asserted."""

import asyncio
import sys
from pathlib import Path

import pytest

from bench.table import Row, table


@pytest.mark.slow
async def test_a_part_of_the_benchmarks_prints_a_table():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench", "--quick", "decode"),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)

    lines = output.decode().splitlines()
    assert process.returncode == 0
    assert "CPython" in lines[0]
    assert lines[2].replace("|", " ").split() == ["ratio", "limit", "what", "measured", "beside"]
    assert sum("≤ 2 ×" in line or "over 2 ×" in line for line in lines) == 3


@pytest.mark.parametrize(
    ("ratio", "limit", "shown"),
    [
        (1.9, 2.0, ["1.90 ×", "≤ 2 ×"]),
        (2.1, 2.0, ["2.10 ×", "over 2 ×"]),
        (0.01, 0.05, ["1/100", "≤ 1/20"]),
        (0.06, 0.05, ["1/17", "over 1/20"]),
        (3.0, None, ["3.00 ×", ""]),
        (None, None, ["", ""]),
    ],
)
def test_a_limit_that_was_missed_is_marked(ratio, limit, shown):
    (_, _, title, row) = table([("a part", [Row("what", "1 ms", ratio, limit)])]).splitlines()

    assert "**a part**" in title
    assert [cell.strip() for cell in row.strip("|").split("|")][:2] == shown
