"""Reads a YAML document into plain values that remember their lines.

The scalars are those of the YAML 1.2 core schema: `no`, `on`, `22:00` and dates are text. Keys are
text. Merge keys and tags are not supported; depth, size and the growth by aliases are limited.
Values are built from the parser's events, without recursion: `yaml.compose` dies of 200,000 nested
brackets.

`${NAME}` expands in values after parsing, so what a variable holds is text and never YAML. Braces
mean something in YAML itself (`{url: ${URL}}` would not parse), so those of a `${…}` are hidden
behind two private characters of the same width while YAML is read.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from .document import (
    ConfigError,
    Document,
    Items,
    Location,
    Problem,
    SensitiveText,
    Table,
    format_location,
    is_utf8,
)

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 32
MAX_NODES: Final = 500_000
MAX_PROBLEMS: Final = 20_000

_OPEN_BRACE: Final = "\U0010fffc"
_CLOSE_BRACE: Final = "\U0010fffd"
"""What stands for the braces of a `${…}` while YAML is read."""

_BRACES: Final = re.compile(r"\$\{([^{}\n]*)\}")
_FORBIDDEN: Final = re.compile(
    r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010fffb]"
)
_Loader: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

_HINTS: Final = {
    "found character that cannot start any token": "; indent with spaces, quote such text",
    "did not find expected alphabetic or numeric character": (
        "; text that begins with * needs quotes"
    ),
    "mapping values are not allowed in this context": "; check the indentation, quote `: `",
}
_VARIABLE: Final = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\})?")
_WORDS: Final[Mapping[str, Any]] = {
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
_UNSET: Final = "unset"


def read(path: Path, environ: Mapping[str, str]) -> Document:
    """Read the file at *path*; raise ConfigError if it is no YAML document."""
    source = str(path)

    def fail(message: str, line: int | None = None) -> ConfigError:
        return ConfigError([Problem(line, "", message, source)])

    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise fail(f"cannot be read: {reason}") from None
    if len(content) > MAX_BYTES:
        raise fail(f"is larger than {MAX_BYTES // 1024**2} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise fail("is not UTF-8 text", line) from None
    return parse(text, environ, source=source)


def parse(text: str, environ: Mapping[str, str], *, source: str) -> Document:
    """Parse the document *text*; raise ConfigError where it cannot be followed to its end."""
    document = Document(source=source)
    builder = _Builder(document, environ)

    def fail(message: str, line: int) -> ConfigError:
        return ConfigError([*document.problems, Problem(line, "", message, source)])

    if match := _FORBIDDEN.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise fail(f"the character U+{ord(match[0]):04X} is not allowed", line)
    try:
        loader = _Loader(_BRACES.sub(rf"${_OPEN_BRACE}\1{_CLOSE_BRACE}", text))
        while not builder.feed(loader.get_event()):
            pass
    except _UnusableError as error:
        raise fail(str(error), error.line) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = f"{error.problem}{_HINTS.get(error.problem or '', '')}"
        if error.context and error.context_mark and error.context_mark.line + 1 != line:
            message = f"{error.context} from line {error.context_mark.line + 1}: {message}"
        raise fail(f"is not valid YAML (column {column}): {message}", line) from None
    if isinstance(builder.root, Table):
        document.root = builder.root
    elif builder.root is not None:
        raise fail("must hold keys and values, such as `workspaces:`", 1)
    return document


class _UnusableError(Exception):
    """The rest of the document cannot be read."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class _Container:
    """A mapping or list that has begun at *line*, under *key* of the one around it.

    *nodes* were counted before it; *height* is how many levels are within it so far.
    """

    value: Table | Items
    key: str | None
    anchor: str | None
    line: int
    nodes: int
    height: int = 0


class _Builder:
    """Builds the values of one document from its events, without recursion."""

    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self.root: Any = None
        self._document = document
        self._environ = environ
        self._open: list[_Container] = []
        self._key: str | None = None
        self._anchors: dict[str, tuple[Any, int, int] | None] = {}
        self._nodes = 0
        self._started = False

    def feed(self, event: Any) -> bool:
        """Build from the next event; return whether it was the last."""
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
                raise _UnusableError(line, "a second document starts here (---); write only one")
            case yaml.DocumentStartEvent():
                self._started = True
            case _:
                return isinstance(event, yaml.StreamEndEvent)
        return False

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        text: str = event.value
        if _OPEN_BRACE in text:
            text = text.replace(_OPEN_BRACE, "{").replace(_CLOSE_BRACE, "}")
        if self._wants_key():
            self._start_entry(text, line, plain=event.implicit[0])
            return
        value: Any = text
        if event.tag not in (None, "!", _TEXT_TAG):
            raise _UnusableError(line, "tags are not supported; quote text that starts with !")
        if "${" in text:
            value = self._expand(text, line)
        elif event.implicit[0] and event.tag is None:
            value = _resolve(text)
        if event.anchor:
            self._anchors[event.anchor] = (value, 1, 0)
        self._put(value, line)

    def _start_entry(self, key: str, line: int, *, plain: bool) -> None:
        table = self._open[-1].value
        assert isinstance(table, Table)
        if plain and key == "<<":
            raise _UnusableError(line, "merge keys (<<) are not supported; repeat the keys instead")
        self._key = key
        if key in table:
            message = f"is written twice; the first is in line {table.lines[key]}"
            self._report(line, message)
        table.lines[key] = line
        self._count(1, line)

    def _start(
        self,
        event: yaml.MappingStartEvent | yaml.SequenceStartEvent,
        value: Table | Items,
        line: int,
    ) -> None:
        if self._wants_key():
            raise _UnusableError(line, "a key must be text; put text with [ or { in quotes")
        if event.tag not in (None, "!"):
            raise _UnusableError(line, "tags are not supported; quote text that starts with !")
        self._limit_depth(1, line)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_Container(value, self._key, event.anchor, line, self._nodes))
        self._key = None

    def _end(self) -> None:
        container = self._open.pop()
        self._key = container.key
        height = container.height + 1
        if container.anchor:
            size = self._nodes - container.nodes + 1
            self._anchors[container.anchor] = (container.value, size, height)
        self._put(container.value, container.line, height=height)

    def _alias(self, event: yaml.AliasEvent, line: int) -> None:
        if self._wants_key():
            raise _UnusableError(line, "an alias cannot be a key")
        if event.anchor not in self._anchors:
            raise _UnusableError(line, "an alias has no anchor; quote text that starts with *")
        anchored = self._anchors[event.anchor]
        if anchored is None:
            raise _UnusableError(line, "an alias stands within its own anchor")
        value, size, height = anchored
        self._limit_depth(height, line)
        self._put(value, line, size, height)

    def _wants_key(self) -> bool:
        return self._key is None and bool(self._open) and isinstance(self._open[-1].value, Table)

    def _limit_depth(self, more: int, line: int) -> None:
        if len(self._open) + more > MAX_DEPTH:
            raise _UnusableError(line, f"is nested deeper than {MAX_DEPTH} levels")

    def _put(self, value: Any, line: int, size: int = 1, height: int = 0) -> None:
        self._count(size, line)
        if not self._open:
            self.root = value
            return
        container = self._open[-1]
        container.height = max(container.height, height)
        if isinstance(container.value, Items):
            container.value.append(value)
            container.value.lines.append(line)
        else:
            assert self._key is not None
            container.value[self._key] = value
            self._key = None

    def _count(self, size: int, line: int) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise _UnusableError(line, f"the document has more than {MAX_NODES:,} values")

    def _location(self) -> Location:
        keys = [*(container.key for container in self._open), self._key][1:]
        return tuple(
            len(container.value) if key is None else key
            for container, key in zip(self._open, keys, strict=True)
        )

    def _report(self, line: int, message: str) -> None:
        location = self._location()
        self._document.reported.add(location)
        problem = Problem(line, format_location(location), message, self._document.source)
        self._document.problems.append(problem)
        if len(self._document.problems) == MAX_PROBLEMS:
            raise _UnusableError(line, "is the last line that was looked at")

    def _expand(self, text: str, line: int) -> str:
        used = False

        def replace(match: re.Match[str]) -> str:
            nonlocal used
            name, default = match[1], match[2]
            if match[0] == "$${":
                return "${"
            if name is None:
                self._report(line, "write ${NAME} for a variable, $${ for the text ${")
                return _UNSET
            value = self._environ.get(name)
            if not value and default is not None:
                return str(default)
            if value is None:
                self._report(line, f"the environment variable {name} is not set")
                return _UNSET
            if not is_utf8(value):
                self._report(line, f"the environment variable {name} is not UTF-8 text")
                return _UNSET
            used = True
            return value

        expanded = _VARIABLE.sub(replace, text)
        return SensitiveText(expanded) if used else expanded


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
