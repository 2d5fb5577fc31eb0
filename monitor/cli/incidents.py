"""The command that lists the incidents."""

from typing import Annotated

import typer

from monitor import app
from monitor.store import listings

from .database import read
from .options import ConfigOption, JsonOption, LimitOption
from .output import print_rows


def incidents(
    config_file: ConfigOption = None,
    json: JsonOption = False,
    ended: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    limit: LimitOption = 100,
) -> None:
    """List the open incidents, newest first."""
    now = app.now()
    config = app.load(config_file)
    rows = read(config, lambda tx: listings.incidents(tx, ended=ended, limit=limit))
    for row in rows:
        until = now if row["resolved_at"] is None else row["resolved_at"]
        row["duration_seconds"] = max(0, until - row["opened_at"]) // 1_000_000
    columns = ["workspace", "account_name", "cause", "opened_at", "duration_seconds"]
    columns += ["resolution"] if ended else []
    print_rows(rows, as_json=json, columns=columns, empty="no incident is open")
