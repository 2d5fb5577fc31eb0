"""The tables: declared in `schema.sql`, and how those of older versions are brought up to it.

A change of the tables is a file in `migrations/` (`0002_what_it_does.sql`) as well, for the
databases that are there: all migrations together lead from the first version to what is declared.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import Final, Self

from sqlalchemy import Connection, inspect, text

from .errors import StoreError

BASELINE: Final = 1
"""The version of the tables that the first release made."""

_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")

_TABLE: Final = re.compile(r"CREATE TABLE (\w+)")

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
        return max(self.migrations, default=BASELINE)

    @property
    def fingerprint(self) -> str:
        """Differs if the tables do; comments and line breaks don't count."""
        return sha256("\n".join(self.declared).encode()).hexdigest()

    @property
    def tables(self) -> Sequence[str]:
        """The tables, each after those that its rows refer to."""
        return [match[1] for match in map(_TABLE.match, self.declared) if match]

    def version_of(self, tx: Connection) -> int | None:
        """Return the version of the tables that are there, None if there are none.

        Raise StoreError unless it is this version or an older one, from which migrations lead here.
        """
        if not inspect(tx).has_table("migration"):
            return None
        latest = tx.execute(_LATEST).mappings().one()
        version, fingerprint = int(latest["version"]), latest.get("fingerprint")
        if version > self.version:
            raise StoreError(
                f"the database was made by a newer version of the monitor (its tables are version"
                f" {version}, this one knows {self.version}): run that one, or put the backup of"
                " before the upgrade in its place"
            )
        is_other = version == self.version and fingerprint != self.fingerprint
        if version < BASELINE or fingerprint is None or is_other:
            raise StoreError(
                "the database was made by another development version of the monitor; move it"
                " away, or name a new one in storage.url"
            )
        return version

    def apply(self, tx: Connection) -> None:
        """Make the tables in an empty database, or bring those of an older version up to date.

        Raise StoreError if another version made them and no migration leads from there to here.
        """
        version = self.version_of(tx)
        if version == self.version:
            return
        for statement in self.declared if version is None else self._since(version):
            tx.execute(text(statement))
        tx.execute(_MARK, {"version": self.version, "fingerprint": self.fingerprint})

    def _since(self, version: int) -> Sequence[str]:
        """Return the statements of all migrations after *version*."""
        later = (self.migrations[number] for number in self.migrations if number > version)
        return [statement for statements in later for statement in statements]


def _statements(file: Traversable) -> Sequence[str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    script = " ".join(line for line in lines if not line.lstrip().startswith("--"))
    statements = (" ".join(statement.split()) for statement in script.split(";"))
    return [statement for statement in statements if statement]
