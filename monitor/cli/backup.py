"""The command that makes a backup."""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from monitor.app import process
from monitor.core.text import visible
from monitor.store import backup as backups

from .options import ConfigOption, JsonOption
from .output import count, print_json, wants_json
from .signals import deferred_signals

COUNTED: Final = ("workspace", "account", "incident", "message")


def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="The new file, mode 0600.")],
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Copy the SQLite database to a new file while the monitor runs, and verify the copy.

    It holds the login links of the moment: keep it secret. No file is ever replaced.
    """
    config = process.load(config_file)
    began = time.monotonic()
    with deferred_signals() as pause:
        made = backups.make(
            config.storage.location, target, pause=partial(pause, backups.PAUSE_SECONDS)
        )
    took = time.monotonic() - began
    rows = made.contents.rows
    if wants_json(json):
        written = {"file": str(target), "size_bytes": made.size, "took_seconds": round(took, 3)}
        print_json({**written, "schema": made.contents.schema, "rows": rows})
        return
    typer.echo(
        visible(f"{target}: {made.size / 1e6:,.1f} MB in {took:.1f} s, verified: {summary(rows)}")
    )


def summary(rows: Mapping[str, int]) -> str:
    """Say how much is in a database that has so many *rows* in each table."""
    counts = {table: rows[table] for table in COUNTED}
    counts["workspace"] = max(0, counts["workspace"] - 1)  # '*' stands for all of them
    return count(counts)
