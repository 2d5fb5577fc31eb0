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
    rows = []
    for incident in read(
        app.load(config_file), lambda tx: listings.incidents(tx, ended=ended, limit=limit)
    ):
        until = now if incident["resolved_at"] is None else incident["resolved_at"]
        duration = max(0, until - incident["opened_at"]) // 1_000_000
        rows.append({**incident, "duration_seconds": duration})
    columns = ["workspace", "account_name", "cause", "opened_at", "duration_seconds"]
    columns += ["resolution"] if ended else []
    print_rows(rows, as_json=json, columns=columns, empty="no incident is open")
