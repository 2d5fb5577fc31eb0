"""The commands about the accounts: list them, accept what one is called now."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from monitor.app import process
from monitor.core.model import LISTED, Event, EventType, ListedAccount, Reason, Status
from monitor.core.text import bare
from monitor.store import listings

from .database import read, write
from .options import ByOption, ConfigOption, JsonOption, ShowLinksOption, pass_on
from .output import Exit, print_error, print_rows

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
    inventory = config.inventory()
    rows = []
    listed = read(config, listings.accounts)
    for row in listed:
        if bad and row["status"] == Status.ACTIVE:
            continue
        if not show_links:
            del row["link"]
        matched = replace(_listed(row), name=row["matched_name"], url=row["matched_url"])
        rows.append({**row, "labels": inventory.labels(row["workspace"], matched)})
    columns = ["workspace", "name", "status", "since", "id"]
    empty = "every account is active" if listed else "no accounts have been seen yet"
    print_rows(rows, as_json=json, columns=columns, empty=empty, below="link")


@accounts.command()
def accept(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="Its id, or a unique start of it.", callback=bare)
    ],
    by: ByOption = None,
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Match an account by the name and url that it has now.

    The rules of the configuration go by those that it had before until somebody accepts others, or
    changes the rules.
    """
    config = process.load(config_file)
    inventory, actor = config.inventory(), by or process.user()
    accepted = write(config, lambda tx: _accept(tx, id_, actor))
    if not accepted:
        advice = "see the ids in `linkedapi-monitor accounts --json`"
        message = f"not exactly one account with a new name begins with {id_!r}; {advice}"
        print_error("validation", message)
        raise typer.Exit(Exit.VALIDATION)
    rows = []
    for row in accepted:
        listed, workspace = _listed(row), row["workspace"]
        ignored, labels = inventory.ignores(workspace, listed), inventory.labels(workspace, listed)
        shown = {key: row[key] for key in ("workspace", "id", "name", "url")}
        rows.append({**shown, "labels": labels, "ignored": ignored, "accepted_by": actor})
    columns = ["workspace", "name", "labels", "ignored", "accepted_by"]
    print_rows(rows, as_json=json, columns=columns, empty="")


def _accept(tx: Connection, id_: str, actor: str) -> list[dict[str, Any]]:
    """Accept the names of the account *id_* (in all its workspaces); return what was accepted."""
    from monitor.store import workspaces as recorded  # noqa: PLC0415 - no listing needs it

    renamed = listings.renamed_accounts(tx)
    ids = {row["id"] for row in renamed if id_ and row["id"].startswith(id_)}
    if id_ not in ids and len(ids) != 1:
        return []
    chosen = [row for row in renamed if row["id"] == (id_ if id_ in ids else min(ids))]
    for row in chosen:
        event = Event(
            id=process.new_id(),
            type=EventType.NOTICE,
            at=process.now(),
            workspace=row["workspace"],
            account_id=row["id"],
            incident_id=None,
            reason=Reason.ACCEPTED,
            detail=f"its new name was accepted by {actor} (cli)",
        )
        recorded.accept_account(tx, event)
    return chosen


def _listed(row: Mapping[str, Any]) -> ListedAccount:
    return ListedAccount(**{key: row[key] for key in LISTED})
