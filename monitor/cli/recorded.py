"""The commands that list what happened: the incidents and the notifications."""

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


def deliveries(
    config_file: ConfigOption = None, json: JsonOption = False, limit: LimitOption = 100
) -> None:
    """List the latest notifications and how they fare, newest first."""
    config = app.load(config_file)
    types = {"log": "log"} | {receiver.name: receiver.type for receiver in config.receivers}
    rows = read(config, lambda tx: listings.deliveries(tx, limit=limit))
    for row in rows:
        incident_id = row.pop("incident_id")
        row["incident_ids"] = [incident_id] if incident_id else []
        row["type"] = types.get(row["receiver"])
        if row["state"] not in ("pending", "sending"):
            row["next_attempt_at"] = None
    columns = ["created_at", "account_name", "receiver", "event", "state", "reason", "last_error"]
    print_rows(rows, as_json=json, columns=columns, empty="nothing has been queued yet")
