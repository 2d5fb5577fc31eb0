"""Builds plain values from the events of a YAML document: scalars, aliases, variables, limits."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from .document import Document, Hidden, Items, Place, Problem, Table, written

MAX_DEPTH: Final = 32
MAX_NODES: Final = 500_000
MAX_PROBLEMS: Final = 20_000

OPEN: Final = "\U0010fffc"
CLOSE: Final = "\U0010fffd"
"""What stands for the braces of a `${…}` while YAML is read."""

_VARIABLE: Final = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_NUMBER_STARTS: Final = frozenset("+-.0123456789")
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,40}", re.ASCII)
_OTHER_BASE: Final = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_TEXT_TAG: Final = "tag:yaml.org,2002:str"
_NOTHING: Final = "unset"


class UnusableError(Exception):
    """Nothing can be made of the rest of the document."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class Builder:
    """Builds the values of one document from its events, without recursion."""

    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self.top: Any = None
        self._document = document
        self._environ = environ
        self._open: list[tuple[Table | Items, str | None, str | None, int, int]] = []
        self._key: str | None = None
        self._heights: list[int] = []  # of each open container: the levels within it so far
        self._anchors: dict[str, tuple[Any, int, int] | None] = {}
        self._nodes = 0
        self._started = False

    def take(self, event: Any) -> bool:
        """Use the next event; return whether it was the last."""
        line: int = event.start_mark.line + 1
        match event:
            case yaml.ScalarEvent():
                self._scalar(event, line)
            case yaml.MappingStartEvent():
                self._start(event, Table(), line)
            case yaml.SequenceStartEvent():
                self._start(event, Items(), line)
            case yaml.CollectionEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event, line)
            case yaml.DocumentStartEvent() if self._started:
                raise UnusableError(line, "a second document starts here (---); write only one")
            case yaml.DocumentStartEvent():
                self._started = True
            case _:
                return isinstance(event, yaml.StreamEndEvent)
        return False

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        text: str = event.value
        if OPEN in text:
            text = text.replace(OPEN, "{").replace(CLOSE, "}")
        if self._wants_key():
            self._start_entry(text, line, plain=event.implicit[0])
            return
        value: Any = text
        if event.tag not in (None, "!", _TEXT_TAG):
            raise UnusableError(line, "tags are not supported; quote text that starts with !")
        if "${" in text:
            value = self._expand(text, line)
        elif event.implicit[0] and event.tag is None:
            value = _resolve(text)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1, 0)
        self._put(value, line)

    def _start_entry(self, key: str, line: int, *, plain: bool) -> None:
        table = self._open[-1][0]
        assert isinstance(table, Table)
        if plain and key == "<<":
            raise UnusableError(line, "merge keys (<<) are not supported; repeat the keys instead")
        self._key = key
        if key in table:
            message = f"is written twice; the first is in line {table.lines[key]}"
            self._report(line, message)
        table.lines[key] = line
        self._count(1, line)

    def _start(
        self,
        event: yaml.MappingStartEvent | yaml.SequenceStartEvent,
        container: Table | Items,
        line: int,
    ) -> None:
        if self._wants_key():
            raise UnusableError(line, "a key must be text; put text with [ or { in quotes")
        if event.tag not in (None, "!"):
            raise UnusableError(line, "tags are not supported; quote text that starts with !")
        self._limit_depth(1, line)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append((container, self._key, event.anchor, self._nodes, line))
        self._heights.append(0)
        self._key = None

    def _end(self) -> None:
        container, self._key, anchor, before, line = self._open.pop()
        height = self._heights.pop() + 1
        if anchor:
            self._anchors[anchor] = (container, self._nodes - before + 1, height)
        self._put(container, line, height=height)

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        if self._wants_key():
            raise UnusableError(line, "an alias cannot be a key")
        if event.anchor not in self._anchors:
            raise UnusableError(line, "an alias has no anchor; quote text that starts with *")
        known = self._anchors[event.anchor]
        if known is None:
            raise UnusableError(line, "an alias stands within its own anchor")
        value, size, height = known
        self._limit_depth(height, line)
        self._put(value, line, size, height)

    def _wants_key(self) -> bool:
        return self._key is None and bool(self._open) and isinstance(self._open[-1][0], Table)

    def _limit_depth(self, more: int, line: int) -> None:
        if len(self._open) + more > MAX_DEPTH:
            raise UnusableError(line, f"is nested deeper than {MAX_DEPTH} levels")

    def _put(self, value: Any, line: int, size: int = 1, height: int = 0) -> None:
        self._count(size, line)
        if self._heights:
            self._heights[-1] = max(self._heights[-1], height)
        if not self._open:
            self.top = value
            return
        container = self._open[-1][0]
        if isinstance(container, Items):
            container.append(value)
            container.lines.append(line)
        else:
            assert self._key is not None
            container[self._key] = value
            self._key = None

    def _count(self, size: int, line: int) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise UnusableError(line, f"the document has more than {MAX_NODES:,} values")

    def _place(self) -> Place:
        keys = [*(key for _, key, *_ in self._open), self._key][1:]
        return tuple(
            len(container) if key is None else key
            for (container, *_), key in zip(self._open, keys, strict=True)
        )

    def _report(self, line: int, message: str) -> None:
        place = self._place()
        self._document.broken.add(place)
        problem = Problem(line, written(place), message, self._document.source)
        self._document.problems.append(problem)
        if len(self._document.problems) == MAX_PROBLEMS:
            raise UnusableError(line, "is the last line that was looked at")

    def _expand(self, text: str, line: int) -> str:
        used = False

        def replace(found: re.Match[str]) -> str:
            nonlocal used
            name, default = found[1], found[2]
            if found[0] == "$${":
                return "${"
            if name is None:
                self._report(line, "write ${NAME} for a variable, $${ for the text ${")
                return _NOTHING
            value = self._environ.get(name)
            if not value and default is not None:
                return str(default)
            if value is None:
                self._report(line, f"the environment variable {name} is not set")
                return _NOTHING
            if not value.isascii() and not _is_utf8(value):
                self._report(line, f"the environment variable {name} is not UTF-8 text")
                return _NOTHING
            used = True
            return value

        expanded = _VARIABLE.sub(replace, text)
        return Hidden(expanded) if used else expanded


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _resolve(text: str) -> Any:
    """Return the value of a plain scalar in the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
