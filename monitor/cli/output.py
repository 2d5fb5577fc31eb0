"""What commands print: tables on a terminal, JSON with `--json` or when piped, and exit codes."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

import typer
from rich.console import Console, ConsoleDimensions
from rich.table import Table
from rich.text import Text

from monitor.core.duration import Duration, humanize
from monitor.core.model import Cause, Status
from monitor.core.text import iso_time, unstack, visible


class Exit(IntEnum):
    """Exit codes, the worst first: those of Linked API's own command line where it has one."""

    AUTH_OR_CONFIG = 2
    NETWORK = 7
    RATE_LIMIT = 6
    GENERAL = 1
    VALIDATION = 5
    NEEDS_LOGIN = 4
    FROZEN = 3
    OK = 0


EXIT_BY_CAUSE: Final[Mapping[Cause, Exit]] = {
    Cause.TOKEN_REJECTED: Exit.AUTH_OR_CONFIG,
    Cause.UNREACHABLE: Exit.NETWORK,
    Cause.RATE_LIMITED: Exit.RATE_LIMIT,
    Cause.BAD_RESPONSE: Exit.GENERAL,
}

EXIT_BY_STATUS: Final[Mapping[Status, Exit]] = {
    Status.RECONNECTION_REQUIRED: Exit.NEEDS_LOGIN,
    Status.UNKNOWN: Exit.NEEDS_LOGIN,
    Status.FROZEN: Exit.FROZEN,
    Status.ACTIVE: Exit.OK,
}

_TIMES: Final = {
    "since",
    "as_of",
    "failing_since",
    "opened_at",
    "resolved_at",
    "next_attempt_at",
    "created_at",
    "rules_told_at",
}

_STYLES: Final = {
    **dict.fromkeys(("active", "delivered"), "green"),
    **dict.fromkeys(("reconnection_required", "frozen", "unknown", "dead"), "red"),
}

_MAX_WIDTH: Final = 10_000


def worst(codes: Iterable[Exit]) -> Exit:
    """Return the exit code that matters most among *codes*."""
    return min(codes, key=list(Exit).index, default=Exit.OK)


def print_rows(
    rows: Sequence[Mapping[str, Any]], *, as_json: bool, columns: Sequence[str], empty: str
) -> None:
    """Print *rows*: all of them as JSON, or their *columns* as a table, or the sentence *empty*."""
    if as_json or not sys.stdout.isatty():
        print_json([_with_iso_times(row) for row in rows])
        return
    if not rows:
        typer.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(_heading(column), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(column, row[column]) for column in columns))
    console = Console(highlight=False)
    if "link" in columns:  # the terminal may break it, but we don't: it is to be copied
        console.size = ConsoleDimensions(_MAX_WIDTH, console.height)
    console.print(table, soft_wrap="link" in columns)


def print_json(data: Any) -> None:
    """Print *data* as JSON in the envelope of all commands.

    What a terminal would obey is written as JSON can: readers of either kind get what it is.
    """
    text = json.dumps({"success": True, "data": data}, ensure_ascii=False)
    typer.echo("".join(c if c == visible(c) else json.dumps(c)[1:-1] for c in text))


def print_lines(text: str, *, err: bool = False) -> None:
    """Print lines of *text*; whatever a terminal would obey is escaped."""
    typer.echo("\n".join(map(visible, text.split("\n"))), err=err)


def print_error(type_: str, message: str) -> None:
    """Print an error to standard error: a line on a terminal, else JSON."""
    if sys.stderr.isatty():
        print_lines(f"error: {message}", err=True)
    else:
        typer.echo(json.dumps({"error": type_, "message": message}), err=True)


def _with_iso_times(row: Mapping[str, Any]) -> dict[str, Any]:
    times = {key: iso_time(row[key]) for key in _TIMES & row.keys() if row[key] is not None}
    return {**row, **times}


def _heading(column: str) -> str:
    name = column.removesuffix("_at").removesuffix("_seconds").replace("_", " ")
    return f"{name} (UTC)" if column in _TIMES else name


def _cell(column: str, value: Any) -> Text:
    text = "" if value is None else str(value)
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif column == "duration_seconds":
        text = humanize(Duration(value * 1_000_000))
    elif column == "id" and len(text) > 13:
        text = f"{text[:8]}…"
    elif column in _TIMES and text:
        text = iso_time(value)[:16].replace("T", " ")
    return Text(unstack(visible(text)), style=_STYLES.get(text, ""))
