"""What commands print, tables on a terminal and JSON in a pipe unless asked for, and exit codes."""

import codecs
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

import typer

from monitor.core.model import Cause, Micros, Status
from monitor.core.text import iso_time, visible


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
    Cause.SUBSCRIPTION: Exit.FROZEN,
}

EXIT_BY_STATUS: Final[Mapping[Status, Exit]] = {
    Status.RECONNECTION_REQUIRED: Exit.NEEDS_LOGIN,
    Status.UNKNOWN: Exit.NEEDS_LOGIN,
    Status.FROZEN: Exit.FROZEN,
    Status.ACTIVE: Exit.OK,
}

TIMES: Final = {
    "since",
    "as_of",
    "failing_since",
    "held_since",
    "opened_at",
    "resolved_at",
    "next_attempt_at",
    "acknowledged_until",
    "starts",
    "until",
    "made_at",
    "muted_until",
    "created_at",
    "rules_told_at",
}


def worst(codes: Iterable[Exit]) -> Exit:
    """Return the exit code that matters most among *codes*."""
    return min(codes, key=list(Exit).index, default=Exit.OK)


def wants_json(asked: bool | None) -> bool:
    """Return whether to print JSON: as *asked* with `--json` or `--table`, else in a pipe only."""
    return not sys.stdout.isatty() if asked is None else asked


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    *,
    as_json: bool | None,
    columns: Sequence[str],
    empty: str,
    below: str | None = None,
    now: Micros = 0,
) -> None:
    """Print *rows*: all of them as JSON, or their *columns* as a table, or the sentence *empty*.

    *as_json* is what was asked for, if anything was; *below* and *now* are as for `print_table`.
    """
    if wants_json(as_json):
        print_json([_with_iso_times(row) for row in rows])
        return
    if not rows:
        typer.echo(empty)
        return
    from .table import print_table  # noqa: PLC0415 - a start without one is quicker by a third

    print_table(rows, columns, below=below, now=now)


def print_json(data: Any) -> None:
    """Print *data* as JSON in the envelope of all commands.

    What a terminal would obey is written as JSON can: readers of either kind get what it is. So is
    all that is not ASCII where the output is in another encoding than that of JSON.
    """
    is_utf8 = codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8"
    text = json.dumps({"success": True, "data": data}, ensure_ascii=not is_utf8)
    typer.echo("".join(c if c == visible(c) else json.dumps(c)[1:-1] for c in text))


def print_lines(text: str, *, err: bool = False) -> None:
    """Print lines of *text*; whatever a terminal would obey is escaped."""
    typer.echo("\n".join(map(visible, text.split("\n"))), err=err)


def count(numbers: Mapping[str, int]) -> str:
    """Say how many there are of each noun of *numbers*: `1 workspace, 2,000 accounts`."""
    return ", ".join(
        f"{number:,} {noun}{'' if number == 1 else 's'}" for noun, number in numbers.items()
    )


def print_error(type_: str, message: str) -> None:
    """Print an error to standard error: a line on a terminal, else JSON."""
    if sys.stderr.isatty():
        print_lines(f"error: {message}", err=True)
    else:
        typer.echo(json.dumps({"error": type_, "message": message}), err=True)


def _with_iso_times(row: Mapping[str, Any]) -> dict[str, Any]:
    times = {key: iso_time(row[key]) for key in TIMES & row.keys() if row[key] is not None}
    return {**row, **times}
