"""Reads a YAML document into plain values that remember their lines.

The scalars are those of the YAML 1.2 core schema: `no`, `on`, `22:00` and dates are text. Keys are
text. Merge keys and tags are not supported; depth, size and the growth by aliases are limited.
Values are built from the parser's events, no deeper than allowed: `yaml.compose` dies of 200,000
nested brackets.

`${NAME}` expands in values after parsing, so what a variable holds is text and never YAML. Braces
mean something in YAML itself (`{url: ${URL}}` would not parse), so those of a `${…}` are hidden
behind two private characters of the same width while YAML is read.
"""

import math
import re
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import yaml

from monitor.files import FileContents

from .document import (
    ConfigError,
    Document,
    Items,
    Location,
    Problem,
    SensitiveText,
    Table,
    defect,
    format_location,
    is_utf8,
    oddity,
)
from .environment import CONFIG

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 32
MAX_NODES: Final = 500_000
MAX_PROBLEMS: Final = 20_000

_OPEN_BRACE: Final = "\U0010fffc"
_CLOSE_BRACE: Final = "\U0010fffd"
"""What stands for the braces of a `${…}` while YAML is read."""

_BRACES: Final = re.compile(
    r"""(?P<start>(?<!\$)\$)\{(?P<name>[^{}\n]*)\} | (?P<dollars>\$\$)\{(?P<text>[^{}\n"']*)\}""",
    re.VERBOSE,
)
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
_NO_TAGS: Final = "tags are not supported; quote text that starts with !"
_UNSET: Final = "unset"


def read(path: Path, environ: Mapping[str, str], contents: FileContents) -> Document:
    """Read the file at *path*; raise ConfigError if it is no YAML document.

    What it holds is added to *contents*.
    """
    source = str(path)

    def fail(message: str, line: int | None = None) -> ConfigError:
        return ConfigError([Problem(line, "", message, source)])

    try:
        content = contents.read(path, MAX_BYTES)
    except OSError as error:
        raise fail(
            f"cannot be read: {error.strerror}; name one with --config or {CONFIG}"
        ) from None
    if len(content) > MAX_BYTES:
        raise fail(f"is larger than {MAX_BYTES // 1024**2} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise fail("is not UTF-8 text", line) from None
    document = parse(text, environ, source=source)
    document.contents = contents
    with suppress(OSError):
        document.is_open = bool(path.stat().st_mode & stat.S_IROTH)
    return document


def parse(text: str, environ: Mapping[str, str] | None, *, source: str) -> Document:
    """Parse the document *text*; raise ConfigError where it cannot be followed to its end.

    Without *environ* each `${…}` stays as it is.
    """
    document = Document(source=source, text=text)

    def fail(message: str, line: int) -> ConfigError:
        return ConfigError([*document.problems, Problem(line, "", message, source)])

    if match := _FORBIDDEN.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise fail(f"the character U+{ord(match[0]):04X} is not allowed", line)
    try:
        loader = _Loader(_BRACES.sub(_hide_braces, text))
        root = _Builder(document, environ, loader.get_event).root()
    except _UnusableError as error:
        raise fail(str(error), error.line) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = f"{error.problem}{_HINTS.get(error.problem or '', '')}"
        if error.context and error.context_mark and error.context_mark.line + 1 != line:
            message = f"{error.context} from line {error.context_mark.line + 1}: {message}"
        raise fail(f"is not valid YAML (column {column}): {message}", line) from None
    if isinstance(root, Table):
        document.root = root
    elif root is not None:
        raise fail("must hold keys and values, such as `workspaces:`", 1)
    return document


def _hide_braces(match: re.Match[str]) -> str:
    dollars, name = match["start"] or match["dollars"], match["name"] or match["text"] or ""
    return f"{dollars}{_OPEN_BRACE}{name}{_CLOSE_BRACE}"


class _UnusableError(Exception):
    """The rest of the document cannot be read."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _Builder:
    """Builds the values of one document; each method reads the events of its part to their end.

    An anchor has the value, its size in nodes, and how many levels it is high; None before its end.
    """

    def __init__(
        self,
        document: Document,
        environ: Mapping[str, str] | None,
        next_event: Callable[[], Any],
    ) -> None:
        self._document = document
        self._environ = environ
        self._next_event = next_event
        self._anchors: dict[str, tuple[Any, int, int] | None] = {}
        self._nodes = 0

    def root(self) -> Any:
        """Return the value of the only document, or None if there is none."""
        root = None
        started = False
        while not isinstance(event := self._next_event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.NodeEvent):
                root, _ = self._value(event, ())
            elif isinstance(event, yaml.DocumentStartEvent):
                if started:
                    message = "a second document starts here (---); write only one"
                    raise _UnusableError(_line(event), message)
                started = True
        return root

    def _value(self, event: Any, location: Location) -> tuple[Any, int]:
        """Return the value that begins with *event*, and how many levels it is high."""
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            value, size, height = self._anchored(event.anchor, line)
            self._limit_depth(location, height, line)
            self._count(size, line)
            return value, height
        before = self._nodes
        if isinstance(event, yaml.ScalarEvent):
            value, height = self._scalar(event, location), 0
        else:
            if event.tag not in (None, "!"):
                raise _UnusableError(line, _NO_TAGS)
            self._limit_depth(location, 1, line)
            if event.anchor:
                self._anchors[event.anchor] = None
            is_table = isinstance(event, yaml.MappingStartEvent)
            value, height = self._table(location) if is_table else self._items(location)
        if event.anchor:
            self._anchors[event.anchor] = value, self._nodes - before + 1, height
        self._count(1, line)
        return value, height

    def _anchored(self, anchor: str | None, line: int) -> tuple[Any, int, int]:
        if anchor is None or anchor not in self._anchors:
            raise _UnusableError(line, "an alias has no anchor; quote text that starts with *")
        anchored = self._anchors[anchor]
        if anchored is None:
            raise _UnusableError(line, "an alias stands within its own anchor")
        return anchored

    def _scalar(self, event: yaml.ScalarEvent, location: Location) -> Any:
        text = _text(event)
        if event.tag not in (None, "!", _TEXT_TAG):
            raise _UnusableError(_line(event), _NO_TAGS)
        line = _line(event)
        value: Any = text.strip("\r\n")
        if "${" in text:
            if self._environ is not None:
                value = self._expand(value, self._environ, location, line)
        elif event.implicit[0] and event.tag is None:
            value = _resolve(text)
        if isinstance(value, str):
            self._check(value, location, line)
        return value

    def _check(self, text: str, location: Location, line: int) -> None:
        """Report what is wrong with a text whatever it is for, and note what is odd about it."""
        if problem := defect(text):
            self._report(location, line, problem)
        elif odd := oddity(text):
            source = self._document.source
            self._document.odd.append(Problem(line, format_location(location), odd, source))

    def _table(self, location: Location) -> tuple[Table, int]:
        table, height = Table(), 0
        while not isinstance(event := self._next_event(), yaml.MappingEndEvent):
            key, line = _key(event), _line(event)
            inner = (*location, key)
            if key in table:
                message = f"is written twice; the first is in line {table.lines[key]}"
                self._report(inner, line, message)
            table.lines[key] = line
            self._count(1, line)
            table[key], below = self._value(self._next_event(), inner)
            height = max(height, below)
        return table, height + 1

    def _items(self, location: Location) -> tuple[Items, int]:
        items, height = Items(), 0
        while not isinstance(event := self._next_event(), yaml.SequenceEndEvent):
            value, below = self._value(event, (*location, len(items)))
            items.append(value)
            items.lines.append(_line(event))
            height = max(height, below)
        return items, height + 1

    def _limit_depth(self, location: Location, more: int, line: int) -> None:
        if len(location) + more > MAX_DEPTH:
            raise _UnusableError(line, f"is nested deeper than {MAX_DEPTH} levels")

    def _count(self, size: int, line: int) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise _UnusableError(line, f"the document has more than {MAX_NODES:,} values")

    def _report(self, location: Location, line: int, message: str) -> None:
        self._document.reported.add(location)
        problem = Problem(line, format_location(location), message, self._document.source)
        self._document.problems.append(problem)
        if len(self._document.problems) == MAX_PROBLEMS:
            raise _UnusableError(line, "is the last line that was looked at")

    def _expand(self, text: str, environ: Mapping[str, str], location: Location, line: int) -> str:
        used = False

        def replace(match: re.Match[str]) -> str:
            nonlocal used
            name, default = match[1], match[2]
            if match[0] == "$${":
                return "${"
            if name is None:
                self._report(location, line, "write ${NAME} for a variable, $${ for the text ${")
                return _UNSET
            value = environ.get(name)
            if not value and default is not None:
                return str(default)
            if value is None:
                self._report(location, line, f"the environment variable {name} is not set")
                return _UNSET
            if not is_utf8(value):
                self._report(location, line, f"the environment variable {name} is not UTF-8 text")
                return _UNSET
            used = True
            self._document.used.add(name)
            return value.strip("\r\n")

        expanded = _VARIABLE.sub(replace, text)
        return SensitiveText(expanded) if used else expanded


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _text(event: yaml.ScalarEvent) -> str:
    text: str = event.value
    return text.replace(_OPEN_BRACE, "{").replace(_CLOSE_BRACE, "}")


def _key(event: Any) -> str:
    """Return the key that is all of *event*."""
    if isinstance(event, yaml.AliasEvent):
        raise _UnusableError(_line(event), "an alias cannot be a key")
    if not isinstance(event, yaml.ScalarEvent):
        raise _UnusableError(_line(event), "a key must be text; put text with [ or { in quotes")
    key = _text(event)
    if event.implicit[0] and key == "<<":
        message = "merge keys (<<) are not supported; repeat the keys instead"
        raise _UnusableError(_line(event), message)
    return key


def is_text(text: str) -> bool:
    """Return whether a plain scalar *text* is text, and neither a number nor a word."""
    return isinstance(_resolve(text), str)


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
