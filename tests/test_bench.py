"""The benchmarks run, and their table marks what was missed; what they measure is not asserted."""

import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest
from harness.core import NOON
from harness.store import open_store
from sqlalchemy import inspect, text

from bench import restart
from bench.fill import customers, queue_by_polls, queue_in_bulk
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


@pytest.mark.slow
@pytest.mark.parametrize("held", [False, True])
def test_a_queue_that_is_written_in_bulk_is_like_one_that_polls_have_made(tmp_path, held):
    def shape(name, write):
        store = open_store(f"sqlite:///{tmp_path}/{name}.db")
        write(store, customers(100, 10), "hook", at=NOON, held=held)
        try:
            return store.read_now(_columns), store.read_now(_count_whole)
        finally:
            store.close()

    polled, in_bulk = shape("polled", queue_by_polls), shape("in_bulk", queue_in_bulk)

    assert in_bulk == polled
    assert in_bulk[0]["message", "waits"] == ({"look"} if held else {None})
    assert in_bulk[1] == 1000


def _columns(tx):
    """What each column holds: its values, or if there are many how many, and how many differ."""
    held = {}
    for table_name in inspect(tx).get_table_names():
        rows = tx.execute(text(f"SELECT * FROM {table_name}"))
        for name, *column in zip(rows.keys(), *rows, strict=True):
            values = set(column)
            summary = len(column), len(values), None in values
            held[table_name, name] = values if len(values) < 3 else summary
    return held


def _count_whole(tx):
    """How many notifications there are whose rows in other tables name the same things."""
    query = """
    SELECT COUNT(*) FROM notification
    JOIN message ON message.id = notification.message_id
        AND message.workspace = notification.workspace
        AND message.receiver = notification.receiver
        AND message.position = notification.position
    JOIN event ON event.id = notification.event_id
        AND event.workspace = notification.workspace
        AND event.account_id = notification.subject AND event.incident_id = notification.incident_id
    JOIN incident ON incident.id = event.incident_id AND incident.subject = event.account_id
        AND incident.workspace = event.workspace
    JOIN account ON account.id = event.account_id AND account.workspace = event.workspace
    JOIN transition ON transition.account_id = account.id
        AND transition.workspace = account.workspace
    JOIN workspace ON workspace.name = account.workspace
    """
    return tx.execute(text(query)).scalar_one()


SENT = [("a", "delivered", 0), ("b", "delivered", 0), ("in flight", "delivered", 1)]


@pytest.mark.parametrize(
    ("received", "messages", "wrong"),
    [
        (["a", "in flight"], SENT, "1 lost"),
        (["a", "b", "b", "in flight"], SENT, "1 told twice"),
        (["a", "b", "c", "in flight"], SENT, "1 not recorded"),
        (["a", "b", "in flight"], [*SENT, ("c", "dead", 0)], "1 not delivered"),
    ],
)
def test_a_restart_that_loses_or_repeats_anything_is_no_figure(received, messages, wrong):
    with pytest.raises(RuntimeError, match=f"^{wrong}$"):
        restart.compare(messages, Counter(received))

    assert "3 messages, none lost" in restart.compare(SENT, Counter(["a", "b", *2 * ["in flight"]]))
