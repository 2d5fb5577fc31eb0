"""Tables on a terminal: as wide as it is, with what is to be copied on lines of its own."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.core.duration import Duration, humanize
from monitor.core.model import Micros
from monitor.core.text import iso_time, unstack, visible

from .output import TIMES

GAP: Final = 2
"""Spaces between two columns."""

MIN_WIDTH: Final = 8
"""Characters that a column keeps on a narrow terminal, if it has them."""

_HEADINGS: Final = {"account_name": "account", "attempts": "tries", "next_attempt_at": "next try"}
_STYLES: Final = {
    **dict.fromkeys(("active", "delivered"), "green"),
    **dict.fromkeys(("reconnection_required", "frozen", "unknown", "dead"), "red"),
}


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, below: str | None, now: Micros
) -> None:
    """Print the *columns* of *rows*, and below a row the text that it has at the key *below*.

    That text is broken by the terminal alone, so that an address can be copied. *now* is what spans
    count from. In a pipe no line is broken.
    """
    console = Console(highlight=False)
    headings = [_heading(column) for column in columns]
    cells = [[_cell(column, row[column], now) for column in columns] for row in rows]
    widths = [
        max(map(cell_len, (heading, *(line[index].plain for line in cells))))
        for index, heading in enumerate(headings)
    ]
    if sys.stdout.isatty():
        widths = _fitting(widths, console.width)
    else:
        console.width = max(console.width, sum(widths) + GAP * len(widths))
    table = _table(headings, widths, show_header=True)
    for line, row in zip(cells, rows, strict=True):
        table.add_row(*line)
        if below and (text := row.get(below)):
            console.print(table)
            console.print(Text(f"  {visible(str(text))}"), soft_wrap=True)
            table = _table(headings, widths, show_header=False)
    if table.row_count:
        console.print(table)


def _table(headings: Sequence[str], widths: Sequence[int], *, show_header: bool) -> Table:
    table = Table(
        box=None,
        padding=(0, GAP, 0, 0),
        pad_edge=False,
        header_style="bold",
        show_header=show_header,
    )
    for heading, width in zip(headings, widths, strict=True):
        table.add_column(heading, overflow="fold", width=width)
    return table


def _fitting(widths: Sequence[int], total: int) -> list[int]:
    """Return *widths*, the widest ones narrowed until all of them fit into *total* characters."""
    fitted = list(widths)
    room = total - GAP * (len(widths) - 1)
    while sum(fitted) > room and max(fitted) > MIN_WIDTH:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _heading(column: str) -> str:
    name = _HEADINGS.get(column)
    if name:
        return name
    name = column.removesuffix("_at").removesuffix("_seconds").replace("_", " ")
    return f"{name} (UTC)" if column in TIMES else name


def _cell(column: str, value: Any, now: Micros) -> Text:
    text = "" if value is None else str(value)
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{key}: {word}" for key, word in value.items())
    elif column == "duration_seconds":
        text = humanize(Duration(value * 1_000_000))
    elif column == "next_attempt_at":
        text = _until(value, now)
    elif column == "id" and len(text) > 13:
        text = f"{text[:8]}…"
    elif column in TIMES and text:
        text = iso_time(value)[:16].replace("T", " ")
    return Text(unstack(visible(text)), style=_STYLES.get(text, ""))


def _until(at: Micros | None, now: Micros) -> str:
    if at is None:
        return ""
    return f"in {humanize(at - now)}" if at > now else "now"
