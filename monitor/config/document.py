"""The values of a configuration file with their lines, and the problems found in them."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias

from monitor.core.errors import SetupError
from monitor.core.text import REDACTED
from monitor.files import FileContents

MAX_SHOWN: Final = 50
"""So many problems are shown at once."""

MAX_TEXT: Final = 8192
"""A longer value is something else: no token, address or label is."""

MAX_CANDIDATES: Final = 1000
"""Of more words than these only some are compared with a misspelt one."""

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_QUOTES: Final = frozenset(('""', "''", "``", "\u201c\u201d", "\u2018\u2019", "\u201e\u201c"))
_CREDENTIAL: Final = re.compile(
    r"\b(?:linked_(?!api\b)|whsec_|sk[-_]|gh[a-z]_|glpat-|xox[a-z]-|xapp-|AKIA|eyJ)[\w.+/=-]{8,}"
    r"|(?<![\w/])(?=[A-Za-z+=_-]*\d)(?=[\d+=_-]*[A-Za-z])[A-Za-z0-9+=_-]{20,}(?![\w/.])"
)
"""What vendors mark as one, or long text of letters and digits that is no path and no word."""

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_ -]{0,39}", re.ASCII)

Location: TypeAlias = tuple[str | int, ...]


class Table(dict[str, Any]):
    """A mapping of the document; *lines* has the line of each key."""

    __slots__ = ("lines",)

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        super().__init__(values or {})
        self.lines: dict[str, int] = {}


class Items(list[Any]):
    """A list of the document; *lines* has the line where each item starts."""

    __slots__ = ("lines",)

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__(values)
        self.lines: list[int] = []


class SensitiveText(str):
    """Text from the environment or from a secret's own file: it must not be shown."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: in *source* (None: the environment), at *line*, at *path*."""

    line: int | None
    path: str
    message: str
    source: str | None = None

    def __str__(self) -> str:
        source = self.source
        if source and "/" not in source:  # a path may have names that look like one
            source = hide_credentials(source)
        place = f"{source}:{self.line}" if source and self.line else source
        path, message = hide_credentials(self.path), hide_credentials(self.message)
        return ": ".join(filter(None, (place, path, message)))


class ConfigError(SetupError):
    """The configuration cannot be used; the text has one line for each of its *problems*.

    Of very many only the first are *shown*. *contents* is what the files held that it was read
    from.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.contents = FileContents()
        distinct = dict.fromkeys(problems)
        order = {source: at for at, source in enumerate({p.source: None for p in distinct})}
        self.problems = tuple(sorted(distinct, key=lambda p: (order[p.source], p.line or 0)))
        self.shown = self.problems[:MAX_SHOWN]
        lines = [str(problem) for problem in self.shown]
        if len(self.problems) > MAX_SHOWN:
            lines.append(f"and {len(self.problems) - MAX_SHOWN} more")
        super().__init__("\n".join(lines))


@dataclass(slots=True)
class Document:
    """The *root* of a document and its *problems*; *source* is the name of its file.

    *origins* has the environment variable of each location whose value is not from the file,
    *overridden* that of each key whose value in the file does not count; *reported* are the
    locations of the problems. *odd* has what is usable but was hardly meant, *used* the variables
    that values of the file name, *notes* is what a person who checks it should know.

    The file holds *text*, and *is_open* if everybody can read it. *contents* has what it and all
    others held that were read, *secret_files* those of secrets, by the location of each secret.
    """

    root: Table = field(default_factory=Table)
    source: str | None = None
    origins: dict[Location, str] = field(default_factory=dict)
    overridden: dict[str, str] = field(default_factory=dict)
    odd: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    text: str = ""
    is_open: bool = False
    contents: FileContents = field(default_factory=FileContents)
    secret_files: dict[Location, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reported: set[Location] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        """The folder of its file, which the paths in it are relative to."""
        return Path(self.source).parent if self.source else Path()

    def has(self, section: str, key: str) -> bool:
        """Return whether *key* of *section* has a value, or its `_file` form has one."""
        table = self.root.get(section)
        names = (key, f"{key}_file")
        return isinstance(table, Table) and any(table.get(name) is not None for name in names)

    def find(self, location: Location) -> tuple[int | None, Location, Any]:
        """Return line, location and value of the deepest part of *location* that exists."""
        value: Any = self.root
        line: int | None = None
        steps: list[str | int] = []
        for step in location:
            if isinstance(value, Table) and isinstance(step, str) and step in value:
                line, value = value.lines.get(step, line), value[step]
            elif isinstance(value, Items) and isinstance(step, int) and step < len(value):
                line = value.lines[step] if value.lines else line
                value = value[step]
            else:
                continue
            steps.append(step)
        return line, tuple(steps), value

    def report(self, location: Location, message: str, *, shown: Location | None = None) -> None:
        """Add a problem at *location*, once: those that come later follow from the first.

        It is shown with the location *shown* instead, if there is one.
        """
        if location not in self.reported:
            self.reported.add(location)
            self.problems.append(self.problem(location if shown is None else shown, message))

    def problem(self, location: Location, message: str) -> Problem:
        """Return a problem with the line of *location*, or with the variable of its value."""
        for length in range(len(location), 0, -1):
            if variable := self.origins.get(location[:length]):
                return Problem(None, variable, message)
        return Problem(self.find(location)[0], format_location(location), message, self.source)


def format_location(location: Location) -> str:
    """Write *location* as people do: `receivers[0].url`; a key that is no plain word stays out."""
    parts = (
        f"[{step}]" if isinstance(step, int) else f".{step}" if is_word(step) else ".…"
        for step in location
    )
    return "".join(parts).removeprefix(".")


def is_presentable(name: Any) -> bool:
    """Return whether *name* may be shown: words from the file itself, dots and slashes too."""
    is_open = isinstance(name, str) and not isinstance(name, SensitiveText)
    return is_open and is_word(name.replace(".", "_").replace("/", "_"))


def is_word(key: str) -> bool:
    """Return whether *key* may be shown: a plain word, not something pasted by mistake."""
    return _WORD.fullmatch(key) is not None and not looks_secret(key)


def hide_credentials(text: str) -> str:
    """Return *text* without what looks like a credential that was typed into a wrong place."""
    return _CREDENTIAL.sub(REDACTED, text)


def looks_secret(text: str) -> bool:
    """Return whether *text* looks like a credential, or like an address that may hold one."""
    return "://" in text or _CREDENTIAL.search(text) is not None


def oddity(text: str) -> str | None:
    """Return what is odd about *text*, which nobody sees: quotes or white space at its ends."""
    if text != text.strip():
        return "begins or ends with white space; leave it out"
    if len(text) > 1 and (text[0] + text[-1]) in _QUOTES:
        return "is in quotes that are part of it; leave them out"
    return None


def defect(text: str) -> str | None:
    """Return what is wrong with *text* whatever it is for: its length, or a line break in it."""
    if len(text) > MAX_TEXT:
        return f"must have {MAX_TEXT} or fewer characters"
    if _CONTROL.search(text):
        return "holds a line break or another character that cannot be seen"
    return None


def is_utf8(text: str) -> bool:
    """Return whether *text* can be written: variables may hold bytes of another encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def suggestion(word: str, words: Iterable[str]) -> str:
    """Return which of the *words* was probably meant (`; did you mean url?`), or ""."""
    candidates = sorted(islice(words, MAX_CANDIDATES))
    matches = difflib.get_close_matches(word[:64], candidates, n=1, cutoff=0.75)
    return f"; did you mean {matches[0]}?" if matches else ""


def alternatives(words: Sequence[str]) -> str:
    """Join *words* as a person would: `a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nothing"
