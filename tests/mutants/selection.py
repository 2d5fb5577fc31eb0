"""Which tests can notice a mutant: those that run its line, or use what it defines."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .mutate import Mutant, statements, words

QUICK = 5.0
"""Seconds of the fastest tests that are run before the others are even collected."""


class Selection:
    """Selects the tests for a mutant.

    *measured* has the seconds and lines of each test, *sources* the text of each file.
    """

    def __init__(self, measured: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        self._measured = measured
        self._sources = sources
        self._runs: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
        for test, what in measured.items():
            for path, lines in what["lines"].items():
                for line in lines:
                    self._runs[path, line].append(test)
        self._uses: defaultdict[str, list[tuple[str, range]]] = defaultdict(list)
        self._made_of: defaultdict[str, set[str]] = defaultdict(set)
        for path in (path for path in sources if path.startswith("monitor/")):
            for statement in statements(ast.parse(sources[path])):
                for word in set(words(statement.node)):
                    self._uses[word].append((path, statement.lines))
                    self._made_of[word] |= statement.names

    def tests(self, mutant: Mutant) -> list[str]:
        """Return the tests that can notice *mutant*, the fastest first.

        What is run at import has an effect where its name is used, in the program or in a test.
        """
        names = mutant.statement.names
        places = [(mutant.path, mutant.statement.lines)]
        places += [place for name in self._closure(names) for place in self._uses[name]]
        tests = {
            test
            for path, lines in places
            for line in lines
            for test in self._runs.get((path, line), ())
        }
        return sorted(tests.union(self._naming(names)), key=self._seconds)

    def batches(self, tests: Iterable[str]) -> Iterator[tuple[list[str], float]]:
        """Yield *tests* in parts with their seconds: a few quick ones, others, PostgreSQL's."""
        batches: tuple[list[str], ...] = ([], [], [])
        spent = 0.0
        for test in tests:
            spent += self._seconds(test)
            batches[2 if "postgres" in test else int(spent > QUICK)].append(test)
        for batch in filter(None, batches):
            yield batch, sum(map(self._seconds, batch))

    def _seconds(self, test: str) -> float:
        seconds: float = self._measured[test]["seconds"]
        return seconds

    def _naming(self, names: frozenset[str]) -> Iterator[str]:
        """Yield the tests of each file that names one of *names*."""
        name = re.compile(rf"\b({'|'.join(names)})\b")
        files = {path for path, source in self._sources.items() if names and name.search(source)}
        return (test for test in self._measured if test.partition("::")[0] in files)

    def _closure(self, names: Iterable[str]) -> set[str]:
        """Return *names* and the names of what is made of them at import."""
        closure, new = set[str](), set(names)
        while new:
            closure |= new
            new = set().union(*(self._made_of[name] for name in new)) - closure
        return closure
