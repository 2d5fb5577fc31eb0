"""Reads `accounts_file`: a table of who owns which account, as spreadsheet programs write it.

The first line names the columns: `id`, `url` or `name`, of which each row needs one, `ignore`, and
labels. Columns are parted by commas, semicolons or tabs.
"""

import _csv
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from monitor.core.inventory import COLUMNS, AccountRow, Column
from monitor.core.text import visible
from monitor.core.url import profile_key
from monitor.files import FileContents

from .document import Problem, defect, is_presentable, suggestion

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_ROWS: Final = 100_000
MAX_LABELS: Final = 50

IGNORE: Final = "ignore"
_WORDS: Final = {
    **dict.fromkeys(("true", "yes", "1"), True),
    **dict.fromkeys(("false", "no", "0"), False),
}


@dataclass(frozen=True, slots=True)
class AccountsFile:
    """The *rows* of the file at *path* by their lines, and the *problems* found in it.

    It has *size* characters, and *is_whole* if it ends with a line.
    """

    path: Path
    rows: Mapping[int, AccountRow] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    size: int = 0
    is_whole: bool = True

    def problem(self, line: int | None, message: str, column: str = "") -> Problem:
        """Return a problem of the file."""
        return Problem(line, column if is_presentable(column) else "", message, str(self.path))


class _Reader:
    """Reads one file; *rows* and *problems* grow."""

    def __init__(self, path: Path) -> None:
        self.rows: dict[int, AccountRow] = {}
        self.problems: list[Problem] = []
        self._file = AccountsFile(path)
        self._lines: dict[tuple[str, str], int] = {}

    def report(self, line: int | None, message: str, column: str = "") -> None:
        self.problems.append(self._file.problem(line, message, column))

    def read(self, text: str) -> None:
        """Read all of *text*."""
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        cells = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        table = _numbered(cells)
        try:
            line, header = next(table, (1, []))
            columns = self._columns(line, [name.strip() for name in header])
            for number, (line, row) in enumerate(table):
                if number >= MAX_ROWS:
                    self.report(line, f"is a row too many: there may be {MAX_ROWS:,}")
                    break
                self._row(line, columns, [cell.strip() for cell in row])
        except csv.Error as error:
            self.report(cells.line_num, f"can't be read on: {visible(str(error))}")

    def _columns(self, line: int, header: Sequence[str]) -> Sequence[str]:
        own = {*COLUMNS, IGNORE}
        columns = [name.lower() if name.lower() in own else name for name in header]
        named = [name for name in columns if name]
        if not named:
            self.report(line, "must name the columns, such as id,owner")
        elif not set(named) & set(COLUMNS):
            hints = (suggestion(name.lower(), COLUMNS) for name in named if is_presentable(name))
            self.report(line, f"has no column id, url or name{next(filter(None, hints), '')}")
        for name in sorted({name for name in named if named.count(name) > 1}):
            self.report(line, "is a column twice", name)
        for name in named:
            if problem := defect(name):
                self.report(line, f"the name of a column {problem}")
        if len(set(named) - own) > MAX_LABELS:
            self.report(line, f"must name {MAX_LABELS} or fewer labels")
        return columns

    def _row(self, line: int, columns: Sequence[str], cells: Sequence[str]) -> None:
        if any(cells[len(columns) :]):
            self.report(line, f"has more than {len(columns)} cells; quote text with separators")
            return
        row = {}
        for column, cell in zip(columns, cells, strict=False):
            if problem := "has no name in the first line" if cell and not column else defect(cell):
                self.report(line, problem, column)
            elif cell:
                row[column] = cell
        if row and (account := self._account(line, row)):
            ignore = self._ignore(line, row.pop(IGNORE, None))
            labels = {name: cell for name, cell in row.items() if name not in COLUMNS}
            if labels or ignore is not None:
                self.rows[line] = AccountRow(*account, labels, ignore)

    def _account(self, line: int, row: Mapping[str, str]) -> tuple[Column, str] | None:
        """Return what names the account of *row*: the best of what is filled in."""
        column = next((column for column in COLUMNS if column in row), None)
        if column is None:
            self.report(line, "names no account: it needs an id, a url or a name")
            return None
        value = row[column]
        if column == "url":
            value = profile_key(value if "://" in value else f"https://{value}")
        if not value:
            self.report(line, "must be an address such as linkedin.com/in/jane-doe", column)
        elif (first := self._lines.setdefault((column, value), line)) != line:
            self.report(line, f"names the same account as line {first}", column)
        else:
            return column, value
        return None

    def _ignore(self, line: int, word: str | None) -> bool | None:
        if word is not None and word.lower() not in _WORDS:
            self.report(line, "must be true or false, or empty", IGNORE)
        return _WORDS.get((word or "").lower())


def _numbered(rows: "_csv.Reader") -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line that it starts in."""
    line = 1
    for row in rows:
        yield line, row
        line = rows.line_num + 1


def read_accounts(path: Path, contents: FileContents) -> AccountsFile:
    """Read the file at *path*; what is wrong is in its *problems*.

    What it holds is added to *contents*.
    """
    reader = _Reader(path)
    text = ""
    try:
        content = contents.read(path, MAX_BYTES)
        text = content.decode("utf-8-sig")
    except OSError as error:
        reader.report(None, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        reader.report(line, "is not UTF-8 text; save it as “CSV UTF-8”")
    else:
        if len(content) > MAX_BYTES:
            reader.report(None, f"is larger than {MAX_BYTES // 1024**2} MiB")
        elif not text.strip():
            reader.report(None, "is empty")
        else:
            reader.read(text)
    is_whole = text[-1:] in "\r\n"
    return AccountsFile(path, reader.rows, tuple(reader.problems), len(text), is_whole)
