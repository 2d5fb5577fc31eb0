"""Secrets that stand in files of their own: `password_file` instead of `password`."""

from pathlib import Path
from typing import Any, Final

from . import shape
from .document import Document, Hidden, Place, Table

MAX_BYTES: Final = 64 * 1024


class UnreadableError(ValueError):
    """A secret's file cannot be read; the text says why."""


def read_secret(path: Path) -> str:
    """Return the text of the file at *path* without white space around it."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise UnreadableError("the file is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise UnreadableError(f"the file cannot be read: {reason}") from None
    if len(content) > MAX_BYTES:
        raise UnreadableError(f"the file is larger than {MAX_BYTES // 1024} KiB")
    if not text:
        raise UnreadableError("the file is empty")
    return text


def fill_in(document: Document, place: Place, table: Table, kind: Any, base: Path) -> None:
    """Put the contents of the `_file` forms into *table* and report what cannot be read.

    Paths are relative to *base*, the folder of the configuration file.
    """
    for key in shape.secrets(kind):
        name = f"{key}_file"
        file = table.get(name)
        if not isinstance(file, str):
            if file is not None:
                document.report((*place, name), "must be the path of a file")
            continue
        if table.get(key) is not None:
            document.report((*place, name), f"stands beside {key}; keep one of them")
        else:
            table[key] = _content(document, (*place, name), base / file)
            table.lines[key] = table.lines[name]
            document.broken |= {(*place, key)} if (*place, name) in document.broken else set()
        del table[name]


def _content(document: Document, place: Place, file: Path) -> Hidden:
    try:
        return Hidden(read_secret(file))
    except UnreadableError as error:
        document.report(place, str(error))
        return Hidden("unreadable")
