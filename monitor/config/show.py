"""Writes a configuration as a file that says all of it and can be loaded again, without secrets.

What is written in the file with `${…}` or as the file of a secret is left as it is. What else is
secret becomes a variable of its own, with a comment that says where it comes from.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from monitor.core.duration import Duration
from monitor.core.secret import Secret
from monitor.core.text import visible

from .document import Document, Location, Table
from .file import is_text
from .settings import Config

_VARIABLES: Final = re.compile(r"\s*(?:\$\{[A-Za-z_][A-Za-z0-9_]*\})+\s*")
"""Variables and nothing beside them, defaults neither: these may be a part of a secret."""

_PLACEHOLDER: Final = re.compile(r"\$\{(SECRET_\d+)\}")
_TEXTS: Final = (str, Path, Duration)
_HEADER: Final = """\
# The configuration as the monitor understands it, with all defaults.
"""
_SECRETS: Final = """\
# {first} stands for a secret that is no variable or file yet, as the comment beside it says.
"""


def write(config: Config, document: Document, environ: Mapping[str, str], written: Table) -> str:
    """Return *config*, which *document* and *environ* made, as YAML.

    *written* is the document with all variables as they are in the file.
    """
    writer = _Writer(document, environ, written)
    tree = writer.shown(config.model_dump(by_alias=True), ())
    text = yaml.dump(
        tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30, indent=2
    )
    lines = [writer.with_note(line) for line in text.splitlines(keepends=False)]
    header = _HEADER
    if writer.notes:
        header += _SECRETS.format(first=f"${{{next(iter(writer.notes))}}}")
    return header + "\n".join(lines) + "\n"


class _Writer:
    """Goes through a configuration and what is written of it side by side.

    *notes* says where the secret comes from that each of our variables stands for.
    """

    def __init__(self, document: Document, environ: Mapping[str, str], written: Table) -> None:
        self.notes: dict[str, str] = {}
        self._origins = document.origins
        self._environ = environ
        self._written = Document(root=written)
        self._taken = frozenset(_PLACEHOLDER.findall(document.text))
        self._names: dict[Secret, str] = {}

    def shown(self, value: Any, location: Location) -> Any:
        """Return *value*, which stands at *location*, as plain data of YAML."""
        origin = self._origin(location)
        line, deepest, written = self._written.find(location)
        if origin is not None or deepest != location:
            written = None
        if isinstance(value, Secret):
            return self._secret(value, written, origin, line)
        if isinstance(written, str) and ("${" in written or isinstance(value, Path)):
            return written
        if isinstance(value, Mapping):
            return self._table(value, location, written if isinstance(written, Table) else {})
        if isinstance(value, list | tuple):
            return [self.shown(part, (*location, at)) for at, part in enumerate(value)]
        return self._text(str(value), origin) if isinstance(value, _TEXTS) else value

    def with_note(self, line: str) -> str:
        """Return a *line* with the comment on the secret that it needs, if it does."""
        names = _PLACEHOLDER.findall(line)
        note = next((self.notes[name] for name in names if name in self.notes), None)
        return f"{line}  # {note}" if note else line

    def _table(
        self, table: Mapping[str, Any], location: Location, written: Mapping[str, Any]
    ) -> dict[str, Any]:
        shown = {}
        for key, value in table.items():
            inner, file = (*location, key), f"{key}_file"
            if isinstance(value, Secret) and written.get(file) and inner not in self._origins:
                shown[file] = written[file]
            elif value is not None or not (file in table or key.removesuffix("_file") in shown):
                shown[key] = self.shown(value, inner)
        return shown

    def _origin(self, location: Location) -> str | None:
        """Return the variable that *location*, or what it is in, is from if the file has none."""
        parts = (location[:length] for length in range(len(location), 0, -1))
        return next((self._origins[part] for part in parts if part in self._origins), None)

    def _text(self, text: str, origin: str | None) -> str:
        if origin is not None and self._environ.get(origin, "").strip() == text:
            return f"${{{origin}}}"
        return text.replace("${", "$${")

    def _secret(self, secret: Secret, written: Any, origin: str | None, line: int | None) -> str:
        text = secret.reveal()
        if isinstance(written, str) and _VARIABLES.fullmatch(written):
            return written
        if text.startswith("sqlite:"):
            return written if isinstance(written, str) else self._text(text, origin)
        if origin is not None and (variable := self._text(text, origin)) == f"${{{origin}}}":
            return variable
        if secret not in self._names:
            name = self._free_name()
            self._names[secret] = name
            where = f"that line {line} of the file holds"
            self.notes[name] = f"a secret {f'that {origin} holds' if origin else where}"
        return f"${{{self._names[secret]}}}"

    def _free_name(self) -> str:
        number = len(self._names) + 1
        while (name := f"SECRET_{number}") in self._taken or name in self.notes:
            number += 1
        return name


class _Dumper(yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper):  # type: ignore[misc]  # one of two
    """Writes text so that it is text in YAML 1.2, too, and can be escaped where it is shown."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - pyyaml's name
        """Write all in full."""
        return True


def _represent(dumper: Any, text: str) -> yaml.ScalarNode:
    style = None
    if visible(text) != text:
        style = '"'
    elif not is_text(text):
        style = "'"
    node: yaml.ScalarNode = dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Dumper.add_representer(str, _represent)
