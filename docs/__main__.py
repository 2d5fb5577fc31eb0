# ruff: noqa: INP001 - a folder of pages
"""Write into the docs what each key of the configuration means, and both JSON Schemas.

The meaning stands beside the key in the code (`Doc`). A row of a table whose first cell is a key,
or a type of receivers, is written anew; which rows there are, and where, is the page's own.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from monitor import notifiers
from monitor.config import Config, schema_text
from monitor.config.document import Location
from monitor.config.json_schema import declared
from monitor.core.doc import DEFAULT
from monitor.notifiers import ReceiverSettings
from monitor.notifiers import _payload as webhook

ROOT: Final = Path(__file__).parents[1]

_ROW: Final = re.compile(r"^\| `([^`]+)` *\|.*$", re.MULTILINE)


def files() -> dict[str, str]:
    """Return what each file should hold, by its path from the root on."""
    types = {kind: notifiers.settings_type(kind) for kind in notifiers.notifier_types()}
    of_types = {
        kind: f"| `{kind}` | {declared(settings)['type']['description']} |"
        for kind, settings in types.items()
    }
    rows = {name: _row(name, schema) for name, schema in keys(Config)}
    rows["receivers[].type"] = f"| `receivers[].type` | | {', '.join(map('`{}`'.format, types))} |"
    own = {
        f"{kind}.{name}": _row(f"{kind}.{name}", schema)
        for kind, settings in types.items()
        for name, schema in keys(settings)
        if name not in ReceiverSettings.model_fields
    }
    return {
        "config.schema.json": schema_text(),
        "docs/webhook.schema.json": webhook.schema_text(),
        "docs/configuration.md": _with_rows("docs/configuration.md", rows),
        "docs/receivers.md": _with_rows("docs/receivers.md", of_types | own),
    }


def keys(
    kind: Any, location: Location = (), prefix: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each key of *kind* with its schema: `("poll.every", {…})`."""
    for name, schema in declared(kind, location).items():
        here = (*location, name)
        if here == ("workspaces", 0, "poll"):  # has the keys of the section `poll`
            yield f"{prefix}{name}", schema
        elif declared(kind, here):
            if kind is not Config:  # may be something else, too
                yield f"{prefix}{name}", schema
            yield from keys(kind, here, f"{prefix}{name}.")
        elif declared(kind, (*here, 0)):
            yield from keys(kind, (*here, 0), f"{prefix}{name}[].")
        else:
            yield f"{prefix}{name}", schema


def _with_rows(page: str, rows: Mapping[str, str]) -> str:
    text = (ROOT / page).read_text(encoding="utf-8")
    return _ROW.sub(lambda match: rows.get(match[1], match[0]), text)


def _row(name: str, schema: Mapping[str, Any]) -> str:
    meaning, _, default = schema["description"].partition(DEFAULT)
    if not default and (value := schema.get("default")) not in (None, ""):
        default = f"`{_written(value)}`"
    return f"| `{name}` | {default} | {meaning} |".replace("|  |", "| |")


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return str(value)


def main() -> None:
    """Write all of them."""
    for name, text in files().items():
        (ROOT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
