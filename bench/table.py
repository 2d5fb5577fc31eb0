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
        """Return the texts of the row; a limit that is missed says so."""
        limit = ""
        if self.ratio is not None and self.limit is not None:
            is_missed = self.ratio > self.limit
            limit = ("over " if is_missed else "≤ ") + _times(self.limit).replace(".00", "")
        ratio = "" if self.ratio is None else _times(self.ratio)
        return ratio, limit, self.what, self.measured, self.beside


def _times(ratio: float) -> str:
    """Write a ratio: as a fraction where it is a small one."""
    if ratio < 0.1:
        return f"1/{1 / ratio:.0f}"
    return f"{ratio:.2f} ×" if ratio < 10 else f"{ratio:.0f} ×"


def table(parts: Iterable[tuple[str, Sequence[Row]]]) -> str:
    """Write the rows of all *parts* (title, rows) as one table in Markdown."""
    rows: list[Sequence[str]] = [_HEAD]
    for title, some in parts:
        rows.append(("", "", f"**{title}**", "", ""))
        rows += [row.cells() for row in some]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
