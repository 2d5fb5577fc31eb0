"""The commands for setting up: whether the configuration is right and the receivers work."""

import asyncio
import json as jsons
import sys
from typing import Annotated

import typer
import yaml

from monitor import app
from monitor.config import schema as schema_of_file

from .options import ConfigOption, JsonOption
from .output import Exit, document, rows
from .running import log_to

config = typer.Typer(help="The configuration.", no_args_is_help=True)
receivers = typer.Typer(help="The receivers.", no_args_is_help=True)


@config.command("check")
def check(config_file: ConfigOption = None) -> None:
    """Check the configuration; print every problem with its line and exit 2 if there is one."""
    loaded = app.load(config_file)
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(
        f"ok: {_count(len(loaded.workspaces), 'workspace')},"
        f" {_count(len(loaded.receivers), 'receiver')}, {_count(len(loaded.routes), 'route')}"
    )


@config.command("show")
def show(config_file: ConfigOption = None, json: JsonOption = False) -> None:
    """Print the configuration as the monitor understands it: with all defaults, without secrets."""
    whole = app.load(config_file).model_dump(mode="json", by_alias=True, exclude_none=True)
    if json or not sys.stdout.isatty():
        document(whole)
    else:
        typer.echo(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True).rstrip())


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors and checks."""
    typer.echo(jsons.dumps(schema_of_file(), indent=2))


@receivers.command("test")
def try_out(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which receivers; all of them if none is named.")
    ] = None,
    config_file: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Send a test message to receivers and say how it went; exit 1 if one did not take it."""
    loaded = app.load(config_file)
    log_to(loaded)
    known = [one.name for one in loaded.receivers]
    for name in names or ():
        if name not in known:
            listed = ", ".join(known) or "none is configured"
            typer.echo(f"error: there is no receiver {name!r} ({listed})", err=True)
            raise typer.Exit(Exit.VALIDATION)
    results = asyncio.run(app.try_receivers(loaded, names or known))
    data = [
        {"receiver": name, "accepted": error is None, "error": error and str(error)}
        for name, error in results.items()
    ]
    columns = ["receiver", "accepted", "error"]
    rows(data, as_json=json, columns=columns, empty="no receivers are configured")
    if any(one["error"] for one in data):
        raise typer.Exit(Exit.GENERAL)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
