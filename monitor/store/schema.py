"""The tables: declared in `schema.sql`, and how those of older versions are brought up to it.

Until a version is released, `schema.sql` is changed in place, and a database whose tables another
development version made is refused. After that, a change of the tables is a file in `migrations/`
(`0001_what_it_does.sql`) as well, for the databases that are there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import Final, Self

from sqlalchemy import Connection, inspect, text

from .errors import StoreError

_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")

_LATEST: Final = text("SELECT * FROM migration ORDER BY version DESC LIMIT 1")

_MARK: Final = text("INSERT INTO migration (version, fingerprint) VALUES (:version, :fingerprint)")


@dataclass(frozen=True, slots=True)
class Schema:
    """The statements that make the tables, and those of each migration by its version."""

    declared: Sequence[str]
    migrations: Mapping[int, Sequence[str]]

    @classmethod
    def read(cls, folder: Traversable) -> Self:
        """Read `schema.sql` and `migrations/` (there may be none) in *folder*."""
        migrations = folder / "migrations"
        files = migrations.iterdir() if migrations.is_dir() else ()
        named = {int(name[1]): file for file in files if (name := _NAME.fullmatch(file.name))}
        return cls(
            declared=_statements(folder / "schema.sql"),
            migrations={version: _statements(named[version]) for version in sorted(named)},
        )

    @property
    def version(self) -> int:
        """The number of the latest migration."""
        return max(self.migrations, default=0)

    @property
    def fingerprint(self) -> str:
        """Differs if the tables do; comments and line breaks don't count."""
        return sha256("\n".join(self.declared).encode()).hexdigest()

    def is_applied(self, tx: Connection) -> bool:
        """Return whether the tables are those of this version."""
        if not inspect(tx).has_table("migration"):
            return False
        latest = tx.execute(_LATEST).mappings().one()
        return latest.get("fingerprint") == self.fingerprint

    def apply(self, tx: Connection, *, create: bool = True) -> None:
        """Bring the tables up to date, and *create* them in an empty database.

        Raise StoreError if there are none and they are not to be created, or if another version
        made them and no migration leads from there to here.
        """
        if self.is_applied(tx):
            return
        if inspect(tx).has_table("migration"):
            latest = tx.execute(_LATEST).mappings().one()
            statements = self._since(latest["version"] if "fingerprint" in latest else self.version)
        elif create:
            statements = self.declared
        else:
            raise StoreError(
                "the database (storage.url) is empty: the monitor has not run with it yet"
            )
        for statement in statements:
            tx.execute(text(statement))
        tx.execute(_MARK, {"version": self.version, "fingerprint": self.fingerprint})

    def _since(self, version: int) -> Sequence[str]:
        """Return the statements of all migrations after *version*."""
        if version > self.version:
            raise StoreError(
                f"the database was made by a newer version (schema {version}, this version knows"
                f" {self.version}); run that version, or name another database in storage.url"
            )
        if version == self.version:
            raise StoreError(
                "the database was made by another development version of the monitor; move it"
                " away, or name a new one in storage.url"
            )
        later = (self.migrations[number] for number in self.migrations if number > version)
        return [statement for statements in later for statement in statements]


def _statements(file: Traversable) -> Sequence[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    script = " ".join(line for line in lines if not line.lstrip().startswith("--"))
    statements = (" ".join(statement.split()) for statement in script.split(";"))
    return [statement for statement in statements if statement]
