"""The commands about the accounts: list them, accept what one is called now."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from monitor import muting
from monitor.app import process
from monitor.app.routing import make_routing
from monitor.config import Config
from monitor.core.act import ActKind
from monitor.core.errors import ActError
from monitor.core.model import LISTED, ListedAccount, Status
from monitor.core.text import bare
from monitor.store import listings

from .actor import new_act
from .database import read, write
from .options import (
    ByOption,
    ConfigOption,
    JsonOption,
    ReasonOption,
    ShowLinksOption,
    pass_on,
)
from .output import print_rows

accounts = typer.Typer(
    help="List the accounts as last seen, or accept what one is called now.",
    invoke_without_command=True,
)


@accounts.callback()
def list_accounts(
    context: typer.Context,
    config_file: ConfigOption = None,
    json: JsonOption = None,
    show_links: ShowLinksOption = False,
    bad: Annotated[bool, typer.Option("--bad", help="Only those that are not active.")] = False,
) -> None:
    """List the accounts as last seen, the bad ones first."""
    if context.invoked_subcommand is not None:
        pass_on(context, config_file=config_file, json=json)
        return
    config = process.load(config_file)
    inventory, routing, now = config.inventory(), make_routing(config), process.now()
    rows = []
    listed, mutes = read(
        config, lambda tx: (listings.accounts(tx), muting.active(tx, routing, now))
    )
    for row in listed:
        if bad and row["status"] == Status.ACTIVE:
            continue
        if not show_links:
            del row["link"]
        matched = replace(_listed(row), name=row["matched_name"], url=row["matched_url"])
        labels = inventory.labels(row["workspace"], matched)
        muted_until = mutes.until_of(row["workspace"], matched, labels)
        rows.append({**row, "labels": labels, "muted_until": muted_until})
    columns = ["workspace", "name", "status", "since", "id"]
    columns += ["muted_until"] if any(row["muted_until"] for row in rows) else []
    empty = "every account is active" if listed else "no accounts have been seen yet"
    print_rows(rows, as_json=json, columns=columns, empty=empty, below="link")


@accounts.command()
def accept(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Its id, or a unique start of it.", callback=bare)
    ],
    *,
    by: ByOption = None,
    reason: ReasonOption = "",
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Match an account by the name and url that it has now.

    The rules of the configuration go by those that it had before until somebody accepts others, or
    changes the rules.
    """
    config = process.load(config_file)
    inventory = config.inventory()
    rows = []
    for row in read(config, lambda tx: _renamed(tx, id_)):
        workspace, listed = row["workspace"], _listed(row)
        actor = _accept(config, row, by=by, reason=reason)
        ignored, labels = inventory.ignores(workspace, listed), inventory.labels(workspace, listed)
        shown = {key: row[key] for key in ("workspace", "id", "name", "url")}
        rows.append({**shown, "labels": labels, "ignored": ignored, "accepted_by": actor})
    columns = ["workspace", "name", "labels", "ignored", "accepted_by"]
    print_rows(rows, as_json=json, columns=columns, empty="")


def _renamed(tx: Connection, id_: str) -> list[dict[str, Any]]:
    """Return the account with a new name that *id_* means, in all its workspaces.

    Raise ActError if it is not exactly one.
    """
    renamed = listings.renamed_accounts(tx)
    ids = {row["id"] for row in renamed if id_ and row["id"].startswith(id_)}
    if id_ not in ids and len(ids) != 1:
        advice = "see the ids in `linkedapi-monitor accounts --json`"
        raise ActError(f"not exactly one account with a new name begins with {id_!r}; {advice}")
    return [row for row in renamed if row["id"] == (id_ if id_ in ids else min(ids))]


def _accept(config: Config, row: Mapping[str, Any], *, by: str | None, reason: str) -> str:
    """Accept the name of the account in *row*; return who does."""
    from monitor.work import act as committed  # noqa: PLC0415 - no listing needs it

    workspace = row["workspace"]
    act = new_act(ActKind.ACCEPT, workspace, by=by, reason=reason, subject=row["id"])
    write(config, lambda tx: committed.accept_name(tx, act, process.new_id), of=(workspace,))
    return act.actor


def _listed(row: Mapping[str, Any]) -> ListedAccount:
    return ListedAccount(**{key: row[key] for key in LISTED})
