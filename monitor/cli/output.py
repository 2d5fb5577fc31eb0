"""What commands print: tables on a terminal, JSON with `--json` or when piped, and exit codes."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

import typer
from rich.console import Console, ConsoleDimensions
from rich.table import Table
from rich.text import Text

from monitor.config import ConfigError
from monitor.core.duration import Duration, humanize
from monitor.core.errors import MonitorError
from monitor.core.model import Cause, Micros, Status
from monitor.core.text import iso_time


class Exit(IntEnum):
    """Exit codes, those of Linked API's own command line where it has one for the case."""

    OK = 0
    GENERAL = 1
    AUTH_OR_CONFIG = 2
    FROZEN = 3
    NEEDS_LOGIN = 4
    VALIDATION = 5
    RATE_LIMIT = 6
    NETWORK = 7


BLIND: Final[Mapping[Cause, Exit]] = {
    Cause.TOKEN_REJECTED: Exit.AUTH_OR_CONFIG,
    Cause.UNREACHABLE: Exit.NETWORK,
    Cause.RATE_LIMITED: Exit.RATE_LIMIT,
    Cause.BAD_RESPONSE: Exit.GENERAL,
}

BAD: Final[Mapping[Status, Exit]] = {
    Status.RECONNECTION_REQUIRED: Exit.NEEDS_LOGIN,
    Status.UNKNOWN: Exit.NEEDS_LOGIN,
    Status.FROZEN: Exit.FROZEN,
    Status.ACTIVE: Exit.OK,
}

_HEADINGS: Final = {
    "opened_at": "opened (UTC)",
    "created_at": "created (UTC)",
    "since": "since (UTC)",
    "duration_seconds": "duration",
}

_WIDE: Final = 10_000

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

WORST_FIRST: Final = (
    Exit.AUTH_OR_CONFIG,
    Exit.NETWORK,
    Exit.RATE_LIMIT,
    Exit.GENERAL,
    Exit.NEEDS_LOGIN,
    Exit.FROZEN,
    Exit.OK,
)


def worst(codes: Iterable[Exit]) -> Exit:
    """Return the exit code that matters most among *codes*."""
    return min(codes, key=WORST_FIRST.index, default=Exit.OK)


def rows(
    data: Sequence[Mapping[str, Any]], *, as_json: bool, columns: Sequence[str], empty: str
) -> None:
    """Print *data*: all of it as JSON, or its *columns* as a table, or the sentence *empty*."""
    if as_json or not sys.stdout.isatty():
        document(list(data))
        return
    if not data:
        typer.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(_HEADINGS.get(column, column.replace("_", " ")), overflow="fold")
    for row in data:
        table.add_row(*(_cell(column, row[column]) for column in columns))
    console = Console(highlight=False)
    if "link" in columns:  # the terminal may break it, but we don't: it is to be copied
        console.size = ConsoleDimensions(_WIDE, console.height)
    console.print(table, soft_wrap="link" in columns)


def document(data: Any) -> None:
    """Print *data* as JSON in the envelope of all commands."""
    typer.echo(json.dumps({"success": True, "data": data}, ensure_ascii=False))


def fail(error: MonitorError) -> Exit:
    """Print *error* to standard error and return the exit code for it."""
    is_config = isinstance(error, ConfigError)
    complain("config" if is_config else "error", str(error))
    return Exit.AUTH_OR_CONFIG if is_config else Exit.GENERAL


def complain(kind: str, message: str) -> None:
    """Print an error to standard error: a line on a terminal, else JSON."""
    if sys.stderr.isatty():
        typer.echo(f"error: {message}", err=True)
    else:
        typer.echo(json.dumps({"error": kind, "message": message}), err=True)


def moment(at: Micros | None) -> str | None:
    """Write a point in time as ISO 8601 in UTC with milliseconds."""
    return None if at is None else iso_time(at)


def _cell(column: str, value: Any) -> Text:
    text = "" if value is None else str(value)
    if isinstance(value, bool):
        text = "yes" if value else "no"
    if column == "duration_seconds":
        text = humanize(Duration(value * 1_000_000))
    if column == "id" and len(text) > 13:
        text = f"{text[:8]}…"
    if _MOMENT.fullmatch(text):
        text = text[:16].replace("T", " ")
    shown = "".join(one if one.isprintable() else "�" for one in text)
    colour = {"active": "green", "delivered": "green"}.get(text, "")
    if text in {"reconnection_required", "frozen", "unknown", "dead"}:
        colour = "red"
    return Text(shown, style=colour)
