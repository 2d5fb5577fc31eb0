"""Tables on a terminal: as wide as it is, with what is to be copied on lines of its own."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.core.duration import Duration, humanize
from monitor.core.model import Micros
from monitor.core.text import iso_time, unstack, visible

from .output import TIMES

GAP: Final = 2
"""Spaces between two columns, where there is room for them; else 1."""

MIN_WIDTH: Final = 8
"""Characters that a column keeps on a narrow terminal, if it has them."""

_HEADINGS: Final = {"account_name": "account", "attempts": "tries", "next_attempt_at": "next try"}
_STYLES: Final = {
    **dict.fromkeys(("active", "delivered"), "green"),
    **dict.fromkeys(("reconnection_required", "frozen", "unknown", "dead"), "red"),
}


class _Layout(NamedTuple):
    """How wide the columns of a table are, and the gaps between them."""

    gap: int
    widths: list[int]


def print_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, below: str | None, now: Micros
) -> None:
    """Print the *columns* of *rows*, and below a row the text that it has at the key *below*.

    That text is broken by the terminal alone, so that an address can be copied. *now* is what spans
    count from. In a pipe no line is broken. A column in which nothing stands is left out.
    """
    width, height = shutil.get_terminal_size()
    console = Console(highlight=False, width=width, height=height)  # it thinks dumb ones have 80
    columns = [column for column in columns if any(row[column] not in (None, "") for row in rows)]
    headings = [_heading(column) for column in columns]
    cells = [[_cell(column, row[column], now) for column in columns] for row in rows]
    texts = [[heading, *(line[at].plain for line in cells)] for at, heading in enumerate(headings)]
    if not sys.stdout.isatty():
        width = sum(max(map(cell_len, column)) + GAP for column in texts)
    layout = _fit(texts, width)
    console.width = max(console.width, width)
    table = _table(headings, layout, show_header=True)
    for line, row in zip(cells, rows, strict=True):
        table.add_row(*line)
        if below and (text := row.get(below)):
            console.print(table)
            console.print(Text(f"  {visible(str(text))}"), soft_wrap=True)
            table = _table(headings, layout, show_header=False)
    if table.row_count:
        console.print(table)


def _table(headings: Sequence[str], layout: _Layout, *, show_header: bool) -> Table:
    table = Table(
        box=None,
        padding=(0, layout.gap, 0, 0),
        pad_edge=False,
        header_style="bold",
        show_header=show_header,
    )
    for heading, width in zip(headings, layout.widths, strict=True):
        table.add_column(heading, overflow="fold", width=width)
    return table


def _fit(columns: Sequence[Sequence[str]], total: int) -> _Layout:
    """Lay out *columns*, each its texts, on a terminal of *total* characters.

    Where there is too little room lines are broken between words; words, if that is not enough.
    """
    widths = [max(map(cell_len, texts)) for texts in columns]
    words = [max(map(cell_len, " ".join(texts).split()), default=0) for texts in columns]
    gap = GAP if sum(words) + GAP * (len(words) - 1) <= total else 1
    room = total - gap * (len(widths) - 1)
    for least in (words, [MIN_WIDTH] * len(words)):
        while sum(widths) > room:
            spare, at = max((width - least[at], at) for at, width in enumerate(widths))
            if spare <= 0:
                break
            widths[at] -= 1
    return _Layout(gap, widths)


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
