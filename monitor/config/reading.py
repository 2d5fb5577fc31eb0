"""Reads a YAML document into plain values that remember their lines.

The scalars are those of the YAML 1.2 core schema: `no`, `on`, `22:00` and dates are text. Keys are
text. Merge keys and tags are not supported; depth, size and the growth by aliases are limited.

`${NAME}` expands in values after parsing, so what a variable holds is text and never YAML. Braces
mean something in YAML itself (`{url: ${URL}}` would not parse), so those of a `${…}` are hidden
behind two private characters of the same width while YAML is read.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from .building import CLOSE, OPEN, Builder, UnusableError
from .document import ConfigError, Document, Problem, Table

MAX_BYTES: Final = 16 * 1024 * 1024

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
    builder = Builder(document, environ)
    if found := _FORBIDDEN.search(text):
        line = text.count("\n", 0, found.start()) + 1
        message = f"the character U+{ord(found[0]):04X} is not allowed"
        raise ConfigError([Problem(line, "", message, source)])
    try:
        loader = _Loader(_BRACES.sub(rf"${OPEN}\1{CLOSE}", text))
        while not builder.take(loader.get_event()):
            pass
    except UnusableError as error:
        problem = Problem(error.line, "", str(error), source)
        raise ConfigError([*document.problems, problem]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = f"{error.problem}{_HINTS.get(error.problem or '', '')}"
        if error.context and error.context_mark and error.context_mark.line + 1 != line:
            said = f"{error.context} from line {error.context_mark.line + 1}: {said}"
        message = f"is not valid YAML (column {column}): {said}"
        raise ConfigError([*document.problems, Problem(line, "", message, source)]) from None
    if builder.top is None:
        return document
    if not isinstance(builder.top, Table):
        message = "must hold keys and values, such as `workspaces:`"
        raise ConfigError([*document.problems, Problem(1, "", message, source)])
    document.root = builder.top
    return document
