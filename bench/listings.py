"""What the database takes for what people list, once it holds half a year of incidents."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import Connection, text

from monitor.store import listings
from monitor.store.db import Store

from .fill import NOON
from .measure import format_seconds, wall_seconds
from .postgresql import postgresql
from .table import Row

DAYS: Final = 180
ACCOUNTS: Final = 1_000
WORKSPACES: Final = 20
OPEN: Final = 50
"""How many incidents are open; all others have ended."""

LIMIT: Final = 100
MAX_SECONDS: Final = 0.05

_NUMBERS: Final = """
WITH RECURSIVE numbers (i) AS (
    SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < :count
)
"""

_FILL: Final[Mapping[str, str]] = {
    "workspace": """
    INSERT INTO workspace (name, term, version, position)
    {numbers} SELECT 'workspace ' || i, 1, 0, 0 FROM numbers WHERE i < :workspaces
    """,
    "account": """
    INSERT INTO account (
        workspace, id, name, url, country, status, raw_status, since, first_seen_at, bad_polls,
        good_polls, missing_polls, changes
    )
    {numbers} SELECT 'workspace ' || (i % :workspaces), 'account ' || i, 'Person ' || i, '', 'DE',
        'active', 'active', :from, :from, 0, 0, 0, ''
    FROM numbers WHERE i < :accounts
    """,
    "incident": """
    INSERT INTO incident (
        id, workspace, scope, subject, cause, cause_since, earlier, detail, opened_at, resolved_at,
        resolution, reminders
    )
    {numbers} SELECT 'incident ' || i, 'workspace ' || (i % :accounts % :workspaces), 'account',
        'account ' || (i % :accounts), 'frozen', :from + i * :step, '', '', :from + i * :step,
        CASE WHEN i < :count - :open THEN :from + i * :step + 3600000000 END,
        CASE WHEN i < :count - :open THEN 'recovered' END, 0
    FROM numbers
    """,
    "event": """
    INSERT INTO event (id, type, at, workspace, account_id, incident_id, reason, detail, untold)
    SELECT id, 'opened', opened_at, workspace, subject, id, '', '', '' FROM incident
    """,
    "message": """
    INSERT INTO message (
        id, workspace, receiver, address, state, position, part, attempts, unanswered,
        next_attempt_at, created_at, settled_at
    )
    SELECT id, workspace, 'ops', '', 'delivered', opened_at, 0, 1, 0, opened_at, opened_at,
        opened_at
    FROM incident
    """,
    "notification": """
    INSERT INTO notification (
        id, message_id, event_id, event, incident_id, workspace, subject, receiver, address,
        position, state, settled_at
    )
    SELECT id, id, id, 'opened', id, workspace, subject, 'ops', '', opened_at, 'delivered',
        opened_at
    FROM incident
    """,
    "attempt": """
    INSERT INTO attempt (message_id, number, at, took, reason, title)
    SELECT id, 1, opened_at, 1000, 'ok', '' FROM incident
    """,
}
"""For each table what fills it: each incident was told once, in a message of its own."""

_LISTINGS: Final[Mapping[str, Callable[[Connection], Sequence[Any]]]] = {
    "incidents": partial(listings.incidents, ended=False, limit=LIMIT),
    "incidents --all": partial(listings.incidents, ended=True, limit=LIMIT),
    "deliveries": partial(listings.deliveries, limit=LIMIT),
    "accounts": listings.accounts,
    "workspaces": listings.workspaces,
}


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    return list(_all((10_000,) if quick else (10_000, 10_000 * DAYS)))


def _all(sizes: Sequence[int]) -> Iterator[Row]:
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
            yield from _rows(f"sqlite:///{Path(folder)}/monitor.db", "SQLite", size)
        with postgresql() as url:
            yield from _rows(url, "PostgreSQL", size)


def _rows(url: str, name: str, size: int) -> Iterator[Row]:
    with closing(Store.open(url)) as store:
        with store.fill() as tx:
            fill(tx, size)
        for command, listing in _LISTINGS.items():
            listed = len(store.read_now(listing))
            times = [wall_seconds(partial(store.read_now, listing)) for _ in range(5)]
            what = f"{name}, {size:,} incidents in {DAYS} days: `{command}`, {listed} rows"
            yield Row(
                what, format_seconds(times), median(times) / MAX_SECONDS, 1.0, "50 ms allowed"
            )


def fill(tx: Connection, incidents: int) -> None:
    """Let there be so many incidents, the oldest first, of which the last are open."""
    values = {
        "count": incidents,
        "accounts": ACCOUNTS,
        "workspaces": WORKSPACES,
        "open": OPEN,
        "from": NOON - DAYS * 24 * 3_600_000_000,
        "step": DAYS * 24 * 3_600_000_000 // incidents,
    }
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql("SET LOCAL statement_timeout = 0")
    for statement in _FILL.values():
        tx.execute(text(statement.format(numbers=_NUMBERS)), values)
    tx.exec_driver_sql("ANALYZE")
