"""The tables: declared in `schema.sql`, and how those of older versions are brought up to it.

A change of the tables is a new file in `migrations/`, and the same change in `schema.sql`.
"""

import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Final

from sqlalchemy import Connection, inspect, text

from .errors import StoreError

_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")


def migrate(tx: Connection, *, create: bool = True) -> None:
    """Bring the tables up to date, and *create* them in an empty database.

    Raise StoreError if there are none and they are not to be created, or they are from the future.
    """
    known = migrations()
    if not inspect(tx).has_table("migration"):
        if not create:
            raise StoreError(
                "the database (storage.url) is empty: the monitor has not run with it yet"
            )
        _run(tx, declared())
        _mark(tx, known)
        return
    done = set(tx.execute(text("SELECT version FROM migration")).scalars())
    if done - known.keys():
        raise StoreError(
            f"the database was made by a newer version (schema {max(done)}, this version knows"
            f" {max(known)}); run that version, or name another database in storage.url"
        )
    missing = sorted(known.keys() - done)
    for version in missing:
        _run(tx, known[version])
    _mark(tx, missing)


def declared() -> list[str]:
    """Return the statements that make the tables as they are now."""
    return _statements((files(__package__) / "schema.sql").read_text(encoding="utf-8"))


def migrations() -> dict[int, list[str]]:
    """Return the statements of each migration by its version, in order."""
    found = {}
    for file in (files(__package__) / "migrations").iterdir():
        matched = _NAME.fullmatch(file.name)
        if matched:
            found[int(matched[1])] = _statements(file.read_text(encoding="utf-8"))
    return dict(sorted(found.items()))


def _statements(script: str) -> list[str]:
    lines = (line for line in script.splitlines() if not line.lstrip().startswith("--"))
    statements = (statement.strip() for statement in "\n".join(lines).split(";"))
    return [statement for statement in statements if statement]


def _run(tx: Connection, statements: list[str]) -> None:
    for statement in statements:
        tx.execute(text(statement))


def _mark(tx: Connection, versions: Iterable[int]) -> None:
    for version in versions:
        tx.execute(text("INSERT INTO migration (version) VALUES (:version)"), {"version": version})
