"""The table that a benchmark prints: a row for each figure, the ratio first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_HEAD: Final = ("ratio", "limit", "what", "measured", "beside")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: *what* was *measured*, as a *ratio* to what stands *beside* it."""

    what: str
    measured: str
    ratio: float | None = None
    limit: float | None = None
    beside: str = ""

    def cells(self) -> Sequence[str]:
        """Return the cells of the row; a missed limit is marked `over`."""
        limit = ""
        if self.ratio is not None and self.limit is not None:
            is_missed = self.ratio > self.limit
            limit = ("over " if is_missed else "≤ ") + _format_ratio(self.limit).replace(".00", "")
        ratio = "" if self.ratio is None else _format_ratio(self.ratio)
        return ratio, limit, self.what, self.measured, self.beside


def _format_ratio(ratio: float) -> str:
    """Return *ratio* as text: as a fraction where it is small."""
    if ratio < 0.1:
        return f"1/{1 / ratio:.0f}"
    return f"{ratio:.2f} ×" if ratio < 10 else f"{ratio:.0f} ×"


def table(parts: Iterable[tuple[str, Sequence[Row]]]) -> str:
    """Return the rows of all *parts* (title, rows) as one table in Markdown."""
    rows: list[Sequence[str]] = [_HEAD]
    for title, part in parts:
        rows.append(("", "", f"**{title}**", "", ""))
        rows += [row.cells() for row in part]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
