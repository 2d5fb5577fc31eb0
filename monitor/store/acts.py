"""What people did: each act is a row, written by the commit that follows it."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, text

from monitor.core.act import Act

from . import outside, rows

WRITE: Final = text(rows.insert("act", rows.columns(Act)))


def write(tx: Connection, act: Act) -> None:
    """Add *act*, which a monitor that works is to notice."""
    tx.execute(WRITE, rows.values(act))
    outside.note(tx)


BY_IDS: Final = text("SELECT * FROM act WHERE id IN :ids")


def load(tx: Connection, ids: Iterable[str]) -> dict[str, Act]:
    """Return those of the acts *ids* that are still kept, by their ids."""
    return {row.id: rows.read(Act, row) for row in rows.execute_portions(tx, BY_IDS, "ids", ids)}


COUNTS: Final = text("SELECT act, way, COUNT(*) AS acts FROM act GROUP BY act, way")


def count(tx: Connection) -> dict[tuple[str, str], int]:
    """Return how many acts are kept, by what was done and in which way."""
    return {(row.act, row.way): row.acts for row in tx.execute(COUNTS)}
