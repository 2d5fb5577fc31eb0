"""The command that lists the accounts."""

from typing import Annotated, Final

import typer

from monitor import app
from monitor.core.model import ListedAccount
from monitor.store import listings

from .database import read
from .options import ConfigOption, JsonOption
from .output import print_rows

LISTED: Final = ("id", "name", "url", "country", "status", "raw_status")
"""What is printed of an account as it was listed."""


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
