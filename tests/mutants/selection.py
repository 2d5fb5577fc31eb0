"""Which tests can notice a mutant: those that run its line, or use what it defines."""

import ast
import re
from collections import defaultdict

from .mutate import statements, words

QUICK = 5.0
"""Seconds of the fastest tests that are run before the others are even collected."""


class Selection:
    """Selects the tests for a mutant.

    *measured* has the seconds and lines of each test, *sources* the text of each file.
    """

    def __init__(self, measured, sources):
        self._sources = sources
        self._seconds = {test: what["seconds"] for test, what in measured.items()}
        self._runs = defaultdict(set)
        for test, what in measured.items():
            for path, lines in what["lines"].items():
                for line in lines:
                    self._runs[path, line].add(test)
        self._uses = defaultdict(list)
        for path in (path for path in sources if path.startswith("monitor/")):
            for statement in statements(ast.parse(sources[path])):
                for word in words(statement.node):
                    self._uses[word].append((path, statement))

    def tests(self, mutant):
        """Return the tests that can notice *mutant*, the fastest first.

        What is run at import has an effect where its name is used, in the program or in a test,
        and where the names are used of what is made of it at import.
        """
        places, names, new = [(mutant.path, mutant.statement)], set(), mutant.statement.names
        while new:
            names |= new
            uses = [use for name in new for use in self._uses[name]]
            places += uses
            new = {name for _, statement in uses for name in statement.names} - names
        lines = {(path, line) for path, statement in places for line in statement.lines}
        tests = {test for line in lines for test in self._runs.get(line, ())}
        if mutant.statement.names:
            name = re.compile(rf"\b({'|'.join(mutant.statement.names)})\b")
            files = {path for path, source in self._sources.items() if name.search(source)}
            tests |= {test for test in self._seconds if test.partition("::")[0] in files}
        return sorted(tests, key=self._seconds.get)

    def batches(self, tests):
        """Yield *tests* in parts with their seconds: a few quick ones, others, PostgreSQL's."""
        batches, spent = ([], [], []), 0.0
        for test in tests:
            spent += self._seconds[test]
            batches[2 if "postgres" in test else int(spent > QUICK)].append(test)
        for batch in filter(None, batches):
            yield batch, sum(map(self._seconds.get, batch))
