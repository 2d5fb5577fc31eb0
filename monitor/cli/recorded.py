"""The commands that list what is recorded: the accounts, the incidents and the notifications."""

from typing import Annotated

import typer

from monitor import app
from monitor.core.model import LISTED, ListedAccount
from monitor.store import listings

from .database import read
from .options import ConfigOption, JsonOption, LimitOption
from .output import print_rows


def accounts(
    config_file: ConfigOption = None,
    json: JsonOption = False,
    show_links: Annotated[
        bool, typer.Option("--show-links", help="Show the links that log accounts in.")
    ] = False,
) -> None:
    """List the accounts as last seen, the bad ones first."""
    config = app.load(config_file)
    inventory = app.inventory(config)
    rows = []
    for row in read(config, listings.accounts):
        listed = ListedAccount(**{key: row[key] for key in LISTED})
        if not show_links:
            del row["link"]
        rows.append({**row, "labels": inventory.labels(row["workspace"], listed)})
    columns = ["workspace", "name", "status", "since", "id", *(["link"] if show_links else [])]
    print_rows(rows, as_json=json, columns=columns, empty="no accounts have been seen yet")


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
