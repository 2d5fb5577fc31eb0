"""The commands about the workspaces: list them, accept a list that was refused."""

from typing import Annotated

import typer

from monitor.app import process
from monitor.core.act import ActKind
from monitor.core.model import READING
from monitor.core.text import bare
from monitor.store import listings

from .actor import new_act
from .database import read, write
from .options import ByOption, ConfigOption, JsonOption, ReasonOption, pass_on
from .output import print_rows

COLUMNS = ["name", "accounts", "as_of", "holder", "held_since"]
COLUMNS += ["failing_cause", "failing_since", "refused_listed"]

workspaces = typer.Typer(
    help="List the workspaces as last seen, or accept a list that was refused.",
    invoke_without_command=True,
)


@workspaces.callback()
def list_workspaces(
    context: typer.Context, config_file: ConfigOption = None, json: JsonOption = None
) -> None:
    """List the workspaces as last seen: how many accounts each has, and why one can't be read.

    The holder is the monitor that works on it; nobody does where there is none.
    """
    if context.invoked_subcommand is not None:
        pass_on(context, config_file=config_file, json=json)
        return
    rows = read(process.load(config_file), listings.workspaces)
    empty = "no workspace has been seen yet"
    print_rows(rows, as_json=json, columns=COLUMNS, empty=empty, below="failing_detail")


@workspaces.command()
def accept(
    name: Annotated[str, typer.Argument(help="Which workspace.", callback=bare)],
    *,
    by: ByOption = None,
    reason: ReasonOption = "",
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Believe a list that has none of the known accounts.

    It counts for the list that was refused last, once, if it comes again within an hour: all known
    accounts are gone then, and those listed are watched.
    """
    from monitor.work import act as committed  # noqa: PLC0415 - no listing needs it

    config = process.load(config_file)
    _, subject = READING
    what = "the list that was refused"
    act = new_act(ActKind.ACCEPT, name, by=by, reason=reason, subject=subject, detail=what)
    write(config, lambda tx: committed.accept_list(tx, act), of=(name,))
    rows = [row for row in read(config, listings.workspaces) if row["name"] == name]
    for row in rows:
        row["accepted_by"] = act.actor
        row["go"], row["come"] = row["accounts"], row["refused_listed"]
    print_rows(rows, as_json=json, columns=["name", "go", "come", "accepted_by"], empty="")
