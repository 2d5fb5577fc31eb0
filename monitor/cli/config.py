"""The commands about the configuration."""

import shlex
from pathlib import Path
from typing import Annotated, Final

import typer

from monitor.app import process
from monitor.config import schema_text, write_starter
from monitor.net.proxy import from_environment

from .options import ConfigOption
from .output import count, print_json, print_lines

NEXT: Final = (
    "config check -c {}    # what is wrong with it",
    "check -c {}           # look at the accounts once",
    "receivers test -c {}  # send each receiver a message",
    "run -c {}",
)
"""What to do with a new configuration."""

config = typer.Typer(help="The configuration.", no_args_is_help=True)


@config.command("init")
def init(
    file: Annotated[
        Path | None,
        typer.Argument(help="A new file; else it is printed.", show_default=False),
    ] = None,
) -> None:
    """Begin a configuration, with what the environment has.

    It is a small commented file, is never written over another, and holds no secret.
    """
    starter = process.starter()
    if file is None:
        typer.echo(starter.text, nl=False)
    else:
        write_starter(file, starter)
        print_lines(f"wrote {file}")
    name = shlex.quote(str(file or "config.yaml"))
    print_lines("Next:", err=True)
    if file is None:
        print_lines(f"  linkedapi-monitor config init {name}", err=True)
    for variable in starter.unset:
        print_lines(f"  export {variable}=…", err=True)
    for command in NEXT:
        print_lines(f"  linkedapi-monitor {command.format(name)}", err=True)


@config.command("check")
def check(config_file: ConfigOption = None) -> None:
    """Print every problem of the configuration with its line.

    Exit 2 if there is one.
    """
    from monitor.app import components  # noqa: PLC0415 - no other command of these needs all that

    loaded = process.load(config_file)
    process.check_limits()
    loaded.storage.location  # noqa: B018 - an error if there is none
    overrides = (f"{key}: {name} overrides the file" for key, name in loaded.overridden.items())
    lines = (
        *loaded.warnings,
        *overrides,
        *components.check_network(loaded, from_environment()),
        *loaded.findings.notes,
    )
    for warning in lines:
        print_lines(f"warning: {warning}", err=True)
    numbers = {
        "workspace": len(loaded.workspaces),
        "receiver": len(loaded.receivers),
        "route": len(loaded.routes),
    }
    print_lines(f"ok: {count(numbers)}")


@config.command("show")
def show(
    config_file: ConfigOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the configuration with all defaults and no secrets.

    It is YAML that can be loaded again.
    """
    if json:
        loaded = process.load(config_file)
        print_json(loaded.model_dump(mode="json", by_alias=True, exclude_none=True))
    else:
        print_lines(process.show(config_file).rstrip())


@config.command("schema")
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    typer.echo(schema_text(), nl=False)
