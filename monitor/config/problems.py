"""What is wrong with a configuration, said so that a person finds the place and mends it."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from monitor.core.errors import MonitorError

SHOWN: Final = 50
MOST_KNOWN: Final = 1000
"""More words than these are not searched for the one that was meant."""


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


def suggestion(word: str, known: Iterable[str]) -> str:
    """Say which of the *known* words was probably meant, or nothing: `; did you mean url?`."""
    some = sorted(islice(known, MOST_KNOWN))
    near = difflib.get_close_matches(word[:64], some, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def alternatives(words: Sequence[str]) -> str:
    """Join *words* as a person would: `a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nothing"
