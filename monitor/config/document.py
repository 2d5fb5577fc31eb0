"""The values of a configuration file, which remember where they stand, and what is wrong there."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from monitor.core.errors import MonitorError

SHOWN: Final = 50
"""A person is told of so many problems at once."""

_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_ -]{0,39}", re.ASCII)

Place: TypeAlias = tuple[str | int, ...]


class Table(dict[str, Any]):
    """A mapping of the document; *lines* says where each key stands."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class Items(list[Any]):
    """A list of the document; *lines* says where each item starts."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


class Hidden(str):
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
        place = self.source or ""
        if self.source and self.line is not None:
            place = f"{self.source}:{self.line}"
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(MonitorError):
    """The configuration cannot be used; the text has one line for each of its *problems*."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        distinct = dict.fromkeys(problems)
        self.problems = tuple(sorted(distinct, key=lambda found: found.line or 0))
        lines = [str(problem) for problem in self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            lines.append(f"and {len(self.problems) - SHOWN} more")
        super().__init__("\n".join(lines))


@dataclass(slots=True)
class Document:
    """The top of a document and what was wrong with it; *source* is the name of its file.

    *origins* names the environment variable of each place whose value is not from the file;
    *broken* are the places of the problems.
    """

    root: Table = field(default_factory=Table)
    source: str | None = None
    origins: dict[Place, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[Place] = field(default_factory=set)

    def find(self, place: Place) -> tuple[int | None, Place, Any]:
        """Return the line, the place and the value of the deepest part of *place* that exists."""
        value: Any = self.root
        line: int | None = None
        found: list[str | int] = []
        for step in place:
            if isinstance(value, Table) and isinstance(step, str) and step in value:
                line, value = value.lines.get(step, line), value[step]
            elif isinstance(value, Items) and isinstance(step, int) and step < len(value):
                line = value.lines[step] if value.lines else line
                value = value[step]
            else:
                continue
            found.append(step)
        return line, tuple(found), value

    def report(self, place: Place, message: str, *, shown: Place | None = None) -> None:
        """Record what is wrong at *place*, once: what comes after it follows from the first.

        People read of the place *shown* instead, if there is one.
        """
        if place not in self.broken:
            self.broken.add(place)
            self.problems.append(self.problem(place if shown is None else shown, message))

    def problem(self, place: Place, message: str) -> Problem:
        """Return *message* with the line of *place*, or with the variable its value came from."""
        for length in range(len(place), 0, -1):
            if variable := self.origins.get(place[:length]):
                return Problem(None, variable, message)
        return Problem(self.find(place)[0], written(place), message, self.source)


def written(place: Place) -> str:
    """Write *place* as people do: `receivers[0].url`; a key that is no plain word stays out."""
    parts = []
    for step in place:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        else:
            parts.append(f".{step}" if is_word(step) else ".…")
    return "".join(parts).removeprefix(".")


def is_word(key: str) -> bool:
    """Say whether *key* may be shown: a plain word, not something pasted into the wrong place."""
    return _WORD.fullmatch(key) is not None
